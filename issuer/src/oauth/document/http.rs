//! Client metadata documents over https, fenced in: a public address that is looked at before and
//! pinned for the connection, no redirects, five KiB, five seconds.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use url::{Host, Url};

use super::{DocumentError, DocumentFuture, DocumentSource, MAX_DOCUMENT_BYTES};

/// For the whole fetch: a person is waiting at the browser.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

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
        return Err(DocumentError::NoPublicAddress);
    };
    let port = url.port_or_known_default().unwrap_or(443);
    let looked_up = tokio::time::timeout(FETCH_TIMEOUT, tokio::net::lookup_host((host, port)));
    let addresses: Vec<SocketAddr> = match looked_up.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let all_public = addresses.iter().all(|address| is_public(address.ip()));
    let first = addresses.first().copied().filter(|_| all_public);
    let first = first.ok_or(DocumentError::NoPublicAddress)?;
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
            // No name in there ever resolves (RFC 6761 section 6.4).
            "nothing.invalid",
        ] {
            let url = Url::parse(&format!("https://{host}:{port}/client.json")).unwrap();
            let refused = HttpDocuments.fetch(&url).await;
            assert_eq!(refused, Err(DocumentError::NoPublicAddress), "{host}");
        }
        assert!(listener.accept().is_err(), "nobody connected");
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
