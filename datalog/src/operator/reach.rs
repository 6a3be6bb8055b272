//! What in a policy can never matter: rules that another one always decides before, checks that
//! repeat another one, facts that nobody reads.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    constant::Constant,
    contradictions::always,
    definitions::{bodies, head},
    problem::Problem,
    syntax::{
        Binary, Expr, ExprKind, Predicate, Query, RuleKind, Statement, StatementKind, Term,
        TermKind, Unary,
    },
    vocabulary::Known,
};

pub(super) fn check(statements: &[Statement], problems: &mut Vec<Problem>) {
    check_policies(statements, problems);
    check_checks(statements, problems);
    check_facts(statements, problems);
}

/// What a rule body demands, without regard to how it is written: it matches when all of these
/// hold. INVARIANT of use: a body whose demands include all of another's matches only where the
/// other one does.
type Demands = BTreeSet<String>;

/// `allow if` and `deny if`: a body that demands all that an earlier one does, and perhaps more,
/// never decides.
fn check_policies(statements: &[Statement], problems: &mut Vec<Problem>) {
    let mut earlier: Vec<(RuleKind, Demands)> = Vec::new();
    for statement in statements {
        let StatementKind::Rule { kind, queries } = &statement.kind else {
            continue;
        };
        if !kind.is_policy() {
            continue;
        }
        for query in queries {
            let demands = demands(query);
            let before = earlier
                .iter()
                .find(|(_, before)| before.is_subset(&demands));
            let place = match queries.len() {
                1 => statement.span.clone(),
                _ => query.span.clone(),
            };
            match before {
                Some((other, same)) if other != kind && *same == demands => {
                    let message = "`allow` and `deny` of the same; the first one decides";
                    problems.push(Problem::new("conflicting_rules", place, message));
                }
                Some((other, _)) => {
                    let message = format!("an earlier `{}` always decides before", other.words());
                    problems.push(Problem::new("unreachable_rule", place, message));
                }
                None => earlier.push((*kind, demands)),
            }
        }
    }
}

/// Checks that say the same twice.
fn check_checks(statements: &[Statement], problems: &mut Vec<Problem>) {
    let mut earlier: Vec<(RuleKind, BTreeSet<Demands>)> = Vec::new();
    for statement in statements {
        let StatementKind::Rule { kind, queries } = &statement.kind else {
            continue;
        };
        if kind.is_policy() {
            continue;
        }
        let check = (*kind, queries.iter().map(demands).collect());
        if earlier.contains(&check) {
            let message = "this repeats an earlier check";
            let span = statement.span.clone();
            problems.push(Problem::new("unreachable_rule", span, message));
        }
        earlier.push(check);
    }
}

/// Facts that no rule body reads.
fn check_facts(statements: &[Statement], problems: &mut Vec<Problem>) {
    let read: BTreeSet<&str> = statements
        .iter()
        .flat_map(bodies)
        .flat_map(|query| &query.predicates)
        .map(|predicate| predicate.name.as_str())
        .collect();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for head in statements.iter().filter_map(head) {
        if !read.contains(head.name.as_str()) && reported.insert(&head.name) {
            let message = format!("no rule reads `{}`", head.name);
            problems.push(Problem::new("unused_fact", head.name_span.clone(), message));
        }
    }
}

fn demands(query: &Query) -> Demands {
    let names = Names::of(query);
    let mut demands = Demands::new();
    for predicate in &query.predicates {
        demands.extend(names.fact(predicate));
    }
    for expression in &query.expressions {
        if always(expression) != Some(true) {
            demands.insert(names.condition(expression));
        }
    }
    demands
}

/// One name for each value of a body: that of the fact which exists once, or a number.
struct Names<'a>(BTreeMap<&'a str, String>);

impl<'a> Names<'a> {
    fn of(query: &'a Query) -> Self {
        let mut names: BTreeMap<&'a str, String> = BTreeMap::new();
        let unique =
            |predicate: &&Predicate| Known::of(&predicate.name).is_some_and(Known::is_unique);
        for predicate in query.predicates.iter().filter(unique) {
            for name in predicate.terms.iter().filter_map(Term::variable) {
                names.entry(name).or_insert_with(|| predicate.name.clone());
            }
        }
        let terms = query
            .predicates
            .iter()
            .flat_map(|predicate| &predicate.terms);
        for name in terms.filter_map(Term::variable) {
            let next = format!("#{}", names.len());
            names.entry(name).or_insert(next);
        }
        Self(names)
    }

    fn name(&self, variable: &str) -> String {
        let own = || format!("${variable}");
        self.0.get(variable).cloned().unwrap_or_else(own)
    }

    /// `None` for a fact that always exists and is given the name of its own variable.
    fn fact(&self, predicate: &Predicate) -> Option<String> {
        if Known::of(&predicate.name).is_some_and(Known::is_unique) {
            let value = predicate.terms.first().map(|term| self.term(term))?;
            return (value != predicate.name).then(|| is(&predicate.name, &value));
        }
        let terms: Vec<String> = predicate.terms.iter().map(|term| self.term(term)).collect();
        Some(format!("{}({})", predicate.name, terms.join(",")))
    }

    fn term(&self, term: &Term) -> String {
        match &term.kind {
            TermKind::Variable(name) => self.name(name),
            TermKind::Constant(constant) => shown(constant),
        }
    }

    /// `$x == value` on a fact that exists once is the same demand as `fact(value)`.
    fn condition(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Unary(Unary::Parens, inside) => self.condition(inside),
            ExprKind::Binary(Binary::Equal | Binary::StrictEqual, left, right) => {
                let (left, right) = (self.expression(left), self.expression(right));
                match left < right {
                    true => is(&left, &right),
                    false => is(&right, &left),
                }
            }
            _ => self.expression(expr),
        }
    }

    fn expression(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Value(term) => self.term(term),
            ExprKind::Unary(Unary::Parens, inside) => self.expression(inside),
            ExprKind::Unary(operator, operand) => {
                format!("{operator:?}({})", self.expression(operand))
            }
            ExprKind::Binary(operator, left, right) => {
                let (left, right) = (self.expression(left), self.expression(right));
                format!("{operator:?}({left},{right})")
            }
            ExprKind::Quantified {
                every,
                over,
                parameter,
                body,
                ..
            } => {
                let (over, body) = (self.expression(over), self.expression(body));
                format!("every:{every}({over},{parameter},{body})")
            }
        }
    }
}

fn is(left: &str, right: &str) -> String {
    match left < right {
        true => format!("{left} is {right}"),
        false => format!("{right} is {left}"),
    }
}

fn shown(constant: &Constant) -> String {
    format!("{constant:?}")
}
