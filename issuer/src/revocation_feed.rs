//! Ending sessions, and the signed list that tells every verifier.

use bailiwick_datalog::{AgentName, ApplicationId};
use bailiwick_verifier::revocation::Snapshot;
use serde_json::json;
use thiserror::Error;

use crate::{
    core::{Core, Unavailable},
    people::{Actor, AuthorityError, authority},
    store::{
        Account, Change, Revoked, SessionFilter, Standing, StoreError, revocations, session_lists,
    },
};

/// Most sessions ended by one change and named by one line of the record.
const MOST_AT_ONCE: i64 = 500;

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

/// Whose sessions end, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllOf {
    /// Those of an application.
    Application(ApplicationId),
    /// Those of an agent, in one application or in any.
    Agent(AgentName, Option<ApplicationId>),
}

impl AllOf {
    fn live(&self) -> SessionFilter {
        let (agent, application) = match self {
            Self::Application(application) => (None, Some(application.clone())),
            Self::Agent(agent, application) => (Some(agent.clone()), application.clone()),
        };
        SessionFilter {
            standing: Standing::Live,
            agent,
            application,
        }
    }
}

/// How many sessions ended, and in which list the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllEnded {
    pub(crate) sessions: usize,
    /// `None` if none was live.
    pub(crate) seq: Option<u64>,
}

impl AllEnded {
    fn and(self, later: Self) -> Self {
        Self {
            sessions: self.sessions.saturating_add(later.sessions),
            seq: later.seq.or(self.seq),
        }
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

    /// Ends every live session of an agent or of an application. It goes on, change by change,
    /// until none is left, so that one approved meanwhile ends as well.
    ///
    /// # Errors
    /// [`Unavailable`] when one change could not be recorded; those before it happened.
    pub(crate) async fn revoke_all(
        &self,
        whose: &AllOf,
        by: &Actor,
    ) -> Result<AllEnded, Unavailable> {
        let mut ended = AllEnded::default();
        loop {
            let change = self.store.change().await?;
            let some = self.revoke_some(change, whose, by).await?;
            if some.sessions == 0 {
                return Ok(ended);
            }
            ended = ended.and(some);
        }
    }

    /// The same for a signed-in person, who has to decide for the application. Where none is
    /// named it is done in each for which they do, one after the other.
    ///
    /// # Errors
    /// [`RevokeError`].
    pub(crate) async fn revoke_all_as(
        &self,
        account: &Account,
        whose: AllOf,
    ) -> Result<AllEnded, RevokeError> {
        match whose {
            AllOf::Application(application) => {
                self.revoke_all_in_as(account, application, None).await
            }
            AllOf::Agent(agent, Some(application)) => {
                self.revoke_all_in_as(account, application, Some(agent))
                    .await
            }
            AllOf::Agent(agent, None) => self.revoke_everywhere_as(account, agent).await,
        }
    }

    async fn revoke_everywhere_as(
        &self,
        account: &Account,
        agent: AgentName,
    ) -> Result<AllEnded, RevokeError> {
        let now = self.clock.now().utc;
        let mut ended: Option<AllEnded> = None;
        for id in self.store.deciding_for(&account.id, now).await? {
            let application = ApplicationId::parse(id);
            let application = application.map_err(|e| Unavailable::Internal(e.to_string()))?;
            match self
                .revoke_all_in_as(account, application, Some(agent.clone()))
                .await
            {
                Ok(some) => ended = Some(ended.unwrap_or_default().and(some)),
                // Somebody took it from them a moment ago.
                Err(RevokeError::NotYours) => {}
                Err(error) => return Err(error),
            }
        }
        ended.ok_or(RevokeError::NotYours)
    }

    async fn revoke_all_in_as(
        &self,
        account: &Account,
        application: ApplicationId,
        agent: Option<AgentName>,
    ) -> Result<AllEnded, RevokeError> {
        let mut change = self.store.change().await?;
        let now = self.clock.now().utc;
        authority(&mut change, account, &application, now).await?;
        drop(change);
        let by = Actor::Person(account.user_name.clone());
        let whose = match agent {
            Some(agent) => AllOf::Agent(agent, Some(application)),
            None => AllOf::Application(application),
        };
        Ok(self.revoke_all(&whose, &by).await?)
    }

    async fn revoke_some(
        &self,
        mut change: Change,
        whose: &AllOf,
        by: &Actor,
    ) -> Result<AllEnded, Unavailable> {
        let now = self.clock.now().utc;
        let filter = whose.live();
        let sessions = session_lists::ids_of(&mut change, &filter, MOST_AT_ONCE, now).await?;
        let mut ended = AllEnded::default();
        for session in &sessions {
            let revoked = revocations::revoke_session(&mut change, session, by.name(), now).await?;
            if let Revoked::Now { seq } = revoked {
                ended = AllEnded {
                    sessions: ended.sessions.saturating_add(1),
                    seq: Some(seq),
                };
            }
        }
        if ended.sessions > 0 {
            let fields = json!({
                "agent": filter.agent.as_ref().map(AgentName::as_str),
                "application": filter.application.as_ref().map(ApplicationId::as_str),
                "sessions": sessions,
                "by": by.name(),
                "seq": ended.seq,
            });
            self.seal(change, now, "sessions_revoked", fields).await?;
            tracing::info!(
                by = by.name(),
                sessions = ended.sessions,
                "sessions revoked"
            );
        }
        Ok(ended)
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
