//! The key set in use: accepted from the anchor, kept on disk, never older than it was.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use bailiwick_verifier::{
    signed::{SignatureError, SignedDocument},
    trust::{KeySetDocument, TrustAnchor, TrustError},
};
use thiserror::Error;

use crate::durable;

/// The accepted key set document, in memory and on disk.
#[derive(Debug)]
pub(crate) struct TrustStore {
    anchor: TrustAnchor,
    path: PathBuf,
    current: ArcSwapOption<KeySetDocument>,
}

/// Why a key set was not accepted or not kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrustStoreError {
    /// The document is not what the anchor vouches for.
    #[error(transparent)]
    Refused(#[from] TrustError),
    /// The stored text is no signed document.
    #[error("the stored key set is damaged: {0}")]
    Damaged(#[from] SignatureError),
    /// The file system refused.
    #[error("the key set at `{path}` cannot be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl TrustStore {
    /// Reads the key set kept at `path`, if there is one, and checks it against the anchor again.
    ///
    /// # Errors
    /// [`TrustStoreError`] when a file is there but unreadable, damaged or not the anchor's.
    pub(crate) fn open(anchor: TrustAnchor, path: &Path) -> Result<Self, TrustStoreError> {
        let stored = match fs::read(path) {
            Ok(text) => {
                let document = SignedDocument::from_json(&text)?;
                Some(Arc::new(anchor.accept(&document, None)?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(TrustStoreError::Io {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        Ok(Self {
            anchor,
            path: path.to_owned(),
            current: ArcSwapOption::new(stored),
        })
    }

    /// The key set in use; `None` before the first was ever accepted.
    pub(crate) fn current(&self) -> Option<Arc<KeySetDocument>> {
        self.current.load_full()
    }

    /// Accepts a fetched document, durably before it counts. One caller at a time.
    ///
    /// # Errors
    /// [`TrustStoreError`]; the key set in use stays.
    pub(crate) fn accept(
        &self,
        document: &SignedDocument,
    ) -> Result<Arc<KeySetDocument>, TrustStoreError> {
        let current = self.current();
        let accepted = self.anchor.accept(document, current.as_deref())?;
        if let Some(current) = current.filter(|current| **current == accepted) {
            return Ok(current);
        }
        durable::replace(&self.path, document.to_json().as_bytes()).map_err(|source| {
            TrustStoreError::Io {
                path: self.path.clone(),
                source,
            }
        })?;
        let accepted = Arc::new(accepted);
        self.current.store(Some(Arc::clone(&accepted)));
        Ok(accepted)
    }
}
