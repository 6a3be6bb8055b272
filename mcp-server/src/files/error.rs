//! What can go wrong inside the sandbox, in words for the agent that called the tool.

use std::io;

use thiserror::Error;

/// Why a permitted file operation did not happen. Nothing was changed.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// Nothing is there.
    #[error("there is nothing at `{path}`")]
    NotFound {
        /// The path below the root.
        path: String,
    },
    /// A directory, device or pipe where a file is needed.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// The path below the root.
        path: String,
    },
    /// Something else where a directory is needed.
    #[error("`{path}` is not a directory")]
    NotADirectory {
        /// The path below the root.
        path: String,
    },
    /// A symbolic link on the way: what it points to was not what was authorized.
    #[error("`{path}` is a symbolic link, and links are never followed")]
    SymbolicLink {
        /// The path below the root.
        path: String,
    },
    /// The target of a move is taken.
    #[error("`{path}` already exists, and a move never overwrites")]
    AlreadyExists {
        /// The path below the root.
        path: String,
    },
    /// More bytes than the tools move at once.
    #[error("`{path}` has {size} bytes, more than the {limit} that can be read or written")]
    TooLarge {
        /// The path below the root.
        path: String,
        /// Bytes found or offered.
        size: u64,
        /// Most bytes allowed.
        limit: u64,
    },
    /// Not UTF-8.
    #[error("`{path}` is not UTF-8 text")]
    NotText {
        /// The path below the root.
        path: String,
    },
    /// A name that the sandbox keeps for itself.
    #[error(
        "names that start with `{}` are reserved",
        super::path::TEMPORARY_PREFIX
    )]
    ReservedName,
    /// The file system refused.
    #[error("the file system refused the operation on `{path}`: {}", source.kind())]
    Io {
        /// The path below the root.
        path: String,
        /// The cause; only its kind is shown.
        source: io::Error,
    },
}

impl FileError {
    /// Stable code, shown in the tool result's `_meta`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::NotAFile { .. } => "not_a_file",
            Self::NotADirectory { .. } => "not_a_directory",
            Self::SymbolicLink { .. } => "symbolic_link",
            Self::AlreadyExists { .. } => "already_exists",
            Self::TooLarge { .. } => "too_large",
            Self::NotText { .. } => "not_text",
            Self::ReservedName => "reserved_name",
            Self::Io { .. } => "io_error",
        }
    }

    /// Reads an error of the file system for the thing at `path`.
    pub(crate) fn from_io(path: impl ToString, source: io::Error) -> Self {
        let path = path.to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            io::ErrorKind::IsADirectory => Self::NotAFile { path },
            io::ErrorKind::AlreadyExists => Self::AlreadyExists { path },
            _ => Self::Io { path, source },
        }
    }
}
