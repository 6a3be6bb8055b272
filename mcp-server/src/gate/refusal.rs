//! Requests that the gate turns away before any tool is involved, as HTTP.
//!
//! The status is chosen here, because behind the gate every answer is a 200. Credentials are
//! answered with a challenge and a problem document (RFC 6750, 9457, 9728), a message that can't
//! be taken with a JSON-RPC error.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bailiwick_verifier::{Denied, Disposition};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{decision::Denial, surface::Surface};

use super::{
    headers::HeaderError,
    message::{MessageError, MessageProblem, RequestId},
};

/// JSON-RPC: the text is not JSON that can be taken.
const PARSE_ERROR: i64 = -32_700;
/// JSON-RPC: the JSON is not a message.
const INVALID_REQUEST: i64 = -32_600;
/// JSON-RPC: no such method.
const METHOD_NOT_FOUND: i64 = -32_601;
/// JSON-RPC: the parameters don't fit the method.
const INVALID_PARAMS: i64 = -32_602;
/// MCP 2026-07-28: a header says something else than the body.
const HEADER_MISMATCH: i64 = -32_020;

/// Why a request goes no further than the gate.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The headers are not acceptable.
    Headers(HeaderError),
    /// A header contradicts this request's body.
    Mismatch {
        /// The request to answer.
        id: Option<RequestId>,
        /// What is wrong.
        error: HeaderError,
    },
    /// Another HTTP method than POST.
    NotPost,
    /// No `Authorization` header.
    NoCredentials,
    /// The token is not good, or nothing can be said of it now.
    Denied(Denied),
    /// A right is missing that the client asks for by itself.
    Scope(Box<Denial>),
    /// No key set is known yet, so nothing can be said of any token.
    NotReady,
    /// The body has more bytes than this.
    BodyTooLarge {
        /// The most accepted.
        limit: usize,
    },
    /// The body did not come whole.
    BodyBroken,
    /// The body took too long.
    BodyTooSlow,
    /// The body is not JSON that can be read in one way only.
    NotJson {
        /// What is wrong.
        detail: String,
    },
    /// The JSON has more values than this.
    TooManyValues {
        /// The most accepted.
        limit: usize,
    },
    /// The JSON is not a message that goes on.
    Message {
        /// What is wrong.
        error: MessageError,
        /// Does the client speak a revision that answers unknown methods with 404?
        stateless: bool,
    },
    /// Something failed that the caller cannot help.
    Internal,
}

impl Refusal {
    /// The stable code, for the log.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Headers(error) | Self::Mismatch { error, .. } => header_problem(error).1,
            Self::NotPost => "method_not_allowed",
            Self::NoCredentials => "malformed_token",
            Self::Denied(denied) => denied.code(),
            Self::Scope(denial) => denial.code,
            Self::NotReady => "revocation_stale",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyBroken => "body_incomplete",
            Self::BodyTooSlow => "body_too_slow",
            Self::NotJson { .. } => "malformed_request",
            Self::TooManyValues { .. } => "body_too_large",
            Self::Message { error, .. } => match error.problem {
                MessageProblem::UnknownMethod(_) => "unknown_method",
                MessageProblem::Batch | MessageProblem::Shape(_) | MessageProblem::Params(_) => {
                    "malformed_request"
                }
            },
            Self::Internal => "internal_error",
        }
    }

    /// The refusal as an HTTP response.
    pub(crate) fn into_response(self, surface: &Surface) -> Response {
        match self {
            Self::Headers(error) => header_response(&error, surface),
            Self::Mismatch { id, error } => rpc(
                StatusCode::BAD_REQUEST,
                id.as_ref(),
                HEADER_MISMATCH,
                &error.to_string(),
                "header_mismatch",
            ),
            Self::NotPost => not_post(),
            Self::NoCredentials => challenged(
                problem(
                    StatusCode::UNAUTHORIZED,
                    "malformed_token",
                    "the request carries no token; send one `Authorization: Bearer` header",
                ),
                surface.resource.challenge(),
            ),
            Self::Denied(denied) => denied_response(&denied, surface),
            Self::Scope(denial) => challenged(
                problem(StatusCode::FORBIDDEN, denial.code, &denial.explanation),
                scope_challenge(&denial, surface),
            ),
            Self::NotReady => unavailable(
                "revocation_stale",
                "no keys are known yet; nothing can be decided until the issuer was reached",
            ),
            Self::NotJson { detail } => rpc(
                StatusCode::BAD_REQUEST,
                None,
                PARSE_ERROR,
                &detail,
                "malformed_request",
            ),
            Self::Message { error, stateless } => message_response(&error, stateless),
            Self::BodyTooLarge { limit } => too_large(&format!("{limit} bytes")),
            Self::TooManyValues { limit } => too_large(&format!("{limit} values")),
            Self::BodyBroken => problem(
                StatusCode::BAD_REQUEST,
                "body_incomplete",
                "the body did not come whole",
            ),
            Self::BodyTooSlow => problem(
                StatusCode::REQUEST_TIMEOUT,
                "body_too_slow",
                "the body took too long",
            ),
            Self::Internal => Self::internal(),
        }
    }

    fn internal() -> Response {
        problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the gateway failed; the operator can see why",
        )
    }
}

