//! What is refused is on the record, by route and code; the right request still goes after it.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::{
    harness::{Browser, Reply, World},
    oauth_client::{Client, address, post, with},
};

const READ: &str = "tool:files.read_file";
const TOKEN: &str = "/oauth/token";
const AUTHORIZE: &str = "/oauth/authorize";
const APPROVAL: &str = "/approvals/{id}";

/// Asserts that the last line of the record is about this refusal. Returns it.
fn recorded(world: &World, route: &str, code: &str) -> Value {
    let (event, fields) = world.record().pop().unwrap();
    assert_eq!(event, "request_refused", "{route} {code}: {fields}");
    assert_eq!(
        (&fields["route"], &fields["code"]),
        (&json!(route), &json!(code))
    );
    fields
}

/// The same for an answer of an OAuth endpoint.
fn oauth(world: &World, reply: &Reply, route: &str, error: &str) {
    assert_eq!(reply.oauth().1, error, "{}", reply.body);
    let line = recorded(world, route, error);
    assert_eq!(line["request_id"], reply.header("x-request-id"));
}

/// The same for a page.
fn page(world: &World, reply: &Reply, route: &str, code: &str) -> Value {
    assert_eq!(reply.code(), code, "{}", reply.body);
    let line = recorded(world, route, code);
    assert_eq!(line["request_id"], reply.header("x-request-id"));
    line
}

#[tokio::test]
async fn refused_device_codes_are_on_the_record() {
    let (world, mut ada) = World::with_approver().await;
    let asked = world.asked().await;
    let unknown = world.poll(&json!({"device_code": "made up"})).await;
    oauth(&world, &unknown, TOKEN, "invalid_grant");
    let other = Client::register(&world).await;
    let stolen = world.poll_as(&other.id, &asked).await;
    oauth(&world, &stolen, TOKEN, "invalid_grant");

    // Waiting is no refusal.
    let lines = world.record().len();
    for error in ["authorization_pending", "slow_down"] {
        assert_eq!(world.poll(&asked).await.oauth().1, error);
    }
    assert_eq!(world.record().len(), lines);

    ada.approve(&asked).await;
    world.advance(30);
    assert_eq!(world.poll(&asked).await.status, 200);
    oauth(&world, &world.poll(&asked).await, TOKEN, "invalid_grant");

    let late = world.asked().await;
    world.advance(24 * 60 * 60);
    oauth(&world, &world.poll(&late).await, TOKEN, "expired_token");
}

