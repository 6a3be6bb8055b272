//! Signing in with an identity provider: which account a vouched-for person is.
//!
//! An [`Attempt`] belongs to the browser that began it, which keeps it; the store knows those that
//! signed somebody in until they end, so that none does twice. A person is known by the provider's
//! subject alone; their roles are those of their groups, anew at each sign-in, and without one they
//! do not come in. A user name that is taken is never taken over.

use bailiwick_datalog::{Principal, Timestamp};
use bailiwick_verifier::Now;
use serde_json::json;
use thiserror::Error;
use url::Url;

use super::{
    attempt::{Attempt, LIFETIME, MAX_NEXT_BYTES},
    ceiling::Ceiling,
    provider::{Provider, ProviderError, Vouched},
    roles::{Roles, UnknownRole},
    sign_in::{Before, SignedInBrowser},
    user_name::parse_user_name,
};
use crate::{
    audit::AuditLogError,
    core::{Core, Unavailable},
    ids::fresh_id,
    sealing::Sealer,
    secret::Secret,
    store::{Account, Change, StoreError, accounts, clients, identities},
};

/// How far the provider's clock may be from ours, in seconds.
const SKEW_S: u64 = 30;

/// Why nobody was signed in.
#[derive(Debug, Error)]
pub(crate) enum IdentityError {
    /// No provider is configured.
    #[error("this issuer signs nobody in with an identity provider")]
    NoProvider,
    /// The answer belongs to no attempt of this browser, or came too late.
    #[error("this sign-in did not begin in this browser, or took too long; begin again")]
    NoAttempt,
    /// Where it is to lead does not fit the browser's cookie.
    #[error(
        "the address that you were on the way to is too long to be kept while you are at the identity provider; sign in first, then begin again there"
    )]
    LongWay,
    /// The answer is not the provider's.
    #[error("the answer does not name the identity provider that you were sent to")]
    OtherProvider,
    /// The provider said no.
    #[error("the identity provider did not sign you in")]
    Refused,
    /// The provider did not vouch.
    #[error("the identity provider's answer was not accepted")]
    Provider(#[from] ProviderError),
    /// It was to have the person sign in anew, and does not say when they did.
    #[error(
        "the identity provider does not say when you signed in there, so this is no fresh sign-in"
    )]
    NoAuthTime,
    /// It was to, and they did not.
    #[error("the identity provider let you in without having you sign in again")]
    NotAnew,
    /// No user name can be made of what it says.
    #[error("the identity provider gives no name that can be used here")]
    NoName,
    /// Somebody else has the name.
    #[error("the user name `{0}` belongs to another account here; ask an admin")]
    Taken(Principal),
    /// None of the groups has a role.
    #[error("none of your groups has a role here; ask an admin")]
    NoRole,
    /// Nobody would be left to manage accounts.
    #[error(
        "your groups take the role admin from `{0}`, the last account that has it; make another admin first"
    )]
    LastAdmin(Principal),
    /// The account is disabled.
    #[error("this account is disabled; ask an admin")]
    Disabled,
    /// The sign-in could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for IdentityError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<AuditLogError> for IdentityError {
    fn from(error: AuditLogError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// The provider, what its groups may do here, and what seals the attempts under way.
pub(crate) struct Identities {
    provider: Provider,
    roles: Vec<(String, Roles)>,
    sealer: Sealer,
}

/// A browser on its way to the provider.
pub(crate) struct Departing {
    /// Where it goes.
    pub(crate) address: Url,
    /// What it keeps meanwhile.
    pub(crate) kept: Secret,
}

/// What a browser brings back from the provider.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) state: String,
    pub(crate) code: Option<String>,
    pub(crate) issuer: Option<String>,
    /// What it was given to keep.
    pub(crate) kept: Secret,
}

impl Identities {
    /// Checks the roles that groups are to have.
    ///
    /// # Errors
    /// [`UnknownRole`].
    pub(crate) fn new(provider: Provider, sealer: Sealer) -> Result<Self, UnknownRole> {
        let groups = provider.config().roles.iter();
        let roles = groups.map(|(group, words)| Ok((group.clone(), Roles::read(words)?)));
        Ok(Self {
            roles: roles.collect::<Result<_, UnknownRole>>()?,
            provider,
            sealer,
        })
    }

