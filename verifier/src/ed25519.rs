//! Ed25519 as tokens and proofs need it: strict, and by the fastest code that is.
//!
//! The one place where a back end is chosen: ed25519-dalek 3, whose curve arithmetic picks
//! AVX-512, AVX2 or portable code at run time. (The older version beside it makes signatures,
//! with the types of the Biscuit library.) `benches/` compares the back ends.
//!
//! Strict means RFC 8032 section 5.1.7 without the cofactor, with canonical encodings, and with no
//! key and no point of small order: the verdict of `VerifyingKey::verify_strict`, which is
//! reached here without decoding the signature's point.

use ed25519_dalek_3::{Signature, SigningKey, VerifyingKey, ed25519::signature::Verifier};

/// Length of a public key, and of a secret one.
pub(crate) const KEY_BYTES: usize = 32;
/// Length of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// A public key: a point of the curve, decoded. May be of small order; then no signature verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VerificationKey(VerifyingKey);

impl VerificationKey {
    /// The key with this encoding, if it is that of a point.
    pub(crate) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().map(Self)
    }

    /// The public key of a secret one; never of small order.
    pub(crate) fn of_secret(secret: &[u8; KEY_BYTES]) -> Self {
        #[cfg(test)]
        crate::work::count();
        Self(SigningKey::from_bytes(secret).verifying_key())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.as_bytes()
    }

    /// True for a key under which one signature may fit several messages.
    pub(crate) fn is_weak(&self) -> bool {
        is_of_small_order(self.as_bytes())
    }

    /// True when the signature is this key's over the message, strictly.
    ///
    /// `Verifier::verify` compares the encoding of the point that it computes with the
    /// signature's. So a signature that passes has a canonical point, and whether that is of small
    /// order can be told from its bytes: `verify_strict` decodes the point for this alone.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        #[cfg(test)]
        crate::work::count();
        let signature = Signature::from_bytes(signature);
        !self.is_weak()
            && !is_of_small_order(signature.r_bytes())
            && self.0.verify(message, &signature).is_ok()
    }
}

/// True for every encoding of a point of small order, reduced or not.
///
/// The y coordinates of the eight points are 0, 1, −1 and two more; 0 and 1 have a second encoding
/// below 2^255, greater by 2^255 − 19. The sign of x, in the highest bit, is free: the points come
/// in pairs, and where x is 0 the bit makes another encoding of the same point.
fn is_of_small_order(encoding: &[u8; KEY_BYTES]) -> bool {
    let mut y = *encoding;
    if let Some(highest) = y.last_mut() {
        *highest &= 0x7f;
    }
    SMALL_ORDER.contains(&y)
}

