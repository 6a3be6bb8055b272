//! Signed documents: how key sets and revocation lists travel.
//!
//! Owns the envelope ([`SignedDocument`]), the rule that a signature is good for one [`Domain`]
//! only, and the text form of Ed25519 public keys ([`PublicKeyHex`]). What a document says, and
//! whether it is newer than the last one, is left to [`crate::trust`] and [`crate::revocation`].

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ed25519::{SIGNATURE_BYTES, VerificationKey};

/// Largest signed document accepted, in bytes of its JSON text.
///
/// A revocation costs about 47 bytes in it, so this holds some 350,000 of them.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// What a signature is about. A document signed for one domain verifies in no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The issuer's key set, signed by the anchor key.
    KeySet,
    /// A revocation snapshot, signed by a revocation key.
    Revocations,
}

impl Domain {
    /// The text that is signed before the payload.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeySet => "bailiwick key set v1",
            Self::Revocations => "bailiwick revocations v1",
        }
    }

    /// The bytes under the signature: domain, a zero byte, payload.
    fn message(self, payload: &[u8]) -> Vec<u8> {
        [self.as_str().as_bytes(), &[0], payload].concat()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A payload with an Ed25519 signature over `domain || 0x00 || payload`, not yet verified.
///
/// In JSON: `{"payload": base64url, "signature": base64url}`, both without padding, and no other
/// member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDocument {
    payload: Base64Url,
    signature: Base64Url,
}

/// Why a document was not accepted as signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The text is larger than [`MAX_DOCUMENT_BYTES`].
    #[error("the signed document has {actual} bytes, more than the {limit} accepted")]
    TooLarge {
        /// Its size in bytes.
        actual: usize,
        /// [`MAX_DOCUMENT_BYTES`].
        limit: usize,
    },
    /// The text is not a signed document.
    #[error("not a signed document: JSON with a base64url `payload` and `signature` was expected")]
    Malformed,
    /// No key was given to verify with.
    #[error("no key is known that could have signed the document")]
    NoKey,
    /// The signature is not that of the given keys over this payload in this domain.
    #[error("the signature is not that of a known key over this document as `{domain}`")]
    BadSignature {
        /// The domain it was verified for.
        domain: Domain,
    },
}

/// Signs `payload` for one domain.
#[must_use]
pub fn sign(domain: Domain, payload: &[u8], key: &SigningKey) -> SignedDocument {
    let signature = key.sign(&domain.message(payload));
    SignedDocument {
        payload: Base64Url(payload.to_vec()),
        signature: Base64Url(signature.to_bytes().to_vec()),
    }
}

impl SignedDocument {
    /// Reads the JSON form. Proves nothing about the signature.
    ///
    /// # Errors
    ///
    /// [`SignatureError::TooLarge`] before anything is parsed, [`SignatureError::Malformed`] for
    /// any other shape, a doubled or unknown member included.
    pub fn from_json(json: &[u8]) -> Result<Self, SignatureError> {
        if json.len() > MAX_DOCUMENT_BYTES {
            return Err(SignatureError::TooLarge {
                actual: json.len(),
                limit: MAX_DOCUMENT_BYTES,
            });
        }
        serde_json::from_slice(json).map_err(|_| SignatureError::Malformed)
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Written by hand because it cannot fail: base64url needs no escaping in JSON.
        format!(
            "{{\"payload\":\"{}\",\"signature\":\"{}\"}}",
            self.payload.to_text(),
            self.signature.to_text()
        )
    }

    /// Verifies the signature and returns the payload.
    ///
    /// Proves that the holder of `key` signed this payload for `domain`; not when, nor that it is
    /// the latest.
    ///
    /// # Errors
    ///
    /// [`SignatureError::BadSignature`].
    pub fn verify(&self, domain: Domain, key: &PublicKeyHex) -> Result<&[u8], SignatureError> {
        let bad = SignatureError::BadSignature { domain };
        let signature = <&[u8; SIGNATURE_BYTES]>::try_from(self.signature.0.as_slice());
        let signature = signature.map_err(|_| bad)?;
        match key
            .verification_key()
            .verify(&domain.message(&self.payload.0), signature)
        {
            true => Ok(&self.payload.0),
            false => Err(bad),
        }
    }

    /// Verifies the signature with whichever of `keys` made it.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoKey`] if `keys` is empty, else [`SignatureError::BadSignature`].
    pub fn verify_any(
        &self,
        domain: Domain,
        keys: &[PublicKeyHex],
    ) -> Result<&[u8], SignatureError> {
        if keys.is_empty() {
            return Err(SignatureError::NoKey);
        }
        keys.iter()
            .find_map(|key| self.verify(domain, key).ok())
            .ok_or(SignatureError::BadSignature { domain })
    }

