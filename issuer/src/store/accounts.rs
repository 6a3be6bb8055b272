//! Accounts, and the link that creates the first one.

use bailiwick_datalog::{Principal, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, damaged, from_db, to_db};
use crate::{
    people::{Ceiling, Roles},
    secret::SecretDigest,
};

/// A person who may sign in.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) user_name: Principal,
    /// `None`: nobody signs in with a password.
    pub(crate) password_hash: Option<String>,
    pub(crate) roles: Roles,
    /// What the account may grant at most; unlimited where nobody said.
    pub(crate) ceiling: Ceiling,
    /// The workload that acts through the account, if one does.
    pub(crate) workload_identity: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) disabled_at: Option<Timestamp>,
}

#[derive(FromRow)]
pub(super) struct AccountRow {
    id: String,
    user_name: String,
    password_hash: String,
    is_admin: bool,
    is_approver: bool,
    is_auditor: bool,
    account_created_at: i64,
    disabled_at: Option<i64>,
    ceiling_json: Option<String>,
    workload_identity: Option<String>,
}

/// What [`AccountRow`] reads, from a table called `a`.
macro_rules! account_columns {
    () => {
        "a.id, a.user_name, a.password_hash, a.is_admin, a.is_approver, a.is_auditor,
         a.created_at AS account_created_at, a.disabled_at, a.ceiling_json,
         a.workload_identity"
    };
}
pub(super) use account_columns;

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        let user_name = Principal::parse(row.user_name).map_err(damaged)?;
        Ok(Self {
            id: row.id,
            user_name,
            password_hash: Some(row.password_hash).filter(|hash| !hash.is_empty()),
            roles: Roles {
                admin: row.is_admin,
                approver: row.is_approver,
                auditor: row.is_auditor,
            },
            // Damage here must not read as "no ceiling".
            ceiling: row
                .ceiling_json
                .map(|text| serde_json::from_str(&text).map_err(damaged))
                .transpose()?
                .unwrap_or_default(),
            workload_identity: row.workload_identity,
            created_at: from_db(row.account_created_at)?,
            disabled_at: row.disabled_at.map(from_db).transpose()?,
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
        let row: Option<AccountRow> = sqlx::query_as(BY_NAME)
            .bind(user_name.as_str())
            .fetch_optional(&self.reader)
            .await?;
        row.map(Account::try_from).transpose()
    }

    /// All accounts, by name.
    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let sql = concat!(
            "SELECT ",
            account_columns!(),
            " FROM accounts a ORDER BY a.user_name"
        );
        let rows: Vec<AccountRow> = sqlx::query_as(sql).fetch_all(&self.reader).await?;
        rows.into_iter().map(Account::try_from).collect()
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
}

const BY_NAME: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM accounts a WHERE a.user_name = ?"
);

/// Uses up a set-up link: `false` when it was used, replaced or never existed, or an account
/// exists already.
pub(crate) async fn use_setup_link(
    change: &mut Change,
    link: &SecretDigest,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let used = sqlx::query(
        "UPDATE setup_links SET used_at = ?
         WHERE token_hash = ? AND used_at IS NULL AND NOT EXISTS (SELECT 1 FROM accounts)",
    )
    .bind(to_db(now))
    .bind(link.as_slice())
    .execute(&mut **change)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// Stores a new account: `false` when its user name is taken.
pub(crate) async fn insert_account(
    change: &mut Change,
    account: &Account,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO accounts (id, user_name, password_hash, created_at, is_admin, is_approver,
             is_auditor)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_name) DO NOTHING",
    )
    .bind(&account.id)
    .bind(account.user_name.as_str())
    .bind(account.password_hash.as_deref().unwrap_or_default())
    .bind(to_db(account.created_at))
    .bind(account.roles.admin)
    .bind(account.roles.approver)
    .bind(account.roles.auditor)
    .execute(&mut **change)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The account with that user name, as it is inside a change.
pub(crate) async fn account_in(
    change: &mut Change,
    user_name: &Principal,
) -> Result<Option<Account>, StoreError> {
    let row: Option<AccountRow> = sqlx::query_as(BY_NAME)
        .bind(user_name.as_str())
        .fetch_optional(&mut **change)
        .await?;
    row.map(Account::try_from).transpose()
}

/// How many accounts may manage accounts.
pub(crate) async fn count_admins(change: &mut Change) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM accounts WHERE is_admin = 1 AND disabled_at IS NULL";
    Ok(sqlx::query_scalar(sql).fetch_one(&mut **change).await?)
}

/// Gives an account these roles and no others.
pub(crate) async fn set_roles(
    change: &mut Change,
    id: &str,
    roles: Roles,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE accounts SET is_admin = ?, is_approver = ?, is_auditor = ? WHERE id = ?")
        .bind(roles.admin)
        .bind(roles.approver)
        .bind(roles.auditor)
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Replaces what an account may grant at most.
pub(crate) async fn set_ceiling(
    change: &mut Change,
    id: &str,
    ceiling: &Ceiling,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(ceiling).map_err(damaged)?;
    sqlx::query("UPDATE accounts SET ceiling_json = ? WHERE id = ?")
        .bind((!ceiling.is_unlimited()).then_some(text))
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Says which workload acts through an account.
pub(crate) async fn set_workload(
    change: &mut Change,
    id: &str,
    identity: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE accounts SET workload_identity = ? WHERE id = ?")
        .bind(identity)
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// The account with that id, as it is inside a change.
pub(crate) async fn account_of_id_in(
    change: &mut Change,
    id: &str,
) -> Result<Option<Account>, StoreError> {
    let row: Option<AccountRow> = sqlx::query_as(concat!(
        "SELECT ",
        account_columns!(),
        " FROM accounts a WHERE a.id = ?"
    ))
    .bind(id)
    .fetch_optional(&mut **change)
    .await?;
    row.map(Account::try_from).transpose()
}

/// Replaces the password.
pub(crate) async fn set_password(
    change: &mut Change,
    id: &str,
    hash: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE accounts SET password_hash = ? WHERE id = ?")
        .bind(hash)
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Disables an account, or enables it again.
pub(crate) async fn set_disabled(
    change: &mut Change,
    id: &str,
    since: Option<Timestamp>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE accounts SET disabled_at = ? WHERE id = ?")
        .bind(since.map(to_db))
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}
