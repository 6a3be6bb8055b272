//! What is refused when a policy is loaded: for each problem a text that passes, and one that
//! differs in one thing and fails with the exact code at the exact place.

use std::collections::BTreeSet;

use bailiwick_datalog::operator::{
    MAX_POLICY_BYTES, MAX_PROBLEMS, MAX_RULES, PROBLEM_CODES, WARNING_CODES,
};

use crate::scene::{load, problems};

/// A text that passes; one that does not; its only problem's code, place and help.
type Refused = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

fn check(cases: &[Refused]) {
    for (good, bad, code, place, help) in cases {
        load(good);
        let found = problems(bad);
        let shown: Vec<_> = found
            .iter()
            .map(|problem| {
                let place = bad.get(problem.span.clone()).unwrap();
                (problem.code, place, problem.help.as_deref())
            })
            .collect();
        assert_eq!(shown, [(*code, *place, *help)], "{bad}\n{found:?}");
    }
}

const SPACES: &str =
    "write single spaces inside `check if`, none before `.` or before a method's `(`";

#[test]
fn texts_that_are_no_datalog_are_refused_where_they_go_wrong() {
    check(
        &[
            ("deny if true;", "deny if ;", "syntax_error", ";", None),
            (
                "deny if depth(1);",
                "deny if depth(1;",
                "syntax_error",
                ";",
                None,
            ),
            (
                "deny if depth(1);",
                "deny if depth();",
                "syntax_error",
                ")",
                None,
            ),
            (
                "deny if depth(1);",
                "deny if depth(1) depth(2);",
                "syntax_error",
                "depth",
                None,
            ),
            (
                "deny if depth(1);",
                "deny if depth(1);;",
                "syntax_error",
                ";",
                None,
            ),
            (
                "deny if depth(1);",
                "deny of depth(1);",
                "syntax_error",
                "deny of",
                Some("did you mean `deny if`?"),
            ),
            (
                "deny if agent(\"a\");",
                "deny if agent(\"a);",
                "syntax_error",
                "\"a);",
                None,
            ),
            (
                "deny if agent(\"\\n\");",
                "deny if agent(\"\\t\");",
                "syntax_error",
                "\\",
                None,
            ),
            (
                "deny if time($t), $t > 2026-01-31T12:00:00Z;",
                "deny if time($t), $t > 2026-01-32T12:00:00Z;",
                "syntax_error",
                "2026-01-32T12:00:00Z",
                None,
            ),
            (
                "deny if task(\"9223372036854775808\");",
                "deny if depth(9223372036854775808);",
                "syntax_error",
                "9223372036854775808",
                None,
            ),
            (
                "deny if task($t), hex:00.length() < $t.length();",
                "deny if task($t), hex:0.length() < $t.length();",
                "syntax_error",
                "hex:0",
                None,
            ),
            (
                "deny if task($t), $t.contains(\"a\");",
                "deny if task($t), $t.contain(\"a\");",
                "syntax_error",
                "contain",
                Some("did you mean `contains`?"),
            ),
            (
                "/* a; */ deny if true;",
                "/* a; deny if true;",
                "syntax_error",
                "/* a; deny if true;",
                Some("write `*/`"),
            ),
            (
                "// a\ndeny if depth(1);",
                "deny if // a\ndepth(1);",
                "syntax_error",
                "// a",
                Some("comments may stand only between statements"),
            ),
            (
                "f(1); deny if f($x), depth($x);",
                "f($x); deny if f($x), depth($x);",
                "syntax_error",
                "$x",
                Some("a rule that derives facts is written `head(…) <- body`"),
            ),
            (
                "deny if depth(1);",
                "deny if depth(1), ünknown(1);",
                "syntax_error",
                "ü",
                None,
            ),
            (
                "deny if args({\"a\": 1});",
                "deny if args({\"a\": 1, \"a\": 2});",
                "syntax_error",
                "\"a\"",
                None,
            ),
            (
                "deny if agent(\"a\") or agent(\"b\");",
                "deny if agent(\"a\") or ;",
                "syntax_error",
                ";",
                None,
            ),
        ]
        .map(|(good, bad, code, place, help)| {
            // What is missing at the end of a statement is missing where the `;` stands.
            (
                good,
                bad,
                code,
                if place == ";" && !bad.contains(";;") {
                    ""
                } else {
                    place
                },
                help,
            )
        }),
    );
}

