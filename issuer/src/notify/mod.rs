//! Telling approvers that a request waits for them: by webhook and by mail.
//!
//! What is to be told is stored in the change that it tells of, so that neither a restart nor a
//! receiver that is away loses it, and sent afterwards until it is taken or the request expires.
//! It says which request waits and where its page is; a token, a code or a secret is never in it.
//! The places are the operator's choice and never an agent's. An agent that asks very often is
//! announced no more: its line in the list says so.

mod mail;
mod webhook;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bailiwick_datalog::{ApplicationId, Timestamp};
use futures_util::future::join_all;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    access_request::AccessRequest,
    core::{Core, Unavailable},
    fatigue::{AgentKey, PROMPTS_AN_HOUR},
    ids::fresh_id,
    oauth::client::Identity,
    store::{Change, Notification, StoreError, notifications, prompts},
};

pub use mail::{MailSecurity, MailTarget};
pub use webhook::{WebhookSecret, WebhookTarget};

/// Most things that wait for one place.
const MAX_WAITING: i64 = 1_000;
/// Most sent at once.
const AT_ONCE: i64 = 16;
/// How long one attempt may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Until the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause between two.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often the task looks for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A place that is told when requests wait.
#[derive(Clone, Debug)]
pub enum NotifyTarget {
    /// An HTTP endpoint.
    Webhook(WebhookTarget),
    /// Mailboxes.
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

/// Why something was not delivered this time.
#[derive(Debug, Error)]
#[error("{0}")]
struct Undelivered(String);

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
        let places = targets.into_iter().map(|target| match target {
            NotifyTarget::Webhook(target) => Ok(Place {
                name: target.name(),
                applications: target.applications.clone(),
                sender: Sender::Webhook(webhook::Webhook::new(target)?),
            }),
            NotifyTarget::Mail(target) => Ok(Place {
                name: format!("mail {}", target.to.join(" ")),
                applications: target.applications.clone(),
                sender: Sender::Mail(Box::new(mail::Mail::new(target)?)),
            }),
        });
        let places = places.collect::<Result<Vec<Place>, NotifyError>>()?;
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
        let agent = AgentKey::of(request);
        let lately = prompts::asked_lately(change, agent, now).await?;
        // Whoever else asks under that name has no first approval to show for it.
        if occasion == Occasion::Waiting && lately > PROMPTS_AN_HOUR {
            return Ok(());
        }
        let page = self.settings.site.url(&format!("/approvals/{id}"));
        let body = body(occasion, id, request, &page, now, expires_at).to_string();
        for place in places {
            let new = Notification {
                id: fresh_id("msg", &self.entropy),
                target: place.name.clone(),
                body: body.clone(),
                attempts: 0,
                expires_at,
            };
            if !notifications::insert(change, &new, now, MAX_WAITING).await? {
                tracing::warn!(
                    target = place.name,
                    approval = id,
                    "too much waits to be told"
                );
            }
        }
        Ok(())
    }

    /// Sends what is due now, and says how much of it was taken.
    ///
    /// # Errors
    /// [`Unavailable`] when the store does not answer.
    pub(crate) async fn deliver_due(&self) -> Result<usize, Unavailable> {
        if !self.store.has_notifications().await? {
            return Ok(0);
        }
        let now = self.clock.now().utc;
        let due = self.store.due_notifications(now, AT_ONCE).await?;
        let sent = join_all(due.iter().map(|one| self.deliver(one, now))).await;
        let mut taken = 0_usize;
        let mut noted = Ok(());
        for (one, sent) in due.iter().zip(sent) {
            // What was taken is noted whatever became of the note before.
            let note = match sent {
                Ok(()) => {
                    taken = taken.saturating_add(1);
                    self.store.forget_notification(&one.id).await
                }
                Err(cause) => {
                    tracing::warn!(target = one.target, %cause, "an approver was not told");
                    let next = now.checked_add(pause_after(one.attempts));
                    let next = next.unwrap_or(one.expires_at);
                    self.store.postpone_notification(&one.id, next).await
                }
            };
            noted = noted.and(note);
        }
        noted?;
        Ok(taken)
    }

    async fn deliver(&self, one: &Notification, now: Timestamp) -> Result<(), Undelivered> {
        let place = self.places.0.iter().find(|place| place.name == one.target);
        let place = place.ok_or_else(|| Undelivered("nobody is told there any more".to_owned()))?;
        let sending = async {
            match &place.sender {
                Sender::Webhook(webhook) => webhook.send(&one.id, &one.body, now).await,
                Sender::Mail(mail) => mail.send(&one.id, &one.body).await,
            }
        };
        let sent = tokio::time::timeout(DEADLINE, sending).await;
        sent.unwrap_or_else(|_| Err(Undelivered("it takes too long".to_owned())))
    }
}

/// Sends what is due until `stop`, and then has open pages end.
pub(crate) async fn run(core: Arc<Core>, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        // What is cut off half-way is sent again after the next start.
        let work = async {
            if let Err(cause) = core.deliver_due().await {
                tracing::error!(%cause, "approvers could not be told");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = work => {}
        }
    }
    core.pulse.end();
}

/// Twice as long after each attempt.
fn pause_after(attempts: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempts);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 4, 40].map(|attempts| pause_after(attempts).as_secs());
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    }
}
