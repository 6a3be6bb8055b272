//! Which tokens were revoked, and how recently that is known.
//!
//! Owns the published list ([`Snapshot`]), the question a verifier asks ([`RevocationView`]) and
//! two answers to it: [`MemoryRevocations`] and, behind the feature `sled-revocations`, a list that
//! survives a restart. Fetching lists is left to the hosts.
//!
//! Two rules hold in every implementation: a match refuses, however old the list is; and no match
//! clears only while the list is fresh. So a verifier that is cut off goes on refusing what it knows
//! to be revoked, and soon everything else.

#[cfg(feature = "sled-revocations")]
mod durable;
mod list;
mod memory;
mod snapshot;

use std::time::Duration;

use bailiwick_datalog::RevocationId;

#[cfg(feature = "sled-revocations")]
pub use durable::{ApplyError, SledRevocations, StoreError};
pub use list::{Applied, SnapshotRefused};
pub use memory::MemoryRevocations;
pub use snapshot::{Snapshot, SnapshotError};

/// How old a revocation list may be before it clears nothing, unless configured otherwise.
pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(30);

/// What a revocation list knows of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Nothing of the token is revoked, and the list is fresh.
    Clear,
    /// The token is revoked.
    Revoked {
        /// Number of the revoked block; 0 is the authority block, which also stands for the
        /// whole session.
        block: usize,
    },
    /// Nothing of the token is known to be revoked, but the list is too old to tell.
    Stale {
        /// Age of the list since its last verified fetch; `None` if there was none yet.
        age: Option<Duration>,
    },
}

/// Tells whether a token was revoked.
pub trait RevocationView: Send + Sync {
    /// Checks the `session` and the revocation `ids` of all blocks of a token, authority first.
    ///
    /// `now_monotonic` is [`crate::clock::Now::monotonic`]. A match wins over staleness.
    fn check(
        &self,
        session: &str,
        ids: &[RevocationId],
        now_monotonic: Duration,
    ) -> RevocationStatus;
}
