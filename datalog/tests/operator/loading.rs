//! What is refused when a policy is loaded: for each problem a text that passes, and one that
//! differs in one thing and fails with the exact code at the exact place.

use crate::scene::{load, problems};

/// `good` loads; `bad` has one problem, with this code, at `place`, with this help.
fn refused(good: &str, bad: &str, code: &str, place: &str, help: Option<&str>) {
    load(good);
    let found = problems(bad);
    let shown: Vec<_> = found
        .iter()
        .map(|problem| {
            let place = bad.get(problem.span.clone()).unwrap();
            (problem.code, place, problem.help.as_deref())
        })
        .collect();
    assert_eq!(shown, [(code, place, help)], "{bad}");
}

#[test]
fn a_fact_that_is_not_there_is_refused_with_the_name_that_was_meant() {
    refused(
        "deny if application(\"a\");",
        "deny if aplication(\"a\");",
        "unknown_fact",
        "aplication",
        Some("did you mean `application`?"),
    );
}

#[test]
fn a_wrong_number_of_values_is_refused() {
    refused(
        "deny if tool(\"a\");",
        "deny if tool(\"a\", \"b\");",
        "wrong_arity",
        "tool(\"a\", \"b\")",
        None,
    );
    refused(
        "owner(\"a\", \"b\"); deny if owner($a, \"b\"), agent($a);",
        "owner(\"a\", \"b\"); deny if owner($a), agent($a);",
        "wrong_arity",
        "owner($a)",
        None,
    );
}
