//! Signing in and out, and what a signed-in browser's cookie is good for.

use bailiwick_datalog::Timestamp;
use serde_json::json;
use thiserror::Error;

use super::user_name::parse_user_name;
use crate::{
    audit::AuditLogError,
    core::{Core, Unavailable},
    passwords::{HashError, Password},
    secret::{Secret, SecretDigest},
    store::{self, Account, BrowserSession, StoreError, accounts, authorizations, browsers},
    throttle::TooMany,
};

/// A browser's last use is written down this often at most.
const TOUCH_EVERY_SECONDS: u64 = 60;

/// Why a browser was not signed in.
#[derive(Debug, Error)]
pub(crate) enum SignInError {
    /// The user name or the password is wrong, or the account is disabled; which one is not
    /// said.
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
        $(impl From<$source> for SignInError {
            fn from(error: $source) -> Self {
                Self::Unavailable(error.into())
            }
        })+
    };
}

unavailable_from!(StoreError, AuditLogError, HashError);

/// What a browser had before it signed in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    /// Its session, which ends.
    pub(crate) session: Option<SecretDigest>,
    /// What ties the programs' requests to it.
    pub(crate) began: Option<SecretDigest>,
}

/// A browser that was just signed in.
#[derive(Debug)]
pub(crate) struct SignedInBrowser {
    /// Its fresh cookie.
    pub(crate) cookie: Secret,
    /// What ties programs' requests to it from now on, where it may not be what it was.
    pub(crate) began: Option<Secret>,
    pub(crate) account: Account,
}

impl Core {
    /// Signs a browser in under a fresh cookie; the one it had ends.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn sign_in(
        &self,
        typed_name: &str,
        password: Password,
        before: Before,
    ) -> Result<SignedInBrowser, SignInError> {
        let now = self.clock.now();
        let user_name = parse_user_name(typed_name).map_err(|_| SignInError::Wrong)?;
        self.sign_in_attempts
            .begin(user_name.as_str(), now.monotonic)
            .map_err(SignInError::TooMany)?;
        let account = self.store.account(&user_name).await?;
        let stored = account.as_ref().and_then(|a| a.password_hash.as_deref());
        let fits = self.passwords.verify(password, stored).await?;
        let fields = json!({"user_name": user_name.as_str()});
        let mut change = self.store.change().await?;
        // Read again: what fitted a moment ago may have been replaced or disabled meanwhile.
        let account = match account.filter(|_| fits) {
            Some(known) => accounts::account_of_id_in(&mut change, &known.id)
                .await?
                .filter(|now| {
                    now.disabled_at.is_none() && now.password_hash == known.password_hash
                }),
            None => None,
        };
        let Some(account) = account else {
            drop(change);
            self.audit
                .record(now.utc, "sign_in_refused", fields)
                .await?;
            tracing::warn!(user_name = user_name.as_str(), "sign-in refused");
            return Err(SignInError::Wrong);
        };
        let browser = self
            .start_browser(&mut change, account, before, now.utc)
            .await?;
        self.seal(change, now.utc, "signed_in", fields).await?;
        self.sign_in_attempts.succeeded(user_name.as_str());
        tracing::info!(user_name = user_name.as_str(), "signed in");
        Ok(browser)
    }

    /// The account behind a cookie, if the browser is signed in and neither idle nor signed in
    /// for too long, and the account is not disabled.
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

    /// The same without counting as a use of the browser.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn signed_in(&self, cookie: &Secret) -> Result<Option<Account>, Unavailable> {
        let session = self.store.browser_session(&cookie.digest()).await?;
        let now = self.clock.now().utc;
        let session = session.filter(|session| !self.is_over(session, now));
        Ok(session.map(|session| session.account))
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
        self.store.end_browser(&cookie.digest()).await?;
        self.pulse.beat();
        Ok(())
    }

    fn is_over(&self, session: &BrowserSession, now: Timestamp) -> bool {
        let idle = now.saturating_since(session.last_seen_at);
        let age = now.saturating_since(session.created_at);
        session.account.disabled_at.is_some()
            || idle >= self.settings.browser_idle
            || age >= self.settings.browser_absolute
    }

    /// Starts a session for somebody who has just proved who they are.
    pub(crate) async fn start_browser(
        &self,
        change: &mut store::Change,
        account: Account,
        before: Before,
        now: Timestamp,
    ) -> Result<SignedInBrowser, StoreError> {
        let times = (now, Some(now));
        self.start_browser_proved(change, account, before, times)
            .await
    }

    /// Starts a session under a fresh cookie, for somebody who proved who they are at the second of
    /// these times, where that is known. Where programs got sessions through this browser
    /// for somebody else, the browser is another one to them from here on: it keeps what waits in
    /// it, except what builds on those sessions.
    pub(crate) async fn start_browser_proved(
        &self,
        change: &mut store::Change,
        account: Account,
        before: Before,
        times: (Timestamp, Option<Timestamp>),
    ) -> Result<SignedInBrowser, StoreError> {
        let cookie = Secret::generate(&self.entropy);
        let absolute = self.settings.browser_absolute;
        let (digest, previous) = (cookie.digest(), before.session.as_ref());
        browsers::start_browser(change, &account, &digest, previous, times, absolute).await?;
        let (now, _) = times;
        let name = &account.user_name;
        let began = match before.began {
            Some(old) if authorizations::serves_another(change, &old, name, now).await? => {
                let fresh = Secret::generate(&self.entropy);
                authorizations::move_waiting(change, &old, &fresh.digest()).await?;
                Some(fresh)
            }
            Some(_) | None => None,
        };
        Ok(SignedInBrowser {
            cookie,
            began,
            account,
        })
    }
}
