//! Traps of biscuit-auth 6.0.0: each test shows first that the bare library does it, then that the
//! verifier refuses such a token or cannot be led there.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use bailiwick_datalog::{Access, Authority, Caveat, LaterBlock};
use biscuit_auth::{
    AuthorizerBuilder, AuthorizerLimits, Biscuit, KeyPair,
    builder::{Algorithm, BiscuitBuilder},
    error,
    format::schema::{self, term},
};
use prost::Message;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::support::{
    Forge, ROOT_KEY_ID, append, append_text, authority, call_on, code, decide, decide_call, grant,
    mint, root, verdict,
};

const GENEROUS: AuthorizerLimits = AuthorizerLimits {
    max_facts: 1_000_000,
    max_iterations: 1_000,
    max_time: Duration::from_secs(600),
};

/// What the library alone says of a token under an authorizer written as text.
fn bare(token: &Biscuit, authorizer: &str) -> Result<usize, error::Token> {
    AuthorizerBuilder::new()
        .code(authorizer)
        .unwrap()
        .set_limits(GENEROUS)
        .build(token)
        .unwrap()
        .authorize()
}

/// A token of the library alone with one later block.
fn foreign(block: &str) -> Biscuit {
    let first = BiscuitBuilder::new()
        .code("right(\"read\");")
        .unwrap()
        .build(&root())
        .unwrap();
    append_text(&first, block)
}

/// The verifier's answer about the usual token with that block.
fn bailiwick(block: &str) -> &'static str {
    verdict(&append_text(&mint(&authority()), block))
}

#[test]
fn a_check_passes_if_any_fact_matches() {
    let block = "check if resource($r), $r.starts_with([\"files\", \"reports\"]);";
    let both = "resource([\"files\", \"reports\", \"a\"]); resource([\"files\", \"secret\"]); allow if true;";
    assert!(bare(&foreign(block), both).is_ok());

    let wide = Authority {
        grants: vec![grant("g", "files.read_file", Access::Read, "files")],
        ..authority()
    };
    let token = append_text(&mint(&wide), block).to_vec().unwrap();
    for (resources, expected) in [
        (&["files/reports/a"][..], "allow"),
        (&["files/secret"][..], "caveat_failed"),
        (&["files/reports/a", "files/secret"][..], "caveat_failed"),
        (&["files/secret", "files/reports/a"][..], "caveat_failed"),
    ] {
        let call = call_on(resources, &serde_json::Map::new());
        assert_eq!(code(&decide_call(&token, &call)), expected, "{resources:?}");
    }
}

#[test]
fn reject_if_with_two_queries_refuses_only_if_both_match() {
    let block = "reject if tool(\"files.read_file\") or access(\"write\");";
    let request = "tool(\"files.read_file\"); access(\"read\"); allow if true;";
    assert!(bare(&foreign(block), request).is_ok());
    let both = "tool(\"files.read_file\"); access(\"write\"); allow if true;";
    assert!(bare(&foreign(block), both).is_err());

    assert_eq!(bailiwick(block), "profile_violation");
}

#[test]
fn an_invalid_regular_expression_is_false_so_its_negation_allows() {
    let request = "path(\"secret\"); allow if true;";
    assert!(bare(&foreign("check if path($p), $p.matches(\"[\");"), request).is_err());
    assert!(bare(&foreign("check if path($p), !$p.matches(\"[\");"), request).is_ok());

    for check in [
        "$a.get(\"path\").matches(\"q3\")",
        "!$a.get(\"path\").matches(\"[\")",
    ] {
        assert_eq!(
            bailiwick(&format!("check if args($a), {check};")),
            "profile_violation"
        );
    }
}

#[test]
fn a_text_prefix_matches_a_longer_name() {
    let block = "check if path($p), $p.starts_with(\"/repo\");";
    assert!(bare(&foreign(block), "path(\"/repo-evil\"); allow if true;").is_ok());

    let repo = Authority {
        grants: vec![grant("g", "files.read_file", Access::Read, "files/repo")],
        ..authority()
    };
    let narrowed = append(
        &mint(&authority()),
        &LaterBlock {
            caveats: vec![Caveat::ResourceUnder(vec![vec![
                "files".into(),
                "repo".into(),
            ]])],
            ..LaterBlock::default()
        },
    );
    for (path, granted) in [
        ("files/repo/a", "allow"),
        ("files/repo-evil/a", "resource_not_granted"),
    ] {
        let call = call_on(&[path], &serde_json::Map::new());
        let token = mint(&repo).to_vec().unwrap();
        assert_eq!(code(&decide_call(&token, &call)), granted, "{path}");
    }
    assert_eq!(verdict(&narrowed), "caveat_failed");
}

