//! Removing passkeys: by their owner, and by those who manage accounts.
//!
//! Removing takes nothing but a fresh sign-in, also of the last one, so that a lost authenticator is
//! out of the way at once. Nothing is gained by it: the next passkey takes a touch of one that is
//! left, or somebody else's word.

use serde_json::json;

use super::{FRESH, PasskeyError, about};
use crate::{
    core::Core,
    people::Actor,
    secret::Secret,
    store::{Account, Change, Passkey, passkey_permissions, passkeys},
};

/// The passkeys of an account, as those who manage accounts see them.
pub(crate) struct Listed {
    pub(crate) passkeys: Vec<Passkey>,
    /// Until when a first one may be added.
    pub(crate) first_until: Option<bailiwick_datalog::Timestamp>,
}

impl Core {
    /// The passkeys of an account.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn passkeys_of(&self, account: &Account) -> Result<Listed, PasskeyError> {
        let now = self.clock.now().utc;
        let passkeys = self.store.passkeys_of(&account.id).await?;
        let mut look = self.store.look().await?;
        let permission = passkey_permissions::of(&mut look, &account.id, now).await?;
        let permission = permission.filter(|_| passkeys.is_empty());
        Ok(Listed {
            passkeys,
            first_until: permission.map(|permission| permission.expires_at),
        })
    }

    /// Removes a passkey of the account that is signed in with that cookie.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn remove_own_passkey(
        &self,
        account: &Account,
        cookie: &Secret,
        id: &str,
    ) -> Result<(), PasskeyError> {
        self.check_fresh(cookie).await?;
        let by = Actor::Person(account.user_name.clone());
        let change = self.store.change().await?;
        self.remove_passkey(change, &by, account, id).await
    }

    /// Removes a passkey of somebody else's account.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn remove_passkey_of(
        &self,
        by: &Actor,
        user_name: &str,
        id: &str,
    ) -> Result<(), PasskeyError> {
        let (change, account) = self.account_to_change(user_name).await?;
        by.is_another_than(&account)?;
        self.remove_passkey(change, by, &account, id).await
    }

    /// Nothing that it signs counts from here on.
    async fn remove_passkey(
        &self,
        mut change: Change,
        by: &Actor,
        account: &Account,
        id: &str,
    ) -> Result<(), PasskeyError> {
        let name = passkeys::remove(&mut change, &account.id, id).await?;
        let name = name.ok_or(PasskeyError::NotFound)?;
        let now = self.clock.now().utc;
        let fields = about(by, account, id, &name, json!({}));
        self.seal(change, now, "passkey_removed", fields).await?;
        Ok(())
    }

    /// Refuses a browser whose sign-in is not fresh: its person proved who they are here, or at a
    /// provider that was to have them sign in again, in the last minutes.
    ///
    /// # Errors
    /// [`PasskeyError::NotFresh`] or [`PasskeyError::Unavailable`].
    pub(crate) async fn check_fresh(&self, cookie: &Secret) -> Result<(), PasskeyError> {
        let session = self.store.browser_session(&cookie.digest()).await?;
        let session = session.ok_or(PasskeyError::NotFresh)?;
        let now = self.clock.now().utc;
        let proved = session.authenticated_at.ok_or(PasskeyError::NotFresh)?;
        if now.saturating_since(proved) < FRESH {
            Ok(())
        } else {
            Err(PasskeyError::NotFresh)
        }
    }
}
