//! Holders' keys as JSON Web Keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517), for Ed25519
//! [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037)): the form in which agents keep and give
//! their keys.
//!
//! Owns the text of both halves. The `jwk` inside a proof is read beside the proof, where a
//! private member is a reason to refuse. Where the text is kept is the host's business.

use bailiwick_datalog::strict_json;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::HolderKey;
use crate::signed::{PublicKeyError, PublicKeyHex};

/// Largest text read as a key, in bytes. One of ours has about 200.
pub const MAX_JWK_BYTES: usize = 4_096;

/// Why a text is not a holder's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// More bytes than [`MAX_JWK_BYTES`].
    #[error("it has {actual} bytes, more than {MAX_JWK_BYTES}")]
    TooLarge {
        /// How many there are.
        actual: usize,
    },
    /// It is not one JSON object with each member once.
    #[error("it is not a JSON object")]
    NotJson,
    /// It is a key of another kind than `OKP` with the curve `Ed25519`.
    #[error("it is not an Ed25519 key (`kty` `OKP`, `crv` `Ed25519`)")]
    NotEd25519,
    /// A member is not 32 bytes in base64url without padding.
    #[error("its member `{member}` is missing or not 32 bytes in base64url")]
    Member {
        /// Which one.
        member: &'static str,
    },
    /// The public key is one that no holder may have.
    #[error("its member `x` is not a key: {0}")]
    NotAKey(PublicKeyError),
    /// The two halves do not belong together.
    #[error("its private member `d` is not that of its public key `x`")]
    Mismatched,
}

/// Reads the public half of a key; a private one beside it is looked at only to see that it
/// belongs. Members that say other things are passed over (RFC 7517 section 4).
///
/// # Errors
/// [`JwkError`].
pub fn parse_public_jwk(text: &str) -> Result<PublicKeyHex, JwkError> {
    let members = object(text)?;
    if members.contains_key("d") {
        private(&members)?;
    }
    public(&members)
}

impl HolderKey {
    /// Reads both halves of a key.
    ///
    /// # Errors
    /// [`JwkError`]; [`JwkError::Member`] for a public key alone.
    pub fn parse_jwk(text: &str) -> Result<Self, JwkError> {
        private(&object(text)?)
    }

    /// Both halves as a JWK with its thumbprint as `kid`. A secret.
    #[must_use]
    pub fn expose_jwk(&self) -> String {
        let mut jwk = self.jwk();
        if let Some(members) = jwk.as_object_mut() {
            let secret = URL_SAFE_NO_PAD.encode(self.secret_bytes());
            members.insert("d".to_owned(), json!(secret));
            members.insert("kid".to_owned(), json!(self.thumbprint().as_str()));
        }
        jwk.to_string()
    }
}

fn object(text: &str) -> Result<Map<String, Value>, JwkError> {
    if text.len() > MAX_JWK_BYTES {
        return Err(JwkError::TooLarge { actual: text.len() });
    }
    match strict_json::parse(text.as_bytes()) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(JwkError::NotJson),
    }
}

fn public(members: &Map<String, Value>) -> Result<PublicKeyHex, JwkError> {
    let is = |member: &str, expected: &str| members.get(member).is_some_and(|v| v == expected);
    if !is("kty", "OKP") || !is("crv", "Ed25519") {
        return Err(JwkError::NotEd25519);
    }
    PublicKeyHex::from_bytes(&bytes(members, "x")?).map_err(JwkError::NotAKey)
}

fn private(members: &Map<String, Value>) -> Result<HolderKey, JwkError> {
    let public = public(members)?;
    let key = HolderKey::from_secret(&bytes(members, "d")?);
    match key.public_bytes() == public.to_bytes() {
        true => Ok(key),
        false => Err(JwkError::Mismatched),
    }
}

fn bytes(members: &Map<String, Value>, member: &'static str) -> Result<[u8; 32], JwkError> {
    members
        .get(member)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(JwkError::Member { member })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.1.
    const EXAMPLE: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// RFC 8037 appendix A.3.
    const EXAMPLE_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn edited(change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut members = object(EXAMPLE).unwrap();
        change(&mut members);
        Value::Object(members).to_string()
    }

    fn with(member: &str, value: Value) -> String {
        edited(|members| {
            members.insert(member.to_owned(), value);
        })
    }

    fn without(member: &str) -> String {
        edited(|members| {
            members.remove(member);
        })
    }

    #[test]
    fn the_examples_of_rfc_8037_are_read() {
        let key = HolderKey::parse_jwk(EXAMPLE).unwrap();
        assert_eq!(key.thumbprint().as_str(), EXAMPLE_THUMBPRINT);
        let public = PublicKeyHex::from_bytes(&key.public_bytes()).unwrap();
        assert_eq!(parse_public_jwk(EXAMPLE), Ok(public));
        assert_eq!(parse_public_jwk(&without("d")), Ok(public));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let key = HolderKey::from_secret(&[9; 32]);
        let read = HolderKey::parse_jwk(&key.expose_jwk()).unwrap();
        assert_eq!(read.public_bytes(), key.public_bytes());
        assert_eq!(key.jwk().get("d"), None);
    }

    #[test]
    fn a_public_key_does_not_sign() {
        let refused = HolderKey::parse_jwk(&without("d")).unwrap_err();
        assert_eq!(refused, JwkError::Member { member: "d" });
    }

    #[test]
    fn other_members_say_nothing_and_doubled_ones_too_much() {
        assert!(HolderKey::parse_jwk(&with("use", json!("sig"))).is_ok());
        let doubled = EXAMPLE.replacen('{', r#"{"kty":"OKP","#, 1);
        assert_eq!(parse_public_jwk(&doubled), Err(JwkError::NotJson));
    }

    #[test]
    fn halves_of_two_keys_are_not_one_key() {
        let other = HolderKey::from_secret(&[9; 32]).jwk();
        let mixed = with("x", other["x"].clone());
        assert_eq!(parse_public_jwk(&mixed), Err(JwkError::Mismatched));
        assert_eq!(
            HolderKey::parse_jwk(&mixed).unwrap_err(),
            JwkError::Mismatched
        );
    }

    #[test]
    fn texts_that_are_no_ed25519_key_are_refused() {
        let short = URL_SAFE_NO_PAD.encode([7; 31]);
        let mut identity = [0; 32];
        identity[0] = 1;
        let x = JwkError::Member { member: "x" };
        for (text, error) in [
            (String::new(), JwkError::NotJson),
            ("[]".to_owned(), JwkError::NotJson),
            (without("kty"), JwkError::NotEd25519),
            (with("kty", json!("EC")), JwkError::NotEd25519),
            (with("crv", json!("X25519")), JwkError::NotEd25519),
            (without("x"), x),
            (with("x", json!(7)), x),
            (with("x", json!(short)), x),
            (with("d", json!(short)), JwkError::Member { member: "d" }),
            (
                with("x", json!(URL_SAFE_NO_PAD.encode(identity))),
                JwkError::NotAKey(PublicKeyError::NotAKey),
            ),
        ] {
            let met = parse_public_jwk(&text);
            assert_eq!(met, Err(error), "{text}");
        }
    }

    #[test]
    fn length_bound_is_inclusive() {
        let padded = |length: usize| format!("{EXAMPLE:<length$}");
        assert!(parse_public_jwk(&padded(MAX_JWK_BYTES)).is_ok());
        let actual = MAX_JWK_BYTES + 1;
        assert_eq!(
            parse_public_jwk(&padded(actual)),
            Err(JwkError::TooLarge { actual })
        );
    }
}
