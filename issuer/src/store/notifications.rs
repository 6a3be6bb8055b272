//! What approvers are still to be told.

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{Change, Store, StoreError, damaged, from_db, to_db};

/// One thing to be told in one place.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) id: String,
    pub(crate) target: String,
    /// JSON.
    pub(crate) body: String,
    pub(crate) attempts: u32,
    pub(crate) expires_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    target: String,
    body: String,
    attempts: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Notification {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            target: row.target,
            body: row.body,
            attempts: u32::try_from(row.attempts).map_err(damaged)?,
            expires_at: from_db(row.expires_at)?,
        })
    }
}

impl Store {
    /// What is due at `now`, longest first, after forgetting what is too late to be told.
    pub(crate) async fn due_notifications(
        &self,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<Notification>, StoreError> {
        sqlx::query("DELETE FROM notifications WHERE expires_at <= ?")
            .bind(to_db(now))
            .execute(&self.writer)
            .await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, target, body, attempts, expires_at FROM notifications
             WHERE next_at <= ? ORDER BY next_at, id LIMIT ?",
        )
        .bind(to_db(now))
        .bind(most)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// True when nothing is to be told at all, which costs no write to find out.
    pub(crate) async fn has_notifications(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM notifications)";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.reader).await?)
    }

    /// Forgets what was told.
    pub(crate) async fn forget_notification(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM notifications WHERE id = ?")
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Notes an attempt that failed, and when the next is due.
    pub(crate) async fn postpone_notification(
        &self,
        id: &str,
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE notifications SET attempts = attempts + 1, next_at = ? WHERE id = ?")
            .bind(to_db(next_at))
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

/// Stores what is to be told, in the change that it tells of: `false` when `most` things wait for
/// that place already.
pub(crate) async fn insert(
    change: &mut Change,
    new: &Notification,
    now: Timestamp,
    most: i64,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO notifications (id, target, body, created_at, next_at, expires_at)
         SELECT ?1, ?2, ?3, ?4, ?4, ?5
         WHERE (SELECT count(*) FROM notifications WHERE target = ?2) < ?6",
    )
    .bind(&new.id)
    .bind(&new.target)
    .bind(&new.body)
    .bind(to_db(now))
    .bind(to_db(new.expires_at))
    .bind(most)
    .execute(&mut **change)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
