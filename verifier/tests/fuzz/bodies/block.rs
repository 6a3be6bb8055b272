//! The bytes of a block → the shape check, with the block properly signed by a holder.

use std::sync::LazyLock;

use bailiwick_datalog::{Chain, token_text::MAX_TOKEN_BYTES};
use bailiwick_verifier::UnverifiedToken;
use biscuit_auth::{
    Biscuit,
    format::schema::{self, proof, public_key},
};
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;

use super::scene::{CALL, ENGINE, NEXT, NOW, ROOT, STRANGER, append, authority, key, mint};

static PARENT: LazyLock<Biscuit> = LazyLock::new(|| mint(&authority(), ROOT));

/// What is inside the profile can be written again and is read as the same; the Biscuit library
/// reads it too; and what the plan allows, the engine allows.
pub(crate) fn run(data: &[u8]) -> bool {
    let bytes = signed(data);
    let read = Chain::decode_unverified(&bytes);
    let token = UnverifiedToken::from_bytes(bytes.clone());
    let decided = token.map(|token| (STRANGER.authorize(&token, &CALL, NOW).is_ok(), token));
    let Ok(chain) = read else {
        let allowed = decided.is_ok_and(|(allowed, _)| allowed);
        assert!(!allowed, "allowed outside the profile");
        return false;
    };
    let content = &chain.blocks()[0].content;
    let builder = content.to_builder().expect("what is read can be written");
    let again = append(&PARENT, builder).to_vec().unwrap();
    if again.len() <= MAX_TOKEN_BYTES {
        let chain = Chain::decode_unverified(&again).unwrap();
        assert_eq!(&chain.blocks()[0].content, content);
    }
    Biscuit::from(&bytes, key(ROOT).public()).expect("the library reads it");
    let (allowed, token) = decided.unwrap();
    if allowed {
        drop(ENGINE.authorize(&token, &CALL, NOW).unwrap());
    }
    true
}

/// The parent with this block after it, signed by whoever holds the parent.
fn signed(payload: &[u8]) -> Vec<u8> {
    let parent = PARENT.to_vec().unwrap();
    let mut message = schema::Biscuit::decode(parent.as_slice()).unwrap();
    let next = SigningKey::from_bytes(&[NEXT; 32]);
    let next_key = schema::PublicKey {
        algorithm: i32::from(public_key::Algorithm::Ed25519),
        key: next.verifying_key().to_bytes().to_vec(),
    };
    // Signature version 0: the block, the algorithm, the next key.
    let to_sign = [payload, &[0; 4], &next_key.key].concat();
    message.blocks.push(schema::SignedBlock {
        block: payload.to_vec(),
        next_key,
        signature: next.sign(&to_sign).to_bytes().to_vec(),
        external_signature: None,
        version: None,
    });
    message.proof.content = Some(proof::Content::NextSecret(next.to_bytes().to_vec()));
    message.encode_to_vec()
}
