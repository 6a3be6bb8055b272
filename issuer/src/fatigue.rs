//! Fatigue: an agent that asks and asks must not wear its approvers down.
//!
//! A denial quiets the agent for a while, longer each time, if it proves who it is: a name that
//! anybody can claim would otherwise let anybody silence anybody. Whoever asks very often, under
//! whatever name, is one line of the list and not many. An agent that proves nothing is known by
//! its client and the name it gives itself, which it may change: the bound on waiting requests is
//! what holds then.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    access_request::AccessRequest,
    core::Core,
    oauth::client::Identity,
    store::{Change, StoreError, prompts},
};

/// More prompts than this in an hour are folded into one line.
pub(crate) const PROMPTS_AN_HOUR: i64 = 10;
/// What counts as lately.
pub(crate) const LATELY: Duration = Duration::from_secs(60 * 60);
/// The longest quiet.
const LONGEST_QUIET: Duration = Duration::from_secs(30 * 60);

const DOMAIN: &[u8] = b"bailiwick agent v1\0";

/// What an agent is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgentKey([u8; 32]);

impl AgentKey {
    /// The agent behind a request.
    pub(crate) fn of(request: &AccessRequest) -> Self {
        let requester = request.requester.as_ref();
        let (kind, client, name) = match requester.map(|r| (&r.identity, r.client_id.as_str())) {
            Some((Identity::Proved { subject, .. }, client)) => {
                ("proved", client, subject.as_str())
            }
            Some((Identity::Claimed, client)) => ("claimed", client, request.agent.as_str()),
            None => ("claimed", "", request.agent.as_str()),
        };
        let mut digest = Sha256::new().chain_update(DOMAIN);
        for part in [request.application.as_str(), kind, client, name] {
            // No part holds a NUL: names and ids are visible text.
            digest = digest.chain_update(part).chain_update([0]);
        }
        Self(digest.finalize().into())
    }

    /// The key as the store keeps it.
    pub(crate) fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// For the store.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The form in addresses.
    pub(crate) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Reads the form in addresses.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl Core {
    /// How long the agent behind a request has to be quiet still, if it has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn quiet(
        &self,
        change: &mut Change,
        request: &AccessRequest,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let requester = request.requester.as_ref();
        let identity = requester.map(|requester| &requester.identity);
        let Some(Identity::Proved { .. }) = identity else {
            return Ok(None);
        };
        let agent = AgentKey::of(request);
        let denied = prompts::denied_lately(change, agent, now).await?;
        let Some((count, last)) = denied else {
            return Ok(None);
        };
        let until = last.checked_add(quiet_after(count, self.settings.quiet_after_denial));
        let left = until.map(|until| until.saturating_since(now));
        Ok(left.filter(|left| !left.is_zero()))
    }
}

/// Twice as long with each denial.
fn quiet_after(denials: u32, first: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(denials.saturating_sub(1));
    first.saturating_mul(factor).min(LONGEST_QUIET.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_doubles_the_quiet_up_to_half_an_hour() {
        let first = Duration::from_secs(60);
        let seconds = |count| quiet_after(count, first).as_secs();
        assert_eq!(
            [1, 2, 3, 5, 6, 40].map(seconds),
            [60, 120, 240, 960, 1_800, 1_800]
        );
        assert_eq!(quiet_after(9, Duration::ZERO), Duration::ZERO);
    }
}
