//! Later blocks: rules 15 and 17 to 20.

use bailiwick_datalog::{Call, ResourcePath, UrlArgument};
use biscuit_auth::format::schema::{self, scope};
use prost::Message;
use serde_json::{Map, Value, json};

use crate::support::{
    AUDIENCE, Forge, append_text, authority, call, call_on, code, decide_call, mint, verdict,
};

fn narrowed(source: &str) -> &'static str {
    verdict(&append_text(&mint(&authority()), source))
}

/// The decision about a call with these arguments by a token narrowed with one check.
fn with_arguments(check: &str, arguments: Value) -> &'static str {
    decide(
        check,
        &call_on(&["files/reports/q3.md"], object(&arguments)),
    )
}

fn decide(check: &str, call: &Call) -> &'static str {
    let token = append_text(&mint(&authority()), &format!("{check};"));
    code(&decide_call(&token.to_vec().unwrap(), call))
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

#[test]
fn a_block_may_say_nothing_or_name_its_delegate() {
    for source in ["", "delegate(\"sub-7\");", "delegate(\"\u{202e}\");"] {
        assert_eq!(narrowed(source), "allow", "{source}");
    }
    for source in [
        "delegate(\"a\"); delegate(\"b\");",
        "delegate(1);",
        "delegate(\"a\", \"b\");",
    ] {
        assert_eq!(narrowed(source), "profile_violation", "{source}");
    }
}

#[test]
fn other_facts_are_refused_even_copies() {
    for source in [
        "grant(\"g\", \"files.read_file\", \"read\", [\"files\", \"reports\"]);",
        "grant(\"g\", \"files.write_file\", \"write\", [\"files\"]);",
        "bailiwick(1);",
        "session(\"s-1\");",
        "expires_at(2030-01-01T00:00:00Z);",
        "max_depth(99);",
        "audience(\"http://other/\");",
        "time(2020-01-01T00:00:00Z);",
        "tool(\"files.read_file\");",
        "access(\"read\");",
        "resource([\"files\", \"reports\"]);",
        "args({\"n\": 1});",
        "depth(0);",
        "request_audience(\"http://other/\");",
        "path_arg(\"path\", [\"files\"]);",
        "url_arg(\"url\", {\"port\": 443});",
        "anything(1);",
    ] {
        assert_eq!(narrowed(source), "profile_violation", "{source}");
    }
}

#[test]
fn rules_and_scopes_and_public_keys_and_contexts_are_refused() {
    let key = "ed25519/d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    for source in [
        "grant($i, $t, \"write\", $p) <- grant($i, $t, \"read\", $p);",
        "x($t) <- tool($t);",
        "check if access(\"read\") trusting authority;",
        "check if access(\"read\") trusting previous;",
        &format!("check if access(\"read\") trusting {key};"),
    ] {
        assert_eq!(narrowed(source), "profile_violation", "{source}");
    }
    let token = append_text(&mint(&authority()), "check if access(\"read\");");
    let forge = Forge::of(&token).edit(1, |block| {
        let key = crate::support::public(&crate::support::signing_key(9));
        block.public_keys.push(key);
    });
    assert_eq!(forge.verdict(), "profile_violation");
    let forge = Forge::of(&token).edit(1, |block| {
        block.scope.push(schema::Scope {
            content: Some(scope::Content::ScopeType(i32::from(
                scope::ScopeType::Previous,
            ))),
        });
    });
    assert_eq!(forge.verdict(), "profile_violation");
    let forge = Forge::of(&token).edit(1, |block| block.context = Some("note".to_owned()));
    assert_eq!(forge.verdict(), "profile_violation");
}

