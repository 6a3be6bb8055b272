//! Conditions on arguments: each shape with a value that passes and one that fails, values of
//! other types, numbers that are not exact, and arguments that are paths or URLs.

use crate::{
    case::Case,
    forge::Draft,
    scene::{case, token},
};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    [shapes(), confusion(), inexact()].concat()
}

fn narrowed(condition: &str) -> Draft {
    token(&[&format!("check if args($a), {condition};")])
}

fn shapes() -> Vec<Case> {
    let rows = [
        (
            "exact-text",
            "$a.get(\"n\") == \"v\"",
            json!("v"),
            json!("V"),
        ),
        ("exact-number", "$a.get(\"n\") == -5", json!(-5), json!(5)),
        (
            "exact-boolean",
            "$a.get(\"n\") == true",
            json!(true),
            json!(false),
        ),
        (
            "one-of",
            "[\"v\", \"w\"].contains($a.get(\"n\"))",
            json!("w"),
            json!("x"),
        ),
        (
            "one-of-mixed",
            "[1, \"1\", true].contains($a.get(\"n\"))",
            json!("1"),
            json!("true"),
        ),
        (
            "range-from",
            "$a.get(\"n\") >= 1, $a.get(\"n\") <= 3",
            json!(1),
            json!(0),
        ),
        (
            "range-to",
            "$a.get(\"n\") >= 1, $a.get(\"n\") <= 3",
            json!(3),
            json!(4),
        ),
        (
            "range-open-below",
            "$a.get(\"n\") <= 3",
            json!(i64::MIN),
            json!(i64::MAX),
        ),
        (
            "range-open-above",
            "$a.get(\"n\") >= 1",
            json!(i64::MAX),
            json!(i64::MIN),
        ),
        (
            "prefix",
            "$a.get(\"n\").starts_with(\"re\")",
            json!("reports"),
            json!("a report"),
        ),
        (
            "suffix",
            "$a.get(\"n\").ends_with(\".md\")",
            json!("q3.md"),
            json!("q3.md.exe"),
        ),
        (
            "subset",
            "$a.get(\"n\").all($x -> [\"a\", \"b\"].contains($x))",
            json!(["a", "a", "b"]),
            json!(["a", "c"]),
        ),
        (
            "subset-of-empty",
            "$a.get(\"n\").all($x -> [\"a\"].contains($x))",
            json!([]),
            json!([""]),
        ),
        (
            "any-of",
            "$a.get(\"n\").any($x -> [\"a\", \"b\"].contains($x))",
            json!(["c", "b"]),
            json!([]),
        ),
        (
            "all-of",
            "[\"a\", \"b\"].all($x -> $a.get(\"n\").contains($x))",
            json!(["b", "c", "a"]),
            json!(["a", "c"]),
        ),
        (
            "length",
            "$a.get(\"n\").length() <= 2",
            json!(["a", "b"]),
            json!(["a", "b", "c"]),
        ),
        (
            "optional",
            "!$a.contains(\"n\") || $a.get(\"n\") == 5",
            json!(5),
            json!(6),
        ),
        (
            "present",
            "$a.contains(\"n\")",
            json!({"any": "thing"}),
            json!(null),
        ),
    ];
    let mut cases = Vec::new();
    for (id, condition, holds, fails) in rows {
        cases.push(
            case(
                &format!("argument-{id}"),
                "allow",
                &narrowed(condition),
                &format!("`{condition}` holds for {holds} (rule 17)."),
            )
            .args(json!({ "n": holds })),
        );
        cases.push(
            case(
                &format!("argument-{id}-fails"),
                "caveat_failed",
                &narrowed(condition),
                &format!("`{condition}` does not hold for {fails} (rules 17 and 20)."),
            )
            .args(json!({ "n": fails })),
        );
    }
    let absent = "!$a.contains(\"n\")";
    let closed = "$a.all($kv -> [\"n\", \"m\"].contains($kv.get(0)))";
    cases.extend([
        case(
            "argument-absent",
            "allow",
            &narrowed(absent),
            "The argument is not there (rule 17).",
        )
        .args(json!({"m": 1})),
        case(
            "argument-absent-fails",
            "caveat_failed",
            &narrowed(absent),
            "The argument is there, empty as it is (rule 17).",
        )
        .args(json!({"n": ""})),
        case(
            "argument-absent-other-case",
            "allow",
            &narrowed(absent),
            "Names are byte-exact (rule 17).",
        )
        .args(json!({"N": 1})),
        case(
            "argument-closed-world",
            "allow",
            &narrowed(closed),
            "Listed arguments only (rule 17).",
        )
        .args(json!({"m": 2})),
        case(
            "argument-closed-world-fails",
            "caveat_failed",
            &narrowed(closed),
            "An argument that is not listed (rule 17).",
        )
        .args(json!({"n": 1, "o": 2})),
        case(
            "argument-closed-world-empty",
            "allow",
            &narrowed(closed),
            "No arguments at all (rule 17).",
        )
        .args(json!({})),
        case(
            "argument-closed-world-zero-width",
            "caveat_failed",
            &narrowed(closed),
            "A name that looks like a listed one (rule 17).",
        )
        .args(json!({"n\u{200b}": 1})),
        case(
            "argument-optional-absent",
            "allow",
            &narrowed("!$a.contains(\"n\") || $a.get(\"n\") == 5"),
            "An optional argument may be left out (rule 17).",
        )
        .args(json!({})),
        case(
            "argument-missing",
            "caveat_failed",
            &narrowed("$a.get(\"n\") == 5"),
            "An argument that is not optional may not be left out (rule 17).",
        )
        .args(json!({})),
        case(
            "argument-missing-prefix",
            "caveat_failed",
            &narrowed("$a.get(\"n\").starts_with(\"\")"),
            "Nothing starts with nothing (rule 17).",
        )
        .args(json!({})),
        case(
            "argument-missing-subset",
            "caveat_failed",
            &narrowed("$a.get(\"n\").all($x -> [\"a\"].contains($x))"),
            "A list that is not there is not an empty one (rule 17).",
        )
        .args(json!({})),
        case(
            "argument-nested-name",
            "caveat_failed",
            &narrowed("$a.get(\"o.n\") == 5"),
            "A dot in a name is not a way into an object (rule 17).",
        )
        .args(json!({"o": {"n": 5}})),
        case(
            "argument-unmentioned",
            "allow",
            &narrowed("$a.get(\"n\") == 5"),
            "Arguments that no check mentions may be anything (rule 18).",
        )
        .args(json!({"n": 5, "m": null, "o": 0.5})),
        case(
            "argument-name-empty",
            "allow",
            &narrowed("$a.get(\"\") == 5"),
            "The empty name is a name (rule 17).",
        )
        .args(json!({"": 5})),
        case(
            "argument-range-empty",
            "caveat_failed",
            &narrowed("$a.get(\"n\") >= 3, $a.get(\"n\") <= 1"),
            "A range that no number lies in (rule 20).",
        )
        .args(json!({"n": 2})),
    ]);
    cases
}

