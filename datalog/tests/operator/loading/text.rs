//! What is no policy by its text alone: slips, and what has no place in one.

use super::*;

#[test]
fn texts_that_are_no_datalog_are_refused_where_they_go_wrong() {
    check(
        &[
            ("deny if true;", "deny if ;", "syntax_error", ";", None),
            (
                "deny if tool(\"a\"), depth(1);",
                "deny if tool(\"a\")",
                "syntax_error",
                ")",
                None,
            ),
            (
                "deny if agent($a), $a != \"x\";",
                "deny if !agent(\"x\");",
                "syntax_error",
                "agent",
                Some(
                    "facts can't be negated; compare their values, as in `agent($a), $a != \"x\"`",
                ),
            ),
            (
                "deny if agent($a), $a != \"x\";",
                "deny if not agent(\"x\");",
                "syntax_error",
                "not",
                Some(
                    "facts can't be negated; compare their values, as in `agent($a), $a != \"x\"`",
                ),
            ),
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
