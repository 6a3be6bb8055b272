//! What every part of the issuer shares, and the one way in which it can be out of order.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bailiwick_datalog::{ApplicationId, Audience, Timestamp};
use bailiwick_verifier::Clock;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::Application,
    audit::{AuditLog, AuditLogError},
    catalogue::Catalogue,
    config::Site,
    entropy::Entropy,
    keys::IssuerKeys,
    mint::{Mint, MintError},
    notify::Places,
    oauth::{document::Fetches, self_registered::Registrations, spiffe::SpiffeTrust},
    passkeys::RelyingParty,
    passwords::{HashError, Passwords},
    people::identity::Identities,
    pulse::Pulse,
    refusals::{Lately, Refusals},
    secret::{Secret, SecretDigest},
    store::{self, Change, Store, StoreError},
    throttle::{SharedThrottle, Throttle},
};

/// Limits and names that do not change while the issuer runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) site: Site,
    pub(crate) audience: Audience,
    pub(crate) request_lifetime: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) quiet_after_denial: Duration,
    pub(crate) browser_idle: Duration,
    pub(crate) browser_absolute: Duration,
}

/// The issuer behind its HTTP surface. The domain functions are methods of it, each in the
/// module of its subject.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) clock: std::sync::Arc<dyn Clock>,
    pub(crate) entropy: Entropy,
    pub(crate) store: Store,
    pub(crate) audit: AuditLog,
    pub(crate) keys: IssuerKeys,
    /// The signed key set as JSON.
    pub(crate) key_set: String,
    /// The workloads that may prove who they are by SPIFFE.
    pub(crate) spiffe: Option<SpiffeTrust>,
    pub(crate) mint: Mint,
    /// A mint whose key nobody trusts: it finds out whether a request fits a token.
    pub(crate) rehearsal: Mint,
    pub(crate) catalogue: Catalogue,
    /// Reads the ids of clients that registered themselves.
    pub(crate) registrations: Registrations,
    /// Where the metadata of clients comes from whose id is a URL.
    pub(crate) documents: Fetches,
    pub(crate) passwords: Passwords,
    pub(crate) sign_in_attempts: Throttle,
    /// By the browser that signs in with a passkey.
    pub(crate) passkey_attempts: Throttle,
    pub(crate) code_attempts: Throttle,
    pub(crate) all_code_attempts: SharedThrottle,
    pub(crate) operator: SecretDigest,
    pub(crate) gateway: SecretDigest,
    pub(crate) setup_link: SetupLink,
    /// Where a provider is configured.
    pub(crate) identities: Option<Identities>,
    /// What was refused lately.
    pub(crate) refusals: Refusals,
    /// For whom the identity provider did not vouch lately.
    pub(crate) unvouched: Lately,
    /// Who is told when requests wait.
    pub(crate) places: Places,
    /// Where open pages hear of changes.
    pub(crate) pulse: Pulse,
    /// Where the issuer is reached by a host name.
    pub(crate) passkeys: Option<RelyingParty>,
}

/// The link that creates the first approver, while there is none. In memory only: the store
/// has its digest.
#[derive(Debug, Default)]
pub(crate) struct SetupLink(Mutex<Option<Secret>>);

impl SetupLink {
    pub(crate) fn new(link: Option<Secret>) -> Self {
        Self(Mutex::new(link))
    }

    pub(crate) fn secret(&self) -> Option<Secret> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The issuer cannot do now what it is asked. Whoever asks is told no more than that; the
/// cause is logged.
#[derive(Debug, Error)]
pub(crate) enum Unavailable {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event could not be recorded.
    #[error(transparent)]
    Audit(#[from] AuditLogError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A token could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// Something that cannot happen did.
    #[error("{0}")]
    Internal(String),
}

impl Core {
    /// Ends a change of state: the line is on disk before the commit, so nothing happens that
    /// is not recorded. If the commit then fails, a second line says that it did not happen.
    ///
    /// # Errors
    /// [`Unavailable`]; the change did not happen.
    pub(crate) async fn seal(
        &self,
        change: Change,
        at: Timestamp,
        event: &'static str,
        fields: Value,
    ) -> Result<(), Unavailable> {
        self.audit.record(at, event, fields.clone()).await?;
        if let Err(error) = store::commit(change).await {
            let undone = json!({"event": event, "fields": fields});
            if let Err(cause) = self.audit.record(at, "not_committed", undone).await {
                tracing::error!(%cause, event, "a failed change could not be recorded as failed");
            }
            return Err(error.into());
        }
        self.pulse.beat();
        Ok(())
    }

    /// The application with that id, which the store must know.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn application(&self, id: &ApplicationId) -> Result<Application, Unavailable> {
        let found = self.store.application(id).await?;
        found.ok_or_else(|| StoreError::Damaged(format!("no application {id}")).into())
    }
}
