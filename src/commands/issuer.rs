//! `bailiwick issuer`: the issuer alone, for gateways elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_datalog::Audience;
use bailiwick_issuer::{Issuer, IssuerConfig};
use bailiwick_verifier::Clock;
use clap::Args;
use serde::Serialize;
use url::Url;

use crate::cli::http_url;
use crate::clock::SystemClock;
use crate::commands::up;
use crate::datadir::DataDir;
use crate::exit::{Exit, Failure, with_causes};
use crate::hosting::{self, Servers};
use crate::output::{Event, Output};
use crate::serve::Listener;
use crate::trust;

/// Run the issuer alone: approvals, sessions, revocation
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    bailiwick issuer --public-url https://issuer.example --gateway-url https://tools.example\n\n\
    It speaks HTTP; put a TLS-terminating proxy in front where the public address is https. The\n\
    trust anchor it prints is what `bailiwick gateway` is started with, and the gateway needs a\n\
    copy of `gateway.token` from the data directory.")]
pub(crate) struct IssuerArgs {
    /// Where everything is kept
    #[arg(
        long,
        env = "BAILIWICK_DATA_DIR",
        value_name = "DIR",
        default_value = "./bailiwick-issuer"
    )]
    data_dir: PathBuf,

    /// The address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8400")]
    listen: SocketAddr,

    /// The address people and agents reach it at, if it is another
    #[arg(long, value_name = "URL", value_parser = http_url)]
    public_url: Option<Url>,

    /// The address of the gateway whose tools are approved here
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8401", value_parser = http_url)]
    gateway_url: Url,
}

/// Runs the issuer until the process is asked to end.
pub(crate) async fn run(args: IssuerArgs, output: Output) -> Result<Exit, Failure> {
    let data = DataDir::open(&args.data_dir)?;
    let listener = Listener::bind("issuer", args.listen).await?;
    let local_url = hosting::reachable_url(listener.address())?;
    let public_url = match args.public_url {
        Some(url) => url,
        None => hosting::local_url("issuer", listener.address())?,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let audience = up::audience(&args.gateway_url)?;
    let issuer = open(&data, &public_url, &args.gateway_url, audience, clock).await?;
    trust::write(data.path(), &issuer.trust_anchor())?;

    let mut servers = Servers::new();
    servers.start(listener, issuer.router());
    let ready = async {
        hosting::ready("issuer", &local_url).await?;
        output.emit(&Ready {
            issuer: hosting::shown(&public_url),
            gateway: hosting::shown(&args.gateway_url),
            sign_in: issuer.sign_in_link(),
            data_dir: data.path(),
            typed_data_dir: &args.data_dir,
            trust_anchor: issuer.trust_anchor().to_string(),
        })
    };
    let outcome = servers.run_once(ready).await;
    issuer.close().await;
    outcome.map(|()| Exit::Done)
}

/// Opens the issuer of a data directory.
///
/// # Errors
///
/// `issuer_not_opened`, with the causes.
pub(crate) async fn open(
    data: &DataDir,
    public_url: &Url,
    gateway_url: &Url,
    audience: Audience,
    clock: Arc<dyn Clock>,
) -> Result<Issuer, Failure> {
    let not_opened = |error: &dyn std::error::Error| {
        Failure::new(
            "issuer_not_opened",
            format!("the issuer cannot start: {}", with_causes(error)),
        )
    };
    let config = IssuerConfig::new(
        data.path().to_owned(),
        public_url.clone(),
        gateway_url.clone(),
        audience,
        clock,
    )
    .map_err(|error| not_opened(&error))?;
    Issuer::open(config)
        .await
        .map_err(|error| not_opened(&error))
}

#[derive(Serialize)]
struct Ready<'a> {
    issuer: &'a str,
    gateway: &'a str,
    sign_in: Option<String>,
    data_dir: &'a Path,
    #[serde(skip)]
    typed_data_dir: &'a Path,
    trust_anchor: String,
}

impl Event for Ready<'_> {
    fn name(&self) -> &'static str {
        "ready"
    }

    fn human(&self) -> String {
        let sign_in = match &self.sign_in {
            Some(link) => format!("Choose your password, once:  {link}"),
            None => format!("Sign in:  {}", self.issuer),
        };
        format!(
            "The issuer is up at {}, for the gateway at {}.\n\n  \
             trust anchor  {}\n  data          {}\n\n{sign_in}",
            self.issuer,
            self.gateway,
            self.trust_anchor,
            self.typed_data_dir.display()
        )
    }
}
