//! Signed JWTs of clients and workloads (RFC 7519), as far as it is about signatures.
//!
//! The library checks one signature with one key. Which key, which algorithms, and what the
//! claims have to say is decided here and by the callers; no clock is read, because time is theirs
//! to bring.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Longest JWT, in bytes.
const MAX_JWT_BYTES: usize = 8 * 1024;
/// Largest JWK set of a client, in bytes.
const MAX_JWKS_BYTES: usize = 16 * 1024;
/// Most keys in one.
const MAX_KEYS: usize = 10;
/// Shortest RSA modulus (NIST SP 800-131A).
const MIN_RSA_BYTES: usize = 2_048 / 8;

/// What a client may sign with.
pub(crate) const CLIENT_ALGORITHMS: [Algorithm; 3] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
/// What a JWT-SVID may be signed with (JWT-SVID section 2.1), as far as a backend is here.
pub(crate) const SVID_ALGORITHMS: [Algorithm; 8] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The claims that proofs of identity are made of. Others are ignored.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: Option<String>,
    pub(crate) sub: String,
    pub(crate) aud: Audiences,
    pub(crate) exp: u64,
    pub(crate) nbf: Option<u64>,
    pub(crate) iat: Option<u64>,
    pub(crate) jti: Option<String>,
}

/// One audience or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audiences {
    /// A text.
    One(String),
    /// A list of texts.
    Several(Vec<String>),
}

impl Audiences {
    /// Whether `wanted` is the only one: a proof for somebody else as well could be used by them.
    pub(crate) fn is_only(&self, wanted: &[&str]) -> bool {
        let only = match self {
            Self::One(only) => Some(only.as_str()),
            Self::Several(all) => match all.as_slice() {
                [only] => Some(only.as_str()),
                _ => None,
            },
        };
        only.is_some_and(|only| wanted.contains(&only))
    }
}

/// Who a JWT says it is about and which key it names. To be believed once it is verified.
pub(crate) fn stated(jwt: &str) -> Option<(String, Option<String>)> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    if jwt.len() > MAX_JWT_BYTES {
        return None;
    }
    let stated = jsonwebtoken::dangerous::insecure_decode::<Subject>(jwt).ok()?;
    Some((stated.claims.sub, stated.header.kid))
}

/// The claims of a JWT that one of `keys` signed with one of `algorithms`. Says nothing about the
/// claims.
pub(crate) fn verify(jwt: &str, keys: &JwkSet, algorithms: &[Algorithm]) -> Option<Claims> {
    if jwt.len() > MAX_JWT_BYTES {
        return None;
    }
    let header = jsonwebtoken::decode_header(jwt).ok()?;
    // An extension that has to be understood is not.
    if header.crit.is_some() || !algorithms.contains(&header.alg) {
        return None;
    }
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let named = |jwk: &&Jwk| match &header.kid {
        Some(kid) => jwk.common.key_id.as_ref() == Some(kid),
        None => true,
    };
    keys.keys
        .iter()
        .filter(named)
        .filter(|jwk| suits(jwk, header.alg))
        .take(MAX_KEYS)
        .find_map(|jwk| {
            let key = DecodingKey::from_jwk(jwk).ok()?;
            let decoded = jsonwebtoken::decode::<Claims>(jwt, &key, &validation).ok()?;
            Some(decoded.claims)
        })
}

/// Whether a key is for that algorithm and for signatures: an algorithm is never run with a key
/// of another kind.
fn suits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let family = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if is_long(&rsa.n) => AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(curve) => match (&curve.curve, algorithm) {
            (EllipticCurve::P256, Algorithm::ES256) | (EllipticCurve::P384, Algorithm::ES384) => {
                AlgorithmFamily::Ec
            }
            _ => return false,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            AlgorithmFamily::Ed
        }
        _ => return false,
    };
    let wanted = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => AlgorithmFamily::Ec,
        Algorithm::EdDSA => AlgorithmFamily::Ed,
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => AlgorithmFamily::Rsa,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return false,
    };
    let stated = jwk.common.key_algorithm.map(|stated| stated.to_string());
    let signs = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(PublicKeyUse::Other(other)) => other == "jwt-svid",
        Some(PublicKeyUse::Encryption) => false,
    };
    family == wanted && signs && stated.is_none_or(|stated| stated == format!("{algorithm:?}"))
}

fn is_long(modulus: &str) -> bool {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.len().saturating_sub(leading) >= MIN_RSA_BYTES
}

/// Reads the JWK set of a client, and gives back its text for the store.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(crate) fn read_client_keys(value: &Value) -> Result<String, String> {
    let text = value.to_string();
    if text.len() > MAX_JWKS_BYTES {
        return Err(format!("it has more than {MAX_JWKS_BYTES} bytes"));
    }
    let set: JwkSet =
        serde_json::from_value(value.clone()).map_err(|_| "it is not a JWK set".to_owned())?;
    if set.keys.is_empty() || set.keys.len() > MAX_KEYS {
        return Err(format!("it needs 1 to {MAX_KEYS} keys"));
    }
    let keys = value.get("keys").and_then(Value::as_array);
    let secret = keys.is_some_and(|keys| keys.iter().any(|key| key.get("d").is_some()));
    if secret {
        return Err("a private key is in it: it is to be replaced".to_owned());
    }
    let usable = |jwk: &Jwk| CLIENT_ALGORITHMS.iter().any(|alg| suits(jwk, *alg));
    if set.keys.iter().all(usable) {
        Ok(text)
    } else {
        let why = "a key is none of Ed25519, P-256 and RSA of at least 2048 bits, for signatures";
        Err(why.to_owned())
    }
}