#[test]
fn a_block_may_assert_its_own_time() {
    let expired = "check if time($t), $t < 2021-01-01T00:00:00Z;";
    let own_time = format!("time(2020-01-01T00:00:00Z); {expired}");
    let request = "time(2026-01-31T12:01:00Z); allow if true;";
    assert!(bare(&foreign(expired), request).is_err());
    assert!(bare(&foreign(&own_time), request).is_ok());

    assert_eq!(bailiwick(expired), "expired");
    assert_eq!(bailiwick(&own_time), "profile_violation");
}

#[test]
fn the_root_key_id_is_not_signed() {
    let mut message = Forge::of(&mint(&authority())).sign();
    message.root_key_id = Some(ROOT_KEY_ID + 1);
    let bytes = message.encode_to_vec();
    assert!(Biscuit::from(&bytes, root().public()).is_ok());

    assert_eq!(code(&decide(&bytes)), "unknown_key");
}

#[test]
fn unknown_fields_survive_and_give_one_token_many_forms() {
    let token = mint(&authority());
    let other = [token.to_vec().unwrap().as_slice(), &[0x78, 0x01]].concat();
    let read = Biscuit::from(&other, root().public()).unwrap();
    assert_eq!(
        read.revocation_identifiers(),
        token.revocation_identifiers()
    );
    assert_eq!(code(&decide(&other)), "malformed_token");

    // And where they are signed.
    let signed = Forge::of(&token)
        .edit_bytes(0, |bytes| bytes.extend([0x78, 0x01]))
        .bytes();
    assert!(Biscuit::from(&signed, root().public()).is_ok());
    assert_eq!(code(&decide(&signed)), "malformed_token");
}

/// The other valid signature for the same message: `(r, n - s)`.
fn other_p256_signature(der: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    // SEQUENCE { INTEGER r, INTEGER s }
    let r_length = usize::from(der[3]);
    let (head, s) = der.split_at(4 + r_length);
    let s = &s[2..];
    let mut digits = [0; 32];
    let unsigned: Vec<u8> = s.iter().copied().skip_while(|byte| *byte == 0).collect();
    digits[32 - unsigned.len()..].copy_from_slice(&unsigned);
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(digits[index]) - borrow;
        borrow = i16::from(difference < 0);
        digits[index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let mut other: Vec<u8> = digits
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    if other[0] >= 0x80 {
        other.insert(0, 0);
    }
    let r = &head[2..];
    let body = [r, &[0x02, u8::try_from(other.len()).unwrap()], &other].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

#[test]
fn p256_signatures_are_malleable_and_so_are_their_revocation_ids() {
    let key = KeyPair::new_with_rng(Algorithm::Secp256r1, &mut StdRng::seed_from_u64(1));
    let token = authority()
        .to_builder()
        .unwrap()
        .root_key_id(ROOT_KEY_ID)
        .build(&key)
        .unwrap();
    let mut message = Forge::of(&token).message;
    message.authority.signature = other_p256_signature(&message.authority.signature);
    let other = Biscuit::from(message.encode_to_vec(), key.public()).unwrap();
    assert_ne!(
        other.revocation_identifiers(),
        token.revocation_identifiers()
    );

    assert_eq!(
        verdict(&token),
        "bad_signature",
        "no such key can be in a key set"
    );
    assert_eq!(code(&decide(&message.encode_to_vec())), "bad_signature");
}

#[test]
fn ed25519_signatures_have_one_form() {
    // The order of the base point, little endian: s + order signs the same in loose verifiers.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut message = Forge::of(&append_text(&mint(&authority()), "")).sign();
    assert_eq!(code(&decide(&message.encode_to_vec())), "allow");
    let mut carry = 0;
    for (digit, order) in message.blocks[0].signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*digit) + u16::from(order) + carry;
        *digit = u8::try_from(sum % 256).unwrap();
        carry = sum / 256;
    }
    assert_eq!(code(&decide(&message.encode_to_vec())), "bad_signature");
}

/// Set in the process that the test below starts to be killed.
const OVERFLOW: &str = "BAILIWICK_TEST_OVERFLOW";

#[test]
fn the_text_parser_overflows_the_stack_on_deep_nesting() {
    if std::env::var_os(OVERFLOW).is_some() {
        let source = format!("allow if {}true;", "!".repeat(1_000_000));
        let _ = AuthorizerBuilder::new().code(source);
        return;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "traps::the_text_parser_overflows_the_stack_on_deep_nesting",
        ])
        .env(OVERFLOW, "1")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success());
    assert!(message.contains("overflowed its stack"), "{message}");

    // Nothing a stranger sends is parsed as text; nesting in the encoding is bounded.
    let nested = |levels: usize| {
        let innermost = schema::Term {
            content: Some(term::Content::Integer(1)),
        };
        (0..levels).fold(innermost, |inner, _| schema::Term {
            content: Some(term::Content::Array(schema::Array { array: vec![inner] })),
        })
    };
    let token = append_text(&mint(&authority()), "delegate(\"sub-7\");");
    for (levels, expected) in [
        (1, "profile_violation"),
        (20, "profile_violation"),
        (1_000, "malformed_token"),
    ] {
        let forge = Forge::of(&token).edit(1, |block| {
            block.facts[0].predicate.terms = vec![nested(levels)];
        });
        assert_eq!(forge.verdict(), expected, "{levels}");
    }
}

