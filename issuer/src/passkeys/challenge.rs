//! Challenges: what each is bound to, how it is kept, and whose answer comes back.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions,
    bin::{Decode as _, Encode as _},
    request::auth::{AuthenticationVerificationOptions, AuthenticatorAttachmentEnforcement},
    response::{
        auth::{DiscoverableAuthentication, error::AuthCeremonyErr},
        register::{CompressedPubKey, DynamicState, StaticState},
    },
};

use super::{HANDLE_BYTES, PasskeyError, RelyingParty, damaged, handle_of, internal};
use crate::{
    core::{Core, Unavailable},
    store::{
        Account, Change, Passkey, accounts,
        passkey_challenges::{self, NewChallenge, Purpose, Room},
        passkeys,
    },
};

/// How long a person may take with their authenticator.
const LIFETIME: Duration = Duration::from_secs(2 * 60);
/// One browser on its way to sign in, or one account, has a few under way; a crowd that signs in
/// drives out what has waited longest.
const ROOM: Room = Room {
    of_purpose: 10_000,
    of_owner: 16,
};

const BOUND_DOMAIN: &[u8] = b"bailiwick passkey challenge v1\0";

type PublicKey = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;

/// What the answer to a challenge is good for, and whose the challenge is.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    purpose: Purpose,
    owner: Vec<u8>,
    digest: [u8; 32],
}

impl Bound {
    /// To a purpose, to whoever is to answer, and to all that belongs to it.
    pub(super) fn to(purpose: Purpose, owner: &[u8], parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new().chain_update(BOUND_DOMAIN);
        for part in [purpose.as_str().as_bytes(), owner].iter().chain(parts) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            digest = digest.chain_update(length.to_be_bytes()).chain_update(part);
        }
        Self {
            purpose,
            owner: owner.to_owned(),
            digest: digest.finalize().into(),
        }
    }
}

/// The answer of a passkey, read and not believed yet.
pub(super) struct Answer {
    read: DiscoverableAuthentication<HANDLE_BYTES>,
    challenge: [u8; 16],
}

impl Answer {
    /// Reads the JSON of a `PublicKeyCredential`.
    ///
    /// # Errors
    /// [`PasskeyError::Malformed`].
    pub(super) fn read(text: &str) -> Result<Self, PasskeyError> {
        let read = DiscoverableAuthentication::from_json_relaxed(text.as_bytes());
        let read = read.map_err(|_| PasskeyError::Malformed)?;
        let challenge = read.challenge_relaxed();
        let challenge = challenge.map_err(|_| PasskeyError::Malformed)?;
        let challenge = challenge.0.to_le_bytes();
        Ok(Self { read, challenge })
    }
}

impl Core {
    /// Asks any passkey of this site to sign, and keeps the challenge. Returns the
    /// `PublicKeyCredentialRequestOptionsJSON`.
    pub(super) async fn challenge(
        &self,
        change: &mut Change,
        bound: &Bound,
        now: Timestamp,
    ) -> Result<Value, PasskeyError> {
        let options = DiscoverableCredentialRequestOptions::passkey(&self.relying_party()?.id);
        let challenge = options.0.challenge.as_data().to_le_bytes();
        let (server, client) = options.start_ceremony().map_err(internal)?;
        let state = server.encode().map_err(internal)?;
        keep(change, challenge, bound, &state, now).await?;
        Ok(serde_json::to_value(&client).map_err(internal)?)
    }

    /// The account and the passkey behind an answer to a challenge that was bound like this. The
    /// challenge is used up and the passkey's use noted, both once the change is committed.
    pub(super) async fn answered(
        &self,
        change: &mut Change,
        answer: &Answer,
        bound: &Bound,
        now: Timestamp,
    ) -> Result<(Account, Passkey), PasskeyError> {
        let party = self.relying_party()?;
        let state = take(change, answer.challenge, bound, now).await?;
        let state = DiscoverableAuthenticationServerState::decode(&state);
        let state = state.map_err(|_| damaged("the challenge"))?;
        let passkey = passkeys::passkey_in(change, answer.read.raw_id().as_ref()).await?;
        let passkey = passkey.ok_or(PasskeyError::Unknown)?;
        let account = accounts::account_of_id_in(change, &passkey.account).await?;
        let account = account.filter(|account| account.disabled_at.is_none());
        let account = account.ok_or(PasskeyError::Unknown)?;
        let dynamic_state = verify(party, state, answer, &account, &passkey)?;
        passkeys::note_use(change, &passkey.id, dynamic_state, now).await?;
        Ok((account, passkey))
    }
}

/// Keeps a challenge that was made for an answer bound like this.
pub(super) async fn keep(
    change: &mut Change,
    challenge: [u8; 16],
    bound: &Bound,
    state: &[u8],
    now: Timestamp,
) -> Result<(), PasskeyError> {
    let expires_at = now.checked_add(LIFETIME);
    let overflow = || Unavailable::Internal("time overflows".to_owned());
    let new = NewChallenge {
        challenge,
        purpose: bound.purpose,
        owner: &bound.owner,
        bound_to: bound.digest,
        state,
        expires_at: expires_at.ok_or_else(overflow)?,
    };
    passkey_challenges::keep(change, &new, ROOM, now).await?;
    Ok(())
}

/// Uses up a challenge that was kept for an answer bound like this.
///
/// # Errors
/// [`PasskeyError::NoChallenge`] where there is none.
pub(super) async fn take(
    change: &mut Change,
    challenge: [u8; 16],
    bound: &Bound,
    now: Timestamp,
) -> Result<Vec<u8>, PasskeyError> {
    let state = passkey_challenges::take(change, challenge, bound.digest, now).await?;
    state.ok_or(PasskeyError::NoChallenge)
}

/// Checks an answer with the stored key, and returns what changed by it.
fn verify(
    party: &RelyingParty,
    state: DiscoverableAuthenticationServerState,
    answer: &Answer,
    account: &Account,
    passkey: &Passkey,
) -> Result<[u8; passkeys::DYNAMIC_BYTES], PasskeyError> {
    let handle = handle_of(account);
    let static_state: StaticState<PublicKey> =
        StaticState::decode(&passkey.static_state).map_err(|_| damaged("the key"))?;
    let dynamic_state = DynamicState::decode(passkey.dynamic_state);
    let dynamic_state = dynamic_state.map_err(|_| damaged("the counter"))?;
    let id = answer.read.raw_id();
    let credential = AuthenticatedCredential::new(id, &handle, static_state, dynamic_state);
    let mut credential = credential.map_err(|_| damaged("the state"))?;
    let options = AuthenticationVerificationOptions::<'_, '_, &str, &str> {
        allowed_origins: &[party.origin.as_str()],
        auth_attachment_enforcement: AuthenticatorAttachmentEnforcement::Ignore(true),
        ..AuthenticationVerificationOptions::default()
    };
    state
        .verify(&party.id, &answer.read, &mut credential, &options)
        .map_err(|error| match error {
            AuthCeremonyErr::SignatureCounter => PasskeyError::Copied,
            other => PasskeyError::Refused(other.to_string()),
        })?;
    let Ok(dynamic_state) = credential.dynamic_state().encode();
    Ok(dynamic_state)
}
