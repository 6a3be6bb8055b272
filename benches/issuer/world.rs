//! An issuer with its database on disk, and the agents and the approver in front of it.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use bailiwick_datalog::{Audience, Timestamp};
use bailiwick_issuer::{CatalogueFuture, CatalogueSource, Issuer, IssuerConfig};
use bailiwick_verifier::ManualClock;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

const ORIGIN: &str = "http://127.0.0.1:8400";
const GATEWAY: &str = "http://127.0.0.1:8401";
const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
const PASSWORD: &str = "correct horse battery";
/// 2026-01-31T12:00:00Z, at which the clock stands.
pub(crate) const START: u64 = 1_769_860_800;

/// The gateway's tools: as many kinds as a small server has.
struct Catalogue;

impl CatalogueSource for Catalogue {
    fn fetch(&self) -> CatalogueFuture<'_> {
        let tool = |name: &str, access: &str| {
            json!({
                "name": name,
                "title": name,
                "description": format!("What {name} does"),
                "access": access,
                "resource_hint": "files/…",
                "resource_roots": ["files"],
                "definition_digest": "sha256/00",
            })
        };
        let tools = [
            tool("files.read_file", "read"),
            tool("files.write_file", "write"),
        ];
        let answer = json!({"audience": AUDIENCE, "tools": tools});
        Box::pin(async move { Ok(answer.to_string().into_bytes()) })
    }
}

/// One issuer.
#[derive(Clone)]
pub(crate) struct World {
    router: Router,
    operator: String,
    dir: Arc<TempDir>,
}

/// An approver's browser.
#[derive(Clone)]
pub(crate) struct Approver {
    router: Router,
    cookies: Vec<(String, String)>,
}

/// A form with the fields as it was sent.
pub(crate) struct Form {
    path: String,
    fields: Vec<(String, String)>,
}

struct Reply {
    status: StatusCode,
    location: Option<String>,
    cookies: Vec<(String, String)>,
    body: String,
}

impl World {
    /// A fresh issuer with one approver, signed in.
    pub(crate) async fn with_approver() -> (Self, Approver) {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(START)));
        let audience = Audience::parse(AUDIENCE).unwrap();
        let (here, there) = (ORIGIN.parse().unwrap(), GATEWAY.parse().unwrap());
        let data_dir = dir.path().to_owned();
        let mut config = IssuerConfig::new(data_dir, here, there, audience, clock).unwrap();
        config.catalogue = Some(Arc::new(Catalogue));
        let issuer = Issuer::open(config).await.unwrap();
        let router = issuer.router();
        let mut ada = Approver {
            router: router.clone(),
            cookies: Vec::new(),
        };
        let link = issuer.sign_in_link().unwrap();
        ada.signs_up(link.strip_prefix(ORIGIN).unwrap()).await;
        let operator = std::fs::read_to_string(dir.path().join("operator.token")).unwrap();
        let world = Self {
            router,
            operator: format!("Bearer {}", operator.trim()),
            dir: Arc::new(dir),
        };
        (world, ada)
    }

    /// The database's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("issuer/issuer.sqlite")
    }

    /// Asks for what agents usually ask for, as a client of some application.
    pub(crate) async fn ask(&self, client: &str) -> Value {
        let details = json!([{
            "type": "mcp_tools",
            "locations": [AUDIENCE],
            "task": "Summarise the Q3 report",
            "duration": 900,
            "tools": [
                {"name": "files.read_file", "resources": ["files/reports", "files/notes"]},
                {"name": "files.write_file", "resources": ["files/out"], "args": {"content": {"prefix": "# "}}},
            ],
        }])
        .to_string();
        let fields = [
            ("client_id", client),
            ("agent_name", "report writer"),
            ("authorization_details", details.as_str()),
        ];
        let reply = send(&self.router, form("/oauth/device_authorization", &fields)).await;
        reply.json()
    }

    /// Collects the token of an approved request.
    pub(crate) async fn mint(&self, asked: &Value) {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", "bailiwick-cli"),
            ("device_code", asked["device_code"].as_str().unwrap()),
        ];
        let reply = send(&self.router, form("/oauth/token", &fields))
            .await
            .json();
        assert!(reply["access_token"].is_string(), "{reply}");
    }

    /// Reads as the operator's programs do.
    pub(crate) async fn operator(&self, path: &str) -> Value {
        let request = Request::get(path).header(header::AUTHORIZATION, &self.operator);
        let reply = send(&self.router, request.body(Body::empty()).unwrap()).await;
        reply.json()
    }

    /// Adds an application, whose client has the same id.
    pub(crate) async fn add_application(&self, id: &str) {
        let body = json!({"application": id, "name": id, "add_approvers": ["ada"]});
        let request = Request::post("/v1/applications")
            .header(header::AUTHORIZATION, &self.operator)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()));
        let reply = send(&self.router, request.unwrap()).await;
        assert!(reply.status.is_success(), "{}", reply.body);
    }
}

