//! A policy compiled: rule bodies as joins over facts with numbered variables, in the order in
//! which they run. Made from a syntax tree that was checked; runs in [`super::evaluation`].

use std::collections::BTreeMap;

use super::{
    constant::Constant,
    expression::{Code, MAX_VARIABLES},
    problem::Problem,
    refused::RuleRef,
    regexes,
    syntax::{Binary, Expr, ExprKind, Predicate, Query, RuleKind, Term, TermKind},
    vocabulary::Known,
};

/// Everything of a policy that runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    /// Facts of the operator, derived ones included, by number.
    pub(super) relations: Vec<Relation>,
    /// Rules that derive facts: one stands after all that it rests on.
    pub(super) derivations: Vec<Derivation>,
    /// Checks, in the order of the text.
    pub(super) checks: Vec<CompiledRule>,
    /// `allow if` and `deny if`, in the order of the text.
    pub(super) policies: Vec<CompiledRule>,
}

/// All facts of one name that a policy defines.
#[derive(Clone, Debug, Default)]
pub(super) struct Relation {
    /// The ground facts of the text; rules may derive more.
    pub(super) rows: Vec<Vec<Constant>>,
}

#[derive(Clone, Debug)]
pub(super) struct Derivation {
    pub(super) rule: RuleRef,
    /// Its place among the statements of the text.
    pub(super) statement: usize,
    pub(super) relation: usize,
    pub(super) head: Vec<Column>,
    pub(super) body: Join,
}

#[derive(Clone, Debug)]
pub(super) struct CompiledRule {
    pub(super) kind: RuleKind,
    pub(super) rule: RuleRef,
    /// Its place among the statements of the text.
    pub(super) statement: usize,
    pub(super) alternatives: Vec<Join>,
}

/// One rule body.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) atoms: Vec<Atom>,
    pub(super) conditions: Vec<Code>,
}

/// A fact that must exist.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) source: Source,
    pub(super) columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Known(Known),
    /// The number of a relation.
    Operator(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Column {
    Constant(Constant),
    /// The first use of a variable in the body: takes the value.
    Bind(usize),
    /// A later use: compares with the value.
    Bound(usize),
}

/// The numbers of the relations that a policy defines, by name.
pub(super) type RelationNumbers = BTreeMap<String, usize>;

/// Numbers the variables of one rule body.
struct Slots<'a> {
    relations: &'a RelationNumbers,
    names: Vec<String>,
}

impl Join {
    /// Compiles a body and, for a derivation, its head.
    ///
    /// # Errors
    /// The first problem; the checks that run before have found it too, but for the number of
    /// variables and the size of regular expressions.
    pub(super) fn compile(
        query: &Query,
        head: Option<&Predicate>,
        relations: &RelationNumbers,
    ) -> Result<(Self, Vec<Column>), Problem> {
        let mut slots = Slots {
            relations,
            names: Vec::new(),
        };
        let mut predicates: Vec<&Predicate> = query.predicates.iter().collect();
        // The answer does not depend on the order, since every combination counts. Facts that
        // exist once come first: they bind variables and fail early.
        predicates
            .sort_by_key(|predicate| !Known::of(&predicate.name).is_some_and(Known::is_unique));
        let atoms = predicates
            .into_iter()
            .map(|predicate| slots.atom(predicate))
            .collect::<Result<_, _>>()?;
        let conditions = query
            .expressions
            .iter()
            .map(|expression| slots.expression(expression))
            .collect::<Result<_, _>>()?;
        let head = head.map_or(&[][..], |head| &head.terms);
        let head = head
            .iter()
            .map(|term| slots.column(term))
            .collect::<Result<_, _>>()?;
        Ok((Self { atoms, conditions }, head))
    }
}

/// Compiles an expression that reads no variable but parameters of its own; `None` for others.
pub(super) fn compile_constant(expr: &Expr) -> Option<Code> {
    let mut slots = Slots {
        relations: &RelationNumbers::new(),
        names: Vec::new(),
    };
    slots.expression(expr).ok()
}

impl Slots<'_> {
    fn atom(&mut self, predicate: &Predicate) -> Result<Atom, Problem> {
        let source = match Known::of(&predicate.name) {
            Some(known) => Source::Known(known),
            None => Source::Operator(*self.relations.get(&predicate.name).ok_or_else(|| {
                let message = "no such fact";
                Problem::new("unknown_fact", predicate.name_span.clone(), message)
            })?),
        };
        let columns = predicate
            .terms
            .iter()
            .map(|term| self.column(term))
            .collect::<Result<_, _>>()?;
        Ok(Atom { source, columns })
    }

    fn column(&mut self, term: &Term) -> Result<Column, Problem> {
        match &term.kind {
            TermKind::Constant(constant) => Ok(Column::Constant(constant.clone())),
            TermKind::Variable(name) => match self.number(name) {
                Some(slot) => Ok(Column::Bound(slot)),
                None => self.bind(name, term).map(Column::Bind),
            },
        }
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn bind(&mut self, name: &str, term: &Term) -> Result<usize, Problem> {
        self.bind_at(name, term.span.clone())
    }

    fn bind_at(&mut self, name: &str, span: std::ops::Range<usize>) -> Result<usize, Problem> {
        let slot = self.names.len();
        if slot >= MAX_VARIABLES {
            let message = format!("more than {MAX_VARIABLES} variables in one rule body");
            return Err(Problem::new("too_many_variables", span, message));
        }
        self.names.push(name.to_owned());
        Ok(slot)
    }

    fn expression(&mut self, expr: &Expr) -> Result<Code, Problem> {
        Ok(match &expr.kind {
            ExprKind::Value(term) => match &term.kind {
                TermKind::Constant(constant) => Code::Constant(constant.clone()),
                TermKind::Variable(name) => Code::Slot(self.number(name).ok_or_else(|| {
                    let message = format!("no fact gives `${name}` a value");
                    Problem::new("unbound_variable", term.span.clone(), message)
                })?),
            },
            ExprKind::Unary(operator, operand) => {
                Code::Unary(*operator, Box::new(self.expression(operand)?))
            }
            ExprKind::Binary(Binary::Matches, text, pattern) => {
                Code::Matches(Box::new(self.expression(text)?), regexes::compile(pattern)?)
            }
            ExprKind::Binary(operator, left, right) => Code::Binary(
                *operator,
                Box::new(self.expression(left)?),
                Box::new(self.expression(right)?),
            ),
            ExprKind::Quantified {
                every,
                over,
                parameter,
                parameter_span,
                body,
            } => {
                let over = Box::new(self.expression(over)?);
                let slot = self.bind_at(parameter, parameter_span.clone())?;
                let body = Box::new(self.expression(body)?);
                // The parameter means nothing outside, but its slot stays its own.
                if let Some(name) = self.names.get_mut(slot) {
                    name.clear();
                }
                Code::Quantified {
                    every: *every,
                    over,
                    parameter: slot,
                    body,
                }
            }
        })
    }
}
