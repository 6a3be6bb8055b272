//! The gateway put together: what it opens, what it serves, what it keeps running.

use std::{path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use bailiwick_datalog::Audience;
use bailiwick_verifier::{
    Clock, KeySet, RevocationView, Verifier, VerifierConfig, revocation::SledRevocations,
};
use http::{HeaderValue, StatusCode, header};
use reqwest::Client;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use url::Url;

use crate::{
    audit::AuditLog,
    catalogue::Catalogue,
    config::{GatewayConfig, OpenError},
    durable,
    files::FilesProvider,
    gate::{Gate, MAX_BODY_BYTES, admit, problem},
    handler::{Handler, LEDGER_UNAVAILABLE, Server},
    issuer::{
        fetch::{self, Source},
        refresh::{RefreshError, Refresher, install},
        report::{self, Courier},
        trust::TrustStore,
    },
    ledger::Ledger,
    record::Recorder,
    surface::{MCP_PATH, METADATA_ROOT_PATH, Surface},
};

/// Most requests to the MCP endpoint under way at once. Each may hold one body in memory, so this
/// times [`MAX_BODY_BYTES`] bounds what strangers can make the gateway keep: 1 GiB.
const MAX_CONCURRENT_REQUESTS: usize = 256;

/// The gate between MCP clients and tools.
///
/// Opening one reads what earlier runs left behind; it fetches nothing and serves nothing until
/// [`Gateway::spawn_refresh`] and [`Gateway::router`] are used. Until the first refresh succeeds
/// every call is refused.
pub struct Gateway {
    shared: Arc<Shared>,
    refresher: Arc<Mutex<Refresher>>,
    courier: std::sync::Mutex<Option<Courier>>,
}

struct Shared {
    surface: Arc<Surface>,
    catalogue: Arc<Catalogue>,
    trust: Arc<TrustStore>,
    revocations: Arc<SledRevocations>,
    clock: Arc<dyn Clock>,
    gate: Arc<Gate>,
    server: Arc<Server>,
}

impl Gateway {
    /// Opens the gateway's state. Blocks on the disk.
    ///
    /// Installs *ring* as the process's TLS provider if none is installed yet.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is served then.
    pub fn open(config: GatewayConfig) -> Result<Self, OpenError> {
        let surface = Arc::new(Surface::new(&config.public_url, &config.issuer_url)?);
        let state = private_directory(&config.data_dir, "gateway")?;
        let records = private_directory(&config.data_dir, "audit")?;
        refuse_state_in_sandbox(&config.files_root, &config.data_dir)?;
        let files =
            FilesProvider::open(&config.files_root).map_err(|source| OpenError::Directory {
                path: config.files_root.clone(),
                source,
            })?;
        let trust = Arc::new(TrustStore::open(
            config.trust_anchor,
            &state.join("keys.json"),
        )?);
        let keys = trust.current();
        let revocation_keys = keys
            .as_ref()
            .map(|keys| keys.revocation_keys())
            .unwrap_or_default();
        let revocations = Arc::new(SledRevocations::open(
            &state,
            config.max_staleness,
            revocation_keys,
        )?);
        let view: Arc<dyn RevocationView> = revocations.clone();
        let verifier = Verifier::new(VerifierConfig {
            audience: surface.audience.clone(),
            keys: Arc::new(KeySet::default()),
            revocations: view,
        })
        .map_err(OpenError::Policy)?
        .with_evaluation(config.evaluation);
        let policy = config.policy.as_ref().map(|policy| *policy.digest());
        verifier.replace_policy(config.policy);
        let verifier = Arc::new(verifier);
        if let Some(keys) = &keys {
            install(&verifier, keys);
        }
        let catalogue = Arc::new(Catalogue::built_in()?);
        let client = http_client()?;
        let (reporter, courier) = report::channel(
            client.clone(),
            endpoint(&config.issuer_url, "/v1/audit"),
            config.gateway_token,
        );
        let audit = AuditLog::open(&records.join("gateway.jsonl"))?;
        let ledger = Ledger::open(&state.join("calls.ledger"), config.clock.now().utc)?;
        let refresher = Refresher::new(
            Source::new(client.clone(), endpoint(&config.issuer_url, "/v1/keys")),
            Source::new(client, endpoint(&config.issuer_url, "/v1/revocations")),
            Arc::clone(&trust),
            Arc::clone(&revocations),
            Arc::clone(&verifier),
            Arc::clone(&config.clock),
        );
        let recorder = Arc::new(Recorder::new(audit, reporter, policy));
        let gate = Arc::new(Gate {
            surface: Arc::clone(&surface),
            verifier,
            trust: Arc::clone(&trust),
            catalogue: Arc::clone(&catalogue),
            clock: Arc::clone(&config.clock),
            recorder: Arc::clone(&recorder),
            step_up: config.step_up,
        });
        let server = Arc::new(Server {
            catalogue: Arc::clone(&catalogue),
            files,
            ledger,
            recorder,
            surface: Arc::clone(&surface),
            clock: Arc::clone(&config.clock),
        });
        let shared = Shared {
            surface,
            catalogue,
            trust,
            revocations,
            clock: config.clock,
            gate,
            server,
        };
        Ok(Self {
            shared: Arc::new(shared),
            refresher: Arc::new(Mutex::new(refresher)),
            courier: std::sync::Mutex::new(courier),
        })
    }

    /// The audience that tokens must have to be good here.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.shared.surface.audience
    }

    /// Everything the gateway serves.
    pub fn router(&self) -> Router {
        let gate = middleware::from_fn_with_state(Arc::clone(&self.shared.gate), admit);
        let resource = &self.shared.surface.resource;
        Router::new()
            .route_service(MCP_PATH, mcp_service(&self.shared.server))
            .route_layer(gate)
            .route_layer(GlobalConcurrencyLimitLayer::new(MAX_CONCURRENT_REQUESTS))
            .route_service(resource.metadata_path(), resource.metadata_service())
            .route_service(METADATA_ROOT_PATH, resource.metadata_service())
            .route("/v1/catalogue", get(catalogue))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .layer(SetResponseHeaderLayer::if_not_present(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ))
            .layer(SetResponseHeaderLayer::if_not_present(
                header::CACHE_CONTROL,
                HeaderValue::from_static("no-store"),
            ))
            .with_state(Arc::clone(&self.shared))
    }

    /// Fetches keys and revocations once.
    ///
    /// # Errors
    /// [`RefreshError`]; what was known before still holds while it is fresh.
    pub async fn refresh(&self) -> Result<(), RefreshError> {
        self.refresher.lock().await.refresh_all().await
    }

    /// Keeps keys and revocations fresh, and delivers reports, until `stop` is cancelled.
    pub fn spawn_refresh(&self, stop: CancellationToken) -> JoinHandle<()> {
        let refresher = Arc::clone(&self.refresher);
        let courier = self
            .courier
            .lock()
            .ok()
            .and_then(|mut courier| courier.take());
        tokio::spawn(async move {
            let refreshing = Refresher::run(refresher, stop.clone());
            let reporting = async {
                if let Some(courier) = courier {
                    courier.run(stop.clone()).await;
                }
            };
            tokio::join!(refreshing, reporting);
        })
    }
}

