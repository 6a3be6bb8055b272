//! A known token is decided without an allocation.

use std::sync::Arc;

use allocation_counter::measure;
use bailiwick_datalog::OperatorPolicy;
use bailiwick_verifier::{Evaluation, holder::ProofVerifier};
use serde_json::json;

use crate::forge::Draft;
use crate::scene::{authority_replacing, case};

/// A token of so many blocks, three checks in each later one, and a call with four arguments.
fn scene(blocks: usize) -> crate::case::Case {
    let checks = "check if tool($t), [\"files.read_file\", \"files.search\"].contains($t); \
                  check if resource($r), $r.starts_with([\"files\"]); \
                  check if args($a), $a.get(\"n\") >= 1, $a.get(\"n\") <= 9;";
    let authority = authority_replacing("max_depth(", "max_depth(16)");
    let draft = Draft::of(&authority, &vec![checks; blocks - 1]);
    case("warm", "allow", &draft, "")
        .args(json!({"n": 5, "path": "files/a", "deep": [1, "x"], "flag": true}))
}

/// The engine copies the token's facts and symbols: where it is asked, it shows.
#[test]
fn the_engine_is_asked_where_the_evaluation_says_so() {
    let case = scene(1);
    let verifier = case.verifier(&Arc::new(ProofVerifier::default()));
    let verifier = verifier.with_evaluation(Evaluation::Reference);
    let (header, now) = (case.header_value(), case.now());
    let call = Arc::new(case.canonical_call().unwrap());
    let decide = || {
        let permit = verifier.authorize_header(header.as_bytes(), &call, None, now);
        assert!(permit.is_ok(), "{:?}", permit.err());
    };
    decide();
    let warm = measure(decide);
    assert!(warm.count_total > 100, "{warm:?}");
}

#[test]
fn a_known_token_is_decided_without_an_allocation() {
    for blocks in [1, 8] {
        let case = scene(blocks);
        let verifier = case.verifier(&Arc::new(ProofVerifier::default()));
        let (header, now) = (case.header_value(), case.now());
        let call = Arc::new(case.canonical_call().unwrap());
        let decide = || {
            let permit = verifier.authorize_header(header.as_bytes(), &call, None, now);
            assert!(permit.is_ok(), "{:?}", permit.err());
        };
        let first = measure(decide);
        assert!(first.count_total > 0, "the counter counts");
        for _ in 0..3 {
            let warm = measure(decide);
            assert_eq!(warm.count_total, 0, "{blocks} blocks: {warm:?}");
        }
    }
}

#[test]
fn a_policy_costs_a_known_token_no_allocation_and_the_engine_is_asked_of_it_too() {
    let policy = "deny if access(\"destructive\");";
    let policy = Arc::new(OperatorPolicy::load(policy).unwrap());
    let case = scene(1);
    let (header, now) = (case.header_value(), case.now());
    let call = Arc::new(case.canonical_call().unwrap());
    let cost = |evaluation, policy: Option<&Arc<OperatorPolicy>>| {
        let verifier = case.verifier(&Arc::new(ProofVerifier::default()));
        let verifier = verifier.with_evaluation(evaluation);
        verifier.replace_policy(policy.map(Arc::clone));
        let decide = || {
            let permit = verifier.authorize_header(header.as_bytes(), &call, None, now);
            assert!(permit.is_ok(), "{:?}", permit.err());
        };
        decide();
        measure(decide).count_total
    };
    assert_eq!(cost(Evaluation::Compiled, Some(&policy)), 0);
    let without = cost(Evaluation::Reference, None);
    let with = cost(Evaluation::Reference, Some(&policy));
    assert!(
        with > without + 50,
        "{with} with a policy, {without} without"
    );
}
