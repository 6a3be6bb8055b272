//! What approvers are still to be told.

use bailiwick_datalog::{ApplicationId, Timestamp};
use sqlx::FromRow;

use super::{Change, Store, StoreError, damaged, from_db, to_db};

/// One thing to be told in one place.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) id: String,
    /// JSON.
    pub(crate) body: String,
    /// The one request that it is about, if it is about one.
    pub(crate) request: Option<String>,
    pub(crate) attempts: u32,
    /// How many requests it is about so far.
    pub(crate) about: i64,
    pub(crate) expires_at: Timestamp,
}

/// Something new to be told in one place.
#[derive(Clone, Debug)]
pub(crate) struct NewNotification<'a> {
    pub(crate) id: &'a str,
    pub(crate) target: &'a str,
    pub(crate) body: &'a str,
    /// Not before this.
    pub(crate) next_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    body: String,
    request_id: Option<String>,
    attempts: i64,
    about: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Notification {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            body: row.body,
            request: row.request_id,
            attempts: u32::try_from(row.attempts).map_err(damaged)?,
            about: row.about,
            expires_at: from_db(row.expires_at)?,
        })
    }
}

impl Store {
    /// What is due in a place at `now`, longest first.
    pub(crate) async fn due_notifications(
        &self,
        target: &str,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<Notification>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, body, request_id, attempts, about, expires_at FROM notifications
             WHERE target = ?1 AND next_at <= ?2 AND expires_at > ?2 ORDER BY next_at, id LIMIT ?3",
        )
        .bind(target)
        .bind(to_db(now))
        .bind(most)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// When something is due in a place next, what is due already included.
    pub(crate) async fn next_notification(
        &self,
        target: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> =
            sqlx::query_scalar("SELECT min(next_at) FROM notifications WHERE target = ?")
                .bind(target)
                .fetch_one(&self.reader)
                .await?;
        next.map(from_db).transpose()
    }

    /// Forgets what is too late to be told anywhere, with no write when nothing is.
    pub(crate) async fn forget_late_notifications(&self, now: Timestamp) -> Result<(), StoreError> {
        let any = "SELECT EXISTS (SELECT 1 FROM notifications WHERE expires_at <= ?)";
        let any = sqlx::query_scalar(any).bind(to_db(now));
        if any.fetch_one(&self.reader).await? {
            sqlx::query("DELETE FROM notifications WHERE expires_at <= ?")
                .bind(to_db(now))
                .execute(&self.writer)
                .await?;
        }
        Ok(())
    }

    /// Forgets what was told. If it became about more requests meanwhile, it is told again at
    /// `again_at`.
    pub(crate) async fn forget_notification(
        &self,
        told: &Notification,
        again_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM notifications WHERE id = ? AND about = ?")
            .bind(&told.id)
            .bind(told.about)
            .execute(&mut *change)
            .await?;
        sqlx::query("UPDATE notifications SET attempts = 0, next_at = ? WHERE id = ?")
            .bind(to_db(again_at))
            .bind(&told.id)
            .execute(&mut *change)
            .await?;
        super::commit(change).await
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

/// Stores what is to be told of a request, in the change that it tells of: `false` when `most`
/// things wait for that place already.
pub(crate) async fn insert(
    change: &mut Change,
    new: &NewNotification<'_>,
    request: &str,
    now: Timestamp,
    most: i64,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO notifications (id, target, body, created_at, next_at, expires_at, request_id)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
         WHERE (SELECT count(*) FROM notifications WHERE target = ?2) < ?8",
    )
    .bind(new.id)
    .bind(new.target)
    .bind(new.body)
    .bind(to_db(now))
    .bind(to_db(new.next_at))
    .bind(to_db(new.expires_at))
    .bind(request)
    .bind(most)
    .execute(&mut **change)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Stores that requests of an application wait, of which there are many. What is to be told of
/// them already tells of one more as well.
pub(crate) async fn fold(
    change: &mut Change,
    new: &NewNotification<'_>,
    application: &ApplicationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO notifications (id, target, body, created_at, next_at, expires_at, folded)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (target, folded) WHERE folded IS NOT NULL
         DO UPDATE SET expires_at = max(expires_at, excluded.expires_at), about = about + 1",
    )
    .bind(new.id)
    .bind(new.target)
    .bind(new.body)
    .bind(to_db(now))
    .bind(to_db(new.next_at))
    .bind(to_db(new.expires_at))
    .bind(application.as_str())
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Forgets one thing, in the change that says why.
pub(crate) async fn forget(change: &mut Change, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM notifications WHERE id = ?")
        .bind(id)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Forgets what is to be told of a request, and of all of its application when it was the last that
/// waits.
pub(crate) async fn forget_request(
    change: &mut Change,
    request: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM notifications WHERE request_id = ?1
             OR (folded = (SELECT application_id FROM access_requests WHERE id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM access_requests r
                     WHERE r.application_id = folded AND r.state = 'pending' AND r.expires_at > ?2
                         AND r.id NOT IN (SELECT request_id FROM authorization_requests)))",
    )
    .bind(request)
    .bind(to_db(now))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Forgets what is to be told of an application in which nothing waits any more.
pub(crate) async fn forget_application(
    change: &mut Change,
    application: &ApplicationId,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM notifications WHERE folded = ?1
             OR request_id IN (SELECT id FROM access_requests WHERE application_id = ?1)",
    )
    .bind(application.as_str())
    .execute(&mut **change)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000);
    const LATER: Timestamp = Timestamp::from_unix(1_060);

    #[tokio::test]
    async fn what_became_about_more_while_it_was_told_is_told_again_and_else_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("issuer.sqlite");
        std::fs::write(&file, "").unwrap();
        let store = Store::open(&file).await.unwrap();
        let application: ApplicationId = "default".parse().unwrap();
        let one_more = async |id: &str| {
            let new = NewNotification {
                id,
                target: "here",
                body: "{}",
                next_at: NOW,
                expires_at: Timestamp::from_unix(9_000),
            };
            let mut change = store.change().await.unwrap();
            fold(&mut change, &new, &application, NOW).await.unwrap();
            crate::store::commit(change).await.unwrap();
        };
        let due = async |at| store.due_notifications("here", at, 9).await.unwrap();
        one_more("first").await;
        let told = due(NOW).await.remove(0);
        one_more("second").await;
        store.forget_notification(&told, LATER).await.unwrap();
        assert!(due(NOW).await.is_empty());
        let again = due(LATER).await.remove(0);
        assert_eq!((again.about, again.attempts), (2, 0));
        store.forget_notification(&again, LATER).await.unwrap();
        assert!(due(LATER).await.is_empty());
        assert_eq!(store.next_notification("here").await.unwrap(), None);
    }
}
