//! Approvers: the first one comes from the set-up link, all of them sign in with a password.

use bailiwick_datalog::{NameError, Principal, Timestamp};
use serde_json::json;
use thiserror::Error;

use crate::{
    audit::AuditLogError,
    core::{Core, Unavailable},
    ids::fresh_id,
    passwords::{HashError, Password, PasswordRefused},
    secret::{Secret, SecretDigest},
    store::{self, Account, BrowserSession, StoreError, accounts},
    throttle::TooMany,
};

/// Longest user name, in bytes.
pub(crate) const MAX_USER_NAME_BYTES: usize = 64;
/// A browser's last use is written down this often at most.
const TOUCH_EVERY_SECONDS: u64 = 60;

/// Why a user name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UserNameError {
    /// Empty, or longer than 64 bytes.
    #[error("the user name needs 1 to {MAX_USER_NAME_BYTES} characters")]
    Length,
    /// A character that could be mistaken for another.
    #[error("the user name may have the letters a to z, digits, `.`, `_`, `@`, `+` and `-`")]
    Character,
    /// Not a name a token could carry.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Reads a user name as typed. Capital letters are taken as small ones, at set-up and at
/// sign-in alike.
///
/// # Errors
/// [`UserNameError`].
pub(crate) fn parse_user_name(typed: &str) -> Result<Principal, UserNameError> {
    let name = typed.trim().to_ascii_lowercase();
    if name.is_empty() || name.len() > MAX_USER_NAME_BYTES {
        return Err(UserNameError::Length);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
    if !name.chars().all(plain) {
        return Err(UserNameError::Character);
    }
    Ok(Principal::parse(name)?)
}

/// Why the first approver was not created.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    /// The link was used, replaced by a later start, or never existed.
    #[error(
        "this set-up link does not work any more; restart the issuer for a new one, or sign in"
    )]
    LinkUsed,
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

/// Why a browser was not signed in.
#[derive(Debug, Error)]
pub(crate) enum SignInError {
    /// The user name or the password is wrong; which one is not said.
    #[error("the user name or the password is wrong")]
    Wrong,
    /// Too many attempts.
    #[error("too many attempts; try again in {} s", .0.retry_after.as_secs().saturating_add(1))]
    TooMany(TooMany),
    /// The sign-in could not be checked or recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

macro_rules! unavailable_from {
    ($($source:ty),+) => {
        $(impl From<$source> for SetupError {
            fn from(error: $source) -> Self {
                Self::Unavailable(error.into())
            }
        }
        impl From<$source> for SignInError {
            fn from(error: $source) -> Self {
                Self::Unavailable(error.into())
            }
        })+
    };
}

unavailable_from!(StoreError, AuditLogError, HashError);

/// What was typed into the set-up form.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) link: Secret,
    pub(crate) user_name: String,
    pub(crate) password: Password,
    pub(crate) repeated: Password,
}

impl Core {
    /// Creates the first approver and signs their browser in. Returns the new cookie.
    ///
    /// # Errors
    /// [`SetupError`]; the link still works then, unless it was [`SetupError::LinkUsed`].
    pub(crate) async fn set_up(&self, setup: Setup) -> Result<Secret, SetupError> {
        let link = setup.link.digest();
        if !self.store.setup_link_works(&link).await? {
            return Err(SetupError::LinkUsed);
        }
        let user_name = parse_user_name(&setup.user_name)?;
        setup.password.check_new(user_name.as_str())?;
        if setup.password != setup.repeated {
            return Err(SetupError::PasswordsDiffer);
        }
        let password_hash = self.passwords.hash(setup.password).await?;
        let account = Account {
            id: fresh_id("acc", &self.entropy),
            user_name,
            password_hash,
        };

        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        if !accounts::create_first_account(&mut change, &link, &account, now).await? {
            return Err(SetupError::LinkUsed);
        }
        let fields = json!({"account": account.id, "user_name": account.user_name.as_str()});
        let cookie = self.start_browser(&mut change, &account, None, now).await?;
        self.seal(change, now, "approver_created", fields).await?;
        self.setup_link.forget();
        tracing::info!(
            user_name = account.user_name.as_str(),
            "first approver created"
        );
        Ok(cookie)
    }