#[test]
fn conditions_on_the_request_hold_or_refuse_with_their_code() {
    for (holds, fails, refusal) in [
        (
            "time($t), $t <= 2026-01-31T12:01:00Z",
            "time($t), $t <= 2026-01-31T12:00:59Z",
            "expired",
        ),
        (
            "time($now), $now < 2026-01-31T12:01:01Z",
            "time($now), $now < 2026-01-31T12:01:00Z",
            "expired",
        ),
        (
            "tool(\"files.read_file\")",
            "tool(\"files.search\")",
            "caveat_failed",
        ),
        (
            "tool($t), [\"files.search\", \"files.read_file\"].contains($t)",
            "tool($t), [\"files.search\"].contains($t)",
            "caveat_failed",
        ),
        (
            "tool($t), {\"files.search\", \"files.read_file\"}.contains($t)",
            "tool($t), {\"files.search\"}.contains($t)",
            "caveat_failed",
        ),
        ("access(\"read\")", "access(\"write\")", "caveat_failed"),
        (
            "access($a), [\"read\", \"write\"].contains($a)",
            "access($a), [\"destructive\"].contains($a)",
            "caveat_failed",
        ),
        (
            "resource($r), $r.starts_with([\"files\", \"reports\"])",
            "resource($r), $r.starts_with([\"files\", \"report\"])",
            "caveat_failed",
        ),
        (
            "resource($r), $r.starts_with([\"x\"]) || $r.starts_with([\"files\"])",
            "resource($r), $r.starts_with([\"x\"]) || $r.starts_with([\"y\"])",
            "caveat_failed",
        ),
        ("depth($d), $d <= 1", "depth($d), $d <= 0", "depth_exceeded"),
        (
            "request_audience(\"http://127.0.0.1:8401/mcp\")",
            "request_audience(\"http://127.0.0.1:8401/mcp/\")",
            "wrong_audience",
        ),
    ] {
        assert!(AUDIENCE.ends_with("8401/mcp"));
        for kind in ["if", "all"] {
            assert_eq!(
                narrowed(&format!("check {kind} {holds};")),
                "allow",
                "{holds}"
            );
            assert_eq!(
                narrowed(&format!("check {kind} {fails};")),
                refusal,
                "{fails}"
            );
        }
    }
}

#[test]
fn conditions_on_arguments_hold_or_refuse() {
    for (check, holds, fails) in [
        (
            "$a.get(\"n\") == \"v\"",
            json!({"n": "v"}),
            json!({"n": "w"}),
        ),
        ("$a.get(\"n\") == 5", json!({"n": 5}), json!({"n": 6})),
        ("$a.get(\"n\") == -5", json!({"n": -5}), json!({"n": 5})),
        (
            "$a.get(\"n\") == true",
            json!({"n": true}),
            json!({"n": false}),
        ),
        (
            "[\"v\", \"w\"].contains($a.get(\"n\"))",
            json!({"n": "w"}),
            json!({"n": "x"}),
        ),
        (
            "[1, 2].contains($a.get(\"n\"))",
            json!({"n": 2}),
            json!({"n": 3}),
        ),
        (
            "$a.get(\"n\") >= 1, $a.get(\"n\") <= 3",
            json!({"n": 1}),
            json!({"n": 0}),
        ),
        (
            "$a.get(\"n\") >= 1, $a.get(\"n\") <= 3",
            json!({"n": 3}),
            json!({"n": 4}),
        ),
        (
            "$a.get(\"n\") >= 1",
            json!({"n": i64::MAX}),
            json!({"n": 0}),
        ),
        (
            "$a.get(\"n\") <= 3",
            json!({"n": i64::MIN}),
            json!({"n": 4}),
        ),
        (
            "$a.get(\"n\").starts_with(\"p\")",
            json!({"n": "pq"}),
            json!({"n": "qp"}),
        ),
        (
            "$a.get(\"n\").ends_with(\"s\")",
            json!({"n": "rs"}),
            json!({"n": "sr"}),
        ),
        (
            "$a.get(\"n\").all($x -> [\"a\", \"b\"].contains($x))",
            json!({"n": ["a", "a"]}),
            json!({"n": ["a", "c"]}),
        ),
        (
            "$a.get(\"n\").any($x -> [\"a\", \"b\"].contains($x))",
            json!({"n": ["c", "a"]}),
            json!({"n": ["c"]}),
        ),
        (
            "[\"a\", \"b\"].all($x -> $a.get(\"n\").contains($x))",
            json!({"n": ["b", "c", "a"]}),
            json!({"n": ["b", "c"]}),
        ),
        (
            "$a.get(\"n\").length() <= 2",
            json!({"n": ["a", "b"]}),
            json!({"n": ["a", "b", "c"]}),
        ),
        ("$a.contains(\"n\")", json!({"n": 1}), json!({"m": 1})),
        ("!$a.contains(\"n\")", json!({"m": 1}), json!({"n": 1})),
        (
            "$a.all($kv -> [\"n\", \"m\"].contains($kv.get(0)))",
            json!({"n": 1, "m": 2}),
            json!({"n": 1, "o": 2}),
        ),
        (
            "!$a.contains(\"n\") || $a.get(\"n\") == 5",
            json!({"n": 5}),
            json!({"n": 6}),
        ),
    ] {
        for kind in ["if", "all"] {
            let check = format!("check {kind} args($a), {check}");
            assert_eq!(
                with_arguments(&check, holds.clone()),
                "allow",
                "{check} {holds}"
            );
            assert_eq!(
                with_arguments(&check, fails.clone()),
                "caveat_failed",
                "{check} {fails}"
            );
        }
    }
    let optional = "check if args($a), !$a.contains(\"n\") || $a.get(\"n\") == 5";
    assert_eq!(with_arguments(optional, json!({})), "allow");
}

