//! The token endpoint (RFC 6749 section 3.2): a code becomes a token, once; a token becomes a
//! narrower one (RFC 8693).

use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::Value;

use super::{
    super::{App, fields::Fields, to_the_end},
    CODE_GRANT, EXCHANGE_GRANT, GRANTS,
    caller::presented,
    error::OAuthError,
};
use crate::{
    core::Core,
    oauth::{
        client::{Client, Lookup},
        code::Redemption,
        exchange::Exchange,
    },
    secret::Secret,
};

/// RFC 8693 section 3.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `POST /oauth/token`
pub(crate) async fn token(
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, OAuthError> {
    let headers = request.headers().clone();
    let mut fields = Fields::read(request).await?;
    let grant = fields.required("grant_type")?;
    if !GRANTS.contains(&grant.as_str()) {
        let why = format!("the grant types are {}", GRANTS.join(", "));
        return Err(OAuthError::bad_request("unsupported_grant_type", why));
    }
    let presented = presented(&headers, &mut fields)?;
    let (client, _) = {
        let core = App::clone(&core);
        to_the_end(async move { core.authenticate(&presented, Lookup::Finishing).await }).await?
    };
    match grant.as_str() {
        CODE_GRANT => redeem(core, client, fields).await,
        EXCHANGE_GRANT => exchange(core, client, fields).await,
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

async fn exchange(
    core: App,
    client: Client,
    mut fields: Fields,
) -> Result<Json<Value>, OAuthError> {
    let is = |name: &'static str, value: Option<String>| match value {
        Some(value) if value != ACCESS_TOKEN_TYPE => Err(OAuthError::bad_request(
            "invalid_request",
            format!("the only `{name}` is `{ACCESS_TOKEN_TYPE}`"),
        )),
        _ => Ok(()),
    };
    is(
        "subject_token_type",
        Some(fields.required("subject_token_type")?),
    )?;
    is(
        "requested_token_type",
        fields.optional("requested_token_type")?,
    )?;
    if fields.has("actor_token") {
        let why = "`actor_token` is not supported";
        return Err(OAuthError::bad_request("invalid_request", why));
    }
    let wanted = Exchange {
        subject_token: fields.required("subject_token")?,
        scope: fields.optional("scope")?,
        authorization_details: fields.optional("authorization_details")?,
        resource: fields.optional("resource")?,
        agent_name: fields.optional("agent_name")?,
    };
    let exchanged = async move { core.exchange(&client.application, &wanted).await };
    Ok(Json(to_the_end(exchanged).await?))
}