    /// The payload as it came, which nobody may have signed.
    #[must_use]
    pub fn dangerous_unverified_payload(&self) -> &[u8] {
        &self.payload.0
    }
}

/// An Ed25519 public key with the text form `ed25519/` and 64 hex digits.
///
/// INVARIANT: the key is not of small order, so that a signature can verify with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKeyHex(VerificationKey);

/// Why a text or a value is not an Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// The text does not start with `ed25519/`.
    #[error("only keys written as `ed25519/` and 64 hex digits are accepted")]
    Algorithm,
    /// What follows is not 64 hex digits.
    #[error("an Ed25519 public key has 64 hex digits")]
    NotHex,
    /// The bytes are not a point on the curve, or one of small order.
    #[error("these bytes are no usable Ed25519 public key")]
    NotAKey,
}

impl PublicKeyHex {
    /// The prefix of the text form.
    pub const PREFIX: &'static str = "ed25519/";

    /// The key made of these 32 bytes.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError::NotAKey`], also for a point of small order, under which a signature may
    /// fit several messages.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        VerificationKey::from_bytes(bytes)
            .filter(|key| !key.is_weak())
            .map(Self)
            .ok_or(PublicKeyError::NotAKey)
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        *self.0.as_bytes()
    }

    /// The key itself.
    pub(crate) const fn verification_key(&self) -> &VerificationKey {
        &self.0
    }
}

impl TryFrom<VerifyingKey> for PublicKeyHex {
    type Error = PublicKeyError;

    fn try_from(key: VerifyingKey) -> Result<Self, Self::Error> {
        Self::from_bytes(key.as_bytes())
    }
}

impl From<&SigningKey> for PublicKeyHex {
    fn from(key: &SigningKey) -> Self {
        // A key made from a secret scalar is a multiple of the base point, never a weak one.
        Self(VerificationKey::of_secret(key.as_bytes()))
    }
}

impl fmt::Display for PublicKeyHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKeyHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeyHex({self})")
    }
}

impl FromStr for PublicKeyHex {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix(Self::PREFIX)
            .ok_or(PublicKeyError::Algorithm)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| PublicKeyError::NotHex)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for PublicKeyHex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKeyHex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes whose JSON form is base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Base64Url(Vec<u8>);

impl Base64Url {
    fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        URL_SAFE_NO_PAD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn public(seed: u8) -> PublicKeyHex {
        PublicKeyHex::from(&key(seed))
    }

    const BAD: SignatureError = SignatureError::BadSignature {
        domain: Domain::KeySet,
    };

    #[test]
    fn a_signature_that_does_not_hold_is_refused_by_the_name_of_its_domain() {
        for domain in [Domain::KeySet, Domain::Revocations] {
            let shown = SignatureError::BadSignature { domain }.to_string();
            assert!(shown.contains(&format!("`{}`", domain.as_str())), "{shown}");
        }
    }

    #[test]
    fn a_public_key_shows_itself() {
        let (key, text) = (public(1), public(1).to_string());
        assert_eq!(format!("{key:?}"), format!("PublicKeyHex({text})"));
        assert_eq!(text, format!("ed25519/{}", hex::encode(key.to_bytes())));
    }

    #[test]
    fn what_nobody_may_have_signed_can_be_read_as_it_came() {
        let document = sign(Domain::KeySet, b"payload", &key(1));
        assert_eq!(document.dangerous_unverified_payload(), b"payload");
    }

    #[test]
    fn a_signed_document_verifies_with_its_key_and_domain() {
        let document = sign(Domain::KeySet, b"payload", &key(1));
        assert_eq!(
            document.verify(Domain::KeySet, &public(1)),
            Ok(&b"payload"[..])
        );
    }

    #[test]
    fn another_key_is_refused() {
        let document = sign(Domain::KeySet, b"payload", &key(1));
        assert_eq!(document.verify(Domain::KeySet, &public(2)), Err(BAD));
    }

    #[test]
    fn another_domain_is_refused() {
        let document = sign(Domain::Revocations, b"payload", &key(1));
        assert_eq!(document.verify(Domain::KeySet, &public(1)), Err(BAD));
    }