#[test]
fn what_the_library_reads_otherwise_is_refused() {
    for (good, bad) in [
        ("check if depth(1);", "check  if depth(1);"),
        (
            "deny if task($t), $t.contains(\"a\");",
            "deny if task($t), $t .contains(\"a\");",
        ),
        (
            "deny if task($t), $t.contains(\"a\");",
            "deny if task($t), $t.contains (\"a\");",
        ),
        ("deny if args({\"a\": 1});", "deny if args({\"a\": {}});"),
        (
            "deny if depth($d), {1, 2}.contains($d);",
            "deny if depth($d), {1, \"a\"}.contains($d);",
        ),
    ] {
        load(good);
        let found = problems(bad);
        assert_eq!(found.len(), 1, "{bad}");
        assert_eq!(
            (found[0].code, found[0].help.as_deref()),
            ("syntax_error", Some(SPACES))
        );
        assert_eq!(found[0].span, 0..bad.len() - 1);
    }
}

#[test]
fn what_has_no_place_in_a_policy_is_refused() {
    check(&[
        (
            "deny if depth(1);",
            "deny if depth(1) trusting previous;",
            "unsupported",
            "trusting",
            None,
        ),
        (
            "deny if agent($a), $a.contains(\"x\");",
            "deny if agent($a), $a.extern::same(\"x\");",
            "unsupported",
            "extern::same",
            None,
        ),
        (
            "deny if agent(\"who\");",
            "deny if agent({who});",
            "unsupported",
            "who",
            None,
        ),
    ]);
}

#[test]
fn facts_must_be_there_with_the_right_number_of_values() {
    check(&[
        (
            "deny if application(\"a\");",
            "deny if aplication(\"a\");",
            "unknown_fact",
            "aplication",
            Some("did you mean `application`?"),
        ),
        (
            "deny if depth(1);",
            "deny if weather(\"wet\");",
            "unknown_fact",
            "weather",
            None,
        ),
        (
            "label(\"x\"); deny if label($x), agent($x);",
            "label(\"x\"); deny if label($x), lable($x), agent($x);",
            "unknown_fact",
            "lable",
            Some("did you mean `label`?"),
        ),
        (
            "deny if tool(\"a\");",
            "deny if tool(\"a\", \"b\");",
            "wrong_arity",
            "tool(\"a\", \"b\")",
            None,
        ),
        (
            "owner(\"a\", \"b\"); deny if owner($a, \"b\"), agent($a);",
            "owner(\"a\", \"b\"); deny if owner($a), agent($a);",
            "wrong_arity",
            "owner($a)",
            None,
        ),
        (
            "owner(\"a\"); owner(\"b\"); deny if owner($a), agent($a);",
            "owner(\"a\"); owner(\"b\", 1); deny if owner($a), agent($a);",
            "wrong_arity",
            "owner(\"b\", 1)",
            None,
        ),
    ]);
}

#[test]
fn nobody_defines_a_fact_of_the_token_or_the_request() {
    check(&[
        (
            "tools(\"a\"); deny if tools($t), tool($t);",
            "tools(\"a\"); tool(\"b\"); deny if tools($t), tool($t);",
            "reserved_fact",
            "tool",
            None,
        ),
        (
            "mine($i) <- grant($i, $t, $a, $p); deny if mine(\"g\");",
            "grant($i, $t, $a, $p) <- grant($i, $t, $a, $p); deny if depth(1);",
            "reserved_fact",
            "grant",
            None,
        ),
    ]);
    for fact in [
        "time(2026-01-31T12:00:00Z)",
        "weekday(\"monday\")",
        "holder(\"k\")",
        "args({})",
    ] {
        let found = problems(&format!("{fact}; deny if depth(1);"));
        assert_eq!(
            found.first().map(|problem| problem.code),
            Some("reserved_fact"),
            "{fact}"
        );
    }
}

#[test]
fn values_have_the_type_of_their_fact() {
    check(&[
        (
            "deny if resource([\"files\", \"hr\"]);",
            "deny if resource(\"files/hr\");",
            "wrong_type",
            "\"files/hr\"",
            Some("write [\"files\",\"hr\"]"),
        ),
        (
            "deny if time(2026-01-31T12:00:00Z);",
            "deny if time(\"2026-01-31T12:00:00Z\");",
            "wrong_type",
            "\"2026-01-31T12:00:00Z\"",
            Some("write the date without quotes"),
        ),
        (
            "deny if depth(1);",
            "deny if depth(\"1\");",
            "wrong_type",
            "\"1\"",
            Some("write the number without quotes"),
        ),
        (
            "deny if agent(\"a\");",
            "deny if agent(1);",
            "wrong_type",
            "1",
            None,
        ),
        (
            "deny if resource([\"a\", \"b\"]);",
            "deny if resource([\"a\", 1]);",
            "wrong_type",
            "1",
            None,
        ),
    ]);
}

