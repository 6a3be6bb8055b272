//! Refusals in the form of RFC 6749 section 5.2: one code of the standards for each reason.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::super::{
    failure::{Failure, Fault},
    fields::FieldError,
    refused::Refusal,
};
use crate::{
    access_request::RequestError,
    asking::AskError,
    collecting::PollError,
    core::Unavailable,
    oauth::{authenticate::AuthenticationError, client::ClientError, exchange::ExchangeError},
};

/// How long to wait where too many requests wait.
const RETRY_AFTER: &str = "60";

/// An error of an OAuth endpoint.
#[derive(Debug)]
pub(crate) struct OAuthError {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) description: String,
    /// How long to wait, where it is known.
    pub(super) retry_after: Option<Duration>,
}

impl OAuthError {
    pub(super) fn bad_request(error: &'static str, description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, description)
    }

    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            retry_after: None,
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(Refusal(self.error));
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = match self.retry_after {
                    Some(wait) => HeaderValue::from(wait.as_secs()),
                    None => HeaderValue::from_static(RETRY_AFTER),
                };
                headers.insert(header::RETRY_AFTER, wait);
            }
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Basic realm=\"bailiwick\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            _ => {}
        }
        response
    }
}

impl From<FieldError> for OAuthError {
    fn from(error: FieldError) -> Self {
        Self::bad_request("invalid_request", error.to_string())
    }
}

impl From<Failure> for OAuthError {
    fn from(failure: Failure) -> Self {
        let error = match failure.fault {
            Fault::Unavailable => "temporarily_unavailable",
            _ => "invalid_request",
        };
        Self::new(failure.fault.status(), error, failure.detail)
    }
}

impl From<Unavailable> for OAuthError {
    fn from(cause: Unavailable) -> Self {
        Failure::from(cause).into()
    }
}

impl From<AuthenticationError> for OAuthError {
    fn from(error: AuthenticationError) -> Self {
        let description = error.to_string();
        match error {
            AuthenticationError::Client(ClientError::Unavailable(cause)) => cause.into(),
            AuthenticationError::Client(ClientError::Resting { retry_after }) => Self {
                retry_after: Some(retry_after),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "temporarily_unavailable",
                    description,
                )
            },
            AuthenticationError::Client(ClientError::Busy) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                description,
            ),
            AuthenticationError::Client(ClientError::Unknown | ClientError::Document(_))
            | AuthenticationError::Refused(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
            }
        }
    }
}

impl From<AskError> for OAuthError {
    fn from(error: AskError) -> Self {
        let description = error.to_string();
        match error {
            AskError::InvalidTarget { .. }
            | AskError::Details(RequestError::WrongLocation { .. }) => {
                Self::bad_request("invalid_target", description)
            }
            AskError::Parameter { .. } | AskError::NothingAsked => {
                Self::bad_request("invalid_request", description)
            }
            AskError::Details(_) | AskError::TooLarge(_) => {
                Self::bad_request("invalid_authorization_details", description)
            }
            AskError::Scope(_) => Self::bad_request("invalid_scope", description),
            AskError::TooManyWaiting => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "temporarily_unavailable",
                description,
            ),
            AskError::Quiet { retry_after } => Self {
                retry_after: Some(retry_after),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "temporarily_unavailable",
                    description,
                )
            },
            AskError::Catalogue(cause) => {
                tracing::warn!(%cause, "no catalogue");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, "temporarily_unavailable", description)
            }
            AskError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<ExchangeError> for OAuthError {
    fn from(error: ExchangeError) -> Self {
        let description = error.to_string();
        match error {
            ExchangeError::Subject
            | ExchangeError::Parameter(_)
            | ExchangeError::NotNarrowed(_) => Self::bad_request("invalid_request", description),
            ExchangeError::InvalidTarget { .. }
            | ExchangeError::Details(RequestError::WrongLocation { .. }) => {
                Self::bad_request("invalid_target", description)
            }
            ExchangeError::Details(RequestError::Scope(_)) | ExchangeError::ScopeWidened(_) => {
                Self::bad_request("invalid_scope", description)
            }
            ExchangeError::Details(_)
            | ExchangeError::DetailsWidened(_)
            | ExchangeError::ExactCalls
            | ExchangeError::Uneven => {
                Self::bad_request("invalid_authorization_details", description)
            }
            ExchangeError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<PollError> for OAuthError {
    fn from(error: PollError) -> Self {
        let description = error.to_string();
        match error {
            PollError::InvalidGrant(_) | PollError::Used => {
                Self::bad_request("invalid_grant", description)
            }
            PollError::InvalidTarget { .. } => Self::bad_request("invalid_target", description),
            PollError::Pending => Self::bad_request("authorization_pending", description),
            PollError::SlowDown { .. } => Self::bad_request("slow_down", description),
            PollError::Denied { .. } => Self::bad_request("access_denied", description),
            PollError::Expired(_) => Self::bad_request("expired_token", description),
            PollError::Unavailable(cause) => cause.into(),
        }
    }
}
