//! Authority: whether somebody may decide for an application, asked where it counts.
//!
//! The accounts are read again inside the change that depends on them, so that what was taken a
//! moment ago is not used any more.

use bailiwick_datalog::{ApplicationId, Timestamp};
use thiserror::Error;

use super::ceiling::Beyond;
use crate::{
    narrowing::Granted,
    store::{Account, Change, StoreError, accounts, applications, delegations, identities},
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
    /// What an identity provider calls any of the two.
    subjects: Vec<String>,
}

impl Authority {
    /// Everybody whose authority this is.
    pub(crate) fn persons(&self) -> impl Iterator<Item = &Account> {
        std::iter::once(&self.account).chain(&self.on_behalf_of)
    }

    /// True for the name under which an identity provider signs one of them in.
    pub(crate) fn has_subject(&self, subject: &str) -> bool {
        self.subjects.iter().any(|own| own == subject)
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

    async fn of(
        change: &mut Change,
        account: Account,
        on_behalf_of: Option<Account>,
    ) -> Result<Self, StoreError> {
        let mut subjects = identities::subjects_in(change, &account.id).await?;
        if let Some(behalf) = &on_behalf_of {
            subjects.extend(identities::subjects_in(change, &behalf.id).await?);
        }
        Ok(Self {
            account,
            on_behalf_of,
            subjects,
        })
    }
}

/// Every authority of an account over an application as it is at `now`, never none: its own, or
/// else one for each absent approver it stands in for, by name.
///
/// # Errors
/// [`AuthorityError`].
pub(crate) async fn authorities(
    change: &mut Change,
    account: &Account,
    application: &ApplicationId,
    now: Timestamp,
) -> Result<Vec<Authority>, AuthorityError> {
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
        return Ok(vec![Authority::of(change, account, None).await?]);
    }
    let mut all = Vec::new();
    for absent in delegations::delegators_in(change, &account.id, application, now).await? {
        all.push(Authority::of(change, account.clone(), Some(absent)).await?);
    }
    if all.is_empty() {
        return Err(refused);
    }
    Ok(all)
}

/// The same where it does not matter for whom: the first of them.
///
/// # Errors
/// [`AuthorityError`].
pub(crate) async fn authority(
    change: &mut Change,
    account: &Account,
    application: &ApplicationId,
    now: Timestamp,
) -> Result<Authority, AuthorityError> {
    let all = authorities(change, account, application, now).await?;
    all.into_iter().next().ok_or(AuthorityError::NotYours)
}