    #[test]
    fn every_flipped_bit_of_payload_or_signature_is_refused() {
        let document = sign(Domain::KeySet, b"payload", &key(1));
        for bit in 0..document.payload.0.len() * 8 {
            let mut bad = document.clone();
            bad.payload.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                bad.verify(Domain::KeySet, &public(1)),
                Err(BAD),
                "payload bit {bit}"
            );
        }
        for bit in 0..64 * 8 {
            let mut bad = document.clone();
            bad.signature.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                bad.verify(Domain::KeySet, &public(1)),
                Err(BAD),
                "signature bit {bit}"
            );
        }
    }

    #[test]
    fn signatures_of_other_lengths_are_refused() {
        for length in [0, 63, 65] {
            let mut document = sign(Domain::KeySet, b"payload", &key(1));
            document.signature.0.resize(length, 0);
            assert_eq!(
                document.verify(Domain::KeySet, &public(1)),
                Err(BAD),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn any_of_several_keys_may_have_signed() {
        let document = sign(Domain::KeySet, b"payload", &key(1));
        assert!(
            document
                .verify_any(Domain::KeySet, &[public(2), public(1)])
                .is_ok()
        );
        assert_eq!(
            document.verify_any(Domain::KeySet, &[public(2), public(3)]),
            Err(BAD)
        );
        assert_eq!(
            document.verify_any(Domain::KeySet, &[]),
            Err(SignatureError::NoKey)
        );
    }

    #[test]
    fn json_form_round_trips() {
        let document = sign(Domain::KeySet, b"\x00\xff payload", &key(1));
        let json = document.to_json();
        assert_eq!(json, serde_json::to_string(&document).unwrap());
        assert_eq!(SignedDocument::from_json(json.as_bytes()), Ok(document));
    }

    #[test]
    fn other_json_is_refused() {
        for json in [
            "",
            "{}",
            "[]",
            r#"{"payload":"YQ"}"#,
            r#"{"payload":"YQ==","signature":"YQ"}"#,
            r#"{"payload":"Y+/Y","signature":"YQ"}"#,
            r#"{"payload":"YR","signature":"YQ"}"#,
            r#"{"payload":"YQ","signature":"YQ","more":1}"#,
            r#"{"payload":"YQ","payload":"YQ","signature":"YQ"}"#,
            r#"{"payload":"YQ","signature":"YQ"} x"#,
        ] {
            assert_eq!(
                SignedDocument::from_json(json.as_bytes()),
                Err(SignatureError::Malformed),
                "{json}"
            );
        }
        assert!(SignedDocument::from_json(br#"{"payload":"YQ","signature":"YQ"}"#).is_ok());
    }

    #[test]
    fn size_bound_is_inclusive() {
        assert_eq!(MAX_DOCUMENT_BYTES, 16_777_216);
        let mut json = br#"{"payload":"YQ","signature":"YQ"}"#.to_vec();
        json.resize(MAX_DOCUMENT_BYTES, b' ');
        assert!(SignedDocument::from_json(&json).is_ok());
        json.push(b' ');
        assert_eq!(
            SignedDocument::from_json(&json),
            Err(SignatureError::TooLarge {
                actual: MAX_DOCUMENT_BYTES + 1,
                limit: MAX_DOCUMENT_BYTES,
            })
        );
    }

    #[test]
    fn public_keys_have_one_text_form() {
        let text = public(1).to_string();
        assert_eq!(text.len(), 8 + 64);
        assert_eq!(text.parse(), Ok(public(1)));
        let (_, digits) = text.split_at(8);
        for (text, error) in [
            (digits.to_owned(), PublicKeyError::Algorithm),
            (format!("secp256r1/{digits}"), PublicKeyError::Algorithm),
            (format!("ED25519/{digits}"), PublicKeyError::Algorithm),
            (format!("ed25519/{digits}00"), PublicKeyError::NotHex),
            (
                text.replacen("ed25519/", "ed25519/0", 1),
                PublicKeyError::NotHex,
            ),
            (
                format!("ed25519/{}", "zz".repeat(32)),
                PublicKeyError::NotHex,
            ),
        ] {
            assert_eq!(text.parse::<PublicKeyHex>(), Err(error), "{text}");
        }
    }

    #[test]
    fn weak_and_impossible_keys_are_refused() {
        // The identity, a point of order 2, and a value that is no point of the curve.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let mut no_point = [0; 32];
        no_point[0] = 2;
        for bytes in [identity, minus_one, no_point] {
            assert_eq!(
                PublicKeyHex::from_bytes(&bytes),
                Err(PublicKeyError::NotAKey)
            );
        }
    }
}
