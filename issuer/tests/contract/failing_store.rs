//! When the disk, the database or the gateway fails: a clean refusal, and no token.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use axum::{Json, Router, routing::get};
use bailiwick_issuer::{CatalogueError, Issuer, KeyError, OpenError};
use bailiwick_verifier::ManualClock;
use serde_json::json;

use crate::harness::{World, catalogue, config, details};

#[tokio::test]
async fn closed_database_refuses_everything_and_mints_nothing() {
    let (mut world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await.with("decision", "approve");
    browser.submit(&form).await;
    world.issuer.take().unwrap().close().await;
    let poll = world.poll(&asked).await;
    assert_eq!(poll.oauth(), (503, "temporarily_unavailable".to_owned()));
    assert!(!poll.body.contains("access_token"));
    assert_eq!(
        world.ask(&details()).await.oauth(),
        (503, "temporarily_unavailable".to_owned())
    );
    assert_eq!(
        browser.submit(&form).await.verdict(),
        (503, "temporarily_unavailable")
    );
    assert_eq!(
        world.get("/v1/revocations").await.verdict(),
        (503, "temporarily_unavailable")
    );
    assert_eq!(
        world.get("/readyz").await.verdict(),
        (503, "temporarily_unavailable")
    );
    assert_eq!(world.get("/healthz").await.status, 200);

    // Nothing was lost: the token is still there to be collected.
    world.restart().await;
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn database_that_cannot_write_mints_nothing_and_says_no_more_than_that() {
    let (mut world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    tamper(
        &world,
        "CREATE TRIGGER broken BEFORE UPDATE ON sessions
        BEGIN SELECT RAISE(ABORT, 'disk on fire'); END",
    )
    .await;
    let poll = world.poll(&asked).await;
    assert_eq!(poll.oauth(), (503, "temporarily_unavailable".to_owned()));
    assert!(!poll.body.contains("fire") && !poll.body.contains("access_token"));
    tamper(&world, "DROP TRIGGER broken").await;
    world.restart().await;
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn database_locked_by_somebody_else_refuses_and_loses_nothing() {
    let (world, mut browser) = World::with_approver().await;
    let decided = world.asked().await;
    browser.approve(&decided).await;
    let open = world.asked().await;
    let form = browser.open(&open).await.with("decision", "approve");
    let pool = connect(&world).await;
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let asks = details();
    let (poll, ask) = tokio::join!(world.poll(&decided), world.ask(&asks));
    for refused in [poll, ask] {
        assert_eq!(refused.oauth(), (503, "temporarily_unavailable".to_owned()));
        assert!(!refused.body.contains("access_token"));
    }
    drop(lock);
    pool.close().await;
    assert_eq!(world.poll(&decided).await.status, 200);
    assert_eq!(browser.submit(&form).await.status, 303);
    assert_eq!(world.poll(&open).await.status, 200);
}

pub(crate) async fn connect(world: &World) -> sqlx::SqlitePool {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(world.file("issuer/issuer.sqlite"));
    sqlx::SqlitePool::connect_with(options).await.unwrap()
}

pub(crate) async fn tamper(world: &World, sql: &'static str) {
    let pool = connect(world).await;
    sqlx::query(sql).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn change_that_cannot_be_committed_brings_no_token_and_is_recorded_as_undone() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    tamper(
        &world,
        "CREATE TABLE orphans (x TEXT REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    .await;
    tamper(
        &world,
        "CREATE TRIGGER broken AFTER UPDATE ON sessions
         BEGIN INSERT INTO orphans VALUES ('nobody'); END",
    )
    .await;
    let poll = world.poll(&asked).await;
    assert_eq!(poll.oauth(), (503, "temporarily_unavailable".to_owned()));
    assert!(!poll.body.contains("access_token"));
    let text = fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    let last = bailiwick_verifier::audit::Entry::parse(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (last.event.as_str(), &last.fields["event"]),
        ("not_committed", &json!("token_minted"))
    );
    tamper(&world, "DROP TRIGGER broken").await;
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn request_changed_in_the_database_is_not_minted() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    tamper(
        &world,
        "UPDATE access_requests
        SET request_json = replace(request_json, 'files/reports', 'files')",
    )
    .await;
    assert_eq!(
        world.poll(&asked).await.oauth(),
        (503, "temporarily_unavailable".to_owned())
    );
}

#[tokio::test]
async fn grant_widened_in_the_database_is_not_minted() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    tamper(
        &world,
        "UPDATE sessions
        SET granted_json = replace(granted_json, 'files/reports', 'files')",
    )
    .await;
    assert_eq!(
        world.poll(&asked).await.oauth(),
        (503, "temporarily_unavailable".to_owned())
    );
}

#[tokio::test]
async fn gateway_out_of_reach_refuses_requests() {
    let (world, _) = World::with_approver().await;
    world
        .gateway
        .answers(Err(CatalogueError::Unreachable("status 500".to_owned())));
    let reply = world.ask(&details()).await;
    assert_eq!(reply.oauth(), (503, "temporarily_unavailable".to_owned()));
    assert!(reply.body.contains("catalogue"));
}

#[tokio::test]
async fn gateway_of_another_audience_refuses_requests() {
    let (world, _) = World::with_approver().await;
    world
        .gateway
        .answers(Ok(json!({"audience": "http://other/mcp", "tools": []})));
    let reply = world.ask(&details()).await;
    assert_eq!(reply.oauth(), (503, "temporarily_unavailable".to_owned()));
}

#[tokio::test]
async fn catalogue_is_kept_for_half_a_minute_and_fetched_again_for_an_unknown_tool() {
    let (world, _) = World::with_approver().await;
    let fetches = || *world.gateway.fetches.lock().unwrap();
    world.asked().await;
    world.asked().await;
    assert_eq!(fetches(), 1);
    world.advance(29);
    world.asked().await;
    assert_eq!(fetches(), 1);
    world.advance(1);
    world.asked().await;
    assert_eq!(fetches(), 2);
    let mut unknown = details();
    unknown[0]["tools"][0]["name"] = json!("files.new_tool");
    assert_eq!(world.ask(&unknown).await.status, 400);
    assert_eq!(fetches(), 2, "not within a second of the last fetch");
    world.advance(1);
    assert_eq!(world.ask(&unknown).await.status, 400);
    assert_eq!(fetches(), 3);
}

#[tokio::test]
async fn catalogue_is_fetched_from_a_gateway_over_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v1/catalogue", get(async || Json(catalogue())));
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(bailiwick_datalog::Timestamp::from_unix(
        1_000,
    )));
    let mut config = config(dir.path(), &clock, crate::harness::ORIGIN);
    config.gateway_url = format!("http://{address}").parse().unwrap();
    let issuer = Issuer::open(config).await.unwrap();
    let mut world = World::new().await;
    world.router = issuer.router();
    assert_eq!(world.ask(&details()).await.status, 200);
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    clock.advance(Duration::from_secs(30));
    assert_eq!(world.ask(&details()).await.oauth().0, 503);
}

#[tokio::test]
async fn lost_or_exposed_keys_stop_the_start() {
    let mut world = World::new().await;
    world.issuer.take().unwrap().close().await;
    let key = world.file("issuer/keys/mint-1.key");
    let open =
        async || Issuer::open(config(world.dir(), &world.clock, crate::harness::ORIGIN)).await;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        open().await,
        Err(OpenError::Key(KeyError::Exposed { mode: 0o644, .. }))
    ));
    fs::remove_file(&key).unwrap();
    assert!(matches!(
        open().await,
        Err(OpenError::Key(KeyError::Missing(_)))
    ));
    fs::remove_dir_all(world.file("issuer/keys")).unwrap();
    assert!(matches!(
        open().await,
        Err(OpenError::Key(KeyError::Missing(_)))
    ));
}

#[tokio::test]
async fn damaged_audit_file_stops_the_start() {
    let mut world = World::new().await;
    world.issuer.take().unwrap().close().await;
    fs::write(world.file("audit/issuer.jsonl"), "{\"event\":\"forged\"}\n").unwrap();
    let opened = Issuer::open(config(world.dir(), &world.clock, crate::harness::ORIGIN)).await;
    assert!(matches!(opened, Err(OpenError::Audit(_))));
}

#[tokio::test]
async fn issuer_that_moves_publishes_its_keys_under_the_next_number() {
    let mut world = World::new().await;
    world.issuer.take().unwrap().close().await;
    let moved = Issuer::open(config(world.dir(), &world.clock, "http://127.0.0.1:9999"))
        .await
        .unwrap();
    world.router = moved.router();
    let body = world.get("/v1/keys").await.body;
    let document = bailiwick_verifier::signed::SignedDocument::from_json(body.as_bytes()).unwrap();
    let keys = moved.trust_anchor().accept(&document, None).unwrap();
    assert_eq!((keys.seq(), keys.issuer()), (2, "http://127.0.0.1:9999"));
}
