//! The budget of an evaluation, counted in steps and never in time.

use serde::Serialize;
use thiserror::Error;

/// Steps that the policy may take for one call, with all its resources. A step tries one fact,
/// runs one operation, looks at one item of a list, set or map, or reads 64 bytes of text. That is
/// a few milliseconds at most; a policy of a hundred rules takes a hundredth of it.
pub const MAX_STEPS: u64 = 200_000;

/// Bytes of text that cost one step.
const BYTES_PER_STEP: usize = 64;

/// What is left of a budget.
#[derive(Clone, Debug)]
pub struct Steps {
    left: u64,
    limit: u64,
}

impl Default for Steps {
    fn default() -> Self {
        Self::of(MAX_STEPS)
    }
}

impl Steps {
    /// A budget of so many steps.
    #[must_use]
    pub const fn of(limit: u64) -> Self {
        Self { left: limit, limit }
    }

    /// How many steps were taken.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.limit.saturating_sub(self.left)
    }

    /// How many steps there were at first.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn take(&mut self, count: usize) -> Result<(), Failure> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Failure::Budget)
            }
        }
    }

    /// The steps for reading so many bytes; few bytes cost nothing beside what reads them.
    pub(super) fn take_for_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.take(bytes / BYTES_PER_STEP)
    }
}

/// Why an evaluation came to no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Budget,
    Error(EvaluationError),
}

/// What went wrong in an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationError {
    /// An operator met a value of a type it does not take.
    #[error("a value has another type than the operator takes")]
    WrongType,
    /// The result has more than 64 bits.
    #[error("the result of the arithmetic is too large")]
    Overflow,
    /// A division by zero, or one whose result has more than 64 bits.
    #[error("a division has no result")]
    Division,
    /// The policy looked at an argument that is null, a number with a fraction, an integer beyond
    /// 64 bits, or holds one: nothing can be said of its value.
    #[error("the argument is null or a number that is not a 64-bit integer")]
    Unrepresentable,
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        Self::Error(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_as_there_are_can_be_taken_and_one_more_spends_the_budget() {
        let mut steps = Steps::of(3);
        assert_eq!(steps.take(3), Ok(()));
        assert_eq!((steps.taken(), steps.limit()), (3, 3));
        let mut steps = Steps::of(3);
        assert_eq!(steps.take(4), Err(Failure::Budget));
        assert_eq!(steps.taken(), 3, "what is left after that is nothing");
        assert_eq!(steps.take(1), Err(Failure::Budget));
    }
}
