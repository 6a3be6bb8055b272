//! Whether the caller holds the key that a token is bound to.
//!
//! Owns the check of a DPoP proof ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)) as profile
//! rule 24 narrows it: Ed25519 only, and bound to one call as well as to one HTTP request and one
//! token. Which key a token is bound to is read from its chain
//! ([`Chain::holder`](bailiwick_datalog::Chain::holder)).

mod jwk;
mod jwt;
mod key;
mod replay;
mod target;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use bailiwick_datalog::{Thumbprint, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::{
    jwk::{JwkError, MAX_JWK_BYTES, parse_public_jwk},
    key::{HolderKey, ProofRequest},
};
use self::{
    jwt::Proof,
    replay::{Owner, Replay, ReplayCache},
    target::Target,
};
use crate::clock::Now;

/// Largest proof accepted, in bytes. An honest one has about 600.
pub const MAX_PROOF_BYTES: usize = 4_096;

/// Largest URL accepted, in bytes, in a proof and from the host.
pub const MAX_URL_BYTES: usize = 2_048;

/// Longest `jti` accepted, in characters.
pub const MAX_JTI_CHARS: usize = 128;

/// How far, in seconds, `iat` may lie from now in either direction (profile, rule 24).
pub const MAX_PROOF_AGE_SECONDS: u64 = 60;

/// How many proofs are remembered at once, unless configured otherwise: about 500 a second for
/// the two minutes during which one could be replayed. They take some 12 MB, and at most 20 MB,
/// when each is of another holder and session.
pub const DEFAULT_REPLAY_CAPACITY: usize = 65_536;

/// The part of all proofs remembered that may be of one holder, or of one session, unless
/// configured otherwise: a sixteenth, by default 4,096, which is 34 calls a second without end.
pub const DEFAULT_SHARE_PART: usize = 16;

/// A DPoP proof with the HTTP request it came in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderProof {
    /// The value of the `DPoP` header: a JWT.
    pub dpop: String,
    /// The request's method.
    pub method: String,
    /// The request's URL as the host knows itself, never as the client's headers say.
    pub url: String,
}

/// What a proof must be about.
#[derive(Clone, Copy)]
pub struct ProofDemand<'a> {
    /// The key that the token is bound to.
    pub holder: &'a Thumbprint,
    /// The token's session, which is charged for the memory of the proof beside the holder.
    pub session: &'a str,
    /// The token's text as it was presented.
    pub token_text: &'a str,
    /// [`canonical_call_digest`](bailiwick_datalog::canonical_call_digest) of the call. Asked only
    /// when all else about the proof holds, for a stranger could make it write megabytes.
    pub call_digest: &'a dyn Fn() -> Option<[u8; 32]>,
}

/// Why a caller does not count as the holder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// The token is bound to a key and the call carries no proof.
    #[error("the token is bound to a key, and the call carries no proof of it")]
    Missing,
    /// The proof is not good for this call.
    #[error("the proof of possession is not valid: {0}")]
    Invalid(#[from] InvalidProof),
    /// The proof was used before.
    #[error("the proof of possession was used before")]
    Replayed,
    /// No more proofs can be remembered, so this one cannot be told from a replay.
    #[error("more than {capacity} proofs of possession came within two minutes")]
    TooManyProofs {
        /// How many are remembered.
        capacity: usize,
    },
    /// No more proofs of this holder, or of this session, can be remembered. Others are served.
    #[error(
        "more than {share} proofs of possession came from one holder or session within two minutes"
    )]
    ShareUsedUp {
        /// How many are remembered of each.
        share: usize,
    },
}

/// Why a proof is not good for a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    /// More bytes than [`MAX_PROOF_BYTES`].
    #[error("it has {actual} bytes, more than {MAX_PROOF_BYTES}")]
    TooLarge {
        /// How many bytes there are.
        actual: usize,
    },
    /// It is not three parts of base64url, of which two are JSON objects.
    #[error("it is not a signed JWT")]
    NotAJwt,
    /// Its header is not of the type `dpop+jwt`.
    #[error("its type is not `dpop+jwt`")]
    Type,
    /// It is signed with another algorithm than EdDSA.
    #[error("its algorithm is not `EdDSA`")]
    Algorithm,
    /// It demands that an extension be understood.
    #[error("it has critical extensions")]
    CriticalExtension,
    /// Its `jwk` is not an Ed25519 public key.
    #[error("its `jwk` is not an Ed25519 public key")]
    Key,
    /// Its `jwk` gives the private key away.
    #[error("its `jwk` holds a private key")]
    PrivateKey,
    /// It was made with another key than the holder's.
    #[error("it was made with the key `{}`, not with the holder's", actual.as_str())]
    WrongHolder {
        /// Thumbprint of its key.
        actual: Thumbprint,
    },
    /// The signature is not that of its key.
    #[error("its signature does not match")]
    Signature,
    /// A claim is missing or is of another type.
    #[error("its claim `{claim}` is missing or of the wrong type")]
    Claim {
        /// Which one.
        claim: &'static str,
    },
    /// It is for another method.
    #[error("it is for another HTTP method")]
    Method,
    /// It is for another URL.
    #[error("it is for another URL")]
    Url,
    /// The host gave no usable URL of the request.
    #[error("the URL of the request cannot be compared")]
    RequestUrl,
    /// It was made too long before now, or after it.
    #[error("it was made at {issued_at}, more than 60 seconds from now, {now}")]
    Stale {
        /// When it was made.
        issued_at: Timestamp,
        /// The time of the decision.
        now: Timestamp,
    },
    /// Its own `exp` is past or its `nbf` is to come.
    #[error("it is outside its own period of validity")]
    Period,
    /// It is for another token.
    #[error("it is for another token")]
    Token,
    /// It is for another tool or other arguments.
    #[error("it is for another call")]
    Call,
    /// No proof can name the call, whose numbers have no exact form.
    #[error("the call has no canonical form")]
    NoCanonicalCall,
}

