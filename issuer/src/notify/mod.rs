//! Telling approvers that a request waits for them: by webhook and by mail.
//!
//! What is to be told is stored in the change that it tells of, so that neither a restart nor a
//! receiver that is away loses it, and sent afterwards ([`delivery`]) until it is taken, the request
//! is decided or it expires. It says which request waits and where its page is; a token, a code or
//! a secret is never in it. The places are the operator's choice and never an agent's.
//!
//! Requests of an agent that asks very often are told of together, once a minute at most, and never
//! passed over: a name that anybody can claim would otherwise let anybody silence anybody.

mod delivery;
mod mail;
mod webhook;

use std::{collections::BTreeSet, time::Duration};

use bailiwick_datalog::{ApplicationId, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::AccessRequest,
    core::Core,
    fatigue::{AgentKey, PROMPTS_AN_HOUR},
    ids::fresh_id,
    oauth::client::Identity,
    store::{Change, NewNotification, StoreError, notifications, prompts},
};

pub(crate) use delivery::run;
pub use mail::{MailSecurity, MailTarget};
pub use webhook::{WebhookSecret, WebhookTarget};

/// Most things that wait for one place.
const MAX_WAITING: i64 = 1_000;
/// How long one attempt may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long requests are gathered that are told of together.
const GATHER: Duration = Duration::from_secs(60);

/// What is told of many requests together.
const FOLDED: &str = "access_requests.waiting";

/// A place that is told when requests wait.
#[derive(Clone, Debug)]
pub enum NotifyTarget {
    /// An HTTP endpoint.
    Webhook(WebhookTarget),
    /// Mailboxes, each told by itself.
    Mail(MailTarget),
}

/// A place that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotifyError(String);

impl NotifyError {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Why something was not delivered.
#[derive(Debug, Error)]
enum Undelivered {
    /// Another attempt may do better.
    #[error("{0}")]
    Later(String),
    /// None will: the receiver said so, or what was configured does not fit it.
    #[error("{0}")]
    Never(String),
}

enum Sender {
    Webhook(webhook::Webhook),
    Mail(Box<mail::Mail>),
}

struct Place {
    /// What the store knows it by: the same after a restart.
    name: String,
    /// Only what concerns these; empty: everything.
    applications: Vec<ApplicationId>,
    sender: Sender,
}

/// All places that are told.
#[derive(Default)]
pub(crate) struct Places(Vec<Place>);

impl Places {
    /// Checks what was configured.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub(crate) fn new(targets: Vec<NotifyTarget>) -> Result<Self, NotifyError> {
        let mut places = Vec::new();
        for target in targets {
            match target {
                NotifyTarget::Webhook(target) => places.push(Place {
                    name: target.name(),
                    applications: target.applications.clone(),
                    sender: Sender::Webhook(webhook::Webhook::new(target)?),
                }),
                NotifyTarget::Mail(target) => {
                    let applications = target.applications.clone();
                    let mailboxes = mail::Mail::to_each(target)?;
                    places.extend(mailboxes.into_iter().map(|mail| Place {
                        name: mail.name(),
                        applications: applications.clone(),
                        sender: Sender::Mail(Box::new(mail)),
                    }));
                }
            }
        }
        let mut names = BTreeSet::new();
        let twice = places.iter().find(|place| !names.insert(&place.name));
        match twice {
            Some(place) => Err(NotifyError::new(format!("{} is there twice", place.name))),
            None => Ok(Self(places)),
        }
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A request waits for an approver.
    Waiting,
    /// A first person has approved it, and it waits for a second.
    WaitingForSecond,
}

impl Occasion {
    fn kind(self) -> &'static str {
        match self {
            Self::Waiting => "access_request.waiting",
            Self::WaitingForSecond => "access_request.waiting_for_second",
        }
    }
}

impl Core {
    /// Has approvers told that a request waits, once the change is sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn announce(
        &self,
        change: &mut Change,
        occasion: Occasion,
        (id, request): (&str, &AccessRequest),
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let concerned = |place: &&Place| {
            place.applications.is_empty() || place.applications.contains(&request.application)
        };
        let mut places = self.places.0.iter().filter(concerned).peekable();
        if places.peek().is_none() {
            return Ok(());
        }
        let lately = prompts::asked_lately(change, AgentKey::of(request), now).await?;
        // Whoever else asks under that name has no first approval to show for it.
        let folded = occasion == Occasion::Waiting && lately > PROMPTS_AN_HOUR;
        let (body, next_at) = if folded {
            let list = self.settings.site.url("/approvals");
            let gathered = now.checked_add(GATHER).unwrap_or(now);
            (folded_body(request, &list, now), gathered)
        } else {
            let page = self.settings.site.url(&format!("/approvals/{id}"));
            (body(occasion, id, request, &page, now, expires_at), now)
        };
        if occasion == Occasion::WaitingForSecond {
            // It does not wait for a first one any more.
            notifications::forget_request(change, id, now).await?;
        }
        let body = body.to_string();
        for place in places {
            let new = NewNotification {
                id: &fresh_id("msg", &self.entropy),
                target: &place.name,
                body: &body,
                next_at,
                expires_at,
            };
            if folded {
                notifications::fold(change, &new, &request.application, now).await?;
            } else if !notifications::insert(change, &new, id, now, MAX_WAITING).await? {
                tracing::warn!(
                    target = place.name,
                    approval = id,
                    "too much waits to be told"
                );
            }
        }
        Ok(())
    }
}

fn body(
    occasion: Occasion,
    id: &str,
    request: &AccessRequest,
    page: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Value {
    let identity = request
        .requester
        .as_ref()
        .map(|requester| &requester.identity);
    let proved = match identity {
        Some(Identity::Proved { subject, .. }) => Some(subject.as_str()),
        Some(Identity::Claimed) | None => None,
    };
    let tools = request.tools.iter().map(
        |tool| json!({"name": tool.scope.name.as_str(), "access": tool.scope.access.as_str()}),
    );
    json!({
        "type": occasion.kind(),
        "timestamp": now.to_rfc3339(),
        "data": {
            "approval": id,
            "application": request.application.as_str(),
            "agent": request.agent.as_str(),
            "proved_identity": proved,
            "tools": tools.collect::<Vec<Value>>(),
            "url": page,
            "expires_at": expires_at.to_rfc3339(),
        },
    })
}

/// That requests wait which are not told of one by one.
fn folded_body(request: &AccessRequest, list: &str, now: Timestamp) -> Value {
    json!({
        "type": FOLDED,
        "timestamp": now.to_rfc3339(),
        "data": {"application": request.application.as_str(), "url": list},
    })
}
