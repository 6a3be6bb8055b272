//! What a policy may not have meant.

use super::{
    constant::Constant,
    contradictions::{always, tautology},
    definitions::{bodies, head},
    problem::Problem,
    regexes,
    syntax::{Binary, Expr, ExprKind, Query, RuleKind, Statement, StatementKind, Term, Unary},
    types::constant,
    vocabulary::Known,
};

pub(super) fn of(statements: &[Statement]) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for statement in statements {
        for query in bodies(statement) {
            always_true(query, &mut warnings);
            unused_variables(statement, query, &mut warnings);
            for expression in &query.expressions {
                expression.for_each(&mut |part| {
                    warnings.extend(open_host(part));
                    warnings.extend(line_break(part));
                });
            }
        }
    }
    denies_after_allows(statements, &mut warnings);
    warnings.sort_by_key(|warning| (warning.span.start, warning.span.end));
    warnings
}

/// The first that matches decides, so a `deny if` does not refuse what an `allow if` before it
/// lets through.
fn denies_after_allows(statements: &[Statement], warnings: &mut Vec<Problem>) {
    let kind = |statement: &&Statement, wanted| matches!(statement.kind, StatementKind::Rule { kind, .. } if kind == wanted);
    let after = statements
        .iter()
        .skip_while(|statement| !kind(statement, RuleKind::AllowIf));
    let denies = after.filter(|statement| kind(statement, RuleKind::DenyIf));
    warnings.extend(denies.map(|deny| {
        let message = "an `allow if` before it may let through what this is to refuse";
        let warning = Problem::new("deny_after_allow", deny.span.clone(), message);
        warning.with_help("the first that matches decides: put every `deny if` before")
    }));
}

/// A condition that always holds, unless it is all that the body says.
fn always_true(query: &Query, warnings: &mut Vec<Problem>) {
    if query.predicates.is_empty() && query.expressions.len() == 1 {
        return;
    }
    let holding = query.expressions.iter();
    let holding = holding
        .filter(|expression| always(expression) == Some(true) || tautology(query, expression));
    warnings.extend(holding.map(|expression| {
        let message = "this condition always holds";
        Problem::new("always_true", expression.span.clone(), message)
    }));
}

/// A fact that exists once, with a variable that nothing else reads: it always matches.
fn unused_variables(statement: &Statement, query: &Query, warnings: &mut Vec<Problem>) {
    let mut uses: Vec<&str> = Vec::new();
    let bodies = query.predicates.iter().chain(head(statement));
    uses.extend(bodies.flat_map(|predicate| predicate.terms.iter().filter_map(Term::variable)));
    for expression in &query.expressions {
        expression.for_each(&mut |part| uses.extend(part.term().and_then(Term::variable)));
    }
    for predicate in &query.predicates {
        if !Known::of(&predicate.name).is_some_and(Known::is_unique) {
            continue;
        }
        for term in &predicate.terms {
            let name = term.variable();
            let Some(name) = name.filter(|name| !name.starts_with('_')) else {
                continue;
            };
            if uses.iter().filter(|used| **used == name).count() == 1 {
                let message = format!(
                    "`{}` is always there, and nothing reads `${name}`",
                    predicate.name
                );
                let warning = Problem::new("unused_variable", term.span.clone(), message);
                warnings.push(warning.with_help(format!("if that is meant, write `$_{name}`")));
            }
        }
    }
}

/// `….get("host").ends_with("example.com")`, which `evil-example.com` ends with too, and
/// `….get("host").starts_with("example.com")`, as `example.com.evil.org` does.
fn open_host(expr: &Expr) -> Option<Problem> {
    let ExprKind::Binary(operator, left, right) = &expr.kind else {
        return None;
    };
    if !is_host(left) {
        return None;
    }
    match (operator, constant(right)) {
        (Binary::EndsWith, Some(Constant::Text(suffix))) if !suffix.starts_with('.') => {
            let message = "other hosts end with this too";
            let warning = Problem::new("open_host_suffix", right.span.clone(), message);
            let suffix = crate::words::visible(suffix);
            Some(warning.with_help(format!("write \".{suffix}\"")))
        }
        (Binary::StartsWith | Binary::Contains, _) => {
            let message = "a host is told by its end; others begin with this or hold it too";
            let warning = Problem::new("open_host_part", right.span.clone(), message);
            Some(warning.with_help("compare it with `==` or `.ends_with(\".…\")`"))
        }
        _ => None,
    }
}

/// `.matches("^.*secret.*$")`, which a text with a line break never does.
fn line_break(expr: &Expr) -> Option<Problem> {
    let ExprKind::Binary(Binary::Matches, _, pattern) = &expr.kind else {
        return None;
    };
    let Some(Constant::Text(text)) = constant(pattern) else {
        return None;
    };
    if !regexes::stops_at_line_breaks(text) {
        return None;
    }
    let message = "`.` matches no line break, so a text with one does not match";
    let warning = Problem::new("line_break", pattern.span.clone(), message);
    Some(warning.with_help("begin with `(?s)` where line breaks may be"))
}

fn is_host(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Unary(Unary::Parens, inside) => is_host(inside),
        ExprKind::Binary(Binary::Get, _, key) => {
            constant(key) == Some(&Constant::Text("host".to_owned()))
        }
        _ => false,
    }
}
