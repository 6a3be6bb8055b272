//! What is remembered of proofs: each is good once, and the memory is bounded and shared out.

use serde_json::json;

use super::*;

#[test]
fn a_proof_is_good_once() {
    let verifier = ProofVerifier::default();
    let holder = holder().thumbprint();
    let demand = demand(&holder);
    let first = signed(&header(), &claims());
    assert_eq!(verifier.verify(Some(&first), &demand, now(NOW)), Ok(()));
    let second = signed(&header(), &with(claims(), "jti", json!("2")));
    assert_eq!(verifier.verify(Some(&second), &demand, now(NOW)), Ok(()));
    // The same id in a proof of other bytes is a replay as well.
    let resigned = signed(&header(), &with(claims(), "nonce", json!("n")));
    for again in [&first, &second, &resigned] {
        assert_eq!(
            verifier.verify(Some(again), &demand, now(NOW + 60)),
            Err(HolderError::Replayed)
        );
    }
}

#[test]
fn a_proof_that_is_refused_is_not_used_up() {
    let verifier = ProofVerifier::default();
    let holder = holder().thumbprint();
    let demand = demand(&holder);
    let proof = signed(&header(), &claims());
    let other_token = ProofDemand {
        token_text: "other",
        ..demand
    };
    assert!(
        verifier
            .verify(Some(&proof), &other_token, now(NOW))
            .is_err()
    );
    assert_eq!(verifier.verify(Some(&proof), &demand, now(NOW)), Ok(()));
}

#[test]
fn a_full_memory_refuses_until_proofs_grow_old() {
    let verifier = ProofVerifier::with_share(1, 2);
    let holder = holder().thumbprint();
    let demand = demand(&holder);
    let numbered = |id: &str, iat: u64| {
        let claims = with(with(claims(), "jti", json!(id)), "iat", json!(iat));
        signed(&header(), &claims)
    };
    let verify = |proof: &HolderProof, utc| verifier.verify(Some(proof), &demand, now(utc));
    assert_eq!(verify(&numbered("1", NOW), NOW), Ok(()));
    assert_eq!(
        verify(&numbered("2", NOW + 60), NOW + 60),
        Err(HolderError::TooManyProofs { capacity: 1 })
    );
    assert_eq!(verify(&numbered("2", NOW + 60), NOW + 61), Ok(()));
}

#[test]
fn a_holder_has_a_sixteenth_of_the_memory_unless_told_otherwise() {
    let holder = holder().thumbprint();
    let demand = demand(&holder);
    for (verifier, share) in [
        (ProofVerifier::new(32), 2),
        (ProofVerifier::new(1), 1),
        (ProofVerifier::with_share(32, 3), 3),
    ] {
        let used = |id: usize| {
            let proof = signed(&header(), &with(claims(), "jti", json!(id.to_string())));
            verifier.verify(Some(&proof), &demand, now(NOW))
        };
        for id in 0..share {
            assert_eq!(used(id), Ok(()), "{id} of {share}");
        }
        assert_eq!(used(share), Err(HolderError::ShareUsedUp { share }));
    }
}

#[test]
fn a_batch_forgets_no_proof_and_takes_as_many_as_it_was_given() {
    let verifier = ProofVerifier::for_batch(2);
    let holder = holder().thumbprint();
    let verify = |id: &str, at: u64| {
        let claims = with(with(claims(), "jti", json!(id)), "iat", json!(at));
        verifier.verify(Some(&signed(&header(), &claims)), &demand(&holder), now(at))
    };
    assert_eq!(verify("1", NOW), Ok(()));
    assert_eq!(verify("2", NOW + 1_000), Ok(()));
    assert_eq!(verify("1", NOW), Err(HolderError::Replayed));
    assert_eq!(
        verify("3", NOW + 1_000),
        Err(HolderError::TooManyProofs { capacity: 2 })
    );
}
