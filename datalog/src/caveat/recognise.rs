//! Decoded check → caveat: the closed list of profile rules 3 and 17.
//!
//! What is not recognised here is refused before any Datalog runs. Patterns are matched on the
//! wire form, so it does not matter which library wrote the check or how it names variables.

use biscuit_auth::format::schema::{op_binary::Kind as Binary, op_unary::Kind as Unary};

use super::{ArgumentConstraint, ArgumentRule, Caveat, HostRule, Scalar, UrlRule};
use crate::{
    exact_call::CallDigest,
    timestamp::Timestamp,
    wire::{OpView as Op, PredicateView, QueryView, TermView as Term},
};

/// The caveat that a query means, or `None` when it has no shape of the list.
pub(crate) fn query(query: &QueryView<'_>) -> Option<Caveat> {
    let [PredicateView { name, terms }] = query.body.as_slice() else {
        return None;
    };
    let expressions = query.expressions.as_slice();
    match (*name, terms.as_slice()) {
        ("time", [Term::Variable(v)]) => expiry(*v, expressions),
        ("tool", terms) => words(terms, expressions, SetLiteral::Allowed).map(Caveat::Tools),
        ("access", terms) => words(terms, expressions, SetLiteral::Refused).map(Caveat::Access),
        ("resource", [Term::Variable(v)]) => {
            prefixes(*v, one(expressions)?).map(Caveat::ResourceUnder)
        }
        ("depth", [Term::Variable(v)]) => match one(expressions)? {
            [
                Op::Value(Term::Variable(x)),
                Op::Value(Term::Integer(n)),
                Op::Binary(Binary::LessOrEqual),
            ] if x == v => Some(Caveat::Depth(*n)),
            _ => None,
        },
        ("request_audience", [Term::Str(audience)]) if expressions.is_empty() => {
            Some(Caveat::Audience((*audience).to_owned()))
        }
        ("args", [Term::Variable(v)]) => arguments(*v, expressions),
        ("path_arg", [Term::Str(name), Term::Variable(v)]) => path(name, *v, one(expressions)?),
        ("url_arg", [Term::Str(name), Term::Variable(v)]) => url(name, *v, expressions),
        _ => None,
    }
}

/// The tool that a query excludes: `tool($t), !["TOOL"].contains($t)` (profile rule 3).
pub(crate) fn excluded_tool<'a>(query: &QueryView<'a>) -> Option<&'a str> {
    let [
        PredicateView {
            name: "tool",
            terms,
        },
    ] = query.body.as_slice()
    else {
        return None;
    };
    let [Term::Variable(v)] = terms.as_slice() else {
        return None;
    };
    match one(&query.expressions)? {
        [
            Op::Value(Term::Array(list)),
            Op::Value(Term::Variable(x)),
            Op::Binary(Binary::Contains),
            Op::Unary(Unary::Negate),
        ] if x == v => match list.as_slice() {
            [Term::Str(tool)] => Some(tool),
            _ => None,
        },
        _ => None,
    }
}

/// What the issuer may limit one tool by: its arguments, or the calls themselves (profile rule 3).
pub(crate) fn tool_limit(limit: &QueryView<'_>) -> Option<Caveat> {
    let caveat = exact_calls(limit).or_else(|| query(limit));
    caveat.filter(Caveat::is_tool_limit)
}

/// `call_digest($d), [hex:…, hex:…].contains($d)`, of digests alone and at least one. Apart from
/// [`query`], which is asked about later blocks too: those hold no such check.
fn exact_calls(query: &QueryView<'_>) -> Option<Caveat> {
    let [
        PredicateView {
            name: "call_digest",
            terms,
        },
    ] = query.body.as_slice()
    else {
        return None;
    };
    let [Term::Variable(v)] = terms.as_slice() else {
        return None;
    };
    match one(&query.expressions)? {
        [
            Op::Value(Term::Array(list)),
            Op::Value(Term::Variable(x)),
            Op::Binary(Binary::Contains),
        ] if x == v && !list.is_empty() => {
            let calls: Option<Vec<CallDigest>> = list.iter().map(call_digest).collect();
            calls.map(Caveat::ExactCalls)
        }
        _ => None,
    }
}

