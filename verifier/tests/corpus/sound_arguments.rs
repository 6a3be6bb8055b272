//! Conditions on arguments in every accepted form, and values that only look confused.

use serde_json::{Value, json};

use crate::{
    case::Case,
    forge::Draft,
    scene::{authority_with, case, token},
};

pub(crate) fn cases() -> Vec<Case> {
    [argument_conditions(), right_types()].concat()
}

/// Each shape as `check all`, as an optional one whose argument is left out, and as a limit by the
/// issuer.
fn argument_conditions() -> Vec<Case> {
    let rows = [
        ("exact", "$a.get(\"n\") == \"v\"", json!("v")),
        ("one-of", "[\"v\", 7].contains($a.get(\"n\"))", json!(7)),
        ("at-least", "$a.get(\"n\") >= 1", json!(1)),
        ("at-most", "$a.get(\"n\") <= 3", json!(3)),
        ("prefix", "$a.get(\"n\").starts_with(\"\")", json!("")),
        (
            "suffix",
            "$a.get(\"n\").ends_with(\"\u{e9}\")",
            json!("caf\u{e9}"),
        ),
        (
            "subset",
            "$a.get(\"n\").all($x -> [1, 2].contains($x))",
            json!([2, 1, 2]),
        ),
        (
            "any-of",
            "$a.get(\"n\").any($x -> [1, 2].contains($x))",
            json!([3, "a", 2]),
        ),
        (
            "all-of",
            "[1, 2].all($x -> $a.get(\"n\").contains($x))",
            json!([2, 3, 1]),
        ),
        ("length", "$a.get(\"n\").length() <= 0", json!([])),
    ];
    let mut cases = Vec::new();
    for (id, condition, value) in rows {
        let arguments = json!({ "n": value });
        let all = token(&[&format!(
            "check all args($arguments), {};",
            condition.replace("$a.", "$arguments.")
        )]);
        let optional = format!("check if args($a), !$a.contains(\"n\") || {condition};");
        let limit = format!(
            "check if tool($t), ![\"files.read_file\"].contains($t) or args($a), {condition}"
        );
        cases.push(
            case(
                &format!("sound-argument-{id}-all"),
                "allow",
                &all,
                &format!("`check all` with `{condition}` (rule 17)."),
            )
            .args(arguments.clone()),
        );
        cases.push(
            case(
                &format!("sound-argument-{id}-optional-there"),
                "allow",
                &token(&[&optional]),
                &format!("`{condition}` if the argument is there, and it is (rule 17)."),
            )
            .args(arguments.clone()),
        );
        cases.push(
            case(
                &format!("sound-argument-{id}-optional-left-out"),
                "allow",
                &token(&[&optional]),
                &format!("`{condition}` if the argument is there, and it is not (rule 17)."),
            )
            .args(json!({})),
        );
        cases.push(
            case(
                &format!("sound-argument-{id}-limit"),
                "allow",
                &Draft::of(&authority_with(&limit), &[]),
                &format!("`{condition}` as a limit that the issuer wrote (rule 3)."),
            )
            .args(arguments),
        );
    }
    cases
}

/// The neighbours of the confused and the inexact values, by the same conditions.
fn right_types() -> Vec<Case> {
    let exact = "$a.get(\"n\") == 5";
    let rows: [(&str, &str, Value); 14] = [
        ("number", exact, json!(5)),
        ("text-of-digits", "$a.get(\"n\") == \"5\"", json!("5")),
        ("false", "$a.get(\"n\") == false", json!(false)),
        ("zero", "$a.get(\"n\") == 0", json!(0)),
        ("empty-text", "$a.get(\"n\") == \"\"", json!("")),
        (
            "greatest",
            "$a.get(\"n\") == 9223372036854775807",
            json!(i64::MAX),
        ),
        (
            "beyond-double",
            "$a.get(\"n\") == 9007199254740993",
            json!(9_007_199_254_740_993_i64),
        ),
        (
            "list-of-other-types",
            "$a.get(\"n\").any($x -> [\"a\"].contains($x))",
            json!([1, true, "a", ["a"], {"a": 1}]),
        ),
        ("list-in-list-present", "$a.contains(\"n\")", json!([["a"]])),
        (
            "object-present",
            "$a.contains(\"n\")",
            json!({"deep": {"er": [1]}}),
        ),
        (
            "nul-in-text",
            "$a.get(\"n\").ends_with(\"b\")",
            json!("a\u{0}b"),
        ),
        (
            "like-datalog",
            "$a.get(\"n\") == \"x, true\"",
            json!("x, true"),
        ),
        (
            "quotes",
            "$a.get(\"n\").starts_with(\"\\\"\")",
            json!("\"), allow if true"),
        ),
        (
            "decomposed",
            "$a.get(\"n\") == \"e\u{301}\"",
            json!("e\u{301}"),
        ),
    ];
    rows.into_iter()
        .map(|(id, condition, value)| {
            let draft = token(&[&format!("check if args($a), {condition};")]);
            case(
                &format!("sound-value-{id}"),
                "allow",
                &draft,
                &format!("`{condition}` holds for {value} (rule 18)."),
            )
            .args(json!({ "n": value }))
        })
        .collect()
}
