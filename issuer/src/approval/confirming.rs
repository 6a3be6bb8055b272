//! The touch of a passkey that confirms an approval, where a rule demands one. It is asked for and
//! taken by the same reading of what the approver sends.

use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};

use super::{Approving, DecisionError, Examined, conditions::Conditions};
use crate::{
    core::{Core, Unavailable},
    passkeys::{PasskeyError, Touch},
    store::{self, Account, Passkey},
};

impl Core {
    /// What a passkey is to sign before an approval counts: `PublicKeyCredentialRequestOptionsJSON`,
    /// or nothing where no rule demands it.
    ///
    /// # Errors
    /// [`DecisionError`], as the approval itself would.
    pub(crate) async fn prepare_touch(
        &self,
        approver: &Account,
        approving: &Approving<'_>,
    ) -> Result<Option<Value>, DecisionError> {
        let now = self.clock.now().utc;
        let examined = self.examine(approver, approving, now).await?;
        let Examined {
            request,
            granted,
            change,
            conditions,
            instructions,
        } = examined;
        // Nothing of what was examined is kept, so that asking changes nothing but the challenge.
        drop(change);
        if !conditions.needs_passkey {
            return Ok(None);
        }
        let granted = granted.authorization_details(&request.request);
        let touch = touch(approving, &conditions, &granted, instructions.as_deref());
        let mut change = self.store.change().await?;
        let options = self.ask_for_touch(&mut change, &touch, now).await?;
        store::commit(change).await.map_err(Unavailable::from)?;
        Ok(Some(options))
    }

    /// The passkey that confirms an approval, where one has to.
    ///
    /// # Errors
    /// [`DecisionError::PasskeyNeeded`] without an answer, [`DecisionError::Passkey`] for one that
    /// is not good for this.
    pub(super) async fn confirmed(
        &self,
        examined: &mut Examined,
        approving: &Approving<'_>,
        now: Timestamp,
    ) -> Result<Option<Passkey>, DecisionError> {
        if !examined.conditions.needs_passkey {
            return Ok(None);
        }
        let answer = approving.touch.ok_or(DecisionError::PasskeyNeeded)?;
        let granted = examined
            .granted
            .authorization_details(&examined.request.request);
        let instructions = examined.instructions.as_deref();
        let touch = touch(approving, &examined.conditions, &granted, instructions);
        let change = &mut examined.change;
        Ok(Some(self.take_touch(change, &touch, answer, now).await?))
    }

    /// Records that a touch did not confirm an approval, of which nothing is kept.
    pub(super) async fn touch_refused(
        &self,
        examined: Examined,
        id: &str,
        refused: PasskeyError,
        now: Timestamp,
    ) -> DecisionError {
        drop(examined.change);
        let by = examined.conditions.authority.account.user_name.as_str();
        let fields = json!({"approval": id, "by": by, "why": refused.to_string()});
        tracing::warn!(approval = id, by, why = %refused, "touch of a passkey refused");
        match self.audit.record(now, "passkey_refused", fields).await {
            Ok(()) => DecisionError::Passkey(refused),
            Err(cause) => Unavailable::from(cause).into(),
        }
    }
}

fn touch<'a>(
    approving: &Approving<'a>,
    conditions: &'a Conditions,
    granted: &'a Value,
    instructions: Option<&'a str>,
) -> Touch<'a> {
    Touch {
        id: approving.deciding.id,
        shown: approving.deciding.shown,
        authority: &conditions.authority,
        granted,
        instructions,
    }
}
