//! Caveat → Datalog check, built as a syntax tree: no value is ever spliced into text.

use biscuit_auth::builder::{
    Binary, Check, CheckKind, Expression, Op, Predicate, Rule, Term, Unary, string, var,
};

use super::{ArgumentConstraint, ArgumentRule, Caveat, HostRule, Scalar, UrlRule};

impl Caveat {
    /// The check of profile rule 17 that means this caveat.
    pub fn to_check(&self) -> Check {
        check(vec![self.to_query()])
    }

    /// The check of profile rule 3: holds for every call of another tool, and for a call of
    /// `tool` only when this caveat does.
    pub(crate) fn to_check_for_tool(&self, tool: &str) -> Check {
        let other_tool = query(
            vec![predicate("tool", vec![var("t")])],
            vec![vec![
                value(strings(&[tool.to_owned()])),
                value(var("t")),
                Op::Binary(Binary::Contains),
                Op::Unary(Unary::Negate),
            ]],
        );
        check(vec![other_tool, self.to_query()])
    }

    fn to_query(&self) -> Rule {
        match self {
            Self::Expiry { at, inclusive } => {
                let operator = if *inclusive {
                    Binary::LessOrEqual
                } else {
                    Binary::LessThan
                };
                query(
                    vec![predicate("time", vec![var("t")])],
                    vec![binary(var("t"), Term::Date(at.unix()), operator)],
                )
            }
            Self::Tools(names) => one_of("tool", "t", names),
            Self::Access(words) => one_of("access", "a", words),
            Self::ResourceUnder(paths) => query(
                vec![predicate("resource", vec![var("r")])],
                vec![any_prefix("r", paths)],
            ),
            Self::Depth(greatest) => query(
                vec![predicate("depth", vec![var("d")])],
                vec![binary(
                    var("d"),
                    Term::Integer(*greatest),
                    Binary::LessOrEqual,
                )],
            ),
            Self::Audience(audience) => query(
                vec![predicate("request_audience", vec![string(audience)])],
                vec![],
            ),
            Self::Argument(constraint) => constraint.to_query(),
            Self::ClosedWorld(names) => query(
                vec![predicate("args", vec![var("a")])],
                vec![vec![
                    value(var("a")),
                    Op::Closure(
                        vec!["kv".to_owned()],
                        vec![
                            value(strings(names)),
                            value(var("kv")),
                            value(Term::Integer(0)),
                            Op::Binary(Binary::Get),
                            Op::Binary(Binary::Contains),
                        ],
                    ),
                    Op::Binary(Binary::All),
                ]],
            ),
            Self::ExactCalls(calls) => {
                let digests = calls
                    .iter()
                    .map(|call| Term::Bytes(call.as_bytes().to_vec()));
                query(
                    vec![predicate("call_digest", vec![var("d")])],
                    vec![contains(Term::Array(digests.collect()), var("d"))],
                )
            }
        }
    }
}

impl ArgumentConstraint {
    fn to_query(&self) -> Rule {
        match &self.rule {
            ArgumentRule::PathUnder(path) => query(
                vec![predicate("path_arg", vec![string(&self.name), var("p")])],
                vec![any_prefix("p", std::slice::from_ref(path))],
            ),
            ArgumentRule::Url(rule) => query(
                vec![predicate("url_arg", vec![string(&self.name), var("u")])],
                rule.expressions(),
            ),
            rule => {
                let expressions = rule.expressions(&self.name);
                query(
                    vec![predicate("args", vec![var("a")])],
                    if self.optional {
                        expressions
                            .into_iter()
                            .map(|ops| unless_absent(&self.name, ops))
                            .collect()
                    } else {
                        expressions
                    },
                )
            }
        }
    }
}

