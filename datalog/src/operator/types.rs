//! Types of expressions, as far as the text tells: an operator that could never have an answer is
//! refused, and so is a comparison with a value that its fact can't have.

use std::collections::BTreeMap;

use super::{
    constant::Constant,
    definitions::{Definitions, bodies},
    facts::as_segments,
    problem::{MAX_PROBLEMS, Problem, did_you_mean},
    syntax::{
        Binary, Expr, ExprKind, Predicate, Query, Statement, StatementKind, Term, TermKind, Unary,
    },
    value::URL_PARTS,
    vocabulary::{Domain, Known},
};
use crate::words::visible;

/// What the text tells of a value: its type, and the form that its fact gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    kind: Kind,
    domain: Option<Domain>,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Date,
    Bytes,
    Bool,
    Null,
    Set,
    Array,
    Map,
    /// The text does not tell.
    Unknown,
}

impl Kind {
    pub(super) fn of(constant: &Constant) -> Self {
        match constant {
            Constant::Integer(_) => Self::Integer,
            Constant::Text(_) => Self::Text,
            Constant::Date(_) => Self::Date,
            Constant::Bytes(_) => Self::Bytes,
            Constant::Bool(_) => Self::Bool,
            Constant::Null => Self::Null,
            Constant::Set(_) => Self::Set,
            Constant::Array(_) => Self::Array,
            Constant::Map(_) => Self::Map,
        }
    }

    fn of_domain(domain: Domain) -> Self {
        match domain {
            Domain::UpTo(_) => Self::Integer,
            Domain::Text
            | Domain::ToolName
            | Domain::Access
            | Domain::Weekday
            | Domain::Thumbprint
            | Domain::Scheme
            | Domain::Host => Self::Text,
            Domain::Date => Self::Date,
            Domain::Digest => Self::Bytes,
            Domain::Path => Self::Array,
            Domain::Arguments | Domain::Url => Self::Map,
            Domain::Segment => Self::Unknown,
        }
    }

    fn is(self, kinds: &[Self]) -> bool {
        self == Self::Unknown || kinds.contains(&self)
    }

    /// True when values of the two may be of one type.
    fn meets(self, other: Self) -> bool {
        self == Self::Unknown || other == Self::Unknown || self == other
    }
}

impl Shape {
    const UNKNOWN: Self = Self::plain(Kind::Unknown);

    const fn plain(kind: Kind) -> Self {
        Self { kind, domain: None }
    }

    fn of(domain: Domain) -> Self {
        Self {
            kind: Kind::of_domain(domain),
            domain: Some(domain),
        }
    }
}

/// The variables in force, each with what is known of it.
type Scope<'a> = Vec<(&'a str, Shape)>;

pub(super) fn check(
    statements: &[Statement],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let mut ground: Ground<'_> = BTreeMap::new();
    for statement in statements {
        if let StatementKind::Fact(fact) = &statement.kind {
            ground.entry(&fact.name).or_default().push(fact);
        }
    }
    for query in statements.iter().flat_map(bodies) {
        if problems.len() >= MAX_PROBLEMS {
            return;
        }
        let written = written(query, &ground);
        let scope = scope(query, definitions, &written, problems);
        let mut checker = Checker {
            scope,
            written,
            problems,
        };
        for expression in &query.expressions {
            let kind = checker.shape(expression).kind;
            if !kind.is(&[Kind::Bool]) {
                let message = format!("a condition is true or false, and this is {}", words(kind));
                checker.wrong(expression, message, None);
            }
        }
    }
}

/// The facts that the policy writes out, by name.
type Ground<'a> = BTreeMap<&'a str, Vec<&'a Predicate>>;

/// The values that variables take from facts which the policy writes out.
type Written<'a> = BTreeMap<&'a str, Vec<&'a Term>>;

fn written<'a>(query: &'a Query, ground: &Ground<'a>) -> Written<'a> {
    let mut written: Written<'a> = BTreeMap::new();
    for predicate in &query.predicates {
        let facts = ground.get(predicate.name.as_str());
        let facts = facts.map_or(&[][..], Vec::as_slice);
        for (column, term) in predicate.terms.iter().enumerate() {
            if let Some(name) = term.variable() {
                let values = facts.iter().filter_map(|fact| fact.terms.get(column));
                written.entry(name).or_default().extend(values);
            }
        }
    }
    written
}

