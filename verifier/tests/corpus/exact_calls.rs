//! Exact calls: a tool that is granted for calls with the very arguments that were approved. How
//! often each was made is nothing that a token and a call tell.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    authority::minted,
    case::Case,
    scene::{authority_with, case, token},
};

/// Digest of a call, over its canonical text as rule 24 has it.
fn digest(canonical: &str) -> String {
    format!("hex:{}", hex::encode(Sha256::digest(canonical)))
}

fn usual() -> String {
    digest(r#"{"arguments":{"path":"reports/q3.md"},"tool":"files.read_file"}"#)
}

fn limit(tool: &str, list: &[String]) -> String {
    let list = list.join(", ");
    format!(
        "check if tool($t), ![\"{tool}\"].contains($t) or call_digest($d), [{list}].contains($d)"
    )
}

fn exactly(list: &[String]) -> crate::forge::Draft {
    minted(&authority_with(&limit("files.read_file", list)))
}

pub(crate) fn cases() -> Vec<Case> {
    let other = || digest("another call");
    let approved = exactly(&[usual()]);
    let differing = |id: &str, args: Value, why: &str| {
        case(&format!("exact-{id}"), "approval_required", &approved, why).args(args)
    };
    let mut cases = vec![
        case(
            "exact-call",
            "allow",
            &approved,
            "The approved call (rule 3).",
        ),
        case(
            "exact-call-among-others",
            "allow",
            &exactly(&[other(), usual(), other()]),
            "One of the approved calls (rule 3).",
        ),
        case(
            "exact-call-twice",
            "allow",
            &exactly(&[usual(), usual()]),
            "A call that may be made twice (rule 3).",
        ),
        case(
            "exact-call-of-another-tool",
            "allow",
            &minted(&authority_with(&limit("files.write_file", &[other()]))),
            "Exact calls bind their own tool (rule 3).",
        ),
        case(
            "exact-none-of-them",
            "approval_required",
            &exactly(&[other()]),
            "Not one of the approved calls (rule 3).",
        ),
        case(
            "exact-digest-of-another-tool",
            "approval_required",
            &exactly(&[digest(
                r#"{"arguments":{"path":"reports/q3.md"},"tool":"files.write_file"}"#,
            )]),
            "The tool is part of the call (rules 3 and 24).",
        ),
        case(
            "exact-digest-of-the-arguments",
            "approval_required",
            &exactly(&[digest(r#"{"path":"reports/q3.md"}"#)]),
            "The arguments alone are no call (rules 3 and 24).",
        ),
        case(
            "exact-resource-not-granted",
            "resource_not_granted",
            &approved,
            "The approved arguments on a resource that was not granted (rules 3 and 6).",
        )
        .resources(&["files/secret.md"]),
        case(
            "exact-call-narrowed-away",
            "caveat_failed",
            &crate::forge::Draft::of(
                &authority_with(&limit("files.read_file", &[usual()])),
                &["check if tool(\"drive.search\");"],
            ),
            "A later block takes the approved call away (rules 3 and 20).",
        ),
        differing(
            "argument-changed",
            json!({"path": "reports/q4.md"}),
            "A changed argument is another call (rule 3).",
        ),
        differing(
            "argument-added",
            json!({"path": "reports/q3.md", "n": 1}),
            "An argument more is another call (rule 3).",
        ),
        differing(
            "argument-null",
            json!({"path": "reports/q3.md", "n": null}),
            "Null is an argument (rules 3 and 18).",
        ),
        differing(
            "argument-left-out",
            json!({}),
            "An argument less is another call (rule 3).",
        ),
        differing(
            "argument-of-another-type",
            json!({"path": ["reports/q3.md"]}),
            "A list of it is another call (rule 3).",
        ),
        differing(
            "argument-in-another-case",
            json!({"Path": "reports/q3.md"}),
            "Names are byte-exact (rule 3).",
        ),
        differing(
            "argument-without-canonical-form",
            json!({"path": "reports/q3.md", "n": 9_007_199_254_740_993_i64}),
            "An integer that a double cannot tell has no canonical form (rules 3 and 24).",
        ),
        differing(
            "argument-decomposed",
            json!({"path": "reports/q3\u{301}.md"}),
            "Nothing is normalised into a match (rule 3).",
        ),
    ];
    let refused = |id: &str, verdict: &str, statement: &str, why: &str| {
        case(
            &format!("exact-{id}"),
            verdict,
            &minted(&authority_with(statement)),
            why,
        )
    };
    let (this, another) = (usual(), other());
    let read =
        |calls: &str| format!("check if tool($t), ![\"files.read_file\"].contains($t) or {calls}");
    cases.extend(same_calls());
    cases.extend([
        refused(
            "empty-list",
            "profile_violation",
            &limit("files.read_file", &[]),
            "A list holds at least one call (rule 3).",
        ),
        refused(
            "short-digest",
            "profile_violation",
            &limit("files.read_file", &["hex:07".to_owned()]),
            "A digest has 32 bytes (rule 3).",
        ),
        refused(
            "text-for-a-digest",
            "profile_violation",
            &limit("files.read_file", &["\"07\"".to_owned()]),
            "A digest is bytes (rule 3).",
        ),
        refused(
            "set",
            "profile_violation",
            &read(&format!(
                "call_digest($d), {{{this}, {another}}}.contains($d)"
            )),
            "A set cannot say how often (rule 3).",
        ),
        refused(
            "equality",
            "profile_violation",
            &read(&format!("call_digest($d), $d == {this}")),
            "One form (rule 3).",
        ),
        refused(
            "unbound",
            "profile_violation",
            &read("call_digest($d)"),
            "Any call is no exact call (rule 3).",
        ),
        refused(
            "without-a-tool",
            "profile_violation",
            &format!("check if call_digest($d), [{this}].contains($d)"),
            "Exact calls are those of a tool (rule 3).",
        ),
        refused(
            "fact",
            "profile_violation",
            &format!("call_digest({this})"),
            "The verifier alone says what the call is (rule 1).",
        ),
        refused(
            "two-lists",
            "profile_violation",
            &format!(
                "{};\n{}",
                limit("files.read_file", &[usual()]),
                limit("files.read_file", &[usual()])
            ),
            "A tool has one list (rule 3).",
        ),
        refused(
            "most",
            "allow",
            &limit("files.read_file", &vec![usual(); 32]),
            "32 exact calls (rule 22).",
        ),
        refused(
            "more-than-most",
            "limit_exceeded",
            &limit("files.read_file", &vec![usual(); 33]),
            "33 exact calls (rule 22).",
        ),
        case(
            "exact-in-a-later-block",
            "profile_violation",
            &token(&[&format!("check if call_digest($d), [{this}].contains($d);")]),
            "Only the issuer writes exact calls (rule 3).",
        ),
        case(
            "exact-for-a-tool-in-a-later-block",
            "profile_violation",
            &token(&[&format!(
                "{};",
                read(&format!("call_digest($d), [{this}].contains($d)"))
            )]),
            "Only the issuer writes exact calls (rule 3).",
        ),
        case(
            "exact-fact-in-a-later-block",
            "profile_violation",
            &token(&[&format!("call_digest({this});")]),
            "A later block says nothing of the request (rule 15).",
        ),
    ]);
    cases
}

/// Calls that are the approved one, however they are written.
fn same_calls() -> Vec<Case> {
    let same = |id: &str, arguments: &str, args: Value, why: &str| {
        let canonical = format!(r#"{{"arguments":{arguments},"tool":"files.read_file"}}"#);
        case(
            &format!("exact-same-{id}"),
            "allow",
            &exactly(&[digest(&canonical)]),
            why,
        )
        .args(args)
    };
    vec![
        same(
            "without-arguments",
            "{}",
            json!({}),
            "A call without arguments has a name too (rule 24).",
        ),
        same(
            "members-in-order",
            r#"{"Z":1,"a":2,"b":{"c":3,"d":4}}"#,
            json!({"b": {"d": 4, "c": 3}, "a": 2, "Z": 1}),
            "Canonical JSON sorts members at every level (rule 24).",
        ),
        same(
            "number",
            r#"{"n":5}"#,
            json!({"n": 5.0}),
            "In canonical JSON 5.0 is the number 5 (rule 24).",
        ),
        same(
            "text",
            "{\"s\":\"\\u0000\\n€\\\"\"}",
            json!({"s": "\u{0}\n€\""}),
            "Canonical JSON escapes in one way (rule 24).",
        ),
        same(
            "largest-integer",
            r#"{"n":9007199254740991}"#,
            json!({"n": 9_007_199_254_740_991_i64}),
            "The largest integer with a canonical form (rule 24).",
        ),
        same(
            "null",
            r#"{"n":null}"#,
            json!({"n": null}),
            "Null is a value like any other in a call (rule 24).",
        ),
    ]
}
