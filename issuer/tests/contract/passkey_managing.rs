//! Passkeys in the hands of those who manage accounts, and of their owners.

use serde_json::{Value, json};

use crate::{
    harness::{Browser, PASSWORD, World, authenticator::Authenticator},
    passkeys::{HERE, add, begin_adding, signs_in, touching},
};

const ALLOW: &str = "/accounts/ada/passkeys/allow";

fn last(world: &World, event: &str) -> Value {
    let record = world.record();
    record.iter().rfind(|(e, _)| e == event).unwrap().1.clone()
}

async fn passkeys_of(world: &World, name: &str) -> Value {
    let operator = world.bearer("operator.token");
    let path = format!("/v1/accounts/{name}/passkeys");
    let reply = world.get_as(&path, &operator).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn removes(world: &World, path: &str) -> (u16, String) {
    let request = axum::http::Request::delete(path)
        .header("authorization", world.bearer("operator.token"))
        .body(axum::body::Body::empty());
    let reply = world.send(request.unwrap()).await;
    (reply.status.as_u16(), reply.code().to_owned())
}

async fn again(world: &World, name: &str) -> Browser {
    let mut browser = world.browser();
    assert_eq!(browser.sign_in(name, PASSWORD).await.status, 303);
    browser
}

#[tokio::test]
async fn lost_passkey_is_replaced_by_the_word_of_another_admin() {
    let (world, mut ada, mut passkey) = touching().await;
    let mut olga = world.person("olga", &["admin"]).await;
    let exists = olga.send(ALLOW, &[]).await;
    assert_eq!(exists.verdict(), (409, "passkey_exists"));
    let page = olga.get("/accounts/ada").await.body;
    let (_, rest) = page.split_once("data-passkey=\"").unwrap();
    let id = rest.split_once('"').unwrap().0.to_owned();
    let path = format!("/accounts/ada/passkeys/{id}/remove");
    assert!(page.contains(&path) && page.contains("Phone"), "{page}");
    assert!(!page.contains("id=\"allow-passkey\""), "{page}");
    assert_eq!(olga.send(&path, &[]).await.location(), "/accounts/ada");
    let removed = last(&world, "passkey_removed");
    assert_eq!(
        (&removed["by"], &removed["user_name"]),
        (&json!("olga"), &json!("ada"))
    );
    assert_ne!(signs_in(&world, &mut passkey).await.1.status, 303);

    let refused = begin_adding(&mut ada).await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"));
    let page = olga.get("/accounts/ada").await.body;
    assert!(page.contains("id=\"allow-passkey\""), "{page}");
    assert_eq!(olga.send(ALLOW, &[]).await.location(), "/accounts/ada");
    let page = olga.get("/accounts/ada").await.body;
    assert!(page.contains("id=\"first-until\""), "{page}");
    let allowed = last(&world, "passkey_allowed");
    assert_eq!(
        (&allowed["by"], &allowed["user_name"]),
        (&json!("olga"), &json!("ada"))
    );
    let mut new = Authenticator::new(9, HERE);
    assert_eq!(add(&mut ada, &mut new, "New").await.location(), "/me");
    assert_eq!(last(&world, "passkey_registered")["allowed_by"], "olga");
}

#[tokio::test]
async fn nobody_gives_themselves_a_way_in() {
    let (world, mut ada) = World::with_approver_at(HERE).await;
    for path in [
        ALLOW,
        "/accounts/ada/link",
        "/accounts/ada/passkeys/pky_x/remove",
    ] {
        let refused = ada.send(path, &[]).await;
        assert_eq!(refused.verdict(), (403, "own_account"), "{path}");
    }
    let page = ada.get("/accounts/ada").await.body;
    assert!(!page.contains("allow-passkey\""), "{page}");
    assert!(!page.contains("/accounts/ada/link"), "{page}");
    world.person("olga", &["admin"]).await;
    for path in ["/accounts/olga/passkeys/allow", "/accounts/olga/link"] {
        let reply = ada.send(path, &[]).await;
        assert!(reply.status.as_u16() < 400, "{path}: {}", reply.body);
    }
    let page = ada.get("/accounts/olga").await.body;
    assert!(page.contains("/accounts/olga/link"), "{page}");
    // The operator, on the issuer's host, is not any account.
    let allowed = world.operate("/v1/accounts/ada/passkeys/allow", "").await;
    assert_eq!(allowed.status, 200, "{}", allowed.body);
    assert_eq!(last(&world, "passkey_allowed")["by"], "operator");
}

#[tokio::test]
async fn word_is_given_by_an_admin_who_has_just_signed_in() {
    let (world, _) = World::with_approver_at(HERE).await;
    let mut olga = world.person("olga", &["admin"]).await;
    let mut bob = world.approver("bob", &["default"]).await;
    let mut eve = world.person("eve", &["auditor"]).await;
    for other in [&mut bob, &mut eve] {
        let refused = other.send(ALLOW, &[]).await;
        assert_eq!(refused.verdict(), (403, "role_needed"));
        let refused = other.send("/accounts/ada/passkeys/x/remove", &[]).await;
        assert_eq!(refused.verdict(), (403, "role_needed"));
    }
    let page = eve.get("/accounts/ada").await.body;
    assert!(page.contains("id=\"passkeys\""), "{page}");
    assert!(!page.contains("allow-passkey\""), "{page}");
    world.advance(599);
    assert_eq!(olga.send(ALLOW, &[]).await.status, 303);
    world.advance(1);
    let refused = olga.send(ALLOW, &[]).await;
    assert_eq!(refused.verdict(), (403, "fresh_sign_in_needed"));
}

#[tokio::test]
async fn word_is_for_accounts_that_are_there_and_enabled_where_there_are_passkeys() {
    let (world, _) = World::with_approver_at(HERE).await;
    let allow = async |world: &World, name: &str| {
        let path = format!("/v1/accounts/{name}/passkeys/allow");
        let reply = world.operate(&path, "").await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    let refused = |status, code: &str| (status, code.to_owned());
    world.person("bob", &["approver"]).await;
    assert_eq!(allow(&world, "bob").await, refused(200, ""));
    world.operate("/v1/accounts/bob/disable", "").await;
    assert_eq!(allow(&world, "bob").await, refused(409, "account_disabled"));
    assert_eq!(
        allow(&world, "eve").await,
        refused(404, "account_not_found")
    );
    let (world, _) = World::with_approver().await;
    assert_eq!(
        allow(&world, "ada").await,
        refused(404, "passkeys_unavailable")
    );
}

#[tokio::test]
async fn operator_lists_and_removes_passkeys_of_any_account_and_only_of_that_one() {
    let (world, _ada, mut passkey) = touching().await;
    let listed = passkeys_of(&world, "ada").await;
    assert_eq!(listed["user_name"], "ada");
    assert_eq!(listed["passkeys"][0]["name"], "Phone");
    assert_eq!(listed["passkeys"][0]["last_used_at"], Value::Null);
    assert_eq!(listed["first_until"], Value::Null);
    let members: Vec<&String> = listed["passkeys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["passkey", "name", "created_at", "last_used_at"]);
    let id = listed["passkeys"][0]["passkey"]
        .as_str()
        .unwrap()
        .to_owned();
    world.person("bob", &["approver"]).await;
    let of = |name: &str| format!("/v1/accounts/{name}/passkeys/{id}");
    let missing = (404, "passkey_not_found".to_owned());
    assert_eq!(removes(&world, &of("bob")).await, missing);
    assert_eq!(removes(&world, &of("ada")).await, (204, String::new()));
    assert_eq!(removes(&world, &of("ada")).await, missing);
    assert_eq!(last(&world, "passkey_removed")["by"], "operator");
    assert_ne!(signs_in(&world, &mut passkey).await.1.status, 303);
    world.operate("/v1/accounts/ada/passkeys/allow", "").await;
    let listed = passkeys_of(&world, "ada").await;
    assert_eq!(listed["passkeys"], json!([]));
    assert!(listed["first_until"].is_string(), "{listed}");
}

#[tokio::test]
async fn owner_removes_a_passkey_after_a_fresh_sign_in_also_the_last_one() {
    let (world, mut ada, _) = touching().await;
    let listed = passkeys_of(&world, "ada").await;
    let id = listed["passkeys"][0]["passkey"].as_str().unwrap();
    let path = format!("/me/passkeys/{id}/remove");
    world.advance(600);
    let stale = ada.send(&path, &[]).await;
    assert_eq!(stale.verdict(), (403, "fresh_sign_in_needed"));
    let mut ada = again(&world, "ada").await;
    world.advance(599);
    assert_eq!(ada.send(&path, &[]).await.location(), "/me");
    let refused = begin_adding(&mut ada).await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"));
}