#[test]
fn operators_have_operands_of_their_types() {
    check(&[
        (
            "deny if resource($r), $r == [\"files\"];",
            "deny if resource($r), $r == \"files\";",
            "wrong_type",
            "\"files\"",
            Some("write [\"files\"]"),
        ),
        (
            "deny if resource($r), $r.starts_with([\"a\", \"b\"]);",
            "deny if resource($r), $r.starts_with(\"a/b\");",
            "wrong_type",
            "\"a/b\"",
            Some("write [\"a\",\"b\"]"),
        ),
        (
            "deny if depth($d), $d > 1;",
            "deny if depth($d), $d > \"1\";",
            "wrong_type",
            "\"1\"",
            None,
        ),
        (
            "deny if time($t), expires_at($e), $t < $e;",
            "deny if time($t), depth($e), $t < $e;",
            "wrong_type",
            "$e",
            None,
        ),
        (
            "deny if agent($a), $a == \"x\";",
            "deny if agent($a), $a == 5;",
            "wrong_type",
            "5",
            None,
        ),
        (
            "deny if agent($a), $a.length() > 5;",
            "deny if depth($a), $a.length() > 5;",
            "wrong_type",
            "$a",
            None,
        ),
        (
            "deny if depth($d), $d > 2;",
            "deny if depth($d), $d + 2;",
            "wrong_type",
            "$d + 2",
            None,
        ),
        (
            "deny if agent($a), [\"x\"].contains($a);",
            "deny if agent($a), [5].contains($a);",
            "wrong_type",
            "$a",
            None,
        ),
        (
            "deny if resource($r), $r.all($s -> $s.contains(\"x\"));",
            "deny if resource($r), $r.all($s -> $s > 5);",
            "wrong_type",
            "$s",
            None,
        ),
        (
            "limit(\"a\", 5); deny if limit($a, $n), agent($a), depth($d), $d > $n;",
            "limit(\"a\", 5); deny if limit($a, $n), agent($a), depth($d), $d > $a;",
            "wrong_type",
            "$a",
            None,
        ),
    ]);
}

/// For each operator, a body that is of its types, and the operand that is not.
#[test]
fn every_operator_demands_its_types_of_every_operand() {
    // An argument may be anything; `$d` is an integer, `$t` a text, `$p` a list of texts.
    let body = |condition: &str| {
        format!("deny if args($a), depth($d), task($t), resource($p), {condition};")
    };
    for (good, bad, place) in [
        ("!($d > 1)", "!$d", "$d"),
        ("$t.length() > 1", "$d.length() > 1", "$d"),
        ("$d - 1 > 5", "$d - $t > 5", "$t"),
        ("$d * 2 > 5", "$t * 2 > 5", "$t"),
        ("$d | 2 > 5", "$d | $t > 5", "$t"),
        ("$d + 1 > 5", "$d + $t > 5", "$t"),
        ("$t + \"a\" == $t", "$t + 1 == $t", "1"),
        ("$p.length() + 1 > 5", "$p + 1 > 5", "$p"),
        ("$t.matches(\"^a$\")", "$d.matches(\"^a$\")", "$d"),
        ("$d > 1 || $d < 0", "$t || $d < 0", "$t"),
        ("$d > 1 && $d < 5", "$p && $d < 5", "$p"),
        ("$d > 1 || $d == 0", "$d > 1 || $d", "$d > 1 || $d"),
        (
            "{1}.union({2}).contains($d)",
            "$t.union({2}).contains($d)",
            "$t",
        ),
        (
            "{1}.intersection({2}).contains($d)",
            "{1}.intersection($p).contains($d)",
            "$p",
        ),
        ("$a.get(\"x\") == 1", "$t.get(\"x\") == 1", "$t"),
        ("$p.get(1) == \"x\"", "$p.get(\"1\") == \"x\"", "\"1\""),
        ("$a.get(\"x\") == 1", "$a.get($p) == 1", "$p"),
        ("$t.contains(\"x\")", "$t.contains($d)", "$d"),
        ("{1}.contains($d)", "{1}.contains(null)", "null"),
        ("$p.contains($t)", "$d.contains($t)", "$d"),
        ("$t.starts_with(\"x\")", "$d.starts_with(\"x\")", "$d"),
        ("$t.ends_with(\"x\")", "$t.ends_with($d)", "$d"),
        (
            "$p.any($x -> $x == \"a\")",
            "$t.any($x -> $x == \"a\")",
            "$t",
        ),
        ("$p.any($x -> $x == \"a\")", "$p.any($x -> $x)", "$x"),
        (
            "$a.all($kv -> $kv.get(0) != \"x\")",
            "$a.all($kv -> $kv > 1)",
            "$kv",
        ),
        (
            "[1, 2].all($x -> $x != $d)",
            "[1, 2].all($x -> $x.contains($d))",
            "$x",
        ),
        (
            "{1, 2}.all($x -> $x != $d)",
            "{1, 2}.all($x -> $x == $t)",
            "$t",
        ),
        ("$a.get(\"x\") > 1", "$a.get(\"x\") > $t", "$t"),
        ("$a.get(\"x\") + 1 > 5", "$a.get(\"x\") + $p == 5", "$p"),
        ("$t.type() == \"string\"", "$t.type() == 1", "1"),
        (
            "($d > 1).try_or(false)",
            "($d > 1).try_or(false) > 1",
            "($d > 1).try_or(false)",
        ),
    ] {
        load(&body(good));
        let bad = body(bad);
        let found = problems(&bad);
        let shown: Vec<_> = found
            .iter()
            .map(|problem| (problem.code, bad.get(problem.span.clone()).unwrap()))
            .collect();
        assert_eq!(shown, [("wrong_type", place)], "{bad}");
    }
    let url = |condition: &str| format!("deny if url_arg(\"u\", $u), {condition};");
    load(&url("$u.get(\"port\") > 1_024").replace("1_024", "1024"));
    assert_eq!(
        problems(&url("$u.get(\"port\") == \"443\""))[0].code,
        "wrong_type"
    );
    assert_eq!(problems(&url("$u.get(\"host\") > 5"))[0].code, "wrong_type");
}