    /// The roles of all groups together.
    fn roles_of(&self, groups: &[String]) -> Roles {
        let held = self
            .roles
            .iter()
            .filter(|(group, _)| groups.contains(group));
        held.fold(Roles::default(), |all, (_, roles)| Roles {
            admin: all.admin || roles.admin,
            approver: all.approver || roles.approver,
            auditor: all.auditor || roles.auditor,
        })
    }
}

impl Core {
    /// Sends a browser to the provider, which is to have the person sign in `anew` where a fresh
    /// sign-in is wanted.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(crate) async fn begin_identity(
        &self,
        browser: &Secret,
        next: Option<String>,
        anew: bool,
    ) -> Result<Departing, IdentityError> {
        let identities = self.identities.as_ref().ok_or(IdentityError::NoProvider)?;
        if next
            .as_ref()
            .is_some_and(|next| next.len() > MAX_NEXT_BYTES)
        {
            return Err(IdentityError::LongWay);
        }
        let [state, nonce, verifier] = [(); 3].map(|()| Secret::generate(&self.entropy));
        let provider = &identities.provider;
        let departure = provider.departure(&state, nonce, verifier, anew).await;
        let departure = departure.inspect_err(|cause| tracing::warn!(%cause, "no provider"))?;
        let address = departure.address.clone();
        let now = self.clock.now();
        let anew = anew.then_some(now.utc);
        let attempt = Attempt::begin(state, departure, next, anew, now.monotonic);
        let kept = attempt.seal(&identities.sealer, &self.entropy, browser);
        let kept = kept.map_err(|cause| Unavailable::Internal(cause.to_string()))?;
        Ok(Departing { address, kept })
    }

    /// Signs a browser in with what it brings back from the provider, under a fresh cookie; the
    /// session it had ends. Returns where it wanted to go as well.
    ///
    /// # Errors
    /// [`IdentityError`]. After any but [`IdentityError::NoAttempt`] the browser is to keep the
    /// attempt no longer; an answer to none of its attempts leaves it the one it has.
    pub(crate) async fn finish_identity(
        &self,
        browser: &Secret,
        returned: Returned,
        before: Before,
    ) -> Result<(SignedInBrowser, Option<String>), IdentityError> {
        let identities = self.identities.as_ref().ok_or(IdentityError::NoProvider)?;
        let now = self.clock.now();
        let attempt = Attempt::open(&identities.sealer, &returned.kept, browser, now.monotonic);
        let attempt = attempt.filter(|attempt| attempt.is_answered_by(&returned.state));
        let attempt = attempt.ok_or(IdentityError::NoAttempt)?;
        let (mark, next, anew) = (attempt.mark(), attempt.next, attempt.anew);
        let issuer = identities.provider.config().issuer.as_str();
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        let is_from_there = match &returned.issuer {
            Some(named) => named == issuer,
            None => !attempt.answers_name_it,
        };
        if !is_from_there {
            return Err(IdentityError::OtherProvider);
        }
        let code = returned.code.ok_or(IdentityError::Refused)?;
        let vouched = identities
            .provider
            .vouched(code, &attempt.nonce, attempt.verifier, now.utc)
            .await;
        let vouched = match vouched {
            Ok(vouched) => vouched,
            Err(cause) => {
                tracing::warn!(%cause, "sign-in with the identity provider refused");
                self.note_unvouched(issuer, &cause, now).await?;
                return Err(cause.into());
            }
        };
        let authenticated_at = match anew.map(|asked| signed_in_anew(&vouched, asked, now.utc)) {
            None => None,
            Some(Ok(at)) => Some(at),
            Some(Err(why)) => return Err(self.not_admitted(issuer, &vouched, why, now.utc).await),
        };
        let roles = identities.roles_of(&vouched.groups);
        let mut change = self.store.change().await?;
        let kept_until = now.utc.checked_add(LIFETIME);
        let kept_until =
            kept_until.ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;
        if !clients::use_assertion(&mut change, &mark, kept_until, now.utc).await? {
            return Err(IdentityError::NoAttempt);
        }
        let account = match self.account_of(&mut change, issuer, &vouched, roles).await {
            Ok(account) => account,
            Err(IdentityError::Unavailable(cause)) => return Err(cause.into()),
            Err(refused) => {
                drop(change);
                return Err(self.not_admitted(issuer, &vouched, refused, now.utc).await);
            }
        };
        let fields = json!({
            "user_name": account.user_name.as_str(),
            "issuer": issuer,
            "subject": vouched.subject,
            "roles": roles.words(),
            "authenticated_at": authenticated_at.map(Timestamp::to_rfc3339),
        });
        let times = (now.utc, authenticated_at);
        let signed_in = self
            .start_browser_proved(&mut change, account, before, times)
            .await?;
        self.seal(change, now.utc, "signed_in", fields).await?;
        Ok((signed_in, next))
    }

    /// Records that somebody for whom the provider vouches does not come in.
    async fn not_admitted(
        &self,
        issuer: &str,
        vouched: &Vouched,
        why: IdentityError,
        now: Timestamp,
    ) -> IdentityError {
        let subject = &vouched.subject;
        let fields = json!({"issuer": issuer, "subject": subject, "why": why.to_string()});
        match self.audit.record(now, "sign_in_refused", fields).await {
            Ok(()) => why,
            Err(cause) => cause.into(),
        }
    }

    /// Anybody can have this happen as often as they like: so many a minute get a line, and the next
    /// line says how many got none.
    async fn note_unvouched(
        &self,
        issuer: &str,
        cause: &ProviderError,
        now: Now,
    ) -> Result<(), IdentityError> {
        let missed = self.unvouched.count("", "identity_refused", now.monotonic);
        let Some(missed) = missed else {
            return Ok(());
        };
        let fields = json!({
            "issuer": issuer,
            "why": cause.to_string(),
            "not_recorded_before": missed,
        });
        let recorded = self.audit.record(now.utc, "sign_in_refused", fields).await;
        recorded.map_err(IdentityError::from)
    }

    async fn account_of(
        &self,
        change: &mut Change,
        issuer: &str,
        vouched: &Vouched,
        roles: Roles,
    ) -> Result<Account, IdentityError> {
        if roles.is_empty() {
            return Err(IdentityError::NoRole);
        }
        if let Some(account) = identities::account_in(change, issuer, &vouched.subject).await? {
            if account.disabled_at.is_some() {
                return Err(IdentityError::Disabled);
            }
            let loses_admin = account.roles.admin && !roles.admin;
            if loses_admin && accounts::count_admins(change).await? <= 1 {
                return Err(IdentityError::LastAdmin(account.user_name));
            }
            accounts::set_roles(change, &account.id, roles).await?;
            return Ok(Account { roles, ..account });
        }
        let name = vouched.name.as_deref().ok_or(IdentityError::NoName)?;
        let user_name = parse_user_name(name).map_err(|_| IdentityError::NoName)?;
        let account = Account {
            id: fresh_id("acc", &self.entropy),
            user_name,
            password_hash: None,
            roles,
            ceiling: Ceiling::default(),
            workload_identity: None,
            created_at: self.clock.now().utc,
            disabled_at: None,
        };
        if !accounts::insert_account(change, &account).await? {
            return Err(IdentityError::Taken(account.user_name));
        }
        identities::insert(change, issuer, &vouched.subject, &account.id).await?;
        Ok(account)
    }
}

/// When somebody signed in at the provider that was `asked` to have them do so anew (OpenID Connect
/// Core section 3.1.3.7, rule 13). That it knew them already is not enough.
fn signed_in_anew(
    vouched: &Vouched,
    asked: Timestamp,
    now: Timestamp,
) -> Result<Timestamp, IdentityError> {
    let at = vouched.authenticated_at.ok_or(IdentityError::NoAuthTime)?;
    let earliest = asked.unix().saturating_sub(SKEW_S);
    let latest = now.unix().saturating_add(SKEW_S);
    if (earliest..=latest).contains(&at.unix()) {
        Ok(at.min(now))
    } else {
        Err(IdentityError::NotAnew)
    }
}
