//! Keys of a chain, their ids and algorithms, and signatures that a lax verifier would take.

use biscuit_auth::format::schema::{self, proof};
use ed25519_dalek::Signer;

use crate::{
    case::Case,
    chain::{changed, narrowed},
    forge::{key, payload, public},
    scene::case,
};

pub(crate) fn cases() -> Vec<Case> {
    [keys(), signatures(), lax()].concat()
}

fn keys() -> Vec<Case> {
    let root = key("root");
    let other = key("other root");
    let mut second = narrowed();
    second.root_key_id = Some(2);
    let mut unnamed = narrowed();
    unnamed.root_key_id = None;
    let mut zero = narrowed();
    zero.root_key_id = Some(0);
    let mut greatest = narrowed();
    greatest.root_key_id = Some(u32::MAX);
    let mut foreign = narrowed();
    foreign.root = other.clone();
    let mut by_holder = narrowed();
    by_holder.root = by_holder.next_key(0);
    let p256 = schema::PublicKey {
        algorithm: 1,
        key: vec![2; 33],
    };
    let external = |public_key| {
        Some(schema::ExternalSignature {
            signature: vec![0; 64],
            public_key,
        })
    };
    vec![
        case(
            "key-id-unknown",
            "unknown_key",
            &second,
            "The key set has no key 2, and no other key is tried (rule 11).",
        ),
        case(
            "key-id-of-another-key",
            "bad_signature",
            &second,
            "Key 2 is known and is not the one that signed (rule 11).",
        )
        .keys(&[("1", &root), ("2", &other)]),
        case(
            "key-id-of-the-right-key",
            "allow",
            &second,
            "The id says which key of the set to use (rule 11).",
        )
        .keys(&[("1", &other), ("2", &root)]),
        case(
            "key-id-missing",
            "unknown_key",
            &unnamed,
            "A token has to name its root key, even if the set has one only (rule 11).",
        ),
        case(
            "key-id-zero",
            "allow",
            &zero,
            "Zero is an id like any other when it is written out (rule 11).",
        )
        .keys(&[("0", &root)]),
        case(
            "key-id-zero-unknown",
            "unknown_key",
            &zero,
            "Zero is not short for the only key there is (rule 11).",
        ),
        case(
            "key-id-greatest",
            "allow",
            &greatest,
            "The greatest id is an id like any other (rule 11).",
        )
        .keys(&[("4294967295", &root)]),
        case(
            "key-set-empty",
            "unknown_key",
            &narrowed(),
            "Without keys nothing is signed by one of them (rule 11).",
        )
        .keys(&[]),
        case(
            "key-swapped-in-set",
            "bad_signature",
            &narrowed(),
            "The issuer's key 1 was replaced by another (rule 11).",
        )
        .keys(&[("1", &other)]),
        case(
            "key-of-another-issuer",
            "bad_signature",
            &foreign,
            "Minted whole by somebody else under the issuer's key id (rule 21).",
        ),
        case(
            "key-of-a-holder-as-root",
            "bad_signature",
            &by_holder,
            "A holder signs a chain anew with a next key (rule 21).",
        ),
        case(
            "key-p256-next",
            "unsupported_algorithm",
            &changed(|m| m.authority.next_key = p256.clone()),
            "Next keys are Ed25519 as well (rule 11).",
        ),
        case(
            "key-p256-last",
            "unsupported_algorithm",
            &changed(|m| m.blocks[1].next_key = p256.clone()),
            "The last block's next key is Ed25519 as well (rule 11).",
        ),
        case(
            "key-p256-third-party",
            "unsupported_algorithm",
            &changed(|m| m.blocks[1].external_signature = external(p256.clone())),
            "A third party's key is Ed25519 as well (rule 11).",
        ),
        case(
            "key-of-unheard-algorithm",
            "unsupported_algorithm",
            &changed(|m| m.blocks[0].next_key.algorithm = 2),
            "Algorithm 2 does not exist (rule 11).",
        ),
        case(
            "key-of-negative-algorithm",
            "unsupported_algorithm",
            &changed(|m| m.blocks[0].next_key.algorithm = -1),
            "An algorithm below zero does not exist (rule 11).",
        ),
        case(
            "key-next-short",
            "malformed_token",
            &changed(|m| m.blocks[0].next_key.key.truncate(31)),
            "An Ed25519 key has 32 bytes (rule 21).",
        ),
        case(
            "key-next-long",
            "malformed_token",
            &changed(|m| m.blocks[0].next_key.key.push(0)),
            "An Ed25519 key has 32 bytes (rule 21).",
        ),
        case(
            "key-third-party-on-authority",
            "malformed_token",
            &changed(|m| m.authority.external_signature = external(public(&other))),
            "The authority block has no third party (rule 16).",
        ),
    ]
}

