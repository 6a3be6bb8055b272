//! Registering passkeys, and removing them.
//!
//! A passkey outlasts the sign-in it was registered in, so registering one takes a fresh sign-in:
//! whoever finds a browser open leaves nothing behind.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};
use webauthn_rp::{
    PublicKeyCredentialCreationOptions, Registration, RegistrationServerState,
    bin::{Decode as _, Encode as _},
    request::{
        PublicKeyCredentialDescriptor,
        register::{
            CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, Username,
        },
    },
    response::{AuthTransports, CredentialId},
};

use super::{
    HANDLE_BYTES, PasskeyError,
    challenge::{self, Bound},
    damaged, handle_of, internal,
};
use crate::{
    core::Core,
    ids::fresh_id,
    people::Actor,
    secret::Secret,
    store::{Account, Passkey, StoreError, passkey_challenges::Purpose, passkeys},
    text::visible_line,
};

/// Most passkeys of one account.
pub(super) const MAX_PASSKEYS: i64 = 16;
/// Longest name of one, in characters.
pub(super) const MAX_NAME_CHARS: usize = 64;
/// A sign-in is fresh for this long.
const FRESH: Duration = Duration::from_secs(10 * 60);

impl Core {
    /// Begins to register a passkey for the account that is signed in with that cookie. Returns the
    /// `PublicKeyCredentialCreationOptionsJSON`.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn begin_passkey(
        &self,
        account: &Account,
        cookie: &Secret,
    ) -> Result<Value, PasskeyError> {
        let party = self.relying_party()?;
        let now = self.clock.now().utc;
        self.check_fresh(cookie, now).await?;
        let known = self.store.passkeys_of(&account.id).await?;
        let exclude: Result<Vec<_>, _> = known.into_iter().map(descriptor).collect();
        let handle = handle_of(account);
        let name = Username::try_from(account.user_name.as_str()).map_err(internal)?;
        let user = PublicKeyCredentialUserEntity {
            name,
            id: &handle,
            display_name: None,
        };
        let mut options = PublicKeyCredentialCreationOptions::passkey(&party.id, user, exclude?);
        // Each answer has to say that the user was verified; authenticators that cannot promise more
        // are as good.
        options.extensions.cred_protect = CredProtect::None;
        let challenge = options.challenge.as_data().to_le_bytes();
        let (server, client) = options.start_ceremony().map_err(internal)?;
        let state = server.encode().map_err(internal)?;
        let mut change = self.store.change().await?;
        if passkeys::count_of(&mut change, &account.id).await? >= MAX_PASSKEYS {
            return Err(PasskeyError::TooMany);
        }
        let bound = registration_of(account, cookie);
        challenge::keep(&mut change, challenge, &bound, &state, now).await?;
        crate::store::commit(change).await?;
        Ok(serde_json::to_value(&client).map_err(internal)?)
    }

    /// Registers the passkey that answers, under a name.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn register_passkey(
        &self,
        account: &Account,
        cookie: &Secret,
        name: &str,
        answer: &str,
    ) -> Result<(), PasskeyError> {
        let party = self.relying_party()?;
        let now = self.clock.now().utc;
        self.check_fresh(cookie, now).await?;
        let name = visible_line(name);
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            return Err(PasskeyError::Name);
        }
        let answer = Registration::from_json_relaxed(answer.as_bytes());
        let answer = answer.map_err(|_| PasskeyError::Malformed)?;
        let challenge = answer.challenge_relaxed();
        let challenge = challenge
            .map_err(|_| PasskeyError::Malformed)?
            .0
            .to_le_bytes();

        let mut change = self.store.change().await?;
        let bound = registration_of(account, cookie);
        let state = challenge::take(&mut change, challenge, &bound, now).await?;
        let state = RegistrationServerState::<HANDLE_BYTES>::decode(state.as_slice());
        let state = state.map_err(|_| damaged("the challenge"))?;
        let options = RegistrationVerificationOptions::<'_, '_, &str, &str> {
            allowed_origins: &[party.origin.as_str()],
            ..RegistrationVerificationOptions::default()
        };
        let credential = state
            .verify(&party.id, &answer, &options)
            .map_err(|error| PasskeyError::Refused(error.to_string()))?;
        if passkeys::count_of(&mut change, &account.id).await? >= MAX_PASSKEYS {
            return Err(PasskeyError::TooMany);
        }
        let Ok(static_state) = credential.static_state().encode();
        let Ok(dynamic_state) = credential.dynamic_state().encode();
        let passkey = Passkey {
            id: fresh_id("pky", &self.entropy),
            account: account.id.clone(),
            name,
            credential: credential.id().as_ref().to_vec(),
            static_state,
            dynamic_state,
            created_at: now,
            last_used_at: None,
        };
        if !passkeys::insert(&mut change, &passkey).await? {
            return Err(PasskeyError::Taken);
        }
        let by = Actor::Person(account.user_name.clone());
        let fields = about(&by, account, &passkey.id, &passkey.name);
        self.seal(change, now, "passkey_registered", fields).await?;
        Ok(())
    }

    /// Removes a passkey of an account: nothing it signs counts from here on.
    ///
    /// # Errors
    /// [`PasskeyError::NotFound`] or [`PasskeyError::Unavailable`].
    pub(crate) async fn remove_passkey(
        &self,
        by: &Actor,
        account: &Account,
        id: &str,
    ) -> Result<(), PasskeyError> {
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        let name = passkeys::remove(&mut change, &account.id, id).await?;
        let name = name.ok_or(PasskeyError::NotFound)?;
        let fields = about(by, account, id, &name);
        self.seal(change, now, "passkey_removed", fields).await?;
        Ok(())
    }

    /// Refuses a browser whose sign-in is not fresh.
    async fn check_fresh(&self, cookie: &Secret, now: Timestamp) -> Result<(), PasskeyError> {
        let session = self.store.browser_session(&cookie.digest()).await?;
        let session = session.ok_or(PasskeyError::NotFresh)?;
        if now.saturating_since(session.created_at) < FRESH {
            Ok(())
        } else {
            Err(PasskeyError::NotFresh)
        }
    }
}

fn registration_of(account: &Account, cookie: &Secret) -> Bound {
    let browser = cookie.digest();
    Bound::to(
        Purpose::Register,
        account.id.as_bytes(),
        &[browser.as_slice()],
    )
}

fn descriptor(passkey: Passkey) -> Result<PublicKeyCredentialDescriptor<Vec<u8>>, StoreError> {
    let unreadable = || StoreError::Damaged("the id of a passkey".to_owned());
    let id: Result<CredentialId<Vec<u8>>, _> = CredentialId::decode(passkey.credential);
    // How to reach the authenticator is not kept: the browser finds out.
    let transports = AuthTransports::decode(0);
    Ok(PublicKeyCredentialDescriptor {
        id: id.map_err(|_| unreadable())?,
        transports: transports.map_err(|_| unreadable())?,
    })
}

fn about(by: &Actor, account: &Account, passkey: &str, name: &str) -> Value {
    json!({
        "passkey": passkey,
        "name": name,
        "user_name": account.user_name.as_str(),
        "by": by.name(),
    })
}
