//! Approved sessions: granted, collected once, ended.

use std::time::Duration;

use bailiwick_datalog::{AgentName, ApplicationId, Principal, SessionId, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, StoredRequest, damaged, from_db, to_db};
use crate::{access_request::read_granted, narrowing::Granted, secret::SecretDigest};

/// A session about to be stored.
#[derive(Debug)]
pub(crate) struct NewSession<'a> {
    pub(crate) id: &'a SessionId,
    pub(crate) request_id: &'a str,
    pub(crate) application: &'a ApplicationId,
    pub(crate) agent: &'a AgentName,
    pub(crate) principal: &'a Principal,
    pub(crate) granted_json: &'a str,
    pub(crate) instructions: Option<&'a str>,
    pub(crate) approved_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A session with the request it came from.
#[derive(Clone, Debug)]
pub(crate) struct StoredSession {
    pub(crate) id: SessionId,
    pub(crate) request: StoredRequest,
    pub(crate) principal: Principal,
    pub(crate) granted: Granted,
    pub(crate) instructions: Option<String>,
    pub(crate) approved_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// When the agent collected the token.
    pub(crate) minted_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
    pub(crate) revoked_by: Option<String>,
}

impl StoredSession {
    /// Time left at `now`; zero once it is revoked.
    pub(crate) fn remaining(&self, now: Timestamp) -> Duration {
        if self.revoked_at.is_some() {
            return Duration::ZERO;
        }
        Duration::from_secs(self.expires_at.unix().saturating_sub(now.unix()))
    }
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) request_id: String,
    principal: String,
    granted_json: String,
    instructions: Option<String>,
    pub(super) approved_at: i64,
    expires_at: i64,
    minted_at: Option<i64>,
    revoked_at: Option<i64>,
    revoked_by: Option<String>,
}

impl Row {
    pub(super) fn join(self, request: StoredRequest) -> Result<StoredSession, StoreError> {
        let (duration, tools) = read_granted(&self.granted_json)?;
        Ok(StoredSession {
            id: SessionId::parse(self.id).map_err(damaged)?,
            request,
            principal: Principal::parse(self.principal).map_err(damaged)?,
            granted: Granted { duration, tools },
            instructions: self.instructions,
            approved_at: from_db(self.approved_at)?,
            expires_at: from_db(self.expires_at)?,
            minted_at: self.minted_at.map(from_db).transpose()?,
            revoked_at: self.revoked_at.map(from_db).transpose()?,
            revoked_by: self.revoked_by,
        })
    }
}

impl Store {
    /// The session with that id.
    pub(crate) async fn session(&self, id: &str) -> Result<Option<StoredSession>, StoreError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM sessions WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?;
        self.join(row).await
    }

    /// The session that a request led to.
    pub(crate) async fn session_of_request(
        &self,
        request_id: &str,
    ) -> Result<Option<StoredSession>, StoreError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM sessions WHERE request_id = ?")
            .bind(request_id)
            .fetch_optional(&self.reader)
            .await?;
        self.join(row).await
    }

    /// The latest session at `now` that a client got through that browser and still uses.
    pub(crate) async fn live_session_of_browser(
        &self,
        client_id: &str,
        browser: &SecretDigest,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT s.* FROM sessions s
             JOIN access_requests r ON r.id = s.request_id
             JOIN authorization_requests a ON a.request_id = r.id
             WHERE r.client_id = ? AND a.browser_hash = ? AND s.minted_at IS NOT NULL
                 AND s.revoked_at IS NULL AND s.expires_at > ?
             ORDER BY s.approved_at DESC, s.minted_at DESC, s.id LIMIT 1",
        )
        .bind(client_id)
        .bind(browser.as_slice())
        .bind(to_db(now))
        .fetch_optional(&self.reader)
        .await?;
        self.join(row).await
    }

    async fn join(&self, row: Option<Row>) -> Result<Option<StoredSession>, StoreError> {
        let Some(row) = row else { return Ok(None) };
        let request = self
            .request(&row.request_id)
            .await?
            .ok_or_else(|| damaged(format!("session {} has no request", row.id)))?;
        row.join(request).map(Some)
    }
}

/// Whether a session is live at `now`, and of that client and that person.
pub(crate) async fn is_live_of(
    change: &mut Change,
    id: &str,
    client_id: &str,
    principal: &Principal,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sessions s JOIN access_requests r ON r.id = s.request_id
         WHERE s.id = ? AND r.client_id = ? AND s.principal = ? AND s.minted_at IS NOT NULL
             AND s.revoked_at IS NULL AND s.expires_at > ?)",
    )
    .bind(id)
    .bind(client_id)
    .bind(principal.as_str())
    .bind(to_db(now))
    .fetch_one(&mut **change)
    .await?)
}

/// Stores the session of an approval.
pub(crate) async fn insert_session(
    change: &mut Change,
    new: &NewSession<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (id, request_id, application_id, agent, principal, granted_json,
             instructions, approved_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.id.as_str())
    .bind(new.request_id)
    .bind(new.application.as_str())
    .bind(new.agent.as_str())
    .bind(new.principal.as_str())
    .bind(new.granted_json)
    .bind(new.instructions)
    .bind(to_db(new.approved_at))
    .bind(to_db(new.expires_at))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Marks the session's token as collected: `false` when it was collected before, was revoked
/// or is expired at `now`.
pub(crate) async fn swap_to_minted(
    change: &mut Change,
    id: &SessionId,
    revocation_id: &[u8],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let swapped = sqlx::query(
        "UPDATE sessions SET minted_at = ?, revocation_id = ?
         WHERE id = ? AND minted_at IS NULL AND revoked_at IS NULL AND expires_at > ?",
    )
    .bind(to_db(now))
    .bind(revocation_id)
    .bind(id.as_str())
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(swapped.rows_affected() == 1)
}