#[tokio::test]
async fn refused_requests_of_clients_are_on_the_record() {
    let (world, mut ada) = World::with_approver().await;
    let client = Client::register(&world).await;
    let good = client.parameters(Some(READ));
    let elsewhere = with(&good, "redirect_uri", Some("http://127.0.0.1:7777/other"));
    let reply = world.get(&address(&elsewhere)).await;
    page(&world, &reply, AUTHORIZE, "wrong_redirect_uri");
    let framed = Request::get(address(&good)).header("sec-fetch-dest", "iframe");
    let reply = world.send(framed.body(Body::empty()).unwrap()).await;
    page(&world, &reply, AUTHORIZE, "not_opened");
    for (name, value, error) in [
        ("resource", None, "invalid_target"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("scope", Some("tool:files.unknown"), "invalid_scope"),
    ] {
        // Told with a redirect here, for the address is this machine's.
        let reply = ada.get(&address(&with(&good, name, value))).await;
        assert_eq!(reply.status, 303, "{name}: {}", reply.body);
        let line = recorded(&world, AUTHORIZE, error);
        assert_eq!(line["by"], "ada");
    }

    let code = client.code(&mut ada, READ).await;
    let fields = client.redemption(&code);
    let wrong = with(&fields, "code_verifier", Some(&"x".repeat(43)));
    oauth(
        &world,
        &post(&world, TOKEN, &wrong).await,
        TOKEN,
        "invalid_grant",
    );
    let code = client.code(&mut ada, READ).await;
    assert_eq!(client.redeem(&world, &code).await.status, 200);
    oauth(
        &world,
        &client.redeem(&world, &code).await,
        TOKEN,
        "invalid_grant",
    );
    let ended = world.record().into_iter().rev().nth(1).unwrap();
    assert_eq!(ended.0, "session_revoked", "the session ends with it");

    let form = client.asks(&mut ada, Some(READ)).await;
    let mut planted = ada.clone();
    planted
        .cookies
        .retain(|(name, _)| name != "bailiwick_authorize");
    let reply = planted.submit(&form.with("decision", "approve")).await;
    let line = page(&world, &reply, APPROVAL, "other_browser");
    assert_eq!(line["by"], "ada");
}

#[tokio::test]
async fn refused_decisions_are_on_the_record() {
    let (world, mut ada) = World::with_approver().await;
    let asked = world.asked().await;
    let form = ada.open(&asked).await;
    let wider = form.clone().set("path.files.read_file#0", "other");
    let reply = ada.submit(&wider.with("decision", "approve")).await;
    page(&world, &reply, APPROVAL, "approval_widened");
    let expired = form.clone().set("csrf", "x").with("decision", "approve");
    page(
        &world,
        &ada.submit(&expired).await,
        APPROVAL,
        "form_expired",
    );
    let mut elsewhere = ada.clone();
    elsewhere.origin = Some("http://evil.example".to_owned());
    let approve = form.clone().with("decision", "approve");
    let reply = elsewhere.submit(&approve).await;
    page(&world, &reply, APPROVAL, "wrong_origin");

    assert_eq!(ada.submit(&approve).await.status, 303, "nothing is lost");
    page(
        &world,
        &ada.submit(&approve).await,
        APPROVAL,
        "already_approved",
    );
    let denied = world.asked().await;
    let form = ada.open(&denied).await;
    let deny = form.clone().with("decision", "deny");
    assert_eq!(ada.submit(&deny).await.status, 303);
    let reply = ada.submit(&form.with("decision", "approve")).await;
    page(&world, &reply, APPROVAL, "already_denied");
    let late = world.asked().await;
    let form = ada.open(&late).await.with("decision", "approve");
    world.advance(20 * 60);
    page(
        &world,
        &ada.submit(&form).await,
        APPROVAL,
        "request_expired",
    );
}

#[tokio::test]
async fn refused_guesses_are_on_the_record() {
    let (world, mut ada) = World::with_approver().await;
    let guess = async |ada: &mut Browser| ada.get("/approve?user_code=BCDF-GHJK").await;
    for _ in 0..5 {
        page(
            &world,
            &guess(&mut ada).await,
            "/approve",
            "unknown_user_code",
        );
    }
    page(
        &world,
        &guess(&mut ada).await,
        "/approve",
        "too_many_attempts",
    );

    let reply = world.browser().sign_in("ada", "not the password").await;
    let line = page(&world, &reply, "/sign-in", "sign_in_failed");
    assert_eq!(line["by"], Value::Null);
    let before = world.record().into_iter().rev().nth(1).unwrap();
    assert_eq!(before.0, "sign_in_refused", "it says whose name was tried");

    let reply = world
        .post_json("/v1/applications", "Bearer made-up", "{}")
        .await;
    page(&world, &reply, "/v1/applications", "bad_credentials");
    let secret = [("client_id", "bailiwick-cli"), ("client_secret", "made up")];
    let reply = world
        .post_form("/oauth/device_authorization", &secret)
        .await;
    oauth(
        &world,
        &reply,
        "/oauth/device_authorization",
        "invalid_client",
    );

    // Addresses that lead nowhere are not worth a line.
    let lines = world.record().len();
    assert_eq!(world.get("/no/such/page").await.status, 404);
    assert_eq!(world.record().len(), lines);
}

#[tokio::test]
async fn strangers_take_no_lines_from_people() {
    let (world, mut ada) = World::with_approver().await;
    let mut eve = world.person("eve", &["auditor"]).await;
    for path in ["/v1/applications", "/v1/clients", "/v1/accounts"] {
        for bearer in ["Bearer made-up", "made up"] {
            for _ in 0..10 {
                let reply = world.post_json(path, bearer, "{}").await;
                assert!(reply.status.is_client_error(), "{path}: {}", reply.body);
            }
        }
    }
    let lines = world.record().len();
    world.poll(&json!({"device_code": "made up"})).await;
    assert_eq!(world.record().len(), lines, "strangers have used theirs up");
    let asked = world.asked().await;
    let form = ada.open(&asked).await.with("decision", "approve");
    let csrf = eve.csrf().await;
    let reply = eve.submit(&form.set("csrf", &csrf)).await;
    let line = page(&world, &reply, APPROVAL, "role_needed");
    assert_eq!(line["by"], "eve");
}

#[tokio::test]
async fn crowd_of_refusals_is_counted_and_fills_no_disk() {
    let (world, _) = World::with_approver().await;
    let lines = || world.record().len();
    let made_up = json!({"device_code": "made up"});
    let before = lines();
    for _ in 0..500 {
        assert_eq!(world.poll(&made_up).await.oauth().1, "invalid_grant");
    }
    assert_eq!(lines(), before + 10);
    world.advance(60);
    world.poll(&made_up).await;
    let line = recorded(&world, TOKEN, "invalid_grant");
    let counted = json!([{"route": TOKEN, "code": "invalid_grant", "count": 490}]);
    assert_eq!(line["not_recorded_before"], counted);
}
