//! Redeeming an authorization code (OAuth 2.1 section 4.1.3): once, within a minute, by the
//! client it was issued to, with the redirect URI and the PKCE secret of the request.

use std::time::Duration;

use serde_json::json;

use super::client::Client;
use crate::{
    collecting::{Claim, Collected, PollError},
    core::{Core, Unavailable},
    people::Actor,
    secret::Secret,
    store::{Authorization, StoredRequest},
};

/// How long a code waits for its client. It is redeemed by a program that is waiting for it.
pub(crate) const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// What a client learns of a code that does not exist, and of one that is another's.
const UNKNOWN: PollError = PollError::InvalidGrant("the code is not known");

/// What a client presents with a code.
#[derive(Clone, Debug)]
pub(crate) struct Redemption {
    pub(crate) code: Secret,
    pub(crate) redirect_uri: String,
    pub(crate) code_verifier: String,
    pub(crate) resource: Option<String>,
}

impl Core {
    /// Exchanges a code for the token that was approved. A code that comes twice was stolen on
    /// one of the two ways, so the session minted from it ends (RFC 6749 section 4.1.2).
    ///
    /// # Errors
    /// [`PollError`].
    pub(crate) async fn redeem(
        &self,
        client: &Client,
        redemption: &Redemption,
    ) -> Result<Collected, PollError> {
        let audience = self.settings.audience.as_str();
        if redemption
            .resource
            .as_deref()
            .is_some_and(|named| named != audience)
        {
            return Err(PollError::InvalidTarget {
                expected: audience.to_owned(),
            });
        }
        let digest = redemption.code.digest();
        let found = self.store.authorization_of_code(&digest).await?;
        let (authorization, request) = found.ok_or(UNKNOWN)?;
        if authorization.code_used_at.is_some() && request.request.is_of_client(&client.id) {
            return Err(self.end_reused(&request).await);
        }
        let checked = self.check_redemption(client, &authorization, &request, redemption);
        if let Err(refused) = checked {
            self.record_refusal(client, &request, &refused).await?;
            return Err(refused);
        }
        let minted = self.mint_for(&request.id, &client.application, Claim::Code);
        match minted.await {
            Err(PollError::Used) => Err(self.end_reused(&request).await),
            other => other,
        }
    }

    fn check_redemption(
        &self,
        client: &Client,
        authorization: &Authorization,
        request: &StoredRequest,
        redemption: &Redemption,
    ) -> Result<(), PollError> {
        if !request.request.is_of_client(&client.id) {
            return Err(UNKNOWN);
        }
        let now = self.clock.now().utc;
        if authorization.code_expires_at.is_none_or(|ends| now >= ends) {
            return Err(PollError::InvalidGrant("the code has expired"));
        }
        let returns = &authorization.returns;
        if returns.redirect.as_str() != redemption.redirect_uri {
            return Err(PollError::InvalidGrant(
                "`redirect_uri` is not that of the request",
            ));
        }
        if !returns.challenge.is_met_by(&redemption.code_verifier) {
            return Err(PollError::InvalidGrant(
                "`code_verifier` does not belong to the request",
            ));
        }
        Ok(())
    }

    /// Puts it on the record that somebody had a code and could not redeem it: that is how one
    /// looks that was stolen. What strangers make up has only the line of any refused request.
    async fn record_refusal(
        &self,
        client: &Client,
        request: &StoredRequest,
        refused: &PollError,
    ) -> Result<(), PollError> {
        let fields = json!({
            "approval": request.id,
            "client": client.id,
            "why": refused.to_string(),
        });
        let now = self.clock.now().utc;
        let recorded = self.audit.record(now, "code_refused", fields).await;
        recorded.map_err(|error| Unavailable::from(error).into())
    }

    async fn end_reused(&self, request: &StoredRequest) -> PollError {
        let session = match self.store.session_of_request(&request.id).await {
            Ok(Some(session)) => session,
            Ok(None) => return PollError::InvalidGrant("the code was used already"),
            Err(error) => return error.into(),
        };
        let ended = self.revoke_session(session.id.as_str(), &Actor::CodeReuse);
        match ended.await {
            Ok(_) => PollError::InvalidGrant("the code was used already; its session was ended"),
            Err(cause) => cause.into(),
        }
    }
}