/// The order of the group that Ed25519 signs in, little end first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature with its scalar greater by the group's order, which a lax verifier takes.
pub(crate) fn malleated(signature: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    bytes
}

/// A signature by nobody: zero times the base point is the neutral point. It is one of everything
/// for a verifier that allows weak keys, where the key is the neutral point as well.
pub(crate) fn by_nobody() -> Vec<u8> {
    let mut signature = vec![0; 64];
    signature[0] = 1;
    signature
}

/// The neutral point, as the format of keys has it.
pub(crate) fn neutral() -> [u8; 32] {
    let mut key = [0; 32];
    key[0] = 1;
    key
}

/// The neutral point in an encoding that is not reduced: 2^255 - 18 in place of 1.
fn neutral_unreduced() -> [u8; 32] {
    let mut key = [0xff; 32];
    key[0] = 0xee;
    key[31] = 0x7f;
    key
}

/// The usual token with another next key in one block, which its predecessor signs.
fn with_next_key(index: usize, next: &[u8; 32]) -> schema::Biscuit {
    let draft = narrowed();
    let mut message = draft.sign();
    let previous = match index {
        1 => message.authority.signature.clone(),
        _ => message.blocks[index - 2].signature.clone(),
    };
    let block = &mut message.blocks[index - 1];
    block.next_key.key = next.to_vec();
    let body = payload(block, Some(&previous));
    let signer = draft.next_key(index - 1);
    block.signature = signer.sign(&body).to_bytes().to_vec();
    message
}

/// A token whose last block is signed by nobody: its predecessor names the neutral point.
fn weak_next_key() -> schema::Biscuit {
    let mut message = with_next_key(1, &neutral());
    message.blocks[1].signature = by_nobody();
    message
}

/// A token that is sealed by nobody: its last block names this next key.
fn weakly_sealed(next: &[u8; 32]) -> schema::Biscuit {
    let mut message = with_next_key(2, next);
    message.proof.content = Some(proof::Content::FinalSignature(by_nobody()));
    message
}

