//! Exact calls: who gets a permit for them, and after what.

use bailiwick_datalog::{
    Access, Audience, Authority, CallDigest, Caveat, LaterBlock, Timestamp, ToolLimit,
};
use bailiwick_verifier::{
    Authorization, Denied, SingleUse, UnverifiedToken, access_request, single_use::Claim,
};
use biscuit_auth::Biscuit;
use serde_json::json;

use crate::support::{
    AUDIENCE, EXPIRES_AT, ISSUED_AT, NOW, append, arguments, at, authority, call, call_on, grant,
    mint, verifier,
};

/// A session that may make the usual call so often, and search as it likes.
fn session(times: usize) -> Biscuit {
    let usual = CallDigest::of(&call()).unwrap();
    let mut authority = Authority {
        limits: vec![ToolLimit {
            tool: call().tool,
            caveat: Caveat::ExactCalls(vec![usual; times]),
        }],
        ..authority()
    };
    authority
        .grants
        .push(grant("s", "files.search", Access::Read, "files"));
    mint(&authority)
}

fn read(token: &Biscuit) -> UnverifiedToken {
    UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap()
}

fn single_use(token: &Biscuit) -> SingleUse {
    match verifier().authorization_with_proof(&read(token), &call(), None, at(NOW)) {
        Ok(Authorization::Once(single)) => single,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_permit_for_an_exact_call_comes_after_the_record_of_its_use() {
    let single = single_use(&session(2));
    let usual = CallDigest::of(&call()).unwrap();
    let claim = Claim {
        session: "s-1".to_owned(),
        call: usual,
        times: 2,
        issued_at: Timestamp::from_unix(ISSUED_AT),
        until: Timestamp::from_unix(EXPIRES_AT),
    };
    assert_eq!(single.claim(), &claim);
    let granted = single.grant_ids().to_vec();
    let permit = single.record(|_| Ok::<_, ()>(2)).unwrap();
    let recorded = permit.recorded_use().unwrap();
    assert_eq!((recorded.call, recorded.nth, recorded.times), (usual, 2, 2));
    assert_eq!(permit.call(), &call());
    assert_eq!(permit.grant_ids(), granted);
    assert!(!granted.is_empty());

    let refused = single_use(&session(2)).record(|claim| Err::<u32, _>(claim.used_up()));
    assert_eq!(refused.unwrap_err().code(), "approval_required");
}

#[test]
fn a_use_is_remembered_until_the_session_ends_whatever_a_token_of_it_says() {
    let block = LaterBlock {
        caveats: vec![Caveat::Expiry {
            at: Timestamp::from_unix(NOW + 1),
            inclusive: false,
        }],
        ..LaterBlock::default()
    };
    let narrowed = append(&session(1), &block);
    let single = single_use(&narrowed);
    assert_eq!(single.claim().until, Timestamp::from_unix(EXPIRES_AT));
}

#[test]
fn a_host_that_keeps_no_count_makes_no_exact_call() {
    let token = read(&session(1));
    let (verifier, now) = (verifier(), at(NOW));
    let refused = verifier.authorize(&token, &call(), now).unwrap_err();
    assert!(matches!(refused, Denied::PolicyDenied { .. }), "{refused}");
    let verified = verifier.verify(&token, now).unwrap();
    let again = verifier.authorize_verified(&verified, &call(), None, now);
    assert_eq!(again.unwrap_err(), refused);
    let mut search = call_on(&["files/reports"], &arguments());
    search.tool = "files.search".parse().unwrap();
    let permit = verifier.authorize(&token, &search, now).unwrap();
    assert_eq!(permit.recorded_use(), None);
}

#[test]
fn another_call_is_asked_for_with_its_arguments() {
    let (verifier, now) = (verifier(), at(NOW));
    let verified = verifier.verify(&read(&session(1)), now).unwrap();
    let arguments = json!({"path": "reports/q4.md"});
    let other = call_on(&["files/reports/q4.md"], arguments.as_object().unwrap());
    let refused = verifier.authorization_verified(&verified, &other, None, now);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "approval_required");
    assert!(refused.may_be_approved());
    assert_eq!(
        refused.explanation(),
        "the call needs an approval: `files.read_file` may be called only with the very arguments \
         that were approved, and this is no such call"
    );
    let audience = Audience::parse(AUDIENCE).unwrap();
    let detail =
        |call| access_request(call, &verified, &audience)["authorization_details"][0].clone();
    let calls = json!([{"name": "files.read_file", "arguments": arguments}]);
    assert_eq!(detail(&other)["calls"], calls);
    let mut search = other.clone();
    search.tool = "files.search".parse().unwrap();
    assert_eq!(detail(&search).get("calls"), None);
}
