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
    collections::BTreeSet,
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
    Clock, Denied, Disposition, Now, UnverifiedToken, VerifiedToken, Verifier, holder::HolderProof,
    keys::MintKeyName,
};
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::{
    arguments::ArgumentError,
    catalogue::Catalogue,
    decision::{Decided, Denial, Refused, proves_origin},
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

/// How much of a refused request is still read: far more than clients send before they have a
/// token.
const DRAIN_BYTES: usize = 64 * 1_024;

/// For how long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Most values, counted at every level, in one body. A parsed value takes many times the memory
/// of its text, and this bounds it.
const MAX_VALUES: usize = 65_536;

/// What the gate needs to decide.
pub(crate) struct Gate {
    pub(crate) surface: Arc<Surface>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Arc<Recorder>,
    /// Applications whose clients are told over HTTP what their tokens lack.
    pub(crate) step_up: BTreeSet<String>,
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
        Ok(request) => refusal::with_code(next.run(request).await).await,
        Err(refusal) => {
            tracing::info!(code = refusal.code(), "request refused");
            refusal.into_response(&gate.surface)
        }
    }
}

impl Gate {
    async fn admit(&self, request: Request) -> Result<Request, Refusal> {
        let (mut parts, body) = request.into_parts();
        let caller = match self.check_caller(&parts).await {
            Ok(caller) => caller,
            Err(refusal) => {
                drain(body).await;
                return Err(refusal);
            }
        };
        if parts.method != Method::POST {
            return Err(Refusal::NotPost);
        }
        headers::check_transport(&parts.headers).map_err(Refusal::Headers)?;
        let proof = self.read_proof(&parts.headers)?;
        let message = read_message(&parts.headers, body).await?;
        let call = match &message {
            Message::Call {
                tool, arguments, ..
            } => {
                // Read again: the body may have taken longer than the token was good for.
                let now = self.clock.now();
                match self.decide(&caller, proof.as_ref(), tool, arguments, now) {
                    Ok(Decided::Denied(refused, denial)) if self.steps_up(&caller, &denial) => {
                        return Err(self.refuse_for_scope(&caller, &refused, denial).await);
                    }
                    Ok(decided) => Some(CallSlot::new(decided)),
                    Err(denied) => {
                        let (chain, key) = (caller.chain(), Some(caller.key()));
                        self.record_refusal(chain, key, &denied, now).await;
                        return Err(Refusal::Denied(denied));
                    }
                }
            }
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
            call,
        });
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    /// Where the request came from, and whose token it carries.
    async fn check_caller(&self, parts: &http::request::Parts) -> Result<VerifiedToken, Refusal> {
        headers::check_source(&parts.headers, &parts.uri, &self.surface)
            .map_err(Refusal::Headers)?;
        let header = headers::authorization(&parts.headers).map_err(Refusal::Headers)?;
        let header = header.ok_or(Refusal::NoCredentials)?;
        self.verify(header, self.clock.now()).await
    }

    async fn verify(&self, header: &[u8], now: Now) -> Result<VerifiedToken, Refusal> {
        if self.trust.current().is_none() {
            return Err(Refusal::NotReady);
        }
        let denied = match self.verifier.verify_header(header, now) {
            Ok(verified) => return Ok(verified),
            Err(denied) => denied,
        };
        if proves_origin(&denied)
            && let Some(chain) = stated_chain(header)
        {
            // Its signatures verified, so it was by the key that its id stands for.
            let key = self.verifier.key_with_id(chain.root_key_id());
            self.record_refusal(&chain, key, &denied, now).await;
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
    ) -> Result<Decided, Denied> {
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
        let (denied, prepared) = match prepared.authorize(&self.verifier, caller, proof, now) {
            Ok(authorized) => return Ok(Decided::Authorized(Box::new(authorized), now.utc)),
            Err(denied) => *denied,
        };
        match denied.disposition_of_call() {
            Disposition::Right => {
                let denial = Denial::missing_right(&denied, prepared.call(), caller, &self.surface);
                let refused = Refused::by_verifier(&prepared, &denied, now.utc);
                Ok(Decided::Denied(refused, denial))
            }
            Disposition::Token | Disposition::Unavailable => Err(denied),
        }
    }

    /// Whether the client that holds this token asks for more by itself when HTTP tells it what is
    /// missing (MCP authorization, "Step-Up Authorization Flow"): an operator says so by
    /// application, because a token does not tell how it was come by.
    fn steps_up(&self, caller: &VerifiedToken, denial: &Denial) -> bool {
        denial.may_be_asked_for_by_scope() && self.step_up.contains(caller.application())
    }

    /// Answers a missing right over HTTP. It is on the record before.
    async fn refuse_for_scope(
        &self,
        caller: &VerifiedToken,
        refused: &Refused,
        denial: Denial,
    ) -> Refusal {
        match self.recorder.refused(caller, refused).await {
            Ok(()) => Refusal::Scope(Box::new(denial)),
            Err(_) => Refusal::Internal,
        }
    }

    /// Puts the refusal of a token that the issuer minted on the record. It is refused in any
    /// case: there is no effect that could be held back.
    async fn record_refusal(
        &self,
        chain: &Chain,
        key: Option<MintKeyName>,
        denied: &Denied,
        now: Now,
    ) {
        let recorded = self
            .recorder
            .token_refused(chain, key, denied.code(), now.utc)
            .await;
        if recorded.is_err() {
            tracing::error!(code = denied.code(), "a refusal could not be recorded");
        }
    }
}

/// What a token says of itself. To be believed only where a signature was checked.
fn stated_chain(header: &[u8]) -> Option<Chain> {
    let token = UnverifiedToken::from_authorization_header(header).ok()?;
    let bytes = token_text::decode(token.expose_text()).ok()?;
    Chain::decode_unverified(&bytes).ok()
}

async fn read_message(headers: &HeaderMap, body: Body) -> Result<Message, Refusal> {
    let bytes = read_body(body).await?;
    let value = strict_json::parse(&bytes).map_err(|error| Refusal::NotJson {
        detail: error.to_string(),
    })?;
    if !has_at_most(&value, MAX_VALUES) {
        return Err(Refusal::TooManyValues { limit: MAX_VALUES });
    }
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

/// Reads on for a moment after a refusal: a connection that is closed on bytes nobody read is
/// reset, and a client that was still sending them would lose the answer, which tells it where to
/// get a token.
async fn drain(body: Body) {
    let rest = Limited::new(body, DRAIN_BYTES).collect();
    drop(tokio::time::timeout(DRAIN_TIMEOUT, rest).await);
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

/// Does `value` hold at most `limit` values, itself included?
fn has_at_most(value: &Value, limit: usize) -> bool {
    let mut pending = vec![value];
    let mut counted = 0_usize;
    while let Some(value) = pending.pop() {
        counted = counted.saturating_add(1);
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(members) => pending.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        // What is pending will be counted too.
        if counted.saturating_add(pending.len()) > limit {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_counted_at_every_level() {
        let value = json!([1, {"a": [true, null]}, "x"]);
        assert!(has_at_most(&value, 7));
        assert!(!has_at_most(&value, 6));
        assert!(has_at_most(&json!(1), 1));
    }
}
