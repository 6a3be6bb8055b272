//! What gateways report about the calls of sessions, for the sessions page.
//!
//! The proof of what happened is each gateway's own audit file; this is a copy for people to
//! look at.

use bailiwick_datalog::{Access, SessionId, Timestamp, strict_json};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    core::{Core, Unavailable},
    ids::fresh_id,
    store::CallDecision,
    text::visible_line,
};

/// Most reports in one batch.
const MAX_BATCH: usize = 1_000;
/// Most resources or delegates kept of one call; the gateway's audit file has all.
pub(crate) const MAX_NAMES: usize = 32;
/// Longest text kept of one name, in characters.
const MAX_NAME_CHARS: usize = 256;

/// Why a batch is refused; none of it is stored.
#[derive(Debug, Error)]
pub(crate) enum ReportError {
    /// Not the JSON expected.
    #[error("{0}")]
    Malformed(String),
    /// Too many at once.
    #[error("{found} reports in one batch, more than {MAX_BATCH}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The store does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    calls: Vec<Report>,
}

#[derive(Deserialize)]
struct Report {
    /// Unique; lets a gateway send a report again.
    id: Option<String>,
    session: SessionId,
    tool: String,
    access: Option<Access>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    delegates: Vec<String>,
    decision: Decision,
    code: Option<String>,
    at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Deny,
}

impl Core {
    /// Stores a batch of reports and says how many it held.
    ///
    /// # Errors
    /// [`ReportError`].
    pub(crate) async fn record_calls(&self, body: &[u8]) -> Result<usize, ReportError> {
        let malformed = |why: String| ReportError::Malformed(visible_line(&why));
        let value = strict_json::parse(body).map_err(|e| malformed(e.to_string()))?;
        let batch: Batch = serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?;
        let found = batch.calls.len();
        if found > MAX_BATCH {
            return Err(ReportError::TooMany { found });
        }
        let calls: Vec<CallDecision> = batch
            .calls
            .into_iter()
            .map(|report| report.into_decision(|| fresh_id("call", &self.entropy)))
            .collect();
        self.store
            .record_calls(&calls)
            .await
            .map_err(Unavailable::from)?;
        Ok(found)
    }
}

impl Report {
    fn into_decision(self, fresh: impl FnOnce() -> String) -> CallDecision {
        CallDecision {
            id: self.id.as_deref().map_or_else(fresh, short),
            session: self.session.as_str().to_owned(),
            time: self.at,
            tool: short(&self.tool),
            access: self.access.map(|access| access.as_str().to_owned()),
            resources: self
                .resources
                .iter()
                .take(MAX_NAMES)
                .map(|name| short(name))
                .collect(),
            delegates: self
                .delegates
                .iter()
                .take(MAX_NAMES)
                .map(|name| short(name))
                .collect(),
            allowed: self.decision == Decision::Allow,
            code: self.code.as_deref().map(short),
        }
    }
}

fn short(text: &str) -> String {
    visible_line(text).chars().take(MAX_NAME_CHARS).collect()
}
