//! What clients find out before they ask (RFC 8414).

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{super::App, GRANTS};

/// How clients say who they are.
const AUTH_METHODS: [&str; 5] = [
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "spiffe_jwt",
];
/// How they prove it.
const PROOFS: [&str; 4] = [
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "spiffe_jwt",
];
/// What they sign with.
const ALGORITHMS: [&str; 3] = ["EdDSA", "ES256", "RS256"];

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
        "revocation_endpoint": site.url("/oauth/revoke"),
        "introspection_endpoint": site.url("/oauth/introspect"),
        "service_documentation": site.url("/api"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANTS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "introspection_endpoint_auth_methods_supported": PROOFS,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "authorization_details_types_supported": ["mcp_tools"],
        "resource_indicators_supported": true,
        "protected_resources": [core.settings.audience.as_str()],
    }))
}
