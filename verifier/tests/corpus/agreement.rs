//! The Biscuit library reads the same signatures on every token of the corpus.

use bailiwick_datalog::token_text;
use biscuit_auth::{Algorithm, Biscuit, PublicKey, format::schema};
use prost::Message;

use crate::{case::Case, cases};

/// Codes that a token gets before its signatures are verified, or for its shape.
const NOT_OF_SIGNATURES: [&str; 7] = [
    "malformed_token",
    "token_too_large",
    "unsupported_algorithm",
    "unknown_key",
    "profile_violation",
    "limit_exceeded",
    "bad_signature",
];

/// Whether the library takes the token under the key that it names.
fn library_takes(case: &Case, bytes: &[u8]) -> Option<bool> {
    let id = schema::Biscuit::decode(bytes).ok()?.root_key_id?;
    let key = case.keys.get(&id.to_string())?.strip_prefix("ed25519/")?;
    let key = PublicKey::from_bytes_hex(key, Algorithm::Ed25519).unwrap();
    Some(Biscuit::from(bytes, key).is_ok())
}

#[test]
fn signatures_are_good_or_broken_for_the_library_too() {
    let mut compared = 0;
    for case in cases() {
        let Some(bytes) = case
            .token
            .as_deref()
            .and_then(|text| token_text::decode(text).ok())
        else {
            continue;
        };
        let Some(taken) = library_takes(&case, &bytes) else {
            continue;
        };
        let verdict = case.expect.verdict();
        if verdict == "bad_signature" {
            assert!(!taken, "{}: the library takes it", case.id);
        } else if !NOT_OF_SIGNATURES.contains(&verdict) {
            assert!(
                taken,
                "{}: the library refuses it, we say {verdict}",
                case.id
            );
        }
        compared += 1;
    }
    assert!(compared > 500, "{compared} tokens compared");
}
