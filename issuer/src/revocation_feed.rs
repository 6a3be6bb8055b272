//! Ending sessions, and the signed list that tells every verifier.

use bailiwick_verifier::revocation::Snapshot;
use serde_json::json;

use crate::{
    core::{Core, Unavailable},
    people::Actor,
    store::{Revoked, revocations},
};

/// The signed list with its entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedList {
    /// One tag for one content: the sequence number.
    pub(crate) etag: String,
    /// A `SignedDocument` as JSON.
    pub(crate) json: String,
}

impl Core {
    /// Ends a session: from the commit on, the published list names it. Ending it twice is
    /// no error.
    ///
    /// # Errors
    /// [`Unavailable`] when it could not be recorded; the session then goes on.
    pub(crate) async fn revoke_session(
        &self,
        id: &str,
        by: &Actor,
    ) -> Result<Revoked, Unavailable> {
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        let revoked = revocations::revoke_session(&mut change, id, by.name(), now).await?;
        if let Revoked::Now { seq } = revoked {
            let fields = json!({"session": id, "by": by.name(), "seq": seq});
            self.seal(change, now, "session_revoked", fields).await?;
            tracing::info!(session = id, by = by.name(), seq, "session revoked");
        }
        Ok(revoked)
    }

    /// The list as of now, freshly signed.
    ///
    /// # Errors
    /// [`Unavailable`] when the store does not answer or the list is too long to publish.
    pub(crate) async fn signed_revocations(&self) -> Result<SignedList, Unavailable> {
        let now = self.clock.now().utc;
        self.store.delist_expired(now).await?;
        let listed = self.store.listed_revocations().await?;
        let etag = format!("\"revocations-{}\"", listed.seq);
        let snapshot = Snapshot::new(listed.seq, now, listed.ids, listed.sessions);
        let signed = snapshot
            .sign(&self.keys.revocation)
            .map_err(|e| Unavailable::Internal(e.to_string()))?;
        Ok(SignedList {
            etag,
            json: signed.to_json(),
        })
    }
}
