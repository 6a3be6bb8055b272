//! One decision after another: what passes, and what differs in one thing and does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod names;

use std::{sync::Arc, time::Duration};

use bailiwick_datalog::{
    Access, ArgumentConstraint, Audience, Authority, Call, Caveat, Grant, LaterBlock, ResourcePath,
    Timestamp, ToolLimit, ToolName, canonical_call_digest,
};
use bailiwick_verifier::{
    Denied, KeySet, MemoryRevocations, Now, Permit, UnverifiedToken, Verifier, VerifierConfig,
    holder::{HolderKey, HolderProof, ProofRequest},
    signed::PublicKeyHex,
};
use biscuit_auth::{Biscuit, KeyPair, builder::Algorithm};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";

fn root() -> KeyPair {
    KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(7))
}

fn public(key: &KeyPair) -> PublicKeyHex {
    PublicKeyHex::from_bytes(&key.public().to_bytes().try_into().unwrap()).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(VerifierConfig {
        audience: Audience::parse(AUDIENCE).unwrap(),
        keys: Arc::new(KeySet::from_entries([(1, public(&root()))]).unwrap()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    })
    .unwrap()
}

fn grant(tool: &str, access: Access, path: &str) -> Grant {
    Grant {
        id: format!("{tool}@{path}"),
        tool: ToolName::parse(tool).unwrap(),
        access,
        path: ResourcePath::parse(path).unwrap(),
    }
}

fn authority() -> Authority {
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "agent".parse().unwrap(),
        task: "tidy the reports".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse(AUDIENCE).unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 3,
        holder: None,
        grants: vec![
            grant("files.read_file", Access::Read, "files/reports"),
            grant("files.move_file", Access::Write, "files/reports"),
        ],
        limits: Vec::new(),
    }
}

fn mint(authority: &Authority) -> Biscuit {
    authority
        .to_builder()
        .unwrap()
        .root_key_id(1)
        .build(&root())
        .unwrap()
}

fn narrowed(token: &Biscuit, caveats: Vec<Caveat>) -> Biscuit {
    let block = LaterBlock {
        delegate: Some("sub-7".parse().unwrap()),
        holder: None,
        caveats,
    };
    token.append(block.to_builder().unwrap()).unwrap()
}

fn call(tool: &str, access: Access, resources: &[&str], arguments: Value) -> Call {
    Call::new(
        ToolName::parse(tool).unwrap(),
        access,
        resources
            .iter()
            .map(|text| ResourcePath::parse(text).unwrap())
            .collect(),
        arguments.as_object().unwrap(),
    )
}

fn read(path: &str) -> Call {
    call(
        "files.read_file",
        Access::Read,
        &[path],
        json!({"path": path}),
    )
}

fn at(unix: u64) -> Now {
    Now {
        utc: Timestamp::from_unix(unix),
        monotonic: Duration::ZERO,
    }
}

fn decide(token: &Biscuit, call: &Call, now: Now) -> Result<Permit, Denied> {
    let token = UnverifiedToken::from_bytes(token.to_vec().unwrap())?;
    verifier().authorize(&token, call, now)
}

fn code(result: &Result<Permit, Denied>) -> &'static str {
    result.as_ref().map_or_else(Denied::code, |_| "allow")
}

#[test]
fn a_granted_call_is_permitted_and_the_permit_holds_it() {
    let call = read("files/reports/q3.md");
    let permit = decide(&mint(&authority()), &call, at(1_500)).unwrap();
    assert_eq!(permit.call(), &call);
    assert_eq!((permit.session(), permit.agent()), ("s-1", "agent"));
    assert_eq!(permit.grant_ids(), ["files.read_file@files/reports"]);
    assert_eq!(permit.expires_at(), Timestamp::from_unix(2_000));
}

