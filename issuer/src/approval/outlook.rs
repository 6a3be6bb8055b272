//! What somebody is to know about a request before they decide it.

use super::{DecisionError, conditions};
use crate::{
    access_request::ToolScope,
    core::{Core, Unavailable},
    people::{Authority, AuthorityError, authority},
    rules::Demands,
    store::{Account, FirstApproval, StoredRequest, applications, first_approvals},
};

/// How a request looks to one person. Nothing is decided by it.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// With what authority they would decide; `None` when they may only look.
    pub(crate) authority: Option<Authority>,
    /// The first of two approvals, where there is one.
    pub(crate) first: Option<FirstApproval>,
    demands: Demands,
    is_self: bool,
    is_same_person: bool,
}

impl Outlook {
    /// The same in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_self {
            notes.push("You asked for this yourself. Somebody else has to decide.".to_owned());
        }
        if let Some(behalf) = self.authority.as_ref().and_then(Authority::behalf) {
            notes.push(format!("You decide on behalf of {behalf}, who is away."));
        }
        match &self.first {
            Some(_) if self.is_same_person => notes.push(
                "You have approved this. Another person has to approve it as well.".to_owned(),
            ),
            Some(first) => notes.push(format!(
                "{} has approved what is ticked. You are the second: you may only narrow it.",
                first.user_name
            )),
            None if self.demands.two_approvers => notes.push(
                "Two persons have to approve this as it is asked for. After you, another one."
                    .to_owned(),
            ),
            None => {}
        }
        notes
    }
}

impl Core {
    /// Whether a first person has approved a request that needs two.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn waits_for_second(&self, id: &str) -> Result<bool, Unavailable> {
        let mut look = self.store.look().await?;
        Ok(first_approvals::first_in(&mut look, id).await?.is_some())
    }

    /// How a request looks to somebody at this moment.
    ///
    /// # Errors
    /// [`DecisionError::Unavailable`].
    pub(crate) async fn outlook(
        &self,
        account: &Account,
        stored: &StoredRequest,
    ) -> Result<Outlook, DecisionError> {
        let now = self.clock.now().utc;
        let request = &stored.request;
        let mut look = self.store.look().await?;
        let found = authority(&mut look, account, &request.application, now).await;
        let found = match found {
            Ok(authority) => Some(authority),
            Err(AuthorityError::Unseen | AuthorityError::NotYours) => None,
            Err(AuthorityError::Store(cause)) => return Err(cause.into()),
        };
        let application = applications::live_application_in(&mut look, &request.application);
        let rules = application.await?.map(|application| application.rules);
        let scopes: Vec<ToolScope> = request.tools.iter().map(|t| t.scope.clone()).collect();
        let first = first_approvals::first_in(&mut look, &stored.id).await?;
        let first = conditions::standing(&mut look, first, request, now).await?;
        let is_self = found
            .as_ref()
            .is_some_and(|authority| conditions::is_self(request, authority));
        let is_same_person = match (&first, &found) {
            (Some(first), Some(authority)) => conditions::is_same_person(first, authority),
            _ => false,
        };
        Ok(Outlook {
            authority: found.filter(|_| !is_self && !is_same_person),
            demands: Demands::of(&rules.unwrap_or_default(), &scopes),
            first,
            is_self,
            is_same_person,
        })
    }
}
