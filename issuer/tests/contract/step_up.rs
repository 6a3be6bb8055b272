//! First connect and step-up: a client that asks for nothing in particular, and one that asks
//! for more than it holds.

use serde_json::json;

use crate::{
    harness::{ApprovalForm, Browser, PASSWORD, World},
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

/// A client whose session of `ada` lives in this browser, and its request for more.
async fn stepping_up(world: &World, browser: &mut Browser) -> (Client, ApprovalForm) {
    let client = Client::register(world).await;
    let code = client.code(browser, READ).await;
    assert_eq!(client.redeem(world, &code).await.status, 200);
    let form = client.asks(browser, Some(WRITE)).await;
    assert!(form.page.contains("held already"), "{}", form.page);
    (client, form.with("decision", "approve"))
}

#[tokio::test]
async fn step_up_counts_only_while_the_session_it_builds_on_lives() {
    for ends in [false, true] {
        let (world, mut browser) = World::with_approver().await;
        let (_, form) = stepping_up(&world, &mut browser).await;
        if ends {
            let body = json!({"application": "default"}).to_string();
            let ended = world.operate("/v1/revocations", &body).await;
            assert_eq!(ended.status, 200, "{}", ended.body);
            let page = browser.get(&form.path).await.body;
            assert!(page.contains("has ended or is somebody else"), "{page}");
            assert!(!page.contains("id=\"approve\""), "{page}");
        }
        let reply = browser.submit(&form).await;
        if ends {
            assert_eq!(reply.verdict(), (409, "held_session_over"));
        } else {
            assert_eq!(reply.status, 303, "{}", reply.body);
        }
    }
}

#[tokio::test]
async fn what_one_person_holds_is_not_shown_to_the_next_at_the_same_browser() {
    let (world, mut browser) = World::with_approver().await;
    world.approver("bob", &["default"]).await;
    let (client, form) = stepping_up(&world, &mut browser).await;
    let plain = client.asks(&mut browser, None).await;
    // The session is over, the browser goes on: nobody signed out.
    world.advance(12 * 60 * 60);
    let code = {
        browser.sign_in("ada", PASSWORD).await;
        client.code(&mut browser, READ).await
    };
    assert_eq!(client.redeem(&world, &code).await.status, 200);
    let form_now = client.asks(&mut browser, Some(WRITE)).await;
    assert!(form_now.page.contains("held already"));
    let waiting = browser
        .get(&crate::oauth_client::address(&client.parameters(None)))
        .await;
    browser
        .cookies
        .retain(|(name, _)| name != "bailiwick_session");
    assert_eq!(browser.sign_in("bob", PASSWORD).await.status, 303);
    for foreign in [&form, &form_now] {
        let page = browser.get(&foreign.path).await;
        assert!(!page.body.contains("held already"), "{}", page.body);
    }
    assert_eq!(
        browser.get(&form_now.path).await.verdict(),
        (403, "other_browser")
    );
    // What builds on nothing may be decided by whoever sits there.
    assert_eq!(browser.get(&waiting.location()).await.status, 200);
    let anew = client.asks(&mut browser, Some(WRITE)).await;
    assert!(!anew.page.contains("held already"), "{}", anew.page);
    assert_ne!(plain.path, anew.path);
}

#[tokio::test]
async fn signing_in_again_as_the_same_person_keeps_what_is_held_and_signing_out_does_not() {
    let (world, mut browser) = World::with_approver().await;
    let (client, _) = stepping_up(&world, &mut browser).await;
    browser
        .cookies
        .retain(|(name, _)| name != "bailiwick_session");
    assert_eq!(browser.sign_in("ada", PASSWORD).await.status, 303);
    let form = client.asks(&mut browser, Some(WRITE)).await;
    assert!(form.page.contains("held already"), "the same person");
    let out = browser.send("/sign-out", &[]).await;
    assert_eq!(out.status, 303, "{}", out.body);
    assert_eq!(browser.sign_in("ada", PASSWORD).await.status, 303);
    let form = client.asks(&mut browser, Some(WRITE)).await;
    assert!(!form.page.contains("held already"), "after signing out");
}