/// What only a lax verifier takes, in every place where a signature is.
fn lax() -> Vec<Case> {
    let sealed = narrowed().seal();
    let mut malleated_seal = sealed.sign();
    if let Some(proof::Content::FinalSignature(seal)) = &mut malleated_seal.proof.content {
        *seal = malleated(seal);
    }
    let no_point = {
        let mut key = [0; 32];
        key[0] = 2;
        key
    };
    let refused =
        |id: &str, message: &schema::Biscuit, why: &str| case(id, "bad_signature", message, why);
    vec![
        refused(
            "signature-malleated-authority",
            &changed(|m| m.authority.signature = malleated(&m.authority.signature)),
            "The issuer's own signature with its scalar raised by the group's order (rule 21).",
        ),
        refused(
            "signature-malleated-first-later",
            &changed(|m| m.blocks[0].signature = malleated(&m.blocks[0].signature)),
            "A signature in the middle with its scalar raised by the group's order (rule 21).",
        ),
        refused(
            "seal-malleated",
            &malleated_seal,
            "A seal with its scalar raised by the group's order (rule 21).",
        ),
        refused(
            "seal-under-weak-key",
            &weakly_sealed(&neutral()),
            "A next key of small order lets anybody seal (rule 21).",
        ),
        refused(
            "seal-under-weak-key-unreduced",
            &weakly_sealed(&neutral_unreduced()),
            "The same key of small order in another encoding (rule 21).",
        ),
        refused(
            "proof-secret-for-weak-key",
            &with_next_key(2, &neutral()),
            "No secret belongs to a key of small order (rule 21).",
        ),
        case(
            "key-next-no-point",
            "malformed_token",
            &with_next_key(2, &no_point),
            "Thirty-two bytes that are no point of the curve (rule 21).",
        ),
        case(
            "key-next-no-point-sealed",
            "malformed_token",
            &weakly_sealed(&no_point),
            "Thirty-two bytes that are no point of the curve, under a seal (rule 21).",
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let resigned = |signature: Vec<u8>| changed(|m| m.blocks[1].signature = signature);
    let unheard = {
        let mut draft = narrowed();
        draft.blocks[2].version = Some(2);
        draft
    };
    let mixed = {
        let mut draft = narrowed();
        draft.blocks[1].version = Some(1);
        draft.blocks[2].version = None;
        draft
    };
    let last = narrowed().sign().blocks[1].signature.clone();
    let strip_version = |m: &mut schema::Biscuit| {
        let block = &mut m.blocks[1];
        block.version = if block.version.is_some() {
            None
        } else {
            Some(1)
        };
    };
    vec![
        case(
            "signature-swapped",
            "bad_signature",
            &changed(|m| {
                let first = m.blocks[0].signature.clone();
                m.blocks[0].signature = m.blocks[1].signature.clone();
                m.blocks[1].signature = first;
            }),
            "Two blocks with each other's signatures (rule 21).",
        ),
        case(
            "signature-of-zeros",
            "bad_signature",
            &resigned(vec![0; 64]),
            "Zeros are no signature (rule 21).",
        ),
        case(
            "signature-empty",
            "bad_signature",
            &resigned(Vec::new()),
            "A signature has 64 bytes (rule 21).",
        ),
        case(
            "signature-short",
            "bad_signature",
            &resigned(last[..63].to_vec()),
            "A signature has 64 bytes (rule 21).",
        ),
        case(
            "signature-long",
            "bad_signature",
            &resigned([last.clone(), vec![0]].concat()),
            "A signature has 64 bytes (rule 21).",
        ),
        case(
            "signature-malleated",
            "bad_signature",
            &resigned(malleated(&last)),
            "The same signature with its scalar raised by the group's order would have another revocation id (rules 12 and 21).",
        ),
        case(
            "signature-under-weak-key",
            "bad_signature",
            &weak_next_key(),
            "A next key of small order lets anybody sign anything, each time with another revocation id (rules 12 and 21).",
        ),
        case(
            "signature-under-other-version",
            "bad_signature",
            &changed(strip_version),
            "The version says what is signed, so it can't be changed after signing (rule 21).",
        ),
        case(
            "signature-versions-mixed",
            "allow",
            &mixed,
            "Blocks written by libraries of different ages (rule 13).",
        ),
        case(
            "signature-of-unheard-version",
            "profile_violation",
            &unheard,
            "There are signature versions 0 and 1 (rule 13).",
        ),
        case(
            "signature-third-party-added",
            "bad_signature",
            &{
                let mut message = narrowed().signature_version(Some(1)).sign();
                message.blocks[1].external_signature = Some(schema::ExternalSignature {
                    signature: vec![1; 64],
                    public_key: public(&key("holder")),
                });
                message
            },
            "A third party's signature put beside a block that was signed without it (rule 21).",
        ),
    ]
}
