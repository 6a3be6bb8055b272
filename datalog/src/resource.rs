//! Resources: where a grant reaches, and what a call touches.
//!
//! A resource is a path of segments. It is canonicalised once, here, and the same value is
//! authorized and executed: nothing downstream splits, joins or decodes the text again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::is_control_or_format;

/// Longest resource text, in bytes: longer than any path a file system takes.
pub const MAX_RESOURCE_BYTES: usize = 4_096;

/// Why a text is not a resource (profile, rule 8).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// A segment is empty: the text is empty, starts or ends with `/`, or has `//`.
    #[error("resource has an empty segment (no leading, trailing or double `/`)")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("resource has a `{0}` segment")]
    DotSegment(String),
    /// A character that could be read in two ways.
    #[error("resource holds the character {0:?}, which is not allowed")]
    Character(char),
    /// Longer than [`MAX_RESOURCE_BYTES`].
    #[error("resource has {length} bytes, more than {MAX_RESOURCE_BYTES}")]
    TooLong {
        /// Length in bytes.
        length: usize,
    },
}

/// A canonical resource: at least one segment, none empty, `.` or `..`, no `%`, `\`, `/`,
/// control or format character in any.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourcePath(Vec<String>);

impl ResourcePath {
    /// Reads `a/b/c`. All text but what rule 8 names is ordinary and byte-exact.
    ///
    /// # Errors
    /// [`ResourceError`] for the first thing in the text that could be read in two ways.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        if text.len() > MAX_RESOURCE_BYTES {
            return Err(ResourceError::TooLong { length: text.len() });
        }
        Self::from_segments(text.split('/'))
    }

    /// Builds a resource from its segments.
    ///
    /// # Errors
    /// As [`ResourcePath::parse`]; a `/` inside a segment is refused too.
    pub fn from_segments<S: Into<String>>(
        segments: impl IntoIterator<Item = S>,
    ) -> Result<Self, ResourceError> {
        let segments: Vec<String> = segments.into_iter().map(Into::into).collect();
        if segments.is_empty() {
            return Err(ResourceError::EmptySegment);
        }
        // Of the text that `parse` would read: the segments and what joins them.
        let joints = segments.len().saturating_sub(1);
        let length = segments
            .iter()
            .fold(joints, |sum, s| sum.saturating_add(s.len()));
        if length > MAX_RESOURCE_BYTES {
            return Err(ResourceError::TooLong { length });
        }
        segments
            .iter()
            .try_for_each(|segment| check_segment(segment))?;
        Ok(Self(segments))
    }

    /// The segments, at least one.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// True when `self` is `ancestor` or below it, segment by segment: `repo-evil` is not
    /// under `repo`.
    pub fn is_under(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }
}

fn check_segment(segment: &str) -> Result<(), ResourceError> {
    if segment.is_empty() {
        return Err(ResourceError::EmptySegment);
    }
    if segment == "." || segment == ".." {
        return Err(ResourceError::DotSegment(segment.to_owned()));
    }
    match segment
        .chars()
        .find(|c| matches!(c, '%' | '\\' | '/') || is_control_or_format(*c))
    {
        Some(character) => Err(ResourceError::Character(character)),
        None => Ok(()),
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl FromStr for ResourcePath {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ResourcePath {
    type Error = ResourceError;

    fn try_from(text: String) -> Result<Self, ResourceError> {
        Self::parse(&text)
    }
}

impl From<ResourcePath> for String {
    fn from(path: ResourcePath) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_kept_byte_for_byte() {
        for good in [
            "a",
            "files/reports/q3.md",
            "a b/ü~$&?#=+",
            "...",
            "..a",
            "a.",
        ] {
            assert_eq!(
                ResourcePath::parse(good).map(String::from).as_deref(),
                Ok(good)
            );
        }
    }

    #[test]
    fn empty_segments_are_refused() {
        for bad in ["", "/", "/a", "a/", "a//b"] {
            assert_eq!(
                ResourcePath::parse(bad),
                Err(ResourceError::EmptySegment),
                "{bad}"
            );
        }
    }

    #[test]
    fn dot_segments_are_refused() {
        for bad in [".", "..", "a/..", "a/../b", "./a", "a/./b"] {
            assert!(
                matches!(ResourcePath::parse(bad), Err(ResourceError::DotSegment(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn characters_with_a_second_reading_are_refused() {
        for bad in [
            "a%2e",
            "a\\b",
            "a\0",
            "a\n",
            "a\u{202e}",
            "a\u{200b}",
            "a\u{feff}",
            "\u{ad}",
        ] {
            assert!(
                matches!(ResourcePath::parse(bad), Err(ResourceError::Character(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_segment_may_not_hide_a_separator() {
        assert_eq!(
            ResourcePath::from_segments(["a/b"]),
            Err(ResourceError::Character('/'))
        );
    }

    #[test]
    fn under_means_whole_segments() {
        let path = |text: &str| ResourcePath::parse(text).unwrap();
        assert!(path("repo").is_under(&path("repo")));
        assert!(path("repo/a").is_under(&path("repo")));
        assert!(!path("repo-evil").is_under(&path("repo")));
        assert!(!path("repo").is_under(&path("repo/a")));
    }

    #[test]
    fn what_is_built_from_segments_can_be_read_again() {
        let longest = ["a"; MAX_RESOURCE_BYTES / 2];
        let path = ResourcePath::from_segments(longest).unwrap();
        assert_eq!(ResourcePath::parse(&path.to_string()), Ok(path));
        assert_eq!(
            ResourcePath::from_segments(longest.into_iter().chain(["a"])),
            Err(ResourceError::TooLong {
                length: MAX_RESOURCE_BYTES + 1
            })
        );
    }

    #[test]
    fn longest_resource_is_read_and_one_byte_more_refused() {
        assert!(ResourcePath::parse(&"a".repeat(MAX_RESOURCE_BYTES)).is_ok());
        assert_eq!(
            ResourcePath::parse(&"a".repeat(MAX_RESOURCE_BYTES + 1)),
            Err(ResourceError::TooLong {
                length: MAX_RESOURCE_BYTES + 1
            })
        );
    }
}
