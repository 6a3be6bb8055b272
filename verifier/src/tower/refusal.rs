//! Refusals as HTTP responses: problem documents (RFC 9457) with the stable code.

use bailiwick_datalog::Call;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::ProtectedResource;
use crate::{
    denied::{Denied, Disposition},
    remedy::access_request,
    token::VerifiedToken,
};

/// Why a request does not reach the service.
pub(super) enum Refusal {
    /// A header that may be there once is there twice.
    Doubled { credentials: bool },
    /// There is no `Authorization` header.
    NoCredentials,
    /// The token is not good.
    Token(Denied),
    /// The token is good and does not allow the call, if the request is one.
    Call {
        denied: Denied,
        caller: VerifiedToken,
        call: Option<Box<Call>>,
    },
}

impl Refusal {
    pub(super) fn into_response(self, resource: &ProtectedResource) -> Response<String> {
        match self {
            Self::Doubled { credentials } => doubled(resource, credentials),
            Self::NoCredentials => challenged(
                problem(
                    StatusCode::UNAUTHORIZED,
                    "malformed_token",
                    "the request carries no token; send one `Authorization: Bearer` header",
                    None,
                ),
                resource.challenge(),
            ),
            Self::Token(denied) => refused(&denied, denied.disposition(), None, resource),
            Self::Call {
                denied,
                caller,
                call,
            } => {
                let wanted = call
                    .filter(|_| denied.may_be_approved())
                    .map(|call| access_request(&call, &caller, resource.audience()));
                refused(&denied, denied.disposition_of_call(), wanted, resource)
            }
        }
    }
}

fn doubled(resource: &ProtectedResource, credentials: bool) -> Response<String> {
    let (code, detail) = match credentials {
        true => ("malformed_token", "header `authorization` is there twice"),
        false => ("malformed_request", "header `dpop` is there twice"),
    };
    let response = problem(StatusCode::BAD_REQUEST, code, detail, None);
    match credentials {
        true => challenged(response, resource.challenge_for_doubled_credentials()),
        false => response,
    }
}

fn refused(
    denied: &Denied,
    disposition: Disposition,
    wanted: Option<Value>,
    resource: &ProtectedResource,
) -> Response<String> {
    let status = match disposition {
        Disposition::Token => StatusCode::UNAUTHORIZED,
        Disposition::Right => StatusCode::FORBIDDEN,
        Disposition::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = problem(status, denied.code(), &denied.explanation(), wanted);
    match disposition {
        Disposition::Unavailable => {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        Disposition::Token | Disposition::Right => {
            challenged(response, resource.challenge_for(denied, disposition))
        }
    }
}

fn challenged(mut response: Response<String>, challenge: HeaderValue) -> Response<String> {
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// A problem document with the stable code and, where an approval would help, what to ask for.
pub(super) fn problem(
    status: StatusCode,
    code: &str,
    detail: &str,
    request_access: Option<Value>,
) -> Response<String> {
    let mut document = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    if let (Some(members), Some(request)) = (document.as_object_mut(), request_access) {
        members.insert("request_access".to_owned(), request);
    }
    let mut response = Response::new(document.to_string());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
