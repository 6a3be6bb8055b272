//! The device flow (RFC 8628): an agent asks, waits, and collects its token once.

use std::time::Duration;

use bailiwick_datalog::{AgentName, Thumbprint, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::{AccessRequest, Application, Details, RequestError},
    catalogue::CatalogueError,
    core::{Core, Unavailable},
    ids::{UserCode, fresh_id},
    mint::{self, FreshToken, MintError},
    secret::Secret,
    store::{
        self, NewRequest, Poll, RequestState, StoredRequest, StoredSession, requests, sessions,
    },
    text::visible_line,
};

/// Most requests of one application that may wait at once: anybody can ask, and a person has
/// to read them.
const MAX_WAITING: i64 = 100;
/// Draws of a user code before giving up; two live codes collide once in 250 million draws.
const CODE_DRAWS: usize = 4;
/// Added to the interval of an agent that polls too fast (RFC 8628 section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The agent's name when it gives none.
const UNNAMED_AGENT: &str = "unnamed agent";

/// A request for access as it arrives, each text as sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) client_id: String,
    pub(crate) authorization_details: String,
    pub(crate) resource: Option<String>,
    pub(crate) agent_name: Option<String>,
    pub(crate) holder: Option<String>,
}

/// Why a request for access is refused.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// No application has that client id.
    #[error("there is no application with that `client_id`")]
    UnknownClient,
    /// `resource` names another server (RFC 8707).
    #[error("this issuer mints tokens for `{expected}` alone")]
    InvalidTarget {
        /// The audience of this issuer.
        expected: String,
    },
    /// A parameter cannot be read.
    #[error("`{name}`: {why}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The details cannot be granted as they stand.
    #[error(transparent)]
    Details(#[from] RequestError),
    /// The request would not fit a token.
    #[error("the request does not fit a token: {0}")]
    TooLarge(String),
    /// Too many requests wait already.
    #[error("too many requests are waiting for approval; try again later")]
    TooManyWaiting,
    /// The gateway's catalogue is out of reach.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The request could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The answer to a request for access (RFC 8628 section 3.2).
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) device_code: Secret,
    pub(crate) user_code: UserCode,
    pub(crate) expires_in: Duration,
    pub(crate) interval: Duration,
}

/// Why a poll brings no token.
#[derive(Debug, Error)]
pub(crate) enum PollError {
    /// No application has that client id.
    #[error("there is no application with that `client_id`")]
    UnknownClient,
    /// The device code is unknown, another client's, or used.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// Nobody has decided yet.
    #[error("nobody has decided yet")]
    Pending,
    /// Nobody has decided yet, and the agent asks too often.
    #[error("polling too fast: wait {} s between polls", .interval.as_secs())]
    SlowDown {
        /// The new interval.
        interval: Duration,
    },
    /// The approver said no.
    #[error("{reason}")]
    Denied {
        /// Why.
        reason: String,
    },
    /// The request or the approved time ran out.
    #[error("{0}")]
    Expired(&'static str),
    /// The token could not be made or recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

macro_rules! unavailable_from {
    ($($source:ty => $($target:ty),+;)+) => {
        $($(impl From<$source> for $target {
            fn from(error: $source) -> Self {
                Self::Unavailable(error.into())
            }
        })+)+
    };
}

unavailable_from! {
    store::StoreError => AskError, PollError;
    MintError => PollError;
}

/// A token with what it is good for.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) token: FreshToken,
    pub(crate) session: StoredSession,
    pub(crate) expires_in: Duration,
}

impl Collected {
    /// The token response (RFC 6749 section 5.1, RFC 9396 section 7).
    pub(crate) fn to_json(&self) -> Value {
        let mut reply = json!({
            "access_token": self.token.expose(),
            "token_type": "Bearer",
            "expires_in": self.expires_in.as_secs(),
            "scope": self.session.granted.scope(),
            "authorization_details":
                self.session.granted.authorization_details(&self.session.request.request),
            "session": self.session.id.as_str(),
            "expires_at": self.session.expires_at.to_rfc3339(),
        });
        if let (Some(object), Some(words)) = (reply.as_object_mut(), &self.session.instructions) {
            object.insert("instructions".to_owned(), json!(words));
        }
        reply
    }
}

impl Core {
    /// Takes a request for access: parsed, bound to the catalogue, proved to fit a token,
    /// stored for the approver.
    ///
    /// # Errors
    /// [`AskError`]; nothing is stored then.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Asked, AskError> {
        let application = self
            .store
            .application_of_client(&ask.client_id)
            .await?
            .ok_or(AskError::UnknownClient)?;
        let request = self.read_request(ask, &application).await?;
        let now = self.clock.now();
        self.check_fits(&request, &application, now)?;
        let (canonical, digest) = request.to_stored().map_err(store::StoreError::from)?;
        let expires_at = now
            .utc
            .checked_add(self.settings.request_lifetime)
            .ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;

