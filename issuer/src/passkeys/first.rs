//! The first passkey of an account: who lets it be added.
//!
//! What a password alone could add would be worth no more than the password. A further passkey is
//! confirmed by one that is there; the first one has somebody else's word: it is added in the
//! browser that used the account's one-time link, right then, or once an admin or the operator has
//! allowed it, for an hour. Nobody allows it for themselves.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::json;

use super::{FRESH, PasskeyError};
use crate::{
    core::{Core, Unavailable},
    people::{AccountError, Actor},
    secret::Secret,
    store::{
        Account, Change, StoreError,
        passkey_permissions::{self, Given, Permission},
        passkeys,
    },
};

/// How long a word given beforehand lasts.
const ALLOWED_FOR: Duration = Duration::from_secs(60 * 60);

/// What somebody may do about passkeys of their own, in the browser they look from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayAdd {
    /// Nothing until they sign in again.
    NotFresh,
    /// Nobody has allowed a first one.
    NotAllowed,
    /// A first one.
    First,
    /// A further one, by a touch of one that is there.
    Further,
}

impl Core {
    /// What somebody may add, in the browser with that cookie.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn may_add_passkey(
        &self,
        account: &Account,
        cookie: &Secret,
    ) -> Result<MayAdd, Unavailable> {
        let now = self.clock.now().utc;
        match self.check_fresh(cookie).await {
            Ok(()) => {}
            Err(PasskeyError::Unavailable(cause)) => return Err(cause),
            Err(_) => return Ok(MayAdd::NotFresh),
        }
        let mut look = self.store.look().await?;
        if passkeys::count_of(&mut look, &account.id).await? > 0 {
            return Ok(MayAdd::Further);
        }
        let allowed = first_allowed(&mut look, account, cookie, now).await?;
        Ok(allowed.map_or(MayAdd::NotAllowed, |_| MayAdd::First))
    }

    /// Lets an account without a passkey add its first one, once. Returns until when.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn allow_passkey(
        &self,
        by: &Actor,
        user_name: &str,
    ) -> Result<Timestamp, PasskeyError> {
        self.relying_party()?;
        let now = self.clock.now().utc;
        let (mut change, account) = self.account_to_change(user_name).await?;
        by.is_another_than(&account)?;
        if account.disabled_at.is_some() {
            return Err(AccountError::Disabled(account.user_name).into());
        }
        if passkeys::count_of(&mut change, &account.id).await? > 0 {
            return Err(PasskeyError::HasOne);
        }
        let permission = Permission {
            given: Given::By(by.name().to_owned()),
            expires_at: after(now, ALLOWED_FOR)?,
        };
        passkey_permissions::give(&mut change, &account.id, &permission).await?;
        let fields = json!({
            "account": account.id,
            "user_name": account.user_name.as_str(),
            "by": by.name(),
            "expires_at": permission.expires_at.to_rfc3339(),
        });
        self.seal(change, now, "passkey_allowed", fields).await?;
        Ok(permission.expires_at)
    }
}

/// Lets the browser that has just used a one-time link add a first passkey.
///
/// # Errors
/// [`Unavailable`].
pub(crate) async fn allow_with_link(
    change: &mut Change,
    account: &Account,
    cookie: &Secret,
    now: Timestamp,
) -> Result<(), Unavailable> {
    let permission = Permission {
        given: Given::WithLink(cookie.digest()),
        expires_at: after(now, FRESH)?,
    };
    Ok(passkey_permissions::give(change, &account.id, &permission).await?)
}

/// By what a first passkey may be added in the browser with that cookie.
pub(super) async fn first_allowed(
    change: &mut Change,
    account: &Account,
    cookie: &Secret,
    now: Timestamp,
) -> Result<Option<Permission>, StoreError> {
    let permission = passkey_permissions::of(change, &account.id, now).await?;
    Ok(permission.filter(|permission| permission.is_for(&cookie.digest())))
}

fn after(now: Timestamp, span: Duration) -> Result<Timestamp, Unavailable> {
    let overflow = || Unavailable::Internal("time overflows".to_owned());
    now.checked_add(span).ok_or_else(overflow)
}