#[test]
fn a_missing_argument_fails_every_condition_that_is_not_optional() {
    for check in [
        "$a.get(\"n\") == 5",
        "[5].contains($a.get(\"n\"))",
        "$a.get(\"n\") <= 5",
        "$a.get(\"n\").starts_with(\"\")",
        "$a.get(\"n\").all($x -> [1].contains($x))",
        "$a.get(\"n\").length() <= 5",
        "$a.contains(\"n\")",
    ] {
        let check = format!("check if args($a), {check}");
        assert_eq!(
            with_arguments(&check, json!({"m": 5})),
            "caveat_failed",
            "{check}"
        );
    }
}

#[test]
fn values_that_are_not_exact_fail_every_condition_on_them() {
    for value in [
        json!(5.0),
        json!(5.5),
        serde_json::from_str("1e1").unwrap(),
        json!(9_223_372_036_854_775_808_u64),
        serde_json::from_str("-9223372036854775809").unwrap(),
        Value::Null,
        json!([5, 5.5]),
        json!({"deep": [null]}),
    ] {
        for check in [
            "$a.get(\"n\") == 5",
            "[5, 10].contains($a.get(\"n\"))",
            "$a.get(\"n\") >= 1",
            "$a.get(\"n\") <= 9",
            "$a.get(\"n\").all($x -> [5].contains($x))",
            "$a.get(\"n\").any($x -> [5].contains($x))",
            "[5].all($x -> $a.get(\"n\").contains($x))",
            "$a.get(\"n\").length() <= 9",
            "!$a.contains(\"n\") || $a.get(\"n\") == 5",
            "!$a.contains(\"n\")",
            "$a.all($kv -> [\"m\"].contains($kv.get(0)))",
        ] {
            let check = format!("check if args($a), {check}");
            assert_eq!(
                with_arguments(&check, json!({"n": value})),
                "caveat_failed",
                "{check} {value}"
            );
        }
        // Nothing is asked of this argument, so it may be anything.
        assert_eq!(
            with_arguments(
                "check if args($a), $a.get(\"m\") == 5",
                json!({"n": value, "m": 5})
            ),
            "allow"
        );
    }
}

#[test]
fn values_of_another_type_fail() {
    for (check, value) in [
        ("$a.get(\"n\") == 5", json!("5")),
        ("$a.get(\"n\") == \"5\"", json!(5)),
        ("$a.get(\"n\") == true", json!("true")),
        ("$a.get(\"n\") == true", json!(1)),
        ("$a.get(\"n\") == \"v\"", json!(["v"])),
        ("[\"v\"].contains($a.get(\"n\"))", json!(["v"])),
        ("$a.get(\"n\") >= 1", json!("9")),
        ("$a.get(\"n\").starts_with(\"p\")", json!(["p"])),
        ("$a.get(\"n\").ends_with(\"p\")", json!(["p"])),
        ("$a.get(\"n\").all($x -> [\"a\"].contains($x))", json!("a")),
        ("$a.get(\"n\").any($x -> [\"a\"].contains($x))", json!("a")),
        ("[\"a\"].all($x -> $a.get(\"n\").contains($x))", json!("a")),
        (
            "[\"a\"].all($x -> $a.get(\"n\").contains($x))",
            json!({"a": 1}),
        ),
        ("$a.get(\"n\").length() <= 5", json!(1)),
    ] {
        let check = format!("check if args($a), {check}");
        assert_eq!(
            with_arguments(&check, json!({"n": value})),
            "caveat_failed",
            "{check} {value}"
        );
    }
}

#[test]
fn path_conditions_need_a_declared_path() {
    let check = "check if path_arg(\"path\", $p), $p.starts_with([\"files\", \"reports\"])";
    let path = |text: &str| ResourcePath::parse(text).unwrap();
    assert_eq!(decide(check, &call()), "caveat_failed", "nothing declared");
    for (declared, expected) in [
        ("files/reports/q3.md", "allow"),
        ("files/reports-evil/q3.md", "caveat_failed"),
    ] {
        let call = call().with_path_argument("path", path(declared));
        assert_eq!(decide(check, &call), expected, "{declared}");
    }
    let other = call().with_path_argument("other", path("files/reports"));
    assert_eq!(decide(check, &other), "caveat_failed", "another argument");
}

