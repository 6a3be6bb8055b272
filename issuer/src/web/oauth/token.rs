//! The token endpoint (RFC 6749 section 3.2): a code becomes a token, once.

use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::Value;

use super::{
    super::{App, fields::Fields, to_the_end},
    CODE_GRANT, DEVICE_GRANT,
    caller::presented,
    error::OAuthError,
    origin::refuse_web_page,
};
use crate::{
    core::Core,
    oauth::{client::Client, code::Redemption},
    secret::Secret,
};

/// `POST /oauth/token`
pub(crate) async fn token(
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, OAuthError> {
    refuse_web_page(&core.settings.site, request.headers())?;
    let headers = request.headers().clone();
    let mut fields = Fields::read(request).await?;
    let grant = fields.required("grant_type")?;
    if ![CODE_GRANT, DEVICE_GRANT].contains(&grant.as_str()) {
        let why = format!("the grant types are `{CODE_GRANT}` and `{DEVICE_GRANT}`");
        return Err(OAuthError::bad_request("unsupported_grant_type", why));
    }
    let (client, _) = core
        .authenticate(&presented(&headers, &mut fields)?)
        .await?;
    match grant.as_str() {
        CODE_GRANT => redeem(core, client, fields).await,
        _ => collect(core, client, fields).await,
    }
}

async fn collect(core: App, client: Client, mut fields: Fields) -> Result<Json<Value>, OAuthError> {
    let code = Secret::received(&fields.required("device_code")?);
    let collected = to_the_end(async move { core.collect(&client, &code).await }).await?;
    Ok(Json(collected.to_json()))
}

async fn redeem(core: App, client: Client, mut fields: Fields) -> Result<Json<Value>, OAuthError> {
    let redemption = Redemption {
        code: Secret::received(&fields.required("code")?),
        redirect_uri: fields.required("redirect_uri")?,
        code_verifier: fields.required("code_verifier")?,
        resource: fields.optional("resource")?,
    };
    let redeemed = async move { Core::redeem(&core, &client, &redemption).await };
    let collected = to_the_end(redeemed).await?;
    Ok(Json(collected.to_json()))
}
