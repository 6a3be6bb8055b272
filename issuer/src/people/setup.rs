//! Coming in for the first time: the link of the first start, and invitations.
//!
//! Both are one-time links on which a person chooses a password and is signed in. Whoever holds one
//! has the word of somebody who manages accounts, so that browser may add a first passkey.

use bailiwick_datalog::Principal;
use serde_json::json;
use thiserror::Error;

use super::{
    ceiling::Ceiling,
    roles::Roles,
    sign_in::{Before, SignedInBrowser},
    user_name::{UserNameError, parse_user_name},
};
use crate::{
    core::{Core, Unavailable},
    ids::fresh_id,
    passkeys::allow_with_link,
    passwords::{HashError, Password, PasswordRefused},
    secret::{Secret, SecretDigest},
    store::{Account, StoreError, accounts, applications, browsers, invitations, passkeys},
};

/// The application that is there from the start.
const FIRST_APPLICATION: &str = "default";

/// Why a one-time link did not let somebody in.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    /// The link of the first start was used, replaced by a later start, or never existed.
    #[error(
        "this set-up link does not work any more; restart the issuer for a new one, or sign in"
    )]
    LinkUsed,
    /// The invitation was used, replaced, is too old, or never existed.
    #[error("this link does not work any more; ask whoever sent it for a new one")]
    InvitationUsed,
    /// The user name cannot be used.
    #[error(transparent)]
    UserName(#[from] UserNameError),
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordRefused),
    /// The two passwords typed are not the same.
    #[error("the two passwords are not the same")]
    PasswordsDiffer,
    /// The account could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for SetupError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<HashError> for SetupError {
    fn from(error: HashError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A new password as typed into a form, twice.
#[derive(Debug)]
pub(crate) struct NewPassword {
    pub(crate) password: Password,
    pub(crate) repeated: Password,
}

impl NewPassword {
    fn check(self, user_name: &Principal) -> Result<Password, SetupError> {
        self.password.check_new(user_name.as_str())?;
        if self.password != self.repeated {
            return Err(SetupError::PasswordsDiffer);
        }
        Ok(self.password)
    }
}

/// What was typed into the set-up form.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) link: Secret,
    pub(crate) user_name: String,
    pub(crate) password: NewPassword,
}

impl Core {
    /// Creates the first account, which manages and approves, and signs its browser in.
    ///
    /// # Errors
    /// [`SetupError`]; the link still works then, unless it was [`SetupError::LinkUsed`].
    pub(crate) async fn set_up(&self, setup: Setup) -> Result<SignedInBrowser, SetupError> {
        let link = setup.link.digest();
        if !self.store.setup_link_works(&link).await? {
            return Err(SetupError::LinkUsed);
        }
        let user_name = parse_user_name(&setup.user_name)?;
        let password = setup.password.check(&user_name)?;
        let now = self.clock.now().utc;
        let account = Account {
            id: fresh_id("acc", &self.entropy),
            user_name,
            password_hash: Some(self.passwords.hash(password).await?),
            roles: Roles::FIRST,
            ceiling: Ceiling::default(),
            workload_identity: None,
            created_at: now,
            disabled_at: None,
        };

        let mut change = self.store.change().await?;
        if !accounts::use_setup_link(&mut change, &link, now).await? {
            return Err(SetupError::LinkUsed);
        }
        if !accounts::insert_account(&mut change, &account).await? {
            return Err(SetupError::LinkUsed);
        }
        applications::assign(&mut change, FIRST_APPLICATION, &account.id).await?;
        let fields = json!({
            "account": account.id,
            "user_name": account.user_name.as_str(),
            "roles": account.roles.words(),
        });
        let before = Before::default();
        let browser = self
            .start_browser(&mut change, account, before, now)
            .await?;
        allow_with_link(&mut change, &browser.account, &browser.cookie, now).await?;
        self.seal(change, now, "approver_created", fields).await?;
        self.setup_link.forget();
        let user_name = browser.account.user_name.as_str();
        tracing::info!(user_name, "first approver created");
        Ok(browser)
    }

    /// The account that an invitation is for, while the link works.
    ///
    /// # Errors
    /// [`SetupError::InvitationUsed`] or [`SetupError::Unavailable`].
    pub(crate) async fn invited(&self, link: &SecretDigest) -> Result<Account, SetupError> {
        let now = self.clock.now().utc;
        let account = self.store.invited_account(link, now).await?;
        account.ok_or(SetupError::InvitationUsed)
    }

    /// Gives the invited account its password and signs the browser in. Every other browser of
    /// the account is signed out, and its passkeys are gone: whoever lost a password may have lost
    /// it to somebody, who may have added a passkey of their own.
    ///
    /// # Errors
    /// [`SetupError`]; the link still works then, unless it was [`SetupError::InvitationUsed`].
    pub(crate) async fn accept_invitation(
        &self,
        link: &SecretDigest,
        password: NewPassword,
        before: Before,
    ) -> Result<SignedInBrowser, SetupError> {
        let account = self.invited(link).await?;
        let password = password.check(&account.user_name)?;
        let hash = self.passwords.hash(password).await?;

        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        if !invitations::use_invitation(&mut change, link, &account.id, now).await? {
            return Err(SetupError::InvitationUsed);
        }
        accounts::set_password(&mut change, &account.id, &hash).await?;
        browsers::end_all(&mut change, &account.id).await?;
        let passkeys = passkeys::remove_all(&mut change, &account.id).await?;
        let user_name = account.user_name.clone();
        let fields = json!({"account": account.id, "user_name": user_name.as_str(),
            "passkeys_removed": passkeys});
        let browser = self
            .start_browser(&mut change, account, before, now)
            .await?;
        allow_with_link(&mut change, &browser.account, &browser.cookie, now).await?;
        self.seal(change, now, "invitation_accepted", fields)
            .await?;
        tracing::info!(user_name = user_name.as_str(), "invitation accepted");
        Ok(browser)
    }
}
