//! What each shape of `tests/python/caveats.py` and `tests/node/caveats.mjs` means.

use bailiwick_datalog::{
    ArgumentConstraint, ArgumentRule, Caveat, HostRule, Scalar, Timestamp, UrlRule,
};
use serde_json::{Value, json};

/// A shape: its typed form, a call that passes, one that fails, and the code of that refusal.
/// There is no such call where the decision does not depend on the call.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) caveat: Caveat,
    pub(crate) passes: Option<Value>,
    pub(crate) fails: Option<Value>,
    pub(crate) code: &'static str,
}

impl Shape {
    /// A shape whose failure is `caveat_failed`.
    fn new(name: &'static str, caveat: Caveat, passes: Value, fails: Value) -> Self {
        Self {
            name,
            caveat,
            passes: Some(passes),
            fails: Some(fails),
            code: "caveat_failed",
        }
    }

    fn with_code(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    fn only_passes(name: &'static str, caveat: Caveat) -> Self {
        let shape = Self::new(name, caveat, json!({}), Value::Null);
        Self {
            fails: None,
            ..shape
        }
    }

    fn only_fails(name: &'static str, caveat: Caveat, code: &'static str) -> Self {
        let shape = Self::new(name, caveat, Value::Null, json!({})).with_code(code);
        Self {
            passes: None,
            ..shape
        }
    }
}

/// Every shape of profile rule 17.
pub(crate) fn shapes() -> Vec<Shape> {
    [
        call_shapes(),
        argument_shapes(),
        optional_shapes(),
        declared_shapes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn scalars(texts: &[&str]) -> Vec<Scalar> {
    texts.iter().map(|text| Scalar::from(*text)).collect()
}

fn on(name: &str, rule: ArgumentRule, optional: bool) -> Caveat {
    Caveat::Argument(ArgumentConstraint {
        name: name.to_owned(),
        rule,
        optional,
    })
}

/// A call whose argument `n` has the value.
fn n(value: Value) -> Value {
    json!({"args": {"n": value}})
}

/// Limits on anything but arguments.
fn call_shapes() -> Vec<Shape> {
    let expiry = |inclusive| Caveat::Expiry {
        at: Timestamp::parse_rfc3339("2026-01-31T12:05:00Z").unwrap(),
        inclusive,
    };
    let at = |time: &str| json!({"now": format!("2026-01-31T12:{time}Z")});
    let usual = || json!({});
    let list = || json!({"tool": "files.list_directory"});
    let write = || json!({"tool": "files.write_file", "access": "write"});
    let tools = || Caveat::Tools(texts(&["files.read_file", "files.search"]));
    let tool = Caveat::Tools(texts(&["files.read_file"]));
    let access = |words: &[&str]| Caveat::Access(texts(words));
    let reports = || texts(&["files", "reports"]);
    let any = vec![texts(&["drive"]), texts(&["mail", "inbox"]), reports()];
    let audience = |uri: &str| Caveat::Audience(uri.to_owned());
    let elsewhere = |path: &str| json!({"resource": path});
    vec![
        Shape::new("expiry_inclusive", expiry(true), at("05:00"), at("05:01")).with_code("expired"),
        Shape::new("expiry_exclusive", expiry(false), at("04:59"), at("05:00"))
            .with_code("expired"),
        Shape::new("tool", tool, usual(), list()),
        Shape::new("tool_list", tools(), usual(), list()),
        Shape::new("tool_set", tools(), usual(), list()),
        Shape::new("access", access(&["read"]), usual(), write()),
        Shape::new(
            "access_list",
            access(&["read", "destructive"]),
            usual(),
            write(),
        ),
        Shape::new(
            "resource",
            Caveat::ResourceUnder(vec![reports()]),
            usual(),
            elsewhere("files/reports-evil/q3.md"),
        ),
        Shape::new(
            "resource_any",
            Caveat::ResourceUnder(any),
            usual(),
            elsewhere("files/drive/q3.md"),
        ),
        Shape::only_passes("depth", Caveat::Depth(1)),
        Shape::only_fails("depth_none", Caveat::Depth(0), "depth_exceeded"),
        Shape::only_passes("audience", audience("http://127.0.0.1:8401/mcp")),
        Shape::only_fails(
            "audience_other",
            audience("https://other.example/mcp"),
            "wrong_audience",
        ),
    ]
}

fn range(min: Option<i64>, max: Option<i64>) -> ArgumentRule {
    ArgumentRule::Range { min, max }
}

/// Limits on an argument that must be there.
fn argument_shapes() -> Vec<Shape> {
    use ArgumentRule::{
        Absent, AllOf, AnyOf, Exact, MaxLength, OneOf, Prefix, Present, Subset, Suffix,
    };
    let shape = |name, rule, passes, fails| Shape::new(name, on("n", rule, false), passes, fails);
    let ab = || scalars(&["a", "b"]);
    let integers = vec![Scalar::from(-1), Scalar::from(2)];
    let other_name = || json!({"args": {"N": 1}});
    vec![
        shape(
            "exact_string",
            Exact("caf\u{e9}".into()),
            n(json!("caf\u{e9}")),
            n(json!("cafe\u{301}")),
        ),
        shape(
            "exact_integer",
            Exact((-5).into()),
            n(json!(-5)),
            n(json!("-5")),
        ),
        shape(
            "exact_boolean",
            Exact(true.into()),
            n(json!(true)),
            n(json!("true")),
        ),
        shape(
            "one_of",
            OneOf(scalars(&["v", "w"])),
            n(json!("w")),
            n(json!("x")),
        ),
        shape(
            "one_of_integers",
            OneOf(integers),
            n(json!(2)),
            n(json!(2.0)),
        ),
        shape("range", range(Some(1), Some(9)), n(json!(9)), n(json!(10))),
        shape("range_from", range(Some(1), None), n(json!(1)), n(json!(0))),
        shape("range_to", range(None, Some(9)), n(json!(-1)), n(json!(10))),
        shape(
            "prefix",
            Prefix("re".into()),
            n(json!("report")),
            n(json!("a report")),
        ),
        shape(
            "suffix",
            Suffix(".md".into()),
            n(json!("q3.md")),
            n(json!("q3.md.exe")),
        ),
        shape(
            "subset",
            Subset(ab()),
            n(json!(["b", "a", "b"])),
            n(json!(["a", "c"])),
        ),
        shape("any_of", AnyOf(ab()), n(json!(["c", "a"])), n(json!(["c"]))),
        shape(
            "all_of",
            AllOf(ab()),
            n(json!(["b", "c", "a"])),
            n(json!(["a"])),
        ),
        shape(
            "max_length",
            MaxLength(2),
            n(json!([1, 2])),
            n(json!([1, 2, 3])),
        ),
        shape("present", Present, n(json!("")), other_name()),
        shape("absent", Absent, other_name(), n(json!(null))),
        Shape::new(
            "closed_world",
            Caveat::ClosedWorld(texts(&["n", "m"])),
            json!({"args": {"m": 1}}),
            json!({"args": {"n": 1, "o": 1}}),
        ),
    ]
}

/// Limits on an argument that may be absent.
fn optional_shapes() -> Vec<Shape> {
    use ArgumentRule::{AllOf, AnyOf, Exact, MaxLength, OneOf, Prefix, Subset, Suffix};
    let shape = |name, rule, passes, fails| Shape::new(name, on("n", rule, true), passes, fails);
    let absent = || json!({"args": {"m": 1}});
    let a = || scalars(&["a"]);
    vec![
        shape("optional_exact", Exact(5.into()), absent(), n(json!(6))),
        shape(
            "optional_one_of",
            OneOf(scalars(&["v"])),
            n(json!("v")),
            n(json!(null)),
        ),
        shape(
            "optional_range",
            range(Some(1), Some(9)),
            absent(),
            n(json!(0)),
        ),
        shape(
            "optional_prefix",
            Prefix("re".into()),
            absent(),
            n(json!("a")),
        ),
        shape(
            "optional_suffix",
            Suffix(".md".into()),
            absent(),
            n(json!(".mdx")),
        ),
        shape("optional_subset", Subset(a()), n(json!([])), n(json!("a"))),
        shape("optional_any_of", AnyOf(a()), absent(), n(json!([]))),
        shape(
            "optional_all_of",
            AllOf(a()),
            n(json!(["b", "a"])),
            n(json!(["b"])),
        ),
        shape(
            "optional_max_length",
            MaxLength(2),
            absent(),
            n(json!([1, 2, 3])),
        ),
    ]
}

/// Limits on arguments that the catalogue declares to be paths and URLs.
fn declared_shapes() -> Vec<Shape> {
    let url = |text: &str| json!({"args": {"url": text}});
    let path = |text: &str| json!({"args": {"path": text}});
    let on_url = |rule| on("url", ArgumentRule::Url(rule), false);
    let reports = ArgumentRule::PathUnder(texts(&["files", "reports"]));
    vec![
        Shape::new(
            "path_under",
            on("path", reports, false),
            path("files/reports/q3.md"),
            path("files/reports-evil/q3.md"),
        ),
        Shape::new(
            "url_scheme_host",
            on_url(UrlRule {
                scheme: Some("https".to_owned()),
                host: Some(HostRule::Exact("api.example".to_owned())),
                ..UrlRule::default()
            }),
            url("https://api.example/x"),
            url("http://api.example/x"),
        ),
        Shape::new(
            "url_host_under",
            on_url(UrlRule {
                host: Some(HostRule::Under(".example".to_owned())),
                ..UrlRule::default()
            }),
            url("https://a.b.example/"),
            url("https://bexample/"),
        ),
        Shape::new(
            "url_port",
            on_url(UrlRule {
                port: Some(443),
                ..UrlRule::default()
            }),
            url("https://api.example/"),
            url("https://api.example:444/"),
        ),
        Shape::new(
            "url_path",
            on_url(UrlRule {
                path_prefix: Some("/v1/".to_owned()),
                ..UrlRule::default()
            }),
            url("https://api.example/v1/x"),
            url("https://api.example/v10/x"),
        ),
    ]
}
