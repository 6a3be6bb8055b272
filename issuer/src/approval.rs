//! Deciding a request: approve or deny, once.
//!
//! The decision is bound to the digest of what was shown and to the state the request was
//! in; the swap in the store makes sure that of many decisions one counts.

use bailiwick_datalog::{ApplicationId, SessionId, Timestamp, ToolName};
use serde_json::json;
use thiserror::Error;

use crate::{
    access_request::{AccessRequest, RequestDigest, Selection, ToolScope},
    asking::Unfit,
    core::{Core, Unavailable},
    ids::fresh_id,
    narrowing::{Choice, Granted, NarrowingError, narrow},
    people::{AuthorityError, Beyond, Sight, authority},
    store::{
        self, Account, Change, NewSession, RequestState, StoredRequest, applications, requests,
        sessions,
    },
    text::visible_paragraphs,
};

/// Longest instructions or reason, in characters.
const MAX_WORDS: usize = 2_000;

/// Why a decision was not taken. Nothing was changed.
#[derive(Debug, Error)]
pub(crate) enum DecisionError {
    /// There is no such request.
    #[error("there is no such request")]
    NotFound,
    /// It was approved before.
    #[error("this request was approved already")]
    AlreadyApproved,
    /// It was denied before.
    #[error("this request was denied already")]
    AlreadyDenied,
    /// It waited too long.
    #[error("this request expired before it was decided; the agent has to ask again")]
    Expired,
    /// The page shows another request than the one stored.
    #[error("this page does not show the request as it is stored; open it again")]
    NotWhatWasShown,
    /// Somebody else decides.
    #[error("you may look at this; it is for the approvers of its application to decide")]
    NotYours,
    /// The application does not use the tool any more.
    #[error("tool `{0}` is not among those of this application any more")]
    ToolNotAllowed(ToolName),
    /// More than this approver may grant.
    #[error("beyond what you may grant: {}; narrow it, or leave it to somebody who may", list(.0))]
    BeyondCeiling(Vec<Beyond>),
    /// The approver's choice cannot be granted.
    #[error(transparent)]
    Narrowing(#[from] NarrowingError),
    /// What was picked does not fit a token.
    #[error("this is more than fits a token: {0}")]
    TooLarge(String),
    /// The instructions or the reason are too long.
    #[error("the text has {length} characters, more than {MAX_WORDS}")]
    TooManyWords {
        /// How many.
        length: usize,
    },
    /// The decision could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// At most this many things are named in one message.
const MAX_NAMED: usize = 8;

fn list(beyond: &[Beyond]) -> String {
    let named: Vec<String> = beyond
        .iter()
        .take(MAX_NAMED)
        .map(Beyond::to_string)
        .collect();
    let more = beyond.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", named.join(", "))
}

impl From<AuthorityError> for DecisionError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Unseen => Self::NotFound,
            AuthorityError::NotYours => Self::NotYours,
            AuthorityError::Store(cause) => cause.into(),
        }
    }
}

impl From<store::StoreError> for DecisionError {
    fn from(error: store::StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

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
    /// from this moment.
    ///
    /// # Errors
    /// [`DecisionError`].
    pub(crate) async fn approve(
        &self,
        approver: &Account,
        id: &str,
        shown: RequestDigest,
        choice: &Choice,
        instructions: &str,
    ) -> Result<SessionId, DecisionError> {
        let now = self.clock.now().utc;
        let request = self.open_request(id, shown, now).await?;
        let granted = narrow(&request.request, choice)?;
        self.check_picked(&request.request, &granted).await?;
        let instructions = words(instructions)?;
        let session = self.approved_session(&request, &granted, now).await?;

        let mut change = self.store.change().await?;
        let application = &request.request.application;
        let authorized = authority(&mut change, approver, application).await?;
        check_tools(&mut change, application, &granted).await?;
        check_ceiling(&authorized, &granted)?;
        let by = approver.user_name.as_str();
        if !requests::swap_to_approved(&mut change, id, shown, by, now).await? {
            drop(change);
            return Err(self.why_not_open(id, now).await);
        }
        let details = granted.authorization_details(&request.request);
        sessions::insert_session(
            &mut change,
            &NewSession {
                id: &session.id,
                request_id: id,
                principal: &approver.user_name,
                granted_json: &details.to_string(),
                instructions: instructions.as_deref(),
                approved_at: now,
                expires_at: session.expires_at,
            },
        )
        .await?;
        let fields = json!({
            "approval": id,
            "session": session.id.as_str(),
            "by": by,
            "agent": request.request.agent.as_str(),
            "request_digest": shown.to_hex(),
            "granted": details,
            "expires_at": session.expires_at.to_rfc3339(),
        });
        self.seal(change, now, "request_approved", fields).await?;
        tracing::info!(
            approval = id,
            session = session.id.as_str(),
            by,
            "request approved"
        );
        Ok(session.id)
    }

    /// Refuses the request that was shown, with an optional reason for the agent.
    ///
    /// # Errors
    /// [`DecisionError`].
    pub(crate) async fn deny(
        &self,
        approver: &Account,
        id: &str,
        shown: RequestDigest,
        reason: &str,
    ) -> Result<(), DecisionError> {
        let now = self.clock.now().utc;
        let request = self.open_request(id, shown, now).await?;
        let reason = words(reason)?;
        let by = approver.user_name.as_str();
        let mut change = self.store.change().await?;
        authority(&mut change, approver, &request.request.application).await?;
        let swapped =
            requests::swap_to_denied(&mut change, id, shown, by, reason.as_deref(), now).await?;
        if !swapped {
            drop(change);
            return Err(self.why_not_open(id, now).await);
        }
        let fields = json!({
            "approval": id,
            "by": by,
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
        if self.store.sees(&Sight::of(account), application).await? {
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
        if request.selection == Selection::Asked {
            return Ok(());
        }
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

/// The application may have been narrowed since the request was made.
async fn check_tools(
    change: &mut Change,
    id: &ApplicationId,
    granted: &Granted,
) -> Result<(), DecisionError> {
    let application = applications::live_application_in(change, id).await?;
    let application = application.ok_or(DecisionError::NotFound)?;
    let names = granted.tools.iter().map(|scope| &scope.name);
    match names.into_iter().find(|name| !application.allows(name)) {
        Some(name) => Err(DecisionError::ToolNotAllowed(name.clone())),
        None => Ok(()),
    }
}

fn check_ceiling(approver: &Account, granted: &Granted) -> Result<(), DecisionError> {
    let beyond = approver.ceiling.beyond(granted);
    if beyond.is_empty() {
        return Ok(());
    }
    Err(DecisionError::BeyondCeiling(beyond))
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
