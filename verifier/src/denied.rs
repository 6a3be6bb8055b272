//! Why a request was refused: one exhaustive list, one stable code for each reason.
//!
//! The codes are a public contract, used alike in HTTP, JSON-RPC `_meta`, logs, metrics and
//! audit; a renamed code is a breaking change. This module knows nothing of HTTP: each host maps
//! the reasons at its edge, by exhaustive match.

use std::time::Duration;

use bailiwick_datalog::{
    Access, ChainError, ResourcePath, Timestamp, ToolName, operator::PolicyRefused, plan::Refused,
    words::visible,
};
use thiserror::Error;

/// A refusal. Exhaustive on purpose: a new reason breaks every map until someone handles it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// Not a token, not in its canonical encoding, or not presented as one.
    #[error("the token can't be read: {what}")]
    MalformedToken {
        /// What is wrong.
        what: String,
    },
    /// The token has more bytes than a token may have.
    #[error("the token has {length} bytes, more than {limit}")]
    TokenTooLarge {
        /// Its length in bytes, or a lower bound of it.
        length: usize,
        /// The greatest length.
        limit: usize,
    },
    /// A block says something that the token profile does not allow.
    #[error("block {block} of the token is outside the token profile: {what}")]
    ProfileViolation {
        /// The block; 0 is the authority block.
        block: usize,
        /// What is not allowed.
        what: String,
    },
    /// A key of another algorithm than Ed25519.
    #[error("block {block} of the token uses another algorithm than Ed25519")]
    UnsupportedAlgorithm {
        /// The block.
        block: usize,
    },
    /// The root key is not named, unknown or no longer accepted.
    #[error("the token names no root key that this server accepts")]
    UnknownKey {
        /// The key it names.
        id: Option<u32>,
    },
    /// A signature, the proof or the seal does not verify.
    #[error("the token's signatures do not verify")]
    BadSignature,
    /// The session, or a narrowed part of it, has ended.
    #[error("the access ended at {expires_at}; it is {now}")]
    Expired {
        /// The moment of the decision.
        now: Timestamp,
        /// The first moment that is refused.
        expires_at: Timestamp,
        /// The block that sets the end.
        block: usize,
    },
    /// The token's time has not come.
    #[error("the token is not valid before {issued_at}; it is {now}")]
    NotYetValid {
        /// The moment of the decision.
        now: Timestamp,
        /// When it was issued.
        issued_at: Timestamp,
    },
    /// The token is for another server.
    #[error("the token is for another server")]
    WrongAudience {
        /// The block that names the other server.
        block: usize,
    },
    /// The session, or a part of the chain, was revoked.
    #[error("the access was revoked")]
    Revoked {
        /// The revoked block; 0 stands for the whole session.
        block: usize,
    },
    /// The revocation list is too old to rely on.
    #[error("this server has no fresh revocation list and refuses every call until it has")]
    RevocationStale {
        /// Age of the list, if there is one.
        age: Option<Duration>,
    },
    /// No grant has this tool with this access.
    #[error("the tool `{tool}` ({access}) was not granted")]
    ToolNotGranted {
        /// The tool called.
        tool: String,
        /// The access the call needs.
        access: Access,
    },
    /// The tool is granted, but not on this resource.
    #[error("the tool `{tool}` was not granted on `{resource}`")]
    ResourceNotGranted {
        /// The tool called.
        tool: String,
        /// The resource, made safe to show.
        resource: String,
    },
    /// A condition of a block does not hold.
    #[error("{}", caveat_failed(*block, delegate.as_deref(), condition))]
    CaveatFailed {
        /// The block that sets the condition; 0 is the issuer's.
        block: usize,
        /// The sub-agent that the block narrowed the token for.
        delegate: Option<String>,
        /// The condition, as the end of "the call …".
        condition: String,
    },
    /// The token was passed on more often than allowed.
    #[error("the token was delegated {depth} times, more than {most}")]
    DepthExceeded {
        /// Blocks after the authority block.
        depth: usize,
        /// How many there may be.
        most: i64,
        /// The block that sets the bound.
        block: usize,
    },
    /// The token is bound to a key and the call carries no proof.
    #[error("the token is bound to a key; the call must carry a DPoP proof by it")]
    HolderProofMissing,
    /// The proof does not prove possession for this call.
    #[error("the DPoP proof does not hold: {what}")]
    HolderProofInvalid {
        /// What is wrong.
        what: String,
    },
    /// The proof was used before.
    #[error("the DPoP proof was used before")]
    HolderProofReplayed,
    /// The policy refuses.
    #[error("refused by policy: {what}")]
    PolicyDenied {
        /// What the policy says.
        what: String,
    },
    /// The call needs an approval of its own.
    #[error("the call needs an approval: {what}")]
    ApprovalRequired {
        /// What needs approval.
        what: String,
    },
    /// The session's budget for such calls is used up, or that of the operator policy's evaluation.
    #[error("the budget is used up: {what}")]
    BudgetExhausted {
        /// Which budget.
        what: String,
    },
    /// So many holder proofs came in so short a time that this one cannot be told from a replay.
    /// The same call may pass once they are too old to be used again.
    #[error("{what}: more than {limit} within two minutes; try again later")]
    TooManyProofs {
        /// Whose proofs were counted.
        what: &'static str,
        /// How many are remembered.
        limit: usize,
    },
    /// A counted bound is passed.
    #[error("{what}: {count}, more than {limit}")]
    LimitExceeded {
        /// What was counted.
        what: String,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// What a host does about a [`Denied`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The token is not good for anything here: another one is needed (401).
    Token,
    /// Nothing can be said now: the same request may pass later (503).
    Unavailable,
    /// The token is good and does not allow this call (403, or a tool result that says so).
    Right,
}

