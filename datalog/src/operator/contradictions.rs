//! Conditions that can't hold: on their own, or together in one rule body.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    constant::Constant,
    definitions::{bodies, head},
    expression::MAX_VARIABLES,
    problem::Problem,
    program::compile_constant,
    steps::{Failure, Steps},
    syntax::{Binary, Expr, ExprKind, Predicate, Query, Span, Statement, Term, Unary},
    types::constant,
    value::Value,
    vocabulary::{Domain, Known},
};
use crate::name::Access;

pub(super) fn check(statements: &[Statement], problems: &mut Vec<Problem>) {
    let defined = Defined::by(statements);
    for query in statements.iter().flat_map(bodies) {
        let dead = query
            .expressions
            .iter()
            .filter(|expression| matches!(always(expression), Some(false)));
        let before = problems.len();
        problems.extend(dead.map(|expression| {
            let message = "this condition never holds";
            Problem::new("contradiction", expression.span.clone(), message)
        }));
        let missing = query.predicates.iter();
        let missing = missing.filter(|predicate| !defined.may_hold(predicate));
        problems.extend(missing.map(|predicate| {
            let message = format!("the policy defines no such `{}`", predicate.name);
            Problem::new("contradiction", predicate.span.clone(), message)
        }));
        if problems.len() == before {
            problems.extend(together(query));
        }
    }
}

/// Steps that loading takes to find out what one condition without variables answers.
const MAX_CONSTANT_STEPS: u64 = 2_000;

/// What a condition without variables always answers; an error counts as "never". `None` for
/// conditions with variables, and for those that take too long.
pub(super) fn always(expression: &Expr) -> Option<bool> {
    let code = compile_constant(expression)?;
    let mut slots = [const { None }; MAX_VARIABLES];
    match code.evaluate(&mut slots, &mut Steps::of(MAX_CONSTANT_STEPS)) {
        Ok(Value::Bool(answer)) => Some(answer),
        Ok(_) | Err(Failure::Error(_)) => Some(false),
        Err(Failure::Budget) => None,
    }
}

/// What the facts of a policy can be.
#[derive(Default)]
struct Defined<'a> {
    heads: BTreeMap<&'a str, Vec<(&'a Predicate, Option<&'a Query>)>>,
    /// What stands in each place of a fact: the values, and whether a rule may derive others.
    places: BTreeMap<(&'a str, usize), (BTreeSet<&'a Constant>, bool)>,
}

impl<'a> Defined<'a> {
    fn by(statements: &'a [Statement]) -> Self {
        let mut defined = Self::default();
        for statement in statements {
            let Some(head) = head(statement) else {
                continue;
            };
            let body = bodies(statement).first();
            let heads = defined.heads.entry(&head.name).or_default();
            heads.push((head, body));
            for (index, term) in head.terms.iter().enumerate() {
                let place = defined.places.entry((&head.name, index)).or_default();
                match term.constant() {
                    Some(value) => {
                        place.0.insert(value);
                    }
                    None => place.1 = true,
                }
            }
        }
        defined
    }

    /// True for a fact of the token or the request, and where a definition fits.
    fn may_hold(&self, predicate: &Predicate) -> bool {
        let fits = |(head, body): &(&Predicate, Option<&Query>)| {
            let mut pairs = predicate.terms.iter().zip(&head.terms);
            pairs.all(
                |(wanted, given)| match (wanted.constant(), given.constant()) {
                    (Some(wanted), Some(given)) => wanted == given,
                    (Some(value), None) => {
                        body.is_none_or(|body| self.may_take(body, given, value))
                    }
                    _ => true,
                },
            )
        };
        let own = self.heads.get(predicate.name.as_str());
        Known::of(&predicate.name).is_some() || own.is_some_and(|heads| heads.iter().any(fits))
    }

    /// True when every fact of a body that a variable stands in can have a value there.
    fn may_take(&self, body: &Query, variable: &Term, value: &Constant) -> bool {
        body.predicates.iter().all(|predicate| {
            let mut terms = predicate.terms.iter().enumerate();
            terms.all(|(index, term)| {
                if term.variable() != variable.variable() {
                    return true;
                }
                let Some(known) = Known::of(&predicate.name) else {
                    let place = self.places.get(&(predicate.name.as_str(), index));
                    return place
                        .is_some_and(|(values, derived)| *derived || values.contains(value));
                };
                let domain = known.columns().get(index);
                domain.is_none_or(|domain| domain.check(value, term).is_ok())
            })
        })
    }
}

/// The first thing in a body that contradicts what stands before it.
fn together(query: &Query) -> Option<Problem> {
    let mut subjects = Subjects::default();
    for predicate in &query.predicates {
        if let Some(span) = subjects.add_fact(predicate) {
            let message = format!(
                "there is one `{}`, and it can't have two values",
                predicate.name
            );
            return Some(Problem::new("contradiction", span, message));
        }
    }
    let conflicting = |expression: &&Expr| !subjects.add_condition(expression, true);
    let expression = query.expressions.iter().find(conflicting)?;
    let message = "this can't hold together with what stands before it";
    Some(Problem::new(
        "contradiction",
        expression.span.clone(),
        message,
    ))
}

