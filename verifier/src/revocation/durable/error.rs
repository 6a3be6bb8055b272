//! Why a stored revocation list fails its caller.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::revocation::SnapshotRefused;

/// Why the stored list cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another part of this one, has it open.
    #[error("the revocation list in `{}` is in use by another process", dir.display())]
    InUse {
        /// Its directory.
        dir: PathBuf,
    },
    /// A list was stored here before, and nothing whole is left of it.
    ///
    /// Serving would forget revocations, so the list does not open. Restore the directory from a
    /// copy, or delete it to begin anew and trust nothing until the next fetch.
    #[error(
        "the revocation list in `{}` is lost: neither the database nor a snapshot signed by a \
         known revocation key is whole",
        dir.display()
    )]
    Lost {
        /// Its directory.
        dir: PathBuf,
    },
    /// The file system failed.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The database failed.
    #[error("the database `{}` failed", path.display())]
    Database {
        /// Which one.
        path: PathBuf,
        /// How it failed.
        source: sled::Error,
    },
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a fetched list does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It was refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] SnapshotRefused),
    /// It is good but could not be stored. What it names is refused from now on, but it refreshes
    /// nothing: unless a later attempt succeeds, the list goes stale.
    #[error(transparent)]
    Store(#[from] StoreError),
}