#[test]
fn values_are_such_that_their_fact_can_have_them() {
    check(&[
        (
            "deny if access(\"write\");",
            "deny if access(\"Write\");",
            "impossible_value",
            "\"Write\"",
            Some("did you mean `write`?"),
        ),
        (
            "deny if access($a), $a != \"read\";",
            "deny if access($a), $a != \"raed\";",
            "impossible_value",
            "\"raed\"",
            Some("did you mean `read`?"),
        ),
        (
            "deny if weekday($w), [\"saturday\", \"sunday\"].contains($w);",
            "deny if weekday($w), [\"saturday\", \"sun\"].contains($w);",
            "impossible_value",
            "\"sun\"",
            None,
        ),
        (
            "deny if tool(\"files.read\");",
            "deny if tool(\"Files.read\");",
            "impossible_value",
            "\"Files.read\"",
            Some("did you mean `files.read`?"),
        ),
        (
            "deny if resource([\"a\", \"b\"]);",
            "deny if resource([\"a/b\"]);",
            "impossible_value",
            "\"a/b\"",
            Some("write [\"a\",\"b\"]"),
        ),
        (
            "deny if resource([\"a\", \"b\"]);",
            "deny if resource([\"a\", \"..\"]);",
            "impossible_value",
            "\"..\"",
            None,
        ),
        (
            "deny if time_of_day(1439);",
            "deny if time_of_day(1440);",
            "impossible_value",
            "1440",
            None,
        ),
        (
            "deny if depth(0);",
            "deny if depth(-1);",
            "impossible_value",
            "-1",
            None,
        ),
        (
            "deny if request_digest(hex:abababababababababababababababababababababababababababababababab);",
            "deny if request_digest(hex:ababababababababababababababababababababababababababababababab);",
            "impossible_value",
            "hex:ababababababababababababababababababababababababababababababab",
            None,
        ),
        (
            "deny if holder(\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\");",
            "deny if holder(\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\");",
            "impossible_value",
            "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            None,
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"host\") == \"h\";",
            "deny if url_arg(\"u\", $u), $u.get(\"hots\") == \"h\";",
            "impossible_value",
            "\"hots\"",
            Some("did you mean `host`?"),
        ),
    ]);
}