fn header_response(error: &HeaderError, surface: &Surface) -> Response {
    let (status, code) = header_problem(error);
    let response = problem(status, code, &error.to_string());
    match error {
        HeaderError::Doubled(name) if *name == header::AUTHORIZATION => challenged(
            response,
            surface.resource.challenge_for_doubled_credentials(),
        ),
        _ => response,
    }
}

fn not_post() -> Response {
    let mut response = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this endpoint takes POST only",
    );
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

fn too_large(limit: &str) -> Response {
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        &format!("the body has more than {limit}"),
    )
}

fn header_problem(error: &HeaderError) -> (StatusCode, &'static str) {
    match error {
        HeaderError::Doubled(name) if *name == header::AUTHORIZATION => {
            (StatusCode::BAD_REQUEST, "malformed_token")
        }
        HeaderError::Doubled(_) => (StatusCode::BAD_REQUEST, "malformed_request"),
        HeaderError::ForeignHost => (StatusCode::FORBIDDEN, "host_not_allowed"),
        HeaderError::ForeignOrigin => (StatusCode::FORBIDDEN, "origin_not_allowed"),
        HeaderError::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
        HeaderError::Lying { .. } => (StatusCode::BAD_REQUEST, "header_mismatch"),
    }
}

/// A token refused: 401 with a challenge where another token could pass, 503 where the gateway
/// itself can't tell.
fn denied_response(denied: &Denied, surface: &Surface) -> Response {
    let explanation = denied.explanation();
    match denied.disposition() {
        Disposition::Unavailable => unavailable(denied.code(), &explanation),
        // A right that is missing is answered inside the tool result. Where there is no tool
        // result to answer in, the token is as good as none.
        Disposition::Token | Disposition::Right => challenged(
            problem(StatusCode::UNAUTHORIZED, denied.code(), &explanation),
            surface.resource.challenge_for(denied, Disposition::Token),
        ),
    }
}

/// The challenge that names the scope a call lacks (RFC 6750 section 3.1).
fn scope_challenge(denial: &Denial, surface: &Surface) -> HeaderValue {
    let text = format!(
        "Bearer resource_metadata=\"{}\", error=\"insufficient_scope\", \
         error_description=\"{}\", scope=\"tool:{}\"",
        surface.resource.metadata_url(),
        denial.code,
        denial.tool(),
    );
    // A URL that was parsed, a code, and the name of a tool of the catalogue.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

fn unavailable(code: &str, detail: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, code, detail);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn message_response(error: &MessageError, stateless: bool) -> Response {
    let (status, number, code) = match &error.problem {
        MessageProblem::Batch | MessageProblem::Shape(_) => (
            StatusCode::BAD_REQUEST,
            INVALID_REQUEST,
            "malformed_request",
        ),
        // Clients of older revisions take a 404 for the end of their session.
        MessageProblem::UnknownMethod(_) if !stateless && error.id.is_some() => {
            (StatusCode::OK, METHOD_NOT_FOUND, "unknown_method")
        }
        MessageProblem::UnknownMethod(_) if error.id.is_some() => {
            (StatusCode::NOT_FOUND, METHOD_NOT_FOUND, "unknown_method")
        }
        MessageProblem::UnknownMethod(_) => {
            (StatusCode::BAD_REQUEST, METHOD_NOT_FOUND, "unknown_method")
        }
        MessageProblem::Params(_) => (StatusCode::BAD_REQUEST, INVALID_PARAMS, "malformed_request"),
    };
    rpc(
        status,
        error.id.as_ref(),
        number,
        &error.problem.to_string(),
        code,
    )
}

/// A problem document (RFC 9457) with the stable code.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Longest explanation taken over from the MCP library.
const MAX_DETAIL_BYTES: usize = 4_096;

/// What the MCP library refuses behind the gate, such as a protocol version or an `Accept` that
/// it does not serve, it refuses in bare text: here that becomes a problem document with a code.
/// Its answers in JSON stay as they are.
pub(crate) async fn with_code(response: Response) -> Response {
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), MAX_DETAIL_BYTES).await;
    let text = text.unwrap_or_default();
    if status.is_server_error() {
        tracing::error!(%status, "the MCP library failed");
        return Refusal::internal();
    }
    problem(status, "malformed_request", &String::from_utf8_lossy(&text))
}

fn rpc(
    status: StatusCode,
    id: Option<&RequestId>,
    number: i64,
    message: &str,
    code: &str,
) -> Response {
    let body = json!({
        "jsonrpc": "2.0",
        "id": id.map_or(&Value::Null, RequestId::as_json),
        "error": { "code": number, "message": message, "data": { "code": code } },
    });
    (status, Json(body)).into_response()
}

/// Adds the challenge that tells a client where to get a token or what is wrong with its own.
fn challenged(mut response: Response, challenge: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, challenge);
    response
}
