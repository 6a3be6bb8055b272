//! An attempt to sign in with the identity provider, which the browser that makes it keeps.
//!
//! Nothing of it is kept here: anybody may begin as often as they like and take nobody's place.
//! The browser gets it sealed, in a cookie of its own, and it opens only beside that browser's
//! visitor cookie, until it ends. A browser has one at a time; the last one begun counts.

use std::time::Duration;

use bailiwick_datalog::Timestamp;
use openidconnect::{Nonce, PkceCodeVerifier};
use sha2::{Digest as _, Sha256};

use super::provider::Departure;
use crate::{
    entropy::Entropy,
    sealing::{SealError, Sealer},
    secret::Secret,
};

/// How long a person may take at the provider.
pub(crate) const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Longest address to go to afterwards, in bytes. With it the cookie has just less than the 4,096
/// bytes that browsers keep (RFC 6265bis section 5.6).
pub(crate) const MAX_NEXT_BYTES: usize = 2_816;

const DOMAIN: &[u8] = b"bailiwick sign-in attempt v1\0";
/// Neither secrets nor addresses contain one.
const BETWEEN: char = '\n';

/// One attempt.
pub(crate) struct Attempt {
    /// What the provider's answer has to bring back.
    state: Secret,
    pub(crate) nonce: Nonce,
    pub(crate) verifier: PkceCodeVerifier,
    /// The provider said that its answers name it.
    pub(crate) answers_name_it: bool,
    /// When the provider was told to have the person sign in anew, where it was.
    pub(crate) anew: Option<Timestamp>,
    /// On the monotonic clock.
    ends: Duration,
    pub(crate) next: Option<String>,
}

impl Attempt {
    /// The attempt that a departure to the provider begins at `now`.
    pub(crate) fn begin(
        state: Secret,
        departure: Departure,
        next: Option<String>,
        anew: Option<Timestamp>,
        now: Duration,
    ) -> Self {
        Self {
            state,
            nonce: departure.nonce,
            verifier: departure.verifier,
            answers_name_it: departure.answers_name_it,
            anew,
            ends: now.saturating_add(LIFETIME),
            next,
        }
    }

    /// The text for the browser with that visitor cookie.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn seal(
        &self,
        sealer: &Sealer,
        entropy: &Entropy,
        browser: &Secret,
    ) -> Result<Secret, SealError> {
        let parts = [
            self.state.expose(),
            self.nonce.secret(),
            self.verifier.secret(),
            if self.answers_name_it { "named" } else { "" },
            &self
                .anew
                .map_or_else(String::new, |at| at.unix().to_string()),
            &self.ends.as_millis().to_string(),
            self.next.as_deref().unwrap_or_default(),
        ];
        let text = parts.join(&String::from(BETWEEN));
        sealer.seal(entropy, &context(browser), &text)
    }

    /// Opens what the browser with that visitor cookie brings back, until it ends.
    pub(crate) fn open(
        sealer: &Sealer,
        sealed: &Secret,
        browser: &Secret,
        now: Duration,
    ) -> Option<Self> {
        let text = sealer.open(&context(browser), sealed)?;
        let mut parts = text.split(BETWEEN);
        let mut take = || parts.next();
        let (state, nonce, verifier) = (take()?, take()?, take()?);
        let (named, anew, ends, next) = (take()?, take()?, take()?, take()?);
        let anew = match anew {
            "" => None,
            seconds => Some(Timestamp::from_unix(seconds.parse().ok()?)),
        };
        let attempt = Self {
            state: Secret::received(state),
            nonce: Nonce::new(nonce.to_owned()),
            verifier: PkceCodeVerifier::new(verifier.to_owned()),
            answers_name_it: !named.is_empty(),
            anew,
            ends: Duration::from_millis(ends.parse().ok()?),
            next: (!next.is_empty()).then(|| next.to_owned()),
        };
        (now < attempt.ends).then_some(attempt)
    }

    /// Whether an answer with that `state` is to it. Takes the same time whatever differs.
    pub(crate) fn is_answered_by(&self, state: &str) -> bool {
        self.state.digest() == Secret::received(state).digest()
    }

    /// What the store knows it by once it has signed somebody in.
    pub(crate) fn mark(&self) -> [u8; 32] {
        let digest = Sha256::new().chain_update(DOMAIN);
        digest.chain_update(self.state.expose()).finalize().into()
    }
}

fn context(browser: &Secret) -> Vec<u8> {
    [DOMAIN, browser.digest().as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempt_comes_back_to_its_browser_until_it_ends() {
        let entropy = Entropy::dangerous_seeded(1);
        let sealer = Sealer::new(&entropy).unwrap();
        let [browser, other, state] = [(); 3].map(|()| Secret::generate(&entropy));
        let begun = Duration::from_secs(5);
        let asked = Some(Timestamp::from_unix(7));
        for (named, next, anew) in [(true, Some("/a?b=c"), asked), (false, None, None)] {
            let attempt = Attempt {
                state: state.clone(),
                nonce: Nonce::new("the nonce".to_owned()),
                verifier: PkceCodeVerifier::new("the verifier".to_owned()),
                answers_name_it: named,
                anew,
                ends: begun + LIFETIME,
                next: next.map(str::to_owned),
            };
            let sealed = attempt.seal(&sealer, &entropy, &browser).unwrap();
            let open = |browser, now| Attempt::open(&sealer, &sealed, browser, now);
            let last = begun + LIFETIME - Duration::from_millis(1);
            let opened = open(&browser, last).unwrap();
            assert_eq!(opened.nonce.secret(), "the nonce");
            assert_eq!(opened.verifier.secret(), "the verifier");
            assert_eq!(opened.answers_name_it, named);
            assert_eq!(opened.next.as_deref(), next);
            assert_eq!(opened.anew, anew);
            assert_eq!(opened.mark(), attempt.mark());
            assert!(opened.is_answered_by(state.expose()));
            assert!(!opened.is_answered_by(other.expose()));
            assert!(open(&browser, begun + LIFETIME).is_none());
            assert!(open(&other, last).is_none());
        }
    }
}