/// What a rule body demands of each of its values. A variable that takes the value of a fact
/// which exists once stands for that fact.
#[derive(Default)]
struct Subjects<'a> {
    demands: Vec<Demands>,
    facts: BTreeMap<&'static str, usize>,
    variables: BTreeMap<&'a str, usize>,
}

impl<'a> Subjects<'a> {
    /// Answers the place of a value that contradicts another.
    fn add_fact(&mut self, predicate: &'a Predicate) -> Option<Span> {
        let known = Known::of(&predicate.name);
        for (column, term) in predicate.terms.iter().enumerate() {
            let domain = known.and_then(|known| known.columns().get(column).copied());
            match known.filter(|known| known.is_unique()) {
                Some(known) => {
                    let subject = self.of_fact(known, domain);
                    if !self.meet(subject, term) {
                        return Some(term.span.clone());
                    }
                }
                None => {
                    if let Some(name) = term.variable()
                        && !self.variables.contains_key(name)
                    {
                        let subject = self.new_subject(domain);
                        self.variables.insert(name, subject);
                    }
                }
            }
        }
        None
    }

    fn new_subject(&mut self, domain: Option<Domain>) -> usize {
        self.demands.push(Demands::of(domain));
        self.demands.len().saturating_sub(1)
    }

    fn of_fact(&mut self, known: Known, domain: Option<Domain>) -> usize {
        if let Some(subject) = self.facts.get(known.name()) {
            return *subject;
        }
        let subject = self.new_subject(domain);
        self.facts.insert(known.name(), subject);
        subject
    }

    /// A value of a fact that exists once: a constant, or a variable that stands for it.
    fn meet(&mut self, subject: usize, term: &'a Term) -> bool {
        match (term.variable(), term.constant()) {
            (Some(name), _) => {
                self.variables.entry(name).or_insert(subject);
                true
            }
            (None, Some(value)) => self.demand(subject, &Demand::Is(value.clone())),
            (None, None) => true,
        }
    }

    /// False when the condition contradicts what was demanded before. `positive` is false inside a
    /// negation. What is not understood demands nothing.
    fn add_condition(&mut self, expr: &Expr, positive: bool) -> bool {
        match &expr.kind {
            ExprKind::Unary(Unary::Parens, inside) => self.add_condition(inside, positive),
            ExprKind::Unary(Unary::Negate, inside) => self.add_condition(inside, !positive),
            ExprKind::Binary(Binary::And, left, right) if positive => {
                self.add_condition(left, true) && self.add_condition(right, true)
            }
            ExprKind::Binary(Binary::Or, left, right) if !positive => {
                self.add_condition(left, false) && self.add_condition(right, false)
            }
            ExprKind::Binary(operator, left, right) => {
                let demand = match (
                    variable(left),
                    constant(right),
                    constant(left),
                    variable(right),
                ) {
                    (Some(name), Some(value), ..) => {
                        Some((name, demand(*operator, value, positive)))
                    }
                    (_, _, Some(value), Some(name)) => {
                        Some((name, flipped(*operator, value, positive)))
                    }
                    _ => None,
                };
                match demand {
                    Some((name, Some(demand))) => match self.variables.get(name).copied() {
                        Some(subject) => self.demand(subject, &demand),
                        None => true,
                    },
                    _ => true,
                }
            }
            _ => true,
        }
    }

    fn demand(&mut self, subject: usize, demand: &Demand) -> bool {
        let demands = self.demands.get_mut(subject);
        demands.is_none_or(|demands| demands.add(demand))
    }
}

fn variable(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Value(term) => term.variable(),
        ExprKind::Unary(Unary::Parens, inside) => variable(inside),
        _ => None,
    }
}

/// True when a condition holds whatever values its body's facts have: its opposite contradicts
/// them.
pub(super) fn tautology(query: &Query, condition: &Expr) -> bool {
    let mut subjects = Subjects::default();
    let mut predicates = query.predicates.iter();
    predicates.all(|predicate| subjects.add_fact(predicate).is_none())
        && !subjects.add_condition(condition, false)
}

/// Something that a condition demands of one value.
#[derive(Clone, Debug)]
enum Demand {
    Is(Constant),
    IsNot(Constant),
    OneOf(Vec<Constant>),
    NoneOf(Vec<Constant>),
    AtLeast(Scale, i128),
    AtMost(Scale, i128),
}

/// Which of the two ordered types a bound is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Integer,
    Date,
}

fn on_scale(constant: &Constant) -> Option<(Scale, i128)> {
    match constant {
        Constant::Integer(integer) => Some((Scale::Integer, i128::from(*integer))),
        Constant::Date(seconds) => Some((Scale::Date, i128::from(*seconds))),
        _ => None,
    }
}

