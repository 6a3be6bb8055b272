//! Deciding a request: approve or deny, once.
//!
//! The decision is bound to the digest of what was shown and to the state the request was
//! in; the swap in the store makes sure that of many decisions one counts.

mod conditions;
mod confirming;
mod error;
mod outlook;

use bailiwick_datalog::{Principal, SessionId, Timestamp};
use serde_json::{Value, json};

use self::{conditions::Conditions, error::MAX_WORDS};
use crate::{
    access_request::{AccessRequest, RequestDigest, ToolScope, exact_call},
    asking::Unfit,
    core::{Core, Unavailable},
    ids::fresh_id,
    narrowing::{Choice, Granted, narrow},
    notify::Occasion,
    people::{Authority, authorities},
    store::{
        Account, Change, Decider, NewFirstApproval, NewSession, RequestState, StoredRequest,
        first_approvals, prompts, requests, sessions,
    },
    text::visible_paragraphs,
};

pub(crate) use error::DecisionError;
pub(crate) use outlook::Outlook;

/// Whether a request can still be decided at `now`.
///
/// # Errors
/// [`DecisionError::AlreadyApproved`], [`DecisionError::AlreadyDenied`] or
/// [`DecisionError::Expired`].
pub(crate) fn check_open(request: &StoredRequest, now: Timestamp) -> Result<(), DecisionError> {
    match request.state {
        RequestState::Approved => Err(DecisionError::AlreadyApproved),
        RequestState::Denied => Err(DecisionError::AlreadyDenied),
        RequestState::Pending if now >= request.expires_at => Err(DecisionError::Expired),
        RequestState::Pending => Ok(()),
    }
}

impl Core {
    /// Grants what the approver chose out of the request that was shown. The session runs
    /// from this moment, unless the application wants a second person's word: then this is the
    /// first, and the request goes on waiting.
    ///
    /// # Errors
    /// [`DecisionError`].
    pub(crate) async fn approve(
        &self,
        approver: &Account,
        approving: &Approving<'_>,
    ) -> Result<(), DecisionError> {
        let Deciding { id, shown, .. } = approving.deciding;
        let now = self.clock.now().utc;
        let mut examined = self.examine(approver, approving, now).await?;
        let passkey = match self.confirmed(&mut examined, approving, now).await {
            Err(DecisionError::Passkey(refused)) => {
                return Err(self.touch_refused(examined, id, refused, now).await);
            }
            passkey => passkey?,
        };
        let Examined {
            request,
            granted,
            change,
            conditions,
            instructions,
        } = examined;
        let approval = Approval {
            id,
            shown,
            request: &request,
            granted: &granted,
            instructions: instructions.or_else(|| conditions.words_of_first()),
            conditions: &conditions,
            passkey: passkey.map(|passkey| passkey.id),
            now,
        };
        if conditions.needs_another {
            return self.record_first(change, &approval).await;
        }
        self.record_approval(change, &approval).await
    }

    /// What approving would grant: all that it checks, and nothing is changed.
    ///
    /// # Errors
    /// [`DecisionError`], as approving would answer.
    pub(crate) async fn rehearse(
        &self,
        approver: &Account,
        approving: &Approving<'_>,
    ) -> Result<Granted, DecisionError> {
        let now = self.clock.now().utc;
        let examined = self.examine(approver, approving, now).await?;
        Ok(examined.granted)
    }

    async fn examine(
        &self,
        approver: &Account,
        approving: &Approving<'_>,
        now: Timestamp,
    ) -> Result<Examined, DecisionError> {
        let Deciding { id, shown, behalf } = approving.deciding;
        let request = self.open_request(id, shown, now).await?;
        let granted = narrow(&request.request, approving.choice)?;
        self.check_picked(&request.request, &granted).await?;
        let instructions = words(approving.instructions)?;

        let mut change = self.store.change().await?;
        let asked = &request.request;
        let all = authorities(&mut change, approver, &asked.application, now).await?;
        let authority = on_behalf_of(all, behalf)?;
        let conditions =
            conditions::check(&mut change, id, asked, &granted, authority, now).await?;
        Ok(Examined {
            request,
            granted,
            change,
            conditions,
            instructions,
        })
    }

