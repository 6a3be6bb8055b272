//! The memory of proofs that were used.
//!
//! Owns the promise that no proof passes this memory twice, however the wall clock moves, in bounded
//! space; and that nobody uses it up for all. It ends with the process and is not shared between
//! processes: a proof that was used may pass once more after a restart, or at another instance,
//! while it is fresh. Whoever's share is full is refused until its own proofs grow old, and the
//! others are served. A share is counted twice: for the key that proves, and for the session. A key
//! costs nothing to make, and a token that is bound to none can be bound to a thousand offline; a
//! session takes an approval.

use std::collections::{BTreeMap, HashMap, HashSet};

use bailiwick_datalog::Timestamp;

use super::{MAX_PROOF_AGE_SECONDS, UsedProof};

/// Whom a place is charged to: a holder or a session, by the beginning of a hash. Two that share
/// it share their places.
pub(super) type Owner = [u8; 16];

/// Proofs used and not yet too old to be used again.
#[derive(Debug)]
pub(super) struct ReplayCache {
    capacity: usize,
    /// How many places one owner may have.
    share: usize,
    ids: HashSet<[u8; 32]>,
    /// How many places each owner has; none with none.
    held: HashMap<Owner, usize>,
    /// The same ids, with their owners, by the time the proofs were made.
    by_age: BTreeMap<u64, Vec<Place>>,
    /// The newest time of any proof that was forgotten. Set back, the clock would make such proofs
    /// fresh again, so nothing made up to this time is accepted any more.
    forgotten_up_to: Option<u64>,
    forgets: bool,
}

/// A proof in the memory, and whom it is charged to.
#[derive(Debug)]
struct Place {
    id: [u8; 32],
    owners: [Owner; 2],
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
    /// Nothing more can be remembered of this holder, or of this session.
    ShareFull {
        /// How much is.
        share: usize,
    },
}

impl ReplayCache {
    pub(super) fn new(capacity: usize, share: usize) -> Self {
        Self {
            capacity,
            share,
            ids: HashSet::new(),
            held: HashMap::new(),
            by_age: BTreeMap::new(),
            forgotten_up_to: None,
            forgets: true,
        }
    }