#[test]
fn variables_have_their_value_from_a_fact() {
    check(&[
        (
            "deny if depth($depth), $depth > 1;",
            "deny if depth($depth), $deph > 1;",
            "unbound_variable",
            "$deph",
            Some("did you mean `$depth`?"),
        ),
        (
            "f($a) <- agent($a); deny if f(\"a\");",
            "f($b) <- agent($a); deny if f(\"a\");",
            "unbound_variable",
            "$b",
            Some("did you mean `$a`?"),
        ),
        (
            "deny if resource($r), $r.any($s -> $s == \"a\");",
            "deny if resource($r), $r.any($r -> $r == \"a\");",
            "shadowed_variable",
            "$r",
            Some("give the parameter a name of its own"),
        ),
        (
            "deny if resource($r), $r.any($s -> $s == \"a\"), agent($s2), $s2 == \"a\";",
            "deny if resource($r), $r.any($s -> $s == \"a\"), $s == \"a\";",
            "unbound_variable",
            "$s",
            Some("did you mean `$r`?"),
        ),
    ]);
}

#[test]
fn sixteen_variables_fit_a_body_and_seventeen_do_not() {
    let body = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("$v{n}")).collect();
        let ones = vec!["1"; count].join(", ");
        format!("f({ones}); deny if f({});", names.join(", "))
    };
    load(&body(16));
    let found = problems(&body(17));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_variables");
    assert_eq!(body(17).get(found[0].span.clone()), Some("$v16"));
}

#[test]
fn regular_expressions_are_written_out_valid_and_anchored() {
    check(&[
        (
            "deny if task($t), $t.matches(\"^secret$\");",
            "deny if task($t), $t.matches(\"^secret\");",
            "unanchored_regex",
            "\"^secret\"",
            Some("write \"^secret$\""),
        ),
        (
            "deny if task($t), $t.matches(\"^(?:a|b)$\");",
            "deny if task($t), $t.matches(\"^a|b$\");",
            "unanchored_regex",
            "\"^a|b$\"",
            Some("write \"^(?:a|b)$\""),
        ),
        (
            "deny if task($t), $t.matches(\"^a$\");",
            "deny if task($t), $t.matches(\"(?m)^a$\");",
            "unanchored_regex",
            "\"(?m)^a$\"",
            Some("write \"^(?m)^a$\""),
        ),
        (
            "deny if task($t), $t.matches(\"^[a]$\");",
            "deny if task($t), $t.matches(\"^[a$\");",
            "invalid_regex",
            "\"^[a$\"",
            None,
        ),
        (
            "deny if task($t), $t.matches(\"^a{2}$\");",
            "deny if task($t), $t.matches(\"^(a{1000}){1000}$\");",
            "invalid_regex",
            "\"^(a{1000}){1000}$\"",
            None,
        ),
        (
            "deny if task($t), agent($a), $t.contains($a);",
            "deny if task($t), agent($a), $t.matches($a);",
            "dynamic_regex",
            "$a",
            None,
        ),
    ]);
}

#[test]
fn sixty_four_regular_expressions_fit_and_one_more_does_not() {
    let policy = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|n| format!("deny if task($t), $t.matches(\"^{n}$\");"))
            .collect();
        rules.join("\n")
    };
    load(&policy(64));
    let found = problems(&policy(65));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_rules");
    assert_eq!(policy(65).get(found[0].span.clone()), Some("\"^64$\""));
}

#[test]
fn sixty_four_conditions_fit_a_body_and_one_more_does_not() {
    let body = |count: usize| {
        let conditions: Vec<String> = (0..count).map(|n| format!("$d != {n}")).collect();
        format!("deny if depth($d), {};", conditions.join(", "))
    };
    load(&body(64));
    let found = problems(&body(65));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_rules");
    assert_eq!(body(65).get(found[0].span.clone()), Some("$d != 64"));
}

#[test]
fn no_more_than_one_hundred_problems_are_reported() {
    let unknown = |count: usize| "deny if x(1);".repeat(count);
    assert_eq!(problems(&unknown(MAX_PROBLEMS - 1)).len(), MAX_PROBLEMS - 1);
    assert_eq!(problems(&unknown(MAX_PROBLEMS)).len(), MAX_PROBLEMS);
    assert_eq!(problems(&unknown(MAX_PROBLEMS + 1)).len(), MAX_PROBLEMS);
}

