//! A client of MCP servers: streamable HTTP with a token, and with a proof by
//! its holder where it is bound to a key.
//!
//! Speaks the stateless protocol of 2026-07-28 and falls back to the one with
//! an `initialize` handshake where the server knows no other. Owns how a
//! refusal on the way becomes a failure; refusals of a tool are results and
//! belong to the commands.

use std::collections::HashMap;
use std::error::Error;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};
use rmcp::ErrorData;
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
    AuthRequiredError, StreamableHttpClientTransportConfig,
};
use serde_json::{Value, json};
use url::Url;

use crate::credential::Credential;
use crate::exit::{Exit, Failure};
use crate::http;

/// The largest event of an answer: as much as a tool may be sent.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// Where a proof by the token's holder goes (RFC 9449 section 4).
const PROOF: HeaderName = HeaderName::from_static("dpop");

/// A conversation with one MCP server.
#[derive(Debug)]
pub(crate) struct McpClient {
    service: RunningService<RoleClient, ClientConfig>,
    wire: Wire,
}

impl McpClient {
    /// Opens a conversation with the server at `server`, whose endpoint is
    /// `/mcp` below it. A proof goes along with every request, and is used up
    /// by the one call that it was made for.
    ///
    /// # Errors
    ///
    /// The code of the refusal with exit code 4 when the token is not
    /// accepted; `server_unreachable`; `unexpected_answer`.
    pub(crate) async fn connect(server: &Url, credential: Credential) -> Result<Self, Failure> {
        let wire = Wire {
            client: http::client_for(server)?,
            endpoint: http::endpoint(server, "mcp")?,
            credential,
        };
        let config = StreamableHttpClientTransportConfig::with_uri(wire.endpoint.as_str())
            .custom_headers(wire.headers())
            .max_sse_event_size(MAX_EVENT_BYTES)
            .max_concurrent_requests(1);
        let transport = StreamableHttpClientTransport::with_client(wire.client.clone(), config);
        let identity = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")),
        );
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        match identity.serve_with_lifecycle(transport, lifecycle).await {
            Ok(service) => Ok(Self { service, wire }),
            Err(error) => Err(wire.not_opened(&error).await),
        }
    }

    /// All tools that the server shows to this token.
    ///
    /// # Errors
    ///
    /// As [`McpClient::connect`], or the server's own JSON-RPC error.
    pub(crate) async fn tools(&self) -> Result<Vec<Tool>, Failure> {
        match self.service.list_all_tools().await {
            Ok(tools) => Ok(tools),
            Err(error) => Err(self.wire.not_answered(&error).await),
        }
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
            Err(error) => Err(self.wire.not_answered(&error).await),
        }
    }

    /// Ends the conversation.
    pub(crate) async fn close(mut self) {
        // The answer was received; a server that is gone by now changes nothing.
        let _ = self.service.close().await;
    }
}

/// The way to the server, for the answers that the library does not pass on.
#[derive(Debug)]
struct Wire {
    client: Client,
    endpoint: Url,
    credential: Credential,
}

impl Wire {
    fn headers(&self) -> HashMap<HeaderName, HeaderValue> {
        let authorization = (AUTHORIZATION, self.credential.authorization().clone());
        let proof = self.credential.proof().cloned();
        let proof = proof.map(|proof| (PROOF, proof));
        std::iter::once(authorization).chain(proof).collect()
    }

    async fn not_opened(&self, error: &ClientInitializeError) -> Failure {
        let mut error = error;
        while let ClientInitializeError::LegacyFallbackFailed { fallback, .. } = error {
            error = fallback;
        }
        match error {
            ClientInitializeError::JsonRpcError(refusal) => refused(refusal),
            other => self.explain(other).await,
        }
    }

    async fn not_answered(&self, error: &ServiceError) -> Failure {
        match error {
            ServiceError::McpError(refusal) => refused(refusal),
            ServiceError::TransportSend(error) => self.explain(error).await,
            other => self.explain(other).await,
        }
    }

    /// Finds out why a request failed. The library keeps the status of a
    /// refusal at most, and the problem document that holds the code never;
    /// a `ping`, which does nothing, is refused for the same reason.
    async fn explain(&self, error: &(dyn Error + 'static)) -> Failure {
        if let Some(failure) = cannot_connect(error).or_else(|| bad_proof(error)) {
            return failure;
        }
        let ping = self
            .client
            .post(self.endpoint.clone())
            .header(AUTHORIZATION, self.credential.authorization().clone())
            .header(ACCEPT, "application/json, text/event-stream")
            .json(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
        match http::send(ping).await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => answer
                .refusal()
                .hint("ask for a new token with `bailiwick request`"),
            Ok(answer) if !answer.status.is_success() => answer.refusal(),
            Ok(_) => Failure::new(
                "unexpected_answer",
                format!("{} did not answer as an MCP server: {error}", self.endpoint),
            ),
            Err(failure) => failure,
        }
    }
}

/// A JSON-RPC error, with the stable code where its data has one.
fn refused(error: &ErrorData) -> Failure {
    let code = error
        .data
        .as_ref()
        .and_then(|data| data.get("code"))
        .and_then(Value::as_str);
    let code = code.unwrap_or("mcp_error").to_owned();
    Failure::new(code, format!("the server refused: {}", error.message))
}

/// Finds a refused proof in the chain of the library's errors. No `ping` would
/// be refused for it, but the challenge says its code.
fn bad_proof(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(refused) = current.downcast_ref::<AuthRequiredError>() {
            return refused_proof(&refused.www_authenticate_header);
        }
        cause = current.source();
    }
    None
}

fn refused_proof(challenge: &str) -> Option<Failure> {
    let (_, rest) = challenge.split_once("error_description=\"")?;
    let (code, _) = rest.split_once('"')?;
    let message = match code {
        "holder_proof_missing" => "the token is bound to a key; the call must carry a proof by it",
        "holder_proof_invalid" => "the server does not accept the proof by the holder's key",
        "holder_proof_replayed" => "the proof by the holder's key was used before",
        _ => return None,
    };
    let failure = Failure::new(code.to_owned(), message).ending(Exit::Refused);
    Some(match code {
        "holder_proof_invalid" => {
            failure.hint("a proof is good for a minute: do the clocks of both machines agree?")
        }
        "holder_proof_missing" => failure.hint("name the file of the key with `--holder-key`"),
        _ => failure,
    })
}

/// Finds a broken connection in the chain of the library's errors; anything
/// else is an answer that the library does not pass on.
fn cannot_connect(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<reqwest::Error>() {
            return (!error.is_status()).then(|| http::unreachable_server(error));
        }
        cause = current.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_proof_is_read_from_the_challenge() {
        let challenge =
            |code: &str| format!("DPoP algs=\"EdDSA\", error=\"x\", error_description=\"{code}\"");
        for code in [
            "holder_proof_missing",
            "holder_proof_invalid",
            "holder_proof_replayed",
        ] {
            let failure = refused_proof(&challenge(code)).unwrap();
            assert_eq!((failure.code(), failure.exit()), (code, Exit::Refused));
        }
        for other in [challenge("expired"), "Bearer".to_owned()] {
            assert_eq!(refused_proof(&other), None);
        }
    }
}
