//! The syntax tree of a policy, with the place of everything in the text.

use std::ops::Range;

use biscuit_auth::builder;

use super::constant::Constant;

/// A place in the text, in bytes.
pub(super) type Span = Range<usize>;

/// One statement, without its `;`.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) kind: StatementKind,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum StatementKind {
    /// A ground fact of the operator.
    Fact(Predicate),
    /// `head <- body`.
    Derivation { head: Predicate, body: Query },
    /// Anything that decides.
    Rule { kind: RuleKind, queries: Vec<Query> },
}

/// What a rule of a policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// `allow if`: decides for the call when its body matches.
    AllowIf,
    /// `deny if`: decides against the call when its body matches.
    DenyIf,
    /// `check if`: one match must exist.
    CheckIf,
    /// `check all`: there must be facts, and the conditions hold for every one of them.
    CheckAll,
    /// `reject if`: of its alternatives, at least one must not match.
    RejectIf,
}

impl RuleKind {
    /// The two words that open such a rule.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AllowIf => "allow if",
            Self::DenyIf => "deny if",
            Self::CheckIf => "check if",
            Self::CheckAll => "check all",
            Self::RejectIf => "reject if",
        }
    }

    /// True for the rules of which the first that matches decides.
    pub(super) fn is_policy(self) -> bool {
        matches!(self, Self::AllowIf | Self::DenyIf)
    }
}

/// One alternative of a rule: facts that must exist, and conditions on their values.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) predicates: Vec<Predicate>,
    pub(super) expressions: Vec<Expr>,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) struct Predicate {
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) terms: Vec<Term>,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) kind: TermKind,
    pub(super) span: Span,
    /// Places of the items of an array.
    pub(super) items: Vec<Span>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TermKind {
    Variable(String),
    Constant(Constant),
}

#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum ExprKind {
    Value(Term),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `over.any($parameter -> body)` or `.all(…)`.
    Quantified {
        every: bool,
        over: Box<Expr>,
        parameter: String,
        parameter_span: Span,
        body: Box<Expr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Negate,
    Parens,
    Length,
    TypeOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    /// `===`: values of two types are an error.
    StrictEqual,
    /// `!==`: values of two types are an error.
    StrictNotEqual,
    /// `==`: values of two types are different.
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Add,
    Subtract,
    Multiply,
    Divide,
    And,
    Or,
    Intersection,
    Union,
    BitAnd,
    BitOr,
    BitXor,
    Get,
    TryOr,
}

impl Binary {
    fn to_library(self) -> builder::Binary {
        match self {
            Self::Less => builder::Binary::LessThan,
            Self::Greater => builder::Binary::GreaterThan,
            Self::LessOrEqual => builder::Binary::LessOrEqual,
            Self::GreaterOrEqual => builder::Binary::GreaterOrEqual,
            Self::StrictEqual => builder::Binary::Equal,
            Self::StrictNotEqual => builder::Binary::NotEqual,
            Self::Equal => builder::Binary::HeterogeneousEqual,
            Self::NotEqual => builder::Binary::HeterogeneousNotEqual,
            Self::Contains => builder::Binary::Contains,
            Self::StartsWith => builder::Binary::Prefix,
            Self::EndsWith => builder::Binary::Suffix,
            Self::Matches => builder::Binary::Regex,
            Self::Add => builder::Binary::Add,
            Self::Subtract => builder::Binary::Sub,
            Self::Multiply => builder::Binary::Mul,
            Self::Divide => builder::Binary::Div,
            Self::And => builder::Binary::LazyAnd,
            Self::Or => builder::Binary::LazyOr,
            Self::Intersection => builder::Binary::Intersection,
            Self::Union => builder::Binary::Union,
            Self::BitAnd => builder::Binary::BitwiseAnd,
            Self::BitOr => builder::Binary::BitwiseOr,
            Self::BitXor => builder::Binary::BitwiseXor,
            Self::Get => builder::Binary::Get,
            Self::TryOr => builder::Binary::TryOr,
        }
    }
}

impl Term {
    pub(super) fn variable(&self) -> Option<&str> {
        match &self.kind {
            TermKind::Variable(name) => Some(name),
            TermKind::Constant(_) => None,
        }
    }

    pub(super) fn constant(&self) -> Option<&Constant> {
        match &self.kind {
            TermKind::Variable(_) => None,
            TermKind::Constant(constant) => Some(constant),
        }
    }

    fn to_library(&self) -> builder::Term {
        match &self.kind {
            TermKind::Variable(name) => builder::Term::Variable(name.clone()),
            TermKind::Constant(constant) => constant.to_term(),
        }
    }
}

impl Predicate {
    pub(super) fn to_library(&self) -> builder::Predicate {
        builder::Predicate {
            name: self.name.clone(),
            terms: self.terms.iter().map(Term::to_library).collect(),
        }
    }
}

impl Expr {
    /// Visits the expression and everything in it: an operation before its operands, and these
    /// from left to right.
    pub(super) fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match &self.kind {
            ExprKind::Value(_) => {}
            ExprKind::Unary(_, operand) => operand.for_each(visit),
            ExprKind::Binary(_, left, right) => {
                left.for_each(visit);
                right.for_each(visit);
            }
            ExprKind::Quantified { over, body, .. } => {
                over.for_each(visit);
                body.for_each(visit);
            }
        }
    }

    /// The term, if the expression is nothing else.
    pub(super) fn term(&self) -> Option<&Term> {
        match &self.kind {
            ExprKind::Value(term) => Some(term),
            _ => None,
        }
    }

    /// The operations of the expression as the Biscuit library writes them.
    pub(super) fn to_library(&self) -> Vec<builder::Op> {
        let mut operations = Vec::new();
        self.write_operations(&mut operations);
        operations
    }

    fn write_operations(&self, to: &mut Vec<builder::Op>) {
        match &self.kind {
            ExprKind::Value(term) => to.push(builder::Op::Value(term.to_library())),
            ExprKind::Unary(unary, operand) => {
                operand.write_operations(to);
                to.push(builder::Op::Unary(match unary {
                    Unary::Negate => builder::Unary::Negate,
                    Unary::Parens => builder::Unary::Parens,
                    Unary::Length => builder::Unary::Length,
                    Unary::TypeOf => builder::Unary::TypeOf,
                }));
            }
            ExprKind::Binary(binary, left, right) => {
                let lazy = |expr: &Self| builder::Op::Closure(Vec::new(), expr.to_library());
                match binary {
                    Binary::TryOr => to.push(lazy(left)),
                    _ => left.write_operations(to),
                }
                match binary {
                    Binary::And | Binary::Or => to.push(lazy(right)),
                    _ => right.write_operations(to),
                }
                to.push(builder::Op::Binary(binary.to_library()));
            }
            ExprKind::Quantified {
                every,
                over,
                parameter,
                body,
                ..
            } => {
                over.write_operations(to);
                to.push(builder::Op::Closure(
                    vec![parameter.clone()],
                    body.to_library(),
                ));
                to.push(builder::Op::Binary(match every {
                    true => builder::Binary::All,
                    false => builder::Binary::Any,
                }));
            }
        }
    }
}