/// What `variable operator value`, or its negation, demands of the variable.
fn demand(operator: Binary, value: &Constant, positive: bool) -> Option<Demand> {
    let bound = |at_least: bool, by: i128| {
        let (scale, value) = on_scale(value)?;
        let value = value.saturating_add(by);
        Some(match at_least {
            true => Demand::AtLeast(scale, value),
            false => Demand::AtMost(scale, value),
        })
    };
    match (operator, positive) {
        (Binary::Equal | Binary::StrictEqual, true)
        | (Binary::NotEqual | Binary::StrictNotEqual, false) => Some(Demand::Is(value.clone())),
        (Binary::NotEqual | Binary::StrictNotEqual, true)
        | (Binary::Equal | Binary::StrictEqual, false) => Some(Demand::IsNot(value.clone())),
        (Binary::Less, true) | (Binary::GreaterOrEqual, false) => bound(false, -1),
        (Binary::LessOrEqual, true) | (Binary::Greater, false) => bound(false, 0),
        (Binary::Greater, true) | (Binary::LessOrEqual, false) => bound(true, 1),
        (Binary::GreaterOrEqual, true) | (Binary::Less, false) => bound(true, 0),
        _ => None,
    }
}

/// What `value operator variable`, or its negation, demands of the variable.
fn flipped(operator: Binary, value: &Constant, positive: bool) -> Option<Demand> {
    let operator = match operator {
        Binary::Less => Binary::Greater,
        Binary::Greater => Binary::Less,
        Binary::LessOrEqual => Binary::GreaterOrEqual,
        Binary::GreaterOrEqual => Binary::LessOrEqual,
        Binary::Contains => {
            let items: Vec<Constant> = match value {
                Constant::Array(items) => items.clone(),
                Constant::Set(items) => items.iter().cloned().collect(),
                _ => return None,
            };
            return Some(match positive {
                true => Demand::OneOf(items),
                false => Demand::NoneOf(items),
            });
        }
        other => other,
    };
    demand(operator, value, positive)
}

/// All that was demanded of one value so far. INVARIANT: some value may meet it.
#[derive(Clone, Debug, Default)]
struct Demands {
    /// The only values it may have, if there are such.
    only: Option<Vec<Constant>>,
    never: Vec<Constant>,
    scale: Option<Scale>,
    least: Option<i128>,
    most: Option<i128>,
}

impl Demands {
    fn of(domain: Option<Domain>) -> Self {
        let words = |words: &[&str]| {
            let words = words.iter().map(|word| Constant::Text((*word).to_owned()));
            Some(words.collect())
        };
        match domain {
            Some(Domain::UpTo(most)) => Self {
                scale: Some(Scale::Integer),
                least: Some(0),
                most: Some(i128::from(most)),
                ..Self::default()
            },
            Some(Domain::Access) => Self {
                only: words(&Access::ALL.map(Access::as_str)),
                ..Self::default()
            },
            Some(Domain::Weekday) => Self {
                only: words(&super::clock::WEEKDAYS),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    /// Adds a demand; false when no value meets them all.
    fn add(&mut self, demand: &Demand) -> bool {
        match demand {
            Demand::Is(value) => self.restrict(std::slice::from_ref(value)),
            Demand::OneOf(values) => self.restrict(values),
            Demand::IsNot(value) => self.never.push(value.clone()),
            Demand::NoneOf(values) => self.never.extend(values.iter().cloned()),
            Demand::AtLeast(scale, bound) if self.takes(*scale) => {
                self.least = Some(self.least.map_or(*bound, |least| least.max(*bound)));
            }
            Demand::AtMost(scale, bound) if self.takes(*scale) => {
                self.most = Some(self.most.map_or(*bound, |most| most.min(*bound)));
            }
            Demand::AtLeast(..) | Demand::AtMost(..) => {}
        }
        self.can_be_met()
    }

    fn restrict(&mut self, values: &[Constant]) {
        self.only = Some(match self.only.take() {
            None => values.to_vec(),
            Some(only) => {
                let both = only.into_iter().filter(|value| values.contains(value));
                both.collect()
            }
        });
    }

    fn takes(&mut self, scale: Scale) -> bool {
        *self.scale.get_or_insert(scale) == scale
    }

    fn can_be_met(&self) -> bool {
        if let Some(only) = &self.only {
            return only.iter().any(|value| self.meets(value));
        }
        let (Some(least), Some(most)) = (self.least, self.most) else {
            return true;
        };
        // A few excluded values may close a narrow gap; a wide one they can't.
        let width = most.saturating_sub(least).saturating_add(1);
        let excluded = self.never.iter().filter_map(on_scale);
        let mut excluded: Vec<i128> = excluded
            .filter(|(scale, value)| Some(*scale) == self.scale && (least..=most).contains(value))
            .map(|(_, value)| value)
            .collect();
        excluded.sort_unstable();
        excluded.dedup();
        let excluded = i128::try_from(excluded.len()).unwrap_or(i128::MAX);
        width > excluded
    }

    fn meets(&self, value: &Constant) -> bool {
        let within = match on_scale(value) {
            Some((scale, value)) if Some(scale) == self.scale => {
                self.least.is_none_or(|least| value >= least)
                    && self.most.is_none_or(|most| value <= most)
            }
            _ => true,
        };
        within && !self.never.contains(value)
    }
}