/// The MCP library's HTTP service, without sessions: a request is decided on its own, so there
/// is nothing that could be bound to another principal than the token's.
fn mcp_service(server: &Arc<Server>) -> StreamableHttpService<Handler, NeverSessionManager> {
    let server = Arc::clone(server);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY_BYTES.saturating_mul(2))
        // The gate checks both, against the gateway's own names.
        .disable_allowed_hosts();
    StreamableHttpService::new(
        move || Ok(Handler(Arc::clone(&server))),
        Arc::new(NeverSessionManager::default()),
        config,
    )
}

async fn catalogue(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    Json(shared.catalogue.document(&shared.surface.audience))
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Ready means: a call could be allowed now. Keys are known, the revocation list is fresh, and
/// the audit record and the ledger took the last line.
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let now = shared.clock.now();
    let age = shared.revocations.age(now.monotonic);
    let fresh = age.is_some_and(|age| age <= shared.revocations.max_staleness());
    if shared.trust.current().is_none() {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "unknown_key",
            "no keys are known yet",
        );
    }
    if !fresh {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "revocation_stale",
            "there is no fresh revocation list",
        );
    }
    if !shared.server.recorder.is_writing(now.utc).await {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "audit_unavailable",
            "the audit record cannot be written",
        );
    }
    if shared.server.ledger.is_failing(now.utc) {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            LEDGER_UNAVAILABLE,
            "the ledger of exact calls cannot be written",
        );
    }
    Json(json!({ "status": "ready" })).into_response()
}

fn private_directory(data_dir: &Path, name: &str) -> Result<std::path::PathBuf, OpenError> {
    let path = data_dir.join(name);
    durable::private_directory(&path).map_err(|source| OpenError::Directory {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

/// Keys, tokens and records lie in the data directory: no grant may reach them as files. The
/// sandbox may lie beside them in the data directory, but not above them or among them.
fn refuse_state_in_sandbox(files_root: &Path, data_dir: &Path) -> Result<(), OpenError> {
    let resolved = |path: &Path| {
        path.canonicalize().map_err(|source| OpenError::Directory {
            path: path.to_owned(),
            source,
        })
    };
    let (sandbox, data) = (resolved(files_root)?, resolved(data_dir)?);
    let state = ["gateway", "audit", "issuer"].map(|name| data.join(name));
    if data.starts_with(&sandbox) || state.iter().any(|state| sandbox.starts_with(state)) {
        return Err(OpenError::StateInSandbox {
            files_root: files_root.to_owned(),
            data_dir: data_dir.to_owned(),
        });
    }
    Ok(())
}

fn http_client() -> Result<Client, OpenError> {
    // Fails only if a provider is installed already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    fetch::client().map_err(OpenError::Client)
}

fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}
