//! The device flow of RFC 8628, from the agent's side.
//!
//! Owns the conversation with the issuer: asking, and waiting for the answer.
//! What is asked for, and how the wait looks, is the caller's.

use std::future::Future;
use std::time::Duration;

use bailiwick_datalog::{Audience, Timestamp};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    Client, ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponse, DeviceCodeErrorResponseType,
    EndpointNotSet, EndpointSet, ErrorResponse, ExtraTokenFields, RequestTokenError,
    StandardDeviceAuthorizationResponse, StandardRevocableToken, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::exit::{Exit, Failure};
use crate::http::{self, OAuthHttp};
use crate::token_file::TokenText;

/// What the issuer adds to a token response.
#[derive(Debug, Deserialize, Serialize)]
struct GrantFields {
    session: String,
    expires_at: Timestamp,
    authorization_details: Value,
    #[serde(default)]
    instructions: Option<String>,
}

impl ExtraTokenFields for GrantFields {}

type Grant = StandardTokenResponse<GrantFields, BasicTokenType>;

type OAuthClient = Client<
    BasicErrorResponse,
    Grant,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A conversation with one issuer.
#[derive(Debug)]
pub(crate) struct DeviceFlow {
    client: OAuthClient,
    http: OAuthHttp,
}

/// A request that waits for its approver.
#[derive(Debug)]
pub(crate) struct Pending {
    response: StandardDeviceAuthorizationResponse,
}

/// How a request was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// With a token.
    Granted(Granted),
    /// With a no, and perhaps the approver's reason.
    Denied {
        /// The reason, as the approver wrote it.
        reason: Option<String>,
    },
    /// Not in time.
    Expired,
}

/// What was granted.
#[derive(Debug)]
pub(crate) struct Granted {
    /// The token.
    pub(crate) token: TokenText,
    /// The session it belongs to.
    pub(crate) session: String,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// The details as approved, which may be less than was asked for.
    pub(crate) details: Value,
    /// What the approver wants the agent to know.
    pub(crate) instructions: Option<String>,
}

/// The parts of a request besides its details.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    /// What is asked for.
    pub(crate) details: &'a Value,
    /// The server the token is for (RFC 8707).
    pub(crate) audience: &'a Audience,
    /// What the agent calls itself.
    pub(crate) agent: &'a str,
    /// The thumbprint of the key that every call will prove, if any.
    pub(crate) holder: Option<&'a str>,
}

impl DeviceFlow {
    /// Prepares a conversation of the application `client_id` with `issuer`.
    ///
    /// # Errors
    ///
    /// `usage` or `internal` when that cannot be.
    pub(crate) fn new(issuer: &Url, client_id: &str) -> Result<Self, Failure> {
        let at = |path| http::endpoint(issuer, path);
        let client = Client::new(ClientId::new(client_id.to_owned()))
            .set_device_authorization_url(DeviceAuthorizationUrl::from_url(at(
                "oauth/device_authorization",
            )?))
            .set_token_uri(TokenUrl::from_url(at("oauth/token")?));
        Ok(Self {
            client,
            http: OAuthHttp::new(http::client_for(issuer)?),
        })
    }

    /// Files a request.
    ///
    /// # Errors
    ///
    /// The issuer's code when it refuses to take it, else as [`http::send`].
    pub(crate) async fn ask(&self, asking: &Asking<'_>) -> Result<Pending, Failure> {
        let mut request = self
            .client
            .exchange_device_code()
            .add_extra_param("authorization_details", asking.details.to_string())
            .add_extra_param("resource", asking.audience.as_str())
            .add_extra_param("agent_name", asking.agent);
        if let Some(holder) = asking.holder {
            request = request.add_extra_param("holder", holder);
        }
        let response = request
            .request_async(&self.http)
            .await
            .map_err(refused_request)?;
        Ok(Pending { response })
    }

