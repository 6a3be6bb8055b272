//! What sessions did, as the gateways report it.

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{Store, StoreError, damaged, from_db, to_db, usage};

/// Most decisions shown for one session, newest first.
const MAX_LISTED: i64 = 200;

/// One decision of a gateway on one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallDecision {
    /// Unique; a report sent twice counts once.
    pub(crate) id: String,
    pub(crate) session: String,
    pub(crate) time: Timestamp,
    pub(crate) tool: String,
    pub(crate) access: Option<String>,
    pub(crate) resources: Vec<String>,
    /// The sub-agents the token passed through.
    pub(crate) delegates: Vec<String>,
    pub(crate) allowed: bool,
    /// Why it was refused.
    pub(crate) code: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    session_id: String,
    decided_at: i64,
    tool: String,
    access: Option<String>,
    resources: String,
    delegates: String,
    decision: String,
    code: Option<String>,
}

impl TryFrom<Row> for CallDecision {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            session: row.session_id,
            time: from_db(row.decided_at)?,
            tool: row.tool,
            access: row.access,
            resources: serde_json::from_str(&row.resources).map_err(damaged)?,
            delegates: serde_json::from_str(&row.delegates).map_err(damaged)?,
            allowed: row.decision == "allow",
            code: row.code,
        })
    }
}

impl Store {
    /// Stores reports; those seen before are left as they are. All or none.
    pub(crate) async fn record_calls(&self, calls: &[CallDecision]) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        for call in calls {
            let delegates = serde_json::to_string(&call.delegates).map_err(damaged)?;
            let stored = sqlx::query(
                "INSERT INTO call_decisions (id, session_id, decided_at, tool, access, resources,
                     delegates, decision, code)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            )
            .bind(&call.id)
            .bind(&call.session)
            .bind(to_db(call.time))
            .bind(&call.tool)
            .bind(&call.access)
            .bind(serde_json::to_string(&call.resources).map_err(damaged)?)
            .bind(&delegates)
            .bind(if call.allowed { "allow" } else { "deny" })
            .bind(&call.code)
            .execute(&mut *change)
            .await?;
            if stored.rows_affected() == 1 {
                usage::count(&mut change, call, &delegates).await?;
            }
        }
        super::commit(change).await
    }

    /// The latest decisions on the calls of an agent in one application, newest first: at most so
    /// many, out of so many of its latest sessions.
    pub(crate) async fn last_calls_of(
        &self,
        application: &str,
        agent: &str,
        sessions: i64,
        most: i64,
    ) -> Result<Vec<CallDecision>, StoreError> {
        let latest: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM sessions WHERE agent = ? AND application_id = ?
             ORDER BY approved_at DESC, id DESC LIMIT ?",
        )
        .bind(agent)
        .bind(application)
        .bind(sessions)
        .fetch_all(&self.reader)
        .await?;
        let mut calls = Vec::new();
        for session in latest {
            // Each by its index: a session may have had any number of calls.
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT * FROM call_decisions WHERE session_id = ?
                 ORDER BY decided_at DESC, rowid DESC LIMIT ?",
            )
            .bind(session)
            .bind(most)
            .fetch_all(&self.reader)
            .await?;
            let read = rows.into_iter().map(CallDecision::try_from);
            calls.extend(read.collect::<Result<Vec<_>, _>>()?);
        }
        calls.sort_by_key(|call| std::cmp::Reverse(call.time));
        calls.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(calls)
    }

    /// The latest decisions on a session's calls, newest first.
    pub(crate) async fn calls_of(&self, session: &str) -> Result<Vec<CallDecision>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT * FROM call_decisions WHERE session_id = ?
             ORDER BY decided_at DESC, rowid DESC LIMIT ?",
        )
        .bind(session)
        .bind(MAX_LISTED)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(CallDecision::try_from).collect()
    }
}