        let device_code = Secret::generate(&self.entropy);
        let id = fresh_id("apr", &self.entropy);
        let mut change = self.store.change().await?;
        let waiting = requests::count_waiting(&mut change, &application.id, now.utc).await?;
        if waiting >= MAX_WAITING {
            return Err(AskError::TooManyWaiting);
        }
        for _ in 0..CODE_DRAWS {
            let user_code = UserCode::generate(&self.entropy);
            let new = NewRequest {
                id: &id,
                application: &application.id,
                device_code: &device_code.digest(),
                user_code: &user_code,
                canonical: &canonical,
                digest,
                created_at: now.utc,
                expires_at,
                poll_interval: self.settings.poll_interval,
            };
            if requests::insert_request(&mut change, &new).await? {
                let fields = json!({
                    "approval": id,
                    "application": application.id.as_str(),
                    "agent": request.agent.as_str(),
                    "request_digest": digest.to_hex(),
                    "requested": request.authorization_details(),
                });
                self.seal(change, now.utc, "access_requested", fields)
                    .await?;
                tracing::info!(
                    approval = id,
                    agent = request.agent.as_str(),
                    "access requested"
                );
                let expires_in = self.settings.request_lifetime;
                let interval = self.settings.poll_interval;
                return Ok(Asked {
                    device_code,
                    user_code,
                    expires_in,
                    interval,
                });
            }
        }
        Err(Unavailable::Internal("no free user code".to_owned()).into())
    }

    /// Answers a poll. An approved request yields its token to exactly one poll.
    ///
    /// # Errors
    /// [`PollError`].
    pub(crate) async fn collect(
        &self,
        client_id: &str,
        device_code: &Secret,
    ) -> Result<Collected, PollError> {
        let now = self.clock.now().utc;
        let application = self
            .store
            .application_of_client(client_id)
            .await?
            .ok_or(PollError::UnknownClient)?;
        let request = self
            .store
            .request_of_device(&device_code.digest())
            .await?
            .filter(|stored| stored.request.application == application.id)
            .ok_or(PollError::InvalidGrant("the device code is not known"))?;
        match request.state {
            RequestState::Denied => {
                let reason = request.denial_reason;
                let reason = reason.unwrap_or_else(|| "the approver denied the request".to_owned());
                Err(PollError::Denied { reason })
            }
            RequestState::Pending => Err(self.waiting(&request, now).await?),
            RequestState::Approved => self.mint_for(&request.id, &application).await,
        }
    }

    async fn waiting(
        &self,
        request: &StoredRequest,
        now: Timestamp,
    ) -> Result<PollError, PollError> {
        if now >= request.expires_at {
            return Ok(PollError::Expired("nobody decided in time; ask again"));
        }
        let mut change = self.store.change().await?;
        let poll = requests::note_poll(&mut change, &request.id, now, SLOW_DOWN).await?;
        store::commit(change).await?;
        Ok(match poll {
            Poll::InTime => PollError::Pending,
            Poll::TooFast { interval } => PollError::SlowDown { interval },
        })
    }

