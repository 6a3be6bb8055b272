//! Every shape of check that the token profile accepts, written by the official libraries of other
//! languages with values as parameters: read as the same typed caveat, one call that passes and
//! one that fails for each. And what the profile refuses, written by the same libraries.

mod shapes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Chain, Grant, ResourcePath, Timestamp, ToolName,
    UrlArgument, token_text,
};
use bailiwick_verifier::{
    KeySet, MemoryRevocations, Now, UnverifiedToken, Verifier, VerifierConfig,
};
use biscuit_auth::builder::Algorithm;
use biscuit_auth::{KeyPair, PrivateKey};
use serde_json::{Value, json};

use crate::harness::node;
use crate::harness::python::Sdk;
use shapes::shapes;

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

/// The chain as it was written.
fn chain(token: &str) -> Chain {
    Chain::decode_unverified(&token_text::decode(token).unwrap()).unwrap()
}

/// Holds every shape that a library wrote, once as `check if` and once as `check all`, against
/// what is known of it.
fn assert_enforced(scene: &Scene, narrowed: &Value) {
    let narrowed = narrowed.as_array().unwrap();
    let shapes = shapes();
    let mut seen = BTreeSet::new();
    for written in narrowed {
        let (name, check) = (written["name"].as_str().unwrap(), &written["check"]);
        let token = written["token"].as_str().unwrap();
        let shape = shapes.iter().find(|shape| shape.name == name);
        let shape = shape.unwrap_or_else(|| panic!("{name} is not known"));
        let chain = chain(token);
        let read: Vec<_> = chain.blocks().iter().map(|block| &block.content).collect();
        assert_eq!(read.len(), 1);
        assert_eq!(
            read[0].caveats,
            std::slice::from_ref(&shape.caveat),
            "{check}"
        );
        for (asked, expected) in [(&shape.passes, "allow"), (&shape.fails, shape.code)] {
            let Some(asked) = asked else {
                continue;
            };
            assert_eq!(scene.decide(token, asked), expected, "{check} {asked}");
            // Nothing but the check makes the difference.
            if expected == "caveat_failed" {
                let before = scene.decide(&scene.token, asked);
                assert_eq!(before, "allow", "{check} {asked}");
            }
        }
        seen.insert(name);
    }
    assert_eq!(narrowed.len(), seen.len() * 2, "`check if` and `check all`");
    assert_eq!(seen, shapes.iter().map(|shape| shape.name).collect());
}

#[test]
fn every_shape_that_biscuit_python_writes_is_enforced() {
    let scene = Scene::new();
    let input = json!({"token": scene.token, "root": scene.root});
    assert_enforced(&scene, &Sdk::V1.run("caveats.py", &input));
}

#[test]
fn every_shape_that_biscuit_wasm_writes_is_enforced() {
    let scene = Scene::new();
    let input = json!({"token": scene.token, "root": scene.root});
    assert_enforced(&scene, &node::run("caveats.mjs", &input));
}

/// Appends each block by biscuit-wasm and decides on the usual call, with the token open and sealed.
fn assert_decided(scene: &Scene, rows: &[(&str, &str)]) -> Vec<Chain> {
    let blocks: Vec<&str> = rows.iter().map(|(block, _)| *block).collect();
    let input = json!({"token": scene.token, "root": scene.root, "blocks": blocks});
    let written = node::run("blocks.mjs", &input);
    let written = written.as_array().unwrap();
    assert_eq!(written.len(), rows.len());
    let decided = rows.iter().zip(written).map(|((block, expected), tokens)| {
        let [open, sealed] = ["open", "sealed"].map(|form| tokens[form].as_str().unwrap());
        for (token, is_sealed) in [(open, false), (sealed, true)] {
            let met = scene.decide(token, &json!({}));
            assert_eq!(met, *expected, "{block}, sealed: {is_sealed}");
        }
        [open, sealed]
    });
    let allowed = decided.zip(rows).filter(|(_, (_, met))| *met == "allow");
    allowed.flat_map(|(tokens, _)| tokens.map(chain)).collect()
}

#[test]
fn names_and_seals_that_biscuit_wasm_writes_are_read() {
    let scene = Scene::new();
    let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let bound = format!("holder(\"{thumbprint}\");");
    let chains = assert_decided(
        &scene,
        &[
            ("", "allow"),
            ("delegate(\"sub-7\");", "allow"),
            ("delegate(\"sub-7\"); check if access(\"read\");", "allow"),
            (
                "delegate(\"sub-7\"); check if access(\"write\");",
                "caveat_failed",
            ),
            (&bound, "holder_proof_missing"),
            ("holder(\"too short\");", "profile_violation"),
        ],
    );
    let read: Vec<_> = chains
        .iter()
        .map(|chain| (chain.delegates().collect::<Vec<_>>(), chain.is_sealed()))
        .collect();
    let named = || vec!["sub-7"];
    let expected = [
        (vec![], false),
        (vec![], true),
        (named(), false),
        (named(), true),
        (named(), false),
        (named(), true),
    ];
    assert_eq!(read, expected);
}

#[test]
fn what_the_profile_has_no_shape_for_is_refused_from_biscuit_wasm() {
    let refused = [
        "tool(\"files.delete_file\");",
        "time(2020-01-01T00:00:00Z);",
        "grant(\"more\", \"files.delete_file\", \"destructive\", [\"files\"]);",
        "session(\"s-1\");",
        "expires_at(2030-01-01T00:00:00Z);",
        "delegate(\"a\"); delegate(\"b\");",
        "delegate(1);",
        "access(\"write\") <- access(\"read\");",
        "reject if tool(\"files.delete_file\");",
        "check if tool(\"files.read_file\") or tool(\"files.list_directory\");",
        "check if tool(\"files.read_file\"), access(\"read\");",
        "check if tool($t), $t.matches(\"^files\");",
        "check if tool($t), $t.starts_with(\"files.\");",
        "check if tool(\"files.read_file\") trusting authority;",
        "check if tool(\"files.read_file\") trusting previous;",
        "check if true;",
        "check if session(\"s-1\");",
        "check if access($a), {\"read\"}.contains($a);",
        "check if depth($d), $d < 3;",
        "check if depth($d), $d + 1 <= 3;",
        "check if args($a), $a.extern::test();",
        "check if args($a), $a.get(\"n\") === 1;",
        "check if args($a), $a.get(\"n\") == null;",
        "check if args($a), $a.get(\"n\").any($x -> [\"a\"].any($y -> $x == $y));",
    ];
    let rows = refused.map(|block| (block, "profile_violation"));
    assert!(assert_decided(&Scene::new(), &rows).is_empty());
}
