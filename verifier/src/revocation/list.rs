//! The list in memory, and which snapshot may follow which.
//!
//! Owns the lock-free lookup shared by all implementations and the rules of succession. Keeping
//! a list over a restart is left to the store.

use std::{collections::HashSet, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bailiwick_datalog::RevocationId;
use sha2::{Digest, Sha256};

use super::{RevocationStatus, Snapshot};
use crate::signed::{Domain, PublicKeyHex, SignatureError, SignedDocument};

/// What a verified snapshot did to the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is newer and replaced the list.
    Replaced {
        /// Its sequence number.
        seq: u64,
    },
    /// It is the list already held, which is fresh again.
    Refreshed {
        /// Its sequence number.
        seq: u64,
    },
}

/// Why a snapshot was not applied. The list stays as it was and grows older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotRefused {
    /// No revocation key signed it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A revocation key signed something that is not a snapshot.
    #[error("the signed payload is not a revocation list")]
    Malformed,
    /// It is older than the list held.
    #[error("the revocation list has sequence number {offered}, older than {current}")]
    Rollback {
        /// The sequence number held.
        current: u64,
        /// The one offered.
        offered: u64,
    },
    /// It has the sequence number of the list held and says something else.
    #[error("two different revocation lists have the sequence number {seq}")]
    Conflict {
        /// The sequence number of both.
        seq: u64,
    },
}

/// Which list is held: its sequence number, and a digest of what it names. The issuer may sign
/// one list more than once, at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) seq: u64,
    pub(super) digest: [u8; 32],
}

/// A snapshot whose signature was verified.
#[derive(Clone, Debug)]
pub(super) struct VerifiedSnapshot {
    pub(super) snapshot: Snapshot,
    pub(super) version: Version,
}

impl VerifiedSnapshot {
    /// Proves that one of `keys` signed the document as a revocation list.
    pub(super) fn verify(
        document: &SignedDocument,
        keys: &[PublicKeyHex],
    ) -> Result<Self, SnapshotRefused> {
        let payload = document.verify_any(Domain::Revocations, keys)?;
        let snapshot: Snapshot =
            serde_json::from_slice(payload).map_err(|_| SnapshotRefused::Malformed)?;
        let version = Version {
            seq: snapshot.seq(),
            digest: digest(snapshot.ids(), snapshot.sessions()),
        };
        Ok(Self { snapshot, version })
    }
}

impl Version {
    /// Whether `offered` may follow `self`: `true` as a newer list, `false` as the same one.
    pub(super) fn is_followed_by(self, offered: Self) -> Result<bool, SnapshotRefused> {
        if offered.seq < self.seq {
            return Err(SnapshotRefused::Rollback {
                current: self.seq,
                offered: offered.seq,
            });
        }
        if offered.seq > self.seq {
            return Ok(true);
        }
        if offered.digest != self.digest {
            return Err(SnapshotRefused::Conflict { seq: self.seq });
        }
        Ok(false)
    }
}

/// SHA-256 over the ids and sessions of a list, each in ascending order.
pub(super) fn digest(ids: &[[u8; 16]], sessions: &[String]) -> [u8; 32] {
    // A length is a `usize`, which never has more than 64 bits.
    let length = |count: usize| u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes();
    let mut hasher = Sha256::new_with_prefix(length(ids.len()));
    for id in ids {
        hasher.update(id);
    }
    for session in sessions {
        hasher.update(length(session.len()));
        hasher.update(session);
    }
    hasher.finalize().into()
}

/// What is revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    ids: Ids,
    sessions: HashSet<String>,
}

impl Entries {
    pub(super) fn new(
        ids: impl IntoIterator<Item = [u8; 16]>,
        sessions: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self {
            ids: Ids::of_ascending(ids),
            sessions: sessions.into_iter().collect(),
        }
    }

    fn revoked_block(&self, session: &str, ids: &[RevocationId]) -> Option<usize> {
        if self.sessions.contains(session) {
            return Some(0);
        }
        ids.iter().position(|id| self.ids.contains(&id.prefix()))
    }
}

