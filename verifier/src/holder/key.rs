//! The holder's side: making the proof that the rest of this module checks.
//!
//! For clients written in Rust and for tests. Any DPoP library with EdDSA can take its place if it
//! lets the caller add the claim `bwc`.

use std::fmt;

use bailiwick_datalog::{Thumbprint, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use biscuit_auth::{PrivateKey, builder::Algorithm, error};
use ed25519_dalek::{Signer, SigningKey};
use rand_core::CryptoRngCore;
use serde_json::{Value, json};

use super::{HolderProof, token_hash};

/// A holder's Ed25519 key pair. Erased from memory when dropped.
#[derive(Clone)]
pub struct HolderKey(SigningKey);

/// What a proof is to be made for.
#[derive(Clone, Copy, Debug)]
pub struct ProofRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The URL, without query and fragment.
    pub url: &'a str,
    /// The token's text as it will be presented.
    pub token_text: &'a str,
    /// [`canonical_call_digest`](bailiwick_datalog::canonical_call_digest) of the call.
    pub call_digest: &'a [u8; 32],
    /// The time.
    pub issued_at: Timestamp,
    /// An id that no other proof of this key has: 16 random bytes will do, as text.
    pub id: &'a str,
}

impl HolderKey {
    /// The key pair of this 32-byte secret.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// A fresh key pair, drawn from `rng`.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(SigningKey::generate(rng))
    }

    /// The public key's bytes.
    #[must_use]
    pub fn public_bytes(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public key's thumbprint, which a token is bound to.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of_ed25519(&self.public_bytes())
    }

    /// The public key as a JWK ([RFC 8037](https://www.rfc-editor.org/rfc/rfc8037)).
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.public_bytes()),
        })
    }

    /// Makes a proof for one call.
    #[must_use]
    pub fn create_proof(&self, request: &ProofRequest<'_>) -> HolderProof {
        let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk() });
        let claims = json!({
            "jti": request.id,
            "htm": request.method,
            "htu": request.url,
            "iat": request.issued_at.unix(),
            "ath": token_hash(request.token_text),
            "bwc": URL_SAFE_NO_PAD.encode(request.call_digest),
        });
        HolderProof {
            dpop: self.sign_jwt(&header.to_string(), &claims.to_string()),
            method: request.method.to_owned(),
            url: request.url.to_owned(),
        }
    }

    /// The secret's bytes.
    pub(super) fn secret_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The key as the Biscuit library signs third-party blocks with.
    pub(crate) fn to_biscuit_key(&self) -> Result<PrivateKey, error::Format> {
        PrivateKey::from_bytes(self.0.as_bytes(), Algorithm::Ed25519)
    }

    /// Signs a header and claims, whatever they say.
    pub(super) fn sign_jwt(&self, header: &str, claims: &str) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

impl From<SigningKey> for HolderKey {
    fn from(key: SigningKey) -> Self {
        Self(key)
    }
}

impl fmt::Debug for HolderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HolderKey")
            .field(&self.thumbprint().as_str())
            .finish()
    }
}
