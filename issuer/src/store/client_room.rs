//! Room for clients that nobody registered by hand: which are kept, and which give way.
//!
//! They are those whose documents were read, and clients of older versions that registered
//! themselves; today those carry what they registered in their ids and take no room. Anybody can
//! make as many as they like, so what counts is whether a person ever approved a
//! request of one. Those that nobody approved go first, the oldest of them before others, and none
//! goes while something of it is open: a flood drives out itself.

use std::time::Duration;

use bailiwick_datalog::Timestamp;

use super::{Change, StoreError, seconds_to_db, to_db};
use crate::oauth::client::ClientKind;

/// A client that was never approved is forgotten after this long.
const KEEP_UNAPPROVED: Duration = Duration::from_secs(24 * 60 * 60);
/// One that was, after this long without asking again.
const KEEP_APPROVED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Whether a request of client `c` was ever approved. Approved requests are kept for good.
macro_rules! approved {
    () => {
        "EXISTS (SELECT 1 FROM access_requests r
             WHERE r.client_id = c.client_id AND r.state = 'approved')"
    };
}

/// Whether a request of client `c` waits, or a session of it lives, at `?1`.
macro_rules! in_use {
    () => {
        "EXISTS (SELECT 1 FROM access_requests r LEFT JOIN sessions s ON s.request_id = r.id
             WHERE r.client_id = c.client_id
                 AND ((r.state = 'pending' AND r.expires_at > ?1)
                     OR (s.expires_at > ?1 AND s.revoked_at IS NULL)))"
    };
}

