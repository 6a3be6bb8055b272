//! The layer in front of an ordinary axum route, as the example sets it up.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests panic on what cannot happen"
)]

#[path = "../examples/axum_route.rs"]
#[allow(dead_code, reason = "the example's `main` is not run here")]
mod axum_route;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Waker},
};

use axum::{Router, body::Body};
use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, ResourcePath, Timestamp, ToolName,
    canonical_call_digest, token_text,
};
use bailiwick_verifier::{
    Denied, KeySet, ManualClock, MemoryRevocations, Verifier, VerifierConfig,
    holder::{HolderKey, ProofRequest},
    signed::PublicKeyHex,
    tower::{ProtectedResource, ProtectedResourceError, RequireToken},
};
use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm};
use ed25519_dalek::SigningKey;
use http::{Request, Response, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tower::{Layer as _, Service, ServiceExt as _, limit::ConcurrencyLimit, service_fn};

const NOW: u64 = 1_500;
const PATH: &str = "/reports/2026/q3.md";

fn mint_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn holder_key() -> HolderKey {
    HolderKey::from_secret(&[9; 32])
}

fn app() -> Router {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix(NOW)));
    axum_route::app(PublicKeyHex::from(&mint_key()), clock).unwrap()
}

fn authority() -> Authority {
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "reporter".parse().unwrap(),
        task: "read the quarter".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse("http://127.0.0.1:3000/reports").unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 3,
        holder: None,
        grants: vec![Grant {
            id: "g".to_owned(),
            tool: ToolName::parse("reports.read").unwrap(),
            access: Access::Read,
            path: ResourcePath::parse("reports/2026").unwrap(),
        }],
        limits: Vec::new(),
    }
}

fn text_of(authority: &Authority) -> String {
    let secret = PrivateKey::from_bytes(&[7; 32], Algorithm::Ed25519).unwrap();
    let builder = authority.to_builder().unwrap().root_key_id(1);
    let token = builder.build(&KeyPair::from(&secret)).unwrap();
    token_text::encode(&token.to_vec().unwrap())
}

fn bearer(authority: &Authority) -> String {
    format!("Bearer {}", text_of(authority))
}

struct Answer {
    status: StatusCode,
    challenge: String,
    body: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let challenge = parts.headers.get(header::WWW_AUTHENTICATE);
        Self {
            status: parts.status,
            challenge: challenge.map_or_else(String::new, |value| value.to_str().unwrap().into()),
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    fn problem(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.problem()["code"].as_str().unwrap().to_owned()
    }
}

async fn get(path: &str, headers: &[(&str, &str)]) -> Answer {
    get_from(app(), path, headers).await
}

async fn get_from(app: Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap());
    Answer::of(response.await.unwrap()).await
}

async fn get_with(path: &str, authority: &Authority) -> Answer {
    get(path, &[("authorization", &bearer(authority))]).await
}

#[tokio::test]
async fn a_granted_request_reaches_the_route_with_its_permit() {
    let answer = get_with(PATH, &authority()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "reports/2026/q3.md for reporter\n");
}