/// Checks proofs and remembers those that were used.
#[derive(Debug)]
pub struct ProofVerifier {
    seen: Mutex<ReplayCache>,
}

impl ProofVerifier {
    /// A verifier that remembers up to `replay_capacity` proofs at once, and of each holder and each
    /// session a [`DEFAULT_SHARE_PART`]th of them, at least one.
    #[must_use]
    pub fn new(replay_capacity: usize) -> Self {
        let share = (replay_capacity / DEFAULT_SHARE_PART).max(1);
        Self::with_share(replay_capacity, share)
    }

    /// As [`ProofVerifier::new`], with another bound for each holder and each session.
    #[must_use]
    pub fn with_share(replay_capacity: usize, share: usize) -> Self {
        Self {
            seen: Mutex::new(ReplayCache::new(replay_capacity, share)),
        }
    }

    /// A verifier for a batch of decisions, whose moments may come in any order: it forgets no
    /// proof, so its memory grows with the batch, up to `replay_capacity`, and knows no shares.
    #[must_use]
    pub fn for_batch(replay_capacity: usize) -> Self {
        Self {
            seen: Mutex::new(ReplayCache::forgetting_nothing(replay_capacity)),
        }
    }

    /// Checks that `proof` was made by the holder, for this request, token and call, now, and
    /// uses it up.
    ///
    /// Proves nothing about the token. Every proof is good once, also for a call that is then
    /// refused for another reason.
    ///
    /// # Errors
    ///
    /// [`HolderError`]; [`HolderError::TooManyProofs`] and [`HolderError::ShareUsedUp`] when the
    /// memory is full of proofs that could still be replayed, for forgetting one of them would let
    /// it pass twice.
    pub fn verify(
        &self,
        proof: Option<&HolderProof>,
        demand: &ProofDemand<'_>,
        now: Now,
    ) -> Result<(), HolderError> {
        let proof = proof.ok_or(HolderError::Missing)?;
        let used = check(proof, demand, now.utc)?;
        // Each change to the cache is whole before the next statement that could panic.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.remember(&used, now.utc) {
            Replay::First => Ok(()),
            Replay::Again => Err(HolderError::Replayed),
            Replay::Forgotten => Err(InvalidProof::Stale {
                issued_at: used.issued_at,
                now: now.utc,
            }
            .into()),
            Replay::Full { capacity } => Err(HolderError::TooManyProofs { capacity }),
            Replay::ShareFull { share } => Err(HolderError::ShareUsedUp { share }),
        }
    }
}

impl Default for ProofVerifier {
    fn default() -> Self {
        Self::new(DEFAULT_REPLAY_CAPACITY)
    }
}

/// A proof that passed every check but the one against replay.
#[derive(Clone, Copy, Debug)]
struct UsedProof {
    /// SHA-256 of the holder's thumbprint and the `jti`.
    id: [u8; 32],
    /// The holder and the session.
    owners: [Owner; 2],
    issued_at: Timestamp,
}

/// RFC 9449 section 4.3, in its order, with profile rule 24. The call comes last: its digest is the
/// one thing here that costs more for a larger request.
fn check(
    proof: &HolderProof,
    demand: &ProofDemand<'_>,
    now: Timestamp,
) -> Result<UsedProof, InvalidProof> {
    let jwt = Proof::parse(&proof.dpop)?;
    if jwt.thumbprint() != *demand.holder {
        return Err(InvalidProof::WrongHolder {
            actual: jwt.thumbprint(),
        });
    }
    let claims = jwt.verify()?;
    if claims.method != proof.method {
        return Err(InvalidProof::Method);
    }
    let requested = Target::parse(&proof.url).ok_or(InvalidProof::RequestUrl)?;
    if Target::parse(&claims.url) != Some(requested) {
        return Err(InvalidProof::Url);
    }
    if claims.issued_at.unix().abs_diff(now.unix()) > MAX_PROOF_AGE_SECONDS {
        return Err(InvalidProof::Stale {
            issued_at: claims.issued_at,
            now,
        });
    }
    if claims.expires_at.is_some_and(|at| at <= now) || claims.not_before.is_some_and(|at| at > now)
    {
        return Err(InvalidProof::Period);
    }
    if claims.token_hash != token_hash(demand.token_text) {
        return Err(InvalidProof::Token);
    }
    let call_digest = (demand.call_digest)().ok_or(InvalidProof::NoCanonicalCall)?;
    if claims.call_hash != URL_SAFE_NO_PAD.encode(call_digest) {
        return Err(InvalidProof::Call);
    }
    Ok(UsedProof {
        // A thumbprint always has 43 characters, so the two parts cannot run together.
        id: Sha256::new()
            .chain_update(demand.holder.as_str())
            .chain_update(&claims.id)
            .finalize()
            .into(),
        owners: [
            owner("holder", demand.holder.as_str()),
            owner("session", demand.session),
        ],
        issued_at: claims.issued_at,
    })
}

fn owner(kind: &str, name: &str) -> Owner {
    let hash = Sha256::new().chain_update(kind).chain_update([0]);
    let hash = hash.chain_update(name).finalize();
    let mut owner = Owner::default();
    owner.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    owner
}

/// `ath`: base64url of the SHA-256 of the token's text (RFC 9449 section 4.1).
fn token_hash(token_text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token_text))
}

impl fmt::Debug for ProofDemand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofDemand")
            .field("holder", &self.holder)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HolderProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderProof")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
