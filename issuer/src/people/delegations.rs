//! Delegates: who decides for an approver who is away.
//!
//! A delegate gets no more than the one they stand in for may grant, and no more than they may
//! grant themselves. Nobody hands on what they hold as a delegate. It begins with the delegate's
//! own word: what is decided on somebody's behalf is recorded under the delegate's name.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

use super::{Actor, accounts::AccountError};
use crate::{
    core::{Core, Unavailable},
    ids::fresh_id,
    store::{StoreError, accounts, delegations},
    text::visible_line,
};

/// The longest absence that is arranged in advance.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Most delegates of one approver at once.
const MOST_GIVEN: i64 = 4;
/// Most approvers that one stands in for at once.
const MOST_ACCEPTED: i64 = 8;

/// Why nobody was named.
#[derive(Debug, Error)]
pub(crate) enum DelegationError {
    /// One of the accounts cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Only those who decide can be stood in for, and can stand in.
    #[error("`{0}` is not an account with the role approver")]
    NotAnApprover(String),
    /// Nobody stands in for themselves.
    #[error("name somebody else")]
    Self_,
    /// The time makes no sense.
    #[error("the time has to end after it starts, in the future, and within ninety days")]
    Period,
    /// There are enough.
    #[error("nobody names more than {MOST_GIVEN} delegates at once")]
    TooManyGiven,
    /// They stand in for enough.
    #[error("nobody stands in for more than {MOST_ACCEPTED} approvers at once")]
    TooManyAccepted,
    /// There is no such delegation, or it is over.
    #[error("nobody is named under that number any more")]
    NotFound,
    /// The change could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for DelegationError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// From when until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

impl Core {
    /// Asks `to` to decide for `from` for a while. Returns its number; it begins once they accept.
    ///
    /// # Errors
    /// [`DelegationError`].
    pub(crate) async fn delegate(
        &self,
        by: &Actor,
        from: &str,
        to: &str,
        period: Period,
    ) -> Result<String, DelegationError> {
        let now = self.clock.now().utc;
        let latest = now.checked_add(LONGEST);
        let sound = period.starts_at < period.ends_at && now < period.ends_at;
        if !sound || latest.is_none_or(|latest| period.ends_at > latest) {
            return Err(DelegationError::Period);
        }
        let (mut change, from) = self.account_to_change(from).await?;
        let not_found = || AccountError::NotFound(visible_line(to));
        let to_name = super::user_name::parse_user_name(to).map_err(|_| not_found())?;
        let to = accounts::account_in(&mut change, &to_name).await?;
        let to = to.ok_or_else(not_found)?;
        for account in [&from, &to] {
            if !account.roles.approver || account.disabled_at.is_some() {
                let name = account.user_name.to_string();
                return Err(DelegationError::NotAnApprover(name));
            }
        }
        if from.id == to.id {
            return Err(DelegationError::Self_);
        }
        if delegations::count_given(&mut change, &from.id, now).await? >= MOST_GIVEN {
            return Err(DelegationError::TooManyGiven);
        }
        let id = fresh_id("del", &self.entropy);
        let (starts, ends) = (period.starts_at, period.ends_at);
        delegations::insert(&mut change, &id, &from.id, &to.id, starts, ends).await?;
        let fields = json!({
            "delegation": id,
            "from": from.user_name.as_str(),
            "to": to.user_name.as_str(),
            "starts_at": starts.to_rfc3339(),
            "ends_at": ends.to_rfc3339(),
            "by": by.name(),
        });
        self.seal(change, now, "delegate_named", fields).await?;
        Ok(id)
    }

    /// Says yes to standing in, by the one who is to.
    ///
    /// # Errors
    /// [`DelegationError`].
    pub(crate) async fn accept_delegation(
        &self,
        by: &Actor,
        to: &str,
        id: &str,
    ) -> Result<(), DelegationError> {
        let (mut change, to) = self.account_to_change(to).await?;
        let now = self.clock.now().utc;
        if delegations::count_accepted(&mut change, &to.id, now).await? >= MOST_ACCEPTED {
            return Err(DelegationError::TooManyAccepted);
        }
        if !delegations::accept(&mut change, id, &to.id, now).await? {
            return Err(DelegationError::NotFound);
        }
        let fields = answered(by, id, to.user_name.as_str());
        self.seal(change, now, "delegation_accepted", fields)
            .await?;
        Ok(())
    }

    /// Says no to standing in, before or after having accepted.
    ///
    /// # Errors
    /// [`DelegationError`].
    pub(crate) async fn decline_delegation(
        &self,
        by: &Actor,
        to: &str,
        id: &str,
    ) -> Result<(), DelegationError> {
        let (mut change, to) = self.account_to_change(to).await?;
        let now = self.clock.now().utc;
        if !delegations::decline(&mut change, id, &to.id, now).await? {
            return Err(DelegationError::NotFound);
        }
        let fields = answered(by, id, to.user_name.as_str());
        self.seal(change, now, "delegation_declined", fields)
            .await?;
        Ok(())
    }

    /// Ends a delegation that `from` gave, before its time.
    ///
    /// # Errors
    /// [`DelegationError`].
    pub(crate) async fn end_delegation(
        &self,
        by: &Actor,
        from: &str,
        id: &str,
    ) -> Result<(), DelegationError> {
        let (mut change, from) = self.account_to_change(from).await?;
        let now = self.clock.now().utc;
        if !delegations::end(&mut change, id, &from.id, now).await? {
            return Err(DelegationError::NotFound);
        }
        let fields = json!({
            "delegation": id,
            "from": from.user_name.as_str(),
            "by": by.name(),
        });
        self.seal(change, now, "delegation_ended", fields).await?;
        Ok(())
    }
}

fn answered(by: &Actor, id: &str, to: &str) -> Value {
    json!({"delegation": id, "to": to, "by": by.name()})
}
