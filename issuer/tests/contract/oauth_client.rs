//! An unmodified OAuth client: registers itself, sends the browser, redeems the code.

use axum::{
    body::Body,
    http::{Request, header},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::harness::{AUDIENCE, ApprovalForm, Browser, ORIGIN, Reply, World};

pub(crate) const REDIRECT: &str = "http://127.0.0.1:7777/callback";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Parameters by name.
pub(crate) type Parameters = Vec<(String, String)>;

/// A client and what it sends.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
}

pub(crate) async fn register(world: &World, metadata: &Value) -> Reply {
    let request = Request::post("/oauth/register")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(metadata.to_string()));
    world.send(request.unwrap()).await
}

impl Client {
    /// Registers a public client that is answered at [`REDIRECT`].
    pub(crate) async fn register(world: &World) -> Self {
        let metadata = json!({"client_name": "Inspector", "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none"});
        Self::register_as(world, &metadata).await
    }

    pub(crate) async fn register_as(world: &World, metadata: &Value) -> Self {
        let reply = register(world, metadata).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let reply = reply.json();
        Self {
            id: reply["client_id"].as_str().unwrap().to_owned(),
            secret: reply["client_secret"].as_str().map(str::to_owned),
        }
    }

    /// What pages and the record know it by: the beginning of its id.
    pub(crate) fn known_as(&self) -> &str {
        self.id.split('.').next().unwrap()
    }

    /// The parameters of a good authorization request for that scope.
    pub(crate) fn parameters(&self, scope: Option<&str>) -> Parameters {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut parameters: Parameters = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT),
            ("state", "some state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", AUDIENCE),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        parameters.extend(scope.map(|scope| ("scope".to_owned(), scope.to_owned())));
        parameters
    }

    /// Brings the request to the page on which it is decided.
    pub(crate) async fn asks(&self, browser: &mut Browser, scope: Option<&str>) -> ApprovalForm {
        let reply = browser.get(&address(&self.parameters(scope))).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        let path = reply.location();
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        ApprovalForm::read(path, page)
    }

    /// Sends a decision and returns where the browser is sent in the end.
    pub(crate) async fn decided(&self, browser: &mut Browser, form: &ApprovalForm) -> Url {
        let reply = browser.submit(form).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        let back = reply.location();
        assert_eq!(back, format!("{}/return", form.path));
        let reply = browser.get(&back).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        Url::parse(&reply.location()).unwrap()
    }

    /// Gets a code for that scope, all of it approved.
    pub(crate) async fn code(&self, browser: &mut Browser, scope: &str) -> String {
        let form = self.asks(browser, Some(scope)).await;
        let to = self
            .decided(browser, &form.with("decision", "approve"))
            .await;
        parameter(&to, "code").unwrap()
    }

    /// The fields that redeem a code.
    pub(crate) fn redemption(&self, code: &str) -> Parameters {
        let mut fields: Parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", AUDIENCE),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let secret = self.secret.clone();
        fields.extend(secret.map(|secret| ("client_secret".to_owned(), secret)));
        fields
    }

    pub(crate) async fn redeem(&self, world: &World, code: &str) -> Reply {
        post(world, "/oauth/token", &self.redemption(code)).await
    }
}

pub(crate) async fn post(world: &World, path: &str, fields: &Parameters) -> Reply {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    world.post_form(path, &fields).await
}

/// The address of an authorization request.
pub(crate) fn address(parameters: &Parameters) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("/oauth/authorize?{query}")
}

/// The parameters with one of them changed, or taken away.
pub(crate) fn with(parameters: &Parameters, name: &str, value: Option<&str>) -> Parameters {
    let mut changed = parameters.clone();
    changed.retain(|(n, _)| n != name);
    changed.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    changed
}

/// A parameter of an answer, which is there once at most.
pub(crate) fn parameter(answer: &Url, name: &str) -> Option<String> {
    let mut values = answer.query_pairs().filter(|(n, _)| n == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    assert!(values.next().is_none(), "{name} is doubled in {answer}");
    value
}

/// Asserts that an answer goes to the client with its state and this issuer's name.
pub(crate) fn assert_answers_client(answer: &Url) {
    assert!(answer.as_str().starts_with(REDIRECT), "{answer}");
    assert_eq!(parameter(answer, "state").as_deref(), Some("some state"));
    assert_eq!(parameter(answer, "iss").as_deref(), Some(ORIGIN));
}
