//! The OAuth endpoints: RFC 8628 device flow with RFC 9396 details, RFC 8414 metadata.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    App,
    failure::{Failure, Fault},
    fields::{FieldError, Fields},
    to_the_end,
};
use crate::{
    access_request::RequestError,
    asking::{Ask, AskError, Asked},
    collecting::PollError,
    config::Site,
    core::Unavailable,
    secret::Secret,
};

/// RFC 8628 section 3.4.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// An error in the form of RFC 6749 section 5.2.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OAuthError {
    fn bad_request(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.into(),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

/// `GET /.well-known/oauth-authorization-server`
pub(crate) async fn metadata(State(core): State<App>) -> Json<Value> {
    let site = &core.settings.site;
    Json(json!({
        "issuer": site.origin(),
        "device_authorization_endpoint": site.url("/oauth/device_authorization"),
        "token_endpoint": site.url("/oauth/token"),
        "token_endpoint_auth_methods_supported": ["none"],
        "grant_types_supported": [DEVICE_GRANT],
        "response_types_supported": [],
        "authorization_details_types_supported": ["mcp_tools"],
        "resource_indicators_supported": true,
        "protected_resources": [core.settings.audience.as_str()],
    }))
}

/// `POST /oauth/device_authorization`
pub(crate) async fn device_authorization(
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, OAuthError> {
    refuse_web_page(&core.settings.site, request.headers())?;
    let ask = read_ask(Fields::read(request).await?)?;
    let site = core.settings.site.clone();
    let asked: Asked = to_the_end(async move { core.ask(&ask).await }).await?;
    let code = asked.user_code.grouped();
    Ok(Json(json!({
        "device_code": asked.device_code.expose(),
        "user_code": code,
        "verification_uri": site.url("/approve"),
        "verification_uri_complete": site.url(&format!("/approve?user_code={code}")),
        "expires_in": asked.expires_in.as_secs(),
        "interval": asked.interval.as_secs(),
    })))
}

/// `POST /oauth/token`
pub(crate) async fn token(
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, OAuthError> {
    refuse_web_page(&core.settings.site, request.headers())?;
    let mut fields = Fields::read(request).await?;
    let grant = fields.required("grant_type")?;
    if grant != DEVICE_GRANT {
        let why = format!("the only grant type is `{DEVICE_GRANT}`");
        return Err(OAuthError::bad_request("unsupported_grant_type", why));
    }
    let client_id = fields.required("client_id")?;
    let device_code = Secret::received(&fields.required("device_code")?);
    let collected = to_the_end(async move { core.collect(&client_id, &device_code).await }).await?;
    Ok(Json(collected.to_json()))
}

/// Refuses what a web page of another site had a browser send. Agents are programs: no page needs
/// these endpoints, and one that an approver happens to visit could fill the places of waiting
/// requests without ever reading an answer.
///
/// Every browser says so in `Origin` (Fetch standard, "append a request `Origin` header"), also
/// when the page's own name was pointed at this machine, and most in `Sec-Fetch-Site` as well.
/// Programs send neither.
fn refuse_web_page(site: &Site, headers: &HeaderMap) -> Result<(), OAuthError> {
    let only = |name: &HeaderName, good: &[&str]| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| good.iter().any(|good| value.as_bytes() == good.as_bytes()))
    };
    if only(&header::ORIGIN, &[site.origin()]) && only(&FETCH_SITE, &["same-origin", "none"]) {
        return Ok(());
    }
    Err(OAuthError {
        status: StatusCode::FORBIDDEN,
        error: Fault::WrongOrigin.code(),
        description: "a web page of another site cannot ask for access".to_owned(),
    })
}

/// Where the page that sends a request is from (W3C, Fetch Metadata Request Headers).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Unknown parameters are ignored, as RFC 6749 section 3.1 wants; doubled ones are refused.
fn read_ask(mut fields: Fields) -> Result<Ask, OAuthError> {
    Ok(Ask {
        client_id: fields.required("client_id")?,
        authorization_details: fields.required("authorization_details")?,
        resource: fields.optional("resource")?,
        agent_name: fields.optional("agent_name")?,
        holder: fields.optional("holder")?,
    })
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
        Self {
            status: failure.fault.status(),
            error,
            description: failure.detail,
        }
    }
}

impl From<Unavailable> for OAuthError {
    fn from(cause: Unavailable) -> Self {
        Failure::from(cause).into()
    }
}

impl From<AskError> for OAuthError {
    fn from(error: AskError) -> Self {
        let description = error.to_string();
        match error {
            AskError::UnknownClient => Self {
                status: StatusCode::UNAUTHORIZED,
                error: "invalid_client",
                description,
            },
            AskError::InvalidTarget { .. }
            | AskError::Details(RequestError::WrongLocation { .. }) => {
                Self::bad_request("invalid_target", description)
            }
            AskError::Parameter { .. } => Self::bad_request("invalid_request", description),
            AskError::Details(_) | AskError::TooLarge(_) => {
                Self::bad_request("invalid_authorization_details", description)
            }
            AskError::TooManyWaiting => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                error: "temporarily_unavailable",
                description,
            },
            AskError::Catalogue(cause) => {
                tracing::warn!(%cause, "no catalogue");
                Self {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    error: "temporarily_unavailable",
                    description,
                }
            }
            AskError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<PollError> for OAuthError {
    fn from(error: PollError) -> Self {
        let description = error.to_string();
        match error {
            PollError::UnknownClient => Self {
                status: StatusCode::UNAUTHORIZED,
                error: "invalid_client",
                description,
            },
            PollError::InvalidGrant(_) => Self::bad_request("invalid_grant", description),
            PollError::Pending => Self::bad_request("authorization_pending", description),
            PollError::SlowDown { .. } => Self::bad_request("slow_down", description),
            PollError::Denied { .. } => Self::bad_request("access_denied", description),
            PollError::Expired(_) => Self::bad_request("expired_token", description),
            PollError::Unavailable(cause) => cause.into(),
        }
    }
}
