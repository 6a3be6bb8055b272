//! HTTP as a client: how we connect, how much we read, and how a refusal of a
//! server becomes a failure of a command.
//!
//! Redirects are never followed: every request here carries a credential or
//! asks for one. Servers on this machine are reached directly, whatever proxy
//! the environment names, so that no proxy sees a token sent to loopback.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use crate::exit::{Exit, Failure};

/// The largest answer we read. The longest honest one is a catalogue.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Chooses the one cryptography provider of the process. Called once at start.
pub(crate) fn install_crypto_provider() {
    // Refused only if one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for requests to the server of `url`.
///
/// # Errors
///
/// `internal` when the client cannot be set up.
pub(crate) fn client_for(url: &Url) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(ANSWER_DEADLINE)
        .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| Failure::new("internal", format!("cannot set up HTTP: {error}")))
}

/// Whether `url` names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// The address of `path` on the server whose base address is `base`.
///
/// # Errors
///
/// `usage` when `base` cannot carry a path.
pub(crate) fn endpoint(base: &Url, path: &str) -> Result<Url, Failure> {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut()
        .map_err(|()| Failure::usage(format!("`{base}` is not an http address")))?
        .pop_if_empty()
        .extend(path.split('/').filter(|segment| !segment.is_empty()));
    Ok(url)
}

/// A bearer credential as a header value that is not shown in logs.
///
/// # Errors
///
/// As [`authorization`].
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    authorization("Bearer", token)
}

/// A token under a scheme as a header value that is not shown in logs.
///
/// # Errors
///
/// `malformed_token` when it holds characters that no header may.
pub(crate) fn authorization(scheme: &str, token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| {
        Failure::new(
            "malformed_token",
            "the token holds characters that no token has",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sends a request and reads the JSON of the answer.
///
/// # Errors
///
/// `server_unreachable`, the code of the server's own refusal, or
/// `unexpected_answer` when it is not what was agreed.
pub(crate) async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    let answer = send(request).await?;
    if !answer.status.is_success() {
        return Err(answer.refusal());
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        Failure::new(
            "unexpected_answer",
            format!("the answer of {} is not as agreed: {error}", answer.url),
        )
    })
}

/// An answer that was read whole.
pub(crate) struct Answer {
    url: String,
    /// The HTTP status.
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Shows no headers and no body: either may hold a token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("url", &self.url)
            .field("status", &self.status)
            .finish()
    }
}

impl Answer {
    /// The failure that a refusal with a problem document (RFC 9457) is.
    pub(crate) fn refusal(&self) -> Failure {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let code = text("code").or_else(|| text("error"));
        let detail = text("detail")
            .or_else(|| text("error_description"))
            .or_else(|| text("title"));
        let message = match detail {
            Some(detail) => detail,
            None => format!("{} answered {}", self.url, self.status),
        };
        let exit = match self.status {
            StatusCode::UNAUTHORIZED => Exit::ApprovalNeeded,
            StatusCode::FORBIDDEN => Exit::Refused,
            _ => Exit::Failed,
        };
        Failure::new(code.unwrap_or_else(|| "http_error".to_owned()), message).ending(exit)
    }
}

/// Sends a request and reads the answer, whatever its status.
///
/// # Errors
///
/// `server_unreachable` or `unexpected_answer`.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, Failure> {
    let response = request
        .send()
        .await
        .map_err(|error| unreachable_server(&error))?;
    let url = without_query(response.url());
    let status = response.status();
    let headers = response.headers().clone();
    let body = bounded_body(response).await.map_err(|error| {
        Failure::new(
            "unexpected_answer",
            format!("the answer of {url} cannot be read: {error}"),
        )
    })?;
    Ok(Answer {
        url,
        status,
        headers,
        body,
    })
}

/// What to say when nobody answered.
pub(crate) fn unreachable_server(error: &reqwest::Error) -> Failure {
    let address = error
        .url()
        .map_or_else(|| "the server".to_owned(), without_query);
    let reason = if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else {
        innermost(error)
    };
    Failure::new(
        "server_unreachable",
        format!("cannot reach {address}: {reason}"),
    )
    .hint("is it running? `bailiwick up` starts one on this machine")
}

/// The reason at the bottom of a chain of errors, which is the one that says
/// something: `Connection refused`, not `error sending request`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// User codes travel in queries and need not be repeated.
fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

async fn bounded_body(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Interrupted)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[derive(Debug)]
enum BodyError {
    Interrupted(reqwest::Error),
    TooLarge,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted(error) => write!(f, "it broke off: {}", innermost(error)),
            Self::TooLarge => write!(f, "it is larger than {MAX_ANSWER_BYTES} bytes"),
        }
    }
}

/// Our HTTP client as the one of the `oauth2` crate.
#[derive(Clone, Debug)]
pub(crate) struct OAuthHttp {
    client: Client,
}

impl OAuthHttp {
    /// Sends the requests of `oauth2` through `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl<'c> AsyncHttpClient<'c> for OAuthHttp {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = self
                .client
                .request(head.method, head.uri.to_string())
                .headers(head.headers)
                .body(body);
            let answer = send(request).await?;
            let mut response = HttpResponse::new(answer.body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for text in [
            "http://127.0.0.1:1/",
            "http://127.9.9.9/",
            "http://[::1]:2/",
            "http://localhost/",
        ] {
            assert!(is_loopback(&url(text)), "{text}");
        }
        for text in [
            "http://10.0.0.1/",
            "http://localhost.example/",
            "https://example.org/",
        ] {
            assert!(!is_loopback(&url(text)), "{text}");
        }
    }

    #[test]
    fn an_endpoint_keeps_the_path_of_its_base_and_drops_the_rest() {
        let at = |base: &str| endpoint(&url(base), "v1/keys").unwrap().to_string();
        assert_eq!(at("http://h:1"), "http://h:1/v1/keys");
        assert_eq!(at("http://h:1/"), "http://h:1/v1/keys");
        assert_eq!(at("https://h/base/?q=1#f"), "https://h/base/v1/keys");
        assert_eq!(
            endpoint(&url("mailto:a@b"), "v1/keys").unwrap_err().exit(),
            Exit::Usage
        );
    }

    #[test]
    fn a_refusal_takes_code_and_words_from_the_problem_document() {
        let answer = |status, body: &str| Answer {
            url: "http://h/".to_owned(),
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        let refused = answer(
            StatusCode::NOT_FOUND,
            r#"{"title":"Not found","detail":"no session `s`","code":"unknown_session"}"#,
        )
        .refusal();
        assert_eq!(
            (refused.code(), refused.message()),
            ("unknown_session", "no session `s`")
        );
        assert_eq!(refused.exit(), Exit::Failed);
        let plain = answer(StatusCode::UNAUTHORIZED, "no").refusal();
        assert_eq!(
            (plain.code(), plain.exit()),
            ("http_error", Exit::ApprovalNeeded)
        );
        assert_eq!(plain.message(), "http://h/ answered 401 Unauthorized");
    }

    #[test]
    fn a_credential_is_marked_sensitive_and_must_fit_a_header() {
        assert!(bearer("abc").unwrap().is_sensitive());
        assert_eq!(bearer("a\nb").unwrap_err().code(), "malformed_token");
    }
}