    /// Signs a browser in under a fresh cookie; the one it had ends.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn sign_in(
        &self,
        typed_name: &str,
        password: Password,
        previous: Option<SecretDigest>,
    ) -> Result<Secret, SignInError> {
        let now = self.clock.now();
        let user_name = parse_user_name(typed_name).map_err(|_| SignInError::Wrong)?;
        self.sign_in_attempts
            .begin(user_name.as_str(), now.monotonic)
            .map_err(SignInError::TooMany)?;
        let account = self.store.account(&user_name).await?;
        let stored = account
            .as_ref()
            .map(|account| account.password_hash.as_str());
        let fits = self.passwords.verify(password, stored).await?;
        let Some(account) = account else {
            return Err(SignInError::Wrong);
        };
        let fields = json!({"user_name": user_name.as_str()});
        if !fits {
            self.audit
                .record(now.utc, "sign_in_refused", fields)
                .await?;
            tracing::warn!(user_name = user_name.as_str(), "sign-in refused");
            return Err(SignInError::Wrong);
        }
        let mut change = self.store.change().await?;
        let cookie = self
            .start_browser(&mut change, &account, previous, now.utc)
            .await?;
        self.seal(change, now.utc, "signed_in", fields).await?;
        self.sign_in_attempts.succeeded(user_name.as_str());
        tracing::info!(user_name = user_name.as_str(), "signed in");
        Ok(cookie)
    }

    /// The browser behind a cookie, if it is signed in and neither idle nor signed in for
    /// too long.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn browser(&self, cookie: &Secret) -> Result<Option<Account>, Unavailable> {
        let digest = cookie.digest();
        let Some(session) = self.store.browser_session(&digest).await? else {
            return Ok(None);
        };
        let now = self.clock.now().utc;
        if self.is_over(&session, now) {
            self.store.end_browser(&digest).await?;
            return Ok(None);
        }
        if now.unix()
            >= session
                .last_seen_at
                .unix()
                .saturating_add(TOUCH_EVERY_SECONDS)
        {
            self.store.touch_browser(&digest, now).await?;
        }
        Ok(Some(session.account))
    }

    /// Ends a browser's sign-in.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn sign_out(&self, cookie: &Secret, name: &str) -> Result<(), Unavailable> {
        let now = self.clock.now().utc;
        self.audit
            .record(now, "signed_out", json!({"user_name": name}))
            .await?;
        Ok(self.store.end_browser(&cookie.digest()).await?)
    }

    fn is_over(&self, session: &BrowserSession, now: Timestamp) -> bool {
        let idle = now.saturating_since(session.last_seen_at);
        let age = now.saturating_since(session.created_at);
        idle >= self.settings.browser_idle || age >= self.settings.browser_absolute
    }

    async fn start_browser(
        &self,
        change: &mut store::Change,
        account: &Account,
        previous: Option<SecretDigest>,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        let cookie = Secret::generate(&self.entropy);
        let absolute = self.settings.browser_absolute;
        let (digest, previous) = (cookie.digest(), previous.as_ref());
        accounts::start_browser(change, account, &digest, previous, now, absolute).await?;
        Ok(cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_name_is_read_without_regard_to_case() {
        assert_eq!(
            parse_user_name(" Ada.L@example.com ").unwrap().as_str(),
            "ada.l@example.com"
        );
    }

    #[test]
    fn user_name_that_could_deceive_is_refused() {
        assert_eq!(parse_user_name(""), Err(UserNameError::Length));
        assert!(parse_user_name(&"a".repeat(64)).is_ok());
        assert_eq!(parse_user_name(&"a".repeat(65)), Err(UserNameError::Length));
        for bad in ["ad a", "аda", "ada\u{202e}", "ada/", "ada<b>"] {
            assert_eq!(parse_user_name(bad), Err(UserNameError::Character), "{bad}");
        }
    }
}
