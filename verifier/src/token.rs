//! Tokens before and after verification: two types, and one way from the first to the second.

use std::sync::Arc;

use bailiwick_datalog::{
    Access, Chain, EncodedChain, Plan, Timestamp, ToolName,
    token_text::{self, TokenTextError},
};
use biscuit_auth::Biscuit;

use crate::{
    denied::Denied,
    keys::{KeySet, MintKeyName},
    signed::PublicKeyHex,
};

/// A token as a stranger presented it. Says "well formed", no more: nothing in it may be believed
/// before [`crate::Verifier::verify`].
#[derive(Clone)]
pub struct UnverifiedToken {
    pub(crate) bytes: Vec<u8>,
    pub(crate) encoded: EncodedChain,
    /// The text as presented, which a DPoP proof binds.
    pub(crate) text: Arc<str>,
}

impl UnverifiedToken {
    /// Reads raw token bytes.
    ///
    /// # Errors
    /// [`Denied::TokenTooLarge`], [`Denied::MalformedToken`], [`Denied::UnsupportedAlgorithm`],
    /// [`Denied::UnknownKey`] when no root key is named, [`Denied::BadSignature`] for signatures
    /// of a wrong size, [`Denied::LimitExceeded`] for too many blocks, [`Denied::ProfileViolation`]
    /// for what is nested deeper than any shape.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Denied> {
        let bytes = bytes.into();
        let text = token_text::encode(&bytes);
        Self::read(bytes, &text)
    }

    /// Reads a token's base64url text, padded or not.
    ///
    /// # Errors
    /// As [`UnverifiedToken::from_bytes`].
    pub fn from_text(text: &str) -> Result<Self, Denied> {
        Self::read(bytes_of(text)?, text)
    }

    /// Reads a token of which both forms are at hand.
    pub(crate) fn read(bytes: Vec<u8>, text: &str) -> Result<Self, Denied> {
        let encoded = EncodedChain::decode(&bytes)?;
        Ok(Self {
            bytes,
            encoded,
            text: Arc::from(text),
        })
    }

    /// Reads the value of an `Authorization` header: `Bearer ` or `DPoP `, then one token
    /// (profile rule 23). The scheme's case does not matter (RFC 9110 section 11.1).
    ///
    /// # Errors
    /// [`Denied::MalformedToken`] for another scheme or shape, and as
    /// [`UnverifiedToken::from_bytes`].
    pub fn from_authorization_header(value: &[u8]) -> Result<Self, Denied> {
        Self::from_text(text_of(value)?)
    }
}

/// The token's text in the value of an `Authorization` header.
pub(crate) fn text_of(header: &[u8]) -> Result<&str, Denied> {
    let value = std::str::from_utf8(header).map_err(|_| malformed("it is not text"))?;
    let (scheme, text) = value
        .split_once(' ')
        .ok_or_else(|| malformed("the header has no token"))?;
    if !scheme.eq_ignore_ascii_case("Bearer") && !scheme.eq_ignore_ascii_case("DPoP") {
        return Err(malformed("the scheme is neither Bearer nor DPoP"));
    }
    Ok(text)
}

/// The bytes that a token's text stands for.
pub(crate) fn bytes_of(text: &str) -> Result<Vec<u8>, Denied> {
    token_text::decode(text).map_err(|error| match error {
        TokenTextError::TooLarge => Denied::TokenTooLarge {
            length: text.len() / 4 * 3,
            limit: token_text::MAX_TOKEN_BYTES,
        },
        TokenTextError::Malformed => malformed("it is not base64url"),
    })
}

impl UnverifiedToken {
    /// The text as presented: what the `ath` claim of a DPoP proof is the hash of. A secret.
    #[must_use]
    pub fn expose_text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for UnverifiedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedToken")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

fn malformed(what: &str) -> Denied {
    Denied::MalformedToken {
        what: what.to_owned(),
    }
}

/// A token whose signatures, shape, time, audience, revocation and depth were verified at one
/// moment. Proves nothing about a call, nor that the presenter holds the bound key; only
/// [`crate::Verifier`] makes one. Clones share what was verified.
#[derive(Clone)]
pub struct VerifiedToken {
    /// The text as presented, which a DPoP proof binds.
    pub(crate) text: Arc<str>,
    pub(crate) verified: Arc<Verified>,
}

/// A chain whose signatures and shape are verified, in whichever text it was presented.
pub(crate) struct Verified {
    /// For the engine of the library, where it is to evaluate.
    pub(crate) biscuit: Option<Biscuit>,
    /// The key that verified it.
    pub(crate) key: PublicKeyHex,
    pub(crate) plan: Plan,
}

impl Verified {
    pub(crate) fn new(key: PublicKeyHex, plan: Plan) -> Self {
        Self {
            biscuit: None,
            key,
            plan,
        }
    }

