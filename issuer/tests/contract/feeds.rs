//! What verifiers fetch: keys and revocations, signed.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, header},
};
use bailiwick_verifier::{
    MemoryRevocations, RevocationStatus, RevocationView as _, UnverifiedToken,
    signed::SignedDocument, trust::KeySetDocument,
};
use serde_json::json;

use crate::harness::{Reply, World};

async fn key_set(world: &World) -> KeySetDocument {
    let reply = world.get("/v1/keys").await;
    assert_eq!(reply.header("content-type"), "application/json");
    let document = SignedDocument::from_json(reply.body.as_bytes()).unwrap();
    world
        .issuer
        .as_ref()
        .unwrap()
        .trust_anchor()
        .accept(&document, None)
        .unwrap()
}

async fn fetch(world: &World, etag: Option<&str>) -> Reply {
    let mut request = Request::get("/v1/revocations");
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn apply(world: &World, list: &MemoryRevocations) {
    let keys = key_set(world).await;
    let reply = fetch(world, None).await;
    let document = SignedDocument::from_json(reply.body.as_bytes()).unwrap();
    list.apply(&document, keys.revocation_keys(), world.now().monotonic)
        .unwrap();
}

#[tokio::test]
async fn key_set_is_signed_by_the_anchor_and_names_the_issuer() {
    let world = World::new().await;
    let keys = key_set(&world).await;
    assert_eq!((keys.seq(), keys.issuer()), (1, "http://127.0.0.1:8400"));
    assert!(keys.key_set().get(1).is_some());
    assert_eq!(keys.revocation_keys().len(), 1);
}

#[tokio::test]
async fn key_set_keeps_its_number_over_a_restart() {
    let mut world = World::new().await;
    let before = key_set(&world).await;
    world.restart().await;
    assert_eq!(key_set(&world).await, before);
}

#[tokio::test]
async fn revoked_session_is_on_the_list_at_once() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let text = world.poll(&asked).await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let list = MemoryRevocations::new(Duration::from_secs(30));
    apply(&world, &list).await;
    let token = UnverifiedToken::from_text(&text).unwrap();
    let ids = revocation_ids(&world, &token).await;
    let monotonic = world.now().monotonic;
    assert_eq!(
        list.check("another", &ids, monotonic),
        RevocationStatus::Clear
    );

    let operator = world.bearer("operator.token");
    let body = json!({"session": session}).to_string();
    world.post_json("/v1/revocations", &operator, &body).await;
    apply(&world, &list).await;
    assert_eq!(list.seq(), Some(2));
    let revoked = RevocationStatus::Revoked { block: 0 };
    assert_eq!(
        list.check("another", &ids, monotonic),
        revoked,
        "by the id of its first block"
    );
    assert_eq!(
        list.check(&session, &[], monotonic),
        revoked,
        "and by its session"
    );
}

async fn revocation_ids(
    world: &World,
    token: &UnverifiedToken,
) -> Vec<bailiwick_datalog::RevocationId> {
    let keys = key_set(world).await;
    let verifier = bailiwick_verifier::Verifier::new(bailiwick_verifier::VerifierConfig {
        audience: bailiwick_datalog::Audience::parse(crate::harness::AUDIENCE).unwrap(),
        keys: std::sync::Arc::new(keys.key_set().clone()),
        revocations: std::sync::Arc::new(MemoryRevocations::fixed([])),
    })
    .unwrap();
    verifier
        .verify(token, world.now())
        .unwrap()
        .chain()
        .revocation_ids()
        .to_vec()
}

#[tokio::test]
async fn list_is_sent_again_only_when_it_changed() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let first = fetch(&world, None).await;
    let etag = first.header("etag").to_owned();
    let unchanged = fetch(&world, Some(&etag)).await;
    assert_eq!(
        (unchanged.status.as_u16(), unchanged.body.as_str()),
        (304, "")
    );
    assert_eq!(unchanged.header("etag"), etag);
    let operator = world.bearer("operator.token");
    let body = json!({"session": session}).to_string();
    world.post_json("/v1/revocations", &operator, &body).await;
    let changed = fetch(&world, Some(&etag)).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn revocation_survives_a_restart() {
    let (mut world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let operator = world.bearer("operator.token");
    let body = json!({"session": session}).to_string();
    world.post_json("/v1/revocations", &operator, &body).await;
    let before = fetch(&world, None).await;
    world.restart().await;
    assert_eq!(fetch(&world, None).await.body, before.body);
}

#[tokio::test]
async fn entry_leaves_the_list_minutes_after_its_token_expired_under_a_new_number() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let operator = world.bearer("operator.token");
    let body = json!({"session": session}).to_string();
    world.post_json("/v1/revocations", &operator, &body).await;
    let list = MemoryRevocations::new(Duration::from_secs(3_600));
    world.advance(900 + 300);
    apply(&world, &list).await;
    assert_eq!(
        list.seq(),
        Some(2),
        "still listed, for verifiers whose clock is behind"
    );
    world.advance(1);
    apply(&world, &list).await;
    assert_eq!(list.seq(), Some(3));
    let status = list.check(&session, &[], world.now().monotonic);
    assert_eq!(status, RevocationStatus::Clear);
}

#[tokio::test]
async fn entry_that_a_clock_running_ahead_took_off_the_list_comes_back() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let operator = world.bearer("operator.token");
    let body = json!({"session": session}).to_string();
    world.post_json("/v1/revocations", &operator, &body).await;
    let list = MemoryRevocations::new(Duration::from_secs(3_600));
    let right = world.now().utc;
    world.advance(900 + 301);
    apply(&world, &list).await;
    assert_eq!(list.seq(), Some(3));
    world.clock.set_utc(right);
    apply(&world, &list).await;
    assert_eq!(list.seq(), Some(4));
    let status = list.check(&session, &[], world.now().monotonic);
    assert_eq!(status, RevocationStatus::Revoked { block: 0 });
}

#[tokio::test]
async fn every_decision_is_on_the_audit_chain() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    world.poll(&asked).await;
    let operator = world.bearer("operator.token");
    let body = json!({"session": session}).to_string();
    world.post_json("/v1/revocations", &operator, &body).await;
    let denied = world.asked().await;
    let form = browser
        .open(&denied)
        .await
        .with("decision", "deny")
        .with("reason", "no");
    browser.submit(&form).await;

    let text = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    let summary = bailiwick_verifier::audit::verify(text.lines()).unwrap();
    assert_eq!(summary.lines, 7);
    let events: Vec<String> = text
        .lines()
        .map(|line| bailiwick_verifier::audit::Entry::parse(line).unwrap().event)
        .collect();
    assert_eq!(
        events,
        [
            "approver_created",
            "access_requested",
            "request_approved",
            "token_minted",
            "session_revoked",
            "access_requested",
            "request_denied",
        ]
    );
}
