//! A touch of a passkey that confirms one approval: of one request as it was shown, by one account
//! for one approver, of exactly what would be granted with exactly these words.

use bailiwick_datalog::Timestamp;
use serde_json::Value;

use super::{
    PasskeyError,
    challenge::{Answer, Bound},
};
use crate::{
    access_request::RequestDigest,
    core::Core,
    people::Authority,
    store::{Change, Passkey, passkey_challenges::Purpose},
};

/// What a touch confirms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch<'a> {
    /// The request.
    pub(crate) id: &'a str,
    pub(crate) shown: RequestDigest,
    pub(crate) authority: &'a Authority,
    /// What would be granted, as `authorization_details`.
    pub(crate) granted: &'a Value,
    /// The approver's own words to the agent.
    pub(crate) instructions: Option<&'a str>,
}

impl Touch<'_> {
    fn bound(&self) -> Bound {
        let behalf = self.authority.on_behalf_of.as_ref();
        let behalf = behalf.map_or("", |account| account.id.as_str());
        // The same choice gives the same text: it is made by the same code in a fixed order.
        let granted = self.granted.to_string();
        Bound::to(
            Purpose::Approve,
            self.authority.account.id.as_bytes(),
            &[
                behalf.as_bytes(),
                self.id.as_bytes(),
                &self.shown.bytes(),
                granted.as_bytes(),
                self.instructions.unwrap_or_default().as_bytes(),
            ],
        )
    }
}

impl Core {
    /// Asks for a touch that confirms an approval. Returns the
    /// `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn ask_for_touch(
        &self,
        change: &mut Change,
        touch: &Touch<'_>,
        now: Timestamp,
    ) -> Result<Value, PasskeyError> {
        self.challenge(change, &touch.bound(), now).await
    }

    /// Takes a touch that confirms an approval, in the change that approves.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub(crate) async fn take_touch(
        &self,
        change: &mut Change,
        touch: &Touch<'_>,
        answer: &str,
        now: Timestamp,
    ) -> Result<Passkey, PasskeyError> {
        let answer = Answer::read(answer)?;
        let (account, passkey) = self.answered(change, &answer, &touch.bound(), now).await?;
        if account.id == touch.authority.account.id {
            Ok(passkey)
        } else {
            Err(PasskeyError::OtherAccount)
        }
    }
}
