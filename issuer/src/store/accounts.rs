//! Approvers, the link that creates the first one, and their signed-in browsers.

use std::time::Duration;

use bailiwick_datalog::{Principal, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, damaged, from_db, seconds_to_db, to_db};
use crate::secret::SecretDigest;

/// A person who may sign in and approve.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) user_name: Principal,
    pub(crate) password_hash: String,
}

/// A signed-in browser.
#[derive(Clone, Debug)]
pub(crate) struct BrowserSession {
    pub(crate) account: Account,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
}

#[derive(FromRow)]
struct AccountRow {
    id: String,
    user_name: String,
    password_hash: String,
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        let user_name = Principal::parse(row.user_name).map_err(damaged)?;
        Ok(Self {
            id: row.id,
            user_name,
            password_hash: row.password_hash,
        })
    }
}

impl Store {
    /// True once somebody can sign in.
    pub(crate) async fn has_account(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM accounts)")
            .fetch_one(&self.reader)
            .await?)
    }

    /// The account with that user name.
    pub(crate) async fn account(
        &self,
        user_name: &Principal,
    ) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> =
            sqlx::query_as("SELECT id, user_name, password_hash FROM accounts WHERE user_name = ?")
                .bind(user_name.as_str())
                .fetch_optional(&self.reader)
                .await?;
        row.map(Account::try_from).transpose()
    }

    /// Makes `link` the only set-up link that works.
    pub(crate) async fn replace_setup_link(
        &self,
        link: &SecretDigest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM setup_links WHERE used_at IS NULL")
            .execute(&mut *change)
            .await?;
        sqlx::query("INSERT INTO setup_links (token_hash, created_at) VALUES (?, ?)")
            .bind(link.as_slice())
            .bind(to_db(now))
            .execute(&mut *change)
            .await?;
        super::commit(change).await
    }

    /// True while the link could still create the first approver.
    pub(crate) async fn setup_link_works(&self, link: &SecretDigest) -> Result<bool, StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM setup_links WHERE token_hash = ? AND used_at IS NULL)
                   AND NOT EXISTS (SELECT 1 FROM accounts)";
        Ok(sqlx::query_scalar(sql)
            .bind(link.as_slice())
            .fetch_one(&self.reader)
            .await?)
    }

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
        }
        let row: Option<Row> = sqlx::query_as(
            "SELECT a.id, a.user_name, a.password_hash, b.created_at, b.last_seen_at
             FROM browser_sessions b JOIN accounts a ON a.id = b.account_id
             WHERE b.cookie_hash = ?",
        )
        .bind(cookie.as_slice())
        .fetch_optional(&self.reader)
        .await?;
        row.map(|row| {
            Ok(BrowserSession {
                account: row.account.try_into()?,
                created_at: from_db(row.created_at)?,
                last_seen_at: from_db(row.last_seen_at)?,
            })
        })
        .transpose()
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

/// Uses up a set-up link for the first account: `false` when the link was used, replaced or
/// never existed, or an account exists already.
pub(crate) async fn create_first_account(
    change: &mut Change,
    link: &SecretDigest,
    account: &Account,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let used = sqlx::query(
        "UPDATE setup_links SET used_at = ?
         WHERE token_hash = ? AND used_at IS NULL AND NOT EXISTS (SELECT 1 FROM accounts)",
    )
    .bind(to_db(now))
    .bind(link.as_slice())
    .execute(&mut **change)
    .await?
    .rows_affected();
    if used != 1 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO accounts (id, user_name, password_hash, created_at) VALUES (?, ?, ?, ?)",
    )
    .bind(&account.id)
    .bind(account.user_name.as_str())
    .bind(&account.password_hash)
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(true)
}

/// Signs a browser in under a fresh cookie, ends the one it had, and forgets those too old
/// to be good.
pub(crate) async fn start_browser(
    change: &mut Change,
    account: &Account,
    cookie: &SecretDigest,
    previous: Option<&SecretDigest>,
    now: Timestamp,
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
        "INSERT INTO browser_sessions (cookie_hash, account_id, created_at, last_seen_at)
         VALUES (?, ?, ?, ?)",
    )
    .bind(cookie.as_slice())
    .bind(&account.id)
    .bind(to_db(now))
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(())
}
