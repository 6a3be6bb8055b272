//! Where in the sandbox a call points: parsed once, authorized and executed as the same value.
//!
//! The text of an argument becomes segments here and is never split, joined or decoded again.
//! Two types keep the root apart: a [`FilePath`] always names something below it, a [`DirPath`]
//! may be the root itself.

use std::fmt;

use bailiwick_datalog::{ResourceError, ResourcePath};

/// First segment of every resource of this provider.
pub(crate) const RESOURCE_ROOT: &str = "files";

/// Names that the sandbox keeps for its own half-written files.
pub(crate) const TEMPORARY_PREFIX: &str = ".bailiwick-tmp-";

/// A place below the sandbox's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePath(ResourcePath);

impl FilePath {
    /// Reads the text of a path argument.
    ///
    /// # Errors
    /// [`ResourceError`] where the text could be read in two ways, and for the root (`""`).
    pub(crate) fn parse(text: &str) -> Result<Self, ResourceError> {
        ResourcePath::parse(text).map(Self)
    }

    /// The path below the root.
    pub(crate) fn relative(&self) -> &ResourcePath {
        &self.0
    }

    /// The segments below the root, at least one.
    pub(crate) fn segments(&self) -> &[String] {
        self.0.segments()
    }

    /// What has to be granted: `files/` and the path.
    pub(crate) fn resource(&self) -> Result<ResourcePath, ResourceError> {
        below_root(self.segments())
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the sandbox that may be the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirPath(Option<FilePath>);

impl DirPath {
    /// Reads the text of an optional path argument; absent and `""` are the root.
    ///
    /// # Errors
    /// [`ResourceError`] where the text could be read in two ways.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ResourceError> {
        match text {
            None | Some("") => Ok(Self(None)),
            Some(text) => FilePath::parse(text).map(|path| Self(Some(path))),
        }
    }

    /// The path below the root; `None` for the root itself.
    pub(crate) fn relative(&self) -> Option<&ResourcePath> {
        self.0.as_ref().map(FilePath::relative)
    }

    /// The segments below the root; none for the root itself.
    pub(crate) fn segments(&self) -> &[String] {
        self.0.as_ref().map_or(&[], FilePath::segments)
    }

    /// What has to be granted: `files`, or `files/` and the path.
    pub(crate) fn resource(&self) -> Result<ResourcePath, ResourceError> {
        below_root(self.segments())
    }
}

impl fmt::Display for DirPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("/"),
            Some(path) => path.fmt(f),
        }
    }
}

fn below_root(segments: &[String]) -> Result<ResourcePath, ResourceError> {
    ResourcePath::from_segments(
        std::iter::once(RESOURCE_ROOT.to_owned()).chain(segments.iter().cloned()),
    )
}

/// True for names that belong to the sandbox itself.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_directory_paths_are_the_root() {
        for text in [None, Some("")] {
            let dir = DirPath::parse(text).unwrap();
            assert_eq!(dir.relative(), None);
            assert_eq!(dir.resource().unwrap().to_string(), "files");
        }
        assert!(FilePath::parse("").is_err());
    }

    #[test]
    fn resource_is_the_path_under_the_provider() {
        let file = FilePath::parse("reports/q3.md").unwrap();
        assert_eq!(file.resource().unwrap().to_string(), "files/reports/q3.md");
        assert_eq!(file.relative().to_string(), "reports/q3.md");
    }

    #[test]
    fn text_with_a_second_reading_is_refused() {
        for bad in [
            "..",
            "a/..",
            "a/../b",
            ".",
            "./a",
            "/a",
            "a/",
            "a//b",
            "a%2e%2e/b",
            "%2e%2e",
            "a\0b",
            "a\\b",
            "..\\b",
            "a\u{202e}b",
            "a\nb",
        ] {
            assert!(FilePath::parse(bad).is_err(), "{bad:?}");
            assert!(DirPath::parse(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
