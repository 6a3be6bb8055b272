//! What authorization-code requests have beside the request for access: place of return,
//! challenge, browser, code.

use bailiwick_datalog::{Principal, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, StoredRequest, damaged, from_db, to_db};
use crate::{
    oauth::{authorize::Return, pkce::CodeChallenge, redirect::RedirectUri},
    secret::SecretDigest,
};

/// An authorization request as stored.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) returns: Return,
    pub(crate) code_expires_at: Option<Timestamp>,
    pub(crate) code_used_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Row {
    request_id: String,
    redirect_uri: String,
    state: Option<String>,
    code_challenge: String,
    browser_hash: Vec<u8>,
    account_id: Option<String>,
    code_expires_at: Option<i64>,
    code_used_at: Option<i64>,
}

impl TryFrom<Row> for Authorization {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let about = |what: &str| damaged(format!("{what} of request {}", row.request_id));
        Ok(Self {
            returns: Return {
                redirect: RedirectUri::parse(&row.redirect_uri)
                    .map_err(|_| about("redirect URI"))?,
                state: row.state,
                challenge: CodeChallenge::parse(&row.code_challenge)
                    .ok_or_else(|| about("challenge"))?,
                browser: SecretDigest::stored(&row.browser_hash).ok_or_else(|| about("browser"))?,
                account: row.account_id,
            },
            code_expires_at: row.code_expires_at.map(from_db).transpose()?,
            code_used_at: row.code_used_at.map(from_db).transpose()?,
        })
    }
}

impl Store {
    /// What a request has beside itself if it came through a browser.
    pub(crate) async fn authorization(
        &self,
        request_id: &str,
    ) -> Result<Option<Authorization>, StoreError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT * FROM authorization_requests WHERE request_id = ?")
                .bind(request_id)
                .fetch_optional(&self.reader)
                .await?;
        row.map(Authorization::try_from).transpose()
    }

    /// What a code was issued for.
    pub(crate) async fn authorization_of_code(
        &self,
        code: &SecretDigest,
    ) -> Result<Option<(Authorization, StoredRequest)>, StoreError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT * FROM authorization_requests WHERE code_hash = ?")
                .bind(code.as_slice())
                .fetch_optional(&self.reader)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let request = self.request(&row.request_id).await?;
        let request = request.ok_or_else(|| damaged(format!("no request {}", row.request_id)))?;
        Ok(Some((row.try_into()?, request)))
    }
}

/// Stores the place of return of a request that was stored in the same change.
pub(crate) async fn insert_authorization(
    change: &mut Change,
    request_id: &str,
    returns: &Return,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO authorization_requests (request_id, redirect_uri, state, code_challenge,
             browser_hash, account_id)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(request_id)
    .bind(returns.redirect.as_str())
    .bind(returns.state.as_deref())
    .bind(returns.challenge.as_str())
    .bind(returns.browser.as_slice())
    .bind(returns.account.as_deref())
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// How many requests that came through browsers wait at `now`: all of the application, and those
/// of an account, whatever the application.
pub(crate) async fn count_waiting(
    change: &mut Change,
    application: &bailiwick_datalog::ApplicationId,
    account: Option<&str>,
    now: Timestamp,
) -> Result<(i64, i64), StoreError> {
    Ok(sqlx::query_as(
        "SELECT count(CASE WHEN r.application_id = ? THEN 1 END),
             count(CASE WHEN a.account_id = ? THEN 1 END)
         FROM authorization_requests a JOIN access_requests r ON r.id = a.request_id
         WHERE r.state = 'pending' AND r.expires_at > ?",
    )
    .bind(application.as_str())
    .bind(account)
    .bind(to_db(now))
    .fetch_one(&mut **change)
    .await?)
}

/// Whether a session that lives at `now` came through that browser for somebody else.
pub(crate) async fn serves_another(
    change: &mut Change,
    browser: &SecretDigest,
    user_name: &Principal,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM authorization_requests a
         JOIN sessions s ON s.request_id = a.request_id
         WHERE a.browser_hash = ? AND s.principal <> ? AND s.revoked_at IS NULL
             AND s.expires_at > ?)",
    )
    .bind(browser.as_slice())
    .bind(user_name.as_str())
    .bind(to_db(now))
    .fetch_one(&mut **change)
    .await?)
}

/// Ties what waits in a browser to another cookie, except what builds on a session.
pub(crate) async fn move_waiting(
    change: &mut Change,
    browser: &SecretDigest,
    to: &SecretDigest,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE authorization_requests SET browser_hash = ?
         WHERE browser_hash = ? AND request_id IN (SELECT id FROM access_requests
             WHERE state = 'pending' AND json_extract(request_json, '$.held') IS NULL)",
    )
    .bind(to.as_slice())
    .bind(browser.as_slice())
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Binds a code to a request: `false` when it has one.
pub(crate) async fn swap_to_coded(
    change: &mut Change,
    request_id: &str,
    code: &SecretDigest,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let swapped = sqlx::query(
        "UPDATE authorization_requests SET code_hash = ?, code_expires_at = ?
         WHERE request_id = ? AND code_hash IS NULL",
    )
    .bind(code.as_slice())
    .bind(to_db(expires_at))
    .bind(request_id)
    .execute(&mut **change)
    .await?;
    Ok(swapped.rows_affected() == 1)
}

/// Marks a code as used: `false` when it was.
pub(crate) async fn swap_to_used(
    change: &mut Change,
    request_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let swapped = sqlx::query(
        "UPDATE authorization_requests SET code_used_at = ?
         WHERE request_id = ? AND code_hash IS NOT NULL AND code_used_at IS NULL",
    )
    .bind(to_db(now))
    .bind(request_id)
    .execute(&mut **change)
    .await?;
    Ok(swapped.rows_affected() == 1)
}
