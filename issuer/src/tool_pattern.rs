//! Patterns of tools in ceilings, applications and rules: a name, or everything below a prefix.

use std::{fmt, str::FromStr};

use bailiwick_datalog::{NameError, ToolName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::visible_line;

/// Most patterns in one list.
pub(crate) const MAX_PATTERNS: usize = 256;

/// `files.read_file`, or `files.*` for everything whose name begins with `files.`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ToolPattern {
    /// This tool alone.
    Exact(ToolName),
    /// Every tool whose name begins with this name and a dot.
    Below(ToolName),
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is neither the name of a tool nor a pattern such as `files.*`: {why}")]
pub(crate) struct PatternError {
    text: String,
    why: NameError,
}

impl ToolPattern {
    /// True for a tool the pattern stands for.
    pub(crate) fn matches(&self, tool: &ToolName) -> bool {
        match self {
            Self::Exact(name) => name == tool,
            Self::Below(prefix) => tool
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('.')),
        }
    }
}

/// True for a tool that one of the patterns stands for.
pub(crate) fn any_matches(patterns: &[ToolPattern], tool: &ToolName) -> bool {
    patterns.iter().any(|pattern| pattern.matches(tool))
}

impl FromStr for ToolPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let read = match text.strip_suffix(".*") {
            Some(prefix) => ToolName::parse(prefix).map(Self::Below),
            None => ToolName::parse(text).map(Self::Exact),
        };
        read.map_err(|why| PatternError {
            text: visible_line(text),
            why,
        })
    }
}

impl TryFrom<String> for ToolPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<ToolPattern> for String {
    fn from(pattern: ToolPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, tool: &str) -> bool {
        let pattern: ToolPattern = pattern.parse().unwrap();
        assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        pattern.matches(&ToolName::parse(tool).unwrap())
    }

    #[test]
    fn name_matches_itself_and_nothing_longer_or_shorter() {
        assert!(matches("files.read", "files.read"));
        assert!(!matches("files.read", "files.read_file"));
        assert!(!matches("files.read", "files"));
    }

    #[test]
    fn prefix_matches_what_is_below_it_and_not_itself_or_a_neighbour() {
        assert!(matches("files.*", "files.read"));
        assert!(matches("files.*", "files.a.b"));
        for other in ["files", "files.", "filesystem.read", "my.files.read"] {
            assert!(!matches("files.*", other), "{other}");
        }
    }

    #[test]
    fn text_that_is_no_pattern_is_refused() {
        for bad in [
            "",
            "*",
            ".*",
            "files.*.read",
            "files*",
            "Files.*",
            "a b",
            "files.**",
        ] {
            assert!(bad.parse::<ToolPattern>().is_err(), "{bad}");
        }
    }
}
