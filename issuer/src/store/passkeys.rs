//! Passkeys, by the accounts that they are of.

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{Change, Store, StoreError, damaged, from_db, to_db};

/// Length of the part of a passkey that changes with use.
pub(crate) const DYNAMIC_BYTES: usize = 7;

/// A passkey as stored.
#[derive(Clone, Debug)]
pub(crate) struct Passkey {
    pub(crate) id: String,
    /// The id of its account.
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) static_state: Vec<u8>,
    pub(crate) dynamic_state: [u8; DYNAMIC_BYTES],
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    account_id: String,
    name: String,
    credential_id: Vec<u8>,
    static_state: Vec<u8>,
    dynamic_state: Vec<u8>,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl TryFrom<Row> for Passkey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let dynamic_state = row.dynamic_state.as_slice().try_into();
        Ok(Self {
            id: row.id,
            account: row.account_id,
            name: row.name,
            credential: row.credential_id,
            static_state: row.static_state,
            dynamic_state: dynamic_state.map_err(damaged)?,
            created_at: from_db(row.created_at)?,
            last_used_at: row.last_used_at.map(from_db).transpose()?,
        })
    }
}

impl Store {
    /// The passkeys of an account, oldest first.
    pub(crate) async fn passkeys_of(&self, account: &str) -> Result<Vec<Passkey>, StoreError> {
        let sql = "SELECT * FROM passkeys WHERE account_id = ? ORDER BY created_at, id";
        let rows: Vec<Row> = sqlx::query_as(sql)
            .bind(account)
            .fetch_all(&self.reader)
            .await?;
        rows.into_iter().map(Passkey::try_from).collect()
    }
}

/// The passkey with that credential id, as it is inside a change.
pub(crate) async fn passkey_in(
    change: &mut Change,
    credential: &[u8],
) -> Result<Option<Passkey>, StoreError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM passkeys WHERE credential_id = ?")
        .bind(credential)
        .fetch_optional(&mut **change)
        .await?;
    row.map(Passkey::try_from).transpose()
}

/// How many passkeys an account has.
pub(crate) async fn count_of(change: &mut Change, account: &str) -> Result<i64, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM passkeys WHERE account_id = ?")
            .bind(account)
            .fetch_one(&mut **change)
            .await?,
    )
}

/// Stores a passkey: `false` when its credential is known already.
pub(crate) async fn insert(change: &mut Change, new: &Passkey) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO passkeys (id, account_id, name, credential_id, static_state, dynamic_state,
             created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (credential_id) DO NOTHING",
    )
    .bind(&new.id)
    .bind(&new.account)
    .bind(&new.name)
    .bind(&new.credential)
    .bind(&new.static_state)
    .bind(new.dynamic_state.as_slice())
    .bind(to_db(new.created_at))
    .execute(&mut **change)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Removes a passkey of an account, and says what it was called.
pub(crate) async fn remove(
    change: &mut Change,
    account: &str,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "DELETE FROM passkeys WHERE id = ? AND account_id = ? RETURNING name";
    Ok(sqlx::query_scalar(sql)
        .bind(id)
        .bind(account)
        .fetch_optional(&mut **change)
        .await?)
}

/// Takes all passkeys off an account and says how many there were.
pub(crate) async fn remove_all(change: &mut Change, account: &str) -> Result<u64, StoreError> {
    let removed = sqlx::query("DELETE FROM passkeys WHERE account_id = ?")
        .bind(account)
        .execute(&mut **change)
        .await?;
    Ok(removed.rows_affected())
}

/// Notes that a passkey was used, with what changed by it.
pub(crate) async fn note_use(
    change: &mut Change,
    id: &str,
    dynamic_state: [u8; DYNAMIC_BYTES],
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE passkeys SET dynamic_state = ?, last_used_at = ? WHERE id = ?")
        .bind(dynamic_state.to_vec())
        .bind(to_db(now))
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}
