//! The decision, in one visible order, cheapest first.
//!
//! A token is read ([`UnverifiedToken`]), verified (signatures, shape, time, audience, revocation,
//! depth) and only then compared with the call. A stranger without a good signature learns nothing
//! of keys, blocks or grants from the order.

use std::{borrow::Cow, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use bailiwick_datalog::{
    Audience, Call, Chain, EncodedChain, OperatorPolicy, Plan, Request,
    call::canonical_call_digest,
    operator::Steps,
    plan::Question,
    reference::{Policy, Refusal},
};
use biscuit_auth::{Algorithm, Biscuit, PublicKey, error};

use crate::{
    clock::Now,
    denied::Denied,
    holder::{HolderError, HolderProof, ProofDemand, ProofVerifier},
    keys::{KeySet, MintKeyName},
    known::{DEFAULT_CACHE_BYTES, Established, Known},
    permit::Permit,
    revocation::{RevocationStatus, RevocationView},
    signed::PublicKeyHex,
    single_use::Authorization,
    token::{UnverifiedToken, VerifiedToken, bytes_of, text_of},
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
    operator_policy: ArcSwapOption<OperatorPolicy>,
    evaluation: Evaluation,
    known: Known,
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
            operator_policy: ArcSwapOption::empty(),
            evaluation: Evaluation::default(),
            known: Known::new(DEFAULT_CACHE_BYTES),
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
        // What was verified for one way lacks what the other needs.
        self.known.clear();
        Self { evaluation, ..self }
    }

    /// Puts an operator policy in force: a call that a token allows is refused unless the policy
    /// leaves it allowed too.
    #[must_use]
    pub fn with_policy(self, policy: Arc<OperatorPolicy>) -> Self {
        self.replace_policy(Some(policy));
        self
    }

    /// Remembers at most so many bytes of verified tokens instead of [`DEFAULT_CACHE_BYTES`];
    /// none with 0.
    #[must_use]
    pub fn with_cache_bytes(self, bytes: usize) -> Self {
        let known = Known::new(bytes);
        Self { known, ..self }
    }

    /// The audience this verifier guards.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Puts another key set in force for all later decisions. Forgets every token that was
    /// verified, unless the keys are the same.
    pub fn replace_keys(&self, keys: Arc<KeySet>) {
        let before = self.keys.swap(Arc::clone(&keys));
        if before != keys {
            self.known.clear();
        }
    }

    /// The key that verifies tokens which name this root key id, if there is one now.
    #[must_use]
    pub fn key_with_id(&self, id: u32) -> Option<MintKeyName> {
        let keys = self.keys.load();
        keys.get(id).map(|public| MintKeyName::new(id, *public))
    }

    /// Puts another operator policy, or none, in force for all later decisions. What was verified
    /// stays known: nothing that is remembered of a token depends on the policy.
    pub fn replace_policy(&self, policy: Option<Arc<OperatorPolicy>>) {
        self.operator_policy.store(policy);
    }

    /// The operator policy in force.
    #[must_use]
    pub fn operator_policy(&self) -> Option<Arc<OperatorPolicy>> {
        self.operator_policy.load_full()
    }

    /// Verifies all that does not depend on a call: signatures, the shape of every block, time,
    /// audience, revocation and depth. Does not check holder proofs or grants, and does not ask the
    /// operator policy, which is about calls.
    ///
    /// # Errors
    /// [`Denied`], never [`Denied::ToolNotGranted`] and the other reasons about a call.
    pub fn verify(&self, token: &UnverifiedToken, now: Now) -> Result<VerifiedToken, Denied> {
        self.admit(&Presented::Read(token), now)
    }

    /// As [`Verifier::verify`], from the value of an `Authorization` header. A token that is known
    /// is not even decoded.
    ///
    /// # Errors
    /// As [`UnverifiedToken::from_authorization_header`] and [`Verifier::verify`].
    pub fn verify_header(&self, header: &[u8], now: Now) -> Result<VerifiedToken, Denied> {
        self.admit(&Presented::Text(text_of(header)?), now)
    }

    /// Decides on one call that carries no holder proof: a token bound to a key is refused, and so
    /// is a call that may be made a counted number of times ([`Verifier::authorization_with_proof`]).
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
        self.authorization_with_proof(token, call, proof, now)?
            .without_record()
    }

    /// As [`Verifier::authorize_with_proof`], for hosts that keep count of exact calls.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn authorization_with_proof(
        &self,
        token: &UnverifiedToken,
        call: &Call,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<Authorization, Denied> {
        let verified = self.verify(token, now)?;
        self.check_holder(&verified, call, proof, now)?;
        self.decide(&verified, call, now, || Arc::new(call.clone()))
    }

    /// As [`Verifier::authorize_with_proof`], from the value of an `Authorization` header and a
    /// call that the permit is to share. For a known token without a holder and a call on one
    /// resource, nothing is allocated.
    ///
    /// # Errors
    /// As [`UnverifiedToken::from_authorization_header`] and [`Verifier::authorize_with_proof`].
    pub fn authorize_header(
        &self,
        header: &[u8],
        call: &Arc<Call>,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<Permit, Denied> {
        self.authorization_header(header, call, proof, now)?
            .without_record()
    }

    /// As [`Verifier::authorize_header`], for hosts that keep count of exact calls.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn authorization_header(
        &self,
        header: &[u8],
        call: &Arc<Call>,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<Authorization, Denied> {
        let verified = self.verify_header(header, now)?;
        self.check_holder(&verified, call, proof, now)?;
        self.decide(&verified, call, now, || Arc::clone(call))
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
        self.authorization_verified(token, call, proof, now)?
            .without_record()
    }

    /// As [`Verifier::authorize_verified`], for hosts that keep count of exact calls.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn authorization_verified(
        &self,
        token: &VerifiedToken,
        call: &Call,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<Authorization, Denied> {
        if !token.verified.is_by_a_key_of(&self.keys.load()) {
            let id = Some(token.chain().root_key_id());
            return Err(Denied::UnknownKey { id });
        }
        self.check_standing(&token.verified.plan, now)?;
        self.check_holder(token, call, proof, now)?;
        self.decide(token, call, now, || Arc::new(call.clone()))
    }

    /// From bytes to a token whose standing is checked, by the shortest way: known, or one block
    /// more than what is known, or read and verified whole.
    fn admit(&self, presented: &Presented<'_>, now: Now) -> Result<VerifiedToken, Denied> {
        let keys = self.keys.load();
        let text = presented.text();
        if let Some(token) = self.known.token(text, &keys, now.utc) {
            self.check_standing(&token.verified.plan, now)?;
            return Ok(token);
        }
        let bytes = presented.bytes()?;
        let descendant = match self.evaluation {
            Evaluation::Compiled => self.known.descendant(&bytes, &keys, now.utc),
            // The engine needs the library's reading of the whole token.
            Evaluation::Reference => None,
        };
        let established = match descendant {
            Some(established) => established,
            None => self.establish(presented, &bytes, &keys)?,
        };
        self.check_standing(&established.verified.plan, now)?;
        let token = VerifiedToken {
            text: presented.shared_text(),
            verified: Arc::new(established.verified),
        };
        let (known, roots) = (&self.known, established.roots);
        known.remember(&token, &bytes, roots, now.utc);
        Ok(token)
    }

    /// Reads and verifies a whole token.
    fn establish(
        &self,
        presented: &Presented<'_>,
        bytes: &[u8],
        keys: &KeySet,
    ) -> Result<Established, Denied> {
        let chain = presented.chain(bytes)?;
        let id = chain.root_key_id();
        let root = *keys.get(id).ok_or(Denied::UnknownKey { id: Some(id) })?;
        let mut established = Established::whole(&chain, root)?;
        if !established.verified.is_by_a_key_of(keys) {
            return Err(Denied::UnknownKey { id: Some(id) });
        }
        if self.evaluation == Evaluation::Reference {
            established.verified.biscuit = Some(read_for_the_engine(bytes, &root)?);
        }
        Ok(established)
    }

    /// What may change between two calls by one token: time, audience, revocation, depth.
    fn check_standing(&self, plan: &Plan, now: Now) -> Result<(), Denied> {
        plan.check_time(now.utc)?;
        plan.check_audience(&self.audience)?;
        self.check_revocation(plan.chain(), now.monotonic)?;
        Ok(plan.check_depth()?)
    }

    /// Grants and conditions, then the operator policy, on a token that is verified and whose
    /// holder is proven.
    fn decide(
        &self,
        token: &VerifiedToken,
        call: &Call,
        now: Now,
        shared: impl FnOnce() -> Arc<Call>,
    ) -> Result<Authorization, Denied> {
        let allowed = token.verified.plan.decide(&Question {
            time: now.utc,
            audience: &self.audience,
            call,
        })?;
        if self.evaluation == Evaluation::Reference {
            self.evaluate(token, call, now)?;
        }
        if let Some(policy) = &*self.operator_policy.load() {
            self.ask_operator(policy, token, call, now)?;
        }
        let permit = Permit {
            call: shared(),
            verified: Arc::clone(&token.verified),
            grant_ids: allowed.grant_ids,
            recorded_use: None,
        };
        Ok(Authorization::of(permit, allowed.exact_use))
    }

    /// The operator policy, on each resource of a call that the token allows, within one budget.
    fn ask_operator(
        &self,
        policy: &OperatorPolicy,
        token: &VerifiedToken,
        call: &Call,
        now: Now,
    ) -> Result<(), Denied> {
        let authority = token.chain().authority();
        let mut steps = Steps::default();
        for request in self.requests(token, call, now) {
            policy.decide_within(authority, &request, &mut steps)?;
            if self.evaluation == Evaluation::Reference {
                policy.decide_by_engine(authority, &request)?;
            }
        }
        Ok(())
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
        let demand = ProofDemand {
            holder,
            session: token.session(),
            token_text: &token.text,
            call_digest: &|| canonical_call_digest(&call.tool, call.arguments.json()),
        };
        self.proofs
            .verify(Some(proof), &demand, now)
            .map_err(|error| match error {
                HolderError::Missing => Denied::HolderProofMissing,
                HolderError::Invalid(problem) => Denied::HolderProofInvalid {
                    what: problem.to_string(),
                },
                HolderError::Replayed => Denied::HolderProofReplayed,
                HolderError::TooManyProofs { capacity } => Denied::TooManyProofs {
                    what: "proofs of possession",
                    limit: capacity,
                },
                HolderError::ShareUsedUp { share } => Denied::TooManyProofs {
                    what: "proofs of possession by one holder or in one session",
                    limit: share,
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
        let biscuit = token.verified.biscuit.as_ref().ok_or_else(|| {
            denied("the token was verified for another way of evaluating".to_owned())
        })?;
        for request in self.requests(token, call, now) {
            let answer = self.policy.evaluate(biscuit, &request);
            answer.map_err(|refusal| match refusal {
                Refusal::NoGrant => Denied::resource_not_granted(&call.tool, request.resource),
                Refusal::FailedCheck => denied("a check of the token failed".to_owned()),
                Refusal::Error(what) => denied(format!("the evaluation failed: {what}")),
            })?;
        }
        Ok(())
    }

    /// A call as policies see it: one request for each of its resources.
    fn requests<'a>(
        &'a self,
        token: &VerifiedToken,
        call: &'a Call,
        now: Now,
    ) -> impl Iterator<Item = Request<'a>> {
        let (time, audience) = (now.utc, &self.audience);
        let depth = token.chain().depth();
        call.resources.iter().map(move |resource| Request {
            time,
            audience,
            depth,
            call,
            resource,
        })
    }
}

/// The token as the library reads it, for its engine.
fn read_for_the_engine(bytes: &[u8], root: &PublicKeyHex) -> Result<Biscuit, Denied> {
    PublicKey::from_bytes(&root.to_bytes(), Algorithm::Ed25519)
        .map_err(error::Token::Format)
        .and_then(|root| Biscuit::from(bytes, root))
        .map_err(|_| Denied::MalformedToken {
            what: "the Biscuit library does not accept it".to_owned(),
        })
}

/// A token as it comes to a verifier.
enum Presented<'a> {
    /// Decoded before.
    Read(&'a UnverifiedToken),
    /// Its text alone.
    Text(&'a str),
}

impl Presented<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Read(token) => &token.text,
            Self::Text(text) => text,
        }
    }

    fn shared_text(&self) -> Arc<str> {
        match self {
            Self::Read(token) => Arc::clone(&token.text),
            Self::Text(text) => Arc::from(*text),
        }
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>, Denied> {
        match self {
            Self::Read(token) => Ok(Cow::Borrowed(&token.bytes)),
            Self::Text(text) => bytes_of(text).map(Cow::Owned),
        }
    }

    fn chain(&self, bytes: &[u8]) -> Result<Cow<'_, EncodedChain>, Denied> {
        match self {
            Self::Read(token) => Ok(Cow::Borrowed(&token.encoded)),
            Self::Text(_) => Ok(Cow::Owned(EncodedChain::decode(bytes)?)),
        }
    }
}
