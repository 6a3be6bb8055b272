//! The Bailiwick issuer: the part that holds authority.
//!
//! An agent asks for named tools on named resources; a signed-in person sees exactly that,
//! narrows it, approves or denies; the agent collects a token that can do that and nothing
//! else. The laws of this crate:
//!
//! 1. **What was shown is what is minted.** A request has one canonical form and one digest;
//!    the page carries it, the approval is bound to it, the token names it.
//! 2. **An approval only narrows.** See `narrowing`.
//! 3. **One decision, one token.** Every change of state is a compare-and-swap in the store.
//! 4. **Nothing happens that is not recorded.** The audit line is durable before the change
//!    commits, and a token leaves only after both.
//! 5. **No secret is stored in clear**: device codes, cookies and set-up links as digests,
//!    passwords as argon2 hashes, tokens not at all.
//!
//! The crate owns no clock and no generator: [`IssuerConfig`] brings both. It never sees a
//! provider's credentials and never executes a tool.

mod access_request;
mod applications;
mod approval;
mod asking;
mod audit;
mod call_reports;
mod catalogue;
mod collecting;
mod config;
mod core;
mod dry_run;
mod duration_text;
mod entropy;
mod fatigue;
mod ids;
mod keys;
mod look_alike;
mod mint;
mod narrowing;
mod notify;
mod oauth;
mod open;
mod passkeys;
mod passwords;
mod people;
mod pulse;
mod refusals;
mod revocation_feed;
mod rules;
mod sealing;
mod secret;
mod store;
mod text;
mod throttle;
mod tool_pattern;
mod web;

use std::sync::Arc;

use axum::Router;
use bailiwick_verifier::TrustAnchor;

pub use crate::{
    audit::AuditLogError,
    catalogue::{CatalogueError, CatalogueFuture, CatalogueSource},
    config::{ConfigError, IssuerConfig},
    entropy::Entropy,
    keys::KeyError,
    notify::{MailSecurity, MailTarget, NotifyError, NotifyTarget, WebhookSecret, WebhookTarget},
    oauth::{
        document::{DocumentError, DocumentFuture, DocumentSource},
        spiffe::{SpiffeBundle, SpiffeDomain},
    },
    open::OpenError,
    people::provider::IdentityProvider,
};

/// An open issuer.
pub struct Issuer {
    core: Arc<core::Core>,
}

impl Issuer {
    /// Opens the issuer's state in `config.data_dir`, making it at the first start: keys,
    /// database, `operator.token` and `gateway.token`, all readable by their owner alone.
    ///
    /// Does not guard against a second process on the same directory; the host's lock does.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(config: IssuerConfig) -> Result<Self, OpenError> {
        Ok(Self {
            core: Arc::new(open::open(config).await?),
        })
    }

    /// All HTTP routes.
    pub fn router(&self) -> Router {
        web::router(Arc::clone(&self.core))
    }

    /// The one-time link that creates the first approver; `None` once there is one.
    pub fn sign_in_link(&self) -> Option<String> {
        let link = self.core.setup_link.secret()?;
        Some(
            self.core
                .settings
                .site
                .url(&format!("/setup/{}", link.expose())),
        )
    }

    /// The public key that verifiers of this issuer's tokens pin.
    pub fn trust_anchor(&self) -> TrustAnchor {
        TrustAnchor::new((&self.core.keys.anchor).into())
    }

    /// Tells approvers what waits for them until `stop`; then open pages are let go, so that the
    /// servers can end. A host runs this once, beside the router.
    pub fn spawn_notifying(
        &self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        tokio::spawn(notify::run(Arc::clone(&self.core), stop))
    }

    /// Tells approvers what is due at this moment, and returns how much of it was taken. What
    /// [`Self::spawn_notifying`] does again and again.
    ///
    /// # Errors
    /// A message when the store does not answer.
    pub async fn notify_due(&self) -> Result<usize, String> {
        self.core.deliver_due().await.map_err(|e| e.to_string())
    }

    /// Closes the store. Requests that come later are refused.
    pub async fn close(self) {
        self.core.store.close().await;
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("site", &self.core.settings.site)
            .finish_non_exhaustive()
    }
}
