//! How much curve arithmetic a token costs, counted: tests only.

use std::{cell::Cell, sync::Arc, time::Duration};

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, LaterBlock, ResourcePath, Thumbprint, Timestamp,
    ToolName,
};
use biscuit_auth::{Biscuit, KeyPair, PrivateKey, builder::Algorithm, builder::BlockBuilder};
use ed25519_dalek::SigningKey;

use crate::{
    KeySet, MemoryRevocations, Now, UnverifiedToken, Verifier, VerifierConfig, signed::PublicKeyHex,
};

thread_local! {
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

/// Counts one multiplication on the curve: a signature verified, or a public key made.
pub(crate) fn count() {
    COUNTED.with(|counted| counted.set(counted.get() + 1));
}

fn counted(run: impl FnOnce()) -> usize {
    let before = COUNTED.with(Cell::get);
    run();
    COUNTED.with(Cell::get) - before
}

fn key(seed: u8) -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&[seed; 32], Algorithm::Ed25519).unwrap())
}

const HOLDER: u8 = 3;

fn mint() -> Biscuit {
    let holder = SigningKey::from_bytes(&[HOLDER; 32]).verifying_key();
    mint_for(Some(Thumbprint::of_ed25519(holder.as_bytes())))
}

fn mint_for(holder: Option<Thumbprint>) -> Biscuit {
    let authority = Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "agent".parse().unwrap(),
        task: "tidy the reports".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 16,
        holder,
        grants: vec![Grant {
            id: "g".to_owned(),
            tool: ToolName::parse("files.read_file").unwrap(),
            access: Access::Read,
            path: ResourcePath::parse("files").unwrap(),
        }],
        limits: Vec::new(),
    };
    let builder = authority.to_builder().unwrap().root_key_id(1);
    builder.build(&key(7)).unwrap()
}

fn child(token: &Biscuit) -> Biscuit {
    let block = LaterBlock::default().to_builder().unwrap();
    token.append(block).unwrap()
}

/// A block that the holder signs: it binds the token to the same key again.
fn rebound(token: &Biscuit) -> Biscuit {
    let holder = SigningKey::from_bytes(&[HOLDER; 32]).verifying_key();
    let thumbprint = Thumbprint::of_ed25519(holder.as_bytes());
    let block = BlockBuilder::new()
        .code(format!("holder(\"{}\")", thumbprint.as_str()))
        .unwrap();
    let request = token.third_party_request().unwrap();
    let signed = request.create_block(&key(HOLDER).private(), block).unwrap();
    token
        .append_third_party(key(HOLDER).public(), signed)
        .unwrap()
}

fn verifier() -> Verifier {
    let root = PublicKeyHex::from(&SigningKey::from_bytes(&[7; 32]));
    Verifier::new(VerifierConfig {
        audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
        keys: Arc::new(KeySet::from_entries([(1, root)]).unwrap()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    })
    .unwrap()
}

const NOW: Now = Now {
    utc: Timestamp::from_unix(1_500),
    monotonic: Duration::ZERO,
};

/// What verifying a token's bytes costs, and whether it was good.
fn cost(verifier: &Verifier, bytes: &[u8]) -> (usize, bool) {
    let token = UnverifiedToken::from_bytes(bytes).unwrap();
    let mut good = false;
    let cost = counted(|| good = verifier.verify(&token, NOW).is_ok());
    (cost, good)
}

/// The token with the last byte of its proof changed.
fn with_a_broken_proof(token: &Biscuit) -> Vec<u8> {
    let mut bytes = token.to_vec().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

#[test]
fn a_chain_costs_one_verification_for_each_signature_and_one_for_its_proof() {
    let (mut token, mut signatures) = (mint(), 1);
    for third_party in [false, true, false, true, true, false, false, false] {
        token = match third_party {
            true => rebound(&token),
            false => child(&token),
        };
        signatures += 1 + usize::from(third_party);
        for token in [&token, &token.seal().unwrap()] {
            let bytes = token.to_vec().unwrap();
            let broken = with_a_broken_proof(token);
            assert_eq!(cost(&verifier(), &bytes), (signatures + 1, true));
            assert_eq!(cost(&verifier(), &broken), (signatures + 1, false));
        }
    }
}

#[test]
fn a_known_chain_costs_nothing_and_one_block_more_costs_that_block() {
    let verifier = verifier();
    let mut token = mint();
    assert_eq!(cost(&verifier, &token.to_vec().unwrap()), (2, true));
    for (third_party, expected) in [(false, 2), (true, 3), (false, 2), (true, 3), (false, 2)] {
        token = match third_party {
            true => rebound(&token),
            false => child(&token),
        };
        let bytes = token.to_vec().unwrap();
        assert_eq!(cost(&verifier, &bytes), (expected, true));
        assert_eq!(cost(&verifier, &bytes), (0, true));
        let sealed = token.seal().unwrap().to_vec().unwrap();
        assert_eq!(cost(&verifier, &sealed), (expected, true), "another proof");
    }
}

#[test]
fn tokens_are_forgotten_with_the_keys_that_verified_them_and_only_then() {
    let keys = |id| {
        let root = PublicKeyHex::from(&SigningKey::from_bytes(&[7; 32]));
        Arc::new(KeySet::from_entries([(id, root)]).unwrap())
    };
    let verifier = verifier();
    let token = mint().to_vec().unwrap();
    assert_eq!(cost(&verifier, &token), (2, true));
    verifier.replace_keys(keys(1));
    assert_eq!(cost(&verifier, &token), (0, true), "the same keys");
    verifier.replace_keys(keys(2));
    verifier.replace_keys(keys(1));
    assert_eq!(cost(&verifier, &token), (2, true), "other keys between");
}

#[test]
fn a_verifier_without_memory_verifies_every_time() {
    let forgetful = verifier().with_cache_bytes(0);
    let token = child(&mint()).to_vec().unwrap();
    for _ in 0..3 {
        assert_eq!(cost(&forgetful, &token), (3, true));
    }
}

/// What is wrong with a token that grows from a known one is said after reading it whole.
#[test]
fn a_bad_block_after_a_known_chain_is_verified_twice_at_most() {
    let verifier = verifier();
    let mut token = mint();
    let mut signatures = 1;
    for _ in 0..8 {
        assert!(cost(&verifier, &token.to_vec().unwrap()).1);
        token = child(&token);
        signatures += 1;
        let broken = with_a_broken_proof(&token);
        for _ in 0..2 {
            assert_eq!(cost(&verifier, &broken), (2 + signatures + 1, false));
        }
    }
}

#[test]
fn a_call_by_a_known_token_costs_nothing() {
    let verifier = verifier();
    let token = mint_for(None).to_vec().unwrap();
    let token = UnverifiedToken::from_bytes(token).unwrap();
    let verified = verifier.verify(&token, NOW).unwrap();
    let call = Call::new(
        ToolName::parse("files.read_file").unwrap(),
        Access::Read,
        vec![ResourcePath::parse("files/a").unwrap()],
        &serde_json::Map::new(),
    );
    let decided = counted(|| {
        let permit = verifier.authorize_verified(&verified, &call, None, NOW);
        assert!(permit.is_ok(), "{:?}", permit.err());
        let permit = verifier.authorize(&token, &call, NOW);
        assert!(permit.is_ok(), "{:?}", permit.err());
    });
    assert_eq!(decided, 0);
}
