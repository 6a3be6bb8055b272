//! A DPoP proof as text: parts, header, key, signature, claims.
//!
//! Owns what makes a text a proof. Whether it is about the call at hand is checked by the parent.

use bailiwick_datalog::{Thumbprint, Timestamp, strict_json};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{InvalidProof, MAX_JTI_CHARS, MAX_PROOF_BYTES};
use crate::ed25519::{KEY_BYTES, SIGNATURE_BYTES, VerificationKey};

/// Members that only private keys have (RFC 7518 section 6, RFC 8037 section 2).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A proof whose signature is not verified yet. Only its key can be read.
pub(super) struct Proof<'a> {
    signed: &'a str,
    claims: &'a str,
    key: [u8; KEY_BYTES],
    signature: [u8; SIGNATURE_BYTES],
}

/// What the holder signed.
pub(super) struct Claims {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) token_hash: String,
    pub(super) call_hash: String,
}

impl<'a> Proof<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidProof> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(InvalidProof::TooLarge { actual: text.len() });
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(InvalidProof::NotAJwt)?;
        let (header, claims) = signed
            .split_once('.')
            .filter(|(_, claims)| !claims.contains('.'))
            .ok_or(InvalidProof::NotAJwt)?;
        let header = object(header)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| InvalidProof::NotAJwt)?;
        Ok(Self {
            signed,
            claims,
            key: key(&header)?,
            signature: signature.try_into().map_err(|_| InvalidProof::Signature)?,
        })
    }

    pub(super) fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of_ed25519(&self.key)
    }

    /// Proves that the key signed the claims.
    pub(super) fn verify(&self) -> Result<Claims, InvalidProof> {
        let key = VerificationKey::from_bytes(&self.key).ok_or(InvalidProof::Key)?;
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(InvalidProof::Signature);
        }
        Claims::parse(&object(self.claims)?)
    }
}

impl Claims {
    fn parse(claims: &Map<String, Value>) -> Result<Self, InvalidProof> {
        let id = text(claims, "jti")?;
        if id.is_empty() || id.chars().count() > MAX_JTI_CHARS {
            return Err(InvalidProof::Claim { claim: "jti" });
        }
        Ok(Self {
            id,
            method: text(claims, "htm")?,
            url: text(claims, "htu")?,
            issued_at: time(claims, "iat")?.ok_or(InvalidProof::Claim { claim: "iat" })?,
            expires_at: time(claims, "exp")?,
            not_before: time(claims, "nbf")?,
            token_hash: text(claims, "ath")?,
            call_hash: text(claims, "bwc")?,
        })
    }
}

/// Checks the header and reads the public key in it.
fn key(header: &Map<String, Value>) -> Result<[u8; KEY_BYTES], InvalidProof> {
    let is = |member: &str, expected: &str| header.get(member).is_some_and(|v| v == expected);
    if !is("typ", "dpop+jwt") {
        return Err(InvalidProof::Type);
    }
    if !is("alg", "EdDSA") {
        return Err(InvalidProof::Algorithm);
    }
    if header.contains_key("crit") {
        return Err(InvalidProof::CriticalExtension);
    }
    let jwk = header
        .get("jwk")
        .and_then(Value::as_object)
        .ok_or(InvalidProof::Key)?;
    if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
        return Err(InvalidProof::PrivateKey);
    }
    if !jwk.get("kty").is_some_and(|kty| kty == "OKP")
        || !jwk.get("crv").is_some_and(|crv| crv == "Ed25519")
    {
        return Err(InvalidProof::Key);
    }
    jwk.get("x")
        .and_then(Value::as_str)
        .and_then(|x| URL_SAFE_NO_PAD.decode(x).ok())
        .and_then(|x| x.try_into().ok())
        .ok_or(InvalidProof::Key)
}

fn object(part: &str) -> Result<Map<String, Value>, InvalidProof> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| InvalidProof::NotAJwt)?;
    match strict_json::parse(&json) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(InvalidProof::NotAJwt),
    }
}

fn text(claims: &Map<String, Value>, claim: &'static str) -> Result<String, InvalidProof> {
    claims
        .get(claim)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or(InvalidProof::Claim { claim })
}

/// A point in time in whole seconds; `None` if it is not there.
fn time(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<Timestamp>, InvalidProof> {
    claims
        .get(claim)
        .map(|value| {
            value
                .as_u64()
                .map(Timestamp::from_unix)
                .ok_or(InvalidProof::Claim { claim })
        })
        .transpose()
}
