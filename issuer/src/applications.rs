//! Applications: separate policy surfaces, each with its own limits, tools and approvers.
//!
//! Nothing of one is seen from another. A removed application keeps its row, because sessions
//! and the record name it; its requests and sessions end in the same change.

use std::{collections::BTreeSet, time::Duration};

use bailiwick_datalog::{ApplicationId, NameError, Principal};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::Application,
    core::{Core, Unavailable},
    oauth::redirect::{RedirectError, RedirectUri},
    people::Actor,
    revocation_feed::AllOf,
    rules::{MAX_RULES, Rule},
    store::{Account, Change, StoreError, accounts, applications, requests},
    text::visible_line,
    tool_pattern::{MAX_PATTERNS, ToolPattern},
};

/// Longest id, in bytes: it is typed and stands in addresses.
const MAX_ID_BYTES: usize = 64;
/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 80;
/// The longest session any application may allow: a token that cannot be renewed is meant for
/// one task, not for a season.
pub(crate) const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Hops that fit a token besides its first block (profile, rule 22).
const MAX_DEPTH: u32 = 16;
/// Most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 10;
/// What agents are told whose request ended with its application.
const REMOVED: &str = "the application was removed";

/// Why an application was not changed.
#[derive(Debug, Error)]
pub(crate) enum ApplicationError {
    /// There is no such application.
    #[error("there is no application `{0}`")]
    NotFound(String),
    /// The id was given before, if to an application that was removed since.
    #[error("the application id `{0}` is taken, perhaps by one that was removed")]
    Taken(ApplicationId),
    /// The id cannot be used.
    #[error("an application id has 1 to {MAX_ID_BYTES} letters a to z, digits, `.`, `_` or `-`")]
    Id,
    /// The id cannot stand in a token.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is empty or too long.
    #[error("the name needs 1 to {MAX_NAME_CHARS} characters")]
    Branding,
    /// The session lengths make no sense together.
    #[error(
        "a session needs at least one second, usually no more than at most, and at most seven days"
    )]
    Durations,
    /// Too many hops.
    #[error("a token can be handed on {MAX_DEPTH} times at most")]
    Depth,
    /// Too many tools.
    #[error("more than {MAX_PATTERNS} tool patterns")]
    TooManyTools,
    /// An address no answer may be sent to.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// Too many of them.
    #[error("more than {MAX_REDIRECT_URIS} redirect URIs")]
    TooManyRedirects,
    /// Too many rules.
    #[error("more than {MAX_RULES} rules")]
    TooManyRules,
    /// An approver that is none.
    #[error("`{0}` is not an account with the role approver")]
    NotAnApprover(String),
    /// The change could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for ApplicationError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What an application is to be; `None` leaves a part as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) default_duration: Option<Duration>,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) max_depth: Option<u32>,
    /// `Some(None)`: every tool of the catalogue.
    pub(crate) allowed_tools: Option<Option<Vec<ToolPattern>>>,
    pub(crate) rules: Option<Vec<Rule>>,
    /// Where the answers of its own client may go.
    pub(crate) redirect_uris: Option<Vec<String>>,
    /// User names.
    pub(crate) approvers: Option<Approvers>,
}

/// Who is to decide for an application.
#[derive(Clone, Debug)]
pub(crate) enum Approvers {
    /// These and nobody else.
    Exactly(BTreeSet<String>),
    /// Some more and some fewer.
    Changed {
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    },
}

/// An application with those who decide for it.
#[derive(Clone, Debug)]
pub(crate) struct Staffed {
    pub(crate) application: Application,
    pub(crate) approvers: Vec<Principal>,
    pub(crate) client: OwnClient,
}

/// The OAuth client that comes with an application.
#[derive(Clone, Debug)]
pub(crate) struct OwnClient {
    pub(crate) id: String,
    pub(crate) redirect_uris: Vec<String>,
}

/// What ended with a removed application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) sessions: usize,
    pub(crate) requests: usize,
}

impl Core {
    /// The application with that id, if it was not removed.
    ///
    /// # Errors
    /// [`ApplicationError::NotFound`] or [`ApplicationError::Unavailable`].
    pub(crate) async fn staffed_application(&self, id: &str) -> Result<Staffed, ApplicationError> {
        let not_found = || ApplicationError::NotFound(visible_line(id));
        let id = ApplicationId::parse(id).map_err(|_| not_found())?;
        let found = self.store.live_application(&id).await?;
        self.staffed(found.ok_or_else(not_found)?).await
    }