/// A value of another type than the condition's never passes.
fn confusion() -> Vec<Case> {
    let rows = [
        ("text-for-number", "$a.get(\"n\") == 5", json!("5")),
        ("number-for-text", "$a.get(\"n\") == \"5\"", json!(5)),
        ("text-for-boolean", "$a.get(\"n\") == true", json!("true")),
        ("number-for-boolean", "$a.get(\"n\") == true", json!(1)),
        ("list-for-text", "$a.get(\"n\") == \"v\"", json!(["v"])),
        (
            "object-for-text",
            "$a.get(\"n\") == \"v\"",
            json!({"v": "v"}),
        ),
        (
            "list-for-one-of",
            "[\"v\"].contains($a.get(\"n\"))",
            json!(["v"]),
        ),
        ("text-in-range", "$a.get(\"n\") >= 1", json!("9")),
        ("boolean-in-range", "$a.get(\"n\") <= 9", json!(true)),
        (
            "list-with-prefix",
            "$a.get(\"n\").starts_with(\"p\")",
            json!(["p"]),
        ),
        (
            "list-with-suffix",
            "$a.get(\"n\").ends_with(\"p\")",
            json!(["q", "p"]),
        ),
        (
            "text-as-subset",
            "$a.get(\"n\").all($x -> [\"a\"].contains($x))",
            json!("a"),
        ),
        (
            "object-as-subset",
            "$a.get(\"n\").all($x -> [\"a\"].contains($x))",
            json!({}),
        ),
        (
            "text-as-any",
            "$a.get(\"n\").any($x -> [\"a\"].contains($x))",
            json!("a"),
        ),
        (
            "text-that-contains",
            "[\"a\"].all($x -> $a.get(\"n\").contains($x))",
            json!("abc"),
        ),
        (
            "object-that-contains",
            "[\"a\"].all($x -> $a.get(\"n\").contains($x))",
            json!({"a": 1}),
        ),
        (
            "text-for-length",
            "$a.get(\"n\").length() <= 5",
            json!("abc"),
        ),
        ("number-for-length", "$a.get(\"n\").length() <= 5", json!(1)),
        (
            "object-for-length",
            "$a.get(\"n\").length() <= 5",
            json!({"a": 1}),
        ),
        (
            "list-in-list",
            "$a.get(\"n\").all($x -> [\"a\"].contains($x))",
            json!([["a"]]),
        ),
        (
            "optional-of-another-type",
            "!$a.contains(\"n\") || $a.get(\"n\") == 5",
            json!("5"),
        ),
    ];
    rows.into_iter()
        .map(|(id, condition, value)| {
            let why = format!("{value} has another type than `{condition}` asks for (rule 18).");
            case(
                &format!("type-{id}"),
                "caveat_failed",
                &narrowed(condition),
                &why,
            )
            .args(json!({ "n": value }))
        })
        .collect()
}

/// Numbers that are not i64, and null, fail whatever is asked of them.
fn inexact() -> Vec<Case> {
    let values = [
        ("float", json!(5.0)),
        ("beyond-i64", json!(9_223_372_036_854_775_808_u64)),
        ("null", Value::Null),
        ("float-in-list", json!([5, 5.5])),
        ("null-in-object", json!({"deep": [null]})),
    ];
    let conditions = [
        ("exact", "$a.get(\"n\") == 5"),
        ("range", "$a.get(\"n\") <= 9"),
        ("optional", "!$a.contains(\"n\") || $a.get(\"n\") == 5"),
        ("absent", "!$a.contains(\"n\")"),
        ("present", "$a.contains(\"n\")"),
        (
            "closed-world",
            "$a.all($kv -> [\"m\", \"n\"].contains($kv.get(0)))",
        ),
    ];
    let mut cases = Vec::new();
    for (index, (value_id, value)) in values.iter().enumerate() {
        for (condition_id, condition) in conditions.iter().cycle().skip(index).step_by(2).take(3) {
            let why = format!("{value} fails every condition on it, `{condition}` too (rule 18).");
            cases.push(
                case(
                    &format!("inexact-{value_id}-{condition_id}"),
                    "caveat_failed",
                    &narrowed(condition),
                    &why,
                )
                .args(json!({ "n": value })),
            );
        }
    }
    cases
}