    async fn record_first(
        &self,
        mut change: Change,
        approval: &Approval<'_>,
    ) -> Result<(), DecisionError> {
        let (id, now, authority) = (approval.id, approval.now, &approval.conditions.authority);
        if !requests::is_open(&mut change, id, approval.shown, now).await? {
            drop(change);
            return Err(self.why_not_open(id, now).await);
        }
        let details = approval.details();
        let behalf = authority.on_behalf_of.as_ref();
        first_approvals::insert(
            &mut change,
            &NewFirstApproval {
                request: id,
                account: &authority.account.id,
                on_behalf_of: behalf.map(|account| account.id.as_str()),
                granted_json: &details.to_string(),
                instructions: approval.instructions.as_deref(),
                passkey: approval.passkey.as_deref(),
                approved_at: now,
            },
        )
        .await?;
        let request = approval.request;
        let (what, times) = ((id, &request.request), (now, request.expires_at));
        self.announce(&mut change, Occasion::WaitingForSecond, what, times)
            .await?;
        let by = authority.account.user_name.as_str();
        let fields = json!({
            "approval": id,
            "by": by,
            "on_behalf_of": authority.behalf(),
            "void_first_approval_by": approval.void_first(),
            "passkey": approval.passkey,
            "request_digest": approval.shown.to_hex(),
            "granted": details,
            "exact_calls": exact_call::digests(&approval.granted.tools),
        });
        self.seal(change, now, "request_approved_once", fields)
            .await?;
        tracing::info!(approval = id, by, "request approved by the first of two");
        Ok(())
    }

    async fn record_approval(
        &self,
        mut change: Change,
        approval: &Approval<'_>,
    ) -> Result<(), DecisionError> {
        let (id, now, conditions) = (approval.id, approval.now, approval.conditions);
        let session = self
            .approved_session(approval.request, approval.granted, now)
            .await?;
        let decider = approval.decider();
        if !requests::swap_to_approved(&mut change, id, approval.shown, decider, now).await? {
            drop(change);
            return Err(self.why_not_open(id, now).await);
        }
        let details = approval.details();
        sessions::insert_session(
            &mut change,
            &NewSession {
                id: &session.id,
                request_id: id,
                application: &approval.request.request.application,
                agent: &approval.request.request.agent,
                principal: conditions.principal(),
                granted_json: &details.to_string(),
                instructions: approval.instructions.as_deref(),
                approved_at: now,
                expires_at: session.expires_at,
            },
        )
        .await?;
        let first = conditions.first.as_ref();
        let fields = json!({
            "approval": id,
            "session": session.id.as_str(),
            "by": decider.user_name,
            "principal": conditions.principal().as_str(),
            "on_behalf_of": decider.on_behalf_of,
            "after": first.map(|first| first.user_name.as_str()),
            "void_first_approval_by": approval.void_first(),
            "passkey": approval.passkey,
            "agent": approval.request.request.agent.as_str(),
            "request_digest": approval.shown.to_hex(),
            "granted": details,
            "exact_calls": exact_call::digests(&approval.granted.tools),
            "expires_at": session.expires_at.to_rfc3339(),
        });
        self.seal(change, now, "request_approved", fields).await?;
        let (session, by) = (session.id, decider.user_name);
        tracing::info!(
            approval = id,
            session = session.as_str(),
            by,
            "request approved"
        );
        Ok(())
    }

    /// Refuses the request that was shown, with an optional reason for the agent.
    ///
    /// # Errors
    /// [`DecisionError`].
    pub(crate) async fn deny(
        &self,
        approver: &Account,
        deciding: Deciding<'_>,
        reason: &str,
    ) -> Result<(), DecisionError> {
        let Deciding { id, shown, behalf } = deciding;
        let now = self.clock.now().utc;
        let request = self.open_request(id, shown, now).await?;
        let reason = words(reason)?;
        let mut change = self.store.change().await?;
        let application = &request.request.application;
        let all = authorities(&mut change, approver, application, now).await?;
        let authority = on_behalf_of(all, behalf)?;
        let decider = Decider::of(&authority);
        let by = decider.user_name;
        let swapped =
            requests::swap_to_denied(&mut change, id, shown, decider, reason.as_deref(), now)
                .await?;
        if !swapped {
            drop(change);
            return Err(self.why_not_open(id, now).await);
        }
        prompts::note_denied(&mut change, id, now).await?;
        let fields = json!({
            "approval": id,
            "by": by,
            "on_behalf_of": decider.on_behalf_of,
            "agent": request.request.agent.as_str(),
            "request_digest": shown.to_hex(),
            "reason": reason,
        });
        self.seal(change, now, "request_denied", fields).await?;
        tracing::info!(approval = id, by, "request denied");
        Ok(())
    }