    /// One that forgets nothing, for decisions whose moments come in any order and are all one
    /// party's.
    pub(super) fn forgetting_nothing(capacity: usize) -> Self {
        Self {
            forgets: false,
            ..Self::new(capacity, usize::MAX)
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
        let held = |owner| self.held.get(owner).copied().unwrap_or_default();
        if proof.owners.iter().any(|owner| held(owner) >= self.share) {
            return Replay::ShareFull { share: self.share };
        }
        if self.ids.len() >= self.capacity {
            return Replay::Full {
                capacity: self.capacity,
            };
        }
        self.ids.insert(proof.id);
        for owner in proof.owners {
            let held = self.held.entry(owner).or_default();
            *held = held.saturating_add(1);
        }
        let made = self.by_age.entry(made).or_default();
        made.push(Place {
            id: proof.id,
            owners: proof.owners,
        });
        Replay::First
    }

    /// Forgets proofs that their own time now refuses.
    fn forget_stale(&mut self, now: u64) {
        while let Some(oldest) = self.by_age.first_entry() {
            let made = *oldest.key();
            if now.saturating_sub(made) <= MAX_PROOF_AGE_SECONDS {
                break;
            }
            for Place { id, owners } in oldest.remove() {
                self.ids.remove(&id);
                owners
                    .iter()
                    .for_each(|owner| give_back(&mut self.held, owner));
            }
            self.forgotten_up_to = self.forgotten_up_to.max(Some(made));
        }
    }
}

/// One place less; an owner of none is not kept.
fn give_back(held: &mut HashMap<Owner, usize>, owner: &Owner) {
    if let Some(count) = held.get_mut(owner) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            held.remove(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn remember(cache: &mut ReplayCache, id: u8, made: u64, now: u64) -> Replay {
        // Each of a holder and a session of its own.
        remember_of(cache, (id, id), id, made, now)
    }

    fn remember_of(
        cache: &mut ReplayCache,
        (holder, session): (u8, u8),
        id: u8,
        made: u64,
        now: u64,
    ) -> Replay {
        let proof = UsedProof {
            id: [id; 32],
            owners: [[holder; 16], [session.wrapping_add(128); 16]],
            issued_at: Timestamp::from_unix(made),
        };
        cache.remember(&proof, Timestamp::from_unix(now))
    }

    #[test]
    fn a_share_is_inclusive_and_leaves_the_others_theirs() {
        let mut cache = ReplayCache::new(10, 2);
        let mut of = |owner, id| remember_of(&mut cache, owner, id, NOW, NOW);
        let full = Replay::ShareFull { share: 2 };
        assert_eq!(of((1, 1), 1), Replay::First);
        assert_eq!(of((1, 1), 2), Replay::First);
        assert_eq!(of((1, 1), 3), full);
        // Neither another key for the session helps, nor another session of the key.
        assert_eq!(of((2, 1), 3), full);
        assert_eq!(of((1, 2), 3), full);
        assert_eq!(of((3, 3), 3), Replay::First);
        // A full share tells a replay from a new proof all the same.
        assert_eq!(of((1, 1), 1), Replay::Again);
    }

    #[test]
    fn a_share_is_given_back_as_its_proofs_grow_old() {
        let mut cache = ReplayCache::new(10, 2);
        let mut of = |id, made, now| remember_of(&mut cache, (1, 1), id, made, now);
        assert_eq!(of(1, NOW, NOW), Replay::First);
        assert_eq!(of(2, NOW + 60, NOW), Replay::First);
        let full = Replay::ShareFull { share: 2 };
        assert_eq!(of(3, NOW + 60, NOW + 60), full);
        assert_eq!(of(3, NOW + 60, NOW + 61), Replay::First);
        assert_eq!(of(4, NOW + 60, NOW + 61), full);
        assert_eq!(of(4, NOW + 121, NOW + 121), Replay::First);
        assert!(cache.held.values().all(|held| *held == 1));
        assert_eq!(cache.held.len(), 2);
        // Nothing is kept of owners whose proofs are all forgotten.
        remember(&mut cache, 9, NOW + 300, NOW + 300);
        assert_eq!(cache.held.len(), 2);
    }

    #[test]
    fn shares_do_not_add_up_to_more_than_there_is() {
        let mut cache = ReplayCache::new(3, 2);
        let mut of = |owner, id| remember_of(&mut cache, (owner, owner), id, NOW, NOW);
        assert_eq!(of(1, 1), Replay::First);
        assert_eq!(of(1, 2), Replay::First);
        assert_eq!(of(2, 3), Replay::First);
        assert_eq!(of(2, 4), Replay::Full { capacity: 3 });
        assert_eq!(of(1, 4), Replay::ShareFull { share: 2 });
    }

    #[test]
    fn what_forgets_nothing_shares_nothing_out() {
        let mut cache = ReplayCache::forgetting_nothing(2);
        let mut of = |id| remember_of(&mut cache, (1, 1), id, NOW, NOW);
        assert_eq!(of(1), Replay::First);
        assert_eq!(of(2), Replay::First);
        assert_eq!(of(3), Replay::Full { capacity: 2 });
    }

    #[test]
    fn a_proof_is_known_again_until_it_is_too_old() {
        let mut cache = ReplayCache::new(10, 10);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::First);
        assert_eq!(remember(&mut cache, 1, NOW, NOW), Replay::Again);
        assert_eq!(remember(&mut cache, 1, NOW, NOW + 60), Replay::Again);
        assert_eq!(remember(&mut cache, 1, NOW, NOW + 61), Replay::Forgotten);
    }

    #[test]
    fn a_forgotten_proof_stays_refused_when_the_clock_is_set_back() {
        let mut cache = ReplayCache::new(10, 10);
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
        let mut cache = ReplayCache::new(2, 2);
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
