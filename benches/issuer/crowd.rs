//! Fills a store: requests through the front door, sessions by copying one row many times.

use sqlx::{Connection as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::world::{START, World};

/// As many requests as wait in one application.
const PLACES: usize = 90;
/// Letters of user codes.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Every so many seconds a session was approved; so some are live and most are over.
const APART: usize = 5;

/// Has so many requests wait.
pub(crate) async fn wait(world: &World, count: usize) {
    for number in 0..count {
        let client = format!("crowd-{}", number / PLACES);
        if number.is_multiple_of(PLACES) {
            world.add_application(&client).await;
        }
        world.ask(&client).await;
    }
}

/// Has so many sessions beside the one there is: copies of it with times and ids of their own.
pub(crate) async fn approve(world: &World, count: usize) {
    let options = SqliteConnectOptions::new().filename(world.database());
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    let mut change = store.begin().await.unwrap();
    for table in ["access_requests", "sessions"] {
        let copy = format!("CREATE TEMP TABLE one_{table} AS SELECT * FROM {table} LIMIT 1");
        change.execute(sqlx::AssertSqlSafe(copy)).await.unwrap();
    }
    for number in 0..count {
        copy(&mut change, number).await;
    }
    change.commit().await.unwrap();
    store.close().await.unwrap();
}

async fn copy(change: &mut SqliteConnection, number: usize) {
    let (request, session) = (format!("apr_{number:032x}"), format!("ses_{number:032x}"));
    let at = i64::try_from(START).unwrap() - i64::try_from(number * APART).unwrap();
    sqlx::query(
        "UPDATE one_access_requests SET id = ?, device_code_hash = randomblob(32), user_code = ?, \
         created_at = ?, decided_at = ?",
    )
    .bind(&request)
    .bind(user_code(number))
    .bind(at)
    .bind(at)
    .execute(&mut *change)
    .await
    .unwrap();
    sqlx::query(
        "UPDATE one_sessions SET id = ?, request_id = ?, approved_at = ?, expires_at = ?, \
         agent = ?, revocation_id = randomblob(64)",
    )
    .bind(&session)
    .bind(&request)
    .bind(at)
    .bind(at + 900)
    .bind(format!("agent {}", number % 100))
    .execute(&mut *change)
    .await
    .unwrap();
    for table in ["access_requests", "sessions"] {
        let insert = format!("INSERT INTO {table} SELECT * FROM one_{table}");
        change.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
    }
}

/// A code that no other number has.
fn user_code(number: usize) -> String {
    let base = LETTERS.len();
    let digits = (0..8_u32).map(|place| number / base.pow(place) % base);
    digits.map(|digit| char::from(LETTERS[digit])).collect()
}