/// Forgets clients that were not approved in time, or did not ask for a long time.
pub(crate) async fn forget_unused(change: &mut Change, now: Timestamp) -> Result<(), StoreError> {
    let before = |age| to_db(now).saturating_sub(seconds_to_db(age));
    sqlx::query(concat!(
        "DELETE FROM clients AS c WHERE c.kind IN ('dynamic', 'document')
             AND ((c.created_at < ?2 AND NOT ",
        approved!(),
        ") OR coalesce(c.last_asked_at, c.created_at) < ?3)
             AND NOT ",
        in_use!()
    ))
    .bind(to_db(now))
    .bind(before(KEEP_UNAPPROVED))
    .bind(before(KEEP_APPROVED))
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Makes sure that there is room for one more client of a kind, of which there may be `most`:
/// `false` when every one of them is in use.
pub(crate) async fn make_room(
    change: &mut Change,
    kind: ClientKind,
    most: u32,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let count: u32 = sqlx::query_scalar("SELECT count(*) FROM clients WHERE kind = ?")
        .bind(kind.as_str())
        .fetch_one(&mut **change)
        .await?;
    let Some(over) = count.checked_sub(most) else {
        return Ok(true);
    };
    // A few more than must go, so that a flood does not pay for the search each time.
    let spare = most.checked_div(100).unwrap_or_default().max(1);
    let gone = sqlx::query(concat!(
        "DELETE FROM clients WHERE client_id IN (
             SELECT c.client_id FROM clients c WHERE c.kind = ?2 AND NOT ",
        in_use!(),
        " ORDER BY ",
        approved!(),
        ", coalesce(c.last_asked_at, c.created_at), c.rowid LIMIT ?3)"
    ))
    .bind(to_db(now))
    .bind(kind.as_str())
    .bind(over.saturating_add(spare))
    .execute(&mut **change)
    .await?;
    Ok(gone.rows_affected() > u64::from(over))
}

/// How many clients of a kind were stored within `window` before `now`.
pub(crate) async fn count_lately(
    change: &mut Change,
    kind: ClientKind,
    window: Duration,
    now: Timestamp,
) -> Result<u32, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM clients WHERE kind = ? AND created_at > ?")
            .bind(kind.as_str())
            .bind(to_db(now).saturating_sub(seconds_to_db(window)))
            .fetch_one(&mut **change)
            .await?,
    )
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::Store;

    const NOW: Timestamp = Timestamp::from_unix(10_000_000);

    async fn store() -> (TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("issuer.sqlite");
        std::fs::write(&file, "").unwrap();
        let store = Store::open(&file).await.unwrap();
        (dir, store)
    }

    /// A client that registered itself `age` seconds ago.
    async fn client(change: &mut Change, id: &str, age: i64) {
        sqlx::query(
            "INSERT INTO clients (client_id, application_id, kind, name, redirect_uris,
                 auth_method, created_at) VALUES (?, 'default', 'dynamic', 'x', '[]', 'none', ?)",
        )
        .bind(id)
        .bind(10_000_000 - age)
        .execute(&mut **change)
        .await
        .unwrap();
    }

    /// A request of a client that ends `left` seconds from now.
    async fn request(change: &mut Change, client: &str, state: &str, left: i64) {
        let id = format!("{client} {state} {left}");
        sqlx::query(
            "INSERT INTO access_requests (id, application_id, client_id, device_code_hash,
                 user_code, request_json, request_digest, state, created_at, expires_at,
                 poll_interval_s)
             VALUES (?1, 'default', ?2, randomblob(32), ?1, '', randomblob(32), ?3, 0, ?4, 5)",
        )
        .bind(&id)
        .bind(client)
        .bind(state)
        .bind(10_000_000 + left)
        .execute(&mut **change)
        .await
        .unwrap();
        if state == "approved" {
            sqlx::query(
                "INSERT INTO sessions (id, request_id, principal, granted_json, approved_at,
                     expires_at) VALUES (?1, ?1, 'ada', '', 0, ?2)",
            )
            .bind(&id)
            .bind(10_000_000 + left)
            .execute(&mut **change)
            .await
            .unwrap();
        }
    }

    async fn kept(change: &mut Change) -> Vec<String> {
        sqlx::query_scalar("SELECT client_id FROM clients WHERE kind = 'dynamic' ORDER BY 1")
            .fetch_all(&mut **change)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn clients_in_use_stay_and_of_the_others_the_unapproved_go_first_the_oldest_before() {
        let (_dir, store) = store().await;
        let mut change = store.change().await.unwrap();
        for (id, age) in [
            ("approved", 900),
            ("live", 800),
            ("old", 300),
            ("pending", 700),
        ] {
            client(&mut change, id, age).await;
        }
        client(&mut change, "young", 200).await;
        request(&mut change, "approved", "approved", -1).await;
        request(&mut change, "live", "approved", 1).await;
        request(&mut change, "pending", "pending", 1).await;
        request(&mut change, "old", "pending", 0).await;
        let kind = ClientKind::Dynamic;
        let room = make_room(&mut change, kind, 6, NOW).await.unwrap();
        assert!(room && kept(&mut change).await.len() == 5, "there was room");
        for gone in ["old", "young", "approved"] {
            let most = u32::try_from(kept(&mut change).await.len()).unwrap();
            assert!(kept(&mut change).await.contains(&gone.to_owned()));
            assert!(make_room(&mut change, kind, most, NOW).await.unwrap());
            assert!(
                !kept(&mut change).await.contains(&gone.to_owned()),
                "{gone}"
            );
        }
        assert!(
            !make_room(&mut change, kind, 2, NOW).await.unwrap(),
            "both are in use"
        );
        assert_eq!(kept(&mut change).await, ["live", "pending"]);
    }

    #[tokio::test]
    async fn unapproved_client_is_kept_for_a_day_and_an_approved_one_for_ninety() {
        let day = 24 * 60 * 60;
        let (_dir, store) = store().await;
        let mut change = store.change().await.unwrap();
        client(&mut change, "a day", day).await;
        client(&mut change, "b day and a second", day + 1).await;
        client(&mut change, "c waits", day + 1).await;
        client(&mut change, "d ninety", 90 * day).await;
        client(&mut change, "e ninety and a second", 90 * day + 1).await;
        request(&mut change, "c waits", "pending", 1).await;
        request(&mut change, "d ninety", "approved", -1).await;
        request(&mut change, "e ninety and a second", "approved", -1).await;
        forget_unused(&mut change, NOW).await.unwrap();
        assert_eq!(kept(&mut change).await, ["a day", "c waits", "d ninety"]);
    }
}
