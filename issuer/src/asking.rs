//! Asking (RFC 8628 section 3.1): a request for access becomes something a person can decide.
//! [`crate::approval`] decides it, [`crate::collecting`] hands out the token.

use std::time::Duration;

use bailiwick_datalog::{AgentName, Thumbprint};
use serde_json::json;
use thiserror::Error;

use crate::{
    access_request::{AccessRequest, Application, Details, RequestError},
    catalogue::CatalogueError,
    core::{Core, Unavailable},
    ids::{UserCode, fresh_id},
    mint::{self, MintError},
    secret::Secret,
    store::{NewRequest, StoreError, requests},
    text::visible_line,
};

/// Most requests of one application that may wait at once: anybody can ask, and a person has
/// to read them.
const MAX_WAITING: i64 = 100;
/// Draws of a user code before giving up; two live codes collide once in 250 million draws.
const CODE_DRAWS: usize = 4;
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

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
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
        let (canonical, digest) = request.to_stored().map_err(StoreError::from)?;
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
