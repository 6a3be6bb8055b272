//! Passkeys (W3C Web Authentication): what a person signs in with, and confirms an approval with.
//!
//! The `webauthn_rp` library reads and checks what browsers send: type, challenge, origin, relying
//! party, user verification, signature, counter. This module owns what an answer is good for. Each
//! challenge is bound to one purpose and what belongs to it (`challenge`), is answered once, and is
//! used up in the same change as what it allows. A touch always means that the authenticator
//! verified its user.

mod challenge;
mod first;
mod managing;
mod registering;
mod signing_in;
mod touch;

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::Url;
use webauthn_rp::{
    bin::Decode as _,
    request::{AsciiDomain, RpId, register::UserHandle},
};

use crate::{
    audit::AuditLogError,
    config::Site,
    core::{Core, Unavailable},
    people::{AccountError, Actor},
    store::{Account, StoreError},
    throttle,
};

pub(crate) use first::{MayAdd, allow_with_link};
pub(crate) use managing::Listed;
pub(crate) use registering::NewPasskey;
pub(crate) use touch::Touch;

/// A sign-in is fresh for this long.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// Length of what accounts are called towards authenticators.
const HANDLE_BYTES: usize = 32;

const HANDLE_DOMAIN: &[u8] = b"bailiwick passkey user v1\0";

/// Why a passkey was not registered, removed, or believed.
#[derive(Debug, Error)]
pub(crate) enum PasskeyError {
    /// The issuer is reached by an address, and passkeys are bound to names.
    #[error("passkeys need an issuer that is reached by a host name over https, or at `localhost`")]
    NoName,
    /// The answer cannot be read.
    #[error("the answer of the passkey cannot be read")]
    Malformed,
    /// The challenge is another's, is used up, or is too old.
    #[error("this touch of the passkey was for something else, was used already, or is too old")]
    NoChallenge,
    /// No account has the passkey.
    #[error("this passkey is not registered here")]
    Unknown,
    /// It is of another account.
    #[error("this passkey is registered for another account")]
    OtherAccount,
    /// The answer does not hold.
    #[error("the answer of the passkey does not hold: {0}")]
    Refused(String),
    /// The signature counter did not go up.
    #[error(
        "the counter of this passkey went backwards: there may be a copy of it; remove it and register another"
    )]
    Copied,
    /// The passkey is registered already.
    #[error("this passkey is registered already")]
    Taken,
    /// The name cannot be used.
    #[error("the name needs 1 to {} characters", registering::MAX_NAME_CHARS)]
    Name,
    /// There are enough.
    #[error("an account has {} passkeys at most", registering::MAX_PASSKEYS)]
    TooMany,
    /// This browser has tried too often.
    #[error("too many attempts; try again in {} s", .0.retry_after.as_secs().saturating_add(1))]
    Wait(throttle::TooMany),
    /// The sign-in is too old for this.
    #[error("sign in again first: this takes a sign-in of the last ten minutes")]
    NotFresh,
    /// Nobody has allowed a first one.
    #[error(
        "a first passkey is added right after the account's one-time link was used, or once somebody else has allowed it: ask an admin"
    )]
    NotAllowed,
    /// A further one has to be confirmed.
    #[error("a further passkey has to be confirmed with one that the account has")]
    TouchNeeded,
    /// There is no need to allow a first one.
    #[error(
        "this account has a passkey, which confirms further ones; if it is lost, remove it first"
    )]
    HasOne,
    /// No such passkey.
    #[error("there is no such passkey")]
    NotFound,
    /// The account comes from an identity provider, which has to be asked each time.
    #[error(
        "this account signs in with your organisation; here a passkey confirms approvals alone"
    )]
    ProviderAccount,
    /// The account is not one for this.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// It could not be looked up or recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl PasskeyError {
    /// Whether this came of an answer to a challenge of ours, which is used up by it.
    fn met_its_challenge(&self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::OtherAccount
                | Self::Refused(_)
                | Self::Copied
                | Self::ProviderAccount
        )
    }
}

impl From<StoreError> for PasskeyError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<AuditLogError> for PasskeyError {
    fn from(error: AuditLogError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What passkeys are bound to: this issuer's host name, and the origin of its pages.
pub(crate) struct RelyingParty {
    id: RpId,
    origin: String,
}

impl RelyingParty {
    /// The relying party of a site; `None` where it is reached by an address.
    pub(crate) fn of(site: &Site) -> Option<Self> {
        let url = Url::parse(site.origin()).ok()?;
        let domain = AsciiDomain::try_from(url.domain()?.to_owned()).ok()?;
        Some(Self {
            id: RpId::Domain(domain),
            origin: site.origin().to_owned(),
        })
    }
}

/// What an account is called towards authenticators: always the same, and nothing about a person.
fn handle_of(account: &Account) -> UserHandle<HANDLE_BYTES> {
    let digest = Sha256::new()
        .chain_update(HANDLE_DOMAIN)
        .chain_update(&account.id)
        .finalize();
    let Ok(handle) = UserHandle::decode(digest.into());
    handle
}

fn damaged(what: &str) -> PasskeyError {
    StoreError::Damaged(format!("{what} of a passkey")).into()
}

impl Core {
    fn relying_party(&self) -> Result<&RelyingParty, PasskeyError> {
        self.passkeys.as_ref().ok_or(PasskeyError::NoName)
    }
}

fn internal(error: impl std::fmt::Display) -> Unavailable {
    Unavailable::Internal(format!("a passkey's challenge cannot be made: {error}"))
}

/// The fields that every change of a passkey is recorded with.
fn about(by: &Actor, account: &Account, passkey: &str, name: &str, more: Value) -> Value {
    let mut fields = json!({
        "passkey": passkey,
        "name": name,
        "user_name": account.user_name.as_str(),
        "by": by.name(),
    });
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}
