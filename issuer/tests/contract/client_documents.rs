//! Clients that are described by the document at the URL that is their id.

use std::sync::{Arc, Mutex};

use bailiwick_issuer::{DocumentError, DocumentFuture, DocumentSource};
use serde_json::{Value, json};
use url::Url;

use crate::{
    harness::{Browser, Reply, World},
    oauth_client::{Client, REDIRECT, address, with},
};

const ID: &str = "https://app.example/client.json";
const READ: &str = "tool:files.read_file";

/// A web server that tests may change or take away.
pub(crate) struct FakeWeb {
    answer: Mutex<Result<Vec<u8>, DocumentError>>,
    fetches: Mutex<Vec<String>>,
}

impl DocumentSource for FakeWeb {
    fn fetch<'a>(&'a self, url: &'a Url) -> DocumentFuture<'a> {
        self.fetches.lock().unwrap().push(url.to_string());
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move { answer })
    }
}

impl FakeWeb {
    fn with(document: &Value) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Ok(document.to_string().into_bytes())),
            fetches: Mutex::default(),
        })
    }

    fn answers(&self, answer: Result<Vec<u8>, DocumentError>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetched(&self) -> usize {
        self.fetches.lock().unwrap().len()
    }
}

fn document() -> Value {
    json!({"client_id": ID, "client_name": "Editor", "redirect_uris": [REDIRECT]})
}

fn client() -> Client {
    Client {
        id: ID.to_owned(),
        secret: None,
    }
}

/// A person who is signed in is brought here by the client with that id.
async fn brought(browser: &mut Browser, id: &str) -> Reply {
    let parameters = with(&client().parameters(Some(READ)), "client_id", Some(id));
    browser.get(&address(&parameters)).await
}

