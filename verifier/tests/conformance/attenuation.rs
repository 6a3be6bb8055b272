//! Narrowing and handing on through the crate's own door: what comes out is what every verifier
//! and the Biscuit library accept, and what nobody would accept does not come out.

use bailiwick_datalog::{
    Audience, Authority, Caveat, LaterBlock, Timestamp, ToolName, canonical_call_digest,
};
use bailiwick_verifier::{
    AttenuationError, Denied, HeldToken, Permit, UnverifiedToken,
    holder::{HolderKey, HolderProof, ProofRequest},
};
use biscuit_auth::Biscuit;
use rand::{SeedableRng, rngs::StdRng};

use crate::support::{
    AUDIENCE, ISSUED_AT, NOW, append, arguments, at, authority, call, code, decide, mint, root,
    verifier,
};

const A: u8 = 50;
const B: u8 = 51;
const C: u8 = 52;

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn key(seed: u8) -> HolderKey {
    HolderKey::from_secret(&[seed; 32])
}

fn held(authority: &Authority) -> HeldToken {
    HeldToken::from_bytes(mint(authority).to_vec().unwrap()).unwrap()
}

fn plain() -> HeldToken {
    held(&authority())
}

fn bound_to(seed: u8) -> HeldToken {
    held(&Authority {
        holder: Some(key(seed).thumbprint()),
        ..authority()
    })
}

fn narrowing() -> LaterBlock {
    let tool = ToolName::parse("files.read_file").unwrap();
    LaterBlock {
        caveats: vec![Caveat::Tools(vec![tool.to_string()])],
        ..LaterBlock::default()
    }
}

fn of(caveat: Caveat) -> LaterBlock {
    LaterBlock {
        caveats: vec![caveat],
        ..LaterBlock::default()
    }
}

fn to(seed: u8) -> LaterBlock {
    LaterBlock {
        holder: Some(key(seed).thumbprint()),
        ..LaterBlock::default()
    }
}

fn attenuated(token: &HeldToken, block: &LaterBlock) -> HeldToken {
    token.attenuate(block, &mut rng()).unwrap()
}

fn refused(token: &HeldToken, block: &LaterBlock) -> AttenuationError {
    token.attenuate(block, &mut rng()).unwrap_err()
}

fn handed(token: &HeldToken, from: u8, next: u8) -> HeldToken {
    token.hand_over(&to(next), &key(from), &mut rng()).unwrap()
}

fn proof(by: u8, token: &HeldToken) -> HolderProof {
    key(by).create_proof(&ProofRequest {
        method: "POST",
        url: AUDIENCE,
        token_text: &token.expose_text(),
        call_digest: &canonical_call_digest(&call().tool, &arguments()).unwrap(),
        issued_at: at(NOW).utc,
        id: "1",
    })
}

/// The decision on the usual call, with a proof by this key.
fn shown_by(by: u8, token: &HeldToken) -> Result<Permit, Denied> {
    let presented = UnverifiedToken::from_text(&token.expose_text())?;
    verifier().authorize_with_proof(&presented, &call(), Some(&proof(by, token)), at(NOW))
}

fn library_reads(token: &HeldToken) -> Biscuit {
    Biscuit::from(token.expose_bytes(), root().public()).unwrap()
}

#[test]
fn an_attenuated_token_says_what_it_was_to_say_and_is_accepted() {
    let token = plain();
    let narrowed = attenuated(&token, &narrowing());
    assert_eq!(narrowed.chain().depth(), 1);
    assert_eq!(narrowed.chain().blocks()[0].content, narrowing());
    assert_eq!(narrowed.chain().authority(), token.chain().authority());
    assert_eq!(code(&decide(narrowed.expose_bytes())), "allow");
    library_reads(&narrowed);
}

#[test]
fn text_and_bytes_of_a_token_are_read_alike() {
    let token = plain();
    let read = HeldToken::from_text(&token.expose_text()).unwrap();
    assert_eq!(read.expose_bytes(), token.expose_bytes());
    let denied = HeldToken::from_text("!").unwrap_err();
    assert_eq!(denied.code(), "malformed_token");
    let outside = crate::support::append_text(&mint(&authority()), "time(2026-01-01T00:00:00Z);");
    let denied = HeldToken::from_bytes(outside.to_vec().unwrap()).unwrap_err();
    assert_eq!(denied.code(), "profile_violation");
}

