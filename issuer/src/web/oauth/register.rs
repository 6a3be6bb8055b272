//! The registration endpoint (RFC 7591 section 3).

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    super::{App, api::read_json, failure::Failure, to_the_end},
    CODE_GRANT, DEVICE_GRANT,
    error::OAuthError,
    origin::refuse_distant_page,
};
use crate::oauth::{
    redirect::RedirectUri,
    register::{Metadata, Registered, RegistrationError},
};

/// `POST /oauth/register`
pub(crate) async fn register(
    State(core): State<App>,
    request: Request,
) -> Result<Response, OAuthError> {
    refuse_distant_page(&core.settings.site, request.headers())?;
    let metadata: Metadata = read_json(request)
        .await
        .map_err(|failure: Failure| OAuthError {
            error: "invalid_client_metadata",
            ..failure.into()
        })?;
    let registered = to_the_end(async move { core.register(&metadata).await }).await?;
    Ok((StatusCode::CREATED, Json(to_json(&registered))).into_response())
}

fn to_json(registered: &Registered) -> serde_json::Value {
    let profile = &registered.profile;
    let redirects: Vec<&str> = profile.redirects.iter().map(RedirectUri::as_str).collect();
    let mut reply = json!({
        "client_id": registered.client_id,
        "client_id_issued_at": registered.issued_at,
        "client_name": profile.name,
        "redirect_uris": redirects,
        "token_endpoint_auth_method": profile.method.as_str(),
        "grant_types": [CODE_GRANT, DEVICE_GRANT],
        "response_types": ["code"],
    });
    let keys = profile.keys.as_ref();
    let keys = keys.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    if let (Some(object), Some(keys)) = (reply.as_object_mut(), keys) {
        object.insert("jwks".to_owned(), keys);
    }
    if let (Some(object), Some(secret)) = (reply.as_object_mut(), &registered.secret) {
        object.insert("client_secret".to_owned(), json!(secret.expose()));
        // RFC 7591 section 3.2.1: it does not expire.
        object.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    reply
}

impl From<RegistrationError> for OAuthError {
    fn from(error: RegistrationError) -> Self {
        let description = error.to_string();
        match error {
            RegistrationError::Redirect(_) => {
                Self::bad_request("invalid_redirect_uri", description)
            }
            RegistrationError::Metadata { .. } | RegistrationError::TooLong { .. } => {
                Self::bad_request("invalid_client_metadata", description)
            }
            RegistrationError::Closed => {
                Self::new(StatusCode::FORBIDDEN, "access_denied", description)
            }
            RegistrationError::Unavailable(cause) => cause.into(),
        }
    }
}
