//! Clients that are described by the document at the URL that is their id.

use std::sync::{Arc, Mutex};

use bailiwick_issuer::{DocumentError, DocumentFuture, DocumentSource};
use serde_json::{Value, json};
use url::Url;

use crate::{
    harness::World,
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
    let reply = world.get(&address(&client().parameters(Some(READ)))).await;
    assert_eq!(reply.verdict(), (400, "wrong_redirect_uri"));
    assert_eq!(web.fetched(), 2);
}

#[tokio::test]
async fn document_that_describes_something_else_makes_no_client() {
    let web = FakeWeb::with(&document());
    let (world, _) = World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
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
        (Err(DocumentError::PrivateAddress), "unknown_client"),
    ] {
        web.answers(answer.clone());
        let reply = world.get(&address(&client().parameters(Some(READ)))).await;
        assert_eq!(reply.verdict(), (400, verdict), "{answer:?}");
        assert_eq!(reply.location(), "");
    }
    let reply = world.get(&address(&client().parameters(Some(READ)))).await;
    assert_eq!(
        reply.verdict(),
        (429, "too_many_attempts"),
        "its host rests"
    );
    let fetches = web.fetched();
    world.advance(15 * 60);
    web.answers(padded(5 * 1024 + 1));
    let reply = world.get(&address(&client().parameters(Some(READ)))).await;
    assert_eq!(reply.verdict(), (400, "unknown_client"));
    web.answers(padded(5 * 1024));
    let reply = world.get(&address(&client().parameters(Some(READ)))).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert_eq!(web.fetched(), fetches + 2);
}

#[tokio::test]
async fn id_that_is_no_document_url_is_not_fetched() {
    let web = FakeWeb::with(&document());
    let (world, _) = World::with_approver_and_documents(Arc::<FakeWeb>::clone(&web)).await;
    for id in [
        "http://app.example/client.json",
        "https://app.example/",
        "https://user@app.example/client.json",
        "https://app.example/client.json#f",
        "https://app.example/client.json?q",
        "file:///etc/passwd",
    ] {
        let parameters = with(&client().parameters(Some(READ)), "client_id", Some(id));
        let reply = world.get(&address(&parameters)).await;
        assert_eq!(reply.verdict(), (400, "unknown_client"), "{id}");
    }
    assert_eq!(web.fetched(), 0);
}
