//! The name under which one block of a token can be revoked.
//!
//! Owns [`RevocationId`] and its text and prefix forms. Which ids are revoked is left to the
//! verifier; reading them from a token is left to the decoder.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Length of an id: an Ed25519 signature.
pub const REVOCATION_ID_BYTES: usize = 64;

/// Length of the published prefix of an id's SHA-256.
///
/// 128 bits: finding a second token whose prefix collides with a listed one takes 2^128 work, and
/// a collision can only refuse more.
pub const REVOCATION_PREFIX_BYTES: usize = 16;

/// A block's revocation id: its 64-byte Ed25519 signature (profile, rule 12).
///
/// Revoking the id of a block refuses every token that contains this block, hence everything
/// attenuated from it. The one text form is 128 hex digits, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevocationId {
    bytes: [u8; REVOCATION_ID_BYTES],
    /// INVARIANT: the head of the SHA-256 of the bytes. Lists are searched for it on every call,
    /// so it is computed once.
    prefix: [u8; REVOCATION_PREFIX_BYTES],
}

/// Why a value is not a [`RevocationId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationIdError {
    /// The bytes are not exactly 64.
    #[error("a revocation id has 64 bytes, not {actual}")]
    Length {
        /// How many bytes there were.
        actual: usize,
    },
    /// The text is not exactly 128 hex digits.
    #[error("a revocation id is written as 128 hex digits")]
    NotHex,
}

impl RevocationId {
    /// The id made of these signature bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; REVOCATION_ID_BYTES]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let [prefix @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        Self { bytes, prefix }
    }

    /// The signature bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; REVOCATION_ID_BYTES] {
        &self.bytes
    }

    /// The first 16 bytes of the SHA-256 of the id: the form that published lists carry.
    #[must_use]
    pub const fn prefix(&self) -> [u8; REVOCATION_PREFIX_BYTES] {
        self.prefix
    }

    /// The id as 128 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.bytes)
    }
}

impl fmt::Display for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationId({self})")
    }
}

impl FromStr for RevocationId {
    type Err = RevocationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; REVOCATION_ID_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| RevocationIdError::NotHex)?;
        Ok(Self::from_bytes(bytes))
    }
}

impl TryFrom<&[u8]> for RevocationId {
    type Error = RevocationIdError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes
            .try_into()
            .map(Self::from_bytes)
            .map_err(|_| RevocationIdError::Length {
                actual: bytes.len(),
            })
    }
}

impl Serialize for RevocationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RevocationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RevocationId {
        RevocationId::from_bytes([7; 64])
    }

    #[test]
    fn prefix_is_the_head_of_the_sha256() {
        let digest = Sha256::digest([7; 64]);
        assert_eq!(id().prefix().as_slice(), &digest[..16]);
        assert_ne!(id().prefix(), RevocationId::from_bytes([8; 64]).prefix());
    }

    #[test]
    fn text_form_is_128_hex_digits_of_either_case() {
        let text = id().to_string();
        assert_eq!(text, "07".repeat(64));
        assert_eq!(text.parse(), Ok(id()));
        let mixed = RevocationId::from_bytes([0xab; 64]);
        assert_eq!("AB".repeat(64).parse(), Ok(mixed));
        assert_eq!(mixed.to_string(), "ab".repeat(64));
    }

    #[test]
    fn one_digit_more_or_less_is_refused() {
        for digits in [0, 126, 127, 129, 130] {
            assert_eq!(
                "0".repeat(digits).parse::<RevocationId>(),
                Err(RevocationIdError::NotHex),
                "{digits} digits"
            );
        }
    }

    #[test]
    fn other_characters_are_refused() {
        for text in [
            "g".repeat(128),
            format!("0x{}", "0".repeat(126)),
            "é".repeat(64),
        ] {
            assert_eq!(
                text.parse::<RevocationId>(),
                Err(RevocationIdError::NotHex),
                "{text}"
            );
        }
    }

    #[test]
    fn bytes_must_be_64() {
        assert_eq!(RevocationId::try_from([7; 64].as_slice()), Ok(id()));
        for actual in [0, 63, 65] {
            assert_eq!(
                RevocationId::try_from(vec![7; actual].as_slice()),
                Err(RevocationIdError::Length { actual })
            );
        }
    }

    #[test]
    fn json_form_is_the_text_form() {
        let json = serde_json::to_string(&id()).unwrap();
        assert_eq!(json, format!("\"{}\"", id()));
        assert_eq!(serde_json::from_str::<RevocationId>(&json).unwrap(), id());
    }
}
