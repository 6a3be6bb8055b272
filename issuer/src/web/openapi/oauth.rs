//! The OAuth endpoints, as described: what the standards say of them is not said again.

use utoipa::{OpenApi, ToSchema};

/// All of them.
#[derive(OpenApi)]
#[openapi(paths(
    metadata,
    authorize,
    device_authorization,
    token,
    register,
    revoke,
    introspect
))]
pub(super) struct Endpoints;

/// A request for access by a program without a browser.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a type that only describes is never made")]
struct DeviceRequest {
    /// Unless the client proves who it is in a header.
    client_id: Option<String>,
    /// What is asked for (RFC 9396), a JSON array as text.
    authorization_details: Option<String>,
    /// Tools as `tool:NAME`.
    scope: Option<String>,
    /// The server that the token is for (RFC 8707).
    resource: Option<String>,
    /// The name that the agent gives itself.
    agent_name: Option<String>,
    /// The key that the token is to be bound to, as a JWK thumbprint (RFC 7638).
    holder: Option<String>,
}

/// Where a person can decide (RFC 8628 section 3.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "a type that only describes is never made")]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

/// A code, a device code or a token, for a token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a type that only describes is never made")]
struct TokenRequest {
    /// `authorization_code`, `urn:ietf:params:oauth:grant-type:device_code` or
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    client_assertion_type: Option<String>,
    client_assertion: Option<String>,
    /// Of the authorization-code grant.
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    /// Of the device grant.
    device_code: Option<String>,
    /// Of the exchange: the token to narrow.
    subject_token: Option<String>,
    subject_token_type: Option<String>,
    scope: Option<String>,
    authorization_details: Option<String>,
    agent_name: Option<String>,
    resource: Option<String>,
}

/// A token with what it is good for (RFC 6749 section 5.1, RFC 9396 section 7).
#[derive(ToSchema)]
#[expect(dead_code, reason = "a type that only describes is never made")]
struct TokenAnswer {
    access_token: String,
    /// `Bearer`, or `DPoP` for a token that is bound to a key.
    token_type: String,
    expires_in: u64,
    scope: String,
    authorization_details: Vec<super::bodies::AuthorizationDetail>,
    session: String,
    expires_at: String,
    /// What the approver wants the agent to heed.
    instructions: Option<String>,
}

/// Client metadata (RFC 7591 section 2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "a type that only describes is never made")]
struct ClientMetadata {
    #[schema(min_items = 1, max_items = 10)]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    jwks: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

/// A token that is looked at or given back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a type that only describes is never made")]
struct TokenForm {
    token: String,
}

/// What the authorization server offers
///
/// RFC 8414.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    tag = "oauth",
    operation_id = "getAuthorizationServerMetadata",
    responses((status = 200, description = "Its metadata", body = Object)),
    security(())
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn metadata() {}

/// Brings a browser with a client's request for a code
///
/// OAuth 2.1 with PKCE (`S256` alone), RFC 8707, RFC 9207, RFC 9396. A person signs in and decides on
/// a page; the browser then goes on to `redirect_uri`.
#[utoipa::path(
    get,
    path = "/oauth/authorize",
    tag = "oauth",
    operation_id = "authorize",
    params(
        ("response_type" = String, Query, description = "`code`"),
        ("client_id" = String, Query, description = "A registered client, or the URL of a client metadata document"),
        ("redirect_uri" = String, Query, description = "One of the client's; ports of loopback addresses are free"),
        ("code_challenge" = String, Query, description = "RFC 7636"),
        ("code_challenge_method" = String, Query, description = "`S256`"),
        ("resource" = String, Query, description = "The server that the token is for"),
        ("state" = Option<String>, Query, description = "Comes back as it is"),
        ("scope" = Option<String>, Query, description = "Tools as `tool:NAME`; without, the person picks"),
        ("authorization_details" = Option<String>, Query, description = "RFC 9396"),
    ),
    responses(
        (status = 303, description = "To the page on which it is decided, to sign-in, or to the client with an error"),
        (status = 400, description = "A page that says what is wrong", body = String, content_type = "text/html"),
    ),
    security(())
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn authorize() {}

/// Asks for access without a browser
///
/// RFC 8628. What is asked for is decided by a person elsewhere.
#[utoipa::path(
    post,
    path = "/oauth/device_authorization",
    tag = "oauth",
    operation_id = "askForAccess",
    request_body(content = DeviceRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Codes for the program and for the person", body = DeviceAnswer)),
    security(())
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn device_authorization() {}

/// Gives a token for a code, a device code or a wider token
///
/// RFC 6749, RFC 8628, RFC 8693. There are no refresh tokens: every renewal is a new approval.
#[utoipa::path(
    post,
    path = "/oauth/token",
    tag = "oauth",
    operation_id = "getToken",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token", body = TokenAnswer)),
    security(())
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn token() {}

/// Registers a client
///
/// RFC 7591. It gains an id under which it may ask.
#[utoipa::path(
    post,
    path = "/oauth/register",
    tag = "oauth",
    operation_id = "registerClient",
    request_body = ClientMetadata,
    responses((status = 201, description = "The client as registered", body = Object)),
    security(())
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn register() {}

/// Gives a token back
///
/// RFC 7009. Whoever holds a token may end it; what is no live token is as good as ended.
#[utoipa::path(
    post,
    path = "/oauth/revoke",
    tag = "oauth",
    operation_id = "giveBackToken",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is none now")),
    security(())
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn revoke() {}

/// Says what a token allows
///
/// RFC 7662, for verifiers that cannot read a Biscuit.
#[utoipa::path(
    post,
    path = "/oauth/introspect",
    tag = "oauth",
    operation_id = "introspectToken",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What it allows, or that it is not active", body = Object)),
    security(("operator" = []), ("gateway" = []))
)]
#[expect(dead_code, reason = "the handler is made elsewhere")]
fn introspect() {}
