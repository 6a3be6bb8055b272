//! What clients find out before they ask (RFC 8414).

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{super::App, CODE_GRANT, DEVICE_GRANT};

/// `GET /.well-known/oauth-authorization-server`
///
/// `scopes_supported` is left out on purpose: clients that find it ask for all of it at once.
pub(crate) async fn metadata(State(core): State<App>) -> Json<Value> {
    let site = &core.settings.site;
    Json(json!({
        "issuer": site.origin(),
        "authorization_endpoint": site.url("/oauth/authorize"),
        "token_endpoint": site.url("/oauth/token"),
        "device_authorization_endpoint": site.url("/oauth/device_authorization"),
        "registration_endpoint": site.url("/oauth/register"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [CODE_GRANT, DEVICE_GRANT],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "token_endpoint_auth_methods_supported": [
            "none", "client_secret_basic", "client_secret_post",
        ],
        "authorization_details_types_supported": ["mcp_tools"],
        "resource_indicators_supported": true,
        "protected_resources": [core.settings.audience.as_str()],
    }))
}
