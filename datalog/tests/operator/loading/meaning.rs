//! Rules that can be read and mean nothing, or not what was wanted.

use super::*;

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
            "deny if task($t), $t.matches(\"^secret$\");",
            "deny if task($t), $t.matches(\"secret\");",
            "unanchored_regex",
            "\"secret\"",
            Some("write \"^secret$\", or \"(?s)^.*(?:secret).*$\" to find it anywhere"),
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
        (
            "level([\"a\"], \"secret\"); at($l) <- level($p, $l), resource($p); deny if at(\"secret\");",
            "level([\"a\"], \"secret\"); at($l) <- level($p, $l), resource($p); deny if at(\"Secret\");",
            "contradiction",
            "at(\"Secret\")",
            None,
        ),
        (
            "does($a) <- access($a); deny if does(\"write\");",
            "does($a) <- access($a); deny if does(\"Write\");",
            "contradiction",
            "does(\"Write\")",
            None,
        ),
        (
            "deny if weekday($d), !($d != \"monday\" && $d != \"sunday\");",
            "deny if weekday($d), !($d != \"monday\" || $d != \"sunday\");",
            "contradiction",
            "!($d != \"monday\" || $d != \"sunday\")",
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
fn reject_takes_no_alternatives() {
    check(&[(
        "reject if depth(1); reject if depth(2);",
        "reject if depth(1) or depth(2);",
        "reject_any",
        "reject if depth(1) or depth(2)",
        Some("write one `reject if` for each alternative"),
    )]);
}