/// What is known of each variable. Facts that share one and can't have a value of it in common
/// never match together.
fn scope<'a>(
    query: &'a Query,
    definitions: &Definitions,
    written: &Written<'a>,
    problems: &mut Vec<Problem>,
) -> Scope<'a> {
    let mut scope: Scope<'a> = Vec::new();
    let mut apart = Vec::new();
    for predicate in &query.predicates {
        for (column, term) in predicate.terms.iter().enumerate() {
            let Some(name) = term.variable() else {
                continue;
            };
            let shape = column_shape(predicate, column, definitions);
            let Some((_, known)) = scope.iter_mut().find(|(known, _)| *known == name) else {
                scope.push((name, shape));
                continue;
            };
            if !known.kind.meets(shape.kind) {
                let (first, this) = (words(known.kind), words(shape.kind));
                let message = format!("this is {this}, and `${name}` is {first} before");
                apart.push(Problem::new("wrong_type", term.span.clone(), message));
            }
            if known.kind == Kind::Unknown || (known.domain.is_none() && shape.domain.is_some()) {
                *known = shape;
            }
        }
    }
    let before = problems.len();
    for (name, shape) in &scope {
        for term in written.get(name).into_iter().flatten() {
            if let (Some(domain), Some(constant)) = (shape.domain, term.constant()) {
                report(problems, domain.check(constant, term));
            }
        }
    }
    // What is wrong with the facts says more.
    if problems.len() == before {
        problems.extend(apart);
    }
    scope
}

/// Adds a problem, unless another rule that reads the same fact has it already.
fn report(problems: &mut Vec<Problem>, checked: Result<(), Problem>) {
    if let Err(problem) = checked
        && problems.len() < MAX_PROBLEMS
        && !problems.contains(&problem)
    {
        problems.push(problem);
    }
}

fn column_shape(predicate: &Predicate, column: usize, definitions: &Definitions) -> Shape {
    let Some(known) = Known::of(&predicate.name) else {
        let kind = definitions.column_kind(&predicate.name, column);
        return Shape::plain(kind.unwrap_or(Kind::Unknown));
    };
    known
        .columns()
        .get(column)
        .map_or(Shape::UNKNOWN, |domain| Shape::of(*domain))
}

struct Checker<'a, 'p> {
    scope: Scope<'a>,
    written: Written<'a>,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Checker<'a, '_> {
    fn wrong(&mut self, at: &Expr, message: String, help: Option<String>) {
        let problem = Problem::new("wrong_type", at.span.clone(), message);
        self.problems.push(problem.with_help_if(help));
    }

    /// Demands that an operand has one of these types.
    fn demand(&mut self, operand: &Expr, kind: Kind, wanted: &[Kind]) {
        if !kind.is(wanted) {
            let wanted: Vec<&str> = wanted.iter().map(|kind| words(*kind)).collect();
            let message = format!("this is {}, not {}", words(kind), wanted.join(" or "));
            self.wrong(operand, message, None);
        }
    }

    fn shape(&mut self, expr: &'a Expr) -> Shape {
        match &expr.kind {
            ExprKind::Value(term) => self.term(term),
            ExprKind::Unary(Unary::Parens, inside) => self.shape(inside),
            ExprKind::Unary(operator, operand) => {
                let kind = self.shape(operand).kind;
                Shape::plain(match operator {
                    Unary::Negate => {
                        self.demand(operand, kind, &[Kind::Bool]);
                        Kind::Bool
                    }
                    Unary::Length => {
                        let sized = [Kind::Text, Kind::Bytes, Kind::Set, Kind::Array, Kind::Map];
                        self.demand(operand, kind, &sized);
                        Kind::Integer
                    }
                    Unary::TypeOf | Unary::Parens => Kind::Text,
                })
            }
            ExprKind::Binary(operator, left, right) => self.binary(*operator, left, right),
            ExprKind::Quantified {
                over,
                parameter,
                body,
                ..
            } => {
                let shape = self.shape(over);
                self.demand(over, shape.kind, &[Kind::Array, Kind::Set, Kind::Map]);
                self.scope.push((parameter, item_shape(over, shape)));
                let kind = self.shape(body).kind;
                self.demand(body, kind, &[Kind::Bool]);
                self.scope.pop();
                Shape::plain(Kind::Bool)
            }
        }
    }

    fn term(&self, term: &Term) -> Shape {
        match &term.kind {
            TermKind::Constant(constant) => Shape::plain(Kind::of(constant)),
            TermKind::Variable(name) => {
                let mut scope = self.scope.iter().rev();
                let known = scope.find(|(known, _)| known == name);
                known.map_or(Shape::UNKNOWN, |(_, shape)| *shape)
            }
        }
    }