#[test]
fn url_conditions_need_a_declared_url() {
    for (part, holds, fails) in [
        (
            "$u.get(\"scheme\") == \"https\"",
            "https://api.example/v1",
            "http://api.example/v1",
        ),
        (
            "$u.get(\"host\") == \"api.example\"",
            "https://api.example/v1",
            "https://api.example.evil/v1",
        ),
        (
            "$u.get(\"host\").ends_with(\".example\")",
            "https://api.example/v1",
            "https://apiexample/v1",
        ),
        (
            "$u.get(\"port\") == 443",
            "https://api.example/v1",
            "https://api.example:444/v1",
        ),
        (
            "$u.get(\"path\").starts_with(\"/v1\")",
            "https://api.example/v1/x",
            "https://api.example/v2/x",
        ),
    ] {
        let check = format!("check if url_arg(\"url\", $u), {part}");
        let declared = |text: &str| {
            call_on(&["files/reports/q3.md"], object(&json!({"url": text})))
                .with_url_argument("url", UrlArgument::parse(text).unwrap())
        };
        assert_eq!(decide(&check, &declared(holds)), "allow", "{part}");
        assert_eq!(decide(&check, &declared(fails)), "caveat_failed", "{part}");
        assert_eq!(
            decide(&check, &call()),
            "caveat_failed",
            "{part} undeclared"
        );
    }
    for ambiguous in [
        "https://user@api.example/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "api.example",
    ] {
        assert!(UrlArgument::parse(ambiguous).is_none(), "{ambiguous}");
    }
}

#[test]
fn everything_outside_the_closed_list_is_refused() {
    for check in [
        // True or false whatever the request is.
        "check if true",
        "check if 1 == 1",
        "reject if tool(\"files.write_file\")",
        "check if tool($t)",
        "check if resource($r)",
        // Facts of the authority block, which only the policy reads.
        "check if session(\"s-1\")",
        "check if grant($i, $t, $a, $p), tool($t)",
        // More than one query, or more than the shape has.
        "check if access(\"read\") or access(\"write\")",
        "check if tool(\"files.read_file\"), access(\"read\")",
        "check if tool($t), access($a), resource($r), args($m)",
        "check if access(\"read\"), 1 == 1",
        "check if time($t), $t <= 2030-01-01T00:00:00Z, $t < 2031-01-01T00:00:00Z",
        // Near misses of each shape.
        "check if time($t), $t > 2020-01-01T00:00:00Z",
        "check if time($t), 2030-01-01T00:00:00Z > $t",
        "check if time(2026-01-31T12:01:00Z)",
        "check if tool($t), $t == \"files.read_file\"",
        "check if tool($t), $t.starts_with(\"files.\")",
        "check if tool($t), $t.matches(\"files\")",
        "check if tool($t), [\"files.search\"].contains($t) || $t == \"files.read_file\"",
        "check if tool($t), ![\"files.search\"].contains($t)",
        "check if tool($t), [1].contains($t)",
        "check if access($a), {\"read\", \"write\"}.contains($a)",
        "check if resource($r), $r == [\"files\", \"reports\", \"q3.md\"]",
        "check if resource([\"files\", \"reports\", \"q3.md\"])",
        "check if resource($r), [\"files\"].contains($r)",
        "check if resource($r), !$r.starts_with([\"files\", \"private\"])",
        "check if resource($r), $r.starts_with([1])",
        "check if resource($r), $r.starts_with([\"files\"]) && $r.starts_with([\"files\"])",
        "check if depth($d), $d < 9",
        "check if depth($d), $d == 1",
        "check if depth($d), $d <= 9, $d >= 0",
        "check if request_audience($a), $a.starts_with(\"http\")",
        "check if args($a), $a.get(\"path\") != \"x\"",
        "check if args($a), $a.get(\"path\") === \"reports/q3.md\"",
        "check if args($a), $a.get(\"path\") == \"reports/q3.md\" || true",
        "check if args($a), $a.get(\"path\") == \"a\" || $a.get(\"path\") == \"b\"",
        "check if args($a), $a.get(\"path\").matches(\"[\")",
        "check if args($a), !$a.get(\"path\").matches(\"[\")",
        "check if args($a), $a.get(\"path\").contains(\"q3\")",
        "check if args($a), $a.get(\"path\") > \"a\"",
        "check if args($a), $a.get(\"n\") + 1 == 2",
        "check if args($a), $a.get($a.get(\"n\")) == 1",
        "check if args($a), $a.get(\"n\") == null",
        "check if args($a), $a.get(\"n\") == hex:00",
        "check if args($a), $a.get(\"n\") == 2026-01-31T12:00:00Z",
        "check if args($a), $a.get(\"n\").all($x -> $x == 1)",
        "check if args($a), $a.get(\"n\").all($x -> [1].any($y -> $x == $y))",
        "check if args($a), $a.get(\"n\").any($x -> $x.starts_with(\"a\"))",
        "check if args($a), $a.get(\"n\").length() == 2",
        "check if args($a), $a.all($kv -> [\"n\"].contains($kv.get(1)))",
        "check if args($a), $a.any($kv -> [\"n\"].contains($kv.get(0)))",
        "check if args($a), $a.get(\"n\").type() == \"string\"",
        "check if args($a), $a.get(\"n\").extern::test()",
        "check if args($a), !$a.contains(\"m\") || $a.get(\"n\") == 5",
        "check if args($a), !$a.contains(\"n\") || !$a.contains(\"n\") || $a.get(\"n\") == 5",
        "check if args($a), args($b), $a.get(\"n\") == 5",
        "check if args({\"n\": 5})",
        "check if path_arg($n, $p), $p.starts_with([\"files\"])",
        "check if path_arg(\"path\", $p), $p == [\"files\"]",
        "check if url_arg(\"url\", $u), $u.get(\"query\") == \"\"",
        "check if url_arg(\"url\", $u), $u.get(\"scheme\") == \"https\" || true",
        "check if unknown($x)",
    ] {
        assert_eq!(
            narrowed(&format!("{check};")),
            "profile_violation",
            "{check}"
        );
    }
}