impl Approver {
    async fn signs_up(&mut self, path: &str) {
        let page = self
            .go(Request::get(path).body(Body::empty()).unwrap())
            .await;
        let fields = fields_of(&page.body);
        let csrf = fields.iter().find(|(name, _)| name == "csrf").unwrap();
        let fields = [
            ("csrf", csrf.1.as_str()),
            ("user_name", "ada"),
            ("password", PASSWORD),
            ("password_again", PASSWORD),
        ];
        let reply = self.go(form(path, &fields)).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
    }

    /// Reads a page.
    pub(crate) async fn read(&mut self, path: &str) -> String {
        let reply = self
            .go(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.body
    }

    /// Follows the agent's link to the page on which its request is decided.
    pub(crate) async fn open(&mut self, asked: &Value) -> Form {
        let link = asked["verification_uri_complete"].as_str().unwrap();
        let path = link.strip_prefix(ORIGIN).unwrap();
        let reply = self
            .go(Request::get(path).body(Body::empty()).unwrap())
            .await;
        let path = reply.location.unwrap_or_else(|| panic!("{}", reply.body));
        let page = self.read(&path).await;
        let (_, form) = page.split_once("id=\"decision\"").unwrap();
        Form {
            fields: fields_of(form),
            path,
        }
    }

    /// Approves what a page shows.
    pub(crate) async fn approve(&mut self, shown: &Form) {
        let mut fields: Vec<(&str, &str)> = shown
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        fields.push(("decision", "approve"));
        let reply = self.go(form(&shown.path, &fields)).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
    }

    async fn go(&mut self, mut request: Request<Body>) -> Reply {
        let headers = request.headers_mut();
        headers.insert(header::ORIGIN, ORIGIN.parse().unwrap());
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !pairs.is_empty() {
            headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        }
        let reply = send(&self.router, request).await;
        for (name, value) in &reply.cookies {
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.clone(), value.clone()));
        }
        reply
    }
}

impl Reply {
    fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

fn form(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let body = serde_urlencoded::to_string(fields).unwrap();
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

async fn send(router: &Router, request: Request<Body>) -> Reply {
    let answer = router.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text = |value: &header::HeaderValue| value.to_str().unwrap().to_owned();
    let cookies = head.headers.get_all(header::SET_COOKIE).iter().map(text);
    Reply {
        status: head.status,
        location: head.headers.get(header::LOCATION).map(text),
        cookies: cookies
            .map(|line| {
                let pair = line.split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// The inputs of a form that a browser would send as they are.
fn fields_of(form: &str) -> Vec<(String, String)> {
    let tags = form.split("<input ").skip(1);
    tags.filter_map(|tag| {
        let (tag, _) = tag.split_once('>')?;
        let sent = !tag.contains("type=\"checkbox\"") || tag.contains(" checked");
        let name = attribute(tag, "name")?.to_owned();
        sent.then(|| (name, attribute(tag, "value").unwrap_or_default().to_owned()))
    })
    .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}