    fn binary(&mut self, operator: Binary, left: &'a Expr, right: &'a Expr) -> Shape {
        let (on, with) = (self.shape(left), self.shape(right));
        let kind = match operator {
            Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => {
                self.demand_both((left, on), (right, with), &[Kind::Integer, Kind::Date]);
                Kind::Bool
            }
            Binary::StrictEqual | Binary::StrictNotEqual | Binary::Equal | Binary::NotEqual => {
                self.equality((left, on), (right, with));
                Kind::Bool
            }
            Binary::Contains => {
                self.contains((left, on), (right, with));
                Kind::Bool
            }
            Binary::StartsWith | Binary::EndsWith => {
                let before = self.problems.len();
                if !self.path_as_text((left, on), (right, with)) {
                    self.demand_both((left, on), (right, with), &[Kind::Text, Kind::Array]);
                }
                if self.problems.len() == before {
                    self.part(on, right);
                }
                Kind::Bool
            }
            Binary::Matches => {
                self.demand(left, on.kind, &[Kind::Text]);
                Kind::Bool
            }
            Binary::And | Binary::Or => {
                self.demand(left, on.kind, &[Kind::Bool]);
                with.kind
            }
            Binary::Add => {
                let added = [Kind::Integer, Kind::Text];
                self.demand_both((left, on), (right, with), &added);
                match on.kind.is(&added) {
                    true => on.kind,
                    false => Kind::Unknown,
                }
            }
            Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::BitAnd
            | Binary::BitOr
            | Binary::BitXor => {
                self.demand(left, on.kind, &[Kind::Integer]);
                self.demand(right, with.kind, &[Kind::Integer]);
                Kind::Integer
            }
            Binary::Intersection | Binary::Union => {
                self.demand(left, on.kind, &[Kind::Set]);
                self.demand(right, with.kind, &[Kind::Set]);
                Kind::Set
            }
            Binary::Get => return self.get((left, on), (right, with)),
            Binary::TryOr => match on.kind == with.kind {
                true => on.kind,
                false => Kind::Unknown,
            },
        };
        Shape::plain(kind)
    }

    /// Demands that two operands have one of these types, and the same one.
    fn demand_both(&mut self, left: (&Expr, Shape), right: (&Expr, Shape), wanted: &[Kind]) {
        let (on, with) = (left.1.kind, right.1.kind);
        self.demand(left.0, on, wanted);
        match on {
            Kind::Unknown => self.demand(right.0, with, wanted),
            _ if on.is(wanted) => self.demand(right.0, with, &[on]),
            // One problem is enough.
            _ => {}
        }
    }

    /// A resource compared with a text instead of its segments: says what to write.
    fn path_as_text(&mut self, left: (&Expr, Shape), right: (&Expr, Shape)) -> bool {
        for ((_, path), (text, _)) in [(left, right), (right, left)] {
            if path.domain == Some(Domain::Path)
                && let Some(Constant::Text(written)) = constant(text)
            {
                let help = format!("write {}", as_segments(written));
                let message = "a resource is a list of segments, not a text";
                self.wrong(text, message.to_owned(), Some(help));
                return true;
            }
        }
        false
    }

    fn equality(&mut self, left: (&'a Expr, Shape), right: (&'a Expr, Shape)) {
        if !left.1.kind.meets(right.1.kind) {
            if !self.path_as_text(left, right) {
                let (on, with) = (words(left.1.kind), words(right.1.kind));
                self.wrong(
                    right.0,
                    format!("this is {with}, never equal to {on}"),
                    None,
                );
            }
            return;
        }
        for ((_, shape), (other, _)) in [(left, right), (right, left)] {
            let Some(domain) = shape.domain else {
                continue;
            };
            for term in self.values(other) {
                if let Some(constant) = term.constant() {
                    report(self.problems, domain.check(constant, term));
                }
            }
        }
    }