impl ArgumentRule {
    fn expressions(&self, name: &str) -> Vec<Vec<Op>> {
        let get = || {
            vec![
                value(var("a")),
                value(string(name)),
                Op::Binary(Binary::Get),
            ]
        };
        let compare = |term: Term, operator: Binary| {
            let mut ops = get();
            ops.extend([value(term), Op::Binary(operator)]);
            ops
        };
        let each = |values: &[Scalar], operator: Binary| {
            let mut ops = get();
            ops.push(Op::Closure(
                vec!["x".to_owned()],
                contains(scalars(values), var("x")),
            ));
            ops.push(Op::Binary(operator));
            ops
        };
        match self {
            Self::Exact(wanted) => vec![compare(wanted.to_term(), Binary::HeterogeneousEqual)],
            Self::OneOf(values) => {
                let mut ops = vec![value(scalars(values))];
                ops.extend(get());
                ops.push(Op::Binary(Binary::Contains));
                vec![ops]
            }
            Self::Range { min, max } => [
                min.map(|least| compare(Term::Integer(least), Binary::GreaterOrEqual)),
                max.map(|most| compare(Term::Integer(most), Binary::LessOrEqual)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::Prefix(prefix) => vec![compare(string(prefix), Binary::Prefix)],
            Self::Suffix(suffix) => vec![compare(string(suffix), Binary::Suffix)],
            Self::Subset(values) => vec![each(values, Binary::All)],
            Self::AnyOf(values) => vec![each(values, Binary::Any)],
            Self::AllOf(values) => {
                let mut inner = get();
                inner.extend([value(var("x")), Op::Binary(Binary::Contains)]);
                vec![vec![
                    value(scalars(values)),
                    Op::Closure(vec!["x".to_owned()], inner),
                    Op::Binary(Binary::All),
                ]]
            }
            Self::MaxLength(most) => {
                let mut ops = get();
                ops.extend([
                    Op::Unary(Unary::Length),
                    value(Term::Integer(*most)),
                    Op::Binary(Binary::LessOrEqual),
                ]);
                vec![ops]
            }
            Self::Present => vec![has(name)],
            Self::Absent => {
                let mut ops = has(name);
                ops.push(Op::Unary(Unary::Negate));
                vec![ops]
            }
            // Rendered by `ArgumentConstraint::to_query` from their own facts.
            Self::PathUnder(_) | Self::Url(_) => Vec::new(),
        }
    }
}

impl UrlRule {
    fn expressions(&self) -> Vec<Vec<Op>> {
        let part = |key: &str, term: Term, operator: Binary| {
            vec![
                value(var("u")),
                value(string(key)),
                Op::Binary(Binary::Get),
                value(term),
                Op::Binary(operator),
            ]
        };
        let host = self.host.as_ref().map(|rule| match rule {
            HostRule::Exact(host) => part("host", string(host), Binary::HeterogeneousEqual),
            HostRule::Under(suffix) => part("host", string(suffix), Binary::Suffix),
        });
        let scheme = self
            .scheme
            .as_ref()
            .map(|scheme| part("scheme", string(scheme), Binary::HeterogeneousEqual));
        let port = self
            .port
            .map(|port| part("port", Term::Integer(port), Binary::HeterogeneousEqual));
        let path = self
            .path_prefix
            .as_ref()
            .map(|prefix| part("path", string(prefix), Binary::Prefix));
        [scheme, host, port, path].into_iter().flatten().collect()
    }
}

impl Scalar {
    fn to_term(&self) -> Term {
        match self {
            Self::String(text) => string(text),
            Self::Integer(integer) => Term::Integer(*integer),
            Self::Boolean(boolean) => Term::Bool(*boolean),
        }
    }
}

/// `!$a.contains(name) || ops`
fn unless_absent(name: &str, ops: Vec<Op>) -> Vec<Op> {
    let mut all = has(name);
    all.push(Op::Unary(Unary::Negate));
    all.push(Op::Closure(Vec::new(), ops));
    all.push(Op::Binary(Binary::LazyOr));
    all
}

fn has(name: &str) -> Vec<Op> {
    vec![
        value(var("a")),
        value(string(name)),
        Op::Binary(Binary::Contains),
    ]
}

fn one_of(name: &str, variable: &str, words: &[String]) -> Rule {
    match words {
        [word] => query(vec![predicate(name, vec![string(word)])], vec![]),
        words => query(
            vec![predicate(name, vec![var(variable)])],
            vec![contains(strings(words), var(variable))],
        ),
    }
}

/// `$v.starts_with(p1) || $v.starts_with(p2) || …`, left-associative as the parsers build it.
fn any_prefix(variable: &str, paths: &[Vec<String>]) -> Vec<Op> {
    let prefix = |path: &Vec<String>| binary(var(variable), strings(path), Binary::Prefix);
    let mut paths = paths.iter();
    let Some(first) = paths.next() else {
        // No path at all is under none: a condition that can't hold.
        return vec![value(Term::Bool(false))];
    };
    paths.fold(prefix(first), |mut ops, path| {
        ops.push(Op::Closure(Vec::new(), prefix(path)));
        ops.push(Op::Binary(Binary::LazyOr));
        ops
    })
}

fn contains(list: Term, item: Term) -> Vec<Op> {
    binary(list, item, Binary::Contains)
}

fn binary(left: Term, right: Term, operator: Binary) -> Vec<Op> {
    vec![value(left), value(right), Op::Binary(operator)]
}

fn value(term: Term) -> Op {
    Op::Value(term)
}

fn strings(texts: &[String]) -> Term {
    Term::Array(texts.iter().map(|text| string(text)).collect())
}

fn scalars(values: &[Scalar]) -> Term {
    Term::Array(values.iter().map(Scalar::to_term).collect())
}

fn predicate(name: &str, terms: Vec<Term>) -> Predicate {
    Predicate {
        name: name.to_owned(),
        terms,
    }
}

fn query(body: Vec<Predicate>, expressions: Vec<Vec<Op>>) -> Rule {
    Rule {
        head: predicate("query", vec![]),
        body,
        expressions: expressions
            .into_iter()
            .map(|ops| Expression { ops })
            .collect(),
        parameters: None,
        scopes: Vec::new(),
        scope_parameters: None,
    }
}

fn check(queries: Vec<Rule>) -> Check {
    Check {
        queries,
        kind: CheckKind::One,
    }
}
