//! Signed-in browsers, by the digests of their cookies.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{
    Account, Change, Store, StoreError,
    accounts::{AccountRow, account_columns},
    from_db, seconds_to_db, to_db,
};
use crate::secret::SecretDigest;

/// A signed-in browser.
#[derive(Clone, Debug)]
pub(crate) struct BrowserSession {
    pub(crate) account: Account,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    /// When its person proved who they are, as far as that is known here.
    pub(crate) authenticated_at: Option<Timestamp>,
}

impl Store {
    /// The browser whose cookie has that digest, whatever its age.
    pub(crate) async fn browser_session(
        &self,
        cookie: &SecretDigest,
    ) -> Result<Option<BrowserSession>, StoreError> {
        #[derive(FromRow)]
        struct Row {
            #[sqlx(flatten)]
            account: AccountRow,
            created_at: i64,
            last_seen_at: i64,
            authenticated_at: Option<i64>,
        }
        let row: Option<Row> = sqlx::query_as(concat!(
            "SELECT ",
            account_columns!(),
            ", b.created_at, b.last_seen_at, b.authenticated_at
             FROM browser_sessions b JOIN accounts a ON a.id = b.account_id
             WHERE b.cookie_hash = ?"
        ))
        .bind(cookie.as_slice())
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            Ok(BrowserSession {
                account: row.account.try_into()?,
                created_at: from_db(row.created_at)?,
                last_seen_at: from_db(row.last_seen_at)?,
                authenticated_at: row.authenticated_at.map(from_db).transpose()?,
            })
        })
        .transpose()
    }

    /// How many browsers each account is signed in with, by account.
    pub(crate) async fn browser_count(&self, account: &str) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT count(*) FROM browser_sessions WHERE account_id = ?")
                .bind(account)
                .fetch_one(&self.reader)
                .await?,
        )
    }

    /// Notes that a browser is in use. Time never runs backwards here.
    pub(crate) async fn touch_browser(
        &self,
        cookie: &SecretDigest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE browser_sessions SET last_seen_at = max(last_seen_at, ?) WHERE cookie_hash = ?",
        )
        .bind(to_db(now))
        .bind(cookie.as_slice())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Ends a browser's sign-in.
    pub(crate) async fn end_browser(&self, cookie: &SecretDigest) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM browser_sessions WHERE cookie_hash = ?")
            .bind(cookie.as_slice())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

/// Signs a browser in under a fresh cookie, ends the one it had, and forgets those too old
/// to be good.
pub(crate) async fn start_browser(
    change: &mut Change,
    account: &Account,
    cookie: &SecretDigest,
    previous: Option<&SecretDigest>,
    (now, authenticated_at): (Timestamp, Option<Timestamp>),
    absolute: Duration,
) -> Result<(), StoreError> {
    if let Some(previous) = previous {
        sqlx::query("DELETE FROM browser_sessions WHERE cookie_hash = ?")
            .bind(previous.as_slice())
            .execute(&mut **change)
            .await?;
    }
    sqlx::query("DELETE FROM browser_sessions WHERE created_at < ?")
        .bind(to_db(now).saturating_sub(seconds_to_db(absolute)))
        .execute(&mut **change)
        .await?;
    sqlx::query(
        "INSERT INTO browser_sessions (cookie_hash, account_id, created_at, last_seen_at,
             authenticated_at)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(cookie.as_slice())
    .bind(&account.id)
    .bind(to_db(now))
    .bind(to_db(now))
    .bind(authenticated_at.map(to_db))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Signs every browser of an account out, and says how many there were.
pub(crate) async fn end_all(change: &mut Change, account: &str) -> Result<u64, StoreError> {
    let ended = sqlx::query("DELETE FROM browser_sessions WHERE account_id = ?")
        .bind(account)
        .execute(&mut **change)
        .await?;
    Ok(ended.rows_affected())
}