    /// Every application that was not removed, by id.
    ///
    /// # Errors
    /// [`ApplicationError::Unavailable`].
    pub(crate) async fn staffed_applications(&self) -> Result<Vec<Staffed>, ApplicationError> {
        let mut all = Vec::new();
        for application in self.store.live_applications().await? {
            all.push(self.staffed(application).await?);
        }
        Ok(all)
    }

    /// Makes an application. What is not said is as in the one that is there from the start,
    /// and nobody decides for it until somebody is named.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub(crate) async fn add_application(
        &self,
        by: &Actor,
        id: &str,
        wanted: Wanted,
    ) -> Result<Staffed, ApplicationError> {
        let id = parse_id(id)?;
        let fresh = Application {
            name: id.to_string(),
            id,
            default_duration: Duration::from_secs(15 * 60),
            max_duration: Duration::from_secs(8 * 60 * 60),
            max_depth: 3,
            allowed_tools: None,
            rules: Vec::new(),
        };
        let application = apply(fresh, &wanted)?;
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        if !applications::insert(&mut change, &application, now).await? {
            return Err(ApplicationError::Taken(application.id));
        }
        staff(&mut change, &application.id, wanted.approvers.as_ref()).await?;
        set_redirects(
            &mut change,
            &application.id,
            wanted.redirect_uris.as_deref(),
        )
        .await?;
        let fields = self.fields(&mut change, by, &application).await?;
        self.seal(change, now, "application_added", fields).await?;
        self.staffed(application).await
    }

    /// Changes an application. Sessions that run keep what they were granted.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub(crate) async fn set_application(
        &self,
        by: &Actor,
        id: &str,
        wanted: Wanted,
    ) -> Result<Staffed, ApplicationError> {
        let (mut change, before) = self.application_to_change(id).await?;
        let application = apply(before, &wanted)?;
        applications::update(&mut change, &application).await?;
        staff(&mut change, &application.id, wanted.approvers.as_ref()).await?;
        set_redirects(
            &mut change,
            &application.id,
            wanted.redirect_uris.as_deref(),
        )
        .await?;
        let fields = self.fields(&mut change, by, &application).await?;
        let now = self.clock.now().utc;
        self.seal(change, now, "application_set", fields).await?;
        self.staffed(application).await
    }

    /// Removes an application: it takes no requests any more, those that wait are denied, and then
    /// its sessions are revoked.
    ///
    /// # Errors
    /// [`ApplicationError`]. Should revoking fail half-way, the application is removed already and
    /// the rest of its sessions can be ended by themselves.
    pub(crate) async fn remove_application(
        &self,
        by: &Actor,
        id: &str,
    ) -> Result<Ended, ApplicationError> {
        let (mut change, application) = self.application_to_change(id).await?;
        let now = self.clock.now().utc;
        applications::mark_removed(&mut change, &application.id, now).await?;
        let requests =
            requests::deny_waiting(&mut change, &application.id, by.name(), REMOVED, now).await?;
        let fields = json!({
            "application": application.id.as_str(),
            "by": by.name(),
            "requests": requests,
        });
        self.seal(change, now, "application_removed", fields)
            .await?;
        // From here on nothing is approved in it. Its sessions end in changes of a bounded size,
        // each with a line that names them.
        let whose = AllOf::Application(application.id.clone());
        let ended = Ended {
            sessions: self.revoke_all(&whose, by).await?.sessions,
            requests: requests.len(),
        };
        tracing::info!(application = application.id.as_str(), "application removed");
        Ok(ended)
    }

    async fn application_to_change(
        &self,
        id: &str,
    ) -> Result<(Change, Application), ApplicationError> {
        let not_found = || ApplicationError::NotFound(visible_line(id));
        let id = ApplicationId::parse(id).map_err(|_| not_found())?;
        let mut change = self.store.change().await?;
        let found = applications::live_application_in(&mut change, &id).await?;
        Ok((change, found.ok_or_else(not_found)?))
    }

    async fn staffed(&self, application: Application) -> Result<Staffed, ApplicationError> {
        let mut look = self.store.look().await?;
        let approvers = applications::approvers_in(&mut look, &application.id).await?;
        let client = applications::own_client_in(&mut look, &application.id).await?;
        Ok(Staffed {
            application,
            approvers,
            client,
        })
    }

    async fn fields(
        &self,
        change: &mut Change,
        by: &Actor,
        application: &Application,
    ) -> Result<Value, ApplicationError> {
        let mut fields = describe(&Staffed {
            application: application.clone(),
            approvers: applications::approvers_in(change, &application.id).await?,
            client: applications::own_client_in(change, &application.id).await?,
        });
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("by".to_owned(), json!(by.name()));
        }
        Ok(fields)
    }
}

