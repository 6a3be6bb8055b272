//! Which web pages may read answers of the OAuth endpoints (Fetch standard, "CORS protocol").
//!
//! Nothing here is authorized by a cookie, so what counts is whether it helps an attacker that a
//! *browser on this network* sends the request. Metadata is public. At the token and revocation
//! endpoints a secret does the work (a code with its verifier, a token): a page that has it can
//! send it from anywhere, so pages of any origin may. To register takes no secret, and an issuer
//! may be reachable from its approvers' browsers alone: there, only pages that a program on the
//! same machine serves may, such as a local inspector. The device endpoint and introspection are
//! for programs; no page may.

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::{Host, Url};

/// Sent by MCP clients with every request, discovery included.
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// For pages of any origin.
pub(crate) fn any_page() -> CorsLayer {
    layer().allow_origin(tower_http::cors::Any)
}

/// For pages served on this machine.
pub(crate) fn local_page() -> CorsLayer {
    layer().allow_origin(AllowOrigin::predicate(|origin, _| is_local(origin)))
}

fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            PROTOCOL_VERSION,
        ])
}

/// True for an origin whose pages come from this machine.
pub(super) fn is_local(origin: &HeaderValue) -> bool {
    let url = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_local_and_no_others_are() {
        for (origin, local) in [
            ("http://localhost:6274", true),
            ("http://127.0.0.1:6274", true),
            ("http://[::1]:6274", true),
            ("https://localhost", true),
            ("null", false),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://192.168.0.2", false),
        ] {
            assert_eq!(is_local(&origin.parse().unwrap()), local, "{origin}");
        }
    }
}
