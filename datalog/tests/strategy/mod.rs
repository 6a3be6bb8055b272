//! Generators of caveats and calls from a small vocabulary, so that they often meet.

use bailiwick_datalog::{
    Access, ArgumentConstraint, ArgumentRule, Call, CallDigest, Caveat, HostRule, ResourcePath,
    Scalar, Timestamp, ToolName, UrlArgument, UrlRule,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "files", "read", ""]).prop_map(str::to_owned)
}

fn words(most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(word(), 0..=most)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["n", "m"]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        word().prop_map(Scalar::String),
        (-2_i64..3).prop_map(Scalar::Integer),
        any::<bool>().prop_map(Scalar::Boolean),
    ]
}

fn scalars() -> impl Strategy<Value = Vec<Scalar>> {
    prop::collection::vec(scalar(), 0..4)
}

fn rule() -> impl Strategy<Value = (ArgumentRule, bool)> {
    let range = (prop::option::of(-2_i64..3), prop::option::of(-2_i64..3))
        .prop_filter("one bound", |(min, max)| min.is_some() || max.is_some())
        .prop_map(|(min, max)| ArgumentRule::Range { min, max });
    let plain = prop_oneof![
        scalar().prop_map(ArgumentRule::Exact),
        scalars().prop_map(ArgumentRule::OneOf),
        range,
        word().prop_map(ArgumentRule::Prefix),
        word().prop_map(ArgumentRule::Suffix),
        scalars().prop_map(ArgumentRule::Subset),
        scalars().prop_map(ArgumentRule::AnyOf),
        scalars().prop_map(ArgumentRule::AllOf),
        (0_i64..4).prop_map(ArgumentRule::MaxLength),
    ];
    let never_optional = prop_oneof![
        Just(ArgumentRule::Present),
        Just(ArgumentRule::Absent),
        words(2).prop_map(ArgumentRule::PathUnder),
        url_rule().prop_map(ArgumentRule::Url),
    ];
    prop_oneof![
        3 => (plain, any::<bool>()),
        1 => never_optional.prop_map(|rule| (rule, false)),
    ]
}

fn url_rule() -> impl Strategy<Value = UrlRule> {
    let host = prop_oneof![
        Just(HostRule::Exact("h.example".to_owned())),
        Just(HostRule::Under(".example".to_owned()))
    ];
    (
        prop::option::of(Just("https".to_owned())),
        prop::option::of(host),
        prop::option::of(Just(443_i64)),
        prop::option::of(Just("/p".to_owned())),
    )
        .prop_map(|(scheme, host, port, path_prefix)| UrlRule {
            scheme,
            host,
            port,
            path_prefix,
        })
        .prop_filter("one part", |rule| *rule != UrlRule::default())
}

pub(crate) fn argument_caveat() -> impl Strategy<Value = Caveat> {
    prop_oneof![
        4 => (name(), rule()).prop_map(|(name, (rule, optional))| {
            Caveat::Argument(ArgumentConstraint { name, rule, optional })
        }),
        1 => prop::collection::vec(name(), 0..3).prop_map(Caveat::ClosedWorld),
    ]
}

/// Exact calls of one tool with few arguments, the same call more than once among them.
#[allow(dead_code, reason = "not every test binary limits tools by calls")]
pub(crate) fn exact_calls(tool: &'static str) -> impl Strategy<Value = Caveat> {
    let arguments = prop_oneof![
        3 => Just(json!({})),
        1 => (-1_i64..2).prop_map(|n| json!({ "n": n })),
        1 => word().prop_map(|word| json!({ "m": word })),
    ];
    let digest = arguments.prop_map(move |arguments| {
        let arguments = arguments.as_object().unwrap().clone();
        CallDigest::new(&ToolName::parse(tool).unwrap(), &arguments).unwrap()
    });
    prop::collection::vec(digest, 1..5).prop_map(Caveat::ExactCalls)
}

pub(crate) fn caveat() -> impl Strategy<Value = Caveat> {
    prop_oneof![
        (1_500_u64..1_505, any::<bool>()).prop_map(|(at, inclusive)| Caveat::Expiry {
            at: Timestamp::from_unix(at),
            inclusive
        }),
        words(3).prop_map(Caveat::Tools),
        words(3).prop_map(Caveat::Access),
        prop::collection::vec(words(2), 1..3).prop_map(Caveat::ResourceUnder),
        (-1_i64..3).prop_map(Caveat::Depth),
        prop::sample::select(vec!["http://127.0.0.1:8401/mcp", "http://other/"])
            .prop_map(|audience| Caveat::Audience(audience.to_owned())),
        argument_caveat(),
        argument_caveat(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        word().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!(1.0)),
        Just(Value::Null),
        Just(json!(u64::MAX)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(word(), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let arguments = prop::collection::hash_map(name(), value(), 0..3)
        .prop_map(|members| members.into_iter().collect::<Map<_, _>>());
    let segment = prop::sample::select(vec!["a", "b", "files"]);
    (
        prop::sample::select(vec!["a", "ab", "files"]),
        prop::sample::select(Access::ALL.to_vec()),
        prop::collection::vec(segment, 1..3),
        arguments,
        any::<bool>(),
    )
        .prop_map(|(tool, access, segments, arguments, declared)| {
            let resource = ResourcePath::from_segments(segments).unwrap();
            let call = Call::new(
                ToolName::parse(tool).unwrap(),
                access,
                vec![resource.clone()],
                &arguments,
            );
            if !declared {
                return call;
            }
            call.with_path_argument("n", resource)
                .with_url_argument("n", UrlArgument::parse("https://h.example/p").unwrap())
        })
}
