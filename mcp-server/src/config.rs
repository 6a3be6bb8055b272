//! What a gateway is opened with, and why it may not open.

use std::{collections::BTreeSet, fmt, io, path::PathBuf, sync::Arc, time::Duration};

use bailiwick_datalog::operator::OperatorPolicy;
use bailiwick_verifier::{Clock, Evaluation, TrustAnchor, revocation::StoreError};
use thiserror::Error;
use url::Url;

use crate::{
    audit::AuditOpenError, catalogue::CatalogueError, issuer::trust::TrustStoreError,
    ledger::LedgerOpenError, surface::SurfaceError,
};

/// What a gateway needs to know. Nothing here has a silent default: the binary owns those.
#[derive(Clone)]
pub struct GatewayConfig {
    /// Private directory for state: `gateway/` and `audit/` are made in it.
    pub data_dir: PathBuf,
    /// The gateway's own URL, scheme, host and port only. Its audience is `/mcp` below it.
    pub public_url: Url,
    /// The issuer's URL, scheme, host and port only: keys and revocations come from there.
    pub issuer_url: Url,
    /// The key that vouches for the issuer's key set.
    pub trust_anchor: TrustAnchor,
    /// The sandbox directory of the `files` tools. It must exist, and must not hold `data_dir`.
    pub files_root: PathBuf,
    /// How old the revocation list may be before every call is refused.
    pub max_staleness: Duration,
    /// How tokens are evaluated.
    pub evaluation: Evaluation,
    /// What the operator refuses, whatever a token grants.
    pub policy: Option<Arc<OperatorPolicy>>,
    /// Applications whose interactive clients ask for more by themselves: what their tokens do not
    /// allow is answered with HTTP 403 and the scope that is missing, not in a tool result.
    pub step_up: BTreeSet<String>,
    /// The secret with which decisions are reported to the issuer; none are without it.
    pub gateway_token: Option<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("data_dir", &self.data_dir)
            .field("public_url", &self.public_url.as_str())
            .field("issuer_url", &self.issuer_url.as_str())
            .field("trust_anchor", &self.trust_anchor)
            .field("files_root", &self.files_root)
            .field("max_staleness", &self.max_staleness)
            .field("evaluation", &self.evaluation)
            .field("policy", &self.policy.is_some())
            .field("step_up", &self.step_up)
            .field(
                "gateway_token",
                &self.gateway_token.as_ref().map(|_| "[secret]"),
            )
            .finish_non_exhaustive()
    }
}

/// Why a gateway does not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A URL in the configuration cannot be used.
    #[error(transparent)]
    Url(#[from] SurfaceError),
    /// A directory cannot be used.
    #[error("the directory `{path}` cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The sandbox would show the gateway's own state to agents.
    #[error(
        "the sandbox `{files_root}` holds the data directory `{data_dir}`, which agents must not \
         reach; choose a directory of their own for them"
    )]
    StateInSandbox {
        /// The sandbox.
        files_root: PathBuf,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The stored key set is damaged or another issuer's.
    #[error("the stored key set cannot be used")]
    Trust(#[from] TrustStoreError),
    /// The stored revocation list cannot be used; serving without it could accept what was
    /// revoked.
    #[error("the stored revocation list cannot be used")]
    Revocations(#[from] StoreError),
    /// The audit record cannot be continued.
    #[error("the audit record cannot be continued")]
    Audit(#[from] AuditOpenError),
    /// The ledger of exact calls cannot be continued: what was made once could be made again.
    #[error(transparent)]
    Ledger(#[from] LedgerOpenError),
    /// The catalogue does not hold together.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The built-in policy does not hold together.
    #[error("the built-in policy cannot be used: {0}")]
    Policy(String),
    /// The TLS configuration of the system cannot be loaded.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}
