//! Who decides for whom, and until when.

use bailiwick_datalog::{ApplicationId, Timestamp};
use sqlx::FromRow;

use super::{
    Account, Change, Store, StoreError,
    accounts::{AccountRow, account_columns},
    from_db, to_db,
};

/// One approver deciding for another.
#[derive(Clone, Debug)]
pub(crate) struct Delegation {
    pub(crate) id: String,
    /// User names.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    /// The one who is to decide has said yes.
    pub(crate) accepted: bool,
}

#[derive(FromRow)]
struct Row {
    id: String,
    from_name: String,
    to_name: String,
    starts_at: i64,
    ends_at: i64,
    accepted: bool,
}

impl Store {
    /// The delegations from and to an account that are not over at `now`.
    pub(crate) async fn delegations_of(
        &self,
        account: &str,
        now: Timestamp,
    ) -> Result<Vec<Delegation>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT d.id, f.user_name AS from_name, t.user_name AS to_name, d.starts_at, d.ends_at,
                 d.accepted_at IS NOT NULL AS accepted
             FROM delegations d
             JOIN accounts f ON f.id = d.from_account JOIN accounts t ON t.id = d.to_account
             WHERE (d.from_account = ?1 OR d.to_account = ?1)
                 AND d.ended_at IS NULL AND d.ends_at > ?2
             ORDER BY d.starts_at, d.id",
        )
        .bind(account)
        .bind(to_db(now))
        .fetch_all(&self.reader)
        .await?;
        let read = rows.into_iter().map(|row| {
            Ok(Delegation {
                id: row.id,
                from: row.from_name,
                to: row.to_name,
                starts_at: from_db(row.starts_at)?,
                ends_at: from_db(row.ends_at)?,
                accepted: row.accepted,
            })
        });
        read.collect()
    }

    /// The applications somebody decides for at `now`, themselves or for somebody else, by id.
    pub(crate) async fn deciding_for(
        &self,
        account: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT application_id FROM application_approvers WHERE account_id = ?1
             UNION
             SELECT aa.application_id FROM delegations d
             JOIN accounts f ON f.id = d.from_account
             JOIN application_approvers aa ON aa.account_id = d.from_account
             WHERE d.to_account = ?1 AND d.ended_at IS NULL AND d.accepted_at IS NOT NULL
                 AND d.starts_at <= ?2 AND d.ends_at > ?2
                 AND f.is_approver = 1 AND f.disabled_at IS NULL
             ORDER BY 1",
        )
        .bind(account)
        .bind(to_db(now))
        .fetch_all(&self.reader)
        .await?)
    }
}

/// Those for whom an account decides in an application at `now`, by name, as it is inside a
/// change.
pub(crate) async fn delegators_in(
    change: &mut Change,
    account: &str,
    application: &ApplicationId,
    now: Timestamp,
) -> Result<Vec<Account>, StoreError> {
    let rows: Vec<AccountRow> = sqlx::query_as(concat!(
        "SELECT DISTINCT ",
        account_columns!(),
        " FROM delegations d JOIN accounts a ON a.id = d.from_account
         JOIN application_approvers aa ON aa.account_id = a.id
         WHERE d.to_account = ?1 AND d.ended_at IS NULL AND d.accepted_at IS NOT NULL
             AND d.starts_at <= ?2 AND d.ends_at > ?2
             AND a.is_approver = 1 AND a.disabled_at IS NULL AND aa.application_id = ?3
         ORDER BY a.user_name"
    ))
    .bind(account)
    .bind(to_db(now))
    .bind(application.as_str())
    .fetch_all(&mut **change)
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// How many delegations an account gave that are not over at `now`, accepted or not.
pub(crate) async fn count_given(
    change: &mut Change,
    from: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM delegations
         WHERE from_account = ? AND ended_at IS NULL AND ends_at > ?",
    )
    .bind(from)
    .bind(to_db(now))
    .fetch_one(&mut **change)
    .await?)
}

/// How many delegations an account has accepted that are not over at `now`.
pub(crate) async fn count_accepted(
    change: &mut Change,
    to: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM delegations
         WHERE to_account = ? AND accepted_at IS NOT NULL AND ended_at IS NULL AND ends_at > ?",
    )
    .bind(to)
    .bind(to_db(now))
    .fetch_one(&mut **change)
    .await?)
}

/// Notes the consent of the one who is to decide: `false` when there is no such delegation to
/// them, or it was answered or ended before.
pub(crate) async fn accept(
    change: &mut Change,
    id: &str,
    to: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let accepted = sqlx::query(
        "UPDATE delegations SET accepted_at = ?1
         WHERE id = ?2 AND to_account = ?3 AND accepted_at IS NULL AND ended_at IS NULL
             AND ends_at > ?1",
    )
    .bind(to_db(now))
    .bind(id)
    .bind(to)
    .execute(&mut **change)
    .await?;
    Ok(accepted.rows_affected() == 1)
}

/// Ends a delegation because the one who was to decide will not: `false` when there is none to
/// them.
pub(crate) async fn decline(
    change: &mut Change,
    id: &str,
    to: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = sqlx::query(
        "UPDATE delegations SET ended_at = ?1
         WHERE id = ?2 AND to_account = ?3 AND ended_at IS NULL AND ends_at > ?1",
    )
    .bind(to_db(now))
    .bind(id)
    .bind(to)
    .execute(&mut **change)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// Stores a delegation.
pub(crate) async fn insert(
    change: &mut Change,
    id: &str,
    from: &str,
    to: &str,
    starts_at: Timestamp,
    ends_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO delegations (id, from_account, to_account, starts_at, ends_at)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(from)
    .bind(to)
    .bind(to_db(starts_at))
    .bind(to_db(ends_at))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Ends a delegation early: `false` when there is none that the account gave.
pub(crate) async fn end(
    change: &mut Change,
    id: &str,
    from: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = sqlx::query(
        "UPDATE delegations SET ended_at = ?
         WHERE id = ? AND from_account = ? AND ended_at IS NULL AND ends_at > ?",
    )
    .bind(to_db(now))
    .bind(id)
    .bind(from)
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(ended.rows_affected() == 1)
}
