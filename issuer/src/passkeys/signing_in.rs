//! Signing in with a passkey, without a user name.
//!
//! Anybody may try, so nothing is written for an answer that belongs to no attempt: an attempt costs
//! a challenge, a challenge is answered once, right or wrong, and a browser that makes many of them
//! waits.

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};

use super::{
    PasskeyError,
    challenge::{Answer, Bound},
};
use crate::{
    core::{Core, Unavailable},
    people::{Before, SignedInBrowser},
    secret::Secret,
    store::{self, Account, Change, Passkey, identities, passkey_challenges::Purpose},
};

impl Core {
    /// Asks a browser that is on its way to sign in for a passkey. Returns the
    /// `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn begin_passkey_sign_in(
        &self,
        visitor: &Secret,
    ) -> Result<Value, PasskeyError> {
        let now = self.clock.now();
        let attempts = &self.passkey_attempts;
        attempts
            .begin(&beginning_of(visitor), now.monotonic)
            .map_err(PasskeyError::Wait)?;
        let mut change = self.store.change().await?;
        let bound = sign_in_of(visitor);
        let options = self.challenge(&mut change, &bound, now.utc).await?;
        store::commit(change).await?;
        Ok(options)
    }

    /// Signs a browser in with its answer, under a fresh cookie.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn finish_passkey_sign_in(
        &self,
        visitor: &Secret,
        answer: &str,
        before: Before,
    ) -> Result<SignedInBrowser, PasskeyError> {
        let now = self.clock.now();
        let attempts = &self.passkey_attempts;
        attempts
            .begin(&ending_of(visitor), now.monotonic)
            .map_err(PasskeyError::Wait)?;
        let answer = Answer::read(answer)?;
        let mut change = self.store.change().await?;
        let found = self.who_comes(&mut change, visitor, &answer, now.utc).await;
        let (account, passkey) = match found {
            Ok(found) => found,
            Err(why) => return Err(self.nobody_comes(change, why, now.utc).await),
        };
        let fields = json!({"user_name": account.user_name.as_str(), "passkey": passkey.id});
        let browser = self
            .start_browser(&mut change, account, before, now.utc)
            .await?;
        self.seal(change, now.utc, "signed_in", fields).await?;
        attempts.succeeded(&beginning_of(visitor));
        attempts.succeeded(&ending_of(visitor));
        Ok(browser)
    }

    async fn who_comes(
        &self,
        change: &mut Change,
        visitor: &Secret,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<(Account, Passkey), PasskeyError> {
        let bound = sign_in_of(visitor);
        let (account, passkey) = self.answered(change, answer, &bound, now).await?;
        // Who comes by the provider does so each time: it says who still belongs here, and as what.
        let subjects = identities::subjects_in(change, &account.id).await?;
        if subjects.is_empty() {
            Ok((account, passkey))
        } else {
            Err(PasskeyError::ProviderAccount)
        }
    }

    /// Records that an answer to a challenge of ours let nobody in, and keeps the challenge used up.
    async fn nobody_comes(
        &self,
        change: Change,
        why: PasskeyError,
        now: Timestamp,
    ) -> PasskeyError {
        if !why.met_its_challenge() {
            return why;
        }
        let fields = json!({"passkey": true, "why": why.to_string()});
        let recorded = self.audit.record(now, "sign_in_refused", fields).await;
        if let Err(cause) = recorded {
            return cause.into();
        }
        match store::commit(change).await.map_err(Unavailable::from) {
            Ok(()) => why,
            Err(cause) => cause.into(),
        }
    }
}

fn sign_in_of(visitor: &Secret) -> Bound {
    Bound::to(Purpose::SignIn, visitor.digest().as_slice(), &[])
}

/// What a browser's attempts are counted under, both ways.
fn beginning_of(visitor: &Secret) -> String {
    format!("begin {}", hex::encode(visitor.digest().as_slice()))
}

fn ending_of(visitor: &Secret) -> String {
    format!("end {}", hex::encode(visitor.digest().as_slice()))
}
