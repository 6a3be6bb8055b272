//! A client's request for a code in a browser in which nobody is signed in: nothing is stored,
//! nobody is sent anywhere that a stranger named, and after sign-in it is there.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    harness::{Browser, PASSWORD, Reply, World},
    oauth_client::{Client, Parameters, address, assert_answers_client, parameter, with},
};

const READ: &str = "tool:files.read_file";

/// How many requests for access are on the record.
fn asked(world: &World) -> usize {
    let record = world.record();
    record
        .iter()
        .filter(|(event, _)| event == "access_requested")
        .count()
}

/// Signs in on the page to which a browser was sent.
async fn signs_in(browser: &mut Browser, sent_to: &str) -> Reply {
    assert!(sent_to.starts_with("/sign-in?next="), "{sent_to}");
    let page = browser.get(sent_to).await;
    let fields = [
        ("csrf", page.hidden("csrf")),
        (
            "next",
            page.hidden("next")
                .replace("&amp;", "&")
                .replace("&#38;", "&"),
        ),
        ("user_name", "ada".to_owned()),
        ("password", PASSWORD.to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    browser.post("/sign-in", &fields).await
}

#[tokio::test]
async fn request_goes_through_sign_in_and_is_stored_only_then() {
    let (world, _) = World::with_approver().await;
    let client = Client::register(&world).await;
    let address = address(&client.parameters(Some(READ)));
    let mut browser = world.browser();
    let reply = browser.get(&address).await;
    assert_eq!(browser.cookie("bailiwick_authorize"), None);
    assert_eq!(asked(&world), 0);
    let reply = signs_in(&mut browser, &reply.location()).await;
    assert_eq!(reply.location(), address);
    assert_eq!(asked(&world), 0);
    let reply = browser.get(&address).await;
    let path = reply.location();
    assert!(path.starts_with("/approvals/"), "{path}");
    assert_eq!(asked(&world), 1);
    let page = browser.get(&path).await;
    let form = crate::harness::ApprovalForm::read(path, page);
    let answer = client
        .decided(&mut browser, &form.with("decision", "approve"))
        .await;
    assert_answers_client(&answer);
    let code = parameter(&answer, "code").unwrap();
    assert_eq!(client.redeem(&world, &code).await.status, 200);
}

#[tokio::test]
async fn requests_without_a_person_take_no_places() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let address = address(&client.parameters(Some(READ)));
    for _ in 0..1_100 {
        let reply = world.get(&address).await;
        assert!(reply.location().starts_with("/sign-in?next="));
    }
    assert_eq!(asked(&world), 0);
    assert!(
        browser
            .get(&address)
            .await
            .location()
            .starts_with("/approvals/")
    );
}

#[tokio::test]
async fn twenty_requests_may_wait_for_one_account_and_one_more_may_not() {
    let (world, mut browser) = World::with_approver().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let client = Client::register(&world).await;
    let address = address(&client.parameters(Some(READ)));
    let waits = |reply: &Reply| reply.location().starts_with("/approvals/");
    for _ in 0..20 {
        // To forget a cookie gives no more room.
        browser
            .cookies
            .retain(|(name, _)| name != "bailiwick_authorize");
        assert!(waits(&browser.get(&address).await));
    }
    let reply = browser.get(&address).await;
    let answer = Url::parse(&reply.location()).unwrap();
    assert_answers_client(&answer);
    let error = parameter(&answer, "error");
    assert_eq!(error.as_deref(), Some("temporarily_unavailable"));
    assert!(
        waits(&bob.get(&address).await),
        "others have places of their own"
    );
    world.advance(600);
    assert!(waits(&browser.get(&address).await), "those before are over");
}

#[tokio::test]
async fn request_of_eight_kibibytes_goes_through_sign_in_and_a_longer_one_after_it() {
    let (world, mut signed_in) = World::with_approver().await;
    let client = Client::register(&world).await;
    let of_length = |length: usize| {
        let short = address(&client.parameters(Some(READ)));
        format!("{short}&x={}", "a".repeat(length - short.len() - 3))
    };
    let longest = world.get(&of_length(8 * 1024)).await;
    assert_eq!(longest.status, 303);
    let (reply, mut browser) = (longest, world.browser());
    let reply = signs_in(&mut browser, &reply.location()).await;
    assert_eq!(reply.location(), of_length(8 * 1024));
    let longer = of_length(8 * 1024 + 1);
    let reply = world.get(&longer).await;
    assert_eq!(reply.verdict(), (400, "malformed_address"));
    assert!(reply.body.contains("Sign in first"), "{}", reply.body);
    assert!(
        signed_in
            .get(&longer)
            .await
            .location()
            .starts_with("/approvals/")
    );
}

/// Requests that cannot be granted, one thing wrong with each.
fn wrong_requests(good: &Parameters) -> Vec<Parameters> {
    let wrong = |name: &str, value: Option<&str>| with(good, name, value);
    vec![
        wrong("response_type", None),
        wrong("response_type", Some("token")),
        wrong("response_type", Some("id_token")),
        wrong("response_mode", Some("fragment")),
        wrong("response_mode", Some("form_post")),
        wrong("code_challenge", None),
        wrong("code_challenge", Some("short")),
        wrong("code_challenge_method", None),
        wrong("code_challenge_method", Some("plain")),
        wrong("resource", None),
        wrong("resource", Some("https://other.example/mcp")),
        wrong("scope", Some("openid")),
        wrong("scope", Some("tool:files.nonsense")),
        wrong("authorization_details", Some("[]")),
        wrong("authorization_details", Some("{")),
        wrong("request", Some("e30.e30.")),
        wrong("request_uri", Some("https://x.example/")),
    ]
}

async fn client_at(world: &World, redirect: &str) -> (Client, Parameters) {
    let metadata = json!({"client_name": "A <b>bank</b>", "redirect_uris": [redirect],
        "token_endpoint_auth_method": "none"});
    let client = Client::register_as(world, &metadata).await;
    let good = with(
        &client.parameters(Some(READ)),
        "redirect_uri",
        Some(redirect),
    );
    (client, good)
}

#[tokio::test]
async fn link_to_this_issuer_leads_nobody_to_an_address_that_a_stranger_named() {
    let (world, mut signed_in) = World::with_approver().await;
    for (redirect, host) in [
        ("https://evil.example/cb", "evil.example"),
        (
            "https://127.0.0.1.evil.example/cb",
            "127.0.0.1.evil.example",
        ),
        ("com.evil.app:/cb", "com.evil.app:"),
    ] {
        let (_, good) = client_at(&world, redirect).await;
        for parameters in wrong_requests(&good) {
            let address = address(&parameters);
            for reply in [world.get(&address).await, signed_in.get(&address).await] {
                assert_eq!(
                    (reply.status.as_u16(), reply.location()),
                    (400, String::new())
                );
                let page = &reply.body;
                assert!(
                    page.contains(&format!("<strong id=\"host\">{host}</strong>")),
                    "{page}"
                );
                assert!(!page.contains("<b>bank"), "{page}");
                assert!(!page.to_lowercase().contains("http-equiv"), "{page}");
            }
        }
        assert!(
            signed_in
                .get(&address(&good))
                .await
                .location()
                .starts_with("/approvals/")
        );
    }
}

#[tokio::test]
async fn answer_on_the_page_is_the_one_that_the_standards_want() {
    let (world, _) = World::with_approver().await;
    let (_, good) = client_at(&world, "https://app.example/cb?x=1").await;
    let reply = world.get(&address(&with(&good, "resource", None))).await;
    let (_, rest) = reply.body.split_once("id=\"answer\" href=\"").unwrap();
    let link = rest
        .split_once('"')
        .unwrap()
        .0
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    let answer = Url::parse(&link).unwrap();
    assert!(link.starts_with("https://app.example/cb?x=1&"), "{link}");
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("invalid_target")
    );
    assert_eq!(parameter(&answer, "state").as_deref(), Some("some state"));
    assert_eq!(
        parameter(&answer, "iss").as_deref(),
        Some(crate::harness::ORIGIN)
    );
}