impl Denied {
    /// Every code, in the order of the reasons.
    pub const ALL_CODES: [&'static str; 22] = [
        "malformed_token",
        "token_too_large",
        "profile_violation",
        "unsupported_algorithm",
        "unknown_key",
        "bad_signature",
        "expired",
        "not_yet_valid",
        "wrong_audience",
        "revoked",
        "revocation_stale",
        "tool_not_granted",
        "resource_not_granted",
        "caveat_failed",
        "depth_exceeded",
        "holder_proof_missing",
        "holder_proof_invalid",
        "holder_proof_replayed",
        "policy_denied",
        "approval_required",
        "budget_exhausted",
        "limit_exceeded",
    ];

    /// The reason's stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedToken { .. } => "malformed_token",
            Self::TokenTooLarge { .. } => "token_too_large",
            Self::ProfileViolation { .. } => "profile_violation",
            Self::UnsupportedAlgorithm { .. } => "unsupported_algorithm",
            Self::UnknownKey { .. } => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::WrongAudience { .. } => "wrong_audience",
            Self::Revoked { .. } => "revoked",
            Self::RevocationStale { .. } => "revocation_stale",
            Self::ToolNotGranted { .. } => "tool_not_granted",
            Self::ResourceNotGranted { .. } => "resource_not_granted",
            Self::CaveatFailed { .. } => "caveat_failed",
            Self::DepthExceeded { .. } => "depth_exceeded",
            Self::HolderProofMissing => "holder_proof_missing",
            Self::HolderProofInvalid { .. } => "holder_proof_invalid",
            Self::HolderProofReplayed => "holder_proof_replayed",
            Self::PolicyDenied { .. } => "policy_denied",
            Self::ApprovalRequired { .. } => "approval_required",
            Self::BudgetExhausted { .. } => "budget_exhausted",
            // A bound like the others, but one that time lifts.
            Self::TooManyProofs { .. } | Self::LimitExceeded { .. } => "limit_exceeded",
        }
    }

    /// The reason in plain words, safe to show: one line, foreign text escaped and cut.
    #[must_use]
    pub fn explanation(&self) -> String {
        self.to_string()
    }

    /// What a host does about the reason, wherever it came up.
    ///
    /// [`Denied::LimitExceeded`] counts as the token's: where the token was verified before, the
    /// limit can only be one of the call's, and [`Denied::disposition_of_call`] says so.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::MalformedToken { .. }
            | Self::TokenTooLarge { .. }
            | Self::ProfileViolation { .. }
            | Self::UnsupportedAlgorithm { .. }
            | Self::UnknownKey { .. }
            | Self::BadSignature
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::WrongAudience { .. }
            | Self::Revoked { .. }
            | Self::DepthExceeded { .. }
            | Self::HolderProofMissing
            | Self::HolderProofInvalid { .. }
            | Self::HolderProofReplayed
            | Self::LimitExceeded { .. } => Disposition::Token,
            Self::RevocationStale { .. } | Self::TooManyProofs { .. } => Disposition::Unavailable,
            Self::ToolNotGranted { .. }
            | Self::ResourceNotGranted { .. }
            | Self::CaveatFailed { .. }
            | Self::PolicyDenied { .. }
            | Self::ApprovalRequired { .. }
            | Self::BudgetExhausted { .. } => Disposition::Right,
        }
    }

    /// As [`Denied::disposition`], for a call by a token that was verified at the same moment.
    #[must_use]
    pub fn disposition_of_call(&self) -> Disposition {
        match self {
            Self::LimitExceeded { .. } => Disposition::Right,
            other => other.disposition(),
        }
    }

    /// True when an approval of the refused call could help: a right is missing, and nothing but
    /// the token's own limits stands against it.
    #[must_use]
    pub fn may_be_approved(&self) -> bool {
        matches!(
            self,
            Self::ToolNotGranted { .. }
                | Self::ResourceNotGranted { .. }
                | Self::CaveatFailed { .. }
                | Self::ApprovalRequired { .. }
        )
    }

    pub(crate) fn resource_not_granted(tool: &ToolName, resource: &ResourcePath) -> Self {
        Self::ResourceNotGranted {
            tool: tool.as_str().to_owned(),
            resource: visible(&resource.to_string()),
        }
    }

    /// The refusal of a call whose resource text is not a resource at all (profile rule 8): for
    /// hosts that read resources from strangers. `problem` is the canonicaliser's message.
    #[must_use]
    pub fn unreadable_resource(tool: &ToolName, text: &str, problem: &str) -> Self {
        Self::ResourceNotGranted {
            tool: tool.as_str().to_owned(),
            resource: format!("{} ({problem})", visible(text)),
        }
    }
}