#[test]
fn tool_access_and_path_must_come_from_the_same_grant() {
    let token = mint(&authority());
    let answers = [
        (read("files/reports"), "allow"),
        (read("files"), "resource_not_granted"),
        (read("files/reports-evil/a"), "resource_not_granted"),
        (
            call(
                "files.read_file",
                Access::Write,
                &["files/reports"],
                json!({}),
            ),
            "tool_not_granted",
        ),
        (
            call(
                "files.delete_file",
                Access::Destructive,
                &["files/reports"],
                json!({}),
            ),
            "tool_not_granted",
        ),
        (
            call("files.read_file", Access::Read, &[], json!({})),
            "resource_not_granted",
        ),
    ];
    for (call, expected) in answers {
        assert_eq!(
            code(&decide(&token, &call, at(1_500))),
            expected,
            "{call:?}"
        );
    }
}

#[test]
fn every_resource_of_a_call_must_be_granted() {
    let token = mint(&authority());
    let moves = |to: &str| {
        call(
            "files.move_file",
            Access::Write,
            &["files/reports/a", to],
            json!({}),
        )
    };
    assert_eq!(
        code(&decide(&token, &moves("files/reports/b"), at(1_500))),
        "allow"
    );
    assert_eq!(
        code(&decide(&token, &moves("files/b"), at(1_500))),
        "resource_not_granted"
    );
}

#[test]
fn the_session_ends_at_its_last_second_and_begins_within_the_leeway() {
    let token = mint(&authority());
    let answers = [
        (1_999, "allow"),
        (2_000, "expired"),
        (970, "allow"),
        (969, "not_yet_valid"),
    ];
    for (now, expected) in answers {
        assert_eq!(
            code(&decide(&token, &read("files/reports"), at(now))),
            expected,
            "{now}"
        );
    }
}

#[test]
fn later_expiries_end_the_token_earlier_never_later() {
    let until = |at: u64, inclusive: bool| {
        let at = Timestamp::from_unix(at);
        narrowed(&mint(&authority()), vec![Caveat::Expiry { at, inclusive }])
    };
    let answers = [
        (until(1_500, false), 1_499, "allow"),
        (until(1_500, false), 1_500, "expired"),
        (until(1_500, true), 1_500, "allow"),
        (until(1_500, true), 1_501, "expired"),
        (until(9_000, true), 1_999, "allow"),
        (until(9_000, true), 2_000, "expired"),
    ];
    for (token, now, expected) in answers {
        assert_eq!(
            code(&decide(&token, &read("files/reports"), at(now))),
            expected,
            "{now}"
        );
    }
}

#[test]
fn a_failed_caveat_names_its_block_and_delegate() {
    let path = |segments: &[&str]| segments.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let caveat = Caveat::ResourceUnder(vec![path(&["files", "reports", "2026"])]);
    let token = narrowed(&mint(&authority()), vec![caveat]);
    assert_eq!(
        code(&decide(&token, &read("files/reports/2026/a"), at(1_500))),
        "allow"
    );
    let denied = decide(&token, &read("files/reports/2025/a"), at(1_500)).unwrap_err();
    assert_eq!(denied.code(), "caveat_failed");
    assert_eq!(
        denied.explanation(),
        "as the token was narrowed for `sub-7`, the call must be on a resource under \
         `files/reports/2026`"
    );
}

#[test]
fn depth_is_bounded_by_the_authority_and_by_later_blocks() {
    let token = mint(&authority());
    let hop = |token: &Biscuit| narrowed(token, vec![]);
    let three = hop(&hop(&hop(&token)));
    assert_eq!(
        code(&decide(&three, &read("files/reports"), at(1_500))),
        "allow"
    );
    assert_eq!(
        code(&decide(&hop(&three), &read("files/reports"), at(1_500))),
        "depth_exceeded"
    );
    let one = narrowed(&token, vec![Caveat::Depth(1)]);
    assert_eq!(
        code(&decide(&one, &read("files/reports"), at(1_500))),
        "allow"
    );
    assert_eq!(
        code(&decide(&hop(&one), &read("files/reports"), at(1_500))),
        "depth_exceeded"
    );
}

