//! PKCE (RFC 7636) with S256 alone: who redeems a code must know the secret whose hash the
//! request for it named.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Characters of a base64url SHA-256.
const CHALLENGE_CHARS: usize = 43;
/// Fewest and most characters of a verifier (RFC 7636 section 4.1).
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// The hash that a request for a code names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeChallenge(String);

impl CodeChallenge {
    /// Reads an S256 challenge.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (plain && text.len() == CHALLENGE_CHARS).then(|| Self(text.to_owned()))
    }

    /// The text as sent and stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the hash of `verifier`. One that is not of RFC 7636's form never is.
    pub(crate) fn is_met_by(&self, verifier: &str) -> bool {
        let plain = verifier
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let same: bool = hash.as_bytes().ct_eq(self.0.as_bytes()).into();
        plain && VERIFIER_CHARS.contains(&verifier.len()) && same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_the_standard_is_met_and_a_changed_verifier_is_not() {
        // RFC 7636, appendix B.
        let challenge =
            CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(
            !challenge.is_met_by(challenge.as_str()),
            "plain is not S256"
        );
    }

    #[test]
    fn verifier_has_43_to_128_characters() {
        let of = |verifier: &str| {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            CodeChallenge::parse(&hash).unwrap().is_met_by(verifier)
        };
        assert!(of(&"a".repeat(43)) && of(&"a".repeat(128)));
        assert!(!of(&"a".repeat(42)) && !of(&"a".repeat(129)));
        assert!(!of(&"ü".repeat(30)));
    }

    #[test]
    fn challenge_is_a_sha256_in_base64url() {
        assert!(CodeChallenge::parse(&"A".repeat(43)).is_some());
        for bad in [
            "A".repeat(42),
            "A".repeat(44),
            format!("{}=", "A".repeat(42)),
            format!("{}+", "A".repeat(42)),
        ] {
            assert_eq!(CodeChallenge::parse(&bad), None, "{bad}");
        }
    }
}
