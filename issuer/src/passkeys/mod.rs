//! Passkeys (W3C Web Authentication): what a person signs in with, and confirms an approval with.
//!
//! The `webauthn_rp` library reads and checks what browsers send: type, challenge, origin, relying
//! party, user verification, signature, counter. This module owns what an answer is good for. Each
//! challenge is bound to one purpose and what belongs to it ([`Bound`]), is answered once, and is
//! used up in the same change as what it allows. A touch always means that the authenticator
//! verified its user.

mod registering;
mod signing_in;
mod touch;

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::Url;
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions,
    bin::{Decode as _, Encode as _},
    request::{
        AsciiDomain, RpId,
        auth::{AuthenticationVerificationOptions, AuthenticatorAttachmentEnforcement},
        register::UserHandle,
    },
    response::{
        auth::{DiscoverableAuthentication, error::AuthCeremonyErr},
        register::{CompressedPubKey, DynamicState, StaticState},
    },
};

use crate::{
    audit::AuditLogError,
    config::Site,
    core::{Core, Unavailable},
    store::{Account, Change, Passkey, StoreError, accounts, passkeys},
};

pub(crate) use touch::Touch;

/// How long a person may take with their authenticator.
const LIFETIME: Duration = Duration::from_secs(2 * 60);
/// Most challenges under way; past it, new ones wait for old ones to end.
const MAX_CHALLENGES: i64 = 10_000;
/// Length of what accounts are called towards authenticators.
const HANDLE_BYTES: usize = 32;

const BOUND_DOMAIN: &[u8] = b"bailiwick passkey challenge v1\0";
const HANDLE_DOMAIN: &[u8] = b"bailiwick passkey user v1\0";

type PublicKey = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;

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
    /// Too much is under way.
    #[error("too many passkeys are being used; try again in a moment")]
    Busy,
    /// The sign-in is too old for this.
    #[error("sign in again first: this takes a sign-in of the last ten minutes")]
    NotFresh,
    /// No such passkey.
    #[error("there is no such passkey")]
    NotFound,
    /// The account comes from an identity provider, which has to be asked each time.
    #[error(
        "this account signs in with your organisation; here a passkey confirms approvals alone"
    )]
    ProviderAccount,
    /// It could not be looked up or recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
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

/// What the answer to a challenge is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound([u8; 32]);

impl Bound {
    /// To a purpose and all that belongs to it.
    fn to(purpose: &str, parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new().chain_update(BOUND_DOMAIN);
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            digest = digest.chain_update(length.to_be_bytes()).chain_update(part);
        }
        Self(digest.finalize().into())
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

    /// Asks any passkey of this site to sign, and keeps the challenge. Returns the
    /// `PublicKeyCredentialRequestOptionsJSON`.
    async fn challenge(
        &self,
        change: &mut Change,
        bound: Bound,
        now: Timestamp,
    ) -> Result<Value, PasskeyError> {
        let options = DiscoverableCredentialRequestOptions::passkey(&self.relying_party()?.id);
        let challenge = options.0.challenge.as_data().to_le_bytes();
        let (server, client) = options.start_ceremony().map_err(internal)?;
        let state = server.encode().map_err(internal)?;
        self.keep(change, challenge, bound, &state, now).await?;
        Ok(serde_json::to_value(&client).map_err(internal)?)
    }

    async fn keep(
        &self,
        change: &mut Change,
        challenge: [u8; 16],
        bound: Bound,
        state: &[u8],
        now: Timestamp,
    ) -> Result<(), PasskeyError> {
        let ends = now.checked_add(LIFETIME);
        let ends = ends.ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;
        let (times, most) = ((now, ends), MAX_CHALLENGES);
        if passkeys::keep_challenge(change, challenge, bound.0, state, times, most).await? {
            Ok(())
        } else {
            Err(PasskeyError::Busy)
        }
    }

    /// The account and the passkey behind an answer to a challenge that was bound like this. The
    /// challenge is used up and the passkey's use noted, both once the change is sealed.
    async fn answered(
        &self,
        change: &mut Change,
        answer: &str,
        bound: Bound,
        now: Timestamp,
    ) -> Result<(Account, Passkey), PasskeyError> {
        let party = self.relying_party()?;
        let answer =
            DiscoverableAuthentication::<HANDLE_BYTES>::from_json_relaxed(answer.as_bytes());
        let answer = answer.map_err(|_| PasskeyError::Malformed)?;
        let challenge = answer.challenge_relaxed();
        let challenge = challenge
            .map_err(|_| PasskeyError::Malformed)?
            .0
            .to_le_bytes();
        let state = passkeys::use_challenge(change, challenge, bound.0, now).await?;
        let state = state.ok_or(PasskeyError::NoChallenge)?;
        let state = DiscoverableAuthenticationServerState::decode(&state);
        let state = state.map_err(|_| damaged("the challenge"))?;

        let passkey = passkeys::passkey_in(change, answer.raw_id().as_ref()).await?;
        let passkey = passkey.ok_or(PasskeyError::Unknown)?;
        let account = accounts::account_of_id_in(change, &passkey.account).await?;
        let account = account.filter(|account| account.disabled_at.is_none());
        let account = account.ok_or(PasskeyError::Unknown)?;
        let handle = handle_of(&account);
        let static_state: StaticState<PublicKey> =
            StaticState::decode(&passkey.static_state).map_err(|_| damaged("the key"))?;
        let dynamic_state = DynamicState::decode(passkey.dynamic_state);
        let dynamic_state = dynamic_state.map_err(|_| damaged("the counter"))?;
        let credential =
            AuthenticatedCredential::new(answer.raw_id(), &handle, static_state, dynamic_state);
        let mut credential = credential.map_err(|_| damaged("the state"))?;
        let options = AuthenticationVerificationOptions::<'_, '_, &str, &str> {
            allowed_origins: &[party.origin.as_str()],
            auth_attachment_enforcement: AuthenticatorAttachmentEnforcement::Ignore(true),
            ..AuthenticationVerificationOptions::default()
        };
        state
            .verify(&party.id, &answer, &mut credential, &options)
            .map_err(|error| match error {
                AuthCeremonyErr::SignatureCounter => PasskeyError::Copied,
                other => PasskeyError::Refused(other.to_string()),
            })?;
        let Ok(dynamic_state) = credential.dynamic_state().encode();
        passkeys::note_use(change, &passkey.id, dynamic_state, now).await?;
        Ok((account, passkey))
    }
}

fn internal(error: impl std::fmt::Display) -> Unavailable {
    Unavailable::Internal(format!("a passkey's challenge cannot be made: {error}"))
}
