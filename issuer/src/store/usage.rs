//! What the calls of sessions come to: counted when they are reported, not when somebody looks.

use std::collections::HashMap;

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{CallDecision, Change, Store, StoreError, damaged, from_db, to_db};

/// Most kinds of calls shown of one session, the latest first.
const MAX_LISTED: i64 = 500;

/// Most kinds of calls shown of each session in a list.
const LATEST: i64 = 3;

/// All calls of a session that were alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) tool: String,
    /// Empty if no report said it.
    pub(crate) access: String,
    /// The sub-agents the token passed through.
    pub(crate) delegates: Vec<String>,
    pub(crate) allowed: bool,
    /// Why they were refused; empty if they were not.
    pub(crate) code: String,
    pub(crate) calls: i64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
}

/// How many calls were allowed and how many refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallCounts {
    pub(crate) allowed: i64,
    pub(crate) refused: i64,
}

#[derive(FromRow)]
struct Row {
    tool: String,
    access: String,
    delegates: String,
    allowed: bool,
    code: String,
    calls: i64,
    first_at: i64,
    last_at: i64,
}

#[derive(FromRow)]
struct RowOfSession {
    session_id: String,
    #[sqlx(flatten)]
    row: Row,
}

impl TryFrom<Row> for Usage {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            tool: row.tool,
            access: row.access,
            delegates: serde_json::from_str(&row.delegates).map_err(damaged)?,
            allowed: row.allowed,
            code: row.code,
            calls: row.calls,
            first_at: from_db(row.first_at)?,
            last_at: from_db(row.last_at)?,
        })
    }
}

impl Store {
    /// What a session's calls come to, the latest first.
    pub(crate) async fn usage_of(&self, session: &str) -> Result<Vec<Usage>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT * FROM session_usage WHERE session_id = ?
             ORDER BY last_at DESC, tool, access, delegates, code LIMIT ?",
        )
        .bind(session)
        .bind(MAX_LISTED)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Usage::try_from).collect()
    }

    /// The latest kinds of calls of each of these sessions, at most [`LATEST`], latest first.
    pub(crate) async fn latest_usage<'a>(
        &self,
        sessions: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, Vec<Usage>>, StoreError> {
        let sessions: Vec<&str> = sessions.into_iter().collect();
        let rows: Vec<RowOfSession> = sqlx::query_as(
            "SELECT * FROM (
                 SELECT *, row_number() OVER
                     (PARTITION BY session_id ORDER BY last_at DESC, tool, access, code) AS place
                 FROM session_usage WHERE session_id IN (SELECT value FROM json_each(?)))
             WHERE place <= ? ORDER BY session_id, place",
        )
        .bind(serde_json::to_string(&sessions).map_err(damaged)?)
        .bind(LATEST)
        .fetch_all(&self.reader)
        .await?;
        let mut latest: HashMap<String, Vec<Usage>> = HashMap::new();
        for row in rows {
            let of_session = latest.entry(row.session_id).or_default();
            of_session.push(row.row.try_into()?);
        }
        Ok(latest)
    }

    /// How many calls a session made.
    pub(crate) async fn call_counts_of(&self, session: &str) -> Result<CallCounts, StoreError> {
        let counts = self.call_counts([session]).await?.remove(session);
        Ok(counts.unwrap_or_default())
    }

    /// How many calls each of these sessions made; none for those that made none.
    pub(crate) async fn call_counts<'a>(
        &self,
        sessions: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, CallCounts>, StoreError> {
        let sessions: Vec<&str> = sessions.into_iter().collect();
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT session_id, sum(calls * allowed), sum(calls * (1 - allowed))
             FROM session_usage WHERE session_id IN (SELECT value FROM json_each(?))
             GROUP BY session_id",
        )
        .bind(serde_json::to_string(&sessions).map_err(damaged)?)
        .fetch_all(&self.reader)
        .await?;
        let counts = rows.into_iter();
        Ok(counts
            .map(|(id, allowed, refused)| (id, CallCounts { allowed, refused }))
            .collect())
    }
}

/// Counts a call that was not reported before.
pub(super) async fn count(
    change: &mut Change,
    call: &CallDecision,
    delegates: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO session_usage (session_id, tool, access, delegates, code, allowed, calls,
             first_at, last_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)
         ON CONFLICT DO UPDATE SET calls = calls + 1, first_at = min(first_at, ?7),
             last_at = max(last_at, ?7)",
    )
    .bind(&call.session)
    .bind(&call.tool)
    .bind(call.access.as_deref().unwrap_or_default())
    .bind(delegates)
    .bind(call.code.as_deref().unwrap_or_default())
    .bind(call.allowed)
    .bind(to_db(call.time))
    .execute(&mut **change)
    .await?;
    Ok(())
}