impl From<ChainError> for Denied {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::TooLarge { length } => Self::TokenTooLarge {
                length,
                limit: bailiwick_datalog::token_text::MAX_TOKEN_BYTES,
            },
            ChainError::Malformed(what) => Self::MalformedToken {
                what: what.to_owned(),
            },
            ChainError::UnsupportedAlgorithm { block } => Self::UnsupportedAlgorithm { block },
            ChainError::NoRootKeyId => Self::UnknownKey { id: None },
            ChainError::BrokenSignature { .. } => Self::BadSignature,
            ChainError::LimitExceeded { what, count, limit } => Self::LimitExceeded {
                what: what.to_owned(),
                count,
                limit,
            },
            ChainError::Profile { block, what } => Self::ProfileViolation { block, what },
        }
    }
}

impl From<Refused<'_>> for Denied {
    fn from(refused: Refused<'_>) -> Self {
        match refused {
            Refused::Expired {
                now,
                expires_at,
                block,
            } => Self::Expired {
                now,
                expires_at,
                block,
            },
            Refused::NotYetValid { now, issued_at } => Self::NotYetValid { now, issued_at },
            Refused::WrongAudience { block } => Self::WrongAudience { block },
            Refused::DepthExceeded { depth, most, block } => {
                Self::DepthExceeded { depth, most, block }
            }
            Refused::LimitExceeded { what, count, limit } => Self::LimitExceeded {
                what: what.to_owned(),
                count,
                limit,
            },
            Refused::ToolNotGranted { tool, access } => Self::ToolNotGranted {
                tool: tool.as_str().to_owned(),
                access,
            },
            Refused::NoResource { tool } => Self::ResourceNotGranted {
                tool: tool.as_str().to_owned(),
                resource: "no resource".to_owned(),
            },
            Refused::ResourceNotGranted { tool, resource } => {
                Self::resource_not_granted(tool, resource)
            }
            Refused::CallNotApproved { tool } => Self::ApprovalRequired {
                what: format!(
                    "`{tool}` may be called only with the very arguments that were approved, and \
                     this is no such call"
                ),
            },
            Refused::CaveatFailed {
                block,
                delegate,
                caveat,
            } => Self::CaveatFailed {
                block,
                delegate: delegate.map(|name| name.as_str().to_owned()),
                condition: caveat.in_brief(),
            },
        }
    }
}

impl From<PolicyRefused> for Denied {
    fn from(refused: PolicyRefused) -> Self {
        let what = refused.to_string();
        match refused {
            PolicyRefused::DeniedByRule(_)
            | PolicyRefused::CheckFailed(_)
            | PolicyRefused::NothingAllowed
            | PolicyRefused::EvaluationFailed { .. } => Self::PolicyDenied { what },
            PolicyRefused::BudgetExhausted { .. } => Self::BudgetExhausted { what },
        }
    }
}

fn caveat_failed(block: usize, delegate: Option<&str>, condition: &str) -> String {
    match (block, delegate) {
        (0, _) => format!("as approved, the call {condition}"),
        (_, Some(name)) => {
            format!(
                "as the token was narrowed for `{}`, the call {condition}",
                visible(name)
            )
        }
        (block, None) => format!("as block {block} narrows the token, the call {condition}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_name_the_delegate_and_stay_on_one_line() {
        let denied = Denied::CaveatFailed {
            block: 2,
            delegate: Some("sub-7\n".to_owned()),
            condition: "must be on a resource under `files/reports`".to_owned(),
        };
        assert_eq!(
            denied.explanation(),
            "as the token was narrowed for `sub-7\\u{a}`, the call must be on a resource under \
             `files/reports`"
        );
    }

    #[test]
    fn an_approval_helps_where_only_the_token_lacks_a_right() {
        let text = || "x".to_owned();
        let (tool, resource) = (text(), text());
        for lacking in [
            Denied::ToolNotGranted {
                tool: text(),
                access: Access::Read,
            },
            Denied::ResourceNotGranted { tool, resource },
            Denied::CaveatFailed {
                block: 0,
                delegate: None,
                condition: text(),
            },
            Denied::ApprovalRequired { what: text() },
        ] {
            assert!(lacking.may_be_approved(), "{lacking}");
        }
        for other in [
            Denied::PolicyDenied { what: text() },
            Denied::BudgetExhausted { what: text() },
            Denied::HolderProofMissing,
            Denied::BadSignature,
        ] {
            assert!(!other.may_be_approved(), "{other}");
        }
    }

    #[test]
    fn codes_are_distinct() {
        let mut codes = Denied::ALL_CODES.to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Denied::ALL_CODES.len());
        assert!(codes.contains(&Denied::HolderProofMissing.code()));
    }
}
