//! An issuer in a temporary directory, and the people and programs around it.

pub(crate) mod authenticator;
mod people;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use bailiwick_datalog::{Audience, Timestamp};
use bailiwick_issuer::{
    CatalogueError, CatalogueFuture, CatalogueSource, DocumentSource, Entropy, Issuer,
    IssuerConfig, NotifyTarget, SpiffeBundle, SpiffeDomain,
};
use bailiwick_verifier::{Clock as _, ManualClock, Now};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

mod approval_form;

pub(crate) use approval_form::ApprovalForm;

pub(crate) const ORIGIN: &str = "http://127.0.0.1:8400";
pub(crate) const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// 2026-01-31T12:00:00Z.
pub(crate) const START: u64 = 1_769_860_800;

/// A gateway's catalogue that tests may change or take away.
pub(crate) struct FakeGateway {
    answer: Mutex<Result<Value, CatalogueError>>,
    pub(crate) fetches: Mutex<u32>,
}

impl FakeGateway {
    pub(crate) fn answers(&self, answer: Result<Value, CatalogueError>) {
        *self.answer.lock().unwrap() = answer;
    }
}

impl CatalogueSource for FakeGateway {
    fn fetch(&self) -> CatalogueFuture<'_> {
        *self.fetches.lock().unwrap() += 1;
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move { answer.map(|value| value.to_string().into_bytes()) })
    }
}

pub(crate) fn tool(name: &str, access: &str) -> Value {
    json!({
        "name": name,
        "title": format!("Title of {name}"),
        "description": format!("What {name} does"),
        "access": access,
        "resource_hint": "files/…",
        "resource_roots": ["files"],
        "definition_digest": "sha256/00",
    })
}

pub(crate) fn catalogue() -> Value {
    json!({"audience": AUDIENCE, "tools": [
        tool("files.read_file", "read"),
        tool("files.search", "read"),
        tool("files.write_file", "write"),
        tool("files.delete_file", "destructive"),
    ]})
}

/// One issuer and its surroundings.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) gateway: Arc<FakeGateway>,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) router: Router,
    pub(crate) origin: &'static str,
    notify: Vec<NotifyTarget>,
    dir: TempDir,
}

impl World {
    /// A fresh issuer without an approver.
    pub(crate) async fn new() -> Self {
        Self::with(Surroundings::default()).await
    }