#[test]
fn each_block_gets_a_key_of_its_own_from_the_callers_generator() {
    let mut rng = rng();
    let token = plain();
    let mut next = || token.attenuate(&narrowing(), &mut rng).unwrap();
    assert_ne!(next().expose_bytes(), next().expose_bytes());
    assert_eq!(
        attenuated(&token, &narrowing()).expose_bytes(),
        attenuated(&token, &narrowing()).expose_bytes()
    );
}

#[test]
fn the_deepest_block_is_appended_and_one_more_is_not() {
    let most = |max_depth| {
        held(&Authority {
            max_depth,
            ..authority()
        })
    };
    let one = attenuated(&most(1), &narrowing());
    let deeper = AttenuationError::DepthExceeded { depth: 2, most: 1 };
    assert_eq!(deeper.code(), "depth_exceeded");
    assert_eq!(refused(&one, &narrowing()), deeper);
    assert_eq!(
        refused(&most(0), &narrowing()),
        AttenuationError::DepthExceeded { depth: 1, most: 0 }
    );
    // A block's own bound counts, for itself and for those after it.
    let last = attenuated(&plain(), &of(Caveat::Depth(1)));
    assert_eq!(refused(&last, &narrowing()), deeper);
    assert_eq!(
        refused(&plain(), &of(Caveat::Depth(0))),
        AttenuationError::DepthExceeded { depth: 1, most: 0 }
    );
}

#[test]
fn a_token_of_most_blocks_is_made_and_one_more_block_is_refused() {
    let mut token = held(&Authority {
        max_depth: 99,
        ..authority()
    });
    for _ in 0..16 {
        token = attenuated(&token, &narrowing());
    }
    assert_eq!(code(&decide(token.expose_bytes())), "allow");
    assert_eq!(refused(&token, &narrowing()).code(), "limit_exceeded");
}

#[test]
fn a_block_of_most_checks_is_appended_and_one_more_is_refused() {
    let block = |count| LaterBlock {
        caveats: vec![narrowing().caveats[0].clone(); count],
        ..LaterBlock::default()
    };
    assert!(plain().attenuate(&block(32), &mut rng()).is_ok());
    let error = refused(&plain(), &block(33));
    assert!(matches!(error, AttenuationError::Block(_)), "{error:?}");
    assert_eq!(error.code(), "limit_exceeded");
}

#[test]
fn a_token_larger_than_any_is_not_made() {
    let long = |bytes: usize| of(Caveat::Tools(vec!["x".repeat(bytes)]));
    assert!(plain().attenuate(&long(15_000), &mut rng()).is_ok());
    let error = refused(&plain(), &long(16_384));
    assert_eq!(error.code(), "token_too_large");
}

#[test]
fn a_block_that_ends_before_the_session_began_is_refused() {
    let until = |unix| {
        of(Caveat::Expiry {
            at: Timestamp::from_unix(unix),
            inclusive: false,
        })
    };
    assert!(plain().attenuate(&until(ISSUED_AT + 1), &mut rng()).is_ok());
    let error = refused(&plain(), &until(ISSUED_AT));
    let moment = Timestamp::from_unix(ISSUED_AT);
    assert_eq!(
        error,
        AttenuationError::NeverValid {
            ends: moment,
            begins: moment
        }
    );
    assert_eq!(error.code(), "expired");
}

#[test]
fn a_block_for_another_audience_is_refused() {
    let audience = |text: &str| of(Caveat::Audience(Audience::parse(text).unwrap().to_string()));
    assert!(plain().attenuate(&audience(AUDIENCE), &mut rng()).is_ok());
    let error = refused(&plain(), &audience("https://other.example/mcp"));
    assert_eq!(
        error,
        AttenuationError::Refused(Denied::WrongAudience { block: 1 })
    );
}

#[test]
fn a_sealed_token_serves_and_is_neither_narrowed_nor_sealed_again() {
    let sealed = plain().seal().unwrap();
    assert!(sealed.chain().is_sealed());
    assert_eq!(sealed.chain().depth(), 0);
    assert_eq!(code(&decide(sealed.expose_bytes())), "allow");
    let bound = bound_to(A).seal().unwrap();
    for error in [
        refused(&sealed, &narrowing()),
        sealed.seal().unwrap_err(),
        bound.hand_over(&to(B), &key(A), &mut rng()).unwrap_err(),
    ] {
        assert_eq!(error, AttenuationError::Sealed);
        assert_eq!(error.code(), "sealed");
    }
}

