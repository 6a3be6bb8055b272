//! Collecting (RFC 8628 section 3.4): the agent polls, and an approved request yields its token
//! to exactly one poll.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::Application,
    core::{Core, Unavailable},
    mint::{self, FreshToken, MintError},
    oauth::client::Client,
    secret::Secret,
    store::{
        self, Poll, RequestState, StoreError, StoredRequest, StoredSession, authorizations,
        requests, sessions,
    },
};

/// Added to the interval of an agent that polls too fast (RFC 8628 section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// With what an approved session's token is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A device code.
    Device,
    /// An authorization code.
    Code,
}

/// Why a poll brings no token.
#[derive(Debug, Error)]
pub(crate) enum PollError {
    /// The code is unknown, another client's, used, expired, or not what it comes with.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// The token was collected already.
    #[error("the device code was used already")]
    Used,
    /// `resource` names another server (RFC 8707).
    #[error("this issuer mints tokens for `{expected}` alone")]
    InvalidTarget {
        /// The audience of this issuer.
        expected: String,
    },
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

impl From<StoreError> for PollError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<MintError> for PollError {
    fn from(error: MintError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A token with what it is good for.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) token: FreshToken,
    pub(crate) session: StoredSession,
    pub(crate) expires_in: Duration,
}

impl Collected {
    /// The token response (RFC 6749 section 5.1, RFC 9396 section 7). The type of a token that is
    /// bound to a key is `DPoP` (RFC 9449 section 5).
    pub(crate) fn to_json(&self) -> Value {
        let token_type = match &self.session.request.request.holder {
            Some(_) => "DPoP",
            None => "Bearer",
        };
        let mut reply = json!({
            "access_token": self.token.expose(),
            "token_type": token_type,
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
    /// Answers a poll. An approved request yields its token to exactly one poll.
    ///
    /// # Errors
    /// [`PollError`].
    pub(crate) async fn collect(
        &self,
        client: &Client,
        device_code: &Secret,
    ) -> Result<Collected, PollError> {
        let now = self.clock.now().utc;
        let request = self
            .store
            .request_of_device(&device_code.digest())
            .await?
            .filter(|stored| stored.request.is_of_client(&client.id))
            .ok_or(PollError::InvalidGrant("the device code is not known"))?;
        match request.state {
            RequestState::Denied => {
                let reason = request.denial_reason;
                let reason = reason.unwrap_or_else(|| "the approver denied the request".to_owned());
                Err(PollError::Denied { reason })
            }
            RequestState::Pending => Err(self.waiting(&request, now).await?),
            RequestState::Approved => {
                self.mint_for(&request.id, &client.application, Claim::Device)
                    .await
            }
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
    pub(crate) async fn mint_for(
        &self,
        request_id: &str,
        application: &Application,
        claim: Claim,
    ) -> Result<Collected, PollError> {
        let now = self.clock.now();
        let session = self.collectable(request_id, now.utc).await?;
        if !session.granted.is_within(&session.request.request) {
            let why = format!("session {} grants more than was asked for", session.id);
            return Err(StoreError::Damaged(why).into());
        }
        let authority = mint::authority(&session, application, now.utc)?;
        let token = self.mint.sign(&authority, now, &self.entropy)?;

        let mut change = self.store.change().await?;
        let revocation_id = token.revocation_id();
        let bytes = revocation_id.as_bytes().as_slice();
        let unused = match claim {
            Claim::Device => true,
            Claim::Code => authorizations::swap_to_used(&mut change, request_id, now.utc).await?,
        };
        if !(unused && sessions::swap_to_minted(&mut change, &session.id, bytes, now.utc).await?) {
            drop(change);
            self.collectable(request_id, now.utc).await?;
            return Err(PollError::Used);
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
                StoreError::Damaged(format!("approved request {request_id} has no session"))
            })?;
        if session.minted_at.is_some() {
            return Err(PollError::Used);
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
}
