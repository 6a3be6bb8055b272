//! Clients that register themselves.

use serde_json::{Value, json};

use crate::{
    harness::World,
    oauth_client::{Client, REDIRECT, register},
};

fn with(name: &str, value: Value) -> Value {
    let mut metadata = json!({"client_name": "Inspector", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none"});
    metadata[name] = value;
    metadata
}

#[tokio::test]
async fn client_that_registers_learns_what_it_may() {
    let world = World::new().await;
    let metadata = with(
        "grant_types",
        json!(["authorization_code", "refresh_token"]),
    );
    let reply = register(&world, &metadata).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), "no-store");
    let reply = reply.json();
    assert!(reply["client_id"].as_str().unwrap().starts_with("cli_"));
    assert_eq!(reply["redirect_uris"], json!([REDIRECT]));
    assert_eq!(reply["token_endpoint_auth_method"], "none");
    assert!(reply.get("client_secret").is_none());
    assert!(!reply["grant_types"].to_string().contains("refresh_token"));
}

#[tokio::test]
async fn client_that_says_nothing_of_it_gets_a_secret() {
    let world = World::new().await;
    let metadata = json!({"redirect_uris": [REDIRECT], "software_version": 7});
    let reply = register(&world, &metadata).await.json();
    assert_eq!(reply["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(reply["client_secret"].as_str().unwrap().len(), 43);
    assert_eq!(reply["client_secret_expires_at"], 0);
    assert_eq!(reply["client_name"], "unnamed program");
}

#[tokio::test]
async fn metadata_that_cannot_be_used_is_refused_by_name() {
    let world = World::new().await;
    let eleven = vec![REDIRECT; 11];
    for (metadata, error) in [
        (with("redirect_uris", json!([])), "invalid_redirect_uri"),
        (with("redirect_uris", Value::Null), "invalid_redirect_uri"),
        (with("redirect_uris", json!(eleven)), "invalid_redirect_uri"),
        (
            with("redirect_uris", json!(["javascript:alert(1)"])),
            "invalid_redirect_uri",
        ),
        (
            with("redirect_uris", json!([REDIRECT, "data:text/html,x"])),
            "invalid_redirect_uri",
        ),
        (
            with("redirect_uris", json!(["http://app.example/cb"])),
            "invalid_redirect_uri",
        ),
        (
            with("redirect_uris", json!("https://app.example/cb")),
            "invalid_client_metadata",
        ),
        (
            with("client_name", json!("x".repeat(101))),
            "invalid_client_metadata",
        ),
        (
            with("token_endpoint_auth_method", json!("tls_client_auth")),
            "invalid_client_metadata",
        ),
        (
            with("grant_types", json!(["client_credentials"])),
            "invalid_client_metadata",
        ),
        (
            with("response_types", json!(["token"])),
            "invalid_client_metadata",
        ),
        (json!([]), "invalid_client_metadata"),
    ] {
        let reply = register(&world, &metadata).await;
        assert_eq!(reply.oauth(), (400, error.to_owned()), "{metadata}");
    }
    for good in [
        with("redirect_uris", json!(vec![REDIRECT; 10])),
        with("client_name", json!("x".repeat(100))),
    ] {
        assert_eq!(register(&world, &good).await.status, 201);
    }
}

#[tokio::test]
async fn hundred_clients_an_hour_may_register_and_one_more_may_not() {
    let world = World::new().await;
    let metadata = with("client_name", json!("One of many"));
    for _ in 0..100 {
        assert_eq!(register(&world, &metadata).await.status, 201);
    }
    let refused = register(&world, &metadata).await;
    assert_eq!(refused.oauth(), (429, "temporarily_unavailable".to_owned()));
    world.advance(60 * 60);
    assert_eq!(register(&world, &metadata).await.status, 201);
}

#[tokio::test]
async fn client_that_never_asks_is_forgotten_after_a_day_and_one_that_asked_is_not() {
    let (world, mut browser) = World::with_approver().await;
    let idle = Client::register(&world).await;
    let busy = Client::register(&world).await;
    busy.asks(&mut browser, Some("tool:files.search")).await;
    world.advance(24 * 60 * 60 + 1);
    Client::register(&world).await;
    let known = async |client: &Client| {
        let reply = client.redeem(&world, "unknown code").await;
        reply.oauth().1
    };
    assert_eq!(known(&idle).await, "invalid_client");
    assert_eq!(known(&busy).await, "invalid_grant");
}

#[tokio::test]
async fn name_of_a_client_is_shown_harmless() {
    let (world, mut browser) = World::with_approver().await;
    let hostile = "<script>alert(1)</script>\u{202e}evil";
    let client = Client::register_as(&world, &with("client_name", json!(hostile))).await;
    let form = client.asks(&mut browser, Some("tool:files.search")).await;
    assert!(!form.page.contains("<script>"));
    assert!(!form.page.contains('\u{202e}'));
    assert!(form.page.contains("⟨U+202E⟩evil"));
    assert!(form.page.contains("nobody has checked its name"));
}