    /// A request as somebody may see it.
    ///
    /// # Errors
    /// [`DecisionError::NotFound`] or [`DecisionError::Unavailable`].
    pub(crate) async fn seen_request(
        &self,
        account: &Account,
        id: &str,
    ) -> Result<StoredRequest, DecisionError> {
        let request = self.store.request(id).await?;
        let request = request.ok_or(DecisionError::NotFound)?;
        let application = &request.request.application;
        if self.sight(account).await?.covers(application) {
            Ok(request)
        } else {
            Err(DecisionError::NotFound)
        }
    }

    async fn open_request(
        &self,
        id: &str,
        shown: RequestDigest,
        now: Timestamp,
    ) -> Result<StoredRequest, DecisionError> {
        let request = self
            .store
            .request(id)
            .await?
            .ok_or(DecisionError::NotFound)?;
        check_open(&request, now)?;
        if request.digest == shown {
            Ok(request)
        } else {
            Err(DecisionError::NotWhatWasShown)
        }
    }

    /// Of what was only offered, whatever was picked has to fit a token; what was asked for was
    /// tried when it was asked.
    async fn check_picked(
        &self,
        request: &AccessRequest,
        granted: &Granted,
    ) -> Result<(), DecisionError> {
        let application = self.application(&request.application).await?;
        let tools: Vec<&ToolScope> = granted.tools.iter().collect();
        let fits = self.check_fits(request, &tools, &application, self.clock.now());
        fits.map_err(|unfit| match unfit {
            Unfit::TooLarge(why) => DecisionError::TooLarge(why),
            Unfit::Unavailable(cause) => cause.into(),
        })
    }

    /// Says who was faster.
    async fn why_not_open(&self, id: &str, now: Timestamp) -> DecisionError {
        match self.store.request(id).await {
            Ok(Some(request)) => match check_open(&request, now) {
                Ok(()) => DecisionError::NotWhatWasShown,
                Err(why) => why,
            },
            Ok(None) => DecisionError::NotFound,
            Err(error) => error.into(),
        }
    }

    async fn approved_session(
        &self,
        request: &StoredRequest,
        granted: &Granted,
        now: Timestamp,
    ) -> Result<ApprovedSession, DecisionError> {
        let id = SessionId::parse(fresh_id("ses", &self.entropy))
            .map_err(|e| Unavailable::Internal(e.to_string()))?;
        let application = self.application(&request.request.application).await?;
        let duration = granted.duration.min(application.max_duration);
        let expires_at = now
            .checked_add(duration)
            .ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;
        Ok(ApprovedSession { id, expires_at })
    }
}

/// Which request is decided, as it was shown, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deciding<'a> {
    pub(crate) id: &'a str,
    pub(crate) shown: RequestDigest,
    /// The absent approver, by user name, as the page said; `None` for oneself.
    pub(crate) behalf: Option<&'a str>,
}

/// What an approver sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Approving<'a> {
    pub(crate) deciding: Deciding<'a>,
    pub(crate) choice: &'a Choice,
    pub(crate) instructions: &'a str,
    /// The answer of a passkey that was touched for this approval.
    pub(crate) touch: Option<&'a str>,
}

/// What an approval would be, before anything is changed.
struct Examined {
    request: StoredRequest,
    granted: Granted,
    change: Change,
    conditions: Conditions,
    instructions: Option<String>,
}

/// The authority that the page named. Another one that there may be by now is not taken instead.
///
/// # Errors
/// [`DecisionError::OtherAuthority`] when it is there no more.
fn on_behalf_of(all: Vec<Authority>, named: Option<&str>) -> Result<Authority, DecisionError> {
    let found = all.into_iter().find(|one| one.behalf() == named);
    found.ok_or(DecisionError::OtherAuthority)
}

/// An approval that nothing is in the way of.
struct Approval<'a> {
    id: &'a str,
    shown: RequestDigest,
    request: &'a StoredRequest,
    granted: &'a Granted,
    instructions: Option<String>,
    conditions: &'a Conditions,
    /// The passkey that confirmed it, by id.
    passkey: Option<String>,
    now: Timestamp,
}

impl Approval<'_> {
    fn details(&self) -> Value {
        self.granted.authorization_details(&self.request.request)
    }

    fn decider(&self) -> Decider<'_> {
        Decider::of(&self.conditions.authority)
    }

    /// Who gave a first approval that counts no more.
    fn void_first(&self) -> Option<&str> {
        self.conditions.void_first.as_ref().map(Principal::as_str)
    }
}

struct ApprovedSession {
    id: SessionId,
    expires_at: Timestamp,
}

fn words(text: &str) -> Result<Option<String>, DecisionError> {
    let text = visible_paragraphs(text);
    let length = text.chars().count();
    if length > MAX_WORDS {
        return Err(DecisionError::TooManyWords { length });
    }
    Ok((!text.is_empty()).then_some(text))
}
