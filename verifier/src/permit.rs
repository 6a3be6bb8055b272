//! The permit: what an effect demands.

use std::sync::Arc;

use bailiwick_datalog::{Authority, Call, RevocationId, Timestamp, plan::GrantIds};

use crate::{keys::MintKeyName, single_use::RecordedUse, token::Verified};

/// Proof that one call was authorized at one moment. Only [`crate::Verifier`] makes one; whatever
/// has an effect takes it, and executes the very call it holds.
#[derive(Clone)]
#[must_use = "a permit that is dropped authorized nothing"]
pub struct Permit {
    pub(crate) call: Arc<Call>,
    pub(crate) verified: Arc<Verified>,
    pub(crate) grant_ids: GrantIds,
    pub(crate) recorded_use: Option<RecordedUse>,
}

impl Permit {
    /// The call that was authorized.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &str {
        self.authority().session.as_str()
    }

    /// The approval that created the session.
    #[must_use]
    pub fn approval(&self) -> &str {
        self.authority().approval.as_str()
    }

    /// The application.
    #[must_use]
    pub fn application(&self) -> &str {
        self.authority().application.as_str()
    }

    /// The human on whose behalf.
    #[must_use]
    pub fn principal(&self) -> &str {
        self.authority().principal.as_str()
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.authority().agent.as_str()
    }

    /// Sub-agents the token passed through, in order, as it names them.
    pub fn delegates(&self) -> impl Iterator<Item = &str> {
        self.verified.plan.chain().delegates()
    }

    /// For each resource of the call, the grant that covers it.
    #[must_use]
    pub fn grant_ids(&self) -> &[String] {
        &self.grant_ids
    }

    /// The counted use that this permit is for, where the call was approved with its arguments. It
    /// is on record already.
    #[must_use]
    pub fn recorded_use(&self) -> Option<&RecordedUse> {
        self.recorded_use.as_ref()
    }

    pub(crate) fn with_use(self, recorded: RecordedUse) -> Self {
        let recorded_use = Some(recorded);
        Self {
            recorded_use,
            ..self
        }
    }

    /// When the session was issued and when it ends, whatever later blocks say.
    pub(crate) fn session_span(&self) -> (Timestamp, Timestamp) {
        (self.authority().issued_at, self.authority().expires_at)
    }

    /// When the access ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.verified.plan.expires_at()
    }

    /// Revocation id of the token's last block: names this very token among its relatives.
    #[must_use]
    pub fn token_id(&self) -> RevocationId {
        let ids = self.verified.plan.chain().revocation_ids();
        // INVARIANT of chains: there is an id for each block, and an authority block.
        ids.last()
            .copied()
            .unwrap_or_else(|| RevocationId::from_bytes([0; 64]))
    }

    /// The mint key whose signature was verified.
    #[must_use]
    pub fn key(&self) -> MintKeyName {
        self.verified.key_name()
    }

    fn authority(&self) -> &Authority {
        self.verified.plan.chain().authority()
    }
}

/// Shows ids and names, never arguments: a permit may reach a log, a body may not.
impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit")
            .field("session", &self.session())
            .field("tool", &self.call.tool)
            .field("resources", &self.call.resources)
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