/// An application as the API and the record write it.
pub(crate) fn describe(staffed: &Staffed) -> Value {
    let application = &staffed.application;
    json!({
        "application": application.id.as_str(),
        "name": application.name,
        "default_duration": application.default_duration.as_secs(),
        "max_duration": application.max_duration.as_secs(),
        "max_depth": application.max_depth,
        "allowed_tools": application.allowed_tools,
        "rules": application.rules,
        "approvers": staffed.approvers,
        "client_id": staffed.client.id,
        "redirect_uris": staffed.client.redirect_uris,
    })
}

/// Stricter than the profile: the id is typed, and stands in addresses.
fn parse_id(text: &str) -> Result<ApplicationId, ApplicationError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let dots = text.bytes().all(|b| b == b'.');
    if text.len() > MAX_ID_BYTES || dots || !text.bytes().all(plain) {
        return Err(ApplicationError::Id);
    }
    Ok(ApplicationId::parse(text)?)
}

fn apply(before: Application, wanted: &Wanted) -> Result<Application, ApplicationError> {
    let name = match &wanted.name {
        Some(name) => visible_line(name),
        None => before.name,
    };
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return Err(ApplicationError::Branding);
    }
    let default_duration = wanted.default_duration.unwrap_or(before.default_duration);
    let max_duration = wanted.max_duration.unwrap_or(before.max_duration);
    if default_duration.is_zero()
        || default_duration > max_duration
        || max_duration > LONGEST_SESSION
    {
        return Err(ApplicationError::Durations);
    }
    let max_depth = wanted.max_depth.unwrap_or(before.max_depth);
    if max_depth > MAX_DEPTH {
        return Err(ApplicationError::Depth);
    }
    let allowed_tools = match &wanted.allowed_tools {
        Some(tools) => tools.clone(),
        None => before.allowed_tools,
    };
    if allowed_tools
        .as_ref()
        .is_some_and(|tools| tools.len() > MAX_PATTERNS)
    {
        return Err(ApplicationError::TooManyTools);
    }
    let rules = wanted.rules.clone().unwrap_or(before.rules);
    if rules.len() > MAX_RULES {
        return Err(ApplicationError::TooManyRules);
    }
    Ok(Application {
        id: before.id,
        name,
        default_duration,
        max_duration,
        max_depth,
        allowed_tools,
        rules,
    })
}

/// Says where the answers of an application's own client may go.
async fn set_redirects(
    change: &mut Change,
    application: &ApplicationId,
    texts: Option<&[String]>,
) -> Result<(), ApplicationError> {
    let Some(texts) = texts else { return Ok(()) };
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(ApplicationError::TooManyRedirects);
    }
    let read: Result<Vec<RedirectUri>, _> = texts.iter().map(|t| RedirectUri::parse(t)).collect();
    let read = read?;
    let uris: Vec<&str> = read.iter().map(RedirectUri::as_str).collect();
    Ok(applications::set_redirects(change, application, &uris).await?)
}

/// Says who decides for an application.
async fn staff(
    change: &mut Change,
    application: &ApplicationId,
    approvers: Option<&Approvers>,
) -> Result<(), ApplicationError> {
    let (add, remove) = match approvers {
        None => return Ok(()),
        Some(Approvers::Exactly(names)) => {
            applications::unassign_all(change, application).await?;
            (names, &BTreeSet::new())
        }
        Some(Approvers::Changed { add, remove }) => (add, remove),
    };
    for name in add {
        let not_one = || ApplicationError::NotAnApprover(visible_line(name));
        let account = account_named(change, name).await?.ok_or_else(not_one)?;
        if !account.roles.approver {
            return Err(not_one());
        }
        applications::assign(change, application.as_str(), &account.id).await?;
    }
    for name in remove {
        let not_one = || ApplicationError::NotAnApprover(visible_line(name));
        let account = account_named(change, name).await?.ok_or_else(not_one)?;
        applications::unassign(change, application, &account.id).await?;
    }
    Ok(())
}

async fn account_named(change: &mut Change, name: &str) -> Result<Option<Account>, StoreError> {
    match Principal::parse(name) {
        Ok(name) => accounts::account_in(change, &name).await,
        Err(_) => Ok(None),
    }
}
