//! Variables in rule bodies: each has its value from a fact, and a closure's parameter hides none.

use super::{
    definitions::bodies,
    expression::MAX_VARIABLES,
    problem::{Problem, did_you_mean},
    regexes,
    syntax::{Binary, Expr, ExprKind, Predicate, Query, Statement, StatementKind, Term},
};
use crate::words::visible;

/// Most regular expressions in a policy: each takes a while to compile.
const MAX_REGEXES: usize = 64;

pub(super) fn check(statements: &[Statement], problems: &mut Vec<Problem>) {
    let queries = statements.iter().flat_map(bodies);
    let mut regexes = Vec::new();
    for expression in queries.flat_map(|query| &query.expressions) {
        expression.for_each(&mut |part| regexes.extend(pattern(part)));
    }
    if let Some(first) = regexes.get(MAX_REGEXES) {
        let message = format!("more than {MAX_REGEXES} regular expressions");
        problems.push(Problem::new("too_many_rules", first.span.clone(), message));
        return;
    }
    problems.extend(
        regexes
            .iter()
            .filter_map(|pattern| regexes::compile(pattern).err()),
    );
    for statement in statements {
        for query in bodies(statement) {
            match too_many(query) {
                Some(problem) => problems.push(problem),
                None => check_expressions(query, problems),
            }
        }
        if let StatementKind::Derivation { head, body } = &statement.kind
            && too_many(body).is_none()
        {
            let bound = bound(body);
            let unbound = head.terms.iter().filter(|term| match term.variable() {
                Some(name) => !bound.contains(&name),
                None => false,
            });
            problems.extend(unbound.map(|term| self::unbound(term, &bound)));
        }
    }
}

/// Most conditions in one rule body.
const MAX_CONDITIONS: usize = 64;

/// Bounds on what one body may hold, before anything takes longer for it.
fn too_many(query: &Query) -> Option<Problem> {
    if let Some(first) = query.expressions.get(MAX_CONDITIONS) {
        let message = format!("more than {MAX_CONDITIONS} conditions in one rule body");
        return Some(Problem::new("too_many_rules", first.span.clone(), message));
    }
    let mut names: Vec<&str> = Vec::new();
    for term in query
        .predicates
        .iter()
        .flat_map(|predicate| &predicate.terms)
    {
        let Some(name) = term.variable().filter(|name| !names.contains(name)) else {
            continue;
        };
        if names.len() >= MAX_VARIABLES {
            let message = format!("more than {MAX_VARIABLES} variables in one rule body");
            let span = term.span.clone();
            return Some(Problem::new("too_many_variables", span, message));
        }
        names.push(name);
    }
    None
}

fn check_expressions(query: &Query, problems: &mut Vec<Problem>) {
    let mut scope = bound(query);
    for expression in &query.expressions {
        check_expression(expression, &mut scope, problems);
    }
}

/// The variables that the facts of a body give values to.
fn bound(query: &Query) -> Vec<&str> {
    let terms = query.predicates.iter().flat_map(variables_of);
    terms.collect()
}

fn variables_of(predicate: &Predicate) -> impl Iterator<Item = &str> {
    predicate.terms.iter().filter_map(Term::variable)
}

fn check_expression<'a>(expr: &'a Expr, scope: &mut Vec<&'a str>, problems: &mut Vec<Problem>) {
    match &expr.kind {
        ExprKind::Value(term) => {
            if term.variable().is_some_and(|name| !scope.contains(&name)) {
                problems.push(unbound(term, scope));
            }
        }
        ExprKind::Unary(_, operand) => check_expression(operand, scope, problems),
        ExprKind::Binary(operator, left, right) => {
            check_expression(left, scope, problems);
            match operator {
                // The pattern is written out, or refused for that.
                Binary::Matches => {}
                _ => check_expression(right, scope, problems),
            }
        }
        ExprKind::Quantified {
            over,
            parameter,
            parameter_span,
            body,
            ..
        } => {
            check_expression(over, scope, problems);
            if scope.contains(&parameter.as_str()) {
                let message = format!("`${parameter}` already is a variable here");
                let span = parameter_span.clone();
                let problem = Problem::new("shadowed_variable", span, message);
                problems.push(problem.with_help("give the parameter a name of its own"));
            }
            scope.push(parameter);
            check_expression(body, scope, problems);
            scope.pop();
        }
    }
}

/// The pattern of a `.matches(…)`.
fn pattern(expr: &Expr) -> Option<&Expr> {
    match &expr.kind {
        ExprKind::Binary(Binary::Matches, _, pattern) => Some(pattern),
        _ => None,
    }
}

/// A variable without a value. `scope` holds no more than [`MAX_VARIABLES`] names and parameters.
fn unbound(term: &Term, scope: &[&str]) -> Problem {
    let name = term.variable().unwrap_or_default();
    let message = format!("no fact gives `${}` a value", visible(name));
    let help = did_you_mean(name, scope.iter().copied());
    let help = help.map(|help| help.replacen('`', "`$", 1));
    Problem::new("unbound_variable", term.span.clone(), message).with_help_if(help)
}