#[tokio::test]
async fn client_for_which_an_operator_answers_is_told_at_once() {
    let (world, _) = World::with_approver().await;
    let redirect = "https://app.example/cb";
    let client: Value = json!({"application": "default", "name": "App",
        "redirect_uris": [redirect], "auth_method": "none"});
    let reply = world
        .operate("/v1/clients", &client.to_string())
        .await
        .json();
    let client = Client {
        id: reply["client_id"].as_str().unwrap().to_owned(),
        secret: None,
    };
    let good = with(
        &client.parameters(Some(READ)),
        "redirect_uri",
        Some(redirect),
    );
    for parameters in wrong_requests(&good) {
        let reply = world.get(&address(&parameters)).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        assert!(
            reply
                .location()
                .starts_with("https://app.example/cb?error=")
        );
    }
}

#[tokio::test]
async fn error_that_follows_a_form_of_ours_is_a_page() {
    let (world, _) = World::with_approver().await;
    let client = Client::register(&world).await;
    let wrong = address(&with(&client.parameters(Some(READ)), "resource", None));
    let from = async |site: &str| {
        let request = Request::get(&wrong).header("sec-fetch-site", site);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    for site in ["none", "cross-site", "same-site"] {
        assert_eq!(from(site).await.status, 303, "{site}");
    }
    let reply = from("same-origin").await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("127.0.0.1"));
    assert_eq!(reply.headers.get(header::LOCATION), None);
}
