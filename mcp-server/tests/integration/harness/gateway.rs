//! A gateway under test: opened on a fresh directory, served on a loopback port, restartable.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use bailiwick_mcp_server::{Gateway, GatewayConfig};
use bailiwick_verifier::{Evaluation, ManualClock};
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Reply, START, StandIn, TokenSpec, serve::serve};

/// The bound on staleness in every test.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(30);

/// The secret that reports carry.
pub(crate) const GATEWAY_TOKEN: &str = "gateway-secret";

/// A gateway, its issuer and everything they stand on.
pub(crate) struct TestGateway {
    pub(crate) issuer: StandIn,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) url: Url,
    pub(crate) files: PathBuf,
    pub(crate) data: PathBuf,
    /// The applications whose clients step up, from the next start on.
    pub(crate) step_up: BTreeSet<String>,
    dir: TempDir,
    listener: std::net::TcpListener,
    running: Option<Running>,
    http: reqwest::Client,
}

struct Running {
    gateway: Gateway,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl TestGateway {
    /// Starts a gateway that has refreshed once and holds a few files.
    pub(crate) async fn start() -> Self {
        let gateway = Self::start_unrefreshed().await;
        gateway.refresh().await;
        gateway
    }

    /// Starts a gateway that has not heard of its issuer yet.
    pub(crate) async fn start_unrefreshed() -> Self {
        // The test's own client needs a provider before the gateway under test installs one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let (files, data) = (dir.path().join("files"), dir.path().join("data"));
        std::fs::create_dir_all(files.join("reports")).unwrap();
        std::fs::create_dir_all(files.join("private")).unwrap();
        std::fs::write(files.join("reports/q3.md"), "# Q3\nRevenue grew.\n").unwrap();
        std::fs::write(files.join("private/salaries.md"), "secret\n").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let mut gateway = Self {
            issuer: StandIn::start().await,
            clock: Arc::new(ManualClock::new(START)),
            url,
            files,
            data,
            step_up: BTreeSet::new(),
            dir,
            listener,
            running: None,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        gateway.run();
        gateway
    }

    fn run(&mut self) {
        let gateway = Gateway::open(self.config()).unwrap();
        let listener = self.listener.try_clone().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, gateway.router(), stop.clone()));
        self.running = Some(Running {
            gateway,
            stop,
            served,
        });
    }

    /// What the gateway is opened with.
    pub(crate) fn config(&self) -> GatewayConfig {
        GatewayConfig {
            data_dir: self.data.clone(),
            public_url: self.url.clone(),
            issuer_url: self.issuer.url.clone(),
            trust_anchor: StandIn::anchor(),
            files_root: self.files.clone(),
            max_staleness: MAX_STALENESS,
            evaluation: Evaluation::default(),
            policy: None,
            step_up: self.step_up.clone(),
            gateway_token: Some(GATEWAY_TOKEN.to_owned()),
            clock: self.clock.clone(),
        }
    }

    /// Stops the gateway and opens it again on the same directory, with a clock that starts anew
    /// as it does in a new process.
    pub(crate) async fn restart(&mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        self.clock = Arc::new(ManualClock::new(START));
        self.run();
    }

    /// Stops the gateway; everything it held is closed when this returns.
    pub(crate) async fn stop(&mut self) {
        let Running {
            gateway,
            stop,
            served,
        } = self.running.take().unwrap();
        stop.cancel();
        // Connections that are kept alive would be waited for.
        self.http = reqwest::Client::builder().no_proxy().build().unwrap();
        served.await.unwrap();
        drop(gateway);
    }

    /// The gateway itself.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.running.as_ref().unwrap().gateway
    }

    /// Refreshes keys and revocations, which must succeed.
    pub(crate) async fn refresh(&self) {
        self.gateway().refresh().await.unwrap();
    }

    /// Somewhere outside the sandbox.
    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The audience of good tokens.
    pub(crate) fn audience(&self) -> String {
        self.gateway().audience().to_string()
    }

    /// The text of a token that may read everything.
    pub(crate) fn reading_token(&self) -> String {
        TokenSpec::reading(&self.audience()).mint()
    }

    /// A GET of `path`.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::to(self.http.get(self.url.join(path).unwrap())).await
    }

    /// A POST to `/mcp` with every header that clients send, ready to be changed.
    pub(crate) fn post(&self, token: &str, message: &Value) -> RequestBuilder {
        self.post_without_token(message.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
    }

    /// The same without a token, and with a body that need not be JSON.
    pub(crate) fn post_without_token(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http
            .post(self.url.join("/mcp").unwrap())
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::CONTENT_TYPE, "application/json")
            .header("mcp-protocol-version", "2025-11-25")
            .body(body)
    }

    /// Sends a message.
    pub(crate) async fn send(&self, token: &str, message: &Value) -> Reply {
        Reply::to(self.post(token, message)).await
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, token: &str, tool: &str, arguments: Value) -> Reply {
        self.send(token, &call(tool, arguments)).await
    }

    /// The events on the audit record, oldest first. Checks that the record is whole.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.data.join("audit/gateway.jsonl")).unwrap();
        bailiwick_verifier::audit::verify(text.lines()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A `tools/call` message.
pub(crate) fn call(tool: &str, arguments: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    })
}

/// A request without parameters.
pub(crate) fn request(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method })
}
