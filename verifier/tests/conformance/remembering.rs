//! What a verifier remembers never changes a decision: whatever can change between two calls is
//! looked at on each, and only the very bytes that were verified are taken as verified.

use std::{
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Duration,
};

use bailiwick_datalog::{Authority, Caveat, LaterBlock, RevocationId, Timestamp};
use bailiwick_verifier::{
    Denied, KeySet, MemoryRevocations, Permit, RevocationStatus, RevocationView, UnverifiedToken,
    Verifier,
    keys::{KeyState, MintKey},
    signed::PublicKeyHex,
};
use biscuit_auth::{
    Biscuit,
    format::schema::{self, proof},
};
use prost::Message;

use crate::support::{
    EXPIRES_AT, Forge, NOW, ROOT_KEY_ID, append, append_text, at, authority, call, code, key_set,
    mint, signing_key, verifier, verifier_with,
};

fn read(bytes: &[u8]) -> UnverifiedToken {
    UnverifiedToken::from_bytes(bytes).unwrap()
}

fn decide(verifier: &Verifier, bytes: &[u8], now: u64) -> &'static str {
    let decision: Result<Permit, Denied> = UnverifiedToken::from_bytes(bytes)
        .and_then(|token| verifier.authorize(&token, &call(), at(now)));
    let by_header = header(bytes, |header| {
        verifier.authorize_header(header, &Arc::new(call()), None, at(now))
    });
    assert_eq!(code(&decision), code(&by_header));
    code(&decision)
}

fn header<T>(bytes: &[u8], decide: impl Fn(&[u8]) -> T) -> T {
    let text = bailiwick_datalog::token_text::encode(bytes);
    decide(format!("Bearer {text}").as_bytes())
}

fn bytes(token: &Biscuit) -> Vec<u8> {
    token.to_vec().unwrap()
}

fn child(token: &Biscuit, name: &str) -> Biscuit {
    append(
        token,
        &LaterBlock {
            delegate: Some(name.parse().unwrap()),
            ..LaterBlock::default()
        },
    )
}

/// A verifier that has allowed the usual call with each of these tokens.
fn knowing(tokens: &[&Biscuit]) -> Verifier {
    let verifier = verifier();
    for token in tokens {
        assert_eq!(decide(&verifier, &bytes(token), NOW), "allow");
    }
    verifier
}

fn changed(token: &Biscuit, change: impl FnOnce(&mut schema::Biscuit)) -> Vec<u8> {
    let mut message = schema::Biscuit::decode(bytes(token).as_slice()).unwrap();
    change(&mut message);
    message.encode_to_vec()
}

fn proof_of(token: &Biscuit) -> schema::Proof {
    let message = schema::Biscuit::decode(bytes(token).as_slice()).unwrap();
    message.proof
}

#[test]
fn a_stripped_token_is_refused_although_its_longer_sibling_is_known() {
    let parent = mint(&authority());
    let one = child(&parent, "one");
    let two = child(&one, "two");
    let strip = |blocks: usize| changed(&two, |message| message.blocks.truncate(blocks));
    for known in [
        &[&two][..],
        &[&one, &two],
        &[&parent, &one, &two],
        &[&parent, &two],
    ] {
        let verifier = knowing(known);
        for blocks in 0..2 {
            assert_eq!(decide(&verifier, &strip(blocks), NOW), "bad_signature");
        }
    }
}

#[test]
fn a_proof_of_another_token_is_refused() {
    let parent = mint(&authority());
    let (one, other) = (child(&parent, "one"), child(&parent, "other"));
    let verifier = knowing(&[&parent, &one, &other]);
    for (token, donor) in [(&one, &other), (&one, &parent), (&parent, &one)] {
        let mixed = changed(token, |message| message.proof = proof_of(donor));
        assert_eq!(decide(&verifier, &mixed, NOW), "bad_signature");
    }
    let zero = proof::Content::NextSecret(vec![0; 32]);
    let mixed = changed(&one, |message| message.proof.content = Some(zero));
    assert_eq!(decide(&verifier, &mixed, NOW), "bad_signature");
}

#[test]
fn a_block_signed_by_another_key_is_refused_on_a_known_parent() {
    let parent = mint(&authority());
    let other = child(&mint(&authority()), "other");
    let verifier = knowing(&[&parent, &other]);
    let grafted = changed(&other, |message| {
        let whole = schema::Biscuit::decode(bytes(&parent).as_slice()).unwrap();
        message.authority = whole.authority;
    });
    assert_eq!(decide(&verifier, &grafted, NOW), "bad_signature");
}

/// Revokes what it is told to, from one call to the next.
#[derive(Default)]
struct Revoked(Mutex<Vec<RevocationId>>);

impl RevocationView for Revoked {
    fn check(&self, _: &str, ids: &[RevocationId], _: std::time::Duration) -> RevocationStatus {
        let revoked = self.0.lock().unwrap();
        match ids.iter().position(|id| revoked.contains(id)) {
            Some(block) => RevocationStatus::Revoked { block },
            None => RevocationStatus::Clear,
        }
    }
}

