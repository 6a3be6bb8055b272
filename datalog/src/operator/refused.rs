//! Why a policy does not allow a call.

use std::{fmt, sync::Arc};

use serde::Serialize;
use thiserror::Error;

use super::steps::EvaluationError;
use crate::words::visible;

/// A rule of a policy: where it stands and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRef {
    /// The line it begins on, from 1.
    pub line: usize,
    /// Its text.
    #[serde(serialize_with = "as_text")]
    pub text: Arc<str>,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// One line, safe to show: white space runs shown as one space.
impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        write!(f, "line {}: `{}`", self.line, visible(&words.join(" ")))
    }
}

/// A refusal. Exhaustive on purpose: whoever maps it handles every reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyRefused {
    /// A `deny if` matches before any `allow if` does.
    #[error("{0}")]
    DeniedByRule(RuleRef),
    /// A check does not hold.
    #[error("{0}")]
    CheckFailed(RuleRef),
    /// The policy has `allow if` rules, and none matches.
    #[error("no `allow if` of the policy matches")]
    NothingAllowed,
    /// The evaluation came to no answer.
    #[error("{}", failed(rule.as_ref(), what))]
    EvaluationFailed {
        /// The rule; unknown where the engine ran the whole policy.
        rule: Option<RuleRef>,
        /// What went wrong.
        what: String,
    },
    /// The budget was spent before there was an answer.
    #[error("the policy took more than {limit} steps")]
    BudgetExhausted {
        /// How many steps there were.
        limit: u64,
    },
}

impl PolicyRefused {
    pub(super) fn error(rule: &RuleRef, error: EvaluationError) -> Self {
        Self::EvaluationFailed {
            rule: Some(rule.clone()),
            what: error.to_string(),
        }
    }
}

fn failed(rule: Option<&RuleRef>, what: &str) -> String {
    match rule {
        Some(rule) => format!("{rule} failed: {what}"),
        None => format!("the evaluation failed: {what}"),
    }
}