#[test]
fn conditions_that_never_hold_are_refused() {
    check(&[
        (
            "deny if depth($d), $d > 3, $d < 5;",
            "deny if depth($d), $d < 3, $d > 5;",
            "contradiction",
            "$d > 5",
            None,
        ),
        (
            "deny if depth($d), $d > 3, $d < 5;",
            "deny if depth($d), $d > 3, $d < 4;",
            "contradiction",
            "$d < 4",
            None,
        ),
        (
            "deny if depth($d), $d >= 3, $d <= 3;",
            "deny if depth($d), $d >= 3, $d <= 3, $d != 3;",
            "contradiction",
            "$d != 3",
            None,
        ),
        (
            "deny if depth($d), $d >= 0;",
            "deny if depth($d), $d < 0;",
            "contradiction",
            "$d < 0",
            None,
        ),
        (
            "deny if time_of_day($m), 1439 <= $m;",
            "deny if time_of_day($m), 1440 <= $m;",
            "contradiction",
            "1440 <= $m",
            None,
        ),
        (
            "deny if agent($a), $a == \"x\";",
            "deny if agent($a), $a == \"x\", $a == \"y\";",
            "contradiction",
            "$a == \"y\"",
            None,
        ),
        (
            "deny if access(\"read\") or access(\"write\");",
            "deny if access(\"read\"), access(\"write\");",
            "contradiction",
            "\"write\"",
            None,
        ),
        (
            "deny if tool(\"a\"), tool($t), $t != \"b\";",
            "deny if tool(\"a\"), tool($t), $t != \"a\";",
            "contradiction",
            "$t != \"a\"",
            None,
        ),
        (
            "deny if access($a), ![\"read\", \"write\"].contains($a);",
            "deny if access($a), ![\"read\", \"write\", \"destructive\"].contains($a);",
            "contradiction",
            "![\"read\", \"write\", \"destructive\"].contains($a)",
            None,
        ),
        (
            "deny if agent($a), [\"x\", \"y\"].contains($a), $a == \"x\";",
            "deny if agent($a), [\"x\", \"y\"].contains($a), $a == \"z\";",
            "contradiction",
            "$a == \"z\"",
            None,
        ),
        (
            "deny if time($t), $t > 2026-01-01T00:00:00Z && $t < 2026-01-02T00:00:00Z;",
            "deny if time($t), $t > 2026-01-02T00:00:00Z && $t < 2026-01-01T00:00:00Z;",
            "contradiction",
            "$t > 2026-01-02T00:00:00Z && $t < 2026-01-01T00:00:00Z",
            None,
        ),
        (
            "deny if depth(1), 1 < 2;",
            "deny if depth(1), 2 < 1;",
            "contradiction",
            "2 < 1",
            None,
        ),
        (
            "deny if depth(1), 1 / 1 == 1;",
            "deny if depth(1), 1 / 0 == 1;",
            "contradiction",
            "1 / 0 == 1",
            None,
        ),
        (
            "check if depth($d), !($d > 3), $d > 2;",
            "check if depth($d), !($d > 3), $d > 3;",
            "contradiction",
            "$d > 3",
            None,
        ),
        (
            "deny if depth($d), 3 < $d, $d < 5;",
            "deny if depth($d), 3 < $d, $d < 4;",
            "contradiction",
            "$d < 4",
            None,
        ),
        (
            "deny if depth($d), !($d > 3 && $d < 1000), $d < 3;",
            "deny if depth($d), $d > 3 && $d < 1000, $d < 3;",
            "contradiction",
            "$d < 3",
            None,
        ),
        (
            "label(\"a\", 1); check if agent($x), label($x, 1);",
            "label(\"a\", 1); check if agent($x), label($x, 2);",
            "contradiction",
            "label($x, 2)",
            None,
        ),
    ]);
}

#[test]
fn what_takes_long_to_find_out_is_not_taken_for_a_contradiction() {
    let many: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let many = many.join(",");
    let condition = format!("[{many}].all($x -> [{many}].all($y -> $x + $y >= 0))");
    let policy = format!("deny if depth(5), {condition};");
    assert_eq!(load(&policy).warnings(), []);
}

#[test]
fn a_fact_that_nobody_reads_is_reported_once() {
    let found = problems("label(1); label(2); deny if depth(1);");
    let shown: Vec<_> = found
        .iter()
        .map(|problem| (problem.code, problem.span.clone()))
        .collect();
    assert_eq!(shown, [("unused_fact", 0..5)]);
}