    /// True while the token's root key id stands for the key that verified it, and the token's life
    /// lies in that key's window.
    pub(crate) fn is_by_a_key_of(&self, keys: &KeySet) -> bool {
        let chain = self.plan.chain();
        let authority = chain.authority();
        let (issued_at, expires_at) = (authority.issued_at, authority.expires_at);
        keys.accepts(chain.root_key_id(), &self.key, issued_at, expires_at)
    }

    /// The key that verified it. The id is the one under which that key was found: there is no
    /// other way from a token to a key.
    pub(crate) fn key_name(&self) -> MintKeyName {
        MintKeyName::new(self.plan.chain().root_key_id(), self.key)
    }

    /// About how many bytes of memory it takes; not less than it does.
    pub(crate) fn weight(&self) -> usize {
        let biscuit = self.biscuit.as_ref().map_or(0, |_| BISCUIT_WEIGHT);
        self.plan.weight().saturating_add(biscuit)
    }
}

/// A token as the library holds it: its messages twice and its symbols, at most some multiple of
/// the largest token.
const BISCUIT_WEIGHT: usize = 16 * token_text::MAX_TOKEN_BYTES;

impl VerifiedToken {
    /// The decoded chain.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        self.verified.plan.chain()
    }

    /// The mint key whose signature was verified, for the record.
    #[must_use]
    pub fn key(&self) -> MintKeyName {
        self.verified.key_name()
    }

    /// The session's id.
    #[must_use]
    pub fn session(&self) -> &str {
        self.chain().authority().session.as_str()
    }

    /// The approval that created the session.
    #[must_use]
    pub fn approval(&self) -> &str {
        self.chain().authority().approval.as_str()
    }

    /// The application the session belongs to.
    #[must_use]
    pub fn application(&self) -> &str {
        self.chain().authority().application.as_str()
    }

    /// The human on whose behalf the session runs.
    #[must_use]
    pub fn principal(&self) -> &str {
        self.chain().authority().principal.as_str()
    }

    /// The agent the session was approved for.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.chain().authority().agent.as_str()
    }

    /// The earliest end that any block sets: the first moment that is refused.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.verified.plan.expires_at()
    }

    /// True when some call of the tool could be allowed: a grant names it and no block excludes
    /// it. For showing a catalogue; never a decision.
    #[must_use]
    pub fn may_call(&self, tool: &ToolName, access: Access) -> bool {
        bailiwick_datalog::Effective::of(self.chain())
            .grants
            .iter()
            .any(|grant| grant.tool == tool.as_str() && grant.access == access)
    }
}

impl std::fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("session", &self.session())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_another_shape_are_malformed() {
        for bad in [
            &b"Bearer"[..],
            b"",
            b"Bearer ",
            b"Basic abcd",
            b"abcd",
            b"Bearer  abcd",
            b"Bearer ab cd",
            b"Bearer abcd, Bearer abcd",
            b"Bearer \xff",
        ] {
            let denied = UnverifiedToken::from_authorization_header(bad).unwrap_err();
            assert_eq!(denied.code(), "malformed_token", "{bad:?}");
        }
    }

    #[test]
    fn a_text_too_large_is_told_the_bytes_it_would_make() {
        for (length, bytes) in [(21_852, 16_389), (21_856, 16_392)] {
            let denied = bytes_of(&"A".repeat(length)).unwrap_err();
            let limit = token_text::MAX_TOKEN_BYTES;
            let length = bytes;
            assert_eq!(denied, Denied::TokenTooLarge { length, limit });
        }
    }

    #[test]
    fn text_longer_than_any_token_is_too_large() {
        let denied = UnverifiedToken::from_text(&"A".repeat(21_849)).unwrap_err();
        assert_eq!(denied.code(), "token_too_large");
        let denied = UnverifiedToken::from_text(&"A".repeat(21_848)).unwrap_err();
        assert_eq!(denied.code(), "token_too_large", "16,386 bytes");
        let denied = UnverifiedToken::from_text(&"A".repeat(21_844)).unwrap_err();
        assert_eq!(denied.code(), "malformed_token", "16,383 bytes");
    }
}
