//! What the gateway is called from outside: its audience, its metadata, and the `Host` and
//! `Origin` values that are its own.
//!
//! Everything here is derived once from the configured public URL. Nothing is ever taken from a
//! request, so a lying `Host` changes neither the audience nor a link.

use std::collections::BTreeSet;

use bailiwick_datalog::Audience;
use bailiwick_verifier::tower::ProtectedResource;
use thiserror::Error;
use url::{Host, Url};

/// Path of the MCP endpoint below the public URL.
pub(crate) const MCP_PATH: &str = "/mcp";

/// What the gateway calls itself in its metadata.
const NAME: &str = "Bailiwick gateway";

/// The metadata (RFC 9728) where clients look first that ignore the resource's path.
pub(crate) const METADATA_ROOT_PATH: &str = "/.well-known/oauth-protected-resource";

/// Names of this machine that only this machine can use, so no attacker's page has them.
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The gateway's names.
#[derive(Clone, Debug)]
pub(crate) struct Surface {
    /// The audience of tokens that are good here.
    pub(crate) audience: Audience,
    /// What the gateway says of itself, in metadata and challenges.
    pub(crate) resource: ProtectedResource,
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

/// Why a URL cannot be the public URL of a gateway or of its issuer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SurfaceError {
    /// Not `http` or `https`, or without a host.
    #[error("`{url}` is not an http or https URL with a host")]
    NotHttp {
        /// The URL.
        url: String,
    },
    /// More than scheme, host and port.
    #[error("`{url}` must have no user, path, query or fragment")]
    NotAnOrigin {
        /// The URL.
        url: String,
    },
}

impl Surface {
    /// Derives the names from the gateway's and the issuer's public URLs.
    ///
    /// # Errors
    /// [`SurfaceError`] when one of them is more or less than an origin.
    pub(crate) fn new(public_url: &Url, issuer_url: &Url) -> Result<Self, SurfaceError> {
        let base = origin_text(public_url)?;
        let issuer = origin_text(issuer_url)?;
        let not_http = || SurfaceError::NotHttp {
            url: public_url.to_string(),
        };
        let port = public_url.port_or_known_default().ok_or_else(not_http)?;
        let host = match public_url.host().ok_or_else(not_http)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => format!("[{address}]"),
        };
        let audience = Audience::parse(format!("{base}{MCP_PATH}")).map_err(|_| not_http())?;
        let mut hosts = authorities(&host, port, public_url.port().is_none());
        let mut origins = BTreeSet::from([base.clone()]);
        for loopback in LOOPBACK_HOSTS {
            hosts.append(&mut authorities(loopback, port, port == 80));
            origins.insert(format!("http://{loopback}:{port}"));
        }
        if port == 80 {
            origins.extend(LOOPBACK_HOSTS.map(|loopback| format!("http://{loopback}")));
        }
        let resource = ProtectedResource::new(audience.clone(), [issuer])
            .map_err(|_| not_http())?
            .named(NAME);
        Ok(Self {
            audience,
            resource,
            hosts,
            origins,
        })
    }

    /// Is this text of a `Host` header one of the gateway's own names?
    pub(crate) fn is_own_host(&self, host: &str) -> bool {
        self.hosts.contains(&host.to_ascii_lowercase())
    }

    /// Is this text of an `Origin` header one of the gateway's own pages?
    pub(crate) fn is_own_origin(&self, origin: &str) -> bool {
        self.origins.contains(&origin.to_ascii_lowercase())
    }
}

fn authorities(host: &str, port: u16, port_may_be_left_out: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::from([format!("{host}:{port}")]);
    if port_may_be_left_out {
        names.insert(host.to_owned());
    }
    names
}

fn origin_text(url: &Url) -> Result<String, SurfaceError> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(SurfaceError::NotHttp {
            url: url.to_string(),
        });
    }
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if !bare {
        return Err(SurfaceError::NotAnOrigin {
            url: url.to_string(),
        });
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface(public: &str) -> Surface {
        let issuer = Url::parse("http://127.0.0.1:8400").unwrap();
        Surface::new(&Url::parse(public).unwrap(), &issuer).unwrap()
    }

    #[test]
    fn audience_and_metadata_follow_the_public_url() {
        let local = surface("http://127.0.0.1:8401");
        assert_eq!(local.audience.as_str(), "http://127.0.0.1:8401/mcp");
        assert_eq!(
            local.resource.metadata_url(),
            "http://127.0.0.1:8401/.well-known/oauth-protected-resource/mcp"
        );
        assert_eq!(
            local.resource.metadata()["authorization_servers"],
            serde_json::json!(["http://127.0.0.1:8400"])
        );
    }

    #[test]
    fn own_hosts_are_the_public_name_and_loopback_on_the_same_port() {
        let local = surface("http://127.0.0.1:8401");
        for own in [
            "127.0.0.1:8401",
            "localhost:8401",
            "LOCALHOST:8401",
            "[::1]:8401",
        ] {
            assert!(local.is_own_host(own), "{own}");
        }
        for foreign in [
            "127.0.0.1",
            "127.0.0.1:8400",
            "localhost",
            "evil.example:8401",
            "localhost.:8401",
        ] {
            assert!(!local.is_own_host(foreign), "{foreign}");
        }
        let public = surface("https://tools.example");
        assert!(public.is_own_host("tools.example"));
        assert!(public.is_own_host("tools.example:443"));
        assert!(!public.is_own_host("tools.example:80"));
    }

    #[test]
    fn own_origins_match_scheme_host_and_port() {
        let local = surface("http://127.0.0.1:8401");
        assert!(local.is_own_origin("http://localhost:8401"));
        for foreign in [
            "https://localhost:8401",
            "http://localhost",
            "null",
            "http://evil.example",
        ] {
            assert!(!local.is_own_origin(foreign), "{foreign}");
        }
        assert!(surface("https://tools.example").is_own_origin("https://tools.example"));
    }

    #[test]
    fn a_public_url_is_an_origin_and_nothing_more() {
        let issuer = Url::parse("http://127.0.0.1:8400").unwrap();
        for bad in [
            "http://a@h/",
            "http://h/x",
            "http://h/?q",
            "http://h/#f",
            "ftp://h/",
        ] {
            assert!(
                Surface::new(&Url::parse(bad).unwrap(), &issuer).is_err(),
                "{bad}"
            );
        }
    }
}
