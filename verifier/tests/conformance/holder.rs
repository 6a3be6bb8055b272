//! Tokens bound to a key: rules 16 and 24.

use std::sync::Arc;

use bailiwick_datalog::{Authority, LaterBlock, canonical_call_digest};
use bailiwick_verifier::{
    Denied, Disposition, Permit, UnverifiedToken, Verifier,
    holder::{HolderKey, HolderProof, ProofRequest, ProofVerifier},
};
use biscuit_auth::{Biscuit, builder::BlockBuilder};
use serde_json::{Map, Value, json};

use crate::support::{
    AUDIENCE, NOW, append, arguments, at, authority, call, call_on, code, decide_call, key_pair,
    mint, verdict, verifier,
};

const HOLDER: u8 = 50;

fn holder(seed: u8) -> HolderKey {
    HolderKey::from_secret(&[seed; 32])
}

fn bound() -> Biscuit {
    mint(&Authority {
        holder: Some(holder(HOLDER).thumbprint()),
        ..authority()
    })
}

fn text(token: &Biscuit) -> String {
    token.to_base64().unwrap()
}

fn proof(
    key: &HolderKey,
    token: &Biscuit,
    arguments: &Map<String, Value>,
    id: &str,
) -> HolderProof {
    key.create_proof(&ProofRequest {
        method: "POST",
        url: AUDIENCE,
        token_text: &text(token),
        call_digest: &canonical_call_digest(&call().tool, arguments).unwrap(),
        issued_at: at(NOW).utc,
        id,
    })
}

fn present(
    verifier: &Verifier,
    token: &Biscuit,
    proof: Option<&HolderProof>,
) -> Result<Permit, Denied> {
    let token = UnverifiedToken::from_text(&text(token))?;
    verifier.authorize_with_proof(&token, &call(), proof, at(NOW))
}

#[test]
fn a_bound_token_needs_its_holders_proof() {
    let token = bound();
    let good = proof(&holder(HOLDER), &token, &arguments(), "1");
    let other = proof(&holder(HOLDER + 1), &token, &arguments(), "1");
    let elsewhere = proof(&holder(HOLDER), &mint(&authority()), &arguments(), "1");
    for (proof, expected) in [
        (Some(&good), "allow"),
        (Some(&other), "holder_proof_invalid"),
        (Some(&elsewhere), "holder_proof_invalid"),
        (None, "holder_proof_missing"),
    ] {
        assert_eq!(code(&present(&verifier(), &token, proof)), expected);
    }
    assert_eq!(verdict(&token), "holder_proof_missing");
}

#[test]
fn a_proof_serves_one_call() {
    let verifier = verifier();
    let token = bound();
    let first = proof(&holder(HOLDER), &token, &arguments(), "1");
    let second = proof(&holder(HOLDER), &token, &arguments(), "2");
    assert_eq!(code(&present(&verifier, &token, Some(&first))), "allow");
    assert_eq!(
        code(&present(&verifier, &token, Some(&first))),
        "holder_proof_replayed"
    );
    assert_eq!(code(&present(&verifier, &token, Some(&second))), "allow");
}

#[test]
fn a_holder_who_uses_its_share_up_is_refused_and_others_are_served() {
    let verifier = verifier().sharing_proofs(Arc::new(ProofVerifier::with_share(100, 2)));
    let tokens = [(HOLDER, "s-1"), (HOLDER + 1, "s-2")].map(|(seed, session)| {
        let token = mint(&Authority {
            session: session.parse().unwrap(),
            holder: Some(holder(seed).thumbprint()),
            ..authority()
        });
        (seed, token)
    });
    for (seed, token) in &tokens {
        for (id, expected) in [("1", "allow"), ("2", "allow"), ("3", "limit_exceeded")] {
            let proof = proof(&holder(*seed), token, &arguments(), id);
            let decision = present(&verifier, token, Some(&proof));
            assert_eq!(code(&decision), expected);
            // Nothing is missing that could be asked for: the same call passes in a while.
            if let Err(denied) = decision {
                assert_eq!(denied.disposition_of_call(), Disposition::Unavailable);
            }
        }
    }
}

#[test]
fn a_session_has_one_share_however_many_keys_it_is_bound_to() {
    let verifier = verifier().sharing_proofs(Arc::new(ProofVerifier::with_share(100, 2)));
    let bearer = mint(&authority());
    for (seed, expected) in [(60, "allow"), (61, "allow"), (62, "limit_exceeded")] {
        let block = LaterBlock {
            holder: Some(holder(seed).thumbprint()),
            ..LaterBlock::default()
        };
        let token = append(&bearer, &block);
        let proof = proof(&holder(seed), &token, &arguments(), "1");
        assert_eq!(code(&present(&verifier, &token, Some(&proof))), expected);
    }
}

#[test]
fn a_proof_for_other_arguments_is_refused() {
    let token = bound();
    let other = json!({"path": "reports/q4.md"});
    let proof = proof(&holder(HOLDER), &token, other.as_object().unwrap(), "1");
    assert_eq!(
        code(&present(&verifier(), &token, Some(&proof))),
        "holder_proof_invalid"
    );
}

