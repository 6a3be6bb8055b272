//! A client of MCP servers: streamable HTTP with a bearer token.
//!
//! Speaks the stateless protocol of 2026-07-28 and falls back to the one with
//! an `initialize` handshake where the server knows no other. Owns how a
//! refusal on the way becomes a failure; refusals of a tool are results and
//! belong to the commands.

use std::borrow::Cow;
use std::error::Error;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig,
    Implementation, JsonObject, ProtocolVersion, Tool,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService,
    ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use url::Url;

use crate::challenge::Challenge;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::token_file::TokenText;

/// The largest event of an answer: as much as a tool may be sent.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// A conversation with one MCP server.
#[derive(Debug)]
pub(crate) struct McpClient {
    service: RunningService<RoleClient, ClientConfig>,
    endpoint: Url,
}

impl McpClient {
    /// Opens a conversation with the server at `server`, whose endpoint is
    /// `/mcp` below it unless the address already ends with that.
    ///
    /// # Errors
    ///
    /// The code of the refusal with exit code 4 when the token is not
    /// accepted; `server_unreachable`; `unexpected_answer`.
    pub(crate) async fn connect(server: &Url, token: &TokenText) -> Result<Self, Failure> {
        // Refuses what no header can hold before the library meets it.
        http::bearer(token.expose())?;
        let endpoint = mcp_endpoint(server)?;
        let config = StreamableHttpClientTransportConfig::with_uri(endpoint.as_str())
            .auth_header(token.expose())
            .max_sse_event_size(MAX_EVENT_BYTES)
            .max_concurrent_requests(1);
        let transport =
            StreamableHttpClientTransport::with_client(http::client_for(server)?, config);
        let identity = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")),
        );
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let service = identity
            .serve_with_lifecycle(transport, lifecycle)
            .await
            .map_err(|error| not_opened(&error, &endpoint))?;
        Ok(Self { service, endpoint })
    }

    /// All tools that the server shows to this token.
    ///
    /// # Errors
    ///
    /// As [`McpClient::connect`], or the server's own JSON-RPC error.
    pub(crate) async fn tools(&self) -> Result<Vec<Tool>, Failure> {
        self.service
            .list_all_tools()
            .await
            .map_err(|error| self.not_answered(&error))
    }

    /// Calls a tool, once.
    ///
    /// # Errors
    ///
    /// As [`McpClient::tools`]; a tool that refuses or fails is a result.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
    ) -> Result<CallToolResult, Failure> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        match self.service.peer().call_tool_once(params).await {
            Ok(CallToolResponse::Complete(result)) => Ok(result),
            Ok(_) => Err(Failure::new(
                "unexpected_answer",
                "the tool asks for more input, which this command cannot give",
            )),
            Err(error) => Err(self.not_answered(&error)),
        }
    }

    /// Ends the conversation.
    pub(crate) async fn close(mut self) {
        // The answer was received; a server that is gone by now changes nothing.
        let _ = self.service.close().await;
    }

    fn not_answered(&self, error: &ServiceError) -> Failure {
        match error {
            ServiceError::McpError(error) => Failure::new(
                "mcp_error",
                format!("the server refused: {} ({})", error.message, error.code.0),
            ),
            other => failed_transport(other, &self.endpoint),
        }
    }
}

fn mcp_endpoint(server: &Url) -> Result<Url, Failure> {
    if server.path().trim_end_matches('/').ends_with("/mcp") {
        return Ok(server.clone());
    }
    http::endpoint(server, "mcp")
}

fn not_opened(error: &ClientInitializeError, endpoint: &Url) -> Failure {
    match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => {
            not_opened(fallback, endpoint)
        }
        ClientInitializeError::JsonRpcError(error) => Failure::new(
            "mcp_error",
            format!("the server refused: {} ({})", error.message, error.code.0),
        ),
        other => failed_transport(other, endpoint),
    }
}

/// Finds what happened on the way in the chain of the library's errors.
fn failed_transport(error: &(dyn Error + 'static), endpoint: &Url) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(refused) = current.downcast_ref::<AuthRequiredError>() {
            return token_refused(&refused.www_authenticate_header);
        }
        if let Some(refused) = current.downcast_ref::<InsufficientScopeError>() {
            return token_refused(&refused.www_authenticate_header).ending(Exit::Refused);
        }
        if let Some(error) = current.downcast_ref::<reqwest::Error>() {
            return http::unreachable_server(error);
        }
        cause = current.source();
    }
    Failure::new(
        "unexpected_answer",
        format!("{endpoint} did not answer as an MCP server: {error}"),
    )
}

fn token_refused(header: &str) -> Failure {
    let challenge = Challenge::read(header);
    let code = challenge
        .parameter("code")
        .or_else(|| challenge.parameter("error"));
    let code = code.map_or_else(
        || Cow::Borrowed("unauthorized"),
        |code| Cow::Owned(code.to_owned()),
    );
    let message = match challenge.parameter("error_description") {
        Some(description) => description.to_owned(),
        None => "the server does not accept the token".to_owned(),
    };
    Failure::new(code, message)
        .hint("ask for a new token with `bailiwick request`")
        .ending(Exit::ApprovalNeeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_below_the_server_unless_it_is_named() {
        let at = |text: &str| {
            mcp_endpoint(&Url::parse(text).unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(at("http://h:1"), "http://h:1/mcp");
        assert_eq!(at("http://h:1/base/"), "http://h:1/base/mcp");
        assert_eq!(at("http://h:1/mcp"), "http://h:1/mcp");
    }

    #[test]
    fn a_refused_token_keeps_the_code_of_the_refusal_and_asks_for_approval() {
        let refused = token_refused(
            r#"Bearer error="invalid_token", error_description="the session was revoked", code="revoked""#,
        );
        assert_eq!(refused.code(), "revoked");
        assert_eq!(refused.message(), "the session was revoked");
        assert_eq!(refused.exit(), Exit::ApprovalNeeded);
        assert_eq!(token_refused("Bearer").code(), "unauthorized");
    }
}
