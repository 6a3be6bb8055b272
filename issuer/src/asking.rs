//! Asking (RFC 8628 section 3.1): a request for access becomes something a person can decide.
//! [`crate::approval`] decides it, [`crate::collecting`] hands out the token.

use std::time::Duration;

use bailiwick_datalog::{AgentName, Audience, Thumbprint, Timestamp};
use bailiwick_verifier::Now;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::{
        AccessRequest, Application, Asker, Details, Held, RequestError, Requester, Selection,
        ToolScope,
    },
    catalogue::CatalogueError,
    core::{Core, Unavailable},
    fatigue::AgentKey,
    ids::{UserCode, fresh_id},
    mint::{self, MintError},
    notify::Occasion,
    oauth::{
        authorize::Return,
        client::{Client, Identity},
    },
    secret::Secret,
    store::{Change, NewRequest, StoreError, authorizations, clients, prompts, requests},
    text::{first_hidden, visible_line},
};

/// Most requests of one application that may wait at once: anybody can ask, and a person has
/// to read them.
const MAX_WAITING: i64 = 100;
/// Most that may wait in browsers. Each is shown to its own browser alone.
const MAX_WAITING_IN_BROWSERS: i64 = 1_000;
/// Most that may wait in the browsers of one account: a page that opens them over and over fills
/// no more.
const MAX_WAITING_OF_ONE_ACCOUNT: i64 = 20;
/// Draws of a user code before giving up; two live codes collide once in 250 million draws.
const CODE_DRAWS: usize = 4;
/// The agent's name when it gives none.
const UNNAMED_AGENT: &str = "unnamed agent";

/// A request for access as it arrives, each text as sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) client: Client,
    pub(crate) identity: Identity,
    pub(crate) authorization_details: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) agent_name: Option<String>,
    pub(crate) holder: Option<String>,
    /// Where the answer goes when it goes through a browser. Without it the client polls.
    pub(crate) returns: Option<Return>,
}

/// Why a request for access is refused.
#[derive(Debug, Error)]
pub(crate) enum AskError {
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
    /// Nothing is asked for, and nobody is at a browser to pick.
    #[error("`authorization_details` or `scope` is missing")]
    NothingAsked,
    /// The details cannot be granted as they stand.
    #[error(transparent)]
    Details(#[from] RequestError),
    /// The scope cannot be granted as it stands.
    #[error("{0}")]
    Scope(RequestError),
    /// The request would not fit a token.
    #[error("the request does not fit a token: {0}")]
    TooLarge(String),
    /// Too many requests wait already.
    #[error("too many requests are waiting for approval; try again later")]
    TooManyWaiting,
    /// The agent was denied lately.
    #[error(
        "the last request of this agent was denied; it may ask again in {} s",
        .retry_after.as_secs()
    )]
    Quiet {
        /// How long to wait.
        retry_after: Duration,
    },
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
    pub(crate) id: String,
    pub(crate) device_code: Secret,
    pub(crate) user_code: UserCode,
    pub(crate) expires_in: Duration,
    pub(crate) interval: Duration,
}

/// Why something has no token.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is too much, and in which way.
    TooLarge(String),
    /// It could not be tried.
    Unavailable(Unavailable),
}

