//! Text → operator policies.

use bailiwick_datalog::{OperatorPolicy, Request};

use super::scene::{CALL, NOW, authority};

/// A policy that is accepted is accepted again as the same, and decides and explains without an
/// accident; what the plan of it allows, the engine allows.
pub(crate) fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let policy = match OperatorPolicy::load(text) {
        Ok(policy) => policy,
        Err(problems) => {
            assert!(!problems.to_string().is_empty());
            return false;
        }
    };
    let again = OperatorPolicy::load(policy.source()).unwrap();
    assert_eq!(again.digest(), policy.digest());
    let authority = authority();
    let request = Request {
        time: NOW.utc,
        audience: &authority.audience,
        depth: 1,
        call: &CALL,
        resource: &CALL.resources[0],
    };
    let decided = policy.decide(&authority, &request);
    assert_eq!(
        again.decide(&authority, &request).is_ok(),
        decided.is_ok(),
        "a decision depends on the text alone"
    );
    if decided.is_ok() {
        let engine = policy.decide_by_engine(&authority, &request);
        assert!(engine.is_ok(), "allowed, but not by the engine: {engine:?}");
    }
    drop(policy.explain(&authority, &request));
    true
}
