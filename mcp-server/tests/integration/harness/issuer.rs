//! An issuer that only publishes: real keys, real signatures, documents set by the test.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bailiwick_verifier::{
    TrustAnchor,
    keys::MintKey,
    revocation::Snapshot,
    signed::{PublicKeyHex, SignedDocument},
    trust::KeySetDocument,
};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{START, serve::serve};

const ANCHOR: [u8; 32] = [1; 32];
const MINT: [u8; 32] = [2; 32];
const REVOCATION: [u8; 32] = [3; 32];

/// Largest batch of reports taken, as at a real issuer.
const MAX_REPORT_BYTES: usize = 1024 * 1024;

/// The rootKeyId of minted tokens.
pub(crate) const MINT_KEY_ID: u32 = 1;

/// What the stand-in publishes and what was reported to it.
#[derive(Default)]
struct Published {
    keys: Option<SignedDocument>,
    revocations: Option<SignedDocument>,
    revocations_tag: u64,
    not_modified: u32,
    reports: Vec<Value>,
    report_credentials: Vec<String>,
}

/// A running stand-in. Stops when dropped.
pub(crate) struct StandIn {
    pub(crate) url: Url,
    published: Arc<Mutex<Published>>,
    revoked_sessions: Mutex<Vec<String>>,
    seq: Mutex<u64>,
    _stop: DropGuard,
}

impl StandIn {
    /// Starts one that publishes its keys and an empty list.
    pub(crate) async fn start() -> Self {
        let published = Arc::new(Mutex::new(Published::default()));
        let router = Router::new()
            .route("/v1/keys", get(keys))
            .route("/v1/revocations", get(revocations))
            .route("/v1/audit", post(audit))
            .layer(DefaultBodyLimit::max(MAX_REPORT_BYTES))
            .with_state(Arc::clone(&published));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, router, stop.clone()));
        let stand_in = Self {
            url,
            published,
            revoked_sessions: Mutex::default(),
            seq: Mutex::new(0),
            _stop: stop.drop_guard(),
        };
        stand_in.publish_keys(&SigningKey::from_bytes(&ANCHOR));
        stand_in.publish_revocations(&SigningKey::from_bytes(&REVOCATION));
        stand_in
    }

    /// The key that vouches for the stand-in.
    pub(crate) fn anchor() -> TrustAnchor {
        TrustAnchor::new(PublicKeyHex::from(&SigningKey::from_bytes(&ANCHOR)))
    }

    /// The key that mints tokens.
    pub(crate) fn mint_key() -> biscuit_auth::KeyPair {
        let private =
            biscuit_auth::PrivateKey::from_bytes(&MINT, biscuit_auth::Algorithm::Ed25519).unwrap();
        biscuit_auth::KeyPair::from(&private)
    }

    /// Publishes the key set, signed by `anchor`.
    pub(crate) fn publish_keys(&self, anchor: &SigningKey) {
        let public = PublicKeyHex::from(&SigningKey::from_bytes(&MINT));
        let mint = MintKey::active(MINT_KEY_ID, public);
        let revocation = PublicKeyHex::from(&SigningKey::from_bytes(&REVOCATION));
        let document =
            KeySetDocument::new(1, self.url.as_str(), vec![mint], vec![revocation]).unwrap();
        self.published.lock().unwrap().keys = Some(document.sign(anchor).unwrap());
    }

    /// Publishes the revocation list under the next sequence number, signed by `key`.
    pub(crate) fn publish_revocations(&self, key: &SigningKey) {
        let mut seq = self.seq.lock().unwrap();
        *seq += 1;
        let sessions = self.revoked_sessions.lock().unwrap().clone();
        let document = Snapshot::new(*seq, START, [], sessions).sign(key).unwrap();
        let mut published = self.published.lock().unwrap();
        published.revocations = Some(document);
        published.revocations_tag = *seq;
    }

    /// Revokes a session and publishes the list.
    pub(crate) fn revoke(&self, session: &str) {
        self.revoked_sessions
            .lock()
            .unwrap()
            .push(session.to_owned());
        self.publish_revocations(&SigningKey::from_bytes(&REVOCATION));
    }

    /// Answers 500 to everything from now on.
    pub(crate) fn go_down(&self) {
        let mut published = self.published.lock().unwrap();
        published.keys = None;
        published.revocations = None;
    }

    /// The calls reported so far, and the credentials they came with.
    pub(crate) fn reports(&self) -> (Vec<Value>, Vec<String>) {
        let published = self.published.lock().unwrap();
        (
            published.reports.clone(),
            published.report_credentials.clone(),
        )
    }

    /// How often "not modified" was answered.
    pub(crate) fn not_modified(&self) -> u32 {
        self.published.lock().unwrap().not_modified
    }
}

async fn keys(State(published): State<Arc<Mutex<Published>>>) -> Response {
    match &published.lock().unwrap().keys {
        Some(document) => document.to_json().into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn revocations(
    State(published): State<Arc<Mutex<Published>>>,
    headers: HeaderMap,
) -> Response {
    let mut published = published.lock().unwrap();
    let tag = format!("\"{}\"", published.revocations_tag);
    let Some(document) = published.revocations.clone() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == tag.as_str())
    {
        published.not_modified += 1;
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, tag)], document.to_json()).into_response()
}

async fn audit(
    State(published): State<Arc<Mutex<Published>>>,
    headers: HeaderMap,
    Json(mut batch): Json<Value>,
) -> StatusCode {
    let mut published = published.lock().unwrap();
    let credentials = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    published.report_credentials.push(credentials);
    published
        .reports
        .append(batch["calls"].as_array_mut().unwrap());
    StatusCode::NO_CONTENT
}
