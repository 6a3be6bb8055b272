//! Every shape of check that the token profile accepts, written by biscuit-python with values as
//! parameters: one call that passes and one that fails for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, ResourcePath, Timestamp, ToolName, UrlArgument,
};
use bailiwick_verifier::{
    KeySet, MemoryRevocations, Now, UnverifiedToken, Verifier, VerifierConfig,
};
use biscuit_auth::builder::Algorithm;
use biscuit_auth::{KeyPair, PrivateKey};
use serde_json::{Value, json};

use crate::harness::python::Sdk;

const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
const ROOT_KEY_ID: u32 = 1;

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A session that may read, write and search all files.
fn authority() -> Authority {
    let grant = |tool: &str, access| Grant {
        id: tool.to_owned(),
        tool: ToolName::parse(tool).unwrap(),
        access,
        path: ResourcePath::parse("files").unwrap(),
    };
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "scribe".parse().unwrap(),
        task: "sum up the reports".to_owned(),
        request_digest: [9; 32],
        audience: Audience::parse(AUDIENCE).unwrap(),
        issued_at: time("2026-01-31T12:00:00Z"),
        expires_at: time("2026-01-31T12:15:00Z"),
        max_depth: 3,
        holder: None,
        grants: vec![
            grant("files.read_file", Access::Read),
            grant("files.write_file", Access::Write),
            grant("files.list_directory", Access::Read),
        ],
        limits: Vec::new(),
    }
}

struct Scene {
    root: String,
    token: String,
    verifier: Verifier,
}

impl Scene {
    fn new() -> Self {
        let secret = PrivateKey::from_bytes(&[7; 32], Algorithm::Ed25519).unwrap();
        let key = KeyPair::from(&secret);
        let root = format!("ed25519/{}", key.public().to_bytes_hex());
        let builder = authority().to_builder().unwrap().root_key_id(ROOT_KEY_ID);
        let keys = KeySet::from_entries([(ROOT_KEY_ID, root.parse().unwrap())]).unwrap();
        Self {
            token: builder.build(&key).unwrap().to_base64().unwrap(),
            root,
            verifier: Verifier::new(VerifierConfig {
                audience: Audience::parse(AUDIENCE).unwrap(),
                keys: Arc::new(keys),
                revocations: Arc::new(MemoryRevocations::fixed([])),
            })
            .unwrap(),
        }
    }

    /// `allow`, or the code of the refusal.
    fn decide(&self, token: &str, asked: &Value) -> &'static str {
        let text = |name: &str, usual: &'static str| {
            asked[name].as_str().map_or(usual.to_owned(), str::to_owned)
        };
        let now = Now {
            utc: time(&text("now", "2026-01-31T12:01:00Z")),
            monotonic: Duration::ZERO,
        };
        let decision = UnverifiedToken::from_text(token)
            .and_then(|token| self.verifier.authorize(&token, &call(asked), now));
        decision.map_or_else(|denied| denied.code(), |_| "allow")
    }
}

/// The usual call, changed where `asked` says so.
fn call(asked: &Value) -> Call {
    let text = |name: &str, usual: &'static str| asked[name].as_str().unwrap_or(usual).to_owned();
    let args = asked["args"].as_object().cloned().unwrap_or_default();
    let call = Call::new(
        ToolName::parse(text("tool", "files.read_file")).unwrap(),
        text("access", "read").parse().unwrap(),
        vec![ResourcePath::parse(&text("resource", "files/reports/q3.md")).unwrap()],
        &args,
    );
    let call = match args.get("path").and_then(Value::as_str) {
        Some(path) => call.with_path_argument("path", ResourcePath::parse(path).unwrap()),
        None => call,
    };
    match args.get("url").and_then(Value::as_str) {
        Some(url) => call.with_url_argument("url", UrlArgument::parse(url).unwrap()),
        None => call,
    }
}

