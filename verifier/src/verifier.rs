//! The decision, in one visible order, cheapest first.
//!
//! A token is read ([`UnverifiedToken`]), verified (signatures, shape, time, audience, revocation,
//! depth) and only then compared with the call. A stranger without a good signature learns nothing
//! of keys, blocks or grants from the order.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bailiwick_datalog::{
    Audience, Call, Chain, EncodedChain, Plan, Request,
    call::canonical_call_digest,
    plan::{GrantIds, Question},
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
    signatures::{BadChain, Link},
    signed::PublicKeyHex,
    token::{UnverifiedToken, VerifiedToken},
};

/// What a verifier decides with.
pub struct VerifierConfig {
    /// The one server it guards.
    pub audience: Audience,
    /// Keys that may have minted tokens.
    pub keys: Arc<KeySet>,
    /// What was revoked.
    pub revocations: Arc<dyn RevocationView>,
}

/// How a verifier evaluates the conditions of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evaluation {
    /// By the token's compiled [`Plan`].
    #[default]
    Compiled,
    /// By the plan, and then by the Biscuit library's engine on the token's own Datalog: slower by
    /// far, and never of another opinion (a differential test holds that).
    Reference,
}

/// Decides offline whether a token allows a call.
pub struct Verifier {
    audience: Audience,
    keys: ArcSwap<KeySet>,
    revocations: Arc<dyn RevocationView>,
    proofs: Arc<ProofVerifier>,
    policy: Policy,
    evaluation: Evaluation,
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
            evaluation: Evaluation::default(),
        })
    }

    /// Remembers used holder proofs in `proofs`, which may be shared: a proof that one verifier has
    /// seen is then a replay at all of them.
    #[must_use]
    pub fn sharing_proofs(self, proofs: Arc<ProofVerifier>) -> Self {
        Self { proofs, ..self }
    }

    /// Evaluates in this way.
    #[must_use]
    pub fn with_evaluation(self, evaluation: Evaluation) -> Self {
        Self { evaluation, ..self }
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
        let key = self.check_signatures(token)?;
        let plan = Plan::compile(token.encoded.check_shape()?);
        self.check_standing(&plan, now)?;
        Ok(VerifiedToken {
            biscuit: self.for_the_engine(token, &key)?,
            key,
            text: token.text.clone(),
            plan: Arc::new(plan),
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
        let id = token.chain().root_key_id();
        if self.keys.load().get(id) != Some(&token.key) {
            return Err(Denied::UnknownKey { id: Some(id) });
        }
        self.check_standing(&token.plan, now)?;
        self.check_holder(token, call, proof, now)?;
        self.decide(token, call, now)
    }

    /// What may change between two calls by one token: time, audience, revocation, depth.
    fn check_standing(&self, plan: &Plan, now: Now) -> Result<(), Denied> {
        plan.check_time(now.utc)?;
        plan.check_audience(&self.audience)?;
        self.check_revocation(plan.chain(), now.monotonic)?;
        Ok(plan.check_depth()?)
    }

    /// Grants and conditions, on a token that is verified and whose holder is proven.
    fn decide(&self, token: &VerifiedToken, call: &Call, now: Now) -> Result<Permit, Denied> {
        let grant_ids = token.plan.decide(&Question {
            time: now.utc,
            audience: &self.audience,
            call,
        })?;
        if self.evaluation == Evaluation::Reference {
            self.evaluate(token, call, now)?;
        }
        Ok(permit(token, call, grant_ids))
    }

    /// Answers the key that verified the signatures.
    fn check_signatures(&self, token: &UnverifiedToken) -> Result<PublicKeyHex, Denied> {
        let chain = &token.encoded;
        let id = chain.root_key_id();
        let root = self.keys.load().get(id).copied();
        let root = root.ok_or(Denied::UnknownKey { id: Some(id) })?;
        match verify_signatures(chain, &root) {
            Ok(()) => Ok(root),
            Err(BadChain::Signature) => Err(Denied::BadSignature),
            // Say what the profile says of it, if it says anything.
            Err(BadChain::Unreadable) => {
                Err(chain
                    .check_shape()
                    .map_or_else(Denied::from, |_| Denied::MalformedToken {
                        what: "a key or signature is not one of the format".to_owned(),
                    }))
            }
        }
    }

    /// The token as the library reads it, where its engine is to evaluate.
    fn for_the_engine(
        &self,
        token: &UnverifiedToken,
        root: &PublicKeyHex,
    ) -> Result<Option<Biscuit>, Denied> {
        if self.evaluation == Evaluation::Compiled {
            return Ok(None);
        }
        PublicKey::from_bytes(&root.to_bytes(), Algorithm::Ed25519)
            .map_err(error::Token::Format)
            .and_then(|root| Biscuit::from(&token.bytes, root))
            .map(Some)
            .map_err(|_| Denied::MalformedToken {
                what: "the Biscuit library does not accept it".to_owned(),
            })
    }

    fn check_holder(
        &self,
        token: &VerifiedToken,
        call: &Call,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<(), Denied> {
        let Some(holder) = token.chain().holder() else {
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

    /// The meaning of the decision: the token's own Datalog under the policy, for each resource.
    /// The plan has allowed the call before; it is never more generous.
    fn evaluate(&self, token: &VerifiedToken, call: &Call, now: Now) -> Result<(), Denied> {
        let denied = |what: String| Denied::PolicyDenied { what };
        let biscuit = token.biscuit.as_ref().ok_or_else(|| {
            denied("the token was verified for another way of evaluating".to_owned())
        })?;
        for resource in &call.resources {
            let request = Request {
                time: now.utc,
                audience: &self.audience,
                depth: token.chain().depth(),
                call,
                resource,
            };
            let answer = self.policy.evaluate(biscuit, &request);
            answer.map_err(|refusal| match refusal {
                Refusal::NoGrant => Denied::resource_not_granted(&call.tool, resource),
                Refusal::FailedCheck => denied("a check of the token failed".to_owned()),
                Refusal::Error(what) => denied(format!("the evaluation failed: {what}")),
            })?;
        }
        Ok(())
    }
}

fn verify_signatures(chain: &EncodedChain, root: &PublicKeyHex) -> Result<(), BadChain> {
    let link = Link::root(*root.verifying_key()).verify_blocks(chain.signed_blocks())?;
    let last = chain.signed_blocks().last().ok_or(BadChain::Unreadable)?;
    link.verify_proof(chain.proof(), last)
}

fn permit(token: &VerifiedToken, call: &Call, grant_ids: GrantIds) -> Permit {
    let authority = token.chain().authority();
    let ids = token.chain().revocation_ids();
    Permit {
        call: call.clone(),
        session: authority.session.as_str().to_owned(),
        approval: authority.approval.as_str().to_owned(),
        application: authority.application.as_str().to_owned(),
        principal: authority.principal.as_str().to_owned(),
        agent: authority.agent.as_str().to_owned(),
        delegates: token.chain().delegates().map(str::to_owned).collect(),
        grant_ids,
        expires_at: token.expires_at(),
        token_id: *ids
            .last()
            .unwrap_or(&bailiwick_datalog::RevocationId::from_bytes([0; 64])),
    }
}