fn call_digest(term: &Term<'_>) -> Option<CallDigest> {
    match term {
        Term::Bytes(bytes) => <[u8; 32]>::try_from(*bytes)
            .ok()
            .map(CallDigest::from_bytes),
        _ => None,
    }
}

fn expiry(v: u32, expressions: &[Vec<Op<'_>>]) -> Option<Caveat> {
    match one(expressions)? {
        [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Date(date)),
            Op::Binary(operator),
        ] if *x == v && matches!(operator, Binary::LessOrEqual | Binary::LessThan) => {
            Some(Caveat::Expiry {
                at: Timestamp::from_unix(*date),
                inclusive: *operator == Binary::LessOrEqual,
            })
        }
        _ => None,
    }
}

#[derive(PartialEq)]
enum SetLiteral {
    Allowed,
    Refused,
}

/// `name("x")` or `name($v), [..].contains($v)`.
fn words(terms: &[Term<'_>], expressions: &[Vec<Op<'_>>], set: SetLiteral) -> Option<Vec<String>> {
    match terms {
        [Term::Str(word)] if expressions.is_empty() => Some(vec![(*word).to_owned()]),
        [Term::Variable(v)] => match one(expressions)? {
            [
                Op::Value(list),
                Op::Value(Term::Variable(x)),
                Op::Binary(Binary::Contains),
            ] if x == v => match list {
                Term::Array(items) => strings(items),
                Term::Set(items) if set == SetLiteral::Allowed => strings(items),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// `$v.starts_with([..])` and left-associative `||` chains of it.
fn prefixes(v: u32, ops: &[Op<'_>]) -> Option<Vec<Vec<String>>> {
    let (first, mut rest) = ops.split_at_checked(3)?;
    let mut paths = vec![prefix(v, first)?];
    while let Some((link, more)) = rest.split_at_checked(2) {
        let [Op::Closure(params, ops), Op::Binary(Binary::LazyOr)] = link else {
            return None;
        };
        if !params.is_empty() {
            return None;
        }
        paths.push(prefix(v, ops)?);
        rest = more;
    }
    rest.is_empty().then_some(paths)
}

fn prefix(v: u32, ops: &[Op<'_>]) -> Option<Vec<String>> {
    match ops {
        [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Array(path)),
            Op::Binary(Binary::Prefix),
        ] if *x == v => strings(path),
        _ => None,
    }
}

fn path(name: &str, v: u32, ops: &[Op<'_>]) -> Option<Caveat> {
    Some(Caveat::Argument(ArgumentConstraint {
        name: name.to_owned(),
        rule: ArgumentRule::PathUnder(prefix(v, ops)?),
        optional: false,
    }))
}

fn url(name: &str, v: u32, expressions: &[Vec<Op<'_>>]) -> Option<Caveat> {
    let mut rule = UrlRule::default();
    for ops in expressions {
        let [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Str(key)),
            Op::Binary(Binary::Get),
            Op::Value(wanted),
            Op::Binary(operator),
        ] = ops.as_slice()
        else {
            return None;
        };
        if *x != v {
            return None;
        }
        match (*key, wanted, operator) {
            ("scheme", Term::Str(text), Binary::HeterogeneousEqual) => {
                fill(&mut rule.scheme, (*text).to_owned())?;
            }
            ("host", Term::Str(text), Binary::HeterogeneousEqual) => {
                fill(&mut rule.host, HostRule::Exact((*text).to_owned()))?;
            }
            ("host", Term::Str(text), Binary::Suffix) if text.starts_with('.') => {
                fill(&mut rule.host, HostRule::Under((*text).to_owned()))?;
            }
            ("port", Term::Integer(port), Binary::HeterogeneousEqual) => {
                fill(&mut rule.port, *port)?;
            }
            ("path", Term::Str(text), Binary::Prefix) => {
                fill(&mut rule.path_prefix, (*text).to_owned())?;
            }
            _ => return None,
        }
    }
    (rule != UrlRule::default()).then(|| {
        Caveat::Argument(ArgumentConstraint {
            name: name.to_owned(),
            rule: ArgumentRule::Url(rule),
            optional: false,
        })
    })
}

fn arguments(v: u32, expressions: &[Vec<Op<'_>>]) -> Option<Caveat> {
    match expressions {
        [ops] => closed_world(v, ops).or_else(|| {
            let (name, optional, rule) = argument(v, ops)?;
            Some(Caveat::Argument(ArgumentConstraint {
                name,
                rule,
                optional,
            }))
        }),
        [least, greatest] => {
            let (name, optional, least) = argument(v, least)?;
            let (other_name, other_optional, greatest) = argument(v, greatest)?;
            let (
                ArgumentRule::Range {
                    min: Some(min),
                    max: None,
                },
                ArgumentRule::Range {
                    min: None,
                    max: Some(max),
                },
            ) = (least, greatest)
            else {
                return None;
            };
            (name == other_name && optional == other_optional).then_some(Caveat::Argument(
                ArgumentConstraint {
                    name,
                    rule: ArgumentRule::Range {
                        min: Some(min),
                        max: Some(max),
                    },
                    optional,
                },
            ))
        }
        _ => None,
    }
}

/// `$a.all($kv -> [..].contains($kv.get(0)))`
fn closed_world(v: u32, ops: &[Op<'_>]) -> Option<Caveat> {
    let [
        Op::Value(Term::Variable(x)),
        Op::Closure(params, inner),
        Op::Binary(Binary::All),
    ] = ops
    else {
        return None;
    };
    let kv = parameter(params, v)?;
    match inner.as_slice() {
        [
            Op::Value(Term::Array(names)),
            Op::Value(Term::Variable(y)),
            Op::Value(Term::Integer(0)),
            Op::Binary(Binary::Get),
            Op::Binary(Binary::Contains),
        ] if *x == v && *y == kv => strings(names).map(Caveat::ClosedWorld),
        _ => None,
    }
}

/// One argument expression, plain or `!$a.contains("n") || EXPR`.
fn argument(v: u32, ops: &[Op<'_>]) -> Option<(String, bool, ArgumentRule)> {
    match ops {
        [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Str(name)),
            Op::Binary(Binary::Contains),
            Op::Unary(Unary::Negate),
            Op::Closure(params, inner),
            Op::Binary(Binary::LazyOr),
        ] if *x == v && params.is_empty() => {
            let (inner_name, rule) = argument_expression(v, inner)?;
            (inner_name == *name).then(|| ((*name).to_owned(), true, rule))
        }
        [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Str(name)),
            Op::Binary(Binary::Contains),
        ] if *x == v => Some(((*name).to_owned(), false, ArgumentRule::Present)),
        [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Str(name)),
            Op::Binary(Binary::Contains),
            Op::Unary(Unary::Negate),
        ] if *x == v => Some(((*name).to_owned(), false, ArgumentRule::Absent)),
        ops => {
            let (name, rule) = argument_expression(v, ops)?;
            Some((name, false, rule))
        }
    }
}

fn argument_expression(v: u32, ops: &[Op<'_>]) -> Option<(String, ArgumentRule)> {
    match ops {
        // `[..].contains($a.get("n"))`
        [
            Op::Value(Term::Array(values)),
            access @ ..,
            Op::Binary(Binary::Contains),
        ] if access.len() == 3 => Some((
            get(v, access)?.to_owned(),
            ArgumentRule::OneOf(scalars(values)?),
        )),
        // `[..].all($x -> $a.get("n").contains($x))`
        [
            Op::Value(Term::Array(values)),
            Op::Closure(params, inner),
            Op::Binary(Binary::All),
        ] => {
            let x = parameter(params, v)?;
            let (access, tail) = inner.split_at_checked(3)?;
            match tail {
                [Op::Value(Term::Variable(y)), Op::Binary(Binary::Contains)] if *y == x => Some((
                    get(v, access)?.to_owned(),
                    ArgumentRule::AllOf(scalars(values)?),
                )),
                _ => None,
            }
        }
        // `$a.get("n") …`
        ops => {
            let (access, tail) = ops.split_at_checked(3)?;
            Some((get(v, access)?.to_owned(), comparison(v, tail)?))
        }
    }
}

/// What follows `$a.get("n")`.
fn comparison(v: u32, tail: &[Op<'_>]) -> Option<ArgumentRule> {
    match tail {
        [Op::Value(wanted), Op::Binary(operator)] => match (wanted, operator) {
            (wanted, Binary::HeterogeneousEqual) => scalar(wanted).map(ArgumentRule::Exact),
            (Term::Integer(min), Binary::GreaterOrEqual) => Some(ArgumentRule::Range {
                min: Some(*min),
                max: None,
            }),
            (Term::Integer(max), Binary::LessOrEqual) => Some(ArgumentRule::Range {
                min: None,
                max: Some(*max),
            }),
            (Term::Str(text), Binary::Prefix) => Some(ArgumentRule::Prefix((*text).to_owned())),
            (Term::Str(text), Binary::Suffix) => Some(ArgumentRule::Suffix((*text).to_owned())),
            _ => None,
        },
        [
            Op::Unary(Unary::Length),
            Op::Value(Term::Integer(most)),
            Op::Binary(Binary::LessOrEqual),
        ] => Some(ArgumentRule::MaxLength(*most)),
        [Op::Closure(params, inner), Op::Binary(operator)] => {
            let x = parameter(params, v)?;
            let [
                Op::Value(Term::Array(values)),
                Op::Value(Term::Variable(y)),
                Op::Binary(Binary::Contains),
            ] = inner.as_slice()
            else {
                return None;
            };
            if *y != x {
                return None;
            }
            match operator {
                Binary::All => scalars(values).map(ArgumentRule::Subset),
                Binary::Any => scalars(values).map(ArgumentRule::AnyOf),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The name in `$a.get("n")`.
fn get<'a>(v: u32, ops: &[Op<'a>]) -> Option<&'a str> {
    match ops {
        [
            Op::Value(Term::Variable(x)),
            Op::Value(Term::Str(name)),
            Op::Binary(Binary::Get),
        ] if *x == v => Some(name),
        _ => None,
    }
}

/// The closure's one parameter, which must not hide the query's variable.
fn parameter(params: &[u32], outer: u32) -> Option<u32> {
    match params {
        [parameter] if *parameter != outer => Some(*parameter),
        _ => None,
    }
}

fn one<'a, 'b>(expressions: &'a [Vec<Op<'b>>]) -> Option<&'a [Op<'b>]> {
    match expressions {
        [expression] => Some(expression),
        _ => None,
    }
}

fn fill<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}

fn strings(terms: &[Term<'_>]) -> Option<Vec<String>> {
    terms
        .iter()
        .map(|term| match term {
            Term::Str(text) => Some((*text).to_owned()),
            _ => None,
        })
        .collect()
}

fn scalars(terms: &[Term<'_>]) -> Option<Vec<Scalar>> {
    terms.iter().map(scalar).collect()
}

fn scalar(term: &Term<'_>) -> Option<Scalar> {
    match term {
        Term::Str(text) => Some(Scalar::String((*text).to_owned())),
        Term::Integer(integer) => Some(Scalar::Integer(*integer)),
        Term::Bool(boolean) => Some(Scalar::Boolean(*boolean)),
        _ => None,
    }
}
