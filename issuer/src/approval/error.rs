//! Why a decision was not taken.

use bailiwick_datalog::ToolName;
use thiserror::Error;

use crate::{
    core::Unavailable,
    narrowing::NarrowingError,
    passkeys::PasskeyError,
    people::{AuthorityError, Beyond},
    store,
};

/// Longest instructions or reason, in characters.
pub(super) const MAX_WORDS: usize = 2_000;

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
    /// The authority that the page named is not theirs, or not any more.
    #[error("you do not decide this for whom the page said; open it again")]
    OtherAuthority,
    /// The application does not use the tool any more.
    #[error("tool `{0}` is not among those of this application any more")]
    ToolNotAllowed(ToolName),
    /// More than this approver may grant.
    #[error("beyond what you may grant: {}; narrow it, or leave it to somebody who may", list(.0))]
    BeyondCeiling(Vec<Beyond>),
    /// The one who asks would approve.
    #[error("this account asked for this itself; somebody else has to approve it")]
    SelfApproval,
    /// The one who asks may be the workload that would approve.
    #[error(
        "nobody has proved who asks for this, and it could be the workload of this account; an account that is no workload's has to approve it"
    )]
    MaybeSelf,
    /// What a step-up builds on is over, or is somebody else's.
    #[error(
        "the session that this request adds to has ended or is somebody else's; go back to the program and have it ask again"
    )]
    HeldOver,
    /// A rule demands a touch that is not there.
    #[error(
        "a rule of the application demands that you touch a passkey for this approval; it takes script in the browser and a passkey that is registered on your account's page"
    )]
    PasskeyNeeded,
    /// The touch does not confirm this approval.
    #[error(transparent)]
    Passkey(PasskeyError),
    /// The first approver would be the second as well.
    #[error("you have approved this already; another person has to approve it as well")]
    SamePerson,
    /// The second approver would grant more than the first did.
    #[error("that is more than the first approver granted; the second may only narrow it")]
    WiderThanFirst,
    /// The application grants the tool for exact calls only.
    #[error(
        "here `{0}` is granted only for exact calls; deny it, so that the agent asks again with the \
         arguments of each call"
    )]
    NeedsExactCalls(ToolName),
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

impl From<PasskeyError> for DecisionError {
    fn from(error: PasskeyError) -> Self {
        match error {
            PasskeyError::Unavailable(cause) => cause.into(),
            refused => Self::Passkey(refused),
        }
    }
}

impl From<store::StoreError> for DecisionError {
    fn from(error: store::StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}