#[test]
fn argument_limits_bind_their_tool_only() {
    let limit = |text: &str| ToolLimit {
        tool: ToolName::parse("files.read_file").unwrap(),
        caveat: Caveat::Argument(ArgumentConstraint::parse_cli(text).unwrap()),
    };
    let token = mint(&Authority {
        limits: vec![limit("n=1..3")],
        ..authority()
    });
    let with = |n: Value| {
        call(
            "files.read_file",
            Access::Read,
            &["files/reports"],
            json!({"n": n}),
        )
    };
    let answers = [
        (with(json!(3)), "allow"),
        (with(json!(4)), "caveat_failed"),
        (with(json!(3.0)), "caveat_failed"),
        (with(json!("3")), "caveat_failed"),
        (read("files/reports"), "caveat_failed"),
        (
            call(
                "files.move_file",
                Access::Write,
                &["files/reports"],
                json!({}),
            ),
            "allow",
        ),
    ];
    for (call, expected) in answers {
        assert_eq!(
            code(&decide(&token, &call, at(1_500))),
            expected,
            "{call:?}"
        );
    }
}

#[test]
fn a_value_of_another_type_is_never_mistaken_for_a_list() {
    let constraint = |json: Value| {
        let constraint = ArgumentConstraint::from_json("n", &json).unwrap();
        narrowed(&mint(&authority()), vec![Caveat::Argument(constraint)])
    };
    let with = |n: Value| {
        call(
            "files.read_file",
            Access::Read,
            &["files/reports"],
            json!({"n": n}),
        )
    };
    let all_of = constraint(json!({"all_of": ["a"]}));
    assert_eq!(
        code(&decide(&all_of, &with(json!(["a"])), at(1_500))),
        "allow"
    );
    assert_eq!(
        code(&decide(&all_of, &with(json!("a")), at(1_500))),
        "caveat_failed"
    );
    assert_eq!(
        code(&decide(&all_of, &with(json!({"a": 1})), at(1_500))),
        "caveat_failed"
    );
    let length = constraint(json!({"max_length": 1}));
    assert_eq!(
        code(&decide(&length, &with(json!([1])), at(1_500))),
        "allow"
    );
    assert_eq!(
        code(&decide(&length, &with(json!([1, 2])), at(1_500))),
        "caveat_failed"
    );
    assert_eq!(
        code(&decide(&length, &with(json!("a")), at(1_500))),
        "caveat_failed"
    );
}

#[test]
fn a_token_of_another_audience_key_or_issuer_is_refused() {
    let other = Authority {
        audience: Audience::parse("http://other/mcp").unwrap(),
        ..authority()
    };
    assert_eq!(
        code(&decide(&mint(&other), &read("files/reports"), at(1_500))),
        "wrong_audience"
    );

    let builder = || authority().to_builder().unwrap();
    let unknown = builder().root_key_id(2).build(&root()).unwrap();
    assert_eq!(
        code(&decide(&unknown, &read("files/reports"), at(1_500))),
        "unknown_key"
    );
    let none = builder().build(&root()).unwrap();
    assert_eq!(
        code(&decide(&none, &read("files/reports"), at(1_500))),
        "unknown_key"
    );
    let stranger = KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(8));
    let forged = builder().root_key_id(1).build(&stranger).unwrap();
    assert_eq!(
        code(&decide(&forged, &read("files/reports"), at(1_500))),
        "bad_signature"
    );
}

#[test]
fn a_sealed_token_is_as_good_as_an_unsealed_one() {
    let sealed = mint(&authority()).seal().unwrap();
    assert_eq!(
        code(&decide(&sealed, &read("files/reports"), at(1_500))),
        "allow"
    );
    assert_eq!(
        code(&decide(&sealed, &read("files/x"), at(1_500))),
        "resource_not_granted"
    );
}

