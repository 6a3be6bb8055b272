//! Agents that ask and ask: quiet after a denial, and a list on which nobody hides anybody.

use serde_json::{Value, json};

use crate::{
    harness::{Browser, Reply, World, details},
    oauth_client::{Client, REDIRECT},
};

/// A client that proves who it is.
async fn robot(world: &World) -> Client {
    let metadata = json!({"client_name": "Robot", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post"});
    Client::register_as(world, &metadata).await
}

async fn asks(world: &World, client: &Client) -> Reply {
    let wish = details().to_string();
    let fields = [
        ("client_id", client.id.as_str()),
        ("client_secret", client.secret.as_deref().unwrap()),
        ("authorization_details", wish.as_str()),
    ];
    world
        .post_form("/oauth/device_authorization", &fields)
        .await
}

async fn claims(world: &World, name: &str) -> Value {
    let wish = details().to_string();
    let fields = [
        ("client_id", "bailiwick-cli"),
        ("agent_name", name),
        ("authorization_details", wish.as_str()),
    ];
    let reply = world
        .post_form("/oauth/device_authorization", &fields)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn denies(browser: &mut Browser, asked: &Value) {
    let form = browser.open(asked).await.with("decision", "deny");
    assert_eq!(browser.submit(&form).await.status, 303);
}

fn listed(page: &str) -> usize {
    page.matches("aria-label=\"Review the request").count()
}

#[tokio::test]
async fn denial_quiets_an_agent_that_proves_who_it_is_for_a_minute_and_longer_each_time() {
    let (world, mut ada) = World::with_approver().await;
    let client = robot(&world).await;
    for wait in [60_u64, 120, 240] {
        denies(&mut ada, &asks(&world, &client).await.json()).await;
        let refused = asks(&world, &client).await;
        assert_eq!(refused.oauth(), (429, "temporarily_unavailable".to_owned()));
        assert_eq!(refused.header("retry-after"), wait.to_string());
        world.advance(wait - 1);
        assert_eq!(asks(&world, &client).await.header("retry-after"), "1");
        world.advance(1);
    }
    assert_eq!(asks(&world, &client).await.status, 200);
}

#[tokio::test]
async fn denial_quiets_that_agent_alone() {
    let (world, mut ada) = World::with_approver().await;
    let (client, other) = (robot(&world).await, robot(&world).await);
    denies(&mut ada, &asks(&world, &client).await.json()).await;
    assert_eq!(asks(&world, &client).await.status, 429);
    assert_eq!(asks(&world, &other).await.status, 200);
}

#[tokio::test]
async fn denial_of_a_name_that_anybody_can_claim_silences_nobody() {
    let (world, mut ada) = World::with_approver().await;
    for _ in 0..3 {
        denies(&mut ada, &claims(&world, "report writer").await).await;
    }
    claims(&world, "report writer").await;
}

#[tokio::test]
async fn denial_in_a_browser_silences_the_program_for_nobody() {
    let (world, mut ada) = World::with_approver().await;
    let client = robot(&world).await;
    for _ in 0..3 {
        let form = client.asks(&mut ada, Some("tool:files.search")).await;
        let to = client
            .decided(&mut ada, &form.with("decision", "deny"))
            .await;
        assert!(to.as_str().contains("error=access_denied"), "{to}");
    }
    assert_eq!(asks(&world, &client).await.status, 200);
}

#[tokio::test]
async fn flood_of_one_application_hides_nothing_of_another() {
    let (world, mut ada) = World::with_approver().await;
    world.application("other", &json!({})).await;
    world.assign("other", "ada").await;
    for n in 0..100 {
        claims(&world, &format!("flood {n}")).await;
    }
    world.advance(1);
    let quiet = world.ask_as("other", &details()).await;
    assert_eq!(quiet.status, 200, "{}", quiet.body);
    let page = ada.get("/approvals").await.body;
    assert_eq!(listed(&page), 101);
    assert!(page.contains("report writer") && !page.contains("id=\"hidden\""));
}

#[tokio::test]
async fn flood_of_one_agent_hides_nothing_of_another_and_all_are_counted() {
    let (world, mut ada) = World::with_approver().await;
    for _ in 0..99 {
        claims(&world, "flood").await;
    }
    world.advance(1);
    claims(&world, "patient").await;
    let page = ada.get("/approvals").await.body;
    assert_eq!(listed(&page), 1);
    assert!(page.contains("patient"), "{page}");
    assert!(page.contains("99 of its requests wait"), "{page}");
    assert!(!page.contains("id=\"hidden\""), "{page}");
}

#[tokio::test]
async fn what_does_not_fit_the_list_is_counted() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.approver("bob", &["default"]).await;
    crate::deciding::rules(&world, &["two-approvers access=read"]).await;
    let client = Client::register(&world).await;
    // Beyond the hundred that wait without a browser, first approvals wait for a second person.
    for _ in 0..2 {
        let form = client.asks(&mut ada, Some("tool:files.search")).await;
        let reply = ada.submit(&form.with("decision", "approve")).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
    }
    world.advance(1);
    for n in 0..100 {
        claims(&world, &format!("flood {n}")).await;
    }
    let page = bob.get("/approvals").await.body;
    assert_eq!(listed(&page), 100);
    assert!(page.contains("2 more requests wait in default"), "{page}");
}

#[tokio::test]
async fn agent_that_asks_more_than_ten_times_an_hour_is_one_line_of_the_list() {
    let (world, mut ada) = World::with_approver().await;
    for _ in 0..10 {
        world.asked().await;
    }
    let list = ada.get("/approvals").await.body;
    assert_eq!(list.matches("aria-label=\"Review the request").count(), 10);
    assert!(!list.contains("id=\"folded\""), "{list}");
    let last = world.asked().await;
    let list = ada.get("/approvals").await.body;
    assert_eq!(
        list.matches("aria-label=\"Review the request").count(),
        0,
        "{list}"
    );
    assert!(
        list.contains("11 times in the last hour; 11 of its requests wait"),
        "{list}"
    );
    let (_, rest) = list.split_once("href=\"/approvals?agent=").unwrap();
    let path = format!("/approvals?agent={}", rest.split_once('"').unwrap().0);
    let page = ada.get(&path).await.body;
    assert_eq!(page.matches("aria-label=\"Review the request").count(), 11);
    ada.approve(&last).await;
    for bad in ["x", "00", ""] {
        let reply = ada.get(&format!("/approvals?agent={bad}")).await;
        assert_eq!(reply.verdict(), (400, "malformed_address"), "{bad}");
    }
}
