//! First connect and step-up: a client that asks for nothing in particular, and one that asks
//! for more than it holds.

use serde_json::json;

use crate::{
    harness::World,
    oauth_client::{Client, parameter},
};

const READ: &str = "tool:files.read_file";
const WRITE: &str = "tool:files.write_file";

#[tokio::test]
async fn client_that_asks_for_nothing_gets_what_the_person_picks() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut browser, None).await;
    assert!(form.page.contains("files.delete_file"), "all there is");
    assert!(
        form.fields.iter().all(|(name, _)| name != "tool"),
        "none is ticked"
    );
    let form = form
        .with("tool", "files.search")
        .set("path.files.search#0", "files/reports")
        .with("decision", "approve");
    let answer = client.decided(&mut browser, &form).await;
    let code = parameter(&answer, "code").unwrap();
    let granted = client.redeem(&world, &code).await.json();
    assert_eq!(granted["scope"], "tool:files.search");
    assert_eq!(
        granted["authorization_details"][0]["tools"],
        json!([{"name": "files.search", "access": "read", "resources": ["files/reports"]}])
    );
}

#[tokio::test]
async fn picking_nothing_gives_a_token_without_a_tool() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut browser, None).await;
    let answer = client
        .decided(&mut browser, &form.with("decision", "approve"))
        .await;
    let code = parameter(&answer, "code").unwrap();
    let reply = client.redeem(&world, &code).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let granted = reply.json();
    assert_eq!(granted["scope"], "");
    assert_eq!(granted["authorization_details"][0]["tools"], json!([]));
}

#[tokio::test]
async fn offer_is_refused_where_there_is_too_much_to_pick_from() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let tools = |count: usize| {
        let tools: Vec<_> = (0..count)
            .map(|n| crate::harness::tool(&format!("files.tool{n}"), "read"))
            .collect();
        Ok(json!({"audience": crate::harness::AUDIENCE, "tools": tools}))
    };
    world.gateway.answers(tools(128));
    client.asks(&mut browser, None).await;
    world.gateway.answers(tools(129));
    world.advance(31);
    let address = crate::oauth_client::address(&client.parameters(None));
    let reply = browser.get(&address).await;
    let answer = url::Url::parse(&reply.location()).unwrap();
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("invalid_scope")
    );
}

#[tokio::test]
async fn step_up_is_united_with_what_the_live_session_holds_and_shown_as_a_difference() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let code = client.code(&mut browser, READ).await;
    let first = client.redeem(&world, &code).await.json();

    let form = client.asks(&mut browser, Some(WRITE)).await;
    let marks = |page: &str, mark: &str| page.matches(&format!("difference\">{mark}")).count();
    assert_eq!(marks(&form.page, "held already"), 1);
    assert_eq!(marks(&form.page, "new"), 1);
    let answer = client
        .decided(&mut browser, &form.with("decision", "approve"))
        .await;
    let code = parameter(&answer, "code").unwrap();
    let second = client.redeem(&world, &code).await.json();
    assert_ne!(second["session"], first["session"]);
    let mut scope: Vec<_> = second["scope"].as_str().unwrap().split(' ').collect();
    scope.sort_unstable();
    assert_eq!(scope, [READ, WRITE]);
}

#[tokio::test]
async fn step_up_without_a_live_session_of_this_browser_is_a_first_request() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let code = client.code(&mut browser, READ).await;
    let session = client.redeem(&world, &code).await.json()["session"].clone();
    let adds = async |browser: &mut crate::harness::Browser, client: &Client| {
        let form = client.asks(browser, Some(WRITE)).await;
        form.page.contains("held already")
    };
    assert!(adds(&mut browser, &client).await);
    let other_client = Client::register(&world).await;
    assert!(
        !adds(&mut browser, &other_client).await,
        "of another client"
    );
    let mut other = browser.clone();
    other
        .cookies
        .retain(|(name, _)| name != "bailiwick_authorize");
    assert!(!adds(&mut other, &client).await, "in another browser");
    let body = json!({"session": session}).to_string();
    let operator = world.bearer("operator.token");
    world.post_json("/v1/revocations", &operator, &body).await;
    assert!(!adds(&mut browser, &client).await, "after its end");
}