#[test]
fn a_bound_token_without_a_proof_is_refused() {
    let holder = bailiwick_datalog::Thumbprint::of_ed25519(&[9; 32]);
    let bound = mint(&Authority {
        holder: Some(holder),
        ..authority()
    });
    assert_eq!(
        code(&decide(&bound, &read("files/reports"), at(1_500))),
        "holder_proof_missing"
    );
}

#[test]
fn comparisons_are_counted_before_they_are_made() {
    let values: Vec<i64> = (0..250).collect();
    let constraint = ArgumentConstraint::from_json("n", &json!({"any_of": values})).unwrap();
    let token = narrowed(&mint(&authority()), vec![Caveat::Argument(constraint)]);
    let with = |items: usize| {
        call(
            "files.read_file",
            Access::Read,
            &["files/reports"],
            json!({"n": vec![7; items]}),
        )
    };
    assert_eq!(code(&decide(&token, &with(400), at(1_500))), "allow");
    assert_eq!(
        code(&decide(&token, &with(401), at(1_500))),
        "limit_exceeded"
    );
}

#[test]
fn a_block_with_more_than_checks_is_refused_before_it_is_evaluated() {
    let token = mint(&authority());
    let with = |code: &str| {
        token
            .append(
                biscuit_auth::builder::BlockBuilder::new()
                    .code(code)
                    .unwrap(),
            )
            .unwrap()
    };
    let answers = [
        (r#"check if tool("files.read_file");"#, "allow"),
        (
            r#"check all tool($t), ["files.read_file"].contains($t);"#,
            "allow",
        ),
        (
            r#"check if tool($t), {"files.read_file"}.contains($t);"#,
            "allow",
        ),
        (
            r#"grant("g", "files.delete_file", "destructive", ["files"]);"#,
            "profile_violation",
        ),
        (r#"time(2020-01-01T00:00:00Z);"#, "profile_violation"),
        (r#"a($x) <- tool($x);"#, "profile_violation"),
        (r#"reject if tool("files.read_file");"#, "profile_violation"),
        (
            r#"check if tool($t), $t.matches("files");"#,
            "profile_violation",
        ),
        (r#"check if true;"#, "profile_violation"),
        (
            r#"check if tool("a") or tool("files.read_file");"#,
            "profile_violation",
        ),
        (
            r#"check if tool("files.read_file") trusting previous;"#,
            "profile_violation",
        ),
    ];
    for (code_text, expected) in answers {
        let token = with(code_text);
        assert_eq!(
            code(&decide(&token, &read("files/reports"), at(1_500))),
            expected,
            "{code_text}"
        );
    }
}

#[test]
fn a_bound_token_is_good_with_a_proof_of_this_very_call_once() {
    let key = HolderKey::from_secret(&[5; 32]);
    let bound = mint(&Authority {
        holder: Some(key.thumbprint()),
        ..authority()
    });
    let token = UnverifiedToken::from_bytes(bound.to_vec().unwrap()).unwrap();
    let call = read("files/reports");
    let proof = |call: &Call, id: &str| {
        key.create_proof(&ProofRequest {
            method: "POST",
            url: AUDIENCE,
            issued_at: Timestamp::from_unix(1_500),
            id,
            token_text: token.expose_text(),
            call_digest: &canonical_call_digest(&call.tool, call.arguments.json()).unwrap(),
        })
    };
    let verifier = verifier();
    let with = |proof: HolderProof| {
        code(&verifier.authorize_with_proof(&token, &call, Some(&proof), at(1_500)))
    };
    assert_eq!(with(proof(&call, "1")), "allow");
    assert_eq!(with(proof(&call, "1")), "holder_proof_replayed");
    assert_eq!(
        with(proof(&read("files/reports/b"), "2")),
        "holder_proof_invalid"
    );
}
