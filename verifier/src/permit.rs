//! The permit: what an effect demands.

use bailiwick_datalog::{Call, RevocationId, Timestamp, plan::GrantIds};

/// Proof that one call was authorized at one moment. Only [`crate::Verifier`] makes one; whatever
/// has an effect takes it, and executes the very call it holds.
#[derive(Clone)]
#[must_use = "a permit that is dropped authorized nothing"]
pub struct Permit {
    pub(crate) call: Call,
    pub(crate) session: String,
    pub(crate) approval: String,
    pub(crate) application: String,
    pub(crate) principal: String,
    pub(crate) agent: String,
    pub(crate) delegates: Vec<String>,
    pub(crate) grant_ids: GrantIds,
    pub(crate) expires_at: Timestamp,
    pub(crate) token_id: RevocationId,
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
        &self.session
    }

    /// The approval that created the session.
    #[must_use]
    pub fn approval(&self) -> &str {
        &self.approval
    }

    /// The application.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The human on whose behalf.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Sub-agents the token passed through, in order, as it names them.
    #[must_use]
    pub fn delegates(&self) -> &[String] {
        &self.delegates
    }

    /// For each resource of the call, the grant that covers it.
    #[must_use]
    pub fn grant_ids(&self) -> &[String] {
        &self.grant_ids
    }

    /// When the access ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Revocation id of the token's last block: names this very token among its relatives.
    #[must_use]
    pub fn token_id(&self) -> RevocationId {
        self.token_id
    }
}

/// Shows ids and names, never arguments: a permit may reach a log, a body may not.
impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit")
            .field("session", &self.session)
            .field("tool", &self.call.tool)
            .field("resources", &self.call.resources)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