#[test]
fn a_token_revoked_after_it_was_verified_is_refused() {
    let parent = mint(&authority());
    let (one, other) = (child(&parent, "one"), child(&parent, "other"));
    let grandchild = child(&one, "two");
    let revoked = Arc::new(Revoked::default());
    let verifier = verifier_with(key_set(), revoked.clone());
    for token in [&parent, &one, &other] {
        assert_eq!(decide(&verifier, &bytes(token), NOW), "allow");
    }
    let ids = read(&bytes(&one));
    let ids = verifier.verify(&ids, at(NOW)).unwrap();
    let id = *ids.chain().revocation_ids().last().unwrap();
    revoked.0.lock().unwrap().push(id);
    for (token, expected) in [
        (&parent, "allow"),
        (&one, "revoked"),
        (&grandchild, "revoked"),
        (&other, "allow"),
    ] {
        assert_eq!(decide(&verifier, &bytes(token), NOW), expected);
    }
}

#[test]
fn a_token_that_ends_after_it_was_verified_is_refused() {
    let until = Caveat::Expiry {
        at: Timestamp::from_unix(NOW + 10),
        inclusive: false,
    };
    let parent = mint(&authority());
    let short = append(
        &parent,
        &LaterBlock {
            caveats: vec![until],
            ..LaterBlock::default()
        },
    );
    let verifier = knowing(&[&parent, &short]);
    assert_eq!(decide(&verifier, &bytes(&short), NOW + 9), "allow");
    assert_eq!(decide(&verifier, &bytes(&short), NOW + 10), "expired");
    assert_eq!(
        decide(&verifier, &bytes(&child(&short, "x")), NOW + 10),
        "expired"
    );
    assert_eq!(decide(&verifier, &bytes(&parent), NOW + 10), "allow");
    // Nor does it matter that it was known when a clock goes back to before it was issued.
    assert_eq!(decide(&verifier, &bytes(&parent), 1), "not_yet_valid");
}

#[test]
fn a_token_whose_key_is_removed_replaced_or_revoked_is_refused() {
    let parent = mint(&authority());
    let one = child(&parent, "one");
    let two = child(&one, "two");
    let other = PublicKeyHex::from(&signing_key(8));
    let keys = key_set();
    let revoked = keys.iter().map(|key| MintKey {
        state: KeyState::Revoked,
        ..*key
    });
    let closed = keys.iter().map(|key| MintKey {
        not_after: Some(Timestamp::from_unix(EXPIRES_AT - 1)),
        ..*key
    });
    let sets = [
        (KeySet::default(), "unknown_key"),
        (
            KeySet::new(revoked.collect::<Vec<_>>()).unwrap(),
            "unknown_key",
        ),
        (
            KeySet::from_entries([(ROOT_KEY_ID, other)]).unwrap(),
            "bad_signature",
        ),
        (
            KeySet::new(closed.collect::<Vec<_>>()).unwrap(),
            "unknown_key",
        ),
    ];
    for (keys, expected) in sets {
        let verifier = knowing(&[&parent, &one]);
        let held = verifier.verify(&read(&bytes(&one)), at(NOW)).unwrap();
        verifier.replace_keys(Arc::new(keys));
        for token in [&parent, &one, &two] {
            assert_eq!(decide(&verifier, &bytes(token), NOW), expected);
        }
        let again = verifier.authorize_verified(&held, &call(), None, at(NOW));
        assert_eq!(code(&again), "unknown_key");
        verifier.replace_keys(Arc::new(key_set()));
        assert_eq!(decide(&verifier, &bytes(&two), NOW), "allow");
    }
}

/// Replaces the keys of a verifier in the middle of a decision: after the signatures were
/// verified, before the token is remembered.
struct Overtaking {
    verifier: OnceLock<Weak<Verifier>>,
    keys: Mutex<Option<KeySet>>,
}

impl RevocationView for Overtaking {
    fn check(&self, _: &str, _: &[RevocationId], _: Duration) -> RevocationStatus {
        if let Some(keys) = self.keys.lock().unwrap().take() {
            let verifier = self.verifier.get().and_then(Weak::upgrade).unwrap();
            verifier.replace_keys(Arc::new(keys));
        }
        RevocationStatus::Clear
    }
}

#[test]
fn keys_replaced_while_a_token_is_verified_leave_nothing_that_serves() {
    let parent = mint(&authority());
    let one = child(&parent, "one");
    let other = PublicKeyHex::from(&signing_key(8));
    for (keys, expected) in [
        (KeySet::default(), "unknown_key"),
        (
            KeySet::from_entries([(ROOT_KEY_ID, other)]).unwrap(),
            "bad_signature",
        ),
    ] {
        let overtaking = Arc::new(Overtaking {
            verifier: OnceLock::new(),
            keys: Mutex::new(Some(keys)),
        });
        let verifier = Arc::new(verifier_with(key_set(), overtaking.clone()));
        overtaking.verifier.set(Arc::downgrade(&verifier)).unwrap();
        // The decision that was under way is made by the keys it began with.
        let overtaken = verifier.authorize(&read(&bytes(&parent)), &call(), at(NOW));
        assert_eq!(code(&overtaken), "allow");
        assert!(overtaking.keys.lock().unwrap().is_none());
        for token in [&parent, &one] {
            assert_eq!(decide(&verifier, &bytes(token), NOW), expected);
        }
    }
}

