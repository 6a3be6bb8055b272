//! Client metadata documents over https, fenced in: a public address that is looked at before and
//! pinned for the connection, no redirects, five KiB, five seconds.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::BoxFuture;
use url::{Host, Url};

use super::{DocumentError, DocumentFuture, DocumentSource, MAX_DOCUMENT_BYTES};

/// For the whole fetch: a person is waiting at the browser.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Documents over https, from public addresses.
#[derive(Clone, Debug)]
pub(crate) struct HttpDocuments {
    /// The addresses of a host, for a port.
    look_up: fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>,
    /// Which of them may be connected to.
    admits: fn(IpAddr) -> bool,
    timeout: Duration,
    /// Whose word certificates count by, where not by that of the machine's authorities.
    authorities: Option<Vec<reqwest::Certificate>>,
}

impl Default for HttpDocuments {
    fn default() -> Self {
        Self {
            look_up: |host, port| {
                Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
            },
            admits: is_public,
            timeout: FETCH_TIMEOUT,
            authorities: None,
        }
    }
}

impl HttpDocuments {
    async fn fetch_fenced(&self, url: &Url) -> Result<Vec<u8>, DocumentError> {
        let unreachable =
            |e: reqwest::Error| DocumentError::Unreachable(e.without_url().to_string());
        let (host, address) = self.public_address(url).await?;
        // Does nothing where the host has installed a provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder();
        let builder = match &self.authorities {
            Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()),
            None => builder,
        };
        let client = builder
            .https_only(true)
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // The address that was looked at is the one that is connected to.
            .resolve(&host, address)
            .build()
            .map_err(unreachable)?;
        let mut response = client.get(url.clone()).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            let why = format!("status {}", response.status().as_u16());
            return Err(DocumentError::Unreachable(why));
        }
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        if !kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(is_json)
        {
            return Err(DocumentError::NotADocument);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_DOCUMENT_BYTES {
                return Err(DocumentError::NotADocument);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The address to connect to, and only if *every* address of the host is public: of several,
    /// an attacker would have us connect to the one that is not.
    async fn public_address(&self, url: &Url) -> Result<(String, SocketAddr), DocumentError> {
        // An address in place of a name is nobody's published document.
        let Some(Host::Domain(host)) = url.host() else {
            return Err(DocumentError::NoPublicAddress);
        };
        let port = url.port_or_known_default().unwrap_or(443);
        let looked_up = tokio::time::timeout(self.timeout, (self.look_up)(host.to_owned(), port));
        let addresses = match looked_up.await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let all_public = addresses.iter().all(|address| (self.admits)(address.ip()));
        let first = addresses.first().copied().filter(|_| all_public);
        let first = first.ok_or(DocumentError::NoPublicAddress)?;
        Ok((host.to_owned(), first))
    }
}

impl DocumentSource for HttpDocuments {
    fn fetch<'a>(&'a self, url: &'a Url) -> DocumentFuture<'a> {
        Box::pin(self.fetch_fenced(url))
    }
}

/// `application/json` or `application/…+json`, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Whether an address is one of the public internet (IANA special-purpose registries): whatever
/// is special is refused.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, private, loopback, multicast and everything above.
        (0 | 10 | 127 | 224..=255, _, _)
        // Shared address space of carriers.
        | (100, 64..=127, _)
        // Link-local, which is where clouds keep instance metadata.
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        // Protocol assignments, documentation, 6to4 relays, benchmarks.
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast, without what embeds IPv4 (Teredo, 6to4), benchmarks and documentation.
    let global = (0x2000..=0x3fff).contains(&a);
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || a == 0x2002 || a == 0x3fff;
    global && !special
}

#[cfg(test)]
mod tests;