#[test]
fn a_bearer_token_is_bound_by_any_block_and_needs_no_key_for_it() {
    let bound = attenuated(&plain(), &to(A));
    assert_eq!(bound.chain().holder(), Some(&key(A).thumbprint()));
    assert_eq!(code(&shown_by(A, &bound)), "allow");
    let error = plain().hand_over(&to(A), &key(A), &mut rng()).unwrap_err();
    assert_eq!(error, AttenuationError::NotBound);
    assert_eq!(error.code(), "holder_not_bound");
}

#[test]
fn a_bound_token_is_bound_again_by_its_holders_key_alone() {
    let token = bound_to(A);
    let error = refused(&token, &to(B));
    let holder = key(A).thumbprint();
    assert_eq!(
        error,
        AttenuationError::HolderBound {
            holder: holder.clone()
        }
    );
    assert_eq!(error.code(), "holder_already_bound");
    // Narrowed without naming a holder, it stays bound.
    assert_eq!(
        attenuated(&token, &narrowing()).chain().holder(),
        Some(&holder)
    );

    let error = token.hand_over(&to(B), &key(B), &mut rng()).unwrap_err();
    assert_eq!(
        error,
        AttenuationError::WrongHolderKey {
            key: key(B).thumbprint(),
            holder
        }
    );
    assert_eq!(error.code(), "wrong_holder_key");

    let token = handed(&token, A, B);
    assert!(token.chain().blocks()[0].by_holder);
    assert_eq!(code(&shown_by(B, &token)), "allow");
    assert_eq!(code(&shown_by(A, &token)), "holder_proof_invalid");
    assert_eq!(code(&decide(token.expose_bytes())), "holder_proof_missing");
    library_reads(&token);
}

#[test]
fn a_block_that_hands_over_names_somebody_and_may_narrow() {
    let token = bound_to(A);
    let error = token
        .hand_over(&narrowing(), &key(A), &mut rng())
        .unwrap_err();
    assert_eq!(error, AttenuationError::NoNextHolder);
    assert_eq!(error.code(), "next_holder_missing");

    let block = LaterBlock {
        caveats: vec![Caveat::Access(vec!["write".to_owned()])],
        ..to(B)
    };
    let narrowed = token.hand_over(&block, &key(A), &mut rng()).unwrap();
    assert_eq!(narrowed.chain().blocks()[0].content, block);
    assert_eq!(code(&shown_by(B, &narrowed)), "caveat_failed");
    assert_eq!(code(&shown_by(B, &handed(&token, A, B))), "allow");
}

#[test]
fn a_token_passes_from_hand_to_hand_with_narrowing_in_between() {
    let mut token = bound_to(A);
    for (from, next) in [(A, B), (B, C), (C, A)] {
        token = attenuated(&token, &narrowing());
        token = handed(&token, from, next);
        library_reads(&token);
        assert_eq!(code(&shown_by(next, &token)), "allow");
        assert_eq!(code(&shown_by(from, &token)), "holder_proof_invalid");
        let stolen = token.hand_over(&to(from), &key(from), &mut rng());
        assert_eq!(stolen.unwrap_err().code(), "wrong_holder_key");
    }
    assert_eq!(token.chain().depth(), 6);
    let sealed = token.seal().unwrap();
    assert_eq!(code(&shown_by(A, &sealed)), "allow");
}

#[test]
fn a_forged_token_narrows_to_a_forged_token() {
    let mut message = crate::support::Forge::of(&mint(&authority())).message;
    message.authority.signature[0] ^= 1;
    let bytes = prost::Message::encode_to_vec(&message);
    let narrowed = attenuated(&HeldToken::from_bytes(bytes).unwrap(), &narrowing());
    assert_eq!(code(&decide(narrowed.expose_bytes())), "bad_signature");
}

#[test]
fn blocks_of_the_library_and_ours_go_behind_each_other() {
    let theirs = append(&mint(&authority()), &narrowing());
    let ours = attenuated(
        &HeldToken::from_bytes(theirs.to_vec().unwrap()).unwrap(),
        &narrowing(),
    );
    let both = append(&library_reads(&ours), &narrowing());
    assert_eq!(code(&decide(&both.to_vec().unwrap())), "allow");
}

#[test]
fn neither_token_nor_key_is_shown_by_accident() {
    let token = bound_to(A);
    let shown = format!("{token:?} {:?}", key(A));
    assert!(shown.contains("s-1"));
    assert!(!shown.contains(&token.expose_text()));
    assert!(!shown.contains(&hex::encode([A; 32])));
}
