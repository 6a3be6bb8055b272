//! `bailiwick up`: issuer and gateway in one process, with nothing to
//! configure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_datalog::Audience;
use bailiwick_verifier::Clock;
use clap::Args;
use serde::Serialize;
use url::Url;

use crate::cli::DEFAULT_SERVER;
use crate::clock::SystemClock;
use crate::commands::{gateway, issuer};
use crate::datadir::{self, DataDir};
use crate::exit::{Exit, Failure};
use crate::hosting::{self, Servers};
use crate::invocation::CommandLine;
use crate::output::{Event, Output};
use crate::serve::Listener;
use crate::settings::{self, VerifierArgs};
use crate::{samples, trust};

/// Run issuer and gateway together on this machine, with nothing to configure
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick up\n  \
    bailiwick up --data-dir /tmp/try --issuer 127.0.0.1:0 --gateway 127.0.0.1:0 --json\n\n\
    The first start makes keys, a sandbox with sample files, and a link with which the first\n\
    approver chooses a password. With --json the first line is the event `ready`.")]
pub(crate) struct UpArgs {
    /// Where everything is kept
    #[arg(
        long,
        env = "BAILIWICK_DATA_DIR",
        value_name = "DIR",
        default_value = "./bailiwick-data"
    )]
    data_dir: PathBuf,

    /// The address of the issuer; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8400")]
    issuer: SocketAddr,

    /// The host name by which browsers reach the issuer instead of its address, such as
    /// `localhost`: passkeys are bound to one
    #[arg(long, value_name = "NAME")]
    issuer_host: Option<String>,

    /// The address of the gateway; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8401")]
    gateway: SocketAddr,

    /// The directory the files tools work in, instead of `files` in the data directory
    #[arg(long, value_name = "DIR")]
    files_root: Option<PathBuf>,

    #[command(flatten)]
    verifier: VerifierArgs,
}

/// Runs both until the process is asked to end.
pub(crate) async fn run(args: UpArgs, output: Output) -> Result<Exit, Failure> {
    let verifier = args.verifier.settings()?;
    let provider = issuer::provider(args.verifier.config.as_deref())?;
    let notify = settings::notify(args.verifier.config.as_deref())?;
    let data = DataDir::open(&args.data_dir)?;
    let issuer_listener = Listener::bind("issuer", args.issuer).await?;
    let gateway_listener = Listener::bind("gateway", args.gateway).await?;
    let mut issuer_url = hosting::local_url("issuer", issuer_listener.address())?;
    if let Some(name) = &args.issuer_host {
        issuer_url
            .set_host(Some(name))
            .map_err(|error| Failure::usage(format!("`--issuer-host {name}`: {error}")))?;
    }
    let gateway_url = hosting::local_url("gateway", gateway_listener.address())?;
    let files_root = files_root(&data, args.files_root)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());

    let issuer = issuer::open(issuer::Opening {
        data: &data,
        public_url: &issuer_url,
        gateway_url: &gateway_url,
        audience: audience(&gateway_url)?,
        spiffe: None,
        provider,
        notify,
        clock: Arc::clone(&clock),
    })
    .await?;
    trust::write(data.path(), &issuer.trust_anchor())?;
    let gateway = gateway::open(gateway::Opening {
        data: &data,
        public_url: &gateway_url,
        issuer_url: &issuer_url,
        trust_anchor: issuer.trust_anchor(),
        files_root,
        gateway_token_file: Some(&data.path().join(datadir::GATEWAY_TOKEN)),
        verifier,
        clock,
    })?;

    let mut servers = Servers::new();
    servers.start(issuer_listener, issuer.router());
    servers.background(issuer.spawn_notifying(servers.stop_token().cancelled_owned()));
    servers.start(gateway_listener, gateway.router());
    servers.background(gateway.spawn_refresh(servers.stop_token()));
    let ready = async {
        hosting::ready("issuer", &issuer_url).await?;
        hosting::ready("gateway", &gateway_url).await?;
        output.emit(&Ready {
            issuer: hosting::shown(&issuer_url),
            gateway: hosting::shown(&gateway_url),
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

/// The audience of the gateway at `gateway`: its MCP endpoint.
///
/// # Errors
///
/// `usage` for an address that is no audience.
pub(crate) fn audience(gateway: &Url) -> Result<Audience, Failure> {
    let origin = gateway.origin().ascii_serialization();
    Audience::parse(format!("{origin}/mcp"))
        .map_err(|error| Failure::usage(format!("no audience at {gateway}: {error}")))
}

fn files_root(data: &DataDir, given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(root) = given {
        return Ok(root);
    }
    let root = data.path().join(datadir::FILES);
    samples::fill_if_new(&root)?;
    Ok(root)
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
            "Bailiwick is up.\n\n  \
             issuer   {}\n  gateway  {}\n  data     {}\n\n\
             {sign_in}\n\n\
             Then, in another terminal (Ctrl-C here ends it all):\n  {}\n  {}\n  {}\n",
            self.issuer,
            self.gateway,
            self.typed_data_dir.display(),
            self.request_command(),
            self.call_command(),
            CommandLine::new("inspect"),
        )
    }
}

impl Ready<'_> {
    fn request_command(&self) -> CommandLine {
        let mut line = CommandLine::new("request");
        line.option("--tool", "files.list_directory");
        line.option("--tool", "files.read_file");
        line.option("--resource", "files/reports");
        line.option("--task", "Summarise the Q3 report");
        line.option("--for", "10m");
        self.at_gateway(&mut line);
        line
    }

    fn call_command(&self) -> CommandLine {
        let mut line = CommandLine::new("call");
        line.push("files.read_file");
        line.option("--arg", "path=reports/q3.md");
        self.at_gateway(&mut line);
        line
    }

    fn at_gateway(&self, line: &mut CommandLine) {
        if self.gateway != DEFAULT_SERVER {
            line.option("--server", self.gateway);
        }
    }
}
