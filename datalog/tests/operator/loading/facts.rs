//! Facts and values that are never there: names, arities, types, and what a fact can have.

use super::*;

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
fn what_is_compared_with_a_fact_must_be_such_that_it_can_match() {
    check(&[
        (
            "deny if resource($r), $r.starts_with([\"files\", \"hr\"]);",
            "deny if resource($r), $r.starts_with([\"files/hr\"]);",
            "impossible_value",
            "\"files/hr\"",
            Some("write [\"files\",\"hr\"]"),
        ),
        (
            "deny if path_arg(\"p\", $p), $p.contains(\"etc\");",
            "deny if path_arg(\"p\", $p), $p.contains(\"../etc\");",
            "impossible_value",
            "\"../etc\"",
            Some("write [\"..\",\"etc\"]"),
        ),
        (
            "deny if resource($r), $r.get(0) == \"files\";",
            "deny if resource($r), $r.get(0) == \"files/hr\";",
            "impossible_value",
            "\"files/hr\"",
            Some("write [\"files\",\"hr\"]"),
        ),
        (
            "deny if resource($r), $r.get(2) == null;",
            "deny if resource($r), $r.get(2) == 5;",
            "wrong_type",
            "5",
            None,
        ),
        (
            "deny if resource($r), $r.any($s -> $s == \"hr\");",
            "deny if resource($r), $r.any($s -> $s == \"files/hr\");",
            "impossible_value",
            "\"files/hr\"",
            Some("write [\"files\",\"hr\"]"),
        ),
        (
            "deny if tool($t), $t.starts_with(\"payments.\");",
            "deny if tool($t), $t.starts_with(\"Payments.\");",
            "impossible_value",
            "\"Payments.\"",
            Some("did you mean `payments.`?"),
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"host\") == \"evil.example\";",
            "deny if url_arg(\"u\", $u), $u.get(\"host\") == \"Evil.example\";",
            "impossible_value",
            "\"Evil.example\"",
            Some("did you mean `evil.example`?"),
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"host\").ends_with(\".example\");",
            "deny if url_arg(\"u\", $u), $u.get(\"host\").ends_with(\".example/\");",
            "impossible_value",
            "\".example/\"",
            None,
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"host\") == \"example\";",
            "deny if url_arg(\"u\", $u), $u.get(\"host\") == \".example\";",
            "impossible_value",
            "\".example\"",
            None,
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"scheme\") == \"http\";",
            "deny if url_arg(\"u\", $u), $u.get(\"scheme\") == \"http:\";",
            "impossible_value",
            "\"http:\"",
            None,
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"port\") == 65535;",
            "deny if url_arg(\"u\", $u), $u.get(\"port\") == 65536;",
            "impossible_value",
            "65536",
            None,
        ),
    ]);
}

#[test]
fn facts_of_the_policy_must_be_such_that_what_they_meet_can_match() {
    check(&[
        (
            "secret([\"files\", \"hr\"]); deny if secret($p), resource($p);",
            "secret(\"files/hr\"); deny if secret($p), resource($p);",
            "wrong_type",
            "\"files/hr\"",
            Some("write [\"files\",\"hr\"]"),
        ),
        (
            "secret([\"hr\"]); deny if resource($r), secret($p), $r.starts_with($p);",
            "secret([\"f/hr\"]); deny if resource($r), secret($p), $r.starts_with($p);",
            "impossible_value",
            "\"f/hr\"",
            Some("write [\"f\",\"hr\"]"),
        ),
        (
            "blocked(\"files.read\"); deny if blocked($t), tool($t);",
            "blocked(\"Files.Read\"); deny if blocked($t), tool($t) or blocked($x), tool($x);",
            "impossible_value",
            "\"Files.Read\"",
            Some("did you mean `files.read`?"),
        ),
        (
            "blocked(\"files.read\"); deny if blocked($b), tool($t), ($b) == $t;",
            "blocked(\"Files.Read\"); deny if blocked($b), tool($t), ($b) == $t;",
            "impossible_value",
            "\"Files.Read\"",
            Some("did you mean `files.read`?"),
        ),
        (
            "deny if agent($x), application($x);",
            "deny if agent($x), depth($x);",
            "wrong_type",
            "$x",
            None,
        ),
        (
            "a(\"x\"); b(\"x\"); deny if a($x), b($x);",
            "a(\"x\"); b(5); deny if a($x), b($x);",
            "wrong_type",
            "$x",
            None,
        ),
    ]);
}