impl From<&Snapshot> for Entries {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            ids: Ids::of_ascending(snapshot.ids().to_vec()),
            sessions: snapshot.sessions().iter().cloned().collect(),
        }
    }
}

/// Prefixes of ids, found in a time that hardly depends on how many there are: they are heads of
/// hashes, hence spread evenly, so their first bits say nearly where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ids {
    /// Ascending, without repetition.
    ids: Vec<[u8; 16]>,
    /// For each value of the first bits, where ids with these or later bits begin; and the count.
    starts: Vec<usize>,
    /// How many of an id's first 32 bits do not choose among the starts.
    shift: u32,
}

impl Ids {
    /// About so many ids share their first bits: some two cache lines of them.
    const TOGETHER: usize = 8;

    fn of_ascending(mut ids: Vec<[u8; 16]>) -> Self {
        ids.shrink_to_fit();
        let bits = ids.len().checked_div(Self::TOGETHER).unwrap_or(0);
        let shift = 32_u32.saturating_sub(bits.checked_ilog2().unwrap_or(0).min(24));
        let mut starts = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let slot = slot(id, shift);
            while starts.len() <= slot {
                starts.push(index);
            }
        }
        starts.push(ids.len());
        starts.shrink_to_fit();
        Self { ids, starts, shift }
    }

    fn contains(&self, id: &[u8; 16]) -> bool {
        let slot = slot(id, self.shift);
        let range = self
            .starts
            .get(slot)
            .zip(self.starts.get(slot.saturating_add(1)));
        range
            .and_then(|(start, end)| self.ids.get(*start..*end))
            .is_some_and(|ids| ids.binary_search(id).is_ok())
    }

    #[cfg(feature = "sled-revocations")]
    fn iter(&self) -> impl Iterator<Item = &[u8; 16]> {
        self.ids.iter()
    }
}

/// The number that an id's first bits are.
fn slot(id: &[u8; 16], shift: u32) -> usize {
    let [a, b, c, d, ..] = *id;
    let first = u64::from(u32::from_be_bytes([a, b, c, d]));
    usize::try_from(first.checked_shr(shift).unwrap_or(0)).unwrap_or(usize::MAX)
}

/// Since when the list is known to be the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    /// Not in the life of this process.
    Never,
    /// Since the fetch that began at this monotonic reading.
    Since(Duration),
    /// The caller vouches for it.
    Always,
}

#[derive(Debug)]
struct Held {
    entries: Arc<Entries>,
    version: Option<Version>,
    freshness: Freshness,
}

/// A revocation list that any number of threads read while one replaces it.
#[derive(Debug)]
pub(super) struct RevocationList {
    held: ArcSwap<Held>,
    max_staleness: Duration,
}

impl RevocationList {
    /// A list read back from storage, or an empty one. It refuses what it names and clears
    /// nothing until [`RevocationList::replace`] or [`RevocationList::refresh`].
    pub(super) fn unrefreshed(
        entries: Entries,
        version: Option<Version>,
        max_staleness: Duration,
    ) -> Self {
        Self::holding(entries, version, Freshness::Never, max_staleness)
    }

    /// A list that never grows old.
    pub(super) fn fixed(entries: Entries) -> Self {
        Self::holding(entries, None, Freshness::Always, Duration::MAX)
    }

    fn holding(
        entries: Entries,
        version: Option<Version>,
        freshness: Freshness,
        max_staleness: Duration,
    ) -> Self {
        Self {
            held: ArcSwap::from_pointee(Held {
                entries: Arc::new(entries),
                version,
                freshness,
            }),
            max_staleness,
        }
    }

