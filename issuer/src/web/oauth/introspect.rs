//! The introspection endpoint (RFC 7662), for verifiers that are not ours and cannot read a
//! Biscuit.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use serde_json::Value;

use super::{
    super::{App, fields::Fields},
    caller::presented,
    error::OAuthError,
};
use crate::{
    core::Core,
    oauth::client::{Client, Identity, Lookup},
    secret::Secret,
};

/// `POST /oauth/introspect`. For the operator's and the gateway's bearer token, and for clients
/// that prove who they are: they learn of tokens of their own application.
pub(crate) async fn introspect(
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, OAuthError> {
    let headers = request.headers().clone();
    let mut fields = Fields::read(request).await?;
    let client = if is_ours(&core, &headers) {
        None
    } else {
        Some(proved_client(&core, &headers, &mut fields).await?)
    };
    let token = fields.required("token")?;
    Ok(Json(core.introspect(&token, client.as_ref()).await?))
}

/// True for exactly one `Authorization` header with a bearer token of this installation.
fn is_ours(core: &Core, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let text = values.next().and_then(|value| value.to_str().ok());
    let token = text.and_then(|text| text.strip_prefix("Bearer "));
    let digest = token.map(|token| Secret::received(token).digest());
    let known = digest.is_some_and(|digest| digest == core.operator || digest == core.gateway);
    known && values.next().is_none()
}

async fn proved_client(
    core: &Core,
    headers: &HeaderMap,
    fields: &mut Fields,
) -> Result<Client, OAuthError> {
    let (client, identity) = core
        .authenticate(&presented(headers, fields)?, Lookup::Finishing)
        .await?;
    match identity {
        Identity::Proved { .. } => Ok(client),
        Identity::Claimed => Err(OAuthError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "only a client that proves who it is may look at tokens",
        )),
    }
}
