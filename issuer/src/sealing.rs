//! Text that a browser keeps for the issuer: it can neither read nor change it.
//!
//! ChaCha20-Poly1305 under a key that is drawn at each start and never leaves the process, so
//! what was sealed before a restart opens no more. The nonce is random: with 96 bits, four
//! thousand million texts under one key share one with a probability of about 2⁻³³. What a text
//! is for and whose it is goes in as associated data, and only the same opens it again.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{entropy::Entropy, secret::Secret};

/// The library refused; it never does for keys of this length and texts that fit memory.
#[derive(Debug, Error)]
#[error("the text could not be sealed")]
pub(crate) struct SealError;

/// What seals and opens.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// Draws a key.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn new(entropy: &Entropy) -> Result<Self, SealError> {
        let key = Zeroizing::new(entropy.bytes::<32>());
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).map_err(|_| SealError)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a text for `context`, as base64url.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn seal(
        &self,
        entropy: &Entropy,
        context: &[u8],
        text: &str,
    ) -> Result<Secret, SealError> {
        let nonce = entropy.bytes::<NONCE_LEN>();
        let mut sealed = Zeroizing::new(text.as_bytes().to_vec());
        let tag = self.0.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            sealed.as_mut_slice(),
        );
        let tag = tag.map_err(|_| SealError)?;
        let whole = [nonce.as_slice(), sealed.as_slice(), tag.as_ref()].concat();
        Ok(Secret::received(&URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens what was sealed here for the same `context`.
    pub(crate) fn open(&self, context: &[u8], sealed: &Secret) -> Option<Zeroizing<String>> {
        let whole = Zeroizing::new(URL_SAFE_NO_PAD.decode(sealed.expose()).ok()?);
        let (nonce, rest) = whole.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let opened = self.0.open_in_place(nonce, Aad::from(context), &mut rest);
        let text = std::str::from_utf8(opened.ok()?).ok()?;
        Some(Zeroizing::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_opens_for_its_context_under_its_key_and_unchanged() {
        let entropy = Entropy::dangerous_seeded(1);
        let sealer = Sealer::new(&entropy).unwrap();
        let sealed = sealer.seal(&entropy, b"one", "hello").unwrap();
        assert_eq!(*sealer.open(b"one", &sealed).unwrap(), "hello");
        assert!(sealer.open(b"two", &sealed).is_none());
        let other = Sealer::new(&entropy).unwrap();
        assert!(other.open(b"one", &sealed).is_none());
        let whole = URL_SAFE_NO_PAD.decode(sealed.expose()).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let changed = Secret::received(&URL_SAFE_NO_PAD.encode(&changed));
            assert!(sealer.open(b"one", &changed).is_none(), "{at}");
            let cut = Secret::received(&URL_SAFE_NO_PAD.encode(&whole[..at]));
            assert!(sealer.open(b"one", &cut).is_none(), "{at}");
        }
    }

    #[test]
    fn sealed_text_shows_nothing_and_never_twice_the_same() {
        let entropy = Entropy::dangerous_seeded(1);
        let sealer = Sealer::new(&entropy).unwrap();
        let [one, two] = [(); 2].map(|()| sealer.seal(&entropy, b"c", "a secret").unwrap());
        assert_ne!(one.expose(), two.expose());
        let whole = URL_SAFE_NO_PAD.decode(one.expose()).unwrap();
        assert!(!whole.windows(6).any(|part| part == b"secret"));
    }
}