    pub(super) fn check(
        &self,
        session: &str,
        ids: &[RevocationId],
        now: Duration,
    ) -> RevocationStatus {
        let held = self.held.load();
        if let Some(block) = held.entries.revoked_block(session, ids) {
            return RevocationStatus::Revoked { block };
        }
        match held.age(now) {
            Some(age) if age <= self.max_staleness => RevocationStatus::Clear,
            age => RevocationStatus::Stale { age },
        }
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.held.load().version
    }

    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        self.held.load().age(now)
    }

    pub(super) const fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    /// Puts `snapshot` in place of the list. Callers hold the one write lock and have checked
    /// the succession.
    pub(super) fn replace(&self, snapshot: &VerifiedSnapshot, fetched_at: Duration) {
        let held = self.held.load();
        self.held.store(Arc::new(Held {
            entries: Arc::new(Entries::from(&snapshot.snapshot)),
            version: Some(snapshot.version),
            freshness: held.freshness.refreshed(fetched_at),
        }));
    }

    /// Refuses what `snapshot` names as well as what the list names, and changes nothing else: for
    /// a list that is known to be good but cannot be kept. Callers hold the one write lock.
    #[cfg(feature = "sled-revocations")]
    pub(super) fn also_refuse(&self, snapshot: &VerifiedSnapshot) {
        let held = self.held.load();
        let ids = held.entries.ids.iter().chain(snapshot.snapshot.ids());
        let sessions = held
            .entries
            .sessions
            .iter()
            .chain(snapshot.snapshot.sessions());
        self.held.store(Arc::new(Held {
            entries: Arc::new(Entries::new(ids.copied(), sessions.cloned())),
            version: held.version,
            freshness: held.freshness,
        }));
    }

    /// Makes the list held fresh again. Callers hold the one write lock.
    pub(super) fn refresh(&self, fetched_at: Duration) {
        let held = self.held.load();
        self.held.store(Arc::new(Held {
            entries: Arc::clone(&held.entries),
            version: held.version,
            freshness: held.freshness.refreshed(fetched_at),
        }));
    }
}

impl Held {
    /// The distance in time from the last verified fetch.
    ///
    /// A decision may have read the clock just before a fetch that ends first began, so the
    /// reading may lie a little before the fetch. The distance counts in both directions: a
    /// clock that was set back by more than the bound makes the list stale, not young.
    fn age(&self, now: Duration) -> Option<Duration> {
        match self.freshness {
            Freshness::Never => None,
            Freshness::Since(fetched_at) => Some(now.abs_diff(fetched_at)),
            Freshness::Always => Some(Duration::ZERO),
        }
    }
}

impl Freshness {
    fn refreshed(self, fetched_at: Duration) -> Self {
        match self {
            Self::Never => Self::Since(fetched_at),
            Self::Since(before) => Self::Since(before.max(fetched_at)),
            Self::Always => Self::Always,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u32, last: u8) -> [u8; 16] {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&first.to_be_bytes());
        id[15] = last;
        id
    }

    /// Whatever the number of ids and however their bits lie, those listed are found and their
    /// neighbours are not.
    #[test]
    fn ids_are_found_among_any_number_of_others() {
        for count in [0_u32, 1, 2, 7, 8, 15, 16, 17, 100, 1_000, 40_000] {
            let spread = |n: u32| n.wrapping_mul(0x9e37_79b9);
            let kinds: [&dyn Fn(u32) -> u32; 4] =
                [&spread, &|n| n, &|n| u32::MAX - n, &|n| (n % 2) * u32::MAX];
            for kind in kinds {
                let mut ids: Vec<_> = (0..count).map(|n| id(kind(n), 1)).collect();
                ids.sort_unstable();
                ids.dedup();
                let listed = Ids::of_ascending(ids.clone());
                for one in &ids {
                    assert!(listed.contains(one), "{count}");
                    let mut other = *one;
                    for last in [0, 2] {
                        other[15] = last;
                        assert!(!listed.contains(&other), "{count}");
                    }
                }
                assert!(!listed.contains(&id(0x8000_0001, 9)), "{count}");
                assert!(listed.starts.len() <= ids.len() + 2, "{count}");
            }
        }
        assert!(!Ids::default().contains(&id(0, 0)));
    }
    #[test]
    fn ids_that_are_spread_evenly_are_looked_for_among_a_few() {
        let ids = (0..40_000_u32).map(|n| id(n.wrapping_mul(0x9e37_79b9), 1));
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        let listed = Ids::of_ascending(ids);
        let together = listed.starts.windows(2).map(|pair| pair[1] - pair[0]);
        let most = together.max().unwrap();
        assert!(most <= 4 * Ids::TOGETHER, "{most}");
    }
}
