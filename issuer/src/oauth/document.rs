//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a client whose id
//! is the URL of a document that describes it.
//!
//! The issuer fetches what a stranger names, so the fetch is fenced in ([`HttpDocuments`]):
//! https alone, a public address that is looked at before and pinned for the connection, no
//! redirects, five KiB, five seconds. A document counts only if it names the very URL it came
//! from, and is kept for a while.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use bailiwick_datalog::strict_json;
use serde::Deserialize;
use thiserror::Error;
use url::{Host, Url};

use super::{
    client::{AuthMethod, Client, ClientError, ClientKind},
    register::{Metadata, Profile},
};
use crate::{
    core::{Core, Unavailable},
    store::{NewClient, clients},
    text::visible_line,
};

/// What the draft recommends (section 6.6).
const MAX_DOCUMENT_BYTES: usize = 5 * 1024;
/// For the whole fetch: a person is waiting at the browser.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a document is taken as it was. A code lasts a minute, so no flow spans two fetches.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);

/// The future of [`DocumentSource::fetch`].
pub type DocumentFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<u8>, DocumentError>> + Send + 'a>>;

/// Where client metadata documents come from.
pub trait DocumentSource: Send + Sync {
    /// Fetches the document at an https URL.
    fn fetch<'a>(&'a self, url: &'a Url) -> DocumentFuture<'a>;
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The host has an address that is not public, or is one.
    #[error("the address of its host is not public")]
    PrivateAddress,
    /// It cannot be fetched.
    #[error("it cannot be fetched: {0}")]
    Unreachable(String),
    /// It is larger than five KiB, or not of a JSON type.
    #[error("the answer is not a JSON document of at most 5 KiB")]
    NotADocument,
    /// It is not the metadata of the client whose id is its URL.
    #[error("it does not describe this client: {0}")]
    Malformed(String),
}

/// The URL of a client metadata document, if the client id is one.
pub(crate) fn document_url(client_id: &str) -> Option<Url> {
    let url = Url::parse(client_id).ok()?;
    let plain = client_id
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'\\');
    // One spelling only: what parses to another text is not this client's name for itself.
    let exact = url.as_str() == client_id;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.query().is_none();
    let good = url.scheme() == "https" && plain && exact && bare && url.path() != "/";
    good.then_some(url)
}

#[derive(Deserialize)]
struct Document {
    client_id: String,
    #[serde(flatten)]
    metadata: Metadata,
}

impl Core {
    /// The client that the document at a URL describes: as it was lately, or as it is now.
    ///
    /// # Errors
    /// [`ClientError::Document`] when the document cannot be had or describes something else.
    pub(crate) async fn document_client(&self, url: &Url) -> Result<Client, ClientError> {
        let now = self.clock.now();
        let id = url.as_str();
        let known = self.store.fresh_document(id, now.utc).await;
        if let Some(known) = known.map_err(Unavailable::from)? {
            return Ok(known);
        }
        let application = self.store.open_application().await;
        let application = application.map_err(Unavailable::from)?;
        let application = application.ok_or(ClientError::Unknown)?;
        // By host: a thousand names on one server are one server that is asked.
        let host = url.host_str().unwrap_or_default();
        self.document_fetches
            .begin(host, now.monotonic)
            .map_err(|_| ClientError::TooManyFetches)?;
        let profile = self
            .fetch_profile(url)
            .await
            .map_err(ClientError::Document)?;
        self.document_fetches.succeeded(host);
        let credentials = profile.credentials(None);
        let new = NewClient {
            id,
            application: &application.id,
            kind: ClientKind::Document,
            name: &profile.name,
            redirects: &profile.redirects,
            method: profile.method,
            credentials: &credentials,
            created_at: now.utc,
        };
        let fresh_until = now.utc.checked_add(FRESH_FOR).unwrap_or(now.utc);
        let mut change = self.store.change().await.map_err(Unavailable::from)?;
        let stored = clients::store_document(&mut change, &new, fresh_until).await;
        stored.map_err(Unavailable::from)?;
        let fields = serde_json::json!({"client": id, "name": profile.name});
        self.seal(change, now.utc, "client_document_read", fields)
            .await?;
        Ok(Client {
            id: id.to_owned(),
            application,
            kind: ClientKind::Document,
            name: profile.name,
            redirects: profile.redirects,
            credentials,
        })
    }

    async fn fetch_profile(&self, url: &Url) -> Result<Profile, DocumentError> {
        let bytes = self.documents.fetch(url).await?;
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::NotADocument);
        }
        read_document(url, &bytes)
    }
}

