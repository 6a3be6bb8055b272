//! The device authorization endpoint (RFC 8628 section 3.1): a program asks, a person decides
//! elsewhere.

use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};

use super::{
    super::{App, fields::Fields, to_the_end},
    caller::presented,
    error::OAuthError,
    origin::refuse_web_page,
};
use crate::{
    asking::{Ask, Asked},
    oauth::client::Lookup,
};

/// `POST /oauth/device_authorization`. Unknown parameters are ignored, as RFC 6749 section 3.1
/// wants; doubled ones are refused.
pub(crate) async fn device_authorization(
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, OAuthError> {
    refuse_web_page(&core.settings.site, request.headers())?;
    let headers = request.headers().clone();
    let mut fields = Fields::read(request).await?;
    let (client, identity) = core
        .authenticate(&presented(&headers, &mut fields)?, Lookup::Asking)
        .await?;
    let ask = Ask {
        client,
        identity,
        authorization_details: fields.optional("authorization_details")?,
        scope: fields.optional("scope")?,
        resource: fields.optional("resource")?,
        agent_name: fields.optional("agent_name")?,
        holder: fields.optional("holder")?,
        returns: None,
    };
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
