//! How a command ends: the exit code, and the failure that is reported with it.
//!
//! The six codes are part of the machine contract, so programs may rely on
//! them. This module owns the numbers and the shape of a failure; how one is
//! written for a person or a program is `output`'s business.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did what it was asked.
    Done,
    /// It could not: a server, a file or a token was not as needed.
    Failed,
    /// The command line was not understood.
    Usage,
    /// A policy, the token or the approver said no.
    Refused,
    /// Somebody has to sign in or approve first.
    ApprovalNeeded,
    /// Nobody decided in time.
    TimedOut,
}

impl Exit {
    /// The number the process ends with.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::ApprovalNeeded => 4,
            Self::TimedOut => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// An error with its causes in one line, outermost first.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text.push_str(": ");
        text.push_str(&current.to_string());
        cause = current.source();
    }
    text
}

/// Why a command did not end well: one stable code, one sentence, and where
/// it helps the next thing to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    code: Cow<'static, str>,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure that ends with exit code 1.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            code: code.into(),
            message: message.into(),
            hint: None,
        }
    }

    /// A command line that was understood by the parser but makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message).ending(Exit::Usage)
    }

    /// The same failure with another exit code.
    pub(crate) fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The same failure with advice on what to do next.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same failure with its sentence and advice rewritten.
    pub(crate) fn with_texts(&self, rewrite: impl Fn(&str) -> String) -> Self {
        Self {
            exit: self.exit,
            code: Cow::Owned(rewrite(&self.code)),
            message: rewrite(&self.message),
            hint: self.hint.as_deref().map(rewrite),
        }
    }

    /// The exit code the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The stable code, for programs.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The sentence, for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to try next, when there is something.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl miette::Diagnostic for Failure {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = self.hint.as_ref()?;
        Some(Box::new(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_numbers_are_the_documented_ones() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::ApprovalNeeded,
            Exit::TimedOut,
        ];
        assert_eq!(all.map(Exit::number), [0, 1, 2, 3, 4, 5]);
    }
}
