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
async fn flood_of_registrations_stops_nobody_and_is_counted_in_the_record() {
    let world = World::new().await;
    let metadata = with("client_name", json!("One of many"));
    for number in 0..200 {
        let reply = register(&world, &metadata).await;
        assert_eq!(reply.status, 201, "{number}: {}", reply.body);
    }
    let record = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    let named = record.matches("\"event\":\"client_registered\"").count();
    assert_eq!(named, 100);
    let counted: Vec<&str> = record
        .lines()
        .filter(|line| line.contains("\"event\":\"clients_counted\""))
        .collect();
    assert!(
        matches!(counted[..], [line] if line.contains("\"count\":200")),
        "{counted:?}"
    );
    world.advance(60 * 60);
    Client::register(&world).await;
    let record = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    assert_eq!(
        record.matches("\"event\":\"client_registered\"").count(),
        101
    );
}

#[tokio::test]
async fn client_is_forgotten_after_a_day_unless_somebody_approved_it() {
    let (world, mut browser) = World::with_approver().await;
    let idle = Client::register(&world).await;
    let asked = Client::register(&world).await;
    let approved = Client::register(&world).await;
    asked.asks(&mut browser, Some("tool:files.search")).await;
    approved.code(&mut browser, "tool:files.search").await;
    world.advance(24 * 60 * 60 + 1);
    Client::register(&world).await;
    let known = async |client: &Client| {
        let reply = client.redeem(&world, "unknown code").await;
        reply.oauth().1
    };
    assert_eq!(known(&idle).await, "invalid_client");
    assert_eq!(known(&asked).await, "invalid_client");
    assert_eq!(known(&approved).await, "invalid_grant");
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