#[test]
fn any_byte_changed_in_a_known_token_is_refused() {
    let parent = mint(&authority());
    let one = append_text(&parent, "check if access(\"read\");");
    let verifier = knowing(&[&parent, &one]);
    let whole = bytes(&one);
    for (index, byte) in whole.iter().enumerate() {
        let mut changed = whole.clone();
        changed[index] = byte ^ (1 << (index % 8));
        assert_ne!(decide(&verifier, &changed, NOW), "allow", "byte {index}");
    }
    assert_eq!(decide(&verifier, &whole, NOW), "allow");
}

#[test]
fn tokens_that_grow_block_by_block_are_decided_as_if_seen_for_the_first_time() {
    let blocks = [
        "check if access(\"read\");",
        "check if resource($r), $r.starts_with([\"files\", \"reports\"]);",
        "delegate(\"sub\"); check if args($a), $a.get(\"path\") == \"reports/q3.md\";",
        "check if depth($d), $d <= 5;",
        "check if request_audience(\"http://127.0.0.1:8401/mcp\");",
        "check if tool(\"files.other\");",
        "check if access(\"read\");",
    ];
    let remembering = verifier();
    let mut token = mint(&authority());
    for block in blocks {
        token = append_text(&token, block);
        for token in [&token, &token.seal().unwrap()] {
            let (warm, cold) = (&remembering, &verifier());
            let decide = |verifier: &Verifier| {
                let decision = verifier.authorize(&read(&bytes(token)), &call(), at(NOW));
                decision
                    .map(|permit| {
                        let delegates = permit.delegates().map(str::to_owned);
                        (delegates.collect::<Vec<_>>(), permit.token_id())
                    })
                    .map_err(|denied| denied.explanation())
            };
            assert_eq!(decide(warm), decide(cold), "{block}");
            assert_eq!(decide(warm), decide(cold), "{block}, again");
        }
    }
}

#[test]
fn a_bad_block_on_a_known_parent_is_refused_with_the_code_of_a_whole_reading() {
    let parent = mint(&authority());
    let verifier = knowing(&[&parent]);
    for block in [
        "grant(\"g\", \"files.read_file\", \"read\", [\"files\"]);",
        "reject if tool(\"files.read_file\");",
        "check if true;",
    ] {
        let bad = append_text(&parent, block);
        assert_eq!(decide(&verifier, &bytes(&bad), NOW), "profile_violation");
    }
    // Bytes that are not canonical: the version of the last block written though it is 0.
    let mut message = Forge::of(&child(&parent, "one")).message;
    message.blocks[0].version = Some(0);
    let bad = message.encode_to_vec();
    assert_eq!(decide(&verifier, &bad, NOW), "malformed_token");
    // And a field that no token has, after the proof.
    let bad = [&bytes(&child(&parent, "one"))[..], &[0x78, 1]].concat();
    assert_eq!(decide(&verifier, &bad, NOW), "malformed_token");
}

#[test]
fn one_block_more_than_a_token_may_have_is_refused_on_a_known_parent() {
    let mut token = mint(&Authority {
        max_depth: 99,
        ..authority()
    });
    let verifier = verifier();
    for block in 1..=16 {
        token = child(&token, &format!("d{block}"));
        assert_eq!(decide(&verifier, &bytes(&token), NOW), "allow");
    }
    let longer = child(&token, "d17");
    assert_eq!(decide(&verifier, &bytes(&longer), NOW), "limit_exceeded");
}

#[test]
fn a_verifier_without_memory_decides_alike() {
    let parent = mint(&authority());
    let verifier = verifier().with_cache_bytes(0);
    for _ in 0..2 {
        assert_eq!(decide(&verifier, &bytes(&parent), NOW), "allow");
        assert_eq!(
            decide(&verifier, &bytes(&child(&parent, "a")), NOW),
            "allow"
        );
    }
}

#[test]
fn padded_and_unpadded_texts_are_the_same_token() {
    let token = bytes(&mint(&authority()));
    let padded = bailiwick_datalog::token_text::encode(&token);
    let verifier = verifier_with(key_set(), Arc::new(MemoryRevocations::fixed([])));
    for text in [padded.as_str(), padded.trim_end_matches('=')] {
        for _ in 0..2 {
            let header = format!("Bearer {text}");
            let token = verifier.verify_header(header.as_bytes(), at(NOW)).unwrap();
            assert_eq!(token.session(), "s-1");
        }
    }
}