    /// The values that an operand takes, as far as the policy writes them out.
    fn values(&self, operand: &'a Expr) -> Vec<&'a Term> {
        match &operand.kind {
            ExprKind::Value(term) => match term.variable() {
                Some(name) => self.written.get(name).cloned().unwrap_or_default(),
                None => vec![term],
            },
            ExprKind::Unary(Unary::Parens, inside) => self.values(inside),
            _ => Vec::new(),
        }
    }

    /// What a value begins with, ends with or contains must be such that it can.
    fn part(&mut self, on: Shape, part: &'a Expr) {
        let Some(domain) = on.domain else {
            return;
        };
        for term in self.values(part) {
            if let Some(constant) = term.constant() {
                report(self.problems, domain.check_part(constant, term));
            }
        }
    }

    fn contains(&mut self, left: (&'a Expr, Shape), right: (&'a Expr, Shape)) {
        let ((on, shape), (member, with)) = (left, right);
        let before = self.problems.len();
        match shape.kind {
            Kind::Text => self.demand(member, with.kind, &[Kind::Text]),
            Kind::Set => {
                let scalars = [
                    Kind::Integer,
                    Kind::Text,
                    Kind::Date,
                    Kind::Bytes,
                    Kind::Bool,
                ];
                let allowed = [&scalars[..], &[Kind::Set]].concat();
                self.demand(member, with.kind, &allowed);
            }
            Kind::Array | Kind::Map | Kind::Unknown => {}
            other => {
                let message = format!("this is {}, which contains nothing", words(other));
                self.wrong(on, message, None);
            }
        }
        // One problem is enough.
        if self.problems.len() == before {
            self.listed(on, (member, with));
            self.part(shape, member);
        }
    }

    /// A list written out must hold values that the member can have.
    fn listed(&mut self, list: &Expr, (member, with): (&Expr, Shape)) {
        let items: Vec<&Constant> = match constant(list) {
            Some(Constant::Array(items)) => items.iter().collect(),
            Some(Constant::Set(items)) if with.kind != Kind::Set => items.iter().collect(),
            _ => return,
        };
        let ExprKind::Value(term) = &list.kind else {
            return;
        };
        let meets = items.iter().any(|item| with.kind.meets(Kind::of(item)));
        if !items.is_empty() && !meets {
            let message = format!("this is {}, and the list holds none", words(with.kind));
            self.wrong(member, message, None);
            return;
        }
        let Some(domain) = with.domain else {
            return;
        };
        for (index, item) in items.into_iter().enumerate() {
            if with.kind.meets(Kind::of(item)) {
                let place = Term {
                    span: term.items.get(index).unwrap_or(&term.span).clone(),
                    kind: TermKind::Constant(item.clone()),
                    items: Vec::new(),
                };
                self.problems.extend(domain.check(item, &place).err());
            }
        }
    }

    fn get(&mut self, left: (&Expr, Shape), right: (&Expr, Shape)) -> Shape {
        let ((on, shape), (key, with)) = (left, right);
        self.demand(on, shape.kind, &[Kind::Array, Kind::Map]);
        let keys: &[Kind] = match shape.kind {
            Kind::Array => &[Kind::Integer],
            _ => &[Kind::Integer, Kind::Text],
        };
        self.demand(key, with.kind, keys);
        match (shape.domain, constant(key)) {
            (Some(Domain::Url), Some(Constant::Text(part))) => match part.as_str() {
                "port" => Shape::of(Domain::UpTo(i64::from(u16::MAX))),
                "scheme" => Shape::of(Domain::Scheme),
                "host" => Shape::of(Domain::Host),
                "path" => Shape::plain(Kind::Text),
                other => {
                    let message = format!("a URL has no part `{}`", visible(other));
                    let help = did_you_mean(other, URL_PARTS);
                    let problem = Problem::new("impossible_value", key.span.clone(), message);
                    self.problems.push(problem.with_help_if(help));
                    Shape::UNKNOWN
                }
            },
            (Some(Domain::Path), _) => Shape::of(Domain::Segment),
            _ => Shape::UNKNOWN,
        }
    }
}

/// A value that is written out, brackets around it or not.
pub(super) fn constant(expr: &Expr) -> Option<&Constant> {
    match &expr.kind {
        ExprKind::Value(term) => term.constant(),
        ExprKind::Unary(Unary::Parens, inside) => constant(inside),
        _ => None,
    }
}

/// What a closure's parameter is.
fn item_shape(over: &Expr, shape: Shape) -> Shape {
    let same = |items: Vec<&Constant>| {
        let mut kinds = items.into_iter().map(Kind::of);
        let first = kinds.next().unwrap_or(Kind::Unknown);
        match kinds.all(|kind| kind == first) {
            true => first,
            false => Kind::Unknown,
        }
    };
    Shape::plain(match (constant(over), shape.domain) {
        (Some(Constant::Array(items)), _) => same(items.iter().collect()),
        (Some(Constant::Set(items)), _) => same(items.iter().collect()),
        (_, Some(Domain::Path)) => {
            return Shape {
                kind: Kind::Text,
                domain: Some(Domain::Segment),
            };
        }
        _ if shape.kind == Kind::Map => Kind::Array,
        _ => Kind::Unknown,
    })
}

/// The name of a type, with its article.
pub(super) fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "an integer",
        Kind::Text => "a text",
        Kind::Date => "a date",
        Kind::Bytes => "bytes",
        Kind::Bool => "a boolean",
        Kind::Null => "null",
        Kind::Set => "a set",
        Kind::Array => "a list",
        Kind::Map => "a map",
        Kind::Unknown => "anything",
    }
}