#[tokio::test]
async fn client_is_what_its_document_says_and_the_page_says_so() {
    let web = FakeWeb::with(&document());
    let (world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    let form = client().asks(&mut browser, Some(READ)).await;
    assert!(form.page.contains("Editor") && form.page.contains(ID));
    assert!(form.page.contains("it describes itself"));
    let answer = client()
        .decided(&mut browser, &form.with("decision", "approve"))
        .await;
    let code = crate::oauth_client::parameter(&answer, "code").unwrap();
    let reply = client().redeem(&world, &code).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(web.fetched(), 1, "one document for the whole flow");
}

#[tokio::test]
async fn document_is_read_again_after_ten_minutes() {
    let web = FakeWeb::with(&document());
    let (world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    client().asks(&mut browser, Some(READ)).await;
    world.advance(599);
    client().asks(&mut browser, Some(READ)).await;
    assert_eq!(web.fetched(), 1);
    world.advance(1);
    let mut changed = document();
    changed["redirect_uris"] = json!(["https://app.example/cb"]);
    web.answers(Ok(changed.to_string().into_bytes()));
    let reply = brought(&mut browser, ID).await;
    assert_eq!(reply.verdict(), (400, "wrong_redirect_uri"));
    assert_eq!(web.fetched(), 2);
}

#[tokio::test]
async fn document_that_describes_something_else_makes_no_client() {
    let web = FakeWeb::with(&document());
    let (world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    let with_field = |name: &str, value: Value| {
        let mut changed = document();
        changed[name] = value;
        Ok(changed.to_string().into_bytes())
    };
    let padded = |length: usize| {
        let mut text = document().to_string().into_bytes();
        text.resize(length, b' ');
        Ok(text)
    };
    for (answer, verdict) in [
        (
            with_field("client_id", json!("https://evil.example/c")),
            "unknown_client",
        ),
        (
            with_field("redirect_uris", json!(["javascript:x"])),
            "unknown_client",
        ),
        (
            with_field("token_endpoint_auth_method", json!("client_secret_post")),
            "unknown_client",
        ),
        (Ok(b"<html>".to_vec()), "unknown_client"),
        (Err(DocumentError::NoPublicAddress), "unknown_client"),
    ] {
        web.answers(answer.clone());
        let reply = brought(&mut browser, ID).await;
        assert_eq!(reply.verdict(), (400, verdict), "{answer:?}");
        assert_eq!(reply.location(), "");
    }
    let reply = brought(&mut browser, ID).await;
    assert_eq!(reply.verdict(), (429, "too_many_attempts"), "it rests");
    let fetches = web.fetched();
    let other = "https://app.example/other.json";
    let mut another = document();
    another["client_id"] = json!(other);
    web.answers(Ok(another.to_string().into_bytes()));
    let reply = brought(&mut browser, other).await;
    assert!(
        reply.location().starts_with("/approvals/"),
        "another of its host does not: {}",
        reply.body
    );
    assert_eq!(web.fetched(), fetches + 1);
    let fetches = web.fetched();
    world.advance(10 * 60);
    web.answers(padded(5 * 1024 + 1));
    let reply = brought(&mut browser, ID).await;
    assert_eq!(reply.verdict(), (400, "unknown_client"));
    web.answers(padded(5 * 1024));
    let reply = brought(&mut browser, ID).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert_eq!(web.fetched(), fetches + 2);
}

#[tokio::test]
async fn id_that_is_no_document_url_is_not_fetched() {
    let web = FakeWeb::with(&document());
    let (_world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    for id in [
        "http://app.example/client.json",
        "https://app.example:8443/client.json",
        "https://app.example:22/client.json",
        "https://app.example/",
        "https://user@app.example/client.json",
        "https://app.example/client.json#f",
        "https://app.example/client.json?q",
        "file:///etc/passwd",
    ] {
        let reply = brought(&mut browser, id).await;
        assert_eq!(reply.verdict(), (400, "unknown_client"), "{id}");
    }
    assert_eq!(web.fetched(), 0);
}

#[tokio::test]
async fn nothing_is_fetched_for_a_browser_in_which_nobody_is_signed_in() {
    let web = FakeWeb::with(&document());
    let (world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    let address = address(&client().parameters(Some(READ)));
    let reply = world.get(&address).await;
    assert!(
        reply
            .location()
            .starts_with("/sign-in?next=%2Foauth%2Fauthorize")
    );
    assert_eq!(web.fetched(), 0);
    assert!(
        browser
            .get(&address)
            .await
            .location()
            .starts_with("/approvals/")
    );
    assert_eq!(web.fetched(), 1);
    // What is known is looked at before anybody signs in.
    let wrong = with(
        &client().parameters(Some(READ)),
        "redirect_uri",
        Some("https://evil.example/"),
    );
    let reply = world.get(&crate::oauth_client::address(&wrong)).await;
    assert_eq!(reply.verdict(), (400, "wrong_redirect_uri"));
    assert_eq!(web.fetched(), 1);
}

#[tokio::test]
async fn code_is_redeemed_although_the_document_is_stale_and_its_host_is_gone() {
    let web = FakeWeb::with(&document());
    let (world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    let form = client().asks(&mut browser, Some(READ)).await;
    world.advance(590);
    web.answers(Err(DocumentError::Unreachable("status 404".to_owned())));
    let answer = client()
        .decided(&mut browser, &form.with("decision", "approve"))
        .await;
    let code = crate::oauth_client::parameter(&answer, "code").unwrap();
    world.advance(59);
    for _ in 0..5 {
        let reply = brought(&mut browser, ID).await;
        assert_eq!(
            reply.verdict(),
            (400, "unknown_client"),
            "it may not ask anew"
        );
    }
    assert_eq!(
        brought(&mut browser, ID).await.verdict(),
        (429, "too_many_attempts")
    );
    let reply = client().redeem(&world, &code).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn stale_document_is_good_for_a_day_where_tokens_are_fetched_and_for_asking_not_at_all() {
    let web = FakeWeb::with(&document());
    let (world, mut browser) =
        World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    client().asks(&mut browser, Some(READ)).await;
    web.answers(Err(DocumentError::Unreachable("no route".to_owned())));
    let fresh = 10 * 60;
    world.advance(fresh + 24 * 60 * 60 - 1);
    let device = [("client_id", ID), ("scope", READ)];
    let asks = world
        .post_form("/oauth/device_authorization", &device)
        .await;
    assert_eq!(asks.oauth(), (401, "invalid_client".to_owned()));
    let known = client().redeem(&world, "unknown code").await;
    assert_eq!(known.oauth(), (400, "invalid_grant".to_owned()));
    world.advance(1);
    let gone = client().redeem(&world, "unknown code").await;
    assert_eq!(gone.oauth(), (401, "invalid_client".to_owned()));
}