    /// Evaluate → bound → build → sign → verify → record → audit → reply.
    async fn mint_for(
        &self,
        request_id: &str,
        application: &Application,
    ) -> Result<Collected, PollError> {
        let now = self.clock.now();
        let session = self.collectable(request_id, now.utc).await?;
        if !session.granted.is_within(&session.request.request) {
            let why = format!("session {} grants more than was asked for", session.id);
            return Err(store::StoreError::Damaged(why).into());
        }
        let authority = mint::authority(&session, application, now.utc)?;
        let token = self.mint.sign(&authority, now, &self.entropy)?;

        let mut change = self.store.change().await?;
        let revocation_id = token.revocation_id();
        let bytes = revocation_id.as_bytes().as_slice();
        if !sessions::swap_to_minted(&mut change, &session.id, bytes, now.utc).await? {
            drop(change);
            self.collectable(request_id, now.utc).await?;
            return Err(PollError::InvalidGrant("the device code was used already"));
        }
        let fields = json!({
            "session": session.id.as_str(),
            "approval": request_id,
            "revocation_id": revocation_id.to_hex(),
            "issued_at": now.utc.to_rfc3339(),
            "expires_at": session.expires_at.to_rfc3339(),
        });
        self.seal(change, now.utc, "token_minted", fields).await?;
        tracing::info!(session = session.id.as_str(), "token minted");
        let expires_in = session.expires_at.saturating_since(now.utc);
        Ok(Collected {
            token,
            session,
            expires_in,
        })
    }

    async fn collectable(
        &self,
        request_id: &str,
        now: Timestamp,
    ) -> Result<StoredSession, PollError> {
        let session = self
            .store
            .session_of_request(request_id)
            .await?
            .ok_or_else(|| {
                store::StoreError::Damaged(format!("approved request {request_id} has no session"))
            })?;
        if session.minted_at.is_some() {
            return Err(PollError::InvalidGrant("the device code was used already"));
        }
        if session.revoked_at.is_some() {
            let reason = "the session was ended before its token was collected".to_owned();
            return Err(PollError::Denied { reason });
        }
        if now >= session.expires_at {
            return Err(PollError::Expired("the approved time is over; ask again"));
        }
        Ok(session)
    }

    async fn read_request(
        &self,
        ask: &Ask,
        application: &Application,
    ) -> Result<AccessRequest, AskError> {
        let audience = &self.settings.audience;
        if ask
            .resource
            .as_ref()
            .is_some_and(|resource| resource != audience.as_str())
        {
            return Err(AskError::InvalidTarget {
                expected: audience.as_str().to_owned(),
            });
        }
        let parameter = |name| {
            move |e: bailiwick_datalog::NameError| AskError::Parameter {
                name,
                why: visible_line(&e.to_string()),
            }
        };
        let agent = ask.agent_name.as_deref().unwrap_or(UNNAMED_AGENT);
        let agent = AgentName::parse(agent).map_err(parameter("agent_name"))?;
        let holder = ask.holder.as_deref().map(Thumbprint::parse).transpose();
        let holder = holder.map_err(parameter("holder"))?;
        let text = ask.authorization_details.as_bytes();
        let details = Details::parse(text, application, audience)?;
        let catalogue = self.catalogue.listing(&details.tool_names()).await?;
        let audience = audience.clone();
        Ok(AccessRequest::new(
            application,
            agent,
            holder,
            audience,
            details,
            &catalogue,
        )?)
    }

    /// Mints a token for all that is asked, with a key that nobody trusts, and throws it away:
    /// what is shown to an approver can be granted.
    fn check_fits(
        &self,
        request: &AccessRequest,
        application: &Application,
        now: bailiwick_verifier::Now,
    ) -> Result<(), AskError> {
        let authority = mint::rehearsal(request, application, now.utc)
            .map_err(|e| AskError::TooLarge(e.to_string()))?;
        match self.rehearsal.sign(&authority, now, &self.entropy) {
            Ok(_) => Ok(()),
            Err(error @ (MintError::Profile(_) | MintError::TooLarge { .. })) => {
                Err(AskError::TooLarge(error.to_string()))
            }
            Err(error) => Err(Unavailable::from(error).into()),
        }
    }
}
