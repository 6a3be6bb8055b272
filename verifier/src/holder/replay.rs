//! The memory of proofs that were used.
//!
//! Owns the promise that no proof passes twice, however the wall clock moves, in bounded memory.

use std::collections::{BTreeMap, HashSet};

use bailiwick_datalog::Timestamp;

use super::{MAX_PROOF_AGE_SECONDS, UsedProof};

/// Proofs used and not yet too old to be used again.
#[derive(Debug)]
pub(super) struct ReplayCache {
    capacity: usize,
    ids: HashSet<[u8; 32]>,
    /// The same ids by the time the proofs were made.
    by_age: BTreeMap<u64, Vec<[u8; 32]>>,
    /// The newest time of any proof that was forgotten. Set back, the clock would make such proofs
    /// fresh again, so nothing made up to this time is accepted any more.
    forgotten_up_to: Option<u64>,
    forgets: bool,
}

/// What the memory knows of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    /// It was not used before, and is remembered now.
    First,
    /// It was used before.
    Again,
    /// It is so old that it may have been used and forgotten.
    Forgotten,
    /// Nothing more can be remembered.
    Full {
        /// How much is.
        capacity: usize,
    },
}

impl ReplayCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ids: HashSet::new(),
            by_age: BTreeMap::new(),
            forgotten_up_to: None,
            forgets: true,
        }
    }

    /// One that forgets nothing, for decisions whose moments come in any order.
    pub(super) fn forgetting_nothing(capacity: usize) -> Self {
        Self {
            forgets: false,
            ..Self::new(capacity)
        }
    }

    pub(super) fn remember(&mut self, proof: &UsedProof, now: Timestamp) -> Replay {
        if self.forgets {
            self.forget_stale(now.unix());
        }
        let made = proof.issued_at.unix();
        if self.forgotten_up_to.is_some_and(|limit| made <= limit) {
            return Replay::Forgotten;
        }
        if self.ids.contains(&proof.id) {
            return Replay::Again;
        }
        if self.ids.len() >= self.capacity {
            return Replay::Full {
                capacity: self.capacity,
            };
        }
        self.ids.insert(proof.id);
        self.by_age.entry(made).or_default().push(proof.id);
        Replay::First
    }

    /// Forgets proofs that their own time now refuses.
    fn forget_stale(&mut self, now: u64) {
        while let Some(oldest) = self.by_age.first_entry() {
            let made = *oldest.key();
            if now.saturating_sub(made) <= MAX_PROOF_AGE_SECONDS {
                break;
            }
            for id in oldest.remove() {
                self.ids.remove(&id);
            }
            self.forgotten_up_to = self.forgotten_up_to.max(Some(made));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn remember(cache: &mut ReplayCache, id: u8, made: u64, now: u64) -> Replay {
        let proof = UsedProof {
            id: [id; 32],
            issued_at: Timestamp::from_unix(made),
        };
        cache.remember(&proof, Timestamp::from_unix(now))
    }

    #[test]
    fn a_proof_is_known_again_until_it_is_too_old() {
        let mut cache = ReplayCache::new(10);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::First);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::Again);
        assert_eq!(remember(&mut cache, 1, NOW, NOW + 60), Replay::Again);
        assert_eq!(remember(&mut cache, 1, NOW, NOW + 61), Replay::Forgotten);
    }

    #[test]
    fn a_forgotten_proof_stays_refused_when_the_clock_is_set_back() {
        let mut cache = ReplayCache::new(10);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::First);
        assert_eq!(remember(&mut cache, 2, NOW + 61, NOW + 61), Replay::First);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::Forgotten);
        assert_eq!(remember(&mut cache, 3, NOW + 1, NOW), Replay::First);
    }

    #[test]
    fn what_forgets_nothing_takes_moments_in_any_order() {
        let mut cache = ReplayCache::forgetting_nothing(10);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::First);
        assert_eq!(remember(&mut cache, 2, NOW + 61, NOW + 61), Replay::First);
        assert_eq!(remember(&mut cache, 3, NOW, NOW), Replay::First);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::Again);
    }

    #[test]
    fn capacity_is_inclusive_and_forgetting_makes_room() {
        let mut cache = ReplayCache::new(2);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::First);
        assert_eq!(remember(&mut cache, 2, NOW + 5, NOW), Replay::First);
        let full = Replay::Full { capacity: 2 };
        assert_eq!(remember(&mut cache, 3, NOW + 5, NOW + 60), full);
        assert_eq!(remember(&mut cache, 2, NOW + 5, NOW + 60), Replay::Again);
        assert_eq!(remember(&mut cache, 3, NOW + 5, NOW + 61), Replay::First);
        assert_eq!(cache.ids.len(), 2);
        assert_eq!(cache.by_age.values().map(Vec::len).sum::<usize>(), 2);
    }
}