/// For each shape of `tests/python/caveats.py`: a call that passes, one that fails, and its code.
/// `null` stands for no such call.
fn expectations() -> Vec<(&'static str, Value, Value, &'static str)> {
    let n = |value: Value| json!({"args": {"n": value}});
    let url = |text: &str| json!({"args": {"url": text}});
    let path = |text: &str| json!({"args": {"path": text}});
    let failed = "caveat_failed";
    let write = json!({"tool": "files.write_file", "access": "write"});
    let list = json!({"tool": "files.list_directory"});
    let usual = json!({});
    vec![
        (
            "expiry_inclusive",
            json!({"now": "2026-01-31T12:05:00Z"}),
            json!({"now": "2026-01-31T12:05:01Z"}),
            "expired",
        ),
        (
            "expiry_exclusive",
            json!({"now": "2026-01-31T12:04:59Z"}),
            json!({"now": "2026-01-31T12:05:00Z"}),
            "expired",
        ),
        ("tool", usual.clone(), list.clone(), failed),
        ("tool_list", usual.clone(), list.clone(), failed),
        ("tool_set", usual.clone(), list, failed),
        ("access", usual.clone(), write.clone(), failed),
        ("access_list", usual.clone(), write, failed),
        (
            "resource",
            usual.clone(),
            json!({"resource": "files/reports-evil/q3.md"}),
            failed,
        ),
        (
            "resource_any",
            usual.clone(),
            json!({"resource": "files/drive/q3.md"}),
            failed,
        ),
        ("depth", usual.clone(), Value::Null, ""),
        ("depth_none", Value::Null, usual.clone(), "depth_exceeded"),
        ("audience", usual.clone(), Value::Null, ""),
        ("audience_other", Value::Null, usual, "wrong_audience"),
        (
            "exact_string",
            n(json!("caf\u{e9}")),
            n(json!("cafe\u{301}")),
            failed,
        ),
        ("exact_integer", n(json!(-5)), n(json!("-5")), failed),
        ("exact_boolean", n(json!(true)), n(json!("true")), failed),
        ("one_of", n(json!("w")), n(json!("x")), failed),
        ("one_of_integers", n(json!(2)), n(json!(2.0)), failed),
        ("range", n(json!(9)), n(json!(10)), failed),
        ("range_from", n(json!(1)), n(json!(0)), failed),
        ("range_to", n(json!(-1)), n(json!(10)), failed),
        ("prefix", n(json!("report")), n(json!("a report")), failed),
        ("suffix", n(json!("q3.md")), n(json!("q3.md.exe")), failed),
        (
            "subset",
            n(json!(["b", "a", "b"])),
            n(json!(["a", "c"])),
            failed,
        ),
        ("any_of", n(json!(["c", "a"])), n(json!(["c"])), failed),
        ("all_of", n(json!(["b", "c", "a"])), n(json!(["a"])), failed),
        ("max_length", n(json!([1, 2])), n(json!([1, 2, 3])), failed),
        ("optional_exact", json!({"args": {}}), n(json!(6)), failed),
        ("optional_one_of", n(json!("v")), n(json!(null)), failed),
        (
            "optional_prefix",
            json!({"args": {"m": 1}}),
            n(json!("a")),
            failed,
        ),
        ("optional_subset", n(json!([])), n(json!("a")), failed),
        ("present", n(json!("")), json!({"args": {"N": 1}}), failed),
        ("absent", json!({"args": {"N": 1}}), n(json!(null)), failed),
        (
            "closed_world",
            json!({"args": {"m": 1}}),
            json!({"args": {"n": 1, "o": 1}}),
            failed,
        ),
        (
            "path_under",
            path("files/reports/q3.md"),
            path("files/reports-evil/q3.md"),
            failed,
        ),
        (
            "url_scheme_host",
            url("https://api.example/x"),
            url("http://api.example/x"),
            failed,
        ),
        (
            "url_host_under",
            url("https://a.b.example/"),
            url("https://bexample/"),
            failed,
        ),
        (
            "url_port",
            url("https://api.example/"),
            url("https://api.example:444/"),
            failed,
        ),
        (
            "url_path",
            url("https://api.example/v1/x"),
            url("https://api.example/v10/x"),
            failed,
        ),
    ]
}

#[test]
fn every_shape_that_biscuit_python_writes_is_enforced() {
    let scene = Scene::new();
    let input = json!({"token": scene.token, "root": scene.root});
    let narrowed = Sdk::V1.run("caveats.py", &input);
    let narrowed = narrowed.as_array().unwrap();
    let expectations = expectations();
    let mut seen = BTreeSet::new();
    for shape in narrowed {
        let (name, check) = (shape["name"].as_str().unwrap(), &shape["check"]);
        let token = shape["token"].as_str().unwrap();
        let found = expectations.iter().find(|(known, ..)| *known == name);
        let (_, passes, fails, code) = found.unwrap_or_else(|| panic!("{name} is not known"));
        for (asked, expected) in [(passes, "allow"), (fails, *code)] {
            if asked.is_null() {
                continue;
            }
            assert_eq!(scene.decide(token, asked), expected, "{check} {asked}");
            // Nothing but the check makes the difference.
            if expected == "caveat_failed" {
                assert_eq!(
                    scene.decide(&scene.token, asked),
                    "allow",
                    "{check} {asked}"
                );
            }
        }
        seen.insert(name);
    }
    assert_eq!(narrowed.len(), seen.len() * 2, "`check if` and `check all`");
    assert_eq!(seen, expectations.iter().map(|(name, ..)| *name).collect());
}
