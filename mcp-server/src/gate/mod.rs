//! The gate: everything between the socket and the MCP library.
//!
//! One middleware in front of the `/mcp` endpoint. It checks where a request came from, verifies
//! the token, reads the body once and strictly, maps the method, and for `tools/call` derives and
//! authorizes the call. What it decided travels on in the request's extensions as [`Admitted`];
//! the token does not travel on, nor do the bytes that the caller sent.

mod headers;
mod message;
mod refusal;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bailiwick_datalog::{Chain, strict_json, token_text};
use bailiwick_verifier::{
    Clock, Now, UnverifiedToken, VerifiedToken, Verifier, holder::HolderProof,
};
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::{
    arguments::ArgumentError,
    catalogue::Catalogue,
    decision::{Decided, Denial, Disposition, Refused, disposition_of_call, proves_origin},
    issuer::trust::TrustStore,
    record::Recorder,
    surface::Surface,
};

use self::message::Message;
pub(crate) use self::refusal::{Refusal, problem};

/// Largest request body.
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1_048_576;

/// Longest wait for a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the gate needs to decide.
pub(crate) struct Gate {
    pub(crate) surface: Arc<Surface>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Arc<Recorder>,
}

/// What the gate found, for the handlers behind it.
#[derive(Clone)]
pub(crate) struct Admitted {
    /// The token's session, agent and authority. Verified for this request.
    pub(crate) caller: Arc<VerifiedToken>,
    /// The decision, if the request is a call.
    pub(crate) call: Option<CallSlot>,
}

/// A decision that is taken out once: a permit is good for one execution.
#[derive(Clone)]
pub(crate) struct CallSlot(Arc<Mutex<Option<Decided>>>);

impl CallSlot {
    fn new(decided: Decided) -> Self {
        Self(Arc::new(Mutex::new(Some(decided))))
    }

    /// The decision, the first time it is asked for.
    pub(crate) fn take(&self) -> Option<Decided> {
        // Nothing panics while the lock is held, so a poisoned one holds a whole value too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The middleware.
pub(crate) async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => {
            tracing::info!(code = refusal.code(), "request refused");
            refusal.into_response(&gate.surface)
        }
    }
}

