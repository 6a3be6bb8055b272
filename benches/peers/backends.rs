//! Ed25519 back ends behind one trait: how fast each is (the bench), and what each accepts that
//! strict verification refuses (here).

use curve25519_dalek::{Scalar, constants::EIGHT_TORSION, edwards::EdwardsPoint};
use ring::signature::KeyPair as _;
use sha2::{Digest, Sha512};

/// What the verifier needs of a back end.
pub trait Backend {
    /// Its name in the table.
    fn name(&self) -> &'static str;
    /// Verifies a signature by a key in its encoding, as strictly as the back end can.
    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
    /// The public key of a secret one.
    fn public_key(&self, secret: &[u8; 32]) -> [u8; 32];
}

/// Every back end that is compared.
pub const BACKENDS: [&dyn Backend; 4] = [&Dalek2, &Dalek3, &Ring, &AwsLc];

struct Dalek2;

impl Backend for Dalek2 {
    fn name(&self) -> &'static str {
        "dalek_2"
    }

    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        ed25519_dalek::VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn public_key(&self, secret: &[u8; 32]) -> [u8; 32] {
        let key = ed25519_dalek::SigningKey::from_bytes(secret);
        key.verifying_key().to_bytes()
    }
}

struct Dalek3;

impl Backend for Dalek3 {
    fn name(&self) -> &'static str {
        "dalek_3"
    }

    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek_3::Signature::from_bytes(signature);
        ed25519_dalek_3::VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn public_key(&self, secret: &[u8; 32]) -> [u8; 32] {
        let key = ed25519_dalek_3::SigningKey::from_bytes(secret);
        key.verifying_key().to_bytes()
    }
}

struct Ring;

impl Backend for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key)
            .verify(message, signature)
            .is_ok()
    }

    fn public_key(&self, secret: &[u8; 32]) -> [u8; 32] {
        ring::signature::Ed25519KeyPair::from_seed_unchecked(secret)
            .ok()
            .and_then(|key| key.public_key().as_ref().try_into().ok())
            .unwrap_or_default()
    }
}

struct AwsLc;

impl Backend for AwsLc {
    fn name(&self) -> &'static str {
        "aws_lc_rs"
    }

    fn verify(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key)
            .verify(message, signature)
            .is_ok()
    }

    fn public_key(&self, secret: &[u8; 32]) -> [u8; 32] {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
        Ed25519KeyPair::from_seed_unchecked(secret)
            .ok()
            .and_then(|key| key.public_key().as_ref().try_into().ok())
            .unwrap_or_default()
    }
}

/// A signature that only a lax verifier takes, or one on which verifiers differ.
pub struct Doubtful {
    /// What is wrong with it.
    pub what: &'static str,
    key: [u8; 32],
    message: [u8; 1],
    signature: [u8; 64],
}

/// How many signatures of each kind a back end accepts, and of how many. All that strict
/// verification accepts are sound ones, and some of those "of mixed order, sound without the
/// cofactor"; a back end is as strict as it when it accepts nothing else.
#[must_use]
pub fn accepted(backend: &dyn Backend) -> Vec<(&'static str, usize, usize)> {
    let mut counts: Vec<(&'static str, usize, usize)> = Vec::new();
    for one in doubtful() {
        let accepted = usize::from(backend.verify(&one.key, &one.message, &one.signature));
        match counts.iter_mut().find(|(what, ..)| *what == one.what) {
            Some((_, count, of)) => {
                *count += accepted;
                *of += 1;
            }
            None => counts.push((one.what, accepted, 1)),
        }
    }
    counts
}

/// The corpus: each kind many times over.
#[must_use]
pub fn doubtful() -> Vec<Doubtful> {
    let mut all = Vec::new();
    let none = EIGHT_TORSION[0];
    for message in 0..16_u8 {
        let (secret, nonce) = (scalar("secret", message), scalar("nonce", message));
        let mut add = |what, key_torsion, nonce_torsion, secret, nonce| {
            let (key, signature) = sign((secret, key_torsion), (nonce, nonce_torsion), message);
            all.push(Doubtful {
                what,
                key,
                message: [message],
                signature,
            });
        };
        add("sound", none, none, secret, nonce);
        for torsion in EIGHT_TORSION {
            add("a key of small order", torsion, none, Scalar::ZERO, nonce);
            add(
                "a point of small order",
                none,
                torsion,
                secret,
                Scalar::ZERO,
            );
            let both = "a key and a point of small order";
            add(both, torsion, -torsion, Scalar::ZERO, Scalar::ZERO);
        }
        for torsion in &EIGHT_TORSION[1..] {
            let mixed = "of mixed order, sound only with the cofactor";
            add(mixed, none, *torsion, secret, nonce);
        }
        let (key, signature) = sign((secret, none), (nonce, none), message);
        all.push(Doubtful {
            what: "a scalar that is not reduced",
            key,
            message: [message],
            signature: raised(signature),
        });
        // 1 and 2^255 - 18 are the same coordinate, of the neutral point.
        let mut encoding = [0xff; 32];
        (encoding[0], encoding[31]) = (0xee, 0x7f);
        let mut signature = [0; 64];
        signature[0] = 1;
        all.push(Doubtful {
            what: "a key that is not reduced",
            key: encoding,
            message: [message],
            signature,
        });
        signature[..32].copy_from_slice(&encoding);
        let mut neutral = [0; 32];
        neutral[0] = 1;
        all.push(Doubtful {
            what: "a point that is not reduced",
            key: neutral,
            message: [message],
            signature,
        });
    }
    all
}

fn sign(
    (secret, key_torsion): (Scalar, EdwardsPoint),
    (nonce, nonce_torsion): (Scalar, EdwardsPoint),
    message: u8,
) -> ([u8; 32], [u8; 64]) {
    let key = (EdwardsPoint::mul_base(&secret) + key_torsion).compress();
    let point = (EdwardsPoint::mul_base(&nonce) + nonce_torsion).compress();
    let digest = Sha512::new()
        .chain_update(point.as_bytes())
        .chain_update(key.as_bytes())
        .chain_update([message]);
    let challenge = Scalar::from_bytes_mod_order_wide(&digest.finalize().into());
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(point.as_bytes());
    signature[32..].copy_from_slice((nonce + challenge * secret).as_bytes());
    (key.to_bytes(), signature)
}

fn scalar(what: &str, number: u8) -> Scalar {
    let digest = Sha512::new().chain_update(what).chain_update([number]);
    Scalar::from_bytes_mod_order_wide(&digest.finalize().into())
}

/// The same signature with its scalar greater by the group's order.
fn raised(mut signature: [u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    signature
}
