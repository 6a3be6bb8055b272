//! What can be wrong with a policy's text: one code for each kind of problem.
//!
//! The codes are a public contract; `OPERATOR_POLICY.md` documents each, and a test holds the
//! table and that document together.

use std::{fmt, ops::Range};

use serde::Serialize;
use thiserror::Error;

/// Every code, with what it says, in the order of the reference document.
pub const PROBLEM_CODES: [(&str, &str); 24] = [
    ("too_large", "the file is longer than a policy may be"),
    ("empty_policy", "the file holds no rule at all"),
    ("syntax_error", "the text is not Biscuit 3.3 Datalog"),
    (
        "unsupported",
        "`trusting`, external functions and parameters have no place in a policy",
    ),
    ("too_many_rules", "more rules than a policy may hold"),
    (
        "too_deep",
        "brackets, negations or operators nested too deeply",
    ),
    ("unknown_fact", "no fact of this name is ever there"),
    (
        "reserved_fact",
        "a fact of the token or the request, which no policy may define",
    ),
    ("wrong_arity", "a fact with too few or too many values"),
    (
        "wrong_type",
        "a value of another type than the fact or the operator takes",
    ),
    (
        "impossible_value",
        "a value that the fact can't have, such as a misspelt access",
    ),
    ("unbound_variable", "a variable that no fact gives a value"),
    (
        "shadowed_variable",
        "a closure's parameter that already is a variable",
    ),
    (
        "too_many_variables",
        "more variables than one rule body may hold",
    ),
    (
        "invalid_regex",
        "not a regular expression, or too large a one",
    ),
    (
        "unanchored_regex",
        "a regular expression that also matches inside other text",
    ),
    (
        "dynamic_regex",
        "a regular expression that is not written out in the policy",
    ),
    (
        "contradiction",
        "conditions that can't hold together, or one that never holds",
    ),
    (
        "reject_any",
        "`reject if` with alternatives, which would refuse only what matches all of them",
    ),
    ("conflicting_rules", "`allow` and `deny` of the very same"),
    (
        "unreachable_rule",
        "a rule that never decides, since an earlier one always does",
    ),
    ("unused_fact", "a fact that no rule reads"),
    ("recursive_rule", "a rule that rests on its own result"),
    (
        "join_too_wide",
        "a rule body that would combine too many facts",
    ),
];

/// One problem in a policy's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable name of the kind of problem, one of [`PROBLEM_CODES`] or, for a warning, of
    /// [`WARNING_CODES`].
    pub code: &'static str,
    /// The problem in plain words: one line, foreign text escaped and cut.
    pub message: String,
    /// Where it is, in bytes of the text.
    pub span: Range<usize>,
    /// What to write instead, if that is known.
    pub help: Option<String>,
}

/// Every code of a warning: the policy means what it says, but perhaps not what was wanted.
pub const WARNING_CODES: [(&str, &str); 6] = [
    ("always_true", "a condition that always holds"),
    (
        "deny_after_allow",
        "a `deny if` after an `allow if`, which may let through what it is to refuse",
    ),
    (
        "open_host_suffix",
        "a host suffix without its dot, which other domains end with too",
    ),
    (
        "open_host_part",
        "a comparison with the beginning or the middle of a host, which other domains have too",
    ),
    (
        "line_break",
        "a regular expression whose `.` stops at a line break, which arguments and tasks may hold",
    ),
    (
        "unused_variable",
        "a fact that is always there, with a variable that nothing else reads",
    ),
];

impl Problem {
    pub(super) fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            span,
            help: None,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn with_help_if(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at byte {}: {}",
            self.code, self.span.start, self.message
        )?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Most problems that are reported of one text.
pub const MAX_PROBLEMS: usize = 100;

/// Why a text is not a policy: every problem that was found, in the order of the text, but no more
/// than [`MAX_PROBLEMS`].
///
/// INVARIANT: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", listed(.0))]
pub struct PolicyErrors(Vec<Problem>);

impl PolicyErrors {
    /// `None` when there is no problem.
    pub(super) fn of(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        problems.truncate(MAX_PROBLEMS);
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// A text without a problem that could not be compiled: never seen, and never allowed.
    pub(super) fn internal() -> Self {
        let message = "the policy can't be compiled";
        Self(vec![Problem::new("syntax_error", 0..0, message)])
    }

    /// The problems, at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("; ")
}

/// The one of `known` that a misspelt `word` most likely means: at most a third of its letters
/// wrong.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let length = word.chars().count();
    let most = length.div_ceil(3);
    known
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= most)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance > 0 && *distance <= most)
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Levenshtein distance in characters; words beyond 64 characters are far from everything.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (right, (diagonal, above)) in b.iter().zip(row.iter().zip(row.iter().skip(1))) {
            let change = diagonal.saturating_add(usize::from(left != right));
            let beside = next.last().copied().unwrap_or(usize::MAX);
            let insert_or_remove = beside.min(*above).saturating_add(1);
            next.push(change.min(insert_or_remove));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_and_never_the_word_itself() {
        let known = ["application", "approval", "tool"];
        assert_eq!(
            did_you_mean("aplication", known),
            Some("did you mean `application`?".to_owned())
        );
        assert_eq!(
            did_you_mean("tol", known),
            Some("did you mean `tool`?".to_owned())
        );
        assert_eq!(did_you_mean("weather", known), None);
        assert_eq!(did_you_mean("tool", ["tool"]), None);
        assert_eq!(did_you_mean(&"a".repeat(65), [&*"a".repeat(64)]), None);
    }

    #[test]
    fn codes_are_distinct() {
        let codes = PROBLEM_CODES.iter().chain(&WARNING_CODES);
        let mut codes: Vec<_> = codes.map(|(code, _)| code).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
