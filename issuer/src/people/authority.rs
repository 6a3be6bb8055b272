//! Authority: whether somebody may decide for an application, asked where it counts.
//!
//! The accounts are read again inside the change that depends on them, so that what was taken a
//! moment ago is not used any more.

use bailiwick_datalog::{ApplicationId, Timestamp};
use thiserror::Error;

use super::ceiling::Beyond;
use crate::{
    narrowing::Granted,
    store::{Account, Change, StoreError, accounts, applications, delegations},
};

/// Why somebody may not decide.
#[derive(Debug, Error)]
pub(crate) enum AuthorityError {
    /// They do not even see the application: for them it does not exist.
    #[error("there is no such request or session")]
    Unseen,
    /// They see it and may not decide.
    #[error("you may look at this; it is for the approvers of its application to decide")]
    NotYours,
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proof that somebody decides for an application, themselves or for somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) account: Account,
    /// The approver they stand in for.
    pub(crate) on_behalf_of: Option<Account>,
}

impl Authority {
    /// Everybody whose authority this is.
    pub(crate) fn persons(&self) -> impl Iterator<Item = &Account> {
        std::iter::once(&self.account).chain(&self.on_behalf_of)
    }

    /// What of a grant is beyond the ceiling of the one who decides, or of the one they stand in
    /// for: a delegate gets no more than either.
    pub(crate) fn beyond(&self, granted: &Granted) -> Vec<Beyond> {
        let mut all: Vec<Beyond> = Vec::new();
        for account in self.persons() {
            for beyond in account.ceiling.beyond(granted) {
                if !all.contains(&beyond) {
                    all.push(beyond);
                }
            }
        }
        all
    }

    /// The user name of the approver they stand in for.
    pub(crate) fn behalf(&self) -> Option<&str> {
        let behalf = self.on_behalf_of.as_ref();
        behalf.map(|account| account.user_name.as_str())
    }
}

/// The authority of an account over an application as it is at `now`.
///
/// # Errors
/// [`AuthorityError`].
pub(crate) async fn authority(
    change: &mut Change,
    account: &Account,
    application: &ApplicationId,
    now: Timestamp,
) -> Result<Authority, AuthorityError> {
    let found = accounts::account_of_id_in(change, &account.id).await?;
    let found = found.filter(|account| account.disabled_at.is_none());
    let account = found.ok_or(AuthorityError::NotYours)?;
    let refused = if account.roles.auditor {
        AuthorityError::NotYours
    } else {
        AuthorityError::Unseen
    };
    if !account.roles.approver {
        return Err(refused);
    }
    if applications::is_assigned(change, application, &account.id).await? {
        return Ok(Authority {
            account,
            on_behalf_of: None,
        });
    }
    match delegations::delegator_in(change, &account.id, application, now).await? {
        None => Err(refused),
        on_behalf_of => Ok(Authority {
            account,
            on_behalf_of,
        }),
    }
}
