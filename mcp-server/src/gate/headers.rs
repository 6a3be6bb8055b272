//! The request's headers, each read once: a header that may be sent once is refused when it
//! comes twice, so no two readers can pick different ones.

use base64::Engine as _;
use http::{
    HeaderMap, HeaderName, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN},
};
use thiserror::Error;

use crate::surface::Surface;

use super::message::Message;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const HOLDER_PROOF: HeaderName = HeaderName::from_static("dpop");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// First revision without sessions, where an unknown method is answered with 404.
const FIRST_STATELESS_VERSION: &str = "2026-07-28";

/// Why the headers of a request are not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum HeaderError {
    /// A header that may be there once is there twice.
    #[error("header `{0}` is there more than once")]
    Doubled(HeaderName),
    /// `Host` is missing, unreadable or not one of this gateway's names.
    #[error("`Host` does not name this gateway")]
    ForeignHost,
    /// `Origin` is unreadable or not one of this gateway's own pages.
    #[error("`Origin` is not allowed to call this gateway")]
    ForeignOrigin,
    /// The body is not declared to be JSON.
    #[error("`Content-Type` must be `application/json`")]
    NotJson,
    /// A header says something else than the body.
    #[error("header `{header}` does not agree with the body")]
    Lying {
        /// The header.
        header: HeaderName,
    },
}

/// Checks that the request was sent to this gateway, and not by a foreign web page.
///
/// Closes DNS rebinding: a page on a name that an attacker points at this machine sends that
/// name as `Host`, and its own origin as `Origin`. Programs send no `Origin`.
///
/// # Errors
/// [`HeaderError::ForeignHost`], [`HeaderError::ForeignOrigin`], [`HeaderError::Doubled`].
pub(crate) fn check_source(
    headers: &HeaderMap,
    uri: &Uri,
    surface: &Surface,
) -> Result<(), HeaderError> {
    let host = once(headers, &HOST)?;
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    // An absolute request target names the host as well; the two must not differ.
    let named = match (host, authority) {
        (Some(host), Some(authority)) if host != authority => return Err(HeaderError::ForeignHost),
        (Some(host), _) => host,
        (None, Some(authority)) => authority,
        (None, None) => return Err(HeaderError::ForeignHost),
    };
    if !std::str::from_utf8(named).is_ok_and(|host| surface.is_own_host(host)) {
        return Err(HeaderError::ForeignHost);
    }
    match once(headers, &ORIGIN)? {
        None => Ok(()),
        Some(origin) if std::str::from_utf8(origin).is_ok_and(|o| surface.is_own_origin(o)) => {
            Ok(())
        }
        Some(_) => Err(HeaderError::ForeignOrigin),
    }
}

/// The one `Authorization` header, if there is one.
///
/// # Errors
/// [`HeaderError::Doubled`].
pub(crate) fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, HeaderError> {
    once(headers, &AUTHORIZATION)
}

/// The one proof of possession (RFC 9449), if there is one.
///
/// # Errors
/// [`HeaderError::Doubled`].
pub(crate) fn holder_proof(headers: &HeaderMap) -> Result<Option<&[u8]>, HeaderError> {
    once(headers, &HOLDER_PROOF)
}

/// Takes the proof of possession off a request that goes on.
pub(crate) fn remove_holder_proof(headers: &mut HeaderMap) {
    headers.remove(HOLDER_PROOF);
}

/// Checks that the headers which the MCP library reads are there at most once, and that the body
/// is declared to be JSON (which no web page can do without asking first).
///
/// # Errors
/// [`HeaderError::Doubled`], [`HeaderError::NotJson`].
pub(crate) fn check_transport(headers: &HeaderMap) -> Result<(), HeaderError> {
    for name in [&PROTOCOL_VERSION, &SESSION] {
        once(headers, name)?;
    }
    let essence = once(headers, &CONTENT_TYPE)?
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(HeaderError::NotJson),
    }
}

/// Checks `Mcp-Method` and `Mcp-Name`, which repeat the body for those in between, against the
/// body. Absent headers say nothing; present ones must tell the truth.
///
/// # Errors
/// [`HeaderError::Lying`], [`HeaderError::Doubled`].
pub(crate) fn check_against(headers: &HeaderMap, message: &Message) -> Result<(), HeaderError> {
    if once(headers, &METHOD)?.is_some_and(|method| method != message.method().as_bytes()) {
        return Err(HeaderError::Lying { header: METHOD });
    }
    match once(headers, &NAME)? {
        None => Ok(()),
        Some(value) if decoded(value).as_deref() == message.name().map(str::as_bytes) => Ok(()),
        Some(_) => Err(HeaderError::Lying { header: NAME }),
    }
}