const SMALL_ORDER: [[u8; KEY_BYTES]; 7] = [
    [0; KEY_BYTES],
    ends(0x01, 0x00, 0x00),
    // −1, and the second encodings of 0 and 1.
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
    // The points of order 8.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// 32 bytes, the first and the last of which stand out.
const fn ends(first: u8, between: u8, last: u8) -> [u8; KEY_BYTES] {
    let mut bytes = [between; KEY_BYTES];
    let (head, tail) = bytes.split_at_mut(1);
    if let (Some(head), Some(tail)) = (head.first_mut(), tail.last_mut()) {
        *head = first;
        *tail = last;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::{
        Scalar, constants::EIGHT_TORSION, edwards::CompressedEdwardsY, edwards::EdwardsPoint,
    };
    use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
    use sha2::{Digest, Sha512};

    use super::*;

    /// The verdict of the library that the Biscuit library uses.
    fn verify_strict(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        ed25519_dalek::VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        VerificationKey::from_bytes(key).is_some_and(|key| key.verify(message, signature))
    }

    /// Asserts that both are of one opinion, and answers it.
    fn verdict(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let verdict = verify(key, message, signature);
        let strict = verify_strict(key, message, signature);
        assert_eq!(verdict, strict, "{key:?} {message:?} {signature:?}");
        verdict
    }

    /// Every encoding of the eight points of small order: with the sign of x either way where it
    /// is free, and not reduced where that fits.
    fn small_order() -> Vec<[u8; 32]> {
        let mut encodings = Vec::new();
        for point in EIGHT_TORSION {
            let reduced = point.compress().to_bytes();
            for sign in [0, 0x80] {
                let mut encoding = reduced;
                encoding[31] = (encoding[31] & 0x7f) | sign;
                encodings.push(encoding);
                if encoding[0] < 2 && encoding[1..31] == [0; 30] {
                    let low = encoding[0] + 0xed;
                    encoding = [0xff; 32];
                    encoding[0] = low;
                    encoding[31] = 0x7f | sign;
                    encodings.push(encoding);
                }
            }
        }
        encodings.sort_unstable();
        encodings.dedup();
        encodings
    }

    /// A signature made with any secrets, where key and nonce have a point of small order added.
    fn sign_with(
        (secret, key_torsion): (Scalar, EdwardsPoint),
        (nonce, nonce_torsion): (Scalar, EdwardsPoint),
        message: &[u8],
    ) -> ([u8; 32], [u8; 64]) {
        let key = EdwardsPoint::mul_base(&secret) + key_torsion;
        let key = key.compress().to_bytes();
        let point = EdwardsPoint::mul_base(&nonce) + nonce_torsion;
        let point = point.compress().to_bytes();
        let digest = Sha512::new()
            .chain_update(point)
            .chain_update(key)
            .chain_update(message);
        let challenge = Scalar::from_bytes_mod_order_wide(&digest.finalize().into());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&point);
        signature[32..].copy_from_slice((nonce + challenge * secret).as_bytes());
        (key, signature)
    }

    fn scalar(random: &mut StdRng) -> Scalar {
        let mut bytes = [0; 64];
        random.fill_bytes(&mut bytes);
        Scalar::from_bytes_mod_order_wide(&bytes)
    }

    #[test]
    fn points_of_small_order_are_told_by_each_of_their_encodings() {
        let small = small_order();
        assert_eq!(small.len(), 14);
        for encoding in &small {
            assert!(is_of_small_order(encoding), "{encoding:?}");
            let point = CompressedEdwardsY(*encoding).decompress().unwrap();
            assert!(point.is_small_order());
            let mut other = *encoding;
            other[7] ^= 1;
            assert!(!is_of_small_order(&other), "{other:?}");
        }
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..1_000 {
            let point = EdwardsPoint::mul_base(&scalar(&mut random));
            for torsion in EIGHT_TORSION {
                assert!(!is_of_small_order((point + torsion).compress().as_bytes()));
            }
        }
    }

    #[test]
    fn a_signature_verifies_and_one_flipped_bit_refuses_it() {
        let mut random = StdRng::seed_from_u64(2);
        let none = EIGHT_TORSION[0];
        for _ in 0..50 {
            let message: [u8; 20] = random.r#gen();
            let secrets = (scalar(&mut random), scalar(&mut random));
            let (key, signature) = sign_with((secrets.0, none), (secrets.1, none), &message);
            assert!(verdict(&key, &message, &signature));
            for bit in 0..512 {
                let mut flipped = signature;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!verdict(&key, &message, &flipped), "bit {bit}");
            }
            let mut flipped = message;
            flipped[3] ^= 1;
            assert!(!verdict(&key, &flipped, &signature));
        }
    }

    /// Points of small order added to key and nonce: what the cofactor would hide. Without it some
    /// of these verify, where the two cancel out, and the rest do not.
    #[test]
    fn keys_and_nonces_of_mixed_order_are_judged_without_the_cofactor() {
        let mut random = StdRng::seed_from_u64(3);
        let (mut good, mut bad) = (0, 0);
        for message in 0..8_u8 {
            for key_torsion in EIGHT_TORSION {
                for nonce_torsion in EIGHT_TORSION {
                    let key = (scalar(&mut random), key_torsion);
                    let nonce = (scalar(&mut random), nonce_torsion);
                    let (key, signature) = sign_with(key, nonce, &[message]);
                    match verdict(&key, &[message], &signature) {
                        true => good += 1,
                        false => bad += 1,
                    }
                }
            }
        }
        assert!(good > 8 && bad > 8 * 8, "{good} good, {bad} bad");
    }

    #[test]
    fn keys_and_points_of_small_order_verify_nothing() {
        let mut random = StdRng::seed_from_u64(4);
        let zero = Scalar::ZERO;
        for torsion in EIGHT_TORSION {
            for other in EIGHT_TORSION {
                for message in 0..8_u8 {
                    let (key, signature) = sign_with((zero, torsion), (zero, other), &[message]);
                    assert!(!verdict(&key, &[message], &signature));
                    let secret = scalar(&mut random);
                    let (key, signature) = sign_with((secret, torsion), (zero, other), &[message]);
                    assert!(!verdict(&key, &[message], &signature));
                    let (key, signature) = sign_with((zero, torsion), (secret, other), &[message]);
                    assert!(!verdict(&key, &[message], &signature));
                }
            }
        }
        for key in small_order() {
            for point in small_order() {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&point);
                assert!(!verdict(&key, b"", &signature));
            }
        }
    }

    #[test]
    fn a_scalar_that_is_not_reduced_is_refused() {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut random = StdRng::seed_from_u64(5);
        let none = EIGHT_TORSION[0];
        for _ in 0..50 {
            let secrets = (scalar(&mut random), scalar(&mut random));
            let (key, mut signature) = sign_with((secrets.0, none), (secrets.1, none), b"m");
            assert!(verdict(&key, b"m", &signature));
            for _ in 0..8 {
                let mut carry = 0;
                for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
                    carry += u16::from(*byte) + u16::from(add);
                    *byte = carry.to_le_bytes()[0];
                    carry >>= 8;
                }
                assert!(!verdict(&key, b"m", &signature));
            }
        }
    }

    #[test]
    fn keys_are_read_as_by_the_library() {
        let mut random = StdRng::seed_from_u64(6);
        let mut read = 0;
        for number in 0..4_000_u32 {
            let mut bytes = [0; 32];
            random.fill_bytes(&mut bytes);
            if number < 1_000 {
                // Encodings that are not reduced, and those next to them.
                bytes = [0xff; 32];
                bytes[0] = number.to_le_bytes()[0];
                bytes[31] = if number % 2 == 0 { 0x7f } else { 0xff };
            }
            let ours = VerificationKey::from_bytes(&bytes);
            let theirs = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok();
            assert_eq!(ours.is_some(), theirs.is_some(), "{bytes:?}");
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                assert_eq!(ours.is_weak(), theirs.is_weak(), "{bytes:?}");
                read += 1;
            }
        }
        assert!(read > 1_000, "{read}");
    }

    #[test]
    fn the_key_of_a_secret_is_that_of_the_library() {
        for seed in 0..64 {
            let secret = [seed; 32];
            let key = VerificationKey::of_secret(&secret);
            let library = ed25519_dalek::SigningKey::from_bytes(&secret).verifying_key();
            assert_eq!(key.as_bytes(), library.as_bytes());
            assert_eq!(VerificationKey::from_bytes(key.as_bytes()), Some(key));
        }
    }
}
