//! What an address says beside its route: path parameters and query, read so that what cannot be
//! read is refused with a code, in the language of whoever calls.

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
    response::Response,
};
use serde::de::DeserializeOwned;

use super::failure::{Failure, Fault, answer};

/// The parameters in the path. Refused when they are not UTF-8 once decoded.
pub(crate) struct Path<T>(pub(crate) T);

/// The parameters in the query. Refused when one is doubled that may be there once.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(read)) => Ok(Self(read)),
            Err(_) => Err(unreadable(parts)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(read)) => Ok(Self(read)),
            Err(_) => Err(unreadable(parts)),
        }
    }
}

/// The library's words quote the address; ours do not.
fn unreadable(parts: &Parts) -> Response {
    let why = "A part of the address is doubled or is not text. Open the page it came from again.";
    let failure = Failure::new(Fault::MalformedAddress, why);
    answer(parts.uri.path(), failure)
}
