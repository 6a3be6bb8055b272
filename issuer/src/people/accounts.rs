//! Managing accounts: who there is, and what each may do.
//!
//! A change that would leave nobody to manage accounts is refused. Accounts are disabled and
//! never deleted: the record names them.

use std::time::Duration;

use bailiwick_datalog::{Principal, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    Actor,
    ceiling::Ceiling,
    roles::{Roles, UnknownRole},
    user_name::{UserNameError, parse_user_name},
};
use crate::{
    config::Site,
    core::{Core, Unavailable},
    ids::fresh_id,
    secret::Secret,
    store::{
        self, Account, Change, StoreError, accounts, browsers, invitations, passkey_permissions,
    },
    text::visible_line,
};

/// How long an invitation works: over a weekend, not for ever.
const INVITATION_LIFETIME: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Why an account was not changed.
#[derive(Debug, Error)]
pub(crate) enum AccountError {
    /// There is no such account.
    #[error("there is no account `{0}`")]
    NotFound(String),
    /// The user name cannot be used.
    #[error(transparent)]
    UserName(#[from] UserNameError),
    /// Somebody has it already.
    #[error("there is an account `{0}` already")]
    Taken(Principal),
    /// No such role.
    #[error(transparent)]
    Role(#[from] UnknownRole),
    /// An account without any role could do nothing.
    #[error("name at least one role; an account that may do nothing is better disabled")]
    NoRole,
    /// Nobody would be left to manage accounts.
    #[error("`{0}` is the last account that may manage accounts; make another admin first")]
    LastAdmin(Principal),
    /// An identity that no workload has.
    #[error("a workload's identity has 1 to 2048 bytes, such as `spiffe://example.org/agent`")]
    Workload,
    /// The account is disabled.
    #[error("the account `{0}` is disabled; enable it first")]
    Disabled(Principal),
    /// Somebody would give themselves a way in.
    #[error(
        "nobody does this for their own account: another admin does, or the operator on the issuer's host with `bailiwick accounts`"
    )]
    Own,
    /// The change could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A one-time link, to be handed to the person it is for.
#[derive(Debug)]
pub(crate) struct Invitation {
    pub(crate) account: Account,
    pub(crate) link: Secret,
    pub(crate) expires_at: Timestamp,
}

impl Invitation {
    /// The link in full.
    pub(crate) fn url(&self, site: &Site) -> String {
        site.url(&format!("/invitations/{}", self.link.expose()))
    }
}

impl Core {
    /// The account with that user name.
    ///
    /// # Errors
    /// [`AccountError::NotFound`] or [`AccountError::Unavailable`].
    pub(crate) async fn account_named(&self, user_name: &str) -> Result<Account, AccountError> {
        let not_found = || AccountError::NotFound(visible_line(user_name));
        let name = parse_user_name(user_name).map_err(|_| not_found())?;
        self.store.account(&name).await?.ok_or_else(not_found)
    }

    /// Makes an account without a password, and the link with which its owner chooses one.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn add_account(
        &self,
        by: &Actor,
        typed_name: &str,
        roles: Roles,
    ) -> Result<Invitation, AccountError> {
        let user_name = parse_user_name(typed_name)?;
        if roles.is_empty() {
            return Err(AccountError::NoRole);
        }
        let now = self.clock.now().utc;
        let account = Account {
            id: fresh_id("acc", &self.entropy),
            user_name,
            password_hash: None,
            roles,
            ceiling: Ceiling::default(),
            workload_identity: None,
            created_at: now,
            disabled_at: None,
        };
        let mut change = self.store.change().await?;
        if !accounts::insert_account(&mut change, &account).await? {
            return Err(AccountError::Taken(account.user_name));
        }
        let invitation = self.invite(&mut change, account, now).await?;
        let fields = about(by, &invitation.account, json!({"roles": roles.words()}));
        self.seal(change, now, "account_added", fields).await?;
        Ok(invitation)
    }

