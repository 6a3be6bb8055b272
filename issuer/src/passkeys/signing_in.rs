//! Signing in with a passkey, without a user name.

use serde_json::{Value, json};

use super::{Bound, PasskeyError};
use crate::{
    core::Core,
    people::{Before, SignedInBrowser},
    secret::Secret,
    store::{self, identities},
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
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        let options = self
            .challenge(&mut change, sign_in_of(visitor), now)
            .await?;
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
        let now = self.clock.now().utc;
        match self.sign_in_with(visitor, answer, before).await {
            Err(PasskeyError::Unavailable(cause)) => Err(cause.into()),
            Err(refused) => {
                let fields = json!({"passkey": true, "why": refused.to_string()});
                self.audit.record(now, "sign_in_refused", fields).await?;
                Err(refused)
            }
            signed_in => signed_in,
        }
    }

    async fn sign_in_with(
        &self,
        visitor: &Secret,
        answer: &str,
        before: Before,
    ) -> Result<SignedInBrowser, PasskeyError> {
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        let bound = sign_in_of(visitor);
        let (account, passkey) = self.answered(&mut change, answer, bound, now).await?;
        // Who comes by the provider does so each time: it says who still belongs here, and as what.
        let subjects = identities::subjects_in(&mut change, &account.id).await?;
        if !subjects.is_empty() {
            return Err(PasskeyError::ProviderAccount);
        }
        let fields = json!({"user_name": account.user_name.as_str(), "passkey": passkey.id});
        let browser = self
            .start_browser(&mut change, account, before, now)
            .await?;
        self.seal(change, now, "signed_in", fields).await?;
        Ok(browser)
    }
}

fn sign_in_of(visitor: &Secret) -> Bound {
    Bound::to("sign_in", &[visitor.digest().as_slice()])
}