#[test]
fn rules_that_never_decide_are_refused() {
    check(&[
        (
            "deny if access(\"write\"); allow if true;",
            "allow if true; deny if access(\"write\");",
            "unreachable_rule",
            "deny if access(\"write\")",
            None,
        ),
        (
            "deny if tool($_t), depth(2); deny if access(\"write\");",
            "deny if tool($_t); deny if access(\"write\");",
            "unreachable_rule",
            "deny if access(\"write\")",
            None,
        ),
        (
            "allow if agent(\"a\"), access(\"read\"); allow if agent(\"a\");",
            "allow if agent(\"a\"); allow if agent(\"a\"), access(\"read\");",
            "unreachable_rule",
            "allow if agent(\"a\"), access(\"read\")",
            None,
        ),
        (
            "deny if agent(\"a\"); deny if agent($x), $x == \"b\";",
            "deny if agent(\"a\"); deny if agent($x), $x == \"a\";",
            "unreachable_rule",
            "deny if agent($x), $x == \"a\"",
            None,
        ),
        (
            "deny if agent(\"a\") or agent(\"b\");",
            "deny if agent(\"a\") or agent(\"a\");",
            "unreachable_rule",
            "agent(\"a\")",
            None,
        ),
        (
            "check if agent(\"a\"); check if depth(1);",
            "check if agent(\"a\"); check if agent(\"a\");",
            "unreachable_rule",
            "check if agent(\"a\")",
            None,
        ),
        (
            "deny if agent($a), $a.contains(\"x\"); allow if agent($a), $a.contains(\"y\");",
            "deny if agent($a), $a.contains(\"x\"); allow if agent($b), $b.contains(\"x\");",
            "conflicting_rules",
            "allow if agent($b), $b.contains(\"x\")",
            None,
        ),
        (
            "label(\"a\"); deny if label($x), agent($x);",
            "label(\"a\"); deny if agent(\"a\");",
            "unused_fact",
            "label",
            None,
        ),
        (
            "f($a) <- agent($a); deny if f(\"x\");",
            "f($a) <- agent($a); deny if agent(\"x\");",
            "unused_fact",
            "f",
            None,
        ),
    ]);
}

#[test]
fn rules_that_rest_on_their_own_result_are_refused() {
    check(&[(
        "g(1); f($x) <- g($x); deny if f($d), depth($d);",
        "g(1); f($x) <- g($x), f($x); deny if f($d), depth($d);",
        "recursive_rule",
        "f($x) <- g($x), f($x)",
        None,
    )]);
    let found =
        problems("f($x) <- g($x); g($x) <- f($x); h($x) <- g($x); deny if h($d), depth($d);");
    let codes: Vec<_> = found
        .iter()
        .map(|problem| (problem.code, problem.span.start))
        .collect();
    assert_eq!(codes, [("recursive_rule", 0), ("recursive_rule", 16)]);
}

#[test]
fn as_many_combinations_as_two_grants_have_fit_and_more_do_not() {
    check(&[(
        "deny if grant($i, $t, \"read\", $p), grant($j, $t, \"write\", $p);",
        "deny if grant($i, $t, \"read\", $p), grant($j, $t, \"write\", $p), path_arg($n, $p);",
        "join_too_wide",
        "grant($i, $t, \"read\", $p), grant($j, $t, \"write\", $p), path_arg($n, $p)",
        None,
    )]);
    let facts = |count: usize| {
        let facts: Vec<String> = (0..count).map(|n| format!("f({n});")).collect();
        format!("{} deny if f($x), f($y), $x + $y > 5;", facts.join(""))
    };
    load(&facts(256));
    let found = problems(&facts(257));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "join_too_wide");
    assert_eq!(
        facts(257).get(found[0].span.clone()),
        Some("f($x), f($y), $x + $y > 5")
    );
}

#[test]
fn sixteen_facts_fit_a_body_and_seventeen_do_not() {
    let body = |count: usize| {
        let facts: Vec<String> = (0..count)
            .map(|n| format!("path_arg(\"{n}\", [\"a\"])"))
            .collect();
        facts.join(", ")
    };
    // Facts that may exist more than once multiply; one that exists once does not.
    let unique = |count: usize| vec!["depth($d)"; count].join(", ");
    load(&format!("deny if {}, $d > 1;", unique(16)));
    let found = problems(&format!("deny if {}, $d > 1;", unique(17)));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["join_too_wide"]
    );
    assert_eq!(
        problems(&format!("deny if {};", body(3)))[0].code,
        "join_too_wide"
    );
}

