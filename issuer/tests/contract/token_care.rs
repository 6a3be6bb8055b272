//! Tokens that come back: looked at, given back, narrowed by the issuer.

use std::time::Duration;

use axum::http::header;
use bailiwick_verifier::{HeldToken, MemoryRevocations, RevocationStatus, RevocationView as _};
use serde_json::{Value, json};

use crate::{
    feeds::apply,
    harness::{AUDIENCE, Browser, Reply, World, form},
    oauth_client::{Client, REDIRECT},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A token for the usual, all of it approved.
async fn granted(world: &World, browser: &mut Browser) -> Value {
    let asked = world.asked().await;
    browser.approve(&asked).await;
    world.poll(&asked).await.json()
}

fn token(granted: &Value) -> &str {
    granted["access_token"].as_str().unwrap()
}

async fn introspect(world: &World, token: &str) -> Value {
    let mut request = form("/oauth/introspect", &[("token", token)]);
    let bearer = world.bearer("operator.token").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let reply = world.send(request).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn exchange(world: &World, token: &str, more: &[(&str, &str)]) -> Reply {
    let mut fields = vec![
        ("grant_type", EXCHANGE),
        ("client_id", "bailiwick-cli"),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    fields.extend(more);
    world.post_form("/oauth/token", &fields).await
}

async fn revoke(world: &World, token: &str) -> Reply {
    world.post_form("/oauth/revoke", &[("token", token)]).await
}

fn narrower(change: impl FnOnce(&mut Value)) -> String {
    let mut details = json!([{"type": "mcp_tools", "task": "t", "duration": 60, "tools": [
        {"name": "files.read_file", "access": "read", "resources": ["files/reports/q3"]}]}]);
    change(&mut details[0]);
    details.to_string()
}

#[tokio::test]
async fn live_token_is_described_and_any_other_is_just_not_active() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let described = introspect(&world, token(&granted)).await;
    for (name, value) in [
        ("active", json!(true)),
        ("iss", json!("http://127.0.0.1:8400")),
        ("aud", json!(AUDIENCE)),
        ("sub", json!("ada")),
        ("agent", json!("report writer")),
        ("client_id", json!("bailiwick-cli")),
        ("token_type", json!("Bearer")),
        ("session", granted["session"].clone()),
        ("scope", granted["scope"].clone()),
        (
            "authorization_details",
            granted["authorization_details"].clone(),
        ),
        ("exp", json!(crate::harness::START + 900)),
    ] {
        assert_eq!(described[name], value, "{name}");
    }
    for other in ["", "x", &token(&granted).replace('A', "B")] {
        let described = introspect(&world, other).await;
        assert_eq!(described, json!({"active": false}));
    }
    world.advance(900);
    let described = introspect(&world, token(&granted)).await;
    assert_eq!(described, json!({"active": false}));
}

#[tokio::test]
async fn only_who_proves_its_identity_may_look_at_tokens() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let token = token(&granted);
    let client = Client::register_as(&world, &json!({"redirect_uris": [REDIRECT]})).await;
    let secret = client.secret.unwrap();
    let ask = async |fields: &[(&str, &str)]| {
        let mut all = vec![("token", token)];
        all.extend(fields);
        world.post_form("/oauth/introspect", &all).await
    };
    let id = ("client_id", client.id.as_str());
    let reply = ask(&[id, ("client_secret", &secret)]).await;
    assert_eq!(reply.json()["active"], true);
    for fields in [
        vec![id],
        vec![id, ("client_secret", "wrong")],
        vec![("client_id", "bailiwick-cli")],
    ] {
        let reply = ask(&fields).await;
        assert_eq!(
            reply.oauth(),
            (401, "invalid_client".to_owned()),
            "{fields:?}"
        );
    }
    assert_eq!(ask(&[]).await.oauth(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn holder_ends_the_session_of_its_token() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    assert_eq!(revoke(&world, token(&granted)).await.status, 200);
    assert_eq!(introspect(&world, token(&granted)).await["active"], false);
    let path = format!("/v1/sessions/{}", granted["session"].as_str().unwrap());
    let session = world
        .get_as(&path, &world.bearer("operator.token"))
        .await
        .json();
    assert_eq!(session["state"], "revoked");
    assert_eq!(session["revoked_by"], "its holder");
    assert_eq!(revoke(&world, token(&granted)).await.status, 200, "again");
    assert_eq!(revoke(&world, "no token at all").await.status, 200);
    let nothing = world.post_form("/oauth/revoke", &[]).await;
    assert_eq!(nothing.oauth(), (400, "invalid_request".to_owned()));
    let fields = [("token", token(&granted)), ("client_id", "stranger")];
    let stranger = world.post_form("/oauth/revoke", &fields).await;
    assert_eq!(stranger.oauth(), (401, "invalid_client".to_owned()));
}

#[tokio::test]
async fn holder_of_a_narrowed_token_ends_its_own_block_and_no_more() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let scope = [("scope", "tool:files.read_file")];
    let child = exchange(&world, token(&granted), &scope).await.json();
    let sibling = exchange(&world, token(&granted), &scope).await.json();
    let grandchild = exchange(&world, token(&child), &scope).await.json();
    assert_eq!(revoke(&world, token(&child)).await.status, 200);
    for (token, active) in [
        (token(&child), false),
        (token(&grandchild), false),
        (token(&sibling), true),
        (token(&granted), true),
    ] {
        assert_eq!(introspect(&world, token).await["active"], active);
    }
    let list = MemoryRevocations::new(Duration::from_secs(3_600));
    apply(&world, &list).await;
    let session = granted["session"].as_str().unwrap();
    let status = |token: &str| {
        let held = HeldToken::from_text(token).unwrap();
        let ids = held.chain().revocation_ids();
        list.check(session, ids, world.now().monotonic)
    };
    assert_eq!(
        status(token(&grandchild)),
        RevocationStatus::Revoked { block: 1 }
    );
    assert_eq!(status(token(&granted)), RevocationStatus::Clear);
    world.advance(900 + 301);
    apply(&world, &list).await;
    assert_eq!(
        status(token(&child)),
        RevocationStatus::Clear,
        "long expired"
    );
}

#[tokio::test]
async fn sub_agent_uses_up_its_own_share_of_what_may_be_given_back_and_no_other() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let scope = [("scope", "tool:files.read_file")];
    let child = exchange(&world, token(&granted), &scope).await.json();
    let sibling = exchange(&world, token(&granted), &scope).await.json();
    let gives_back = async |parent: &Value| {
        let made = exchange(&world, token(parent), &scope).await.json();
        revoke(&world, token(&made)).await
    };
    let too_many = (429, "temporarily_unavailable".to_owned());
    // A grandchild has eight of its parent's thirty-two.
    let grandchild = exchange(&world, token(&child), &scope).await.json();
    for _ in 0..8 {
        assert_eq!(gives_back(&grandchild).await.status, 200);
    }
    assert_eq!(gives_back(&grandchild).await.oauth(), too_many);
    // Whoever made it can still end it; that one counts among the child's own.
    let ends = async |full: &Value| {
        assert_eq!(introspect(&world, token(full)).await["active"], true);
        assert_eq!(revoke(&world, token(full)).await.status, 200);
        assert_eq!(introspect(&world, token(full)).await["active"], false);
    };
    ends(&grandchild).await;
    for _ in 1..32 {
        assert_eq!(gives_back(&child).await.status, 200);
    }
    assert_eq!(gives_back(&child).await.oauth(), too_many);
    ends(&child).await;
    assert_eq!(gives_back(&sibling).await.status, 200, "their own share");
    assert_eq!(
        revoke(&world, token(&granted)).await.status,
        200,
        "the session still"
    );
}

#[tokio::test]
async fn hundred_and_twenty_eight_blocks_of_a_session_may_be_given_back_and_no_more() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let scope = [("scope", "tool:files.read_file")];
    for n in 0..=128 {
        let child = exchange(&world, token(&granted), &scope).await.json();
        let status = revoke(&world, token(&child)).await.status;
        assert_eq!(status == 200, n < 128, "{n}");
    }
}

