//! `bailiwick issuer`: the issuer alone, for gateways elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_datalog::Audience;
use bailiwick_issuer::{
    IdentityProvider, Issuer, IssuerConfig, NotifyTarget, SpiffeBundle, SpiffeDomain,
};
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
use crate::{settings, trust};

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

    /// The SPIFFE trust domain whose workloads may prove who they are
    #[arg(long, value_name = "NAME", requires = "spiffe_bundle")]
    spiffe_trust_domain: Option<String>,

    /// Its keys for JWT-SVIDs: a JWK set in a file, or at an https address
    #[arg(long, value_name = "FILE|URL", requires = "spiffe_trust_domain")]
    spiffe_bundle: Option<String>,

    /// A TOML file whose table `[issuer.oidc]` may name an identity provider, and whose tables
    /// `[[issuer.webhook]]` and `[issuer.mail]` who is told when requests wait
    #[arg(long, env = "BAILIWICK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the issuer until the process is asked to end.
pub(crate) async fn run(args: IssuerArgs, output: Output) -> Result<Exit, Failure> {
    let spiffe = spiffe(args.spiffe_trust_domain, args.spiffe_bundle)?;
    let provider = provider(args.config.as_deref())?;
    let notify = settings::notify(args.config.as_deref())?;
    let data = DataDir::open(&args.data_dir)?;
    let listener = Listener::bind("issuer", args.listen).await?;
    let local_url = hosting::reachable_url(listener.address())?;
    let public_url = match args.public_url {
        Some(url) => url,
        None => hosting::local_url("issuer", listener.address())?,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let audience = up::audience(&args.gateway_url)?;
    let issuer = open(Opening {
        data: &data,
        public_url: &public_url,
        gateway_url: &args.gateway_url,
        audience,
        spiffe,
        provider,
        notify,
        clock,
    })
    .await?;
    trust::write(data.path(), &issuer.trust_anchor())?;

    let mut servers = Servers::new();
    servers.start(listener, issuer.router());
    servers.background(issuer.spawn_notifying(servers.stop_token().cancelled_owned()));
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

/// The trust domain that both options name together.
///
/// # Errors
///
/// `spiffe_bundle_refused` for an address where anybody on the way could put keys of their own.
fn spiffe(name: Option<String>, bundle: Option<String>) -> Result<Option<SpiffeDomain>, Failure> {
    let (Some(name), Some(bundle)) = (name, bundle) else {
        return Ok(None);
    };
    let bundle = match bundle.split_once("://") {
        None => SpiffeBundle::File(bundle.into()),
        Some(("https", _)) => match Url::parse(&bundle) {
            Ok(url) => SpiffeBundle::Url(url),
            Err(error) => return Err(refused_bundle(&error.to_string())),
        },
        Some(_) => return Err(refused_bundle("its address must be https")),
    };
    Ok(Some(SpiffeDomain { name, bundle }))
}

fn refused_bundle(why: &str) -> Failure {
    let message = format!("the SPIFFE bundle cannot be used: {why}");
    Failure::new("spiffe_bundle_refused", message).ending(Exit::Usage)
}

/// What an issuer is opened with.
pub(crate) struct Opening<'a> {
    /// Its data directory.
    pub(crate) data: &'a DataDir,
    /// The address people and agents reach it at.
    pub(crate) public_url: &'a Url,
    /// The address of the gateway.
    pub(crate) gateway_url: &'a Url,
    /// The server that tokens are for.
    pub(crate) audience: Audience,
    /// The workloads that may prove who they are.
    pub(crate) spiffe: Option<SpiffeDomain>,
    /// The identity provider people may sign in with.
    pub(crate) provider: Option<IdentityProvider>,
    /// Who is told when requests wait.
    pub(crate) notify: Vec<NotifyTarget>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// The identity provider of a configuration file.
///
/// # Errors
///
/// As [`settings::identity_provider`].
pub(crate) fn provider(config: Option<&Path>) -> Result<Option<IdentityProvider>, Failure> {
    config.map_or(Ok(None), settings::identity_provider)
}

/// Opens the issuer of a data directory.
///
/// # Errors
///
/// `issuer_not_opened`, with the causes.
pub(crate) async fn open(opening: Opening<'_>) -> Result<Issuer, Failure> {
    let not_opened = |error: &dyn std::error::Error| {
        Failure::new(
            "issuer_not_opened",
            format!("the issuer cannot start: {}", with_causes(error)),
        )
    };
    let mut config = IssuerConfig::new(
        opening.data.path().to_owned(),
        opening.public_url.clone(),
        opening.gateway_url.clone(),
        opening.audience,
        opening.clock,
    )
    .map_err(|error| not_opened(&error))?;
    config.spiffe = opening.spiffe;
    config.identity_provider = opening.provider;
    config.notify = opening.notify;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_is_a_file_or_at_an_https_address() {
        let read = |bundle: &str| {
            spiffe(Some("prod.example".to_owned()), Some(bundle.to_owned()))
                .map(|domain| domain.map(|domain| domain.bundle))
        };
        let file = SpiffeBundle::File("bundle.json".into());
        assert_eq!(read("bundle.json").ok(), Some(Some(file)));
        let url = "https://spire.example/bundle";
        assert_eq!(
            read(url).ok(),
            Some(Some(SpiffeBundle::Url(Url::parse(url).unwrap())))
        );
        for bad in ["http://spire.example/bundle", "ftp://x/y", "https://"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(spiffe(None, None).is_ok_and(|domain| domain.is_none()));
    }
}
