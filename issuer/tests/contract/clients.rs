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

/// Whether the issuer knows a client.
async fn is_known(client: &Client, world: &World) -> bool {
    match client.redeem(world, "unknown code").await.oauth() {
        (400, error) if error == "invalid_grant" => true,
        (401, error) if error == "invalid_client" => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn flood_of_registrations_takes_no_room_and_drives_nobody_out() {
    let (world, mut browser) = World::with_approver().await;
    let record = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    let client = Client::register(&world).await;
    let metadata = with("client_name", json!("One of many"));
    for number in 0..300 {
        let reply = register(&world, &metadata).await;
        assert_eq!(reply.status, 201, "{number}: {}", reply.body);
    }
    let pool = crate::failing_store::connect(&world).await;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM clients WHERE kind = 'dynamic'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stored, 0);
    let after = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    assert_eq!(after, record);
    let code = client.code(&mut browser, "tool:files.search").await;
    assert_eq!(client.redeem(&world, &code).await.status, 200);
}

#[tokio::test]
async fn client_that_asks_is_on_the_record_with_its_name() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    client.asks(&mut browser, Some("tool:files.search")).await;
    let record = world.record();
    let (_, fields) = record
        .iter()
        .find(|(event, _)| event == "access_requested")
        .unwrap();
    assert_eq!(fields["client"], client.known_as());
    assert_eq!(fields["client_name"], "Inspector");
}

#[tokio::test]
async fn client_stays_known_after_a_restart_and_after_years() {
    let mut world = World::new().await;
    let client = Client::register(&world).await;
    world.restart().await;
    assert!(is_known(&client, &world).await);
    world.advance(3 * 365 * 24 * 60 * 60);
    assert!(is_known(&client, &world).await);
}

#[tokio::test]
async fn id_that_this_issuer_did_not_give_is_nobodys() {
    let (world, other) = (World::new().await, World::new().await);
    let mut client = Client::register(&world).await;
    assert!(is_known(&client, &world).await);
    assert!(!is_known(&client, &other).await, "another issuer's");
    let id = client.id.clone();
    let name = client.known_as().to_owned();
    for at in (4..id.len()).step_by(7) {
        let changed = if &id[at..=at] == "a" { "b" } else { "a" };
        client.id = format!("{}{changed}{}", &id[..at], &id[at + 1..]);
        assert!(!is_known(&client, &world).await, "{at}");
    }
    let (signed, mac) = id.rsplit_once('.').unwrap();
    for wrong in [
        name,
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", &mac[..mac.len() - 2]),
        format!("{id}a"),
    ] {
        client.id.clone_from(&wrong);
        assert!(!is_known(&client, &world).await, "{wrong}");
    }
}

#[tokio::test]
async fn metadata_that_fits_an_id_is_registered_and_one_byte_more_is_not() {
    let world = World::new().await;
    let of_length = |length: usize| {
        let redirect = format!("{REDIRECT}?{}", "a".repeat(length));
        with("redirect_uris", json!([redirect]))
    };
    let (mut fits, mut does_not) = (0, 2_000);
    while does_not - fits > 1 {
        let length = usize::midpoint(fits, does_not);
        let reply = register(&world, &of_length(length)).await;
        match reply.status.as_u16() {
            201 => fits = length,
            _ => does_not = length,
        }
    }
    let last = register(&world, &of_length(fits)).await.json();
    let id = last["client_id"].as_str().unwrap();
    // Three bytes are four characters.
    assert!((2_045..=2_048).contains(&id.len()), "{}", id.len());
    let client = Client {
        id: id.to_owned(),
        secret: None,
    };
    assert!(is_known(&client, &world).await);
    let refused = register(&world, &of_length(does_not)).await;
    assert_eq!(refused.oauth(), (400, "invalid_client_metadata".to_owned()));
    assert!(refused.body.contains("more than 2048"), "{}", refused.body);
}

#[tokio::test]
async fn registration_of_eight_kibibytes_is_read_and_a_longer_one_is_not() {
    let world = World::new().await;
    for (length, answer) in [(8 * 1024, 201), (8 * 1024 + 1, 413)] {
        let mut metadata = with("logo_uri", json!(""));
        let padding = length - metadata.to_string().len();
        metadata["logo_uri"] = json!("x".repeat(padding));
        assert_eq!(metadata.to_string().len(), length);
        let reply = register(&world, &metadata).await;
        assert_eq!(reply.status, answer, "{}", reply.body);
    }
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