impl From<Unfit> for AskError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::TooLarge(why) => Self::TooLarge(why),
            Unfit::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
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
        let application = &ask.client.application;
        let now = self.clock.now();
        let request = self.read_fitting(ask, now).await?;
        let (canonical, digest) = request.to_stored().map_err(StoreError::from)?;
        // What could not be read back would be in everybody's way.
        AccessRequest::from_stored(&canonical, digest).map_err(StoreError::from)?;
        let expires_at = now
            .utc
            .checked_add(self.settings.request_lifetime)
            .ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;

        let device_code = Secret::generate(&self.entropy);
        let id = fresh_id("apr", &self.entropy);
        let mut change = self.store.change().await?;
        check_room(&mut change, ask, now.utc).await?;
        let agent = AgentKey::of(&request);
        if let Some(retry_after) = self.quiet(&mut change, &request, now.utc).await? {
            return Err(AskError::Quiet { retry_after });
        }
        for _ in 0..CODE_DRAWS {
            let user_code = UserCode::generate(&self.entropy);
            let new = NewRequest {
                id: &id,
                application: &application.id,
                client_id: &ask.client.id,
                device_code: &device_code.digest(),
                user_code: &user_code,
                canonical: &canonical,
                digest,
                created_at: now.utc,
                expires_at,
                poll_interval: self.settings.poll_interval,
            };
            if requests::insert_request(&mut change, &new).await? {
                if let Some(returns) = &ask.returns {
                    authorizations::insert_authorization(&mut change, &id, returns).await?;
                }
                prompts::note(&mut change, &id, agent, now.utc).await?;
                clients::note_request(&mut change, &ask.client.id, now.utc).await?;
                if ask.returns.is_none() {
                    let (what, times) = ((id.as_str(), &request), (now.utc, expires_at));
                    self.announce(&mut change, Occasion::Waiting, what, times)
                        .await?;
                }
                let fields = json!({
                    "approval": id,
                    "application": application.id.as_str(),
                    "client": ask.client.id,
                    "client_name": ask.client.name,
                    "identity": identity_json(&ask.identity),
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
                    id,
                    device_code,
                    user_code,
                    expires_in,
                    interval,
                });
            }
        }
        Err(Unavailable::Internal("no free user code".to_owned()).into())
    }

    /// Looks at a request for access as [`Self::ask`] does, and stores nothing.
    ///
    /// # Errors
    /// [`AskError`].
    pub(crate) async fn try_ask(&self, ask: &Ask) -> Result<(), AskError> {
        self.read_fitting(ask, self.clock.now()).await.map(drop)
    }

    async fn read_fitting(&self, ask: &Ask, now: Now) -> Result<AccessRequest, AskError> {
        let request = self.read_request(ask, now.utc).await?;
        if request.selection == Selection::Asked {
            // Of what is only offered the approver picks; that is tried when they have.
            let tools: Vec<&ToolScope> = request.tools.iter().map(|tool| &tool.scope).collect();
            self.check_fits(&request, &tools, &ask.client.application, now)?;
        }
        Ok(request)
    }

    async fn read_request(&self, ask: &Ask, now: Timestamp) -> Result<AccessRequest, AskError> {
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
        let asker = read_asker(ask)?;
        let Some(details) = read_details(ask, audience)? else {
            if ask.returns.is_none() {
                return Err(AskError::NothingAsked);
            }
            let catalogue = self.catalogue.listing(&[]).await?;
            let offer = AccessRequest::offering(asker, audience.clone(), &catalogue);
            return offer.map_err(AskError::Scope);
        };
        let held = match &ask.returns {
            Some(returns) => self.held(&ask.client, returns, now).await?,
            None => None,
        };
        let catalogue = self.catalogue.listing(&details.tool_names()).await?;
        let audience = audience.clone();
        AccessRequest::new(asker, audience, details, &catalogue, held).map_err(|error| {
            match ask.authorization_details {
                Some(_) => AskError::Details(error),
                None => AskError::Scope(error),
            }
        })
    }

    /// What the client holds already: the session it got through the same browser, while it
    /// lives. Another browser may be another person, so what they hold is not shown.
    async fn held(
        &self,
        client: &Client,
        returns: &Return,
        now: Timestamp,
    ) -> Result<Option<Held>, AskError> {
        let live = self
            .store
            .live_session_of_browser(&client.id, &returns.browser, now);
        let live = live.await?;
        Ok(live.map(|session| Held::of(session.id.to_string(), session.granted.tools)))
    }

    /// Mints a token for `tools` of a request, with a key that nobody trusts, and throws it away:
    /// what is shown to an approver can be granted.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn check_fits(
        &self,
        request: &AccessRequest,
        tools: &[&ToolScope],
        application: &Application,
        now: Now,
    ) -> Result<(), Unfit> {
        let authority = mint::rehearsal(request, tools, application, now.utc)
            .map_err(|e| Unfit::TooLarge(e.to_string()))?;
        match self.rehearsal.sign(&authority, now, &self.entropy) {
            Ok(_) => Ok(()),
            Err(error @ (MintError::Profile(_) | MintError::TooLarge { .. })) => {
                Err(Unfit::TooLarge(error.to_string()))
            }
            Err(error) => Err(Unfit::Unavailable(error.into())),
        }
    }
}

/// Whether one more request may wait.
async fn check_room(change: &mut Change, ask: &Ask, now: Timestamp) -> Result<(), AskError> {
    let application = &ask.client.application.id;
    let full = match &ask.returns {
        None => requests::count_waiting(change, application, now).await? >= MAX_WAITING,
        Some(returns) => {
            let account = returns.account.as_deref();
            let (all, own) =
                authorizations::count_waiting(change, application, account, now).await?;
            all >= MAX_WAITING_IN_BROWSERS || own >= MAX_WAITING_OF_ONE_ACCOUNT
        }
    };
    if full {
        return Err(AskError::TooManyWaiting);
    }
    Ok(())
}

fn read_asker(ask: &Ask) -> Result<Asker<'_>, AskError> {
    let parameter = |name| {
        move |e: bailiwick_datalog::NameError| AskError::Parameter {
            name,
            why: visible_line(&e.to_string()),
        }
    };
    // Whoever comes through a browser can say no more of itself than its client does.
    let unnamed = match ask.returns {
        Some(_) => ask.client.name.as_str(),
        None => UNNAMED_AGENT,
    };
    let agent = ask.agent_name.as_deref().unwrap_or(unnamed);
    if let Some(hidden) = first_hidden(agent) {
        return Err(AskError::Parameter {
            name: "agent_name",
            why: format!(
                "U+{:04X} cannot be shown to whoever approves",
                u32::from(hidden)
            ),
        });
    }
    let holder = ask.holder.as_deref().map(Thumbprint::parse).transpose();
    let returns_to = ask.returns.as_ref().map(|returns| &returns.redirect);
    Ok(Asker {
        application: &ask.client.application,
        requester: Requester::new(&ask.client, ask.identity.clone(), returns_to),
        agent: AgentName::parse(agent).map_err(parameter("agent_name"))?,
        holder: holder.map_err(parameter("holder"))?,
    })
}

/// What is asked for by name, in details, in a scope or in both; `None` when nothing is.
fn read_details(ask: &Ask, audience: &Audience) -> Result<Option<Details>, AskError> {
    let scope = ask
        .scope
        .as_deref()
        .filter(|scope| !scope.trim().is_empty());
    let Some(text) = &ask.authorization_details else {
        let of_scope = scope.map(Details::of_scope).transpose();
        return of_scope.map_err(AskError::Scope);
    };
    let mut details = Details::parse(text.as_bytes(), &ask.client.application, audience)?;
    if let Some(scope) = scope {
        details.add_scope(scope).map_err(AskError::Scope)?;
    }
    Ok(Some(details))
}

fn identity_json(identity: &Identity) -> Value {
    match identity {
        Identity::Claimed => json!("claimed"),
        Identity::Proved { method, subject } => {
            json!({"proved": subject, "method": method.as_str()})
        }
    }
}
