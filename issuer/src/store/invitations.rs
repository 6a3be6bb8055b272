//! One-time links for accounts that exist and need a password: one for each at most.

use bailiwick_datalog::Timestamp;

use super::{
    Account, Change, Store, StoreError,
    accounts::{AccountRow, account_columns},
    to_db,
};
use crate::secret::SecretDigest;

impl Store {
    /// The account a link is for, while it works.
    pub(crate) async fn invited_account(
        &self,
        link: &SecretDigest,
        now: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> = sqlx::query_as(concat!(
            "SELECT ",
            account_columns!(),
            " FROM invitations i JOIN accounts a ON a.id = i.account_id
             WHERE i.token_hash = ? AND i.expires_at > ? AND a.disabled_at IS NULL"
        ))
        .bind(link.as_slice())
        .bind(to_db(now))
        .fetch_optional(&self.reader)
        .await?;
        row.map(Account::try_from).transpose()
    }
}

/// Makes `link` the only one that works for the account.
pub(crate) async fn replace(
    change: &mut Change,
    link: &SecretDigest,
    account: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    withdraw(change, account).await?;
    sqlx::query(
        "INSERT INTO invitations (token_hash, account_id, created_at, expires_at)
         VALUES (?, ?, ?, ?)",
    )
    .bind(link.as_slice())
    .bind(account)
    .bind(to_db(now))
    .bind(to_db(expires_at))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Has no link work for the account any more.
pub(crate) async fn withdraw(change: &mut Change, account: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM invitations WHERE account_id = ?")
        .bind(account)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Uses up a link: `false` when it was used or replaced meanwhile, is too old, or the account
/// is disabled.
pub(crate) async fn use_invitation(
    change: &mut Change,
    link: &SecretDigest,
    account: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let used = sqlx::query(
        "DELETE FROM invitations WHERE token_hash = ? AND account_id = ? AND expires_at > ?
         AND EXISTS (SELECT 1 FROM accounts WHERE id = account_id AND disabled_at IS NULL)",
    )
    .bind(link.as_slice())
    .bind(account)
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(used.rows_affected() == 1)
}