    async fn with(surroundings: Surroundings) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(START)));
        let gateway = Arc::new(FakeGateway {
            answer: Mutex::new(Ok(catalogue())),
            fetches: Mutex::new(0),
        });
        let dir = tempfile::tempdir().unwrap();
        let origin = surroundings.origin.unwrap_or(ORIGIN);
        let notify = surroundings.notify.clone();
        let issuer = open_with(dir.path(), &clock, &gateway, origin, surroundings).await;
        let router = issuer.router();
        Self {
            clock,
            gateway,
            issuer: Some(issuer),
            router,
            origin,
            notify,
            dir,
        }
    }

    /// The same with places that are told when requests wait.
    pub(crate) async fn with_approver_and_places(notify: Vec<NotifyTarget>) -> (Self, Browser) {
        let surroundings = Surroundings {
            notify,
            ..Surroundings::default()
        };
        Self::with(surroundings).await.signed_up().await
    }

    /// The same, reached by a host name.
    pub(crate) async fn with_approver_at(origin: &'static str) -> (Self, Browser) {
        let surroundings = Surroundings {
            origin: Some(origin),
            ..Surroundings::default()
        };
        Self::with(surroundings).await.signed_up().await
    }

    /// A fresh issuer with the approver `ada`, signed in.
    pub(crate) async fn with_approver() -> (Self, Browser) {
        Self::new().await.signed_up().await
    }

    /// The same with clients' documents from there.
    pub(crate) async fn with_approver_and_documents(
        documents: Arc<dyn DocumentSource>,
    ) -> (Self, Browser) {
        let surroundings = Surroundings {
            documents: Some(documents),
            ..Surroundings::default()
        };
        Self::with(surroundings).await.signed_up().await
    }

    /// The same with a SPIFFE trust domain whose keys are there.
    pub(crate) async fn with_approver_and_spiffe(
        domain: &str,
        bundle: SpiffeBundle,
    ) -> (Self, Browser) {
        let name = domain.to_owned();
        let spiffe = SpiffeDomain { name, bundle };
        let surroundings = Surroundings {
            spiffe: Some(spiffe),
            ..Surroundings::default()
        };
        Self::with(surroundings).await.signed_up().await
    }

    async fn signed_up(self) -> (Self, Browser) {
        let world = self;
        let mut browser = world.browser();
        let link = world.setup_path();
        let page = browser.get(&link).await;
        let reply = browser
            .post(
                &link,
                &[
                    ("csrf", &page.hidden("csrf")),
                    ("user_name", "ada"),
                    ("password", PASSWORD),
                    ("password_again", PASSWORD),
                ],
            )
            .await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        (world, browser)
    }

    /// Stops the issuer and starts it again on the same directory.
    pub(crate) async fn restart(&mut self) {
        if let Some(issuer) = self.issuer.take() {
            issuer.close().await;
        }
        let surroundings = Surroundings {
            notify: self.notify.clone(),
            ..Surroundings::default()
        };
        let dir = self.dir.path();
        let issuer = open_with(dir, &self.clock, &self.gateway, self.origin, surroundings).await;
        self.router = issuer.router();
        self.issuer = Some(issuer);
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn link(&self) -> Option<String> {
        self.issuer.as_ref().unwrap().sign_in_link()
    }

    pub(crate) fn setup_path(&self) -> String {
        path_of(&self.link().unwrap())
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser {
            router: self.router.clone(),
            cookies: Vec::new(),
            origin: Some(self.origin.to_owned()),
        }
    }

    pub(crate) fn bearer(&self, file: &str) -> String {
        let token = std::fs::read_to_string(self.file(file)).unwrap();
        format!("Bearer {}", token.trim())
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        send(&self.router, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn get_as(&self, path: &str, bearer: &str) -> Reply {
        let request = Request::get(path).header(header::AUTHORIZATION, bearer);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post_json(&self, path: &str, bearer: &str, body: &str) -> Reply {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, bearer)
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    /// Sends a form as an agent does: no cookies, no origin.
    pub(crate) async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        send(&self.router, form(path, fields)).await
    }

    pub(crate) async fn ask(&self, details: &Value) -> Reply {
        self.ask_as("bailiwick-cli", details).await
    }

    /// Asks as a client of some application.
    pub(crate) async fn ask_as(&self, client: &str, details: &Value) -> Reply {
        self.post_form(
            "/oauth/device_authorization",
            &[
                ("client_id", client),
                ("agent_name", "report writer"),
                ("authorization_details", &details.to_string()),
            ],
        )
        .await
    }

    /// Asks for the usual and returns what the agent was told.
    pub(crate) async fn asked(&self) -> Value {
        let reply = self.ask(&details()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.json()
    }

    pub(crate) async fn poll(&self, asked: &Value) -> Reply {
        self.poll_as("bailiwick-cli", asked).await
    }

    pub(crate) async fn poll_as(&self, client: &str, asked: &Value) -> Reply {
        self.post_form(
            "/oauth/token",
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("client_id", client),
                ("device_code", asked["device_code"].as_str().unwrap()),
            ],
        )
        .await
    }
}

/// What an issuer may have around it beside a gateway.
#[derive(Default)]
struct Surroundings {
    /// Where it is reached, if not at [`ORIGIN`].
    origin: Option<&'static str>,
    documents: Option<Arc<dyn DocumentSource>>,
    notify: Vec<NotifyTarget>,
    spiffe: Option<SpiffeDomain>,
}

async fn open_with(
    dir: &Path,
    clock: &Arc<ManualClock>,
    gateway: &Arc<FakeGateway>,
    origin: &str,
    surroundings: Surroundings,
) -> Issuer {
    let mut config = config(dir, clock, origin);
    config.documents = surroundings.documents;
    config.notify = surroundings.notify;
    config.spiffe = surroundings.spiffe;
    let source: Arc<dyn CatalogueSource> = Arc::<FakeGateway>::clone(gateway);
    config.catalogue = Some(source);
    config.entropy = Entropy::from_os().unwrap();
    Issuer::open(config).await.unwrap()
}

pub(crate) fn config(dir: &Path, clock: &Arc<ManualClock>, origin: &str) -> IssuerConfig {
    IssuerConfig::new(
        dir.to_owned(),
        origin.parse().unwrap(),
        "http://127.0.0.1:8401".parse().unwrap(),
        Audience::parse(AUDIENCE).unwrap(),
        Arc::<ManualClock>::clone(clock),
    )
    .unwrap()
}

/// What agents usually ask for in these tests.
pub(crate) fn details() -> Value {
    json!([{
        "type": "mcp_tools",
        "locations": [AUDIENCE],
        "task": "Summarise the Q3 report",
        "duration": 900,
        "tools": [
            {"name": "files.read_file", "access": "read", "resources": ["files/reports", "files/notes"]},
            {"name": "files.write_file", "access": "write", "resources": ["files/out"],
             "args": {"content": {"prefix": "# "}}},
        ],
    }])
}

/// A browser with its cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    pub(crate) cookies: Vec<(String, String)>,
    /// What it sends as `Origin` with a POST.
    pub(crate) origin: Option<String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.go(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut request = form(path, fields);
        if let Some(origin) = &self.origin {
            request
                .headers_mut()
                .insert(header::ORIGIN, origin.parse().unwrap());
        }
        self.go(request).await
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    async fn go(&mut self, mut request: Request<Body>) -> Reply {
        if !self.cookies.is_empty() {
            let line: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request
                .headers_mut()
                .insert(header::COOKIE, line.join("; ").parse().unwrap());
        }
        let reply = send(&self.router, request).await;
        for line in reply.headers.get_all(header::SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(n, _)| n != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        reply
    }

    /// Opens the approval page that the agent's link leads to.
    pub(crate) async fn open(&mut self, asked: &Value) -> ApprovalForm {
        let link = asked["verification_uri_complete"].as_str().unwrap();
        let reply = self.get(&path_of(link)).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        let path = reply.location();
        let page = self.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        ApprovalForm::read(path, page)
    }

    pub(crate) async fn submit(&mut self, form: &ApprovalForm) -> Reply {
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        self.post(&form.path, &fields).await
    }

    /// Approves all that is asked and returns the session's id.
    pub(crate) async fn approve(&mut self, asked: &Value) -> String {
        let form = self.open(asked).await.with("decision", "approve");
        let reply = self.submit(&form).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        let page = self.get(&reply.location()).await;
        let (_, rest) = page.body.split_once("href=\"/sessions/ses_").unwrap();
        format!("ses_{}", rest.split_once('"').unwrap().0)
    }
}

/// What of a link the issuer's router reads.
pub(crate) fn path_of(link: &str) -> String {
    let url = url::Url::parse(link).unwrap();
    let query = url
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    format!("{}{query}", url.path())
}

pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> String {
        self.header("location").to_owned()
    }

    /// The stable code, as pages and problem documents alike carry it.
    pub(crate) fn code(&self) -> &str {
        self.header("bailiwick-code")
    }

    /// Status and code together: what a caller decides on.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        (self.status.as_u16(), self.code())
    }

    /// Status and OAuth error together.
    pub(crate) fn oauth(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["error"].as_str().unwrap_or_default().to_owned(),
        )
    }

    pub(crate) fn hidden(&self, name: &str) -> String {
        let (_, rest) = self
            .body
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}
