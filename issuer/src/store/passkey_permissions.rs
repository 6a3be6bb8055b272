//! Who may add a first passkey, and until when: one permission for each account at most.

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{Change, StoreError, damaged, from_db, to_db};
use crate::secret::SecretDigest;

/// Where a permission comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    /// With a one-time link, to the browser that used it.
    WithLink(SecretDigest),
    /// By somebody else's word: an admin's user name, or the operator.
    By(String),
}

/// That an account may add a first passkey.
#[derive(Clone, Debug)]
pub(crate) struct Permission {
    pub(crate) given: Given,
    pub(crate) expires_at: Timestamp,
}

impl Permission {
    /// Whether it is good in a browser with that cookie.
    pub(crate) fn is_for(&self, cookie: &SecretDigest) -> bool {
        match &self.given {
            Given::WithLink(browser) => browser == cookie,
            Given::By(_) => true,
        }
    }
}

#[derive(FromRow)]
struct Row {
    given_by: Option<String>,
    cookie_hash: Option<Vec<u8>>,
    expires_at: i64,
}

impl TryFrom<Row> for Permission {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let given = match (row.given_by, row.cookie_hash) {
            (Some(name), None) => Given::By(name),
            (None, Some(hash)) => {
                let browser = SecretDigest::stored(&hash);
                Given::WithLink(browser.ok_or_else(|| damaged("the browser of a permission"))?)
            }
            _ => return Err(damaged("where a permission comes from")),
        };
        let expires_at = from_db(row.expires_at)?;
        Ok(Self { given, expires_at })
    }
}

/// The permission of an account, while it lasts.
pub(crate) async fn of(
    change: &mut Change,
    account: &str,
    now: Timestamp,
) -> Result<Option<Permission>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT given_by, cookie_hash, expires_at FROM passkey_permissions
         WHERE account_id = ? AND expires_at > ?",
    )
    .bind(account)
    .bind(to_db(now))
    .fetch_optional(&mut **change)
    .await?;
    row.map(Permission::try_from).transpose()
}

/// Gives an account this permission, instead of any that it has.
pub(crate) async fn give(
    change: &mut Change,
    account: &str,
    permission: &Permission,
) -> Result<(), StoreError> {
    let (given_by, cookie_hash) = match &permission.given {
        Given::WithLink(browser) => (None, Some(browser.as_slice())),
        Given::By(name) => (Some(name.as_str()), None),
    };
    sqlx::query(
        "INSERT OR REPLACE INTO passkey_permissions (account_id, given_by, cookie_hash, expires_at)
         VALUES (?, ?, ?, ?)",
    )
    .bind(account)
    .bind(given_by)
    .bind(cookie_hash)
    .bind(to_db(permission.expires_at))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Takes its permission from an account, if it has one.
pub(crate) async fn withdraw(change: &mut Change, account: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM passkey_permissions WHERE account_id = ?")
        .bind(account)
        .execute(&mut **change)
        .await?;
    Ok(())
}