#[test]
fn sixteen_brackets_fit_and_seventeen_do_not() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!(
            "deny if depth($d), {}$d > 1{};",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    load(&nested("(", ")", 16));
    let found = problems(&nested("(", ")", 17));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["too_deep"]
    );
    load(&nested("!(", ")", 8));
    let beside = vec!["($d > 1)"; 20].join(" || ");
    load(&format!("deny if depth($d), {beside};"));
    assert_eq!(problems(&nested("!(", ")", 9))[0].code, "too_deep");
    let found = problems(&nested("((((((((((((((((([[[[{{{{", "", 1_000));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["too_deep"]
    );
}

#[test]
fn one_hundred_and_twenty_eight_operations_fit_an_expression_and_one_more_does_not() {
    // One comparison and so many additions.
    let sum = |count: usize| format!("deny if depth($d), $d{} > 500;", " + 1".repeat(count - 1));
    load(&sum(128));
    let found = problems(&sum(129));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["too_deep"]
    );
}

#[test]
fn the_longest_policy_is_loaded_and_one_byte_more_is_refused() {
    let rule = "deny if depth(1);";
    let padded = |length: usize| format!("{rule}{}", "\n".repeat(length - rule.len()));
    load(&padded(MAX_POLICY_BYTES));
    let found = problems(&padded(MAX_POLICY_BYTES + 1));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].span.clone()),
        ("too_large", 0..MAX_POLICY_BYTES + 1)
    );
}

#[test]
fn as_many_rules_as_fit_are_loaded_and_one_more_is_refused() {
    let rules = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|n| format!("deny if agent(\"{n}\");"))
            .collect();
        rules.join("\n")
    };
    load(&rules(MAX_RULES));
    let one_more = rules(MAX_RULES + 1);
    let found = problems(&one_more);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_rules");
    assert_eq!(one_more.get(found[0].span.clone()), Some("agent(\"256\")"));
    let alternatives = rules(MAX_RULES + 1).replace(";\ndeny if", " or");
    assert_eq!(problems(&alternatives)[0].code, "too_many_rules");
}

#[test]
fn a_text_without_a_rule_that_decides_is_refused() {
    check(&[(
        "deny if depth(1);",
        "// depth(1);",
        "empty_policy",
        "// depth(1);",
        Some("to allow what tokens allow, load no policy"),
    )]);
    for empty in ["", " \n", "label(1);"] {
        assert_eq!(problems(empty)[0].code, "empty_policy", "{empty:?}");
    }
}

#[test]
fn every_problem_of_a_text_is_reported_in_its_order() {
    let found =
        problems("deny if aplication(\"a\");\ndeny if tool(\"A\");\nallow if depth($d), $x > 1;");
    let codes: Vec<_> = found.iter().map(|problem| problem.code).collect();
    assert_eq!(
        codes,
        ["unknown_fact", "impossible_value", "unbound_variable"]
    );
    let found = problems("deny if (;\ndeny if \"\n;allow if depth(1)) ;");
    assert!(found.iter().all(|problem| problem.code == "syntax_error"));
    assert!(found.len() >= 2, "{found:?}");
}

#[test]
fn warnings_name_what_may_not_have_been_meant() {
    for (good, doubtful, code, place) in [
        (
            "deny if depth(1);",
            "deny if depth(1), 1 < 2;",
            "always_true",
            "1 < 2",
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"host\").ends_with(\".h.example\");",
            "deny if url_arg(\"u\", $u), $u.get(\"host\").ends_with(\"h.example\");",
            "open_host_suffix",
            "\"h.example\"",
        ),
        (
            "reject if depth(1);",
            "reject if depth(1) or depth(2);",
            "reject_any",
            "reject if depth(1) or depth(2)",
        ),
        (
            "deny if tool($_t);",
            "deny if tool($t);",
            "unused_variable",
            "$t",
        ),
    ] {
        assert_eq!(load(good).warnings(), [], "{good}");
        let policy = load(doubtful);
        let warnings: Vec<_> = policy
            .warnings()
            .iter()
            .map(|warning| (warning.code, doubtful.get(warning.span.clone()).unwrap()))
            .collect();
        assert_eq!(warnings, [(code, place)], "{doubtful}");
        assert!(WARNING_CODES.iter().any(|(known, _)| *known == code));
    }
}

/// The codes that the tests of this file show.
#[test]
fn every_code_is_shown_by_a_test_of_this_file() {
    let tests = include_str!("loading.rs");
    let shown = |code: &&str| tests.contains(&format!("\"{code}\""));
    let codes: BTreeSet<&str> = PROBLEM_CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.iter().filter(|code| !shown(code)).count(), 0);
}
