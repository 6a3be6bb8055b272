//! Who an identity provider's subjects are here.

use super::{
    Account, Change, StoreError,
    accounts::{AccountRow, account_columns},
};

/// The account of a subject, as it is inside a change.
pub(crate) async fn account_in(
    change: &mut Change,
    issuer: &str,
    subject: &str,
) -> Result<Option<Account>, StoreError> {
    let row: Option<AccountRow> = sqlx::query_as(concat!(
        "SELECT ",
        account_columns!(),
        " FROM account_identities i JOIN accounts a ON a.id = i.account_id
         WHERE i.issuer = ? AND i.subject = ?"
    ))
    .bind(issuer)
    .bind(subject)
    .fetch_optional(&mut **change)
    .await?;
    row.map(Account::try_from).transpose()
}

/// Under which names providers sign an account in.
pub(crate) async fn subjects_in(
    change: &mut Change,
    account: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT subject FROM account_identities WHERE account_id = ? ORDER BY subject";
    Ok(sqlx::query_scalar(sql)
        .bind(account)
        .fetch_all(&mut **change)
        .await?)
}

/// Says who a subject is.
pub(crate) async fn insert(
    change: &mut Change,
    issuer: &str,
    subject: &str,
    account: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO account_identities (issuer, subject, account_id) VALUES (?, ?, ?)")
        .bind(issuer)
        .bind(subject)
        .bind(account)
        .execute(&mut **change)
        .await?;
    Ok(())
}
