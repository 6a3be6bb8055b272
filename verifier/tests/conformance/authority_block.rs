//! The authority block: rules 1 to 5.

use biscuit_auth::{Biscuit, builder::BiscuitBuilder};

use crate::support::{
    AUDIENCE, EXPIRES_AT, ISSUED_AT, NOW, ROOT_KEY_ID, append_text, at, authority, call, code,
    mint, root, verdict, verifier,
};
use bailiwick_datalog::{Audience, Authority, Timestamp};
use bailiwick_verifier::UnverifiedToken;

/// The statements of the usual authority block, one a line, in the specification's own words.
fn statements() -> Vec<String> {
    let date = |unix| Timestamp::from_unix(unix).to_rfc3339();
    let (issued, expires) = (date(ISSUED_AT), date(EXPIRES_AT));
    [
        "bailiwick(1)",
        "session(\"s-1\")",
        "approval(\"a-1\")",
        "application(\"default\")",
        "principal(\"ada\")",
        "agent(\"scribe\")",
        "task(\"sum up the reports\")",
        &format!("request_digest(hex:{})", "09".repeat(32)),
        &format!("audience(\"{AUDIENCE}\")"),
        &format!("issued_at({issued})"),
        &format!("expires_at({expires})"),
        "max_depth(3)",
        "grant(\"g\", \"files.read_file\", \"read\", [\"files\", \"reports\"])",
        &format!("check if time($t), $t < {expires}"),
        &format!("check if request_audience(\"{AUDIENCE}\")"),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn minted(statements: &[String]) -> Biscuit {
    let source = statements.join(";\n") + ";";
    BiscuitBuilder::new()
        .code(source)
        .unwrap()
        .root_key_id(ROOT_KEY_ID)
        .build(&root())
        .unwrap()
}

fn with(statement: &str) -> Biscuit {
    let mut all = statements();
    all.push(statement.to_owned());
    minted(&all)
}

/// Puts `replacement` in place of the statement that begins with `start`.
fn replaced(start: &str, replacement: &str) -> Biscuit {
    let mut all = statements();
    let found = all.iter().position(|text| text.starts_with(start)).unwrap();
    all[found] = replacement.to_owned();
    minted(&all)
}

#[test]
fn the_specified_statements_make_a_token_in_any_order() {
    let mut all = statements();
    assert_eq!(verdict(&minted(&all)), "allow");
    all.reverse();
    assert_eq!(verdict(&minted(&all)), "allow");
}

#[test]
fn every_mandatory_statement_is_needed() {
    for (index, statement) in statements().iter().enumerate() {
        let mut all = statements();
        all.remove(index);
        let expected = if statement.starts_with("grant") {
            "tool_not_granted"
        } else {
            "profile_violation"
        };
        assert_eq!(verdict(&minted(&all)), expected, "without {statement}");
    }
}

#[test]
fn a_fact_of_another_value_beside_the_mandatory_one_is_refused() {
    for statement in [
        "bailiwick(2)",
        "session(\"s-2\")",
        "approval(\"a-2\")",
        "application(\"other\")",
        "principal(\"bob\")",
        "agent(\"other\")",
        "task(\"other\")",
        "request_digest(hex:00)",
        "audience(\"http://other/\")",
        "issued_at(2020-01-01T00:00:00Z)",
        "expires_at(2030-01-01T00:00:00Z)",
        "max_depth(4)",
    ] {
        assert_eq!(
            verdict(&with(statement)),
            "profile_violation",
            "{statement}"
        );
    }
    // Grants are the one fact that comes in numbers.
    assert_eq!(
        verdict(&with(
            "grant(\"h\", \"files.search\", \"read\", [\"files\"])"
        )),
        "allow"
    );
}

#[test]
fn facts_of_another_type_or_arity_are_refused() {
    for (start, replacement) in [
        ("bailiwick", "bailiwick(2)"),
        ("bailiwick", "bailiwick(\"1\")"),
        ("bailiwick", "bailiwick(1, 1)"),
        ("session", "session(1)"),
        ("approval", "approval(null)"),
        ("application", "application([\"default\"])"),
        ("principal", "principal(hex:00)"),
        ("agent", "agent(true)"),
        ("task", "task({\"x\"})"),
        ("request_digest", "request_digest(\"0909\")"),
        ("audience", "audience(1)"),
        ("issued_at", "issued_at(1769860800)"),
        ("expires_at", "expires_at(\"2026-01-31T12:15:00Z\")"),
        ("max_depth", "max_depth(\"3\")"),
        ("max_depth", "max_depth(-1)"),
        ("max_depth", "max_depth(4294967296)"),
        ("grant", "grant(\"g\", \"files.read_file\", \"read\")"),
        ("grant", "grant(\"g\", \"files.read_file\", \"read\", [])"),
        (
            "grant",
            "grant(\"g\", \"files.read_file\", \"read\", \"files\")",
        ),
        (
            "grant",
            "grant(\"g\", \"files.read_file\", \"read\", {\"files\"})",
        ),
        ("grant", "grant(\"g\", \"files.read_file\", \"read\", [1])"),
        (
            "grant",
            "grant(\"g\", \"files.read_file\", \"read\", [\"\"])",
        ),
        (
            "grant",
            "grant(\"g\", \"files.read_file\", \"read\", [\"..\"])",
        ),
        (
            "grant",
            "grant(\"g\", \"files.read_file\", \"read\", [\"a/b\"])",
        ),
        (
            "grant",
            "grant(\"g\", \"files.read_file\", \"admin\", [\"files\"])",
        ),
        (
            "grant",
            "grant(\"g\", \"Files.Read\", \"read\", [\"files\"])",
        ),
        (
            "grant",
            "grant(1, \"files.read_file\", \"read\", [\"files\"])",
        ),
    ] {
        assert_eq!(
            verdict(&replaced(start, replacement)),
            "profile_violation",
            "{replacement}"
        );
    }
}

#[test]
fn the_request_digest_has_32_bytes() {
    for (bytes, expected) in [
        (31, "profile_violation"),
        (32, "allow"),
        (33, "profile_violation"),
    ] {
        let fact = format!("request_digest(hex:{})", "09".repeat(bytes));
        assert_eq!(
            verdict(&replaced("request_digest", &fact)),
            expected,
            "{bytes}"
        );
    }
}

#[test]
fn the_holder_is_one_thumbprint_at_most() {
    let thumbprint = "a".repeat(43);
    let one = format!("holder(\"{thumbprint}\")");
    assert_eq!(verdict(&with(&one)), "holder_proof_missing");
    for bad in [
        format!("holder(\"{thumbprint}\");holder(\"{}\")", "b".repeat(43)),
        format!("holder(\"{}\")", "a".repeat(42)),
        format!("holder(\"{}\")", "a".repeat(44)),
        format!("holder(\"{}=\")", "a".repeat(42)),
        "holder(1)".to_owned(),
    ] {
        assert_eq!(verdict(&with(&bad)), "profile_violation", "{bad}");
    }
}

#[test]
fn other_statements_are_refused() {
    for statement in [
        "admin(true)",
        "time(2020-01-01T00:00:00Z)",
        "delegate(\"sub-7\")",
        "tool(\"files.read_file\")",
        "grant($i, $t, \"write\", $p) <- grant($i, $t, \"read\", $p)",
        "check if true",
        "check if tool(\"files.read_file\")",
        "check all tool($t), $t == \"files.read_file\"",
        "reject if tool(\"files.write_file\")",
        "check if time($t), $t < 2027-01-01T00:00:00Z",
        "check if request_audience(\"http://other/\")",
        "check if request_audience($a) trusting previous",
    ] {
        assert_eq!(
            verdict(&with(statement)),
            "profile_violation",
            "{statement}"
        );
    }
}

#[test]
fn the_fixed_checks_have_one_form() {
    for (start, replacement) in [
        (
            "check if time",
            "check if time($t), $t <= 2026-01-31T12:15:00Z",
        ),
        (
            "check if time",
            "check if time($t), $t < 2026-01-31T12:15:01Z",
        ),
        (
            "check if time",
            "check all time($t), $t < 2026-01-31T12:15:00Z",
        ),
        (
            "check if time",
            "check if 2026-01-31T12:15:00Z > 2026-01-31T12:00:00Z",
        ),
        ("check if request_audience", "check if request_audience($a)"),
        (
            "check if request_audience",
            "check if audience(\"http://127.0.0.1:8401/mcp\")",
        ),
    ] {
        assert_eq!(
            verdict(&replaced(start, replacement)),
            "profile_violation",
            "{replacement}"
        );
    }
}

#[test]
fn argument_limits_bind_their_tool_in_one_form() {
    let limit = |tool: &str, argument: &str| {
        format!("check if tool($t), !{tool}.contains($t) or {argument}")
    };
    for (statement, expected) in [
        (
            limit(
                "[\"files.read_file\"]",
                "args($a), $a.get(\"path\").starts_with(\"reports/\")",
            ),
            "allow",
        ),
        (
            limit(
                "[\"files.read_file\"]",
                "args($a), $a.get(\"path\") == \"other\"",
            ),
            "caveat_failed",
        ),
        (
            limit(
                "[\"files.search\"]",
                "args($a), $a.get(\"path\") == \"other\"",
            ),
            "allow",
        ),
        (
            limit(
                "[\"files.read_file\"]",
                "args($a), $a.all($kv -> [\"path\"].contains($kv.get(0)))",
            ),
            "allow",
        ),
        (
            limit(
                "[\"files.read_file\"]",
                "args($a), $a.all($kv -> [\"other\"].contains($kv.get(0)))",
            ),
            "caveat_failed",
        ),
        // Not an argument shape, not the one form.
        (
            limit("[\"files.search\"]", "access(\"read\")"),
            "profile_violation",
        ),
        (
            limit("[\"a\", \"b\"]", "args($a), $a.get(\"n\") == 1"),
            "profile_violation",
        ),
        (
            limit("{\"files.search\"}", "args($a), $a.get(\"n\") == 1"),
            "profile_violation",
        ),
        (
            "check if tool($t), [\"a\"].contains($t) or args($a), $a.get(\"n\") == 1".to_owned(),
            "profile_violation",
        ),
        (
            "check if args($a), $a.get(\"n\") == 1 or tool($t), ![\"a\"].contains($t)".to_owned(),
            "profile_violation",
        ),
        (
            "check if args($a), $a.contains(\"path\")".to_owned(),
            "profile_violation",
        ),
    ] {
        assert_eq!(verdict(&with(&statement)), expected, "{statement}");
    }
}

/// The digest of the usual call, computed by hand from the text of rule 24.
fn usual_call() -> String {
    use sha2::{Digest, Sha256};
    let canonical = r#"{"arguments":{"path":"reports/q3.md"},"tool":"files.read_file"}"#;
    format!("hex:{}", hex::encode(Sha256::digest(canonical)))
}

#[test]
fn exact_calls_bind_their_tool_in_one_form() {
    let (this, other) = (usual_call(), format!("hex:{}", "07".repeat(32)));
    let limit = |tool: &str, calls: &str| {
        format!("check if tool($t), ![\"{tool}\"].contains($t) or {calls}")
    };
    let listed = |list: &str| format!("call_digest($d), [{list}].contains($d)");
    let read = |calls: String| limit("files.read_file", &calls);
    for (statement, expected) in [
        // Allowed for hosts that count; this one does not.
        (read(listed(&this)), "policy_denied"),
        (
            read(listed(&format!("{other}, {this}, {this}"))),
            "policy_denied",
        ),
        (read(listed(&other)), "approval_required"),
        (limit("files.search", &listed(&other)), "allow"),
        // Not the one form.
        (read(listed("")), "profile_violation"),
        (read(listed("hex:07")), "profile_violation"),
        (read(listed(&format!("{this}, 1"))), "profile_violation"),
        (
            read(format!("call_digest($d), {{{this}, {other}}}.contains($d)")),
            "profile_violation",
        ),
        (read(format!("call_digest({this})")), "profile_violation"),
        (read("call_digest($d)".to_owned()), "profile_violation"),
        (
            read(format!("call_digest($d), $d == {this}")),
            "profile_violation",
        ),
        (
            read(format!("{}, true", listed(&this))),
            "profile_violation",
        ),
        (format!("check if {}", listed(&this)), "profile_violation"),
        (
            format!("{};{}", read(listed(&this)), read(listed(&this))),
            "profile_violation",
        ),
    ] {
        assert_eq!(verdict(&with(&statement)), expected, "{statement}");
    }
    let many = |count: usize| read(listed(&vec![other.as_str(); count].join(", ")));
    assert_eq!(verdict(&with(&many(32))), "approval_required");
    assert_eq!(verdict(&with(&many(33))), "limit_exceeded");
}

#[test]
fn a_later_block_holds_no_exact_calls() {
    let listed = format!("call_digest($d), [{}].contains($d)", usual_call());
    for check in [
        format!("check if {listed};"),
        format!("check if tool($t), ![\"files.read_file\"].contains($t) or {listed};"),
        format!("check if tool($t), [\"files.read_file\"].contains($t), {listed};"),
    ] {
        let token = append_text(&mint(&authority()), &check);
        assert_eq!(verdict(&token), "profile_violation", "{check}");
    }
}

#[test]
fn the_session_ends_without_leeway_and_begins_with_30_seconds() {
    let token = UnverifiedToken::from_bytes(mint(&authority()).to_vec().unwrap()).unwrap();
    for (now, expected) in [
        (ISSUED_AT - 31, "not_yet_valid"),
        (ISSUED_AT - 30, "allow"),
        (EXPIRES_AT - 1, "allow"),
        (EXPIRES_AT, "expired"),
        (u64::MAX, "expired"),
    ] {
        let decision = verifier().authorize(&token, &call(), at(now));
        assert_eq!(code(&decision), expected, "{now}");
    }
}

#[test]
fn the_audience_is_compared_byte_for_byte() {
    for audience in [
        "http://127.0.0.1:8401/mcp/",
        "HTTP://127.0.0.1:8401/mcp",
        "http://127.0.0.1:8401/MCP",
        "http://127.0.0.1:8401",
        "http://localhost:8401/mcp",
    ] {
        let authority = Authority {
            audience: Audience::parse(audience).unwrap(),
            ..authority()
        };
        assert_eq!(verdict(&mint(&authority)), "wrong_audience", "{audience}");
    }
}

#[test]
fn a_token_minted_long_ago_is_no_older_than_its_end() {
    let authority = Authority {
        issued_at: Timestamp::EPOCH,
        expires_at: Timestamp::from_unix(NOW + 1),
        ..authority()
    };
    assert_eq!(verdict(&mint(&authority)), "allow");
}