#[tokio::test]
async fn exchanged_token_is_the_same_session_narrowed() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let wanted = narrower(|_| ());
    let more = [
        ("authorization_details", wanted.as_str()),
        ("agent_name", "reader"),
    ];
    let reply = exchange(&world, token(&granted), &more).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let narrowed = reply.json();
    assert_eq!(narrowed["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(narrowed["token_type"], "Bearer");
    assert_eq!(narrowed["expires_in"], 60);
    assert_eq!(narrowed["scope"], "tool:files.read_file");
    assert_eq!(
        narrowed["authorization_details"][0]["tools"],
        json!([{"name": "files.read_file", "access": "read", "resources": ["files/reports/q3"]}])
    );
    assert_eq!(narrowed["session"], granted["session"]);
    let (old, new) = (
        HeldToken::from_text(token(&granted)).unwrap(),
        HeldToken::from_text(token(&narrowed)).unwrap(),
    );
    assert_eq!(
        new.chain().authority(),
        old.chain().authority(),
        "nothing was minted"
    );
    assert_eq!(new.chain().depth(), 1);
}

#[tokio::test]
async fn exchange_never_widens_and_says_what_is_wrong() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let details = |change: fn(&mut Value)| ("authorization_details", narrower(change));
    let scope = |scope: &str| ("scope", scope.to_owned());
    let invalid = "invalid_authorization_details";
    for (field, error) in [
        (scope("tool:files.delete_file"), "invalid_scope"),
        (scope("openid"), "invalid_scope"),
        (scope(" "), "invalid_request"),
        (
            details(|d| d["tools"][0]["resources"] = json!(["files"])),
            invalid,
        ),
        (
            details(|d| d["tools"][0]["resources"] = json!(["files/out"])),
            invalid,
        ),
        (
            details(|d| d["tools"][0]["access"] = json!("write")),
            invalid,
        ),
        (
            details(|d| d["tools"][0]["name"] = json!("files.search")),
            invalid,
        ),
        (details(|d| d["duration"] = json!(901)), invalid),
        (
            details(|d| d["locations"] = json!(["http://other/mcp"])),
            "invalid_target",
        ),
        (
            details(|d| {
                d["tools"].as_array_mut().unwrap().push(
                    json!({"name": "files.write_file", "access": "write", "resources": ["files/out"]}),
                );
            }),
            invalid,
        ),
    ] {
        let reply = exchange(&world, token(&granted), &[(field.0, &field.1)]).await;
        assert_eq!(reply.oauth(), (400, error.to_owned()), "{field:?}");
    }
    let scope = ("scope", "tool:files.read_file");
    for (more, error) in [
        (vec![], "invalid_request"),
        (
            vec![scope, ("authorization_details", "[]")],
            "invalid_request",
        ),
        (vec![scope, ("actor_token", "x")], "invalid_request"),
        (
            vec![scope, ("requested_token_type", "x")],
            "invalid_request",
        ),
        (
            vec![scope, ("resource", "http://other/mcp")],
            "invalid_target",
        ),
        (vec![scope, ("agent_name", "")], "invalid_request"),
    ] {
        let reply = exchange(&world, token(&granted), &more).await;
        assert_eq!(reply.oauth(), (400, error.to_owned()), "{more:?}");
    }
    let dead = exchange(&world, "no token", &[scope]).await;
    assert_eq!(dead.oauth(), (400, "invalid_request".to_owned()));
    let longest = narrower(|d| d["duration"] = json!(900));
    let reply = exchange(
        &world,
        token(&granted),
        &[("authorization_details", &longest)],
    )
    .await;
    assert_eq!(reply.json()["expires_in"], 900);
}

