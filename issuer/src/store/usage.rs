//! What the calls of sessions come to: counted when they are reported, not when somebody looks.

use std::collections::HashMap;

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{CallDecision, Change, Store, StoreError, damaged, from_db, to_db};

/// Most kinds of calls, and most chains, shown of one session.
const MAX_LISTED: i64 = 500;
/// Most kinds of calls counted apart for one session. Who calls chooses the names of tools that do
/// not exist and of sub-agents: calls of further kinds are counted together, by their answer.
const MAX_KINDS: i64 = 2_000;

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

/// Calls that came through the same sub-agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DelegateChain {
    pub(crate) delegates: Vec<String>,
    pub(crate) calls: i64,
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
    /// What a session's calls come to, without whom they came through: what was allowed first, of
    /// which there is no more than was granted, then the latest of what was refused.
    pub(crate) async fn usage_of(&self, session: &str) -> Result<Vec<Usage>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT tool, access, '[]' AS delegates, code, allowed, sum(calls) AS calls,
                 min(first_at) AS first_at, max(last_at) AS last_at
             FROM session_usage WHERE session_id = ? GROUP BY tool, access, code, allowed
             ORDER BY allowed DESC, last_at DESC, tool, access, code LIMIT ?",
        )
        .bind(session)
        .bind(MAX_LISTED)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Usage::try_from).collect()
    }

    /// The chains of sub-agents that a session's calls came through, those with allowed calls first.
    pub(crate) async fn chains_of(&self, session: &str) -> Result<Vec<DelegateChain>, StoreError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT delegates, sum(calls), max(last_at)
             FROM session_usage WHERE session_id = ? AND delegates <> '[]' GROUP BY delegates
             ORDER BY max(allowed) DESC, max(last_at) DESC, delegates LIMIT ?",
        )
        .bind(session)
        .bind(MAX_LISTED)
        .fetch_all(&self.reader)
        .await?;
        let chain = |(delegates, calls, last_at): (String, i64, i64)| {
            Ok(DelegateChain {
                delegates: serde_json::from_str(&delegates).map_err(damaged)?,
                calls,
                last_at: from_db(last_at)?,
            })
        };
        rows.into_iter().map(chain).collect()
    }

    /// Some kinds of calls of each of these sessions, at most [`LATEST`]: the latest allowed ones,
    /// then the latest refused ones.
    pub(crate) async fn latest_usage<'a>(
        &self,
        sessions: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, Vec<Usage>>, StoreError> {
        let sessions: Vec<&str> = sessions.into_iter().collect();
        let rows: Vec<RowOfSession> = sqlx::query_as(
            "SELECT * FROM (
                 SELECT *, row_number() OVER
                     (PARTITION BY session_id ORDER BY allowed DESC, last_at DESC, tool, access, code) AS place
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
    let access = call.access.as_deref().unwrap_or_default();
    let code = call.code.as_deref().unwrap_or_default();
    let kind = Kind {
        tool: &call.tool,
        access,
        delegates,
        code,
    };
    if kind.add(change, call, false).await? {
        return Ok(());
    }
    let kinds: i64 = sqlx::query_scalar("SELECT count(*) FROM session_usage WHERE session_id = ?")
        .bind(&call.session)
        .fetch_one(&mut **change)
        .await?;
    // Of allowed calls the tool and the access are the grant's, and so not many.
    let kind = match (kinds < MAX_KINDS, call.allowed) {
        (true, _) => kind,
        (false, true) => Kind {
            delegates: "[]",
            ..kind
        },
        (false, false) => Kind {
            tool: "",
            access: "",
            delegates: "[]",
            code,
        },
    };
    kind.add(change, call, true).await?;
    Ok(())
}

/// What calls are counted by.
struct Kind<'a> {
    tool: &'a str,
    access: &'a str,
    delegates: &'a str,
    code: &'a str,
}

impl Kind<'_> {
    /// Adds a call to those of its kind; `false` when it is the first of it and was not `wanted`.
    async fn add(
        &self,
        change: &mut Change,
        call: &CallDecision,
        wanted: bool,
    ) -> Result<bool, StoreError> {
        let added = sqlx::query(if wanted {
            "INSERT INTO session_usage (session_id, tool, access, delegates, code, allowed, calls,
                 first_at, last_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)
             ON CONFLICT DO UPDATE SET calls = calls + 1, first_at = min(first_at, ?7),
                 last_at = max(last_at, ?7)"
        } else {
            "UPDATE session_usage SET calls = calls + 1, first_at = min(first_at, ?7),
                 last_at = max(last_at, ?7)
             WHERE session_id = ?1 AND tool = ?2 AND access = ?3 AND delegates = ?4 AND code = ?5
                 AND allowed = ?6"
        })
        .bind(&call.session)
        .bind(self.tool)
        .bind(self.access)
        .bind(self.delegates)
        .bind(self.code)
        .bind(call.allowed)
        .bind(to_db(call.time))
        .execute(&mut **change)
        .await?;
        Ok(added.rows_affected() == 1)
    }
}