    /// Waits until the request is answered, at most until it expires.
    ///
    /// # Errors
    ///
    /// The issuer's code when it answers with an error of another kind.
    pub(crate) async fn wait<S, F>(&self, pending: &Pending, sleep: S) -> Result<Answer, Failure>
    where
        S: Fn(Duration) -> F,
        F: Future<Output = ()>,
    {
        let polling = self
            .client
            .exchange_device_access_token(&pending.response)
            .request_async(&self.http, sleep, None);
        match polling.await {
            Ok(grant) => Ok(Answer::Granted(granted(&grant))),
            Err(RequestTokenError::ServerResponse(refusal)) => answered_no(&refusal),
            Err(error) => Err(broken(error)),
        }
    }
}

impl Pending {
    /// The page where the approver decides.
    pub(crate) fn approval_url(&self) -> String {
        match self.response.verification_uri_complete() {
            Some(complete) => complete.secret().clone(),
            None => self.response.verification_uri().to_string(),
        }
    }

    /// The code to type there, or to compare.
    pub(crate) fn user_code(&self) -> &str {
        self.response.user_code().secret()
    }

    /// How long the request waits.
    pub(crate) fn lifetime(&self) -> Duration {
        self.response.expires_in()
    }
}

fn granted(grant: &Grant) -> Granted {
    let fields = grant.extra_fields();
    Granted {
        token: TokenText::new(grant.access_token().secret().as_str()),
        session: fields.session.clone(),
        expires_at: fields.expires_at,
        details: only(fields.authorization_details.clone()),
        instructions: fields.instructions.clone(),
    }
}

/// The one object of a list of one: a request asks with one, so that is what is granted. RFC 9396
/// allows an issuer more; such a list stays a list.
fn only(details: Value) -> Value {
    match details {
        Value::Array(mut items) if items.len() == 1 => items.pop().unwrap_or_default(),
        other => other,
    }
}

fn answered_no(refusal: &DeviceCodeErrorResponse) -> Result<Answer, Failure> {
    match refusal.error() {
        DeviceCodeErrorResponseType::AccessDenied => Ok(Answer::Denied {
            reason: refusal.error_description().cloned(),
        }),
        DeviceCodeErrorResponseType::ExpiredToken => Ok(Answer::Expired),
        other => Err(oauth_failure(other.as_ref(), refusal.error_description())),
    }
}

fn refused_request(error: RequestTokenError<Failure, BasicErrorResponse>) -> Failure {
    match error {
        RequestTokenError::ServerResponse(refusal) => {
            oauth_failure(refusal.error().as_ref(), refusal.error_description())
        }
        other => broken(other),
    }
}

fn oauth_failure(code: &str, description: Option<&String>) -> Failure {
    let message = match description {
        Some(description) => description.clone(),
        None => format!("the issuer refused the request: {code}"),
    };
    let exit = match code {
        "access_denied" | "unauthorized_client" => Exit::Refused,
        _ => Exit::Failed,
    };
    Failure::new(code.to_owned(), message).ending(exit)
}

/// A failure of the conversation itself. Never quotes an answer: it may hold a
/// token.
fn broken<E: ErrorResponse + 'static>(error: RequestTokenError<Failure, E>) -> Failure {
    match error {
        RequestTokenError::Request(failure) => failure,
        RequestTokenError::Parse(error, _) => Failure::new(
            "unexpected_answer",
            format!(
                "the issuer's answer is not as agreed, at `{}`",
                error.path()
            ),
        ),
        RequestTokenError::ServerResponse(_) | RequestTokenError::Other(_) => {
            Failure::new("unexpected_answer", "the issuer's answer is not as agreed")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::only;

    #[test]
    fn a_list_of_one_is_its_object_and_any_other_stays() {
        assert_eq!(
            only(json!([{"type": "mcp_tools"}])),
            json!({"type": "mcp_tools"})
        );
        for other in [json!([]), json!([1, 2]), json!({"a": 1})] {
            assert_eq!(only(other.clone()), other);
        }
    }
}
