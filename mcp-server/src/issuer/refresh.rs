//! Keeping keys and revocations fresh.
//!
//! A failed refresh changes nothing: the key set and the list stay as they were, the list grows
//! old, and past its bound the verifier refuses everything. Nothing here ever clears a token.

use std::{sync::Arc, time::Duration};

use bailiwick_verifier::{
    Clock, Verifier, revocation::SledRevocations, signed::SignedDocument, trust::KeySetDocument,
};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    fetch::{FetchError, Source},
    trust::{TrustStore, TrustStoreError},
};

/// How often the revocation list is asked for.
pub(crate) const REVOCATIONS_EVERY: Duration = Duration::from_secs(1);

/// How many rounds of revocations there are to one of keys. A list that does not verify asks
/// for keys at once.
const ROUNDS_PER_KEYS: u32 = 10;

/// Why a refresh failed. What was known before still holds, for as long as it is fresh.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The key set could not be fetched.
    #[error("the key set could not be fetched")]
    FetchKeys(#[source] FetchError),
    /// The key set was not accepted.
    #[error("the key set was not accepted")]
    Keys(#[from] TrustStoreError),
    /// The revocation list could not be fetched.
    #[error("the revocation list could not be fetched")]
    FetchRevocations(#[source] FetchError),
    /// The revocation list was not accepted.
    #[error("the revocation list was not accepted: {0}")]
    Revocations(String),
    /// No key set was ever accepted, so no list can be verified.
    #[error("no key set is known yet")]
    NoKeys,
}

/// Fetches, verifies, stores and applies. One at a time.
pub(crate) struct Refresher {
    keys: Source,
    revocations: Source,
    trust: Arc<TrustStore>,
    list: Arc<SledRevocations>,
    verifier: Arc<Verifier>,
    clock: Arc<dyn Clock>,
}

impl Refresher {
    /// Puts the parts together; fetches nothing.
    pub(crate) fn new(
        keys: Source,
        revocations: Source,
        trust: Arc<TrustStore>,
        list: Arc<SledRevocations>,
        verifier: Arc<Verifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            keys,
            revocations,
            trust,
            list,
            verifier,
            clock,
        }
    }

    /// Refreshes keys, then revocations.
    ///
    /// # Errors
    /// [`RefreshError`] for the first that failed; revocations are tried even when keys failed.
    pub(crate) async fn refresh_all(&mut self) -> Result<(), RefreshError> {
        let keys = self.refresh_keys().await;
        self.refresh_revocations().await?;
        keys
    }

    /// Refreshes `shared` until cancelled, locking it for one round at a time. Says when refreshing starts to fail and when it recovers, not each
    /// time.
    pub(crate) async fn run(shared: Arc<Mutex<Self>>, stop: CancellationToken) {
        let mut failing = false;
        let mut round = 0_u32;
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = async { shared.lock().await.round(round).await } => result,
            };
            match result {
                Err(error) if !failing => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "refresh from the issuer fails");
                    failing = true;
                }
                Ok(()) if failing => {
                    tracing::info!("refresh from the issuer recovered");
                    failing = false;
                }
                _ => {}
            }
            round = round.wrapping_add(1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REVOCATIONS_EVERY) => {}
            }
        }
    }

    async fn round(&mut self, round: u32) -> Result<(), RefreshError> {
        let keys_are_due = round.is_multiple_of(ROUNDS_PER_KEYS) || self.trust.current().is_none();
        if keys_are_due {
            return self.refresh_all().await;
        }
        match self.refresh_revocations().await {
            // The list may be signed by a key that is newer than our key set.
            Err(RefreshError::Revocations(_)) => self.refresh_all().await,
            result => result,
        }
    }

    async fn refresh_keys(&mut self) -> Result<(), RefreshError> {
        let document = self.keys.fetch().await.map_err(RefreshError::FetchKeys)?;
        let trust = Arc::clone(&self.trust);
        let accepted = blocking(move || trust.accept(&document))
            .await
            .ok_or(RefreshError::NoKeys)??;
        install(&self.verifier, &accepted);
        Ok(())
    }

    async fn refresh_revocations(&mut self) -> Result<(), RefreshError> {
        let keys = self.trust.current().ok_or(RefreshError::NoKeys)?;
        // Before the request: the list is as old as the question, not as the answer.
        let asked_at = self.clock.now().monotonic;
        let document: SignedDocument = self
            .revocations
            .fetch()
            .await
            .map_err(RefreshError::FetchRevocations)?;
        let list = Arc::clone(&self.list);
        blocking(move || list.apply(&document, keys.revocation_keys(), asked_at))
            .await
            .ok_or_else(|| RefreshError::Revocations("interrupted".to_owned()))?
            .map_err(|error| RefreshError::Revocations(error.to_string()))?;
        Ok(())
    }
}

/// Puts an accepted key set to use.
pub(crate) fn install(verifier: &Verifier, document: &KeySetDocument) {
    verifier.replace_keys(Arc::new(document.key_set().clone()));
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