/// A service out of permits is not to be called, and the layer must not hide it.
#[test]
fn the_layer_is_ready_when_the_service_behind_it_is() {
    let audience = authority().audience;
    let config = VerifierConfig {
        audience: audience.clone(),
        keys: Arc::new(KeySet::default()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    };
    let layer = RequireToken::new(
        Arc::new(Verifier::new(config).unwrap()),
        Arc::new(ManualClock::new(Timestamp::from_unix(NOW))),
        ProtectedResource::new(audience, ["http://127.0.0.1:8400"]).unwrap(),
        |_: &Parts| Err(Denied::HolderProofMissing),
    )
    .unwrap();
    let inner =
        service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    for (permits, ready) in [(0, false), (1, true)] {
        let mut service = layer.layer(ConcurrencyLimit::new(inner, permits));
        let mut context = Context::from_waker(Waker::noop());
        let polled = Service::<Request<Body>>::poll_ready(&mut service, &mut context);
        assert_eq!(polled.is_ready(), ready, "{permits}");
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_told_where_to_get_one() {
    let answer = get(PATH, &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.code(), "malformed_token");
    assert_eq!(
        answer.challenge,
        "Bearer resource_metadata=\
         \"http://127.0.0.1:3000/.well-known/oauth-protected-resource/reports\""
    );
}

#[tokio::test]
async fn the_metadata_needs_no_token_and_can_only_be_read() {
    let path = "/.well-known/oauth-protected-resource/reports";
    let answer = get(path, &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.problem()["resource"],
        "http://127.0.0.1:3000/reports"
    );
    let posted = Request::post(path).body(Body::empty()).unwrap();
    let posted = app().oneshot(posted).await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_token_that_is_no_good_is_answered_with_401_and_its_code() {
    let mut over = authority();
    over.expires_at = Timestamp::from_unix(NOW);
    let mut elsewhere = authority();
    elsewhere.audience = Audience::parse("http://127.0.0.1:3000/other").unwrap();
    for (authority, code) in [(over, "expired"), (elsewhere, "wrong_audience")] {
        let answer = get_with(PATH, &authority).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{code}");
        assert_eq!(answer.code(), code);
        let error = format!("error=\"invalid_token\", error_description=\"{code}\"");
        assert!(answer.challenge.ends_with(&error), "{}", answer.challenge);
    }
}

#[tokio::test]
async fn a_missing_right_is_a_403_that_says_what_to_ask_for() {
    let answer = get_with("/reports/2025/q3.md", &authority()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.code(), "resource_not_granted");
    assert!(
        answer.challenge.contains("error=\"insufficient_scope\""),
        "{}",
        answer.challenge
    );
    let wanted = &answer.problem()["request_access"]["authorization_details"][0];
    assert_eq!(
        wanted["tools"],
        json!([{"name": "reports.read", "access": "read", "resources": ["reports/2025/q3.md"]}])
    );
    assert_eq!(wanted["task"], "read the quarter");
}

#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_is_granted_to_nobody() {
    for path in [
        "/reports/2026/%2e%2e/2025",
        "/reports/2026/../2025",
        "/reports/2026//q3.md",
    ] {
        let answer = get_with(path, &authority()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer.code(), "resource_not_granted", "{path}");
    }
    // What a stranger asks for is not even read.
    let answer = get("/reports/2026/%2e%2e/2025", &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn credentials_given_twice_are_refused() {
    let good = bearer(&authority());
    let twice = [("authorization", good.as_str()); 2];
    let answer = get(PATH, &twice).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "malformed_token");
    let answer = get(
        PATH,
        &[("authorization", &good), ("dpop", "a"), ("dpop", "b")],
    )
    .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "malformed_request");
}

#[tokio::test]
async fn a_bound_token_needs_a_proof_for_this_service_and_request() {
    let mut bound = authority();
    bound.holder = Some(holder_key().thumbprint());
    let text = text_of(&bound);
    let authorization = format!("DPoP {text}");
    let answer = get(PATH, &[("authorization", &authorization)]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.code(), "holder_proof_missing");
    assert!(answer.challenge.starts_with("DPoP algs=\"EdDSA\", "));

    let proof_for = |url: &str, id: &str| {
        let tool = ToolName::parse("reports.read").unwrap();
        let call_digest = canonical_call_digest(&tool, &Map::new()).unwrap();
        holder_key()
            .create_proof(&ProofRequest {
                method: "GET",
                url,
                token_text: &text,
                call_digest: &call_digest,
                id,
                issued_at: Timestamp::from_unix(NOW),
            })
            .dpop
    };
    let own = proof_for("http://127.0.0.1:3000/reports/2026/q3.md", "id-1");
    let once = app();
    let headers = [("authorization", authorization.as_str()), ("dpop", &own)];
    let answer = get_from(once.clone(), PATH, &headers).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = get_from(once, PATH, &headers).await;
    assert_eq!(answer.code(), "holder_proof_replayed");
    let other = proof_for("http://evil.example/reports/2026/q3.md", "id-2");
    let headers = [
        ("authorization", authorization.as_str()),
        ("dpop", &other),
        ("host", "evil.example"),
    ];
    let answer = get(PATH, &headers).await;
    assert_eq!(answer.code(), "holder_proof_invalid");
}

/// A service that a router further out has under `/gw`, told so or not.
fn nested(resource: ProtectedResource) -> Router {
    let verifier = Verifier::new(VerifierConfig {
        audience: resource.audience().clone(),
        keys: Arc::new(KeySet::from_entries([(1, PublicKeyHex::from(&mint_key()))]).unwrap()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    });
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix(NOW)));
    let layer = RequireToken::new(Arc::new(verifier.unwrap()), clock, resource, |_| {
        let report = ResourcePath::parse("reports/2026/q3.md").unwrap();
        let tool = ToolName::parse("reports.read").unwrap();
        Ok(Call::new(tool, Access::Read, vec![report], &Map::new()))
    });
    let route = axum::routing::get(async || "read");
    let inner = Router::new()
        .route("/q3", route)
        .route_layer(layer.unwrap());
    Router::new().nest("/gw", inner)
}

#[tokio::test]
async fn a_proof_is_for_the_whole_path_where_a_prefix_is_taken_off() {
    let mut bound = authority();
    bound.holder = Some(holder_key().thumbprint());
    let text = text_of(&bound);
    let resource = || ProtectedResource::new(bound.audience.clone(), ["http://i.example"]).unwrap();
    let status = async |resource: ProtectedResource, url: &str| {
        let tool = ToolName::parse("reports.read").unwrap();
        let proof = holder_key().create_proof(&ProofRequest {
            method: "GET",
            url,
            token_text: &text,
            call_digest: &canonical_call_digest(&tool, &Map::new()).unwrap(),
            id: "id",
            issued_at: Timestamp::from_unix(NOW),
        });
        let authorization = format!("DPoP {text}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("dpop", &proof.dpop),
        ];
        get_from(nested(resource), "/gw/q3", &headers).await.status
    };
    let told = || resource().below("/gw").unwrap();
    assert_eq!(
        status(told(), "http://127.0.0.1:3000/gw/q3").await,
        StatusCode::OK
    );
    assert_eq!(
        status(told(), "http://127.0.0.1:3000/q3").await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(resource(), "http://127.0.0.1:3000/gw/q3").await,
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn a_layer_is_for_what_its_verifier_guards() {
    let verifier = Verifier::new(VerifierConfig {
        audience: Audience::parse("http://127.0.0.1:3000/other").unwrap(),
        keys: Arc::new(KeySet::default()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    });
    let resource = ProtectedResource::new(authority().audience, ["http://i.example"]).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix(NOW)));
    let layer = RequireToken::new(Arc::new(verifier.unwrap()), clock, resource, |_| {
        Err(Denied::BadSignature)
    });
    assert!(matches!(
        layer.err(),
        Some(ProtectedResourceError::OtherAudience { .. })
    ));
}