    /// A fresh link for an account that lost its password or its first link. The password it
    /// has stays good until the link is used. Nobody makes one for themselves: a first passkey may be
    /// added with it.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn renew_invitation(
        &self,
        by: &Actor,
        user_name: &str,
    ) -> Result<Invitation, AccountError> {
        let (mut change, account) = self.account_to_change(user_name).await?;
        by.is_another_than(&account)?;
        if account.disabled_at.is_some() {
            return Err(AccountError::Disabled(account.user_name));
        }
        let now = self.clock.now().utc;
        let invitation = self.invite(&mut change, account, now).await?;
        let fields = about(by, &invitation.account, json!({}));
        self.seal(change, now, "account_invited", fields).await?;
        Ok(invitation)
    }

    /// Gives an account these roles and no others, at once: signed-in browsers keep their
    /// sign-in and lose what was taken.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn set_roles(
        &self,
        by: &Actor,
        user_name: &str,
        roles: Roles,
    ) -> Result<Account, AccountError> {
        if roles.is_empty() {
            return Err(AccountError::NoRole);
        }
        let (mut change, account) = self.account_to_change(user_name).await?;
        if !roles.admin {
            keep_an_admin(&mut change, &account).await?;
        }
        accounts::set_roles(&mut change, &account.id, roles).await?;
        let more = json!({"roles": roles.words(), "before": account.roles.words()});
        let (now, fields) = (self.clock.now().utc, about(by, &account, more));
        self.seal(change, now, "account_roles_set", fields).await?;
        Ok(Account { roles, ..account })
    }

    /// Replaces what an account may grant at most. Sessions that run keep what they were granted.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn set_ceiling(
        &self,
        by: &Actor,
        user_name: &str,
        ceiling: Ceiling,
    ) -> Result<Account, AccountError> {
        let (mut change, account) = self.account_to_change(user_name).await?;
        accounts::set_ceiling(&mut change, &account.id, &ceiling).await?;
        let more = json!({"ceiling": ceiling, "before": account.ceiling});
        let (now, fields) = (self.clock.now().utc, about(by, &account, more));
        self.seal(change, now, "account_ceiling_set", fields)
            .await?;
        Ok(Account { ceiling, ..account })
    }

    /// Says which workload acts through an account, by the identity it proves when it asks: the
    /// account then approves nothing that this workload asks for, and nothing that is asked for
    /// without a proof of identity.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn set_workload(
        &self,
        by: &Actor,
        user_name: &str,
        identity: Option<String>,
    ) -> Result<Account, AccountError> {
        // The id that a self-registered client sends says the same as the name it is known by.
        let known_as = |text: String| self.registrations.name(&text).unwrap_or(text);
        let workload_identity = identity.map(|text| known_as(visible_line(&text)));
        if workload_identity
            .as_ref()
            .is_some_and(|text| text.is_empty() || text.len() > 2_048)
        {
            return Err(AccountError::Workload);
        }
        let (mut change, account) = self.account_to_change(user_name).await?;
        accounts::set_workload(&mut change, &account.id, workload_identity.as_deref()).await?;
        let more = json!({"workload_identity": workload_identity});
        let (now, fields) = (self.clock.now().utc, about(by, &account, more));
        self.seal(change, now, "account_workload_set", fields)
            .await?;
        Ok(Account {
            workload_identity,
            ..account
        })
    }

    /// Disables an account: its browsers are signed out, its link stops working, and nobody
    /// signs in with it until it is enabled again.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn disable_account(
        &self,
        by: &Actor,
        user_name: &str,
    ) -> Result<Account, AccountError> {
        let (mut change, account) = self.account_to_change(user_name).await?;
        if account.disabled_at.is_some() {
            return Ok(account);
        }
        keep_an_admin(&mut change, &account).await?;
        let now = self.clock.now().utc;
        accounts::set_disabled(&mut change, &account.id, Some(now)).await?;
        invitations::withdraw(&mut change, &account.id).await?;
        passkey_permissions::withdraw(&mut change, &account.id).await?;
        browsers::end_all(&mut change, &account.id).await?;
        let fields = about(by, &account, json!({}));
        self.seal(change, now, "account_disabled", fields).await?;
        let disabled_at = Some(now);
        Ok(Account {
            disabled_at,
            ..account
        })
    }

    /// Takes back a disabling. Browsers that were signed out stay so.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn enable_account(
        &self,
        by: &Actor,
        user_name: &str,
    ) -> Result<Account, AccountError> {
        let (mut change, account) = self.account_to_change(user_name).await?;
        if account.disabled_at.is_none() {
            return Ok(account);
        }
        accounts::set_disabled(&mut change, &account.id, None).await?;
        let (now, fields) = (self.clock.now().utc, about(by, &account, json!({})));
        self.seal(change, now, "account_enabled", fields).await?;
        let disabled_at = None;
        Ok(Account {
            disabled_at,
            ..account
        })
    }

    /// Signs every browser of an account out, and says how many there were.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn sign_out_everywhere(
        &self,
        by: &Actor,
        user_name: &str,
    ) -> Result<u64, AccountError> {
        let (mut change, account) = self.account_to_change(user_name).await?;
        let ended = browsers::end_all(&mut change, &account.id).await?;
        let (now, fields) = (
            self.clock.now().utc,
            about(by, &account, json!({"browsers": ended})),
        );
        self.seal(change, now, "signed_out_everywhere", fields)
            .await?;
        Ok(ended)
    }

    /// An open change, and the account as it is inside it.
    pub(crate) async fn account_to_change(
        &self,
        user_name: &str,
    ) -> Result<(Change, Account), AccountError> {
        let not_found = || AccountError::NotFound(visible_line(user_name));
        let name = parse_user_name(user_name).map_err(|_| not_found())?;
        let mut change = self.store.change().await?;
        let account = accounts::account_in(&mut change, &name).await?;
        Ok((change, account.ok_or_else(not_found)?))
    }

    async fn invite(
        &self,
        change: &mut Change,
        account: Account,
        now: Timestamp,
    ) -> Result<Invitation, AccountError> {
        let link = Secret::generate(&self.entropy);
        let expires_at = now
            .checked_add(INVITATION_LIFETIME)
            .ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;
        invitations::replace(change, &link.digest(), &account.id, now, expires_at).await?;
        Ok(Invitation {
            account,
            link,
            expires_at,
        })
    }
}

/// Refuses to take the last account that may manage accounts.
async fn keep_an_admin(change: &mut Change, account: &Account) -> Result<(), AccountError> {
    let manages = account.roles.admin && account.disabled_at.is_none();
    if manages && store::accounts::count_admins(change).await? <= 1 {
        return Err(AccountError::LastAdmin(account.user_name.clone()));
    }
    Ok(())
}

/// The fields every change of an account is recorded with.
pub(super) fn about(by: &Actor, account: &Account, more: Value) -> Value {
    let mut fields = json!({
        "account": account.id,
        "user_name": account.user_name.as_str(),
        "by": by.name(),
    });
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}
