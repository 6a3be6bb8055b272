//! Registering passkeys.
//!
//! A passkey outlasts the sign-in it was registered in, and counts at once. So registering one takes
//! a fresh sign-in, and more than that: a touch of a passkey that the account has, for this very
//! registration, or for a first one somebody else's word ([`super::first`]). Whoever knows a password
//! or finds a browser open leaves nothing behind.

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
    HANDLE_BYTES, PasskeyError, about,
    challenge::{self, Answer, Bound},
    damaged, first, handle_of, internal,
};
use crate::{
    core::Core,
    ids::fresh_id,
    people::Actor,
    secret::Secret,
    store::{
        self, Account, Change, Passkey, StoreError,
        passkey_challenges::Purpose,
        passkey_permissions::{self, Given},
        passkeys,
    },
    text::visible_line,
};

/// Most passkeys of one account.
pub(super) const MAX_PASSKEYS: i64 = 16;
/// Longest name of one, in characters.
pub(super) const MAX_NAME_CHARS: usize = 64;

/// What a browser is asked for a new passkey.
pub(crate) struct Begun {
    /// To make it: `PublicKeyCredentialCreationOptionsJSON`.
    pub(crate) create: Value,
    /// To confirm it with one that is there: `PublicKeyCredentialRequestOptionsJSON`.
    pub(crate) touch: Option<Value>,
}

/// What a browser brings back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewPasskey<'a> {
    pub(crate) name: &'a str,
    /// What the new passkey answered.
    pub(crate) answer: &'a str,
    /// What the one answered that confirms it.
    pub(crate) touch: Option<&'a str>,
}

/// By what a new passkey counts.
enum Backing {
    /// The id of the passkey that confirmed it.
    Touch(String),
    /// Somebody's word.
    Word(Given),
}

impl Core {
    /// Begins to register a passkey for the account that is signed in with that cookie.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn begin_passkey(
        &self,
        account: &Account,
        cookie: &Secret,
    ) -> Result<Begun, PasskeyError> {
        let party = self.relying_party()?;
        let now = self.clock.now().utc;
        self.check_fresh(cookie).await?;
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
        let count = room_for_one(&mut change, account).await?;
        let touch = if count > 0 {
            let bound = confirmation_of(account, cookie, challenge);
            Some(self.challenge(&mut change, &bound, now).await?)
        } else {
            let allowed = first::first_allowed(&mut change, account, cookie, now).await?;
            allowed.map(|_| None).ok_or(PasskeyError::NotAllowed)?
        };
        let bound = registration_of(account, cookie);
        challenge::keep(&mut change, challenge, &bound, &state, now).await?;
        store::commit(change).await?;
        let create = serde_json::to_value(&client).map_err(internal)?;
        Ok(Begun { create, touch })
    }

    /// Registers the passkey that answers.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn register_passkey(
        &self,
        account: &Account,
        cookie: &Secret,
        new: NewPasskey<'_>,
    ) -> Result<(), PasskeyError> {
        let party = self.relying_party()?;
        let now = self.clock.now().utc;
        self.check_fresh(cookie).await?;
        let name = visible_line(new.name);
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            return Err(PasskeyError::Name);
        }
        let answer = Registration::from_json_relaxed(new.answer.as_bytes());
        let answer = answer.map_err(|_| PasskeyError::Malformed)?;
        let challenge = answer.challenge_relaxed();
        let challenge = challenge.map_err(|_| PasskeyError::Malformed)?;
        let challenge = challenge.0.to_le_bytes();

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
        let count = room_for_one(&mut change, account).await?;
        let backing = if count > 0 {
            let bound = confirmation_of(account, cookie, challenge);
            let confirmed = self.confirmed_by(&mut change, account, &bound, new.touch, now);
            match confirmed.await {
                Err(why) if why.met_its_challenge() => {
                    return Err(self.not_confirmed(change, account, why, now).await);
                }
                confirmed => confirmed?,
            }
        } else {
            take_word(&mut change, account, cookie, now).await?
        };
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
        let fields = about(&by, account, &passkey.id, &passkey.name, backing.words());
        self.seal(change, now, "passkey_registered", fields).await?;
        Ok(())
    }

    /// Records that a touch did not confirm a further passkey, and keeps what was begun used up.
    async fn not_confirmed(
        &self,
        change: Change,
        account: &Account,
        why: PasskeyError,
        now: Timestamp,
    ) -> PasskeyError {
        let by = account.user_name.as_str();
        let fields = json!({"adding": true, "by": by, "why": why.to_string()});
        tracing::warn!(by, why = %why, "touch of a passkey refused");
        match self.seal(change, now, "passkey_refused", fields).await {
            Ok(()) => why,
            Err(cause) => cause.into(),
        }
    }

    /// Takes the touch with which a passkey of an account confirms a further one.
    async fn confirmed_by(
        &self,
        change: &mut Change,
        account: &Account,
        bound: &Bound,
        touch: Option<&str>,
        now: Timestamp,
    ) -> Result<Backing, PasskeyError> {
        let touch = Answer::read(touch.ok_or(PasskeyError::TouchNeeded)?)?;
        let (owner, passkey) = self.answered(change, &touch, bound, now).await?;
        if owner.id == account.id {
            Ok(Backing::Touch(passkey.id))
        } else {
            Err(PasskeyError::OtherAccount)
        }
    }
}

impl Backing {
    /// For the record.
    fn words(&self) -> Value {
        match self {
            Self::Touch(passkey) => json!({"confirmed_by": passkey}),
            Self::Word(Given::By(name)) => json!({"allowed_by": name}),
            Self::Word(Given::WithLink(_)) => json!({"allowed_by": "its one-time link"}),
        }
    }
}

/// Uses up the word by which a first passkey may be added in that browser.
async fn take_word(
    change: &mut Change,
    account: &Account,
    cookie: &Secret,
    now: Timestamp,
) -> Result<Backing, PasskeyError> {
    let allowed = first::first_allowed(change, account, cookie, now).await?;
    let allowed = allowed.ok_or(PasskeyError::NotAllowed)?;
    passkey_permissions::withdraw(change, &account.id).await?;
    Ok(Backing::Word(allowed.given))
}

/// How many passkeys an account has, where there is room for one more.
async fn room_for_one(change: &mut Change, account: &Account) -> Result<i64, PasskeyError> {
    let count = passkeys::count_of(change, &account.id).await?;
    if count >= MAX_PASSKEYS {
        return Err(PasskeyError::TooMany);
    }
    Ok(count)
}

fn registration_of(account: &Account, cookie: &Secret) -> Bound {
    let browser = cookie.digest();
    let owner = account.id.as_bytes();
    Bound::to(Purpose::Register, owner, &[browser.as_slice()])
}

/// A touch confirms the registration that answers this challenge, and no other.
fn confirmation_of(account: &Account, cookie: &Secret, registration: [u8; 16]) -> Bound {
    let browser = cookie.digest();
    let owner = account.id.as_bytes();
    let parts = [browser.as_slice(), b"touch", &registration];
    Bound::to(Purpose::Register, owner, &parts)
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
