//! What programs fetch: keys, the revocation list, health; and what gateways report.

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bailiwick_datalog::strict_json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    failure::{Failure, Fault, Problem},
    fields::{has_type, read_body},
    openapi::{bodies, requests},
};
use crate::{
    call_reports::ReportError,
    core::Unavailable,
    secret::{Secret, SecretDigest},
    text::visible_line,
};

const JSON: &str = "application/json";

/// Proof that the caller holds the operator's token.
pub(crate) struct Operator(());

/// Proof that the caller holds the gateway's token.
pub(crate) struct Gateway(());

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, core: &App) -> Result<Self, Problem> {
        check_bearer(&parts.headers, core.operator)?;
        Ok(Self(()))
    }
}

impl FromRequestParts<App> for Gateway {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, core: &App) -> Result<Self, Problem> {
        check_bearer(&parts.headers, core.gateway)?;
        Ok(Self(()))
    }
}

/// Gives the signed key set
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "verifiers",
    operation_id = "getKeys",
    responses((status = 200, description = "The key set, signed by the trust anchor", body = bodies::SignedDocument)),
    security(())
)]
pub(crate) async fn keys(State(core): State<App>) -> Response {
    ([(header::CONTENT_TYPE, JSON)], core.key_set.clone()).into_response()
}

/// Gives the signed revocation list
#[utoipa::path(
    get,
    path = "/v1/revocations",
    tag = "verifiers",
    operation_id = "getRevocations",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the list that is known")),
    responses((status = 200, description = "The list, signed by a revocation key", body = bodies::SignedDocument), (status = 304, description = "The list that is known is the latest")),
    security(())
)]
pub(crate) async fn revocations(
    State(core): State<App>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = core.signed_revocations().await?;
    let tag = HeaderValue::from_str(&list.etag)
        .map_err(|error| Unavailable::Internal(error.to_string()))?;
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|value| *value == tag);
    let tag = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, [(header::CONTENT_TYPE, JSON)], list.json).into_response())
}

/// Takes what a gateway decided
#[utoipa::path(
    post,
    path = "/v1/audit",
    tag = "verifiers",
    operation_id = "reportCalls",
    request_body = requests::CallReports,
    responses((status = 200, description = "How many reports were taken", body = bodies::Recorded)),
    security(("gateway" = []))
)]
pub(crate) async fn record_calls(
    _gateway: Gateway,
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let body = read_json_body(request).await?;
    let recorded = core.record_calls(&body).await?;
    Ok(Json(json!({"recorded": recorded})))
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the store answers as well, and events can be recorded.
pub(crate) async fn readyz(State(core): State<App>) -> Result<Json<Value>, Problem> {
    core.store.ping().await.map_err(Unavailable::from)?;
    let now = core.clock.now().utc;
    core.audit.check(now).await.map_err(Unavailable::from)?;
    Ok(Json(json!({"status": "ready"})))
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Unavailable(cause) => cause.into(),
            ReportError::Malformed(_) | ReportError::TooMany { .. } => {
                Self::new(Fault::MalformedJson, error.to_string())
            }
        }
    }
}

/// Exactly one `Authorization: Bearer TOKEN`, with the right token.
fn check_bearer(headers: &HeaderMap, expected: SecretDigest) -> Result<(), Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let why = "Send `Authorization: Bearer` with the token from the data directory.";
        return Err(Failure::new(Fault::MissingCredentials, why));
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "));
    match (token, values.next()) {
        (Some(token), None) if Secret::received(token).digest() == expected => Ok(()),
        (Some(_), None) => Err(Failure::new(
            Fault::BadCredentials,
            "That is not the token of this issuer.",
        )),
        (None, _) | (_, Some(_)) => Err(Failure::new(
            Fault::MalformedCredentials,
            "Send exactly one `Authorization` header with `Bearer ` and a token.",
        )),
    }
}

async fn read_json_body(request: Request) -> Result<axum::body::Bytes, Failure> {
    if !has_type(request.headers(), JSON) {
        let why = format!("The body must be of type `{JSON}`.");
        return Err(Failure::new(Fault::UnsupportedMediaType, why));
    }
    read_body(request).await
}

pub(super) async fn read_json<T: for<'de> Deserialize<'de>>(
    request: Request,
) -> Result<T, Failure> {
    let body = read_json_body(request).await?;
    let malformed = |why: String| Failure::new(Fault::MalformedJson, visible_line(&why));
    let value = strict_json::parse(&body).map_err(|e| malformed(e.to_string()))?;
    // A list would be taken for the members in their order.
    if !value.is_object() {
        return Err(malformed("The body must be a JSON object.".to_owned()));
    }
    serde_json::from_value(value).map_err(|e| malformed(e.to_string()))
}
