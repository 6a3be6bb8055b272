//! Signing: an approved grant becomes a token.
//!
//! The only place that uses the mint key. A token leaves only after the public verifier, the
//! one every gateway uses, has accepted it and read back exactly the authority meant.

use std::{sync::Arc, time::Duration};

use bailiwick_datalog::{
    ApprovalId, Audience, Authority, Grant, NameError, Principal, RevocationId, SessionId,
    Timestamp, ToolLimit, token_text,
};
use bailiwick_verifier::{
    KeySet, Now, RevocationStatus, RevocationView, UnverifiedToken, VerifiedToken, Verifier,
    VerifierConfig, signed::PublicKeyHex,
};
use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use ed25519_dalek::SigningKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    access_request::{AccessRequest, Application, ToolScope},
    entropy::Entropy,
    keys::MINT_KEY_ID,
    people::MAX_USER_NAME_BYTES,
    store::StoredSession,
};

/// Largest token minted, in bytes. Verifiers take 16 KiB (profile, rule 22); the rest is room
/// for holders to narrow.
const MAX_MINTED_BYTES: usize = 12 * 1024;

/// Why no token was minted.
#[derive(Debug, Error)]
pub(crate) enum MintError {
    /// The grant has no form in the token profile.
    #[error("the grant has no form in the token profile: {0}")]
    Profile(String),
    /// The token would leave no room for narrowing.
    #[error("the token would have {length} bytes, more than {MAX_MINTED_BYTES}")]
    TooLarge {
        /// Its size.
        length: usize,
    },
    /// The library failed to sign.
    #[error("signing failed: {0}")]
    Signing(String),
    /// The verifier refused the fresh token, or read another authority from it.
    #[error("the fresh token does not verify: {0}")]
    NotVerified(String),
}

/// A token that verified. Its text is never shown by `Debug`.
pub(crate) struct FreshToken {
    text: Zeroizing<String>,
    revocation_id: RevocationId,
}

impl FreshToken {
    /// The text for the reply.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// The id under which the token can be revoked.
    pub(crate) fn revocation_id(&self) -> &RevocationId {
        &self.revocation_id
    }
}

impl std::fmt::Debug for FreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FreshToken")
            .field("revocation_id", &self.revocation_id)
            .finish_non_exhaustive()
    }
}

/// The mint key with the verifier that checks its work.
pub(crate) struct Mint {
    key: KeyPair,
    verifier: Verifier,
}

/// A token being minted cannot have been revoked; the store's compare-and-swap sees to the
/// session.
struct NothingRevoked;

impl RevocationView for NothingRevoked {
    fn check(&self, _: &str, _: &[RevocationId], _: Duration) -> RevocationStatus {
        RevocationStatus::Clear
    }
}

impl Mint {
    /// Prepares a mint for one audience. What it signs with `key` must verify with `key_set`.
    ///
    /// # Errors
    /// [`MintError::Signing`] when the library does not take the key.
    pub(crate) fn new(
        key: &SigningKey,
        key_set: Arc<KeySet>,
        audience: Audience,
    ) -> Result<Self, MintError> {
        let seed = Zeroizing::new(key.to_bytes());
        let private = PrivateKey::from_bytes(seed.as_slice(), Algorithm::Ed25519)
            .map_err(|e| MintError::Signing(e.to_string()))?;
        let config = VerifierConfig {
            audience,
            keys: key_set,
            revocations: Arc::new(NothingRevoked),
        };
        // Each token is verified once and handed over: nothing of it is to stay here.
        let verifier = Verifier::new(config)
            .map_err(MintError::Signing)?
            .with_cache_bytes(0);
        Ok(Self {
            key: KeyPair::from(&private),
            verifier,
        })
    }

    /// A mint whose key exists nowhere else, for [`rehearsal`]: its tokens are no authority.
    ///
    /// # Errors
    /// [`MintError::Signing`].
    pub(crate) fn for_rehearsal(entropy: &Entropy, audience: Audience) -> Result<Self, MintError> {
        let key = SigningKey::from_bytes(&Zeroizing::new(entropy.bytes::<32>()));
        let known = KeySet::from_entries([(MINT_KEY_ID, PublicKeyHex::from(&key))])
            .map_err(|e| MintError::Signing(e.to_string()))?;
        Self::new(&key, Arc::new(known), audience)
    }