/// True when the client speaks a revision without sessions.
pub(crate) fn is_stateless(headers: &HeaderMap) -> bool {
    headers
        .get(&PROTOCOL_VERSION)
        .and_then(|version| version.to_str().ok())
        .is_some_and(|version| version >= FIRST_STATELESS_VERSION)
}

/// A header value, unwrapped from `=?base64?…?=` where the client had to wrap it.
fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    match value
        .strip_prefix(b"=?base64?")
        .and_then(|rest| rest.strip_suffix(b"?="))
    {
        Some(wrapped) => base64::engine::general_purpose::STANDARD
            .decode(wrapped)
            .ok(),
        None => Some(value.to_vec()),
    }
}

fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, HeaderError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(http::HeaderValue::as_bytes);
    if values.next().is_some() {
        return Err(HeaderError::Doubled(name.clone()));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn source(pairs: &[(&str, &str)], target: &str) -> Result<(), HeaderError> {
        let url = |text| Url::parse(text).unwrap();
        let surface =
            Surface::new(&url("http://127.0.0.1:8401"), &url("http://127.0.0.1:8400")).unwrap();
        check_source(&headers(pairs), &target.parse().unwrap(), &surface)
    }

    #[test]
    fn host_and_origin_must_be_the_gateways_own() {
        let own = ("host", "localhost:8401");
        assert_eq!(source(&[own], "/mcp"), Ok(()));
        assert_eq!(
            source(&[own, ("origin", "http://localhost:8401")], "/mcp"),
            Ok(())
        );
        assert_eq!(source(&[], "/mcp"), Err(HeaderError::ForeignHost));
        assert_eq!(
            source(&[("host", "evil.example:8401")], "/mcp"),
            Err(HeaderError::ForeignHost)
        );
        assert_eq!(
            source(&[own, ("origin", "http://evil.example")], "/mcp"),
            Err(HeaderError::ForeignOrigin)
        );
        assert_eq!(
            source(&[own, ("origin", "null")], "/mcp"),
            Err(HeaderError::ForeignOrigin)
        );
        assert_eq!(source(&[own, own], "/mcp"), Err(HeaderError::Doubled(HOST)));
    }

    #[test]
    fn an_absolute_target_must_agree_with_host() {
        let own = ("host", "localhost:8401");
        assert_eq!(source(&[own], "http://localhost:8401/mcp"), Ok(()));
        assert_eq!(
            source(&[own], "http://evil.example:8401/mcp"),
            Err(HeaderError::ForeignHost)
        );
        assert_eq!(
            source(&[], "http://evil.example/mcp"),
            Err(HeaderError::ForeignHost)
        );
    }

    #[test]
    fn repeated_method_and_name_must_agree_with_the_body() {
        let call = Message::read(json!({"jsonrpc":"2.0","id":1,"method":"tools/call",
            "params":{"name":"files.read_file"}}))
        .unwrap();
        let check = |pairs: &[(&str, &str)]| check_against(&headers(pairs), &call);
        let (method, name) = (
            ("mcp-method", "tools/call"),
            ("mcp-name", "files.read_file"),
        );
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[method, name]), Ok(()));
        assert_eq!(
            check(&[method, ("mcp-name", "=?base64?ZmlsZXMucmVhZF9maWxl?=")]),
            Ok(())
        );
        for lie in [
            ("mcp-name", "files.search"),
            ("mcp-name", "=?base64?!?="),
            ("mcp-name", ""),
        ] {
            assert_eq!(
                check(&[method, lie]),
                Err(HeaderError::Lying { header: NAME })
            );
        }
        assert_eq!(
            check(&[("mcp-method", "tools/list"), name]),
            Err(HeaderError::Lying { header: METHOD })
        );
        assert_eq!(check(&[name, name]), Err(HeaderError::Doubled(NAME)));
        let list = Message::read(json!({"jsonrpc":"2.0","id":1,"method":"tools/list"})).unwrap();
        assert_eq!(
            check_against(&headers(&[name]), &list),
            Err(HeaderError::Lying { header: NAME })
        );
    }

    #[test]
    fn the_body_must_be_declared_json() {
        for good in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(check_transport(&headers(&[("content-type", good)])), Ok(()));
        }
        assert_eq!(check_transport(&headers(&[])), Err(HeaderError::NotJson));
        assert_eq!(
            check_transport(&headers(&[("content-type", "text/plain")])),
            Err(HeaderError::NotJson)
        );
    }
}