impl Gate {
    async fn admit(&self, request: Request) -> Result<Request, Refusal> {
        let (mut parts, body) = request.into_parts();
        headers::check_source(&parts.headers, &parts.uri, &self.surface)
            .map_err(Refusal::Headers)?;
        let token = PresentedToken::read(&parts.headers)?;
        let now = self.clock.now();
        let caller = self.verify(&token, now).await?;
        if parts.method != Method::POST {
            return Err(Refusal::NotPost);
        }
        headers::check_transport(&parts.headers).map_err(Refusal::Headers)?;
        let proof = self.read_proof(&parts.headers)?;
        let message = read_message(&parts.headers, body).await?;
        let call = match &message {
            Message::Call {
                tool, arguments, ..
            } => Some(self.decide(&caller, proof.as_ref(), tool, arguments, now)?),
            Message::Request { .. } | Message::Notification { .. } => None,
        };
        let body = serde_json::to_vec(&message.to_json()).map_err(|_| Refusal::Internal)?;
        // The token and its proof end here; the length is that of the body written anew.
        parts.headers.remove(header::AUTHORIZATION);
        headers::remove_holder_proof(&mut parts.headers);
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        parts.extensions.insert(Admitted {
            caller: Arc::new(caller),
            call: call.map(CallSlot::new),
        });
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    async fn verify(&self, token: &PresentedToken, now: Now) -> Result<VerifiedToken, Refusal> {
        if self.trust.current().is_none() {
            return Err(Refusal::NotReady);
        }
        let denied = match self.verifier.verify(&token.token, now) {
            Ok(verified) => return Ok(verified),
            Err(denied) => denied,
        };
        if let Some(chain) = token.chain().filter(|_| proves_origin(&denied)) {
            let recorded = self
                .recorder
                .token_refused(&chain, denied.code(), now.utc)
                .await;
            if recorded.is_err() {
                tracing::error!(code = denied.code(), "a refusal could not be recorded");
            }
        }
        Err(Refusal::Denied(denied))
    }

    /// The proof of possession, with the request as the gateway knows it: what the client's
    /// headers say about the URL has no part in it.
    fn read_proof(&self, headers: &HeaderMap) -> Result<Option<HolderProof>, Refusal> {
        let proof = headers::holder_proof(headers).map_err(Refusal::Headers)?;
        Ok(proof.map(|proof| HolderProof {
            dpop: String::from_utf8_lossy(proof).into_owned(),
            method: Method::POST.to_string(),
            url: self.surface.audience.to_string(),
        }))
    }

    /// Decides one call. A missing right is a decision; a bad token is a refusal.
    fn decide(
        &self,
        caller: &VerifiedToken,
        proof: Option<&HolderProof>,
        name: &str,
        arguments: &Map<String, Value>,
        now: Now,
    ) -> Result<Decided, Refusal> {
        let Some(tool) = self.catalogue.find(name) else {
            return Ok(Decided::UnknownTool(Refused::unknown_tool(
                name, arguments, now.utc,
            )));
        };
        let prepared = match tool.prepare(arguments) {
            Ok(prepared) => prepared,
            Err(error @ ArgumentError::Path { .. }) => {
                let denial = Denial::ambiguous_path(tool, &error);
                let refused = Refused::before_authorization(tool, denial.code, arguments, now.utc);
                return Ok(Decided::Denied(refused, denial));
            }
            Err(error) => {
                let refused =
                    Refused::before_authorization(tool, "invalid_arguments", arguments, now.utc);
                return Ok(Decided::BadArguments(refused, error));
            }
        };
        let call = prepared.call().clone();
        let digest = *prepared.arguments_digest();
        match prepared.authorize(&self.verifier, caller, proof, now) {
            Ok(permitted) => Ok(Decided::Permitted(Box::new(permitted), now.utc)),
            Err(denied) => match disposition_of_call(&denied) {
                Disposition::Right => {
                    let denial = Denial::missing_right(&denied, &call, caller, &self.surface);
                    let refused = Refused::by_verifier(&call, &denied, digest, now.utc);
                    Ok(Decided::Denied(refused, denial))
                }
                Disposition::Token | Disposition::Unavailable => Err(Refusal::Denied(denied)),
            },
        }
    }
}

/// The token of one request, not yet verified.
struct PresentedToken {
    token: UnverifiedToken,
    text: String,
}

impl PresentedToken {
    /// Takes the token out of the one `Authorization` header.
    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let header = headers::authorization(headers).map_err(Refusal::Headers)?;
        let header = header.ok_or(Refusal::NoCredentials)?;
        let token = UnverifiedToken::from_authorization_header(header).map_err(Refusal::Denied)?;
        let text = std::str::from_utf8(header)
            .ok()
            .and_then(|header| header.split_once(' '));
        let text = text.map(|(_, text)| text.to_owned()).unwrap_or_default();
        Ok(Self { token, text })
    }

    /// What the token says of itself. To be believed only where a signature was checked.
    fn chain(&self) -> Option<Chain> {
        let bytes = token_text::decode(&self.text).ok()?;
        Chain::decode_unverified(&bytes).ok()
    }
}

async fn read_message(headers: &HeaderMap, body: Body) -> Result<Message, Refusal> {
    let bytes = read_body(body).await?;
    let value = strict_json::parse(&bytes).map_err(|error| Refusal::NotJson {
        detail: error.to_string(),
    })?;
    let message = Message::read(value).map_err(|error| Refusal::Message {
        error,
        stateless: headers::is_stateless(headers),
    })?;
    headers::check_against(headers, &message).map_err(|error| Refusal::Mismatch {
        id: message.id().cloned(),
        error,
    })?;
    Ok(message)
}

async fn read_body(body: Body) -> Result<bytes::Bytes, Refusal> {
    let collected =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect());
    match collected.await {
        Err(_) => Err(Refusal::BodyTooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge {
            limit: MAX_BODY_BYTES,
        }),
        Ok(Err(_)) => Err(Refusal::BodyBroken),
    }
}
