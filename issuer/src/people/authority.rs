//! Authority: whether somebody may decide for an application, asked where it counts.
//!
//! The account is read again inside the change that depends on it, so that what was taken a
//! moment ago is not used any more.

use bailiwick_datalog::ApplicationId;
use thiserror::Error;

use crate::store::{Account, Change, StoreError, accounts, applications};

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

/// The account as it is now, once it is sure that it decides for the application.
///
/// # Errors
/// [`AuthorityError`].
pub(crate) async fn authority(
    change: &mut Change,
    account: &Account,
    application: &ApplicationId,
) -> Result<Account, AuthorityError> {
    let now = accounts::account_of_id_in(change, &account.id).await?;
    let now = now.filter(|account| account.disabled_at.is_none());
    let account = now.ok_or(AuthorityError::NotYours)?;
    let assigned = applications::is_assigned(change, application, &account.id).await?;
    match (assigned && account.roles.approver, account.roles.auditor) {
        (true, _) => Ok(account),
        (false, true) => Err(AuthorityError::NotYours),
        (false, false) if assigned => Err(AuthorityError::NotYours),
        (false, false) => Err(AuthorityError::Unseen),
    }
}
