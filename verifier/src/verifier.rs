//! The decision, in one visible order, cheapest first.
//!
//! A token is read ([`UnverifiedToken`]), verified (signatures, shape, time, audience, revocation,
//! depth) and only then compared with the call. A stranger without a good signature learns nothing
//! of keys, blocks or grants from the order.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bailiwick_datalog::{
    Audience, Call, Caveat, Chain, Request, ResourcePath, Timestamp,
    call::{MAX_RESOURCES, canonical_call_digest},
    limits::{MAX_ARGUMENTS, MAX_LIST_COMPARISONS},
    reference::{Policy, Refusal},
};
use biscuit_auth::{Algorithm, Biscuit, PublicKey, error};

use crate::{
    clock::Now,
    denied::Denied,
    holder::{HolderError, HolderProof, ProofDemand, ProofVerifier},
    keys::KeySet,
    permit::Permit,
    revocation::{RevocationStatus, RevocationView},
    signed::PublicKeyHex,
    token::{UnverifiedToken, VerifiedToken},
};

/// How far ahead of this host's clock an issuer's may be (profile rule 4).
pub const ISSUED_AT_LEEWAY: Duration = Duration::from_secs(30);

/// What a verifier decides with.
pub struct VerifierConfig {
    /// The one server it guards.
    pub audience: Audience,
    /// Keys that may have minted tokens.
    pub keys: Arc<KeySet>,
    /// What was revoked.
    pub revocations: Arc<dyn RevocationView>,
}

/// Decides offline whether a token allows a call.
pub struct Verifier {
    audience: Audience,
    keys: ArcSwap<KeySet>,
    revocations: Arc<dyn RevocationView>,
    proofs: Arc<ProofVerifier>,
    policy: Policy,
}

impl Verifier {
    /// Builds a verifier.
    ///
    /// # Errors
    /// The library's message if the built-in policy does not parse; a test holds that it does.
    pub fn new(config: VerifierConfig) -> Result<Self, String> {
        Ok(Self {
            audience: config.audience,
            keys: ArcSwap::new(config.keys),
            revocations: config.revocations,
            proofs: Arc::default(),
            policy: Policy::load()?,
        })
    }

    /// Remembers used holder proofs in `proofs`, which may be shared: a proof that one verifier has
    /// seen is then a replay at all of them.
    #[must_use]
    pub fn sharing_proofs(self, proofs: Arc<ProofVerifier>) -> Self {
        Self { proofs, ..self }
    }

    /// The audience this verifier guards.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Puts another key set in force for all later decisions.
    pub fn replace_keys(&self, keys: Arc<KeySet>) {
        self.keys.store(keys);
    }

    /// Verifies all that does not depend on a call: signatures, the shape of every block, time,
    /// audience, revocation and depth. Does not check holder proofs or grants.
    ///
    /// # Errors
    /// [`Denied`], never [`Denied::ToolNotGranted`] and the other reasons about a call.
    pub fn verify(&self, token: &UnverifiedToken, now: Now) -> Result<VerifiedToken, Denied> {
        let (biscuit, key) = self.check_signatures(token)?;
        let chain = token.encoded.check_shape()?;
        let expires_at = check_time(&chain, now.utc)?;
        self.check_audience(&chain)?;
        self.check_revocation(&chain, now.monotonic)?;
        check_depth(&chain)?;
        Ok(VerifiedToken {
            biscuit,
            key,
            text: token.text.clone(),
            chain,
            expires_at,
        })
    }

    /// Decides on one call that carries no holder proof: a token bound to a key is refused.
    ///
    /// # Errors
    /// [`Denied`]; only a [`Permit`] allows.
    pub fn authorize(
        &self,
        token: &UnverifiedToken,
        call: &Call,
        now: Now,
    ) -> Result<Permit, Denied> {
        self.authorize_with_proof(token, call, None, now)
    }

