//! Ending sessions, and the signed list that tells every verifier.

use bailiwick_verifier::revocation::Snapshot;
use serde_json::json;
use thiserror::Error;

use crate::{
    core::{Core, Unavailable},
    people::{Actor, AuthorityError, authority},
    store::{Account, Change, Revoked, StoreError, revocations},
};

/// Why a person did not end a session.
#[derive(Debug, Error)]
pub(crate) enum RevokeError {
    /// Somebody else decides.
    #[error("you may look at this; it is for the approvers of its application to end it")]
    NotYours,
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<AuthorityError> for RevokeError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Unseen | AuthorityError::NotYours => Self::NotYours,
            AuthorityError::Store(cause) => cause.into(),
        }
    }
}

impl From<StoreError> for RevokeError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

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
        let change = self.store.change().await?;
        self.revoke_in(change, id, by).await
    }

    /// Ends a session for a signed-in person, who has to decide for its application.
    ///
    /// # Errors
    /// [`RevokeError::NotYours`], or [`RevokeError::Unavailable`] when it could not be
    /// recorded; the session then goes on.
    pub(crate) async fn revoke_session_as(
        &self,
        account: &Account,
        id: &str,
    ) -> Result<Revoked, RevokeError> {
        let Some(session) = self.store.session(id).await? else {
            return Ok(Revoked::Unknown);
        };
        let application = &session.request.request.application;
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        match authority(&mut change, account, application, now).await {
            Ok(_) => {}
            Err(AuthorityError::Unseen) => return Ok(Revoked::Unknown),
            Err(error) => return Err(error.into()),
        }
        let by = Actor::Person(account.user_name.clone());
        Ok(self.revoke_in(change, id, &by).await?)
    }

    async fn revoke_in(
        &self,
        mut change: Change,
        id: &str,
        by: &Actor,
    ) -> Result<Revoked, Unavailable> {
        let now = self.clock.now().utc;
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