#[test]
fn an_error_and_a_match_in_one_check_race() {
    let token = foreign("check if true;");
    let request = "n(1); n(\"text\"); check if n($n), $n > 0; allow if true;";
    let answers: Vec<bool> = (0..200).map(|_| bare(&token, request).is_ok()).collect();
    assert!(answers.contains(&true) && answers.contains(&false));

    // With one fact of each kind there is nothing to race with.
    let token = append_text(
        &mint(&authority()),
        "check if args($a), $a.get(\"n\") >= 0;",
    );
    let token = token.to_vec().unwrap();
    for (argument, expected) in [(json!(1), "allow"), (json!("text"), "caveat_failed")] {
        let arguments = json!({"n": argument, "m": 1, "o": "text"});
        let call = call_on(&["files/reports/a"], arguments.as_object().unwrap());
        for _ in 0..200 {
            assert_eq!(code(&decide_call(&token, &call)), expected, "{argument}");
        }
    }
}

#[test]
fn authorize_with_limits_ignores_its_limits_while_rules_run() {
    let rules = "n(1); n(2); n(3); n(4); pair($a, $b) <- n($a), n($b);";
    let tight = AuthorizerLimits {
        max_facts: 5,
        max_iterations: 1,
        max_time: Duration::from_secs(600),
    };
    let builder = || {
        AuthorizerBuilder::new()
            .code("allow if true;")
            .unwrap()
            .set_limits(GENEROUS)
    };
    let token = foreign(rules);
    let mut late = builder().build(&token).unwrap();
    assert!(late.authorize_with_limits(tight.clone()).is_ok());
    let mut early = builder().set_limits(tight).build(&token).unwrap();
    assert!(matches!(early.authorize(), Err(error::Token::RunLimit(_))));

    assert_eq!(bailiwick(rules), "profile_violation");
    assert_eq!(
        bailiwick("pair($t, $a) <- tool($t), access($a);"),
        "profile_violation"
    );
}

#[test]
fn a_wall_clock_limit_refuses_good_requests() {
    assert_eq!(
        AuthorizerLimits::default().max_time,
        Duration::from_millis(1)
    );
    // A machine that stalls for as long as the limit.
    let stalled = AuthorizerLimits {
        max_time: Duration::ZERO,
        ..GENEROUS
    };
    let decision = AuthorizerBuilder::new()
        .code("allow if true;")
        .unwrap()
        .set_limits(stalled)
        .build(&foreign("check if true;"))
        .unwrap()
        .authorize();
    assert_eq!(
        decision,
        Err(error::Token::RunLimit(error::RunLimit::Timeout))
    );

    // A large token takes longer than a millisecond here, and passes.
    let many = "check if resource($r), $r.starts_with([\"files\"]);".repeat(16);
    let token = (0..16).fold(mint(&authority()), |token, _| append_text(&token, &many));
    assert_eq!(verdict(&token), "allow");
}

/// A block of `facts` facts and one join of them four times over, which finds nothing.
fn join(facts: usize) -> String {
    let facts: String = (0..facts).map(|n| format!("n({n});")).collect();
    format!("{facts} check if n($a), n($b), n($c), n($d), $a + $b + $c + $d < 0;")
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "measures how far the library goes beyond its own time limit"
)]
fn a_join_runs_on_long_after_its_time_limit() {
    let token = foreign(&join(12));
    let start = Instant::now();
    let decision = AuthorizerBuilder::new()
        .code("allow if true;")
        .unwrap()
        .build(&token)
        .unwrap()
        .authorize();
    let taken = start.elapsed();
    assert!(decision.is_err());
    assert!(
        taken > 5 * AuthorizerLimits::default().max_time,
        "12 facts took {taken:?}; time grows with the fourth power of their number"
    );

    // Sixty facts would take hundreds of times as long; no Datalog is run on them.
    let block = join(60);
    assert_eq!(bailiwick(&block), "profile_violation");
    let only_the_join = "check if n($a), n($b), n($c), n($d), $a + $b + $c + $d < 0;";
    assert_eq!(bailiwick(only_the_join), "profile_violation");
}

#[test]
fn facts_of_a_later_block_grant_nothing() {
    // Not a trap but the promise that makes attenuation safe, in library and verifier alike.
    let block = "right(\"write\");";
    assert!(bare(&foreign(block), "allow if right(\"read\");").is_ok());
    assert!(bare(&foreign(block), "allow if right(\"write\");").is_err());
    let grant = "grant(\"h\", \"files.write_file\", \"write\", [\"files\"]);";
    assert_eq!(bailiwick(grant), "profile_violation");
}