    /// Decides on one call, with the holder proof it carries, if any. A proof is used up even if
    /// the call is then refused; one that the token does not demand is not looked at.
    ///
    /// # Errors
    /// [`Denied`]; only a [`Permit`] allows.
    pub fn authorize_with_proof(
        &self,
        token: &UnverifiedToken,
        call: &Call,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<Permit, Denied> {
        let verified = self.verify(token, now)?;
        self.check_holder(&verified, call, proof, now)?;
        self.decide(&verified, call, now)
    }

    /// Decides on one more call by a token verified before: everything that can change since (the
    /// key set, time, revocation) is checked again, the signatures and shape are not. A token bound
    /// to a key needs a proof for each of its calls.
    ///
    /// # Errors
    /// [`Denied`]; only a [`Permit`] allows.
    pub fn authorize_verified(
        &self,
        token: &VerifiedToken,
        call: &Call,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<Permit, Denied> {
        if self.keys.load().get(token.chain.root_key_id()) != Some(&token.key) {
            return Err(Denied::UnknownKey {
                id: Some(token.chain.root_key_id()),
            });
        }
        check_time(&token.chain, now.utc)?;
        self.check_audience(&token.chain)?;
        self.check_revocation(&token.chain, now.monotonic)?;
        self.check_holder(token, call, proof, now)?;
        self.decide(token, call, now)
    }

    /// Grants and conditions, on a token that is verified and whose holder is proven.
    fn decide(&self, token: &VerifiedToken, call: &Call, now: Now) -> Result<Permit, Denied> {
        check_bounds(&token.chain, call)?;
        let grant_ids = check_grants(&token.chain, call)?;
        for resource in &call.resources {
            let request = Request {
                time: now.utc,
                audience: &self.audience,
                depth: token.chain.depth(),
                call,
                resource,
            };
            check_caveats(&token.chain, &request)?;
            self.evaluate(token, &request)?;
        }
        Ok(permit(token, call, grant_ids))
    }

    /// Answers the verified token and the key that verified it.
    fn check_signatures(&self, token: &UnverifiedToken) -> Result<(Biscuit, PublicKeyHex), Denied> {
        let id = token.encoded.root_key_id();
        let unknown = Denied::UnknownKey { id: Some(id) };
        let root = self
            .keys
            .load()
            .get(id)
            .copied()
            .ok_or_else(|| unknown.clone())?;
        let library_key =
            PublicKey::from_bytes(&root.to_bytes(), Algorithm::Ed25519).map_err(|_| unknown)?;
        match Biscuit::from(&token.bytes, library_key) {
            Ok(biscuit) => Ok((biscuit, root)),
            Err(error::Token::Format(
                error::Format::Signature(_)
                | error::Format::SealedSignature
                | error::Format::InvalidSignatureSize(_),
            )) => Err(Denied::BadSignature),
            // The library reads less than the format allows; say what the profile says of it.
            Err(_) => Err(token.encoded.check_shape().map_or_else(Denied::from, |_| {
                Denied::MalformedToken {
                    what: "the Biscuit library does not accept it".to_owned(),
                }
            })),
        }
    }

    fn check_holder(
        &self,
        token: &VerifiedToken,
        call: &Call,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<(), Denied> {
        let Some(holder) = token.chain.holder() else {
            return Ok(());
        };
        let proof = proof.ok_or(Denied::HolderProofMissing)?;
        let call_digest =
            canonical_call_digest(&call.tool, call.arguments.json()).ok_or_else(|| {
                Denied::HolderProofInvalid {
                    what: "the call has no canonical form".to_owned(),
                }
            })?;
        let demand = ProofDemand {
            holder,
            token_text: &token.text,
            call_digest: &call_digest,
        };
        self.proofs
            .verify(Some(proof), &demand, now)
            .map_err(|error| match error {
                HolderError::Missing => Denied::HolderProofMissing,
                HolderError::Invalid(problem) => Denied::HolderProofInvalid {
                    what: problem.to_string(),
                },
                HolderError::Replayed => Denied::HolderProofReplayed,
                HolderError::TooManyProofs { capacity } => Denied::LimitExceeded {
                    what: "proofs remembered".to_owned(),
                    count: capacity.saturating_add(1),
                    limit: capacity,
                },
            })
    }

    fn check_audience(&self, chain: &Chain) -> Result<(), Denied> {
        if chain.authority().audience != self.audience {
            return Err(Denied::WrongAudience { block: 0 });
        }
        match caveats(chain).find(|(_, caveat)| {
            matches!(caveat, Caveat::Audience(audience) if audience != self.audience.as_str())
        }) {
            Some((block, _)) => Err(Denied::WrongAudience { block }),
            None => Ok(()),
        }
    }

    fn check_revocation(&self, chain: &Chain, monotonic: Duration) -> Result<(), Denied> {
        let session = chain.authority().session.as_str();
        match self
            .revocations
            .check(session, chain.revocation_ids(), monotonic)
        {
            RevocationStatus::Clear => Ok(()),
            RevocationStatus::Revoked { block } => Err(Denied::Revoked { block }),
            RevocationStatus::Stale { age } => Err(Denied::RevocationStale { age }),
        }
    }

    /// The meaning of the decision: the token's own Datalog under the policy. The typed checks
    /// before it only find the reason, and are never more generous.
    fn evaluate(&self, token: &VerifiedToken, request: &Request<'_>) -> Result<(), Denied> {
        self.policy
            .evaluate(&token.biscuit, request)
            .map_err(|refusal| match refusal {
                Refusal::NoGrant => resource_not_granted(request.call, request.resource),
                Refusal::FailedCheck => Denied::PolicyDenied {
                    what: "a check of the token failed".to_owned(),
                },
                Refusal::Error(what) => Denied::PolicyDenied {
                    what: format!("the evaluation failed: {what}"),
                },
            })
    }
}

/// The caveats of later blocks, each with its block's number.
fn caveats(chain: &Chain) -> impl Iterator<Item = (usize, &Caveat)> {
    chain
        .blocks()
        .iter()
        .enumerate()
        .flat_map(|(index, block)| {
            block
                .content
                .caveats
                .iter()
                .map(move |caveat| (index.saturating_add(1), caveat))
        })
}

/// The authority block's bounds and every later expiry; answers the earliest end.
fn check_time(chain: &Chain, now: Timestamp) -> Result<Timestamp, Denied> {
    let authority = chain.authority();
    let mut earliest = (authority.expires_at, 0);
    for (block, caveat) in caveats(chain) {
        if let Caveat::Expiry { at, inclusive } = caveat {
            let end = if *inclusive {
                Timestamp::from_unix(at.unix().saturating_add(1))
            } else {
                *at
            };
            earliest = earliest.min((end, block));
        }
    }
    let (expires_at, block) = earliest;
    if now >= expires_at {
        return Err(Denied::Expired {
            now,
            expires_at,
            block,
        });
    }
    let latest_start = now.checked_add(ISSUED_AT_LEEWAY).unwrap_or(now);
    if authority.issued_at > latest_start {
        return Err(Denied::NotYetValid {
            now,
            issued_at: authority.issued_at,
        });
    }
    Ok(expires_at)
}

fn check_depth(chain: &Chain) -> Result<(), Denied> {
    let depth = chain.depth();
    let bounds = caveats(chain).filter_map(|(block, caveat)| match caveat {
        Caveat::Depth(most) => Some((block, *most)),
        _ => None,
    });
    std::iter::once((0, i64::from(chain.authority().max_depth)))
        .chain(bounds)
        .find(|(_, most)| i64::try_from(depth).map_or(true, |depth| depth > *most))
        .map_or(Ok(()), |(block, most)| {
            Err(Denied::DepthExceeded { depth, most, block })
        })
}

/// Bounds on what the call asks of the evaluation, counted before it runs.
fn check_bounds(chain: &Chain, call: &Call) -> Result<(), Denied> {
    let limits = chain.authority().limits.iter().map(|limit| &limit.caveat);
    let comparisons = limits
        .chain(caveats(chain).map(|(_, caveat)| caveat))
        .map(|caveat| caveat.comparisons(call))
        .fold(0_usize, usize::saturating_add);
    let bounds = [
        ("resources of one call", call.resources.len(), MAX_RESOURCES),
        ("arguments of one call", call.arguments.len(), MAX_ARGUMENTS),
        (
            "comparisons of list items",
            comparisons,
            MAX_LIST_COMPARISONS,
        ),
    ];
    bounds
        .into_iter()
        .find(|(_, count, limit)| count > limit)
        .map_or(Ok(()), |(what, count, limit)| {
            Err(Denied::LimitExceeded {
                what: what.to_owned(),
                count,
                limit,
            })
        })
}

/// One grant for each resource, tool, access and path from the same grant (profile rules 6, 7).
fn check_grants(chain: &Chain, call: &Call) -> Result<Vec<String>, Denied> {
    let grants = || {
        let granted = &chain.authority().grants;
        granted
            .iter()
            .filter(|grant| grant.tool == call.tool && grant.access == call.access)
    };
    if grants().next().is_none() {
        return Err(Denied::tool_not_granted(&call.tool, call.access));
    }
    if call.resources.is_empty() {
        return Err(Denied::ResourceNotGranted {
            tool: call.tool.as_str().to_owned(),
            resource: "no resource".to_owned(),
        });
    }
    call.resources
        .iter()
        .map(|resource| {
            grants()
                .find(|grant| resource.is_under(&grant.path))
                .map(|grant| grant.id.clone())
                .ok_or_else(|| resource_not_granted(call, resource))
        })
        .collect()
}

fn resource_not_granted(call: &Call, resource: &ResourcePath) -> Denied {
    Denied::ResourceNotGranted {
        tool: call.tool.as_str().to_owned(),
        resource: bailiwick_datalog::words::visible(&resource.to_string()),
    }
}

/// Finds the first condition that fails, in the order of the blocks.
fn check_caveats(chain: &Chain, request: &Request<'_>) -> Result<(), Denied> {
    let failed = |block: usize, delegate: Option<&str>, caveat: &Caveat| Denied::CaveatFailed {
        block,
        delegate: delegate.map(str::to_owned),
        condition: caveat.in_words(),
    };
    let mut limits = chain.authority().limits.iter();
    if let Some(limit) =
        limits.find(|limit| limit.tool == request.call.tool && !limit.caveat.holds(request))
    {
        return Err(failed(0, None, &limit.caveat));
    }
    for (index, block) in chain.blocks().iter().enumerate() {
        let delegate = block.content.delegate.as_ref().map(|name| name.as_str());
        if let Some(caveat) = block
            .content
            .caveats
            .iter()
            .find(|caveat| !caveat.holds(request))
        {
            return Err(failed(index.saturating_add(1), delegate, caveat));
        }
    }
    Ok(())
}

fn permit(token: &VerifiedToken, call: &Call, grant_ids: Vec<String>) -> Permit {
    let authority = token.chain.authority();
    let ids = token.chain.revocation_ids();
    Permit {
        call: call.clone(),
        session: authority.session.as_str().to_owned(),
        approval: authority.approval.as_str().to_owned(),
        application: authority.application.as_str().to_owned(),
        principal: authority.principal.as_str().to_owned(),
        agent: authority.agent.as_str().to_owned(),
        delegates: token.chain.delegates().map(str::to_owned).collect(),
        grant_ids,
        expires_at: token.expires_at,
        token_id: *ids
            .last()
            .unwrap_or(&bailiwick_datalog::RevocationId::from_bytes([0; 64])),
    }
}
