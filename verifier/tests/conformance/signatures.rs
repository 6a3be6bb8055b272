//! Signatures: our verdict is the library's on whatever is done to a token, and strict where
//! Ed25519 leaves room. Every decision of these tests compares the two ([`decide`]).

use bailiwick_datalog::{Authority, LaterBlock, Thumbprint};
use biscuit_auth::{
    Biscuit,
    format::schema::{self, proof},
};
use ed25519_dalek::Signer;
use prost::Message;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::{
    Forge, append, append_text, authority, code, decide, mint, payload, signing_key,
};

/// The identity of the curve: a key and a point of small order.
const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};
/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn narrowed(source: &str) -> Biscuit {
    append_text(
        &append_text(&mint(&authority()), source),
        "check if access(\"read\");",
    )
}

/// A token whose second block is signed by the holder that it replaces.
fn rebound() -> Vec<u8> {
    let old = signing_key(41);
    let thumbprint = |seed| Thumbprint::of_ed25519(signing_key(seed).verifying_key().as_bytes());
    let token = mint(&Authority {
        holder: Some(thumbprint(41)),
        ..authority()
    });
    let block = LaterBlock {
        holder: Some(thumbprint(42)),
        ..LaterBlock::default()
    };
    let mut forge = Forge::of(&append(&token, &block)).edit(1, |block| {
        // A third-party block has a symbol table of its own.
        block.version = Some(5);
        let text = block.symbols.clone();
        let (holder, key) = match text.as_slice() {
            [key] => ("holder", key.clone()),
            other => panic!("{other:?}"),
        };
        block.symbols = vec![holder.to_owned(), key];
        let predicate = &mut block.facts[0].predicate;
        predicate.name = 1_024;
        predicate.terms[0].content = Some(schema::term::Content::String(1_025));
    });
    forge.signed_block(1).version = Some(1);
    forge.external[1] = Some(old);
    forge.bytes()
}

/// Tokens of both signature versions, with a third-party block, and sealed.
fn tokens() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let of_version_0 = narrowed("check if tool(\"files.read_file\");");
    let of_version_1 = narrowed("check if args($a), $a.get(\"path\") == \"reports/q3.md\";");
    let bytes = |token: &Biscuit| token.to_vec().unwrap();
    vec![
        ("version 0", bytes(&of_version_0), "allow"),
        ("version 1", bytes(&of_version_1), "allow"),
        ("sealed", bytes(&of_version_0.seal().unwrap()), "allow"),
        (
            "sealed version 1",
            bytes(&of_version_1.seal().unwrap()),
            "allow",
        ),
        ("third-party", rebound(), "holder_proof_missing"),
    ]
}

#[test]
fn whole_tokens_of_every_kind_verify() {
    for (kind, bytes, expected) in tokens() {
        assert_eq!(code(&decide(&bytes)), expected, "{kind}");
    }
}

#[test]
fn flipped_bits_are_judged_as_the_library_does() {
    let mut random = StdRng::seed_from_u64(11);
    for (kind, bytes, _) in tokens() {
        for _ in 0..400 {
            let mut flipped = bytes.clone();
            let bit = random.gen_range(0..bytes.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(code(&decide(&flipped)), "allow", "{kind}, bit {bit}");
        }
    }
}

#[test]
fn bytes_exchanged_between_tokens_are_judged_as_the_library_does() {
    let tokens = tokens();
    let messages: Vec<_> = tokens
        .iter()
        .map(|(_, bytes, _)| schema::Biscuit::decode(bytes.as_slice()).unwrap())
        .collect();
    for (one, (_, bytes, _)) in messages.iter().zip(&tokens) {
        for other in &messages {
            let mut exchanged = [one.clone(), one.clone(), one.clone(), one.clone()];
            exchanged[0].authority = other.authority.clone();
            exchanged[1].blocks = other.blocks.clone();
            exchanged[2].proof = other.proof.clone();
            exchanged[3].blocks[0].signature = other.blocks[0].signature.clone();
            for message in exchanged {
                let mixed = message.encode_to_vec();
                let allowed = code(&decide(&mixed)) == "allow";
                assert!(!allowed || tokens.iter().any(|(_, whole, _)| *whole == mixed));
            }
        }
        assert_eq!(&one.encode_to_vec(), bytes);
    }
}

/// Adding the group's order to the second half of a signature gives another that satisfies the
/// same equation: with it, a token would have two revocation ids.
#[test]
fn a_signature_has_one_form() {
    let mut message = Forge::of(&narrowed("check if tool(\"files.read_file\");")).sign();
    let add_order = |signature: &mut Vec<u8>| {
        let mut carry = 0_u16;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
    };
    add_order(&mut message.blocks[1].signature);
    assert_eq!(code(&decide(&message.encode_to_vec())), "bad_signature");
}

/// Under a key of small order, one signature fits every message.
#[test]
fn keys_and_points_of_small_order_verify_nothing() {
    let mut message = Forge::of(&mint(&authority())).sign();
    message.authority.next_key.key = IDENTITY.to_vec();
    let signed = payload(&message.authority, None);
    // The root key's seed in these tests.
    message.authority.signature = signing_key(7).sign(&signed).to_bytes().to_vec();
    let fits_all = [IDENTITY, [0; 32]].concat();
    message.proof.content = Some(proof::Content::FinalSignature(fits_all));
    assert_eq!(code(&decide(&message.encode_to_vec())), "bad_signature");
}

#[test]
fn next_keys_that_are_no_points_are_malformed() {
    let mut message = Forge::of(&mint(&authority())).sign();
    // A y coordinate without an x.
    message.authority.next_key.key = [&[2], &IDENTITY[1..]].concat();
    assert_eq!(code(&decide(&message.encode_to_vec())), "malformed_token");
}
