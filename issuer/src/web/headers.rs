//! What surrounds every answer: protecting headers, an id for the log, a deadline.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

use super::{
    App,
    failure::{Failure, Fault, answer},
};

/// Longer than the store waits for its turn.
const DEADLINE: Duration = Duration::from_secs(30);

/// Nothing runs, nothing is framed, nothing loads or goes anywhere but here.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// On a request: the id that log lines and the answer carry.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// On an answer: where else the page's form may lead. Browsers hold a form to its policy through
/// every redirect, and an authorization response is one.
#[derive(Clone, Debug)]
pub(crate) struct FormLeadsTo(pub(crate) String);

/// On an answer: the page has a script of ours, which may talk to us. What a page says in itself is
/// never run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsesScript;

const SCRIPT_POLICY: &str = "; script-src 'self'; connect-src 'self'";

/// `same-origin` and not `no-referrer`: under the latter browsers send `Origin: null` with
/// our own forms (Fetch standard, "append a request `Origin` header"), which would blind the
/// origin check. Other sites learn nothing either way.
const REFERRER_POLICY: &str = "same-origin";

const TRANSPORT_SECURITY: &str = "max-age=31536000";

/// Adds the headers; `Cache-Control` only where the handler set none.
pub(crate) async fn secure(State(core): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let leads_to = response.extensions().get::<FormLeadsTo>();
    let source = leads_to.map_or_else(String::new, |FormLeadsTo(source)| format!(" {source}"));
    let script = response.extensions().get::<UsesScript>();
    let script = script.map_or("", |UsesScript| SCRIPT_POLICY);
    let policy = HeaderValue::from_str(&format!("{CONTENT_SECURITY_POLICY}{source}{script}"));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        policy.unwrap_or(HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    );
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, REFERRER_POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if core.settings.site.is_secure() {
        let value = HeaderValue::from_static(TRANSPORT_SECURITY);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Gives the request an id, which log lines and the answer carry. The log has the pattern of
/// the path and not the path: the set-up link is in one.
pub(crate) async fn identify(
    State(core): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = hex::encode(core.entropy.bytes::<8>());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// Ends a request that takes too long, a body that trickles in included. A change of state
/// that has begun is carried to its end all the same.
pub(crate) async fn deadline(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let why = "This took too long. Look at the page again before you repeat it.";
            answer(&path, Failure::new(Fault::Unavailable, why))
        }
    }
}
