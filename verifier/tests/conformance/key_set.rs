//! Mint keys over the years: windows, rotation, theft, and which key verified a token (rule 11).

use std::sync::Arc;

use bailiwick_datalog::{Authority, Timestamp};
use bailiwick_verifier::{
    KeySet, MemoryRevocations, UnverifiedToken,
    keys::{KeyState, MintKey},
    signed::PublicKeyHex,
};
use biscuit_auth::Biscuit;

use crate::support::{
    EXPIRES_AT, ISSUED_AT, NOW, append_text, at, authority, call, code, key_pair, signing_key,
    verifier_with,
};

/// What a verifier with these keys says to the usual call with a token.
fn under(keys: &[MintKey], token: &Biscuit, now: u64) -> &'static str {
    let keys = KeySet::new(keys.iter().copied()).unwrap();
    let verifier = verifier_with(keys, Arc::new(MemoryRevocations::fixed([])));
    let token = UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap();
    code(&verifier.authorize(&token, &call(), at(now)))
}

fn key_of(id: u32, seed: u8) -> MintKey {
    MintKey::active(id, PublicKeyHex::from(&signing_key(seed)))
}

/// A token of the key with this seed under this id.
fn minted_by(id: u32, seed: u8, authority: &Authority) -> Biscuit {
    let builder = authority.to_builder().unwrap().root_key_id(id);
    builder.build(&key_pair(seed)).unwrap()
}

#[test]
fn the_whole_life_of_a_token_lies_in_the_window_of_its_key() {
    let token = minted_by(9, 60, &authority());
    for (not_before, not_after, expected) in [
        (ISSUED_AT, EXPIRES_AT, "allow"),
        (ISSUED_AT + 1, EXPIRES_AT, "unknown_key"),
        (ISSUED_AT, EXPIRES_AT - 1, "unknown_key"),
        (0, u64::MAX, "allow"),
    ] {
        let key = MintKey {
            not_before: Some(Timestamp::from_unix(not_before)),
            not_after: Some(Timestamp::from_unix(not_after)),
            ..key_of(9, 60)
        };
        assert_eq!(
            under(&[key], &token, NOW),
            expected,
            "{not_before} {not_after}"
        );
        let narrowed = append_text(&token, "check if access(\"read\");");
        assert_eq!(under(&[key], &narrowed, NOW), expected);
    }
}

#[test]
fn keys_are_rotated_with_an_overlap() {
    let (old, new) = (key_of(1, 60), key_of(2, 61));
    let early = minted_by(1, 60, &authority());
    let late = minted_by(2, 61, &authority());
    let retired = MintKey {
        state: KeyState::Retired,
        not_after: Some(Timestamp::from_unix(EXPIRES_AT)),
        ..old
    };
    let revoked = MintKey {
        state: KeyState::Revoked,
        ..retired
    };
    for (keys, of_old, of_new) in [
        (&[old][..], "allow", "unknown_key"),
        (&[old, new], "allow", "allow"),
        (&[retired, new], "allow", "allow"),
        (&[revoked, new], "unknown_key", "allow"),
        (&[new], "unknown_key", "allow"),
    ] {
        assert_eq!(under(keys, &early, NOW), of_old, "{keys:?}");
        assert_eq!(under(keys, &late, NOW), of_new, "{keys:?}");
    }
    // An id is never reused: a token is of the key that had it when it was minted.
    assert_eq!(under(&[key_of(1, 61)], &early, NOW), "bad_signature");
}

#[test]
fn a_key_stolen_after_its_window_signs_nothing_that_is_good() {
    let end = EXPIRES_AT;
    let key = MintKey {
        state: KeyState::Retired,
        not_after: Some(Timestamp::from_unix(end)),
        ..key_of(1, 60)
    };
    // Dated back into the window: over by now, or it outlives the window.
    let backdated = minted_by(1, 60, &authority());
    let long = Authority {
        expires_at: Timestamp::from_unix(end + 900),
        ..authority()
    };
    let honest = Authority {
        issued_at: Timestamp::from_unix(end),
        ..long.clone()
    };
    assert_eq!(under(&[key], &backdated, end - 1), "allow");
    assert_eq!(under(&[key], &backdated, end), "expired");
    assert_eq!(under(&[key], &minted_by(1, 60, &long), end), "unknown_key");
    assert_eq!(
        under(&[key], &minted_by(1, 60, &honest), end),
        "unknown_key"
    );
}

#[test]
fn a_verified_token_names_the_key_that_verified_it() {
    let keys = KeySet::new([key_of(1, 60), key_of(2, 61)]).unwrap();
    let verifier = verifier_with(keys, Arc::new(MemoryRevocations::fixed([])));
    for (id, seed) in [(1, 60), (2, 61)] {
        let bytes = minted_by(id, seed, &authority()).to_vec().unwrap();
        let token = UnverifiedToken::from_bytes(bytes).unwrap();
        let public = PublicKeyHex::from(&signing_key(seed));
        let verified = verifier.verify(&token, at(NOW)).unwrap();
        assert_eq!(
            (verified.key().id(), *verified.key().public_key()),
            (id, public)
        );
        let permit = verifier.authorize(&token, &call(), at(NOW)).unwrap();
        assert_eq!(permit.key(), verified.key());
    }
}

#[test]
fn a_root_key_id_is_looked_up_in_the_keys_in_force() {
    let revoked = MintKey {
        state: KeyState::Revoked,
        ..key_of(2, 61)
    };
    let keys = KeySet::new([key_of(1, 60), revoked]).unwrap();
    let verifier = verifier_with(keys, Arc::new(MemoryRevocations::fixed([])));
    let found = |id| verifier.key_with_id(id).map(|key| *key.public_key());
    let public = |seed| Some(PublicKeyHex::from(&signing_key(seed)));
    assert_eq!([found(1), found(2), found(3)], [public(60), None, None]);
    verifier.replace_keys(Arc::new(KeySet::new([key_of(3, 62)]).unwrap()));
    assert_eq!([found(1), found(3)], [None, public(62)]);
    assert_eq!(verifier.key_with_id(3).map(|key| key.id()), Some(3));
}
