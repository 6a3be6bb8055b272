//! What a host decides before the issuer starts, checked once.

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use bailiwick_datalog::Audience;
use bailiwick_verifier::Clock;
use thiserror::Error;
use url::{Host, Url};

use crate::{
    catalogue::CatalogueSource,
    entropy::Entropy,
    notify::NotifyTarget,
    oauth::{document::DocumentSource, spiffe::SpiffeDomain},
    people::provider::IdentityProvider,
};

/// How long a request waits for its approver. Long enough to find the browser, short
/// enough that a forgotten request does not linger (RFC 8628 section 6.1 suggests minutes).
const REQUEST_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Seconds between polls. Below RFC 8628's five, because the issuer is usually on the same
/// machine and a person is waiting.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// After a denial an agent is quiet for this long: long enough that nobody is asked until they
/// give in, short enough to ask for less.
const QUIET_AFTER_DENIAL: Duration = Duration::from_secs(60);
/// A browser left alone for this long has to sign in again.
const BROWSER_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// A browser has to sign in again after this long, however busy: one working day.
const BROWSER_ABSOLUTE: Duration = Duration::from_secs(12 * 60 * 60);

/// Everything [`crate::Issuer::open`] needs to know.
#[derive(Clone)]
pub struct IssuerConfig {
    /// Directory of all state (0700); the issuer uses `issuer/`, `audit/issuer.jsonl`,
    /// `operator.token` and `gateway.token` in it.
    pub data_dir: PathBuf,
    /// Where browsers and agents reach the issuer: scheme, host and port, nothing more.
    pub public_url: Url,
    /// Base URL of the gateway whose catalogue names the tools.
    pub gateway_url: Url,
    /// The one MCP server that minted tokens are good for.
    pub audience: Audience,
    /// The only source of time.
    pub clock: Arc<dyn Clock>,
    /// The only source of randomness.
    pub entropy: Entropy,
    /// Where the tool catalogue comes from; `None` asks the gateway over HTTP.
    pub catalogue: Option<Arc<dyn CatalogueSource>>,
    /// Where client metadata documents come from; `None` fetches them over https, from public
    /// addresses alone.
    pub documents: Option<Arc<dyn DocumentSource>>,
    /// The SPIFFE trust domain whose workloads may prove who they are.
    pub spiffe: Option<SpiffeDomain>,
    /// Signs people in beside the accounts with passwords; `None` for those alone.
    pub identity_provider: Option<IdentityProvider>,
    /// Who is told when requests wait.
    pub notify: Vec<NotifyTarget>,
    /// How long a request may wait for its approver.
    pub request_lifetime: Duration,
    /// Least time between two polls of a waiting agent.
    pub poll_interval: Duration,
    /// How long an agent may not ask after a denial; doubled by each further one in an hour.
    pub quiet_after_denial: Duration,
    /// How long a signed-in browser may be idle.
    pub browser_idle: Duration,
    /// How long a sign-in lasts at most.
    pub browser_absolute: Duration,
}

impl IssuerConfig {
    /// A configuration with the usual limits, seeded by the operating system.
    ///
    /// # Errors
    /// [`ConfigError`] when a URL is not one the issuer can safely be reached at, or the
    /// operating system gives no randomness.
    pub fn new(
        data_dir: PathBuf,
        public_url: Url,
        gateway_url: Url,
        audience: Audience,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let config = Self {
            data_dir,
            public_url,
            gateway_url,
            audience,
            clock,
            entropy: Entropy::from_os().map_err(ConfigError::NoEntropy)?,
            catalogue: None,
            identity_provider: None,
            documents: None,
            spiffe: None,
            notify: Vec::new(),
            request_lifetime: REQUEST_LIFETIME,
            poll_interval: POLL_INTERVAL,
            quiet_after_denial: QUIET_AFTER_DENIAL,
            browser_idle: BROWSER_IDLE,
            browser_absolute: BROWSER_ABSOLUTE,
        };
        config.site()?;
        Ok(config)
    }

    /// The public origin, checked.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`IssuerConfig::new`].
    pub(crate) fn site(&self) -> Result<Site, ConfigError> {
        check_base("gateway_url", &self.gateway_url)?;
        Site::new(&self.public_url)
    }
}

impl fmt::Debug for IssuerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerConfig")
            .field("data_dir", &self.data_dir)
            .field("public_url", &self.public_url.as_str())
            .field("gateway_url", &self.gateway_url.as_str())
            .finish_non_exhaustive()
    }
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not an http or https URL with a host.
    #[error("`{name}` must be an http or https URL with a host, not `{url}`")]
    NotHttp {
        /// The setting.
        name: &'static str,
        /// Its value.
        url: String,
    },
    /// The URL has a path, a query, a fragment or credentials.
    #[error("`{name}` must be scheme, host and port alone, not `{url}`")]
    NotAnOrigin {
        /// The setting.
        name: &'static str,
        /// Its value.
        url: String,
    },
    /// Passwords and cookies would cross a network in clear.
    #[error("`public_url` must use https unless the host is a loopback address: `{0}`")]
    InsecurePublicUrl(String),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoEntropy(#[source] std::io::Error),
}

/// The public origin of the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    origin: String,
    secure: bool,
}

impl Site {
    /// Checks a public URL.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(crate) fn new(url: &Url) -> Result<Self, ConfigError> {
        check_base("public_url", url)?;
        let secure = url.scheme() == "https";
        if !secure && !is_loopback(url) {
            return Err(ConfigError::InsecurePublicUrl(url.to_string()));
        }
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            secure,
        })
    }

    /// `scheme://host[:port]`, as browsers write it in `Origin`.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// True when cookies must be `Secure`.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The absolute URL of a path that starts with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

fn check_base(name: &'static str, url: &Url) -> Result<(), ConfigError> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ConfigError::NotHttp {
            name,
            url: url.to_string(),
        });
    }
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if bare {
        Ok(())
    } else {
        Err(ConfigError::NotAnOrigin {
            name,
            url: url.to_string(),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> Result<Site, ConfigError> {
        Site::new(&Url::parse(url).unwrap())
    }

    #[test]
    fn loopback_may_be_plain_http_and_nothing_else_may() {
        for good in [
            "http://127.0.0.1:8400",
            "http://[::1]:1/",
            "http://localhost:8400",
        ] {
            assert!(!site(good).unwrap().is_secure(), "{good}");
        }
        assert!(site("https://issuer.example").unwrap().is_secure());
        assert!(matches!(
            site("http://issuer.example"),
            Err(ConfigError::InsecurePublicUrl(_))
        ));
    }

    #[test]
    fn public_url_is_an_origin_alone() {
        for bad in [
            "http://127.0.0.1/base",
            "http://127.0.0.1/?q",
            "http://127.0.0.1/#f",
            "http://user@127.0.0.1/",
        ] {
            assert!(
                matches!(site(bad), Err(ConfigError::NotAnOrigin { .. })),
                "{bad}"
            );
        }
        assert!(matches!(
            site("ftp://127.0.0.1/"),
            Err(ConfigError::NotHttp { .. })
        ));
    }

    #[test]
    fn origin_drops_the_default_port_as_browsers_do() {
        assert_eq!(
            site("https://issuer.example:443/").unwrap().origin(),
            "https://issuer.example"
        );
        assert_eq!(
            site("http://127.0.0.1:8400").unwrap().url("/x"),
            "http://127.0.0.1:8400/x"
        );
    }
}