    /// Signs an authority and verifies the result.
    ///
    /// # Errors
    /// [`MintError`]; no token exists then.
    pub(crate) fn sign(
        &self,
        authority: &Authority,
        now: Now,
        entropy: &Entropy,
    ) -> Result<FreshToken, MintError> {
        let builder = authority
            .to_builder()
            .map_err(|e| MintError::Profile(e.to_string()))?;
        let biscuit = entropy
            .with(|rng| {
                builder
                    .root_key_id(MINT_KEY_ID)
                    .build_with_rng(&self.key, SymbolTable::new(), rng)
            })
            .map_err(|e| MintError::Signing(e.to_string()))?;
        let bytes = Zeroizing::new(
            biscuit
                .to_vec()
                .map_err(|e| MintError::Signing(e.to_string()))?,
        );
        if bytes.len() > MAX_MINTED_BYTES {
            return Err(MintError::TooLarge {
                length: bytes.len(),
            });
        }
        let text = Zeroizing::new(token_text::encode(&bytes));
        let revocation_id = self.verify(&text, authority, now)?;
        Ok(FreshToken {
            text,
            revocation_id,
        })
    }

    /// A token that came back, if the public verifier accepts it now. What was ended since, only
    /// the store knows.
    pub(crate) fn examine(&self, text: &str, now: Now) -> Option<VerifiedToken> {
        let token = UnverifiedToken::from_text(text).ok()?;
        self.verifier.verify(&token, now).ok()
    }

    fn verify(
        &self,
        text: &str,
        authority: &Authority,
        now: Now,
    ) -> Result<RevocationId, MintError> {
        let not_verified = |why: String| MintError::NotVerified(why);
        let token =
            UnverifiedToken::from_text(text).map_err(|denied| not_verified(denied.to_string()))?;
        let verified = self
            .verifier
            .verify(&token, now)
            .map_err(|denied| not_verified(denied.to_string()))?;
        let chain = verified.chain();
        if chain.authority() != authority || !chain.blocks().is_empty() {
            return Err(not_verified(
                "it says something else than was approved".to_owned(),
            ));
        }
        match chain.revocation_ids() {
            [only] => Ok(*only),
            _ => Err(not_verified(
                "it does not have exactly one revocation id".to_owned(),
            )),
        }
    }
}

/// What the token of an approved session says.
///
/// # Errors
/// [`MintError::Profile`] when an id has no form in the profile.
pub(crate) fn authority(
    session: &StoredSession,
    application: &Application,
    issued_at: Timestamp,
) -> Result<Authority, MintError> {
    let request = &session.request.request;
    let tools: Vec<&ToolScope> = session.granted.tools.iter().collect();
    Ok(Authority {
        session: session.id.clone(),
        approval: profile(ApprovalId::parse(session.request.id.as_str()))?,
        application: request.application.clone(),
        principal: session.principal.clone(),
        agent: request.agent.clone(),
        task: request.task.clone(),
        request_digest: session.request.digest.bytes(),
        audience: request.audience.clone(),
        issued_at,
        expires_at: session.expires_at,
        max_depth: application.max_depth,
        holder: request.holder.clone(),
        grants: grants(&tools),
        limits: limits(&tools),
    })
}

/// What the token would say if `tools` of a request were approved at `now`, with ids as long
/// as real ones. It names no session, so signing it gives nobody anything.
///
/// # Errors
/// [`MintError::Profile`].
pub(crate) fn rehearsal(
    request: &AccessRequest,
    tools: &[&ToolScope],
    application: &Application,
    now: Timestamp,
) -> Result<Authority, MintError> {
    let expires_at = now
        .checked_add(request.duration)
        .ok_or_else(|| MintError::Profile("time overflows".to_owned()))?;
    Ok(Authority {
        session: profile(SessionId::parse(format!("ses_{}", "0".repeat(32))))?,
        approval: profile(ApprovalId::parse(format!("apr_{}", "0".repeat(32))))?,
        application: request.application.clone(),
        principal: profile(Principal::parse("0".repeat(MAX_USER_NAME_BYTES)))?,
        agent: request.agent.clone(),
        task: request.task.clone(),
        request_digest: [0; 32],
        audience: request.audience.clone(),
        issued_at: now,
        expires_at,
        max_depth: application.max_depth,
        holder: request.holder.clone(),
        grants: grants(tools),
        limits: limits(tools),
    })
}

fn profile<T>(parsed: Result<T, NameError>) -> Result<T, MintError> {
    parsed.map_err(|e| MintError::Profile(e.to_string()))
}

fn grants(tools: &[&ToolScope]) -> Vec<Grant> {
    let pairs = tools
        .iter()
        .flat_map(|tool| tool.resources.iter().map(move |path| (tool, path)));
    pairs
        .zip(1_u32..)
        .map(|((tool, path), number)| Grant {
            id: format!("g{number}"),
            tool: tool.name.clone(),
            access: tool.access,
            path: path.clone(),
        })
        .collect()
}

fn limits(tools: &[&ToolScope]) -> Vec<ToolLimit> {
    let pairs = tools
        .iter()
        .flat_map(|tool| tool.limits().into_iter().map(move |l| (tool, l)));
    pairs
        .map(|(tool, caveat)| ToolLimit {
            tool: tool.name.clone(),
            caveat,
        })
        .collect()
}