#[tokio::test]
async fn every_path_that_is_left_is_listed_and_can_be_exchanged_and_no_other() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let paths: Vec<String> = (0..33).map(|n| format!("files/reports/p{n:02}")).collect();
    let details = |resources: Value| narrower(|d| d["tools"][0]["resources"] = resources);
    let many = details(json!(paths));
    let reply = exchange(&world, token(&granted), &[("authorization_details", &many)]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let narrowed = reply.json();
    let listed = &narrowed["authorization_details"][0]["tools"][0]["resources"];
    assert_eq!(*listed, json!(paths));
    let seen = introspect(&world, token(&narrowed)).await;
    assert_eq!(
        seen["authorization_details"][0]["tools"][0]["resources"],
        json!(paths)
    );
    assert_eq!(seen["paths_left_out"], 0);
    for (path, status) in [("files/reports/p32", 200), ("files/reports/p33", 400)] {
        let one = details(json!([path]));
        let one = [("authorization_details", one.as_str())];
        let reply = exchange(&world, token(&narrowed), &one).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn token_is_handed_on_as_often_as_its_depth_allows() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let scope = [("scope", "tool:files.read_file")];
    let mut current = token(&granted).to_owned();
    for _ in 0..3 {
        let next = exchange(&world, &current, &scope).await.json();
        current = token(&next).to_owned();
    }
    let refused = exchange(&world, &current, &scope).await;
    assert_eq!(refused.oauth(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn condition_that_details_cannot_say_leaves_no_tool_in_them() {
    let (world, mut browser) = World::with_approver().await;
    let granted = granted(&world, &mut browser).await;
    let wanted = narrower(|d| d["tools"][0]["args"] = json!({"path": {"suffix": ".md"}}));
    let more = [("authorization_details", wanted.as_str())];
    let narrowed = exchange(&world, token(&granted), &more).await.json();
    let described = introspect(&world, token(&narrowed)).await;
    assert_eq!(described["active"], true);
    assert_eq!(described["authorization_details"][0]["tools"], json!([]));
    assert_eq!(described["conditions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pages_may_use_what_a_secret_guards_and_local_ones_may_register() {
    let world = World::new().await;
    let preflight = async |path: &str, origin: &str| {
        let request = axum::http::Request::options(path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "content-type,mcp-protocol-version",
            )
            .body(axum::body::Body::empty());
        let reply = world.send(request.unwrap()).await;
        reply.header("access-control-allow-origin").to_owned()
    };
    let (local, distant) = ("http://localhost:6274", "https://evil.example");
    for path in [
        "/oauth/token",
        "/oauth/revoke",
        "/.well-known/oauth-authorization-server",
    ] {
        assert_eq!(preflight(path, distant).await, "*", "{path}");
    }
    assert_eq!(preflight("/oauth/register", local).await, local);
    assert_eq!(preflight("/oauth/register", distant).await, "");
    for path in [
        "/oauth/device_authorization",
        "/oauth/introspect",
        "/oauth/authorize",
    ] {
        assert_eq!(preflight(path, local).await, "", "{path}");
    }
    let register = async |origin: &str| {
        let request = axum::http::Request::post("/oauth/register")
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(
                json!({"redirect_uris": [REDIRECT]}).to_string(),
            ));
        world.send(request.unwrap()).await
    };
    assert_eq!(register(local).await.status, 201);
    assert_eq!(
        register(distant).await.oauth(),
        (403, "wrong_origin".to_owned())
    );
    assert_eq!(
        register("null").await.oauth(),
        (403, "wrong_origin".to_owned())
    );
}