fn read_document(url: &Url, bytes: &[u8]) -> Result<Profile, DocumentError> {
    let malformed = |why: &str| DocumentError::Malformed(visible_line(why));
    let value = strict_json::parse(bytes).map_err(|e| malformed(&e.to_string()))?;
    let mut document: Document =
        serde_json::from_value(value).map_err(|e| malformed(&e.to_string()))?;
    if document.client_id != url.as_str() {
        return Err(malformed("its `client_id` is another"));
    }
    // A document is public: it cannot hold a secret (draft, section 4.1).
    let method = document.metadata.token_endpoint_auth_method;
    document.metadata.token_endpoint_auth_method =
        Some(method.unwrap_or_else(|| "none".to_owned()));
    let profile = Profile::read(&document.metadata).map_err(|e| malformed(&e.to_string()))?;
    match profile.method {
        AuthMethod::None | AuthMethod::PrivateKeyJwt => Ok(profile),
        _ => Err(malformed("its `token_endpoint_auth_method` needs a secret")),
    }
}

/// Documents over https, from public addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HttpDocuments;

impl HttpDocuments {
    async fn fetch_fenced(&self, url: &Url) -> Result<Vec<u8>, DocumentError> {
        let unreachable =
            |e: reqwest::Error| DocumentError::Unreachable(e.without_url().to_string());
        let (host, address) = public_address(url).await?;
        // Does nothing where the host has installed a provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .https_only(true)
            .timeout(FETCH_TIMEOUT)
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

/// The address to connect to, and only if *every* address of the host is public: of several, an
/// attacker would have us connect to the one that is not.
async fn public_address(url: &Url) -> Result<(String, SocketAddr), DocumentError> {
    // An address in place of a name is nobody's published document.
    let Some(Host::Domain(host)) = url.host() else {
        return Err(DocumentError::PrivateAddress);
    };
    let port = url.port_or_known_default().unwrap_or(443);
    let looked_up = tokio::time::timeout(FETCH_TIMEOUT, tokio::net::lookup_host((host, port)));
    let addresses: Vec<SocketAddr> = match looked_up.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => {
            let why = "its host has no address".to_owned();
            return Err(DocumentError::Unreachable(why));
        }
    };
    if !addresses.iter().all(|address| is_public(address.ip())) {
        return Err(DocumentError::PrivateAddress);
    }
    let first = addresses.first().copied();
    let first = first.ok_or_else(|| DocumentError::Unreachable("no address".to_owned()))?;
    Ok((host.to_owned(), first))
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
mod tests {
    use super::*;

    #[test]
    fn client_id_that_is_an_https_url_with_a_path_names_a_document() {
        assert!(document_url("https://app.example/client.json").is_some());
        for other in [
            "bailiwick-cli",
            "http://app.example/client.json",
            "https://app.example/",
            "https://app.example",
            "https://APP.example/client.json",
            "https://app.example/a/../client.json",
            "https://app.example:443/client.json",
            "https://user@app.example/client.json",
            "https://app.example/client.json?x",
            "https://app.example/client.json#x",
        ] {
            assert_eq!(document_url(other), None, "{other}");
        }
    }

    #[test]
    fn special_addresses_are_not_public() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "100.63.0.1",
            "172.32.0.1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[tokio::test]
    async fn fetch_from_this_machine_is_refused_before_it_connects() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "2130706433",
        ] {
            let url = Url::parse(&format!("https://{host}:{port}/client.json")).unwrap();
            let refused = HttpDocuments.fetch(&url).await;
            assert_eq!(refused, Err(DocumentError::PrivateAddress), "{host}");
        }
        assert!(listener.accept().is_err(), "nobody connected");
    }

    #[test]
    fn document_describes_the_client_whose_id_is_its_url() {
        let url = Url::parse("https://app.example/client.json").unwrap();
        let read = |text: &str| read_document(&url, text.as_bytes()).map(|profile| profile.name);
        let good = r#"{"client_id":"https://app.example/client.json","client_name":"App",
            "redirect_uris":["https://app.example/cb"]}"#;
        assert_eq!(read(good), Ok("App".to_owned()));
        for bad in [
            good.replace("/client.json", "/other.json"),
            good.replace(
                "\"client_name\":\"App\"",
                "\"client_name\":\"App\",\"client_name\":\"B\"",
            ),
            good.replace("https://app.example/cb", "javascript:x"),
            good.replace(
                "\"client_name\"",
                "\"token_endpoint_auth_method\":\"client_secret_basic\",\"client_name\"",
            ),
            "[]".to_owned(),
        ] {
            assert!(
                matches!(read(&bad), Err(DocumentError::Malformed(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn json_types_are_told_from_others() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/oauth-client+json", true),
            ("text/html", false),
            ("text/json+json", false),
        ] {
            assert_eq!(is_json(kind), json, "{kind}");
        }
    }
}
