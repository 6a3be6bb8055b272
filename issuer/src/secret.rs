//! Secrets that the issuer hands out once and keeps only as digests.
//!
//! Device codes, browser cookies, set-up links and the operator's token are all 256 random
//! bits, so a plain SHA-256 is a sound way to store them: there is nothing to guess.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// 256 random bits as 43 characters of base64url. Never shown by `Debug`.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Draws a fresh secret.
    pub(crate) fn generate(entropy: &Entropy) -> Self {
        let bytes = Zeroizing::new(entropy.bytes::<32>());
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// Wraps a secret received from outside.
    pub(crate) fn received(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text itself: for the one reply, file or cookie that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up.
    pub(crate) fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 of a secret. Equality takes the same time whatever differs.
#[derive(Clone, Copy)]
pub(crate) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest whose bytes the store kept; `None` when they are too many or too few.
    pub(crate) fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes as the store keeps them.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_has_256_bits_and_two_differ() {
        let entropy = Entropy::dangerous_seeded(1);
        let (a, b) = (Secret::generate(&entropy), Secret::generate(&entropy));
        assert_eq!(a.expose().len(), 43);
        assert!(a.digest() == Secret::received(a.expose()).digest());
        assert!(a.digest() != b.digest());
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::generate(&Entropy::dangerous_seeded(1));
        let shown = format!("{secret:?} {:?}", secret.digest());
        assert_eq!(shown, "Secret(…) SecretDigest(…)");
    }
}
