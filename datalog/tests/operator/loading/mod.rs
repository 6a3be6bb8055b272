//! What is refused when a policy is loaded: for each problem a text that passes, and one that
//! differs in one thing and fails with the exact code at the exact place.

mod bounds;
mod facts;
mod meaning;
mod text;

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
            "deny if depth(1); allow if depth(2);",
            "allow if depth(2); deny if depth(1);",
            "deny_after_allow",
            "deny if depth(1)",
        ),
        (
            "deny if depth(1);",
            "deny if depth(1), 1 < 2;",
            "always_true",
            "1 < 2",
        ),
        (
            "check if weekday($d), $d != \"saturday\" && $d != \"sunday\";",
            "check if weekday($d), $d != \"saturday\" || $d != \"sunday\";",
            "always_true",
            "$d != \"saturday\" || $d != \"sunday\"",
        ),
        (
            "check if depth($d), $d <= 1;",
            "check if depth($d), $d >= 0;",
            "always_true",
            "$d >= 0",
        ),
        (
            "deny if task($t), $t.matches(\"(?s)^.*secret.*$\");",
            "deny if task($t), $t.matches(\"^.*secret.*$\");",
            "line_break",
            "\"^.*secret.*$\"",
        ),
        (
            "allow if url_arg(\"u\", $u), $u.get(\"host\") == \"api.example\";",
            "allow if url_arg(\"u\", $u), $u.get(\"host\").starts_with(\"api.example\");",
            "open_host_part",
            "\"api.example\"",
        ),
        (
            "deny if url_arg(\"u\", $u), $u.get(\"host\").ends_with(\".h.example\");",
            "deny if url_arg(\"u\", $u), $u.get(\"host\").ends_with(\"h.example\");",
            "open_host_suffix",
            "\"h.example\"",
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

#[test]
fn every_code_is_shown_by_a_test() {
    let tests = [
        include_str!("bounds.rs"),
        include_str!("facts.rs"),
        include_str!("meaning.rs"),
        include_str!("text.rs"),
    ]
    .concat();
    let shown = |code: &&str| tests.contains(&format!("\"{code}\""));
    let codes: BTreeSet<&str> = PROBLEM_CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.iter().filter(|code| !shown(code)).count(), 0);
}
