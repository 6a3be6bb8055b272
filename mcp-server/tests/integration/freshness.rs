//! Keys and revocations: what is believed, for how long, and what survives a restart.

use std::time::Duration;

use bailiwick_mcp_server::{RefreshError, TrustStoreError};
use ed25519_dalek::SigningKey;
use serde_json::json;

use crate::harness::{MAX_STALENESS, Reply, TestGateway, TokenSpec, request};

async fn read(gateway: &TestGateway, token: &str) -> Reply {
    gateway
        .call(token, "files.read_file", json!({"path": "reports/q3.md"}))
        .await
}

#[tokio::test]
async fn nothing_is_decided_before_the_first_refresh() {
    let gateway = TestGateway::start_unrefreshed().await;
    let token = gateway.reading_token();
    let reply = read(&gateway, &token).await;
    assert_eq!(reply.code(), (503, "revocation_stale".to_owned()));
    gateway.refresh().await;
    assert_eq!(
        read(&gateway, &token).await.tool_text(),
        "# Q3\nRevenue grew.\n"
    );
}

#[tokio::test]
async fn a_revoked_session_is_refused_after_the_next_refresh() {
    let gateway = TestGateway::start().await;
    let (revoked, other) = (
        gateway.reading_token(),
        TokenSpec {
            session: "ses-2".into(),
            ..TokenSpec::reading(&gateway.audience())
        }
        .mint(),
    );
    assert_eq!(read(&gateway, &revoked).await.status, 200);
    gateway.issuer.revoke("ses-1");
    gateway.refresh().await;
    assert_eq!(
        read(&gateway, &revoked).await.code(),
        (401, "revoked".to_owned())
    );
    assert_eq!(
        read(&gateway, &other).await.tool_text(),
        "# Q3\nRevenue grew.\n"
    );
}

#[tokio::test]
async fn a_list_as_old_as_the_bound_still_clears_and_an_older_one_refuses() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    gateway.issuer.go_down();
    gateway.clock.advance(MAX_STALENESS);
    assert_eq!(
        read(&gateway, &token).await.tool_text(),
        "# Q3\nRevenue grew.\n"
    );
    assert_eq!(gateway.get("/readyz").await.status, 200);
    gateway.clock.advance(Duration::from_millis(1));
    let reply = read(&gateway, &token).await;
    assert_eq!(reply.code(), (503, "revocation_stale".to_owned()));
    assert_eq!(
        gateway.get("/readyz").await.code(),
        (503, "revocation_stale".to_owned())
    );
    // Discovery is refused like calls: the token itself cannot be vouched for.
    let list = gateway.send(&token, &request("tools/list")).await;
    assert_eq!(list.code(), (503, "revocation_stale".to_owned()));
    assert!(gateway.gateway().refresh().await.is_err());
    assert_eq!(read(&gateway, &token).await.status, 503);
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again_and_is_fresh_again() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    gateway.clock.advance(MAX_STALENESS);
    gateway.refresh().await;
    assert_eq!(gateway.issuer.not_modified(), 1);
    gateway.clock.advance(MAX_STALENESS);
    assert_eq!(read(&gateway, &token).await.status, 200);
}

#[tokio::test]
async fn a_restart_without_the_issuer_refuses_what_was_revoked_and_everything_else_as_stale() {
    let mut gateway = TestGateway::start().await;
    let (revoked, other) = (
        gateway.reading_token(),
        TokenSpec {
            session: "ses-2".into(),
            ..TokenSpec::reading(&gateway.audience())
        }
        .mint(),
    );
    gateway.issuer.revoke("ses-1");
    gateway.refresh().await;
    gateway.issuer.go_down();
    gateway.restart().await;
    assert!(gateway.gateway().refresh().await.is_err());
    assert_eq!(
        read(&gateway, &revoked).await.code(),
        (401, "revoked".to_owned())
    );
    assert_eq!(
        read(&gateway, &other).await.code(),
        (503, "revocation_stale".to_owned())
    );
    assert_eq!(
        gateway.get("/readyz").await.code(),
        (503, "revocation_stale".to_owned())
    );
}

#[tokio::test]
async fn a_list_signed_by_another_key_changes_nothing() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    gateway
        .issuer
        .publish_revocations(&SigningKey::from_bytes(&[9; 32]));
    let refused = gateway.gateway().refresh().await;
    assert!(
        matches!(refused, Err(RefreshError::Revocations(_))),
        "{refused:?}"
    );
    gateway.clock.advance(MAX_STALENESS);
    assert_eq!(read(&gateway, &token).await.status, 200);
    gateway.clock.advance(Duration::from_millis(1));
    assert_eq!(read(&gateway, &token).await.status, 503);
}

#[tokio::test]
async fn a_key_set_that_the_anchor_did_not_sign_is_not_taken() {
    let gateway = TestGateway::start_unrefreshed().await;
    gateway
        .issuer
        .publish_keys(&SigningKey::from_bytes(&[9; 32]));
    let keys = gateway.gateway().refresh().await;
    // Without keys there is no list either; what is reported is the last that failed.
    assert!(matches!(keys, Err(RefreshError::NoKeys)), "{keys:?}");
    assert_eq!(
        gateway.get("/readyz").await.code(),
        (503, "unknown_key".to_owned())
    );
}

#[tokio::test]
async fn a_stored_key_set_of_another_anchor_stops_the_gateway_from_opening() {
    let mut gateway = TestGateway::start().await;
    gateway.stop().await;
    let mut config = gateway.config();
    config.trust_anchor = bailiwick_verifier::TrustAnchor::new(
        bailiwick_verifier::signed::PublicKeyHex::from(&SigningKey::from_bytes(&[9; 32])),
    );
    let opened = bailiwick_mcp_server::Gateway::open(config).err();
    assert!(
        matches!(
            opened,
            Some(bailiwick_mcp_server::OpenError::Trust(
                TrustStoreError::Refused(_)
            ))
        ),
        "{opened:?}"
    );
}
