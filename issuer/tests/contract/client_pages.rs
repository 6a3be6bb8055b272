//! The page on which an admin registers and removes the clients of an application.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::json;

use crate::harness::{Browser, Reply, World};

const PAGE: &str = "/applications/default/clients";

async fn adds(browser: &mut Browser, changes: &[(&str, &str)]) -> Reply {
    let usual = [
        ("name", "Triage"),
        ("auth_method", "client_secret_basic"),
        ("redirect_uris", "https://app.example/cb"),
        ("jwks", ""),
        ("spiffe_id", ""),
    ];
    let fields: Vec<(&str, &str)> = usual
        .iter()
        .map(|field| {
            *changes
                .iter()
                .find(|(name, _)| *name == field.0)
                .unwrap_or(field)
        })
        .collect();
    browser.send(PAGE, &fields).await
}

fn shown<'a>(page: &'a Reply, id: &str) -> &'a str {
    let (_, rest) = page.body.split_once(&format!("id=\"{id}\">")).unwrap();
    rest.split_once('<').unwrap().0
}

#[tokio::test]
async fn admin_registers_a_client_whose_secret_is_shown_once_and_removes_it() {
    let (world, mut browser) = World::with_approver().await;
    let page = adds(&mut browser, &[]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let (id, secret) = (shown(&page, "client-id"), shown(&page, "client-secret"));
    let fields = [
        ("client_id", id),
        ("client_secret", secret),
        ("scope", "tool:files.search"),
    ];
    let asks = world
        .post_form("/oauth/device_authorization", &fields)
        .await;
    assert_eq!(asks.status, 200, "{}", asks.body);
    let listed = browser.get(PAGE).await;
    assert!(listed.body.contains("Triage") && listed.body.contains(id));
    assert!(listed.body.contains("https://app.example/cb"));
    assert!(!listed.body.contains(secret));
    assert!(
        !listed.body.contains("bailiwick-cli"),
        "its own client is not among them"
    );
    let record = world.record();
    let line = record.iter().find(|(event, _)| event == "client_enrolled");
    assert_eq!(line.unwrap().1["by"], "ada");

    let path = format!("{PAGE}/{id}/remove");
    assert_eq!(browser.send(&path, &[]).await.location(), PAGE);
    assert!(!browser.get(PAGE).await.body.contains(id));
    assert_eq!(
        browser.send(&path, &[]).await.verdict(),
        (404, "client_not_found")
    );
}

#[tokio::test]
async fn client_that_cannot_be_used_is_refused() {
    let (_world, mut browser) = World::with_approver().await;
    for (name, value) in [
        ("name", " "),
        ("auth_method", "password"),
        ("auth_method", "private_key_jwt"),
        ("auth_method", "spiffe_jwt"),
        ("redirect_uris", "javascript:x"),
        ("jwks", "{"),
        ("jwks", r#"{"keys":[]}"#),
        ("spiffe_id", "spiffe://example.org/x"),
    ] {
        let reply = adds(&mut browser, &[(name, value)]).await;
        assert_eq!(reply.verdict(), (422, "invalid_client"), "{name}: {value}");
    }
    assert!(
        browser
            .get(PAGE)
            .await
            .body
            .contains("Nobody has registered a client")
    );
}

#[tokio::test]
async fn client_of_another_application_is_neither_shown_nor_removed() {
    let (world, mut browser) = World::with_approver().await;
    world.application("other", &json!({})).await;
    let client = json!({"application": "other", "name": "Theirs", "auth_method": "none"});
    let client = world
        .operate("/v1/clients", &client.to_string())
        .await
        .json();
    let id = client["client_id"].as_str().unwrap();
    assert!(!browser.get(PAGE).await.body.contains(id));
    for foreign in [id, "other", "bailiwick-cli"] {
        let reply = browser.send(&format!("{PAGE}/{foreign}/remove"), &[]).await;
        assert_eq!(reply.verdict(), (404, "client_not_found"), "{foreign}");
    }
    let theirs = browser.get("/applications/other/clients").await;
    assert!(theirs.body.contains(id));
}

#[tokio::test]
async fn client_that_came_with_an_application_is_not_removed_by_itself() {
    let (world, mut browser) = World::with_approver().await;
    let request = Request::delete("/v1/clients/bailiwick-cli")
        .header(header::AUTHORIZATION, world.bearer("operator.token"))
        .body(Body::empty());
    let refused = world.send(request.unwrap()).await;
    assert_eq!(refused.verdict(), (404, "client_not_found"));
    assert_eq!(browser.get("/applications").await.status, 200);
    world.asked().await;
}

#[tokio::test]
async fn only_admins_register_and_only_they_and_auditors_look() {
    let (world, _) = World::with_approver().await;
    let mut auditor = world.person("kim", &["auditor"]).await;
    let mut approver = world.person("bob", &["approver"]).await;
    assert_eq!(auditor.get(PAGE).await.status, 200);
    assert!(!auditor.get(PAGE).await.body.contains("add-client"));
    assert_eq!(approver.get(PAGE).await.verdict(), (403, "role_needed"));
    for browser in [&mut auditor, &mut approver] {
        assert_eq!(adds(browser, &[]).await.verdict(), (403, "role_needed"));
    }
}
