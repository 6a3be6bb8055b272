//! `bailiwick gateway`: the gateway alone, for an issuer elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_mcp_server::{Gateway, GatewayConfig};
use bailiwick_verifier::{Clock, TrustAnchor};
use clap::Args;
use serde::Serialize;
use url::Url;

use crate::cli::http_url;
use crate::clock::SystemClock;
use crate::datadir::DataDir;
use crate::exit::{Exit, Failure, with_causes};
use crate::files;
use crate::hosting::{self, Servers};
use crate::output::{Event, Output};
use crate::serve::Listener;
use crate::settings::{VerifierArgs, VerifierSettings};

/// More than the text of any gateway token.
const MAX_TOKEN_BYTES: u64 = 1_024;

/// Run the gateway alone: the tools, and the check of every call
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    bailiwick gateway --issuer http://127.0.0.1:8400 --trust-anchor ed25519/… \\\n      \
    --gateway-token-file ./bailiwick-issuer/gateway.token --files-root ./files\n\n\
    The gateway holds no signing key. What it learned of keys and revocations it keeps, so that\n\
    it refuses what was revoked even when it starts while the issuer is away.")]
pub(crate) struct GatewayArgs {
    /// Where everything is kept
    #[arg(
        long,
        env = "BAILIWICK_DATA_DIR",
        value_name = "DIR",
        default_value = "./bailiwick-gateway"
    )]
    data_dir: PathBuf,

    /// The address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8401")]
    listen: SocketAddr,

    /// The address agents reach it at, if it is another; `/mcp` below it is the audience of tokens
    #[arg(long, value_name = "URL", value_parser = http_url)]
    public_url: Option<Url>,

    /// The address of the issuer
    #[arg(long, env = "BAILIWICK_ISSUER", value_name = "URL", value_parser = http_url)]
    issuer: Url,

    /// The issuer's trust anchor, as it prints it at start
    #[arg(long, env = "BAILIWICK_TRUST_ANCHOR", value_name = "ed25519/HEX")]
    trust_anchor: TrustAnchor,

    /// The directory the files tools work in
    #[arg(long, value_name = "DIR")]
    files_root: PathBuf,

    /// The issuer's `gateway.token`, with which calls are reported to it; without it none are
    #[arg(long, value_name = "FILE")]
    gateway_token_file: Option<PathBuf>,

    #[command(flatten)]
    verifier: VerifierArgs,
}

/// Runs the gateway until the process is asked to end.
///
/// It does not wait for the issuer: until keys and revocations were fetched
/// it refuses, and `/readyz` says so.
pub(crate) async fn run(args: GatewayArgs, output: Output) -> Result<Exit, Failure> {
    let data = DataDir::open(&args.data_dir)?;
    let listener = Listener::bind("gateway", args.listen).await?;
    let local_url = hosting::reachable_url(listener.address())?;
    let public_url = match args.public_url {
        Some(url) => url,
        None => hosting::local_url("gateway", listener.address())?,
    };
    let gateway = open(Opening {
        data: &data,
        public_url: &public_url,
        issuer_url: &args.issuer,
        trust_anchor: args.trust_anchor,
        files_root: args.files_root,
        gateway_token_file: args.gateway_token_file.as_deref(),
        verifier: args.verifier.settings()?,
        clock: Arc::new(SystemClock::start()),
    })?;
    let mut servers = Servers::new();
    servers.start(listener, gateway.router());
    servers.background(gateway.spawn_refresh(servers.stop_token()));
    let ready = async {
        hosting::alive("gateway", &local_url).await?;
        output.emit(&Ready {
            gateway: hosting::shown(&public_url),
            issuer: hosting::shown(&args.issuer),
            audience: gateway.audience().as_str(),
            data_dir: data.path(),
            typed_data_dir: &args.data_dir,
        })
    };
    servers.run_once(ready).await.map(|()| Exit::Done)
}

/// What a gateway is opened with.
pub(crate) struct Opening<'a> {
    /// Its data directory.
    pub(crate) data: &'a DataDir,
    /// The address agents reach it at.
    pub(crate) public_url: &'a Url,
    /// The address of the issuer.
    pub(crate) issuer_url: &'a Url,
    /// The issuer's trust anchor.
    pub(crate) trust_anchor: TrustAnchor,
    /// The sandbox.
    pub(crate) files_root: PathBuf,
    /// The file of the token with which calls are reported.
    pub(crate) gateway_token_file: Option<&'a Path>,
    /// How it decides.
    pub(crate) verifier: VerifierSettings,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Opens the gateway of a data directory.
///
/// # Errors
///
/// `no_gateway_token` or `gateway_not_opened`, with the causes.
pub(crate) fn open(opening: Opening<'_>) -> Result<Gateway, Failure> {
    let gateway_token = opening.gateway_token_file.map(read_token).transpose()?;
    Gateway::open(GatewayConfig {
        data_dir: opening.data.path().to_owned(),
        public_url: opening.public_url.clone(),
        issuer_url: opening.issuer_url.clone(),
        trust_anchor: opening.trust_anchor,
        files_root: opening.files_root,
        max_staleness: opening.verifier.max_staleness,
        evaluation: opening.verifier.evaluation,
        policy: opening.verifier.policy,
        step_up: opening.verifier.step_up,
        gateway_token,
        clock: opening.clock,
    })
    .map_err(|error| {
        Failure::new(
            "gateway_not_opened",
            format!("the gateway cannot start: {}", with_causes(&error)),
        )
    })
}

fn read_token(path: &Path) -> Result<String, Failure> {
    match files::read_text(path, MAX_TOKEN_BYTES) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(Failure::new(
            "no_gateway_token",
            format!(
                "cannot read the gateway token `{}`: {error}",
                path.display()
            ),
        )
        .hint("it is `gateway.token` in the issuer's data directory")),
    }
}

#[derive(Serialize)]
struct Ready<'a> {
    gateway: &'a str,
    issuer: &'a str,
    audience: &'a str,
    data_dir: &'a Path,
    #[serde(skip)]
    typed_data_dir: &'a Path,
}

impl Event for Ready<'_> {
    fn name(&self) -> &'static str {
        "ready"
    }

    fn human(&self) -> String {
        format!(
            "The gateway is up at {}, for the issuer at {}.\n\n  \
             MCP endpoint  {}\n  data          {}",
            self.gateway,
            self.issuer,
            self.audience,
            self.typed_data_dir.display()
        )
    }
}