#[test]
fn arguments_without_one_canonical_text_cannot_be_proven() {
    let exact = json!({"n": 9_007_199_254_740_991_u64});
    let rounded = json!({"n": 9_007_199_254_740_992_u64});
    for (arguments, expected) in [(&exact, "allow"), (&rounded, "holder_proof_invalid")] {
        let arguments = arguments.as_object().unwrap();
        let token = bound();
        let digest = canonical_call_digest(&call().tool, arguments).unwrap_or([0; 32]);
        let proof = holder(HOLDER).create_proof(&ProofRequest {
            method: "POST",
            url: AUDIENCE,
            token_text: &text(&token),
            call_digest: &digest,
            issued_at: at(NOW).utc,
            id: "1",
        });
        let decision = verifier().authorize_with_proof(
            &UnverifiedToken::from_text(&text(&token)).unwrap(),
            &call_on(&["files/reports/q3.md"], arguments),
            Some(&proof),
            at(NOW),
        );
        assert_eq!(code(&decision), expected);
    }
    let unproven = call_on(&["files/reports/q3.md"], rounded.as_object().unwrap());
    let decision = decide_call(&bound().to_vec().unwrap(), &unproven);
    assert_eq!(code(&decision), "holder_proof_missing");
}

#[test]
fn a_bearer_token_needs_no_proof() {
    let token = mint(&authority());
    let irrelevant = proof(&holder(HOLDER), &bound(), &arguments(), "1");
    for proof in [None, Some(&irrelevant)] {
        assert_eq!(code(&present(&verifier(), &token, proof)), "allow");
    }
}

#[test]
fn a_first_party_block_binds_a_bearer_token() {
    let block = LaterBlock {
        holder: Some(holder(HOLDER).thumbprint()),
        ..LaterBlock::default()
    };
    let token = append(&mint(&authority()), &block);
    let good = proof(&holder(HOLDER), &token, &arguments(), "1");
    let other = proof(&holder(HOLDER + 1), &token, &arguments(), "1");
    assert_eq!(code(&present(&verifier(), &token, Some(&good))), "allow");
    assert_eq!(
        code(&present(&verifier(), &token, Some(&other))),
        "holder_proof_invalid"
    );
    assert_eq!(verdict(&token), "holder_proof_missing");
}

#[test]
fn a_first_party_block_cannot_bind_a_bound_token_again() {
    for seed in [HOLDER, HOLDER + 1] {
        let block = LaterBlock {
            holder: Some(holder(seed).thumbprint()),
            ..LaterBlock::default()
        };
        assert_eq!(verdict(&append(&bound(), &block)), "profile_violation");
    }
}

/// Has `signer` sign a block for the token.
fn third_party(token: &Biscuit, signer: u8, source: &str) -> Biscuit {
    let signer = key_pair(signer);
    let block = token
        .third_party_request()
        .unwrap()
        .create_block(&signer.private(), BlockBuilder::new().code(source).unwrap())
        .unwrap();
    token.append_third_party(signer.public(), block).unwrap()
}

fn rebind(token: &Biscuit, signer: u8, new: u8) -> Biscuit {
    let thumbprint = holder(new).thumbprint();
    let source = format!("holder(\"{}\");", thumbprint.as_str());
    third_party(token, signer, &source)
}

#[test]
fn the_holder_hands_the_token_on_by_its_signature() {
    let token = rebind(&bound(), HOLDER, HOLDER + 1);
    let new = proof(&holder(HOLDER + 1), &token, &arguments(), "1");
    let old = proof(&holder(HOLDER), &token, &arguments(), "1");
    assert_eq!(code(&present(&verifier(), &token, Some(&new))), "allow");
    assert_eq!(
        code(&present(&verifier(), &token, Some(&old))),
        "holder_proof_invalid"
    );
    // And the next holder hands it on in turn, the first one no more.
    let again = rebind(&token, HOLDER + 1, HOLDER + 2);
    let newest = proof(&holder(HOLDER + 2), &again, &arguments(), "1");
    assert_eq!(code(&present(&verifier(), &again, Some(&newest))), "allow");
    let stolen = rebind(&token, HOLDER, HOLDER + 2);
    assert_eq!(verdict(&stolen), "profile_violation");
}

#[test]
fn any_other_third_party_block_is_outside_the_profile() {
    let handed_on = format!("holder(\"{}\");", holder(HOLDER + 1).thumbprint().as_str());
    for (token, signer, source, expected) in [
        (bound(), HOLDER, handed_on.as_str(), "holder_proof_missing"),
        (bound(), HOLDER + 1, handed_on.as_str(), "profile_violation"),
        (bound(), HOLDER, "delegate(\"sub-7\");", "profile_violation"),
        (
            bound(),
            HOLDER,
            "check if access(\"read\");",
            "profile_violation",
        ),
        (
            mint(&authority()),
            HOLDER,
            handed_on.as_str(),
            "profile_violation",
        ),
    ] {
        let token = third_party(&token, signer, source);
        assert_eq!(verdict(&token), expected, "{signer} {source}");
    }
}