#[test]
fn undefined_symbols_and_operations_are_malformed() {
    let token = append_text(&mint(&authority()), "check if access(\"read\");");
    let forge = Forge::of(&token).edit(1, |block| {
        block.checks[0].queries[0].body[0].name = 5_000;
    });
    assert_eq!(forge.verdict(), "malformed_token");
    let forge = Forge::of(&token).edit(1, |block| block.checks[0].kind = Some(9));
    assert_eq!(forge.verdict(), "malformed_token");
    let forge = Forge::of(&token).edit(1, |block| block.checks[0].queries.clear());
    assert_eq!(forge.verdict(), "profile_violation");
}

#[test]
fn symbols_of_earlier_blocks_cannot_be_listed_again() {
    let token = append_text(&mint(&authority()), "check if tool(\"files.read_file\");");
    let forge = Forge::of(&token).edit(1, |block| block.symbols.push("s-1".to_owned()));
    assert_eq!(forge.verdict(), "malformed_token");
}

#[test]
fn variables_without_a_name_are_malformed() {
    let check = "check if args($a), [\"a\"].all($x -> $a.get(\"n\").contains($x));";
    let token = append_text(&mint(&authority()), check);
    let last = |block: &schema::Block| 1_023 + u32::try_from(block.symbols.len()).unwrap();
    let symbols_before = {
        let first = Forge::of(&mint(&authority()));
        let block = schema::Block::decode(first.message.authority.block.as_slice()).unwrap();
        last(&block) - 1_023
    };
    let renamed = |unknown: bool| {
        Forge::of(&token)
            .edit(1, |block| {
                let named = symbols_before + last(block);
                let name = if unknown { named + 1 } else { named };
                let expression = &mut block.checks[0].queries[0].expressions[0];
                for op in &mut expression.ops {
                    if let Some(schema::op::Content::Closure(closure)) = &mut op.content {
                        closure.params = vec![name];
                        rename_last_variable(&mut closure.ops, name);
                    }
                }
            })
            .verdict()
    };
    // Without the argument the check fails, so a well-formed one is a failed caveat.
    assert_eq!(renamed(false), "caveat_failed");
    assert_eq!(renamed(true), "malformed_token");
    let variable = Forge::of(&append_text(
        &mint(&authority()),
        "check if time($t), $t < 2030-01-01T00:00:00Z;",
    ))
    .edit(1, |block| {
        let name = Some(schema::term::Content::Variable(500));
        let query = &mut block.checks[0].queries[0];
        query.body[0].terms[0].content = name.clone();
        if let Some(schema::op::Content::Value(term)) = &mut query.expressions[0].ops[0].content {
            term.content = name;
        }
    });
    assert_eq!(variable.verdict(), "malformed_token");
}

/// Gives the last variable among operations another name.
fn rename_last_variable(ops: &mut [schema::Op], name: u32) {
    let variables = ops.iter_mut().filter_map(|op| match &mut op.content {
        Some(schema::op::Content::Value(term)) => match &mut term.content {
            Some(schema::term::Content::Variable(variable)) => Some(variable),
            _ => None,
        },
        _ => None,
    });
    if let Some(variable) = variables.last() {
        *variable = name;
    }
}
