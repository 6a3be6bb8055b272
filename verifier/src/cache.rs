//! Bounded memory of what was verified, so that it is verified once.
//!
//! A key is found by the hash of its last bytes under a secret of the process and then compared
//! byte for byte: a value is only ever answered for the very bytes it was kept under. The end of a
//! token is a secret or a signature, so that two tokens which share it come from one hand, and
//! displace each other only. What can change (time,
//! revocation, the key set, a holder's proof) is no business of a cache; whoever reads one checks
//! it afterwards. Whatever goes wrong here (a collision, a full cache, a panic elsewhere) costs
//! work, never an answer.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard},
};

use bailiwick_datalog::Timestamp;

/// How many parts are locked apart from each other.
const SHARDS: usize = 16;
/// What a value costs beside its own weight: its places in map and queue.
const SLOT_BYTES: usize = 128;
/// How much of a key is hashed: the text of a next secret or a signature lies within it.
const HASHED_BYTES: usize = 96;

/// A value that a cache may keep. Clones share what they hold.
pub(crate) trait Remembered: Clone {
    /// The bytes it was made from.
    fn key(&self) -> &[u8];
    /// The first moment at which it is of no use.
    fn ends(&self) -> Timestamp;
    /// How much memory it holds, in bytes, its key included; not less than it does.
    fn weight(&self) -> usize;
}

/// Values by their keys, at most so many bytes of them; those not asked for go first.
pub(crate) struct Cache<V> {
    shards: Vec<Apart<V>>,
    hasher: RandomState,
    /// Most bytes in one shard.
    shard_bytes: usize,
}

/// A shard on cache lines of its own: threads at work on two of them don't slow each other down.
#[repr(align(128))]
struct Apart<V>(Mutex<Shard<V>>);

struct Shard<V> {
    slots: HashMap<u64, Slot<V>>,
    /// Hash and serial of every slot, the next to be looked at first, among those of slots that
    /// are gone.
    queue: VecDeque<(u64, u64)>,
    next_serial: u64,
    /// INVARIANT: the sum of the costs of all slots.
    bytes: usize,
}

struct Slot<V> {
    value: V,
    cost: usize,
    serial: u64,
    /// Asked for since it was last looked at.
    used: bool,
}

impl<V: Remembered> Cache<V> {
    /// A cache of at most so many bytes. None at all for 0.
    pub(crate) fn new(bytes: usize) -> Self {
        Self::with_shards(bytes, SHARDS)
    }

    fn with_shards(bytes: usize, shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Apart(Mutex::default())).collect(),
            hasher: RandomState::new(),
            shard_bytes: bytes.checked_div(shards).unwrap_or(0),
        }
    }

    /// The value kept under exactly these bytes, if it has not ended.
    pub(crate) fn get(&self, key: &[u8], now: Timestamp) -> Option<V> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash)?;
        let slot = shard.slots.get_mut(&hash)?;
        if slot.value.key() != key {
            return None;
        }
        if now >= slot.value.ends() {
            shard.remove(hash);
            return None;
        }
        slot.used = true;
        Some(slot.value.clone())
    }

    /// Keeps a value, in place of others if need be; not one that is larger than a shard, or over.
    pub(crate) fn insert(&self, value: V, now: Timestamp) {
        let cost = value.weight().saturating_add(SLOT_BYTES);
        if cost > self.shard_bytes || now >= value.ends() {
            return;
        }
        let hash = self.hash(value.key());
        if let Some(mut shard) = self.shard(hash) {
            shard.remove(hash);
            shard.make_room(self.shard_bytes.saturating_sub(cost), now);
            shard.add(hash, value, cost);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for Apart(shard) in &self.shards {
            *lock(shard) = Shard::default();
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher
            .hash_one(key.last_chunk::<HASHED_BYTES>().map_or(key, |end| end))
    }

    fn shard(&self, hash: u64) -> Option<MutexGuard<'_, Shard<V>>> {
        let count = u64::try_from(self.shards.len()).ok()?;
        let index = usize::try_from(hash.checked_rem(count)?).ok()?;
        self.shards.get(index).map(|Apart(shard)| lock(shard))
    }
}

/// Locks a shard; one that a panic left behind starts anew.
fn lock<V>(shard: &Mutex<Shard<V>>) -> MutexGuard<'_, Shard<V>> {
    shard.lock().unwrap_or_else(|poisoned| {
        let mut guard = poisoned.into_inner();
        *guard = Shard::default();
        shard.clear_poison();
        guard
    })
}

impl<V: Remembered> Shard<V> {
    fn add(&mut self, hash: u64, value: V, cost: usize) {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(cost);
        self.queue.push_back((hash, serial));
        let slot = Slot {
            value,
            cost,
            serial,
            used: false,
        };
        self.slots.insert(hash, slot);
    }

    fn remove(&mut self, hash: u64) {
        if let Some(slot) = self.slots.remove(&hash) {
            self.bytes = self.bytes.saturating_sub(slot.cost);
        }
        // Places of slots that are gone are a minority, so the queue is bounded as the slots are.
        if self.queue.len() > self.slots.len().saturating_mul(2).saturating_add(SHARDS) {
            let slots = &self.slots;
            self.queue
                .retain(|(hash, serial)| slots.get(hash).is_some_and(|s| s.serial == *serial));
        }
    }

    /// Drops values until no more than `bytes` are left: those that have ended or were not asked
    /// for since the last look. Each is spared at most once, so this comes to an end.
    fn make_room(&mut self, bytes: usize, now: Timestamp) {
        while self.bytes > bytes {
            let Some((hash, serial)) = self.queue.pop_front() else {
                return;
            };
            match self.slots.get_mut(&hash) {
                Some(slot) if slot.serial == serial => {
                    if slot.used && now < slot.value.ends() {
                        slot.used = false;
                        self.queue.push_back((hash, serial));
                    } else {
                        self.remove(hash);
                    }
                }
                Some(_) | None => {}
            }
        }
    }
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            queue: VecDeque::new(),
            next_serial: 0,
            bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(100);
    const WEIGHT: usize = 1_000;
    const COST: usize = WEIGHT + SLOT_BYTES;

    #[derive(Clone, Debug, PartialEq)]
    struct Thing {
        key: Arc<[u8]>,
        ends: u64,
    }

    impl Remembered for Thing {
        fn key(&self) -> &[u8] {
            &self.key
        }

        fn ends(&self) -> Timestamp {
            Timestamp::from_unix(self.ends)
        }

        fn weight(&self) -> usize {
            WEIGHT
        }
    }

    fn thing(key: u32) -> Thing {
        Thing {
            key: Arc::from(key.to_be_bytes()),
            ends: 200,
        }
    }

    fn has(cache: &Cache<Thing>, key: u32) -> bool {
        cache.get(&key.to_be_bytes(), NOW) == Some(thing(key))
    }

    /// A cache of one shard with room for so many things.
    fn room_for(count: usize) -> Cache<Thing> {
        Cache::with_shards(count * COST, 1)
    }

    fn bytes(cache: &Cache<Thing>) -> usize {
        cache.shards.iter().map(|shard| lock(&shard.0).bytes).sum()
    }

    #[test]
    fn as_many_values_are_kept_as_there_is_room_for_and_not_one_more() {
        let cache = room_for(3);
        for key in 0..3 {
            cache.insert(thing(key), NOW);
        }
        assert!((0..3).all(|key| has(&cache, key)));
        assert_eq!(bytes(&cache), 3 * COST);
        // All were asked for just now: each is spared once, and the oldest goes.
        cache.insert(thing(3), NOW);
        assert_eq!(bytes(&cache), 3 * COST);
        assert_eq!((0..4).filter(|key| has(&cache, *key)).count(), 3);
        assert!(has(&cache, 3));
    }

    #[test]
    fn a_value_that_just_fits_is_kept_and_one_byte_less_of_room_refuses_it() {
        for (room, kept) in [(COST, true), (COST - 1, false), (0, false)] {
            let cache = Cache::with_shards(room, 1);
            cache.insert(thing(1), NOW);
            assert_eq!(has(&cache, 1), kept, "{room}");
        }
    }

    #[test]
    fn what_is_asked_for_outlives_what_is_not() {
        let cache = room_for(2);
        cache.insert(thing(0), NOW);
        cache.insert(thing(1), NOW);
        assert!(has(&cache, 0));
        cache.insert(thing(2), NOW);
        assert!(has(&cache, 0) && !has(&cache, 1) && has(&cache, 2));
    }

    #[test]
    fn a_value_is_dropped_at_its_end() {
        let cache = room_for(2);
        cache.insert(thing(1), NOW);
        let key = 1_u32.to_be_bytes();
        assert!(cache.get(&key, Timestamp::from_unix(199)).is_some());
        assert!(cache.get(&key, Timestamp::from_unix(200)).is_none());
        assert!(cache.get(&key, NOW).is_none(), "it is gone for good");
        assert_eq!(bytes(&cache), 0);
        cache.insert(thing(1), Timestamp::from_unix(200));
        assert!(cache.get(&key, NOW).is_none());
    }

    #[test]
    fn the_same_key_again_takes_the_place_of_the_first() {
        let cache = room_for(2);
        for _ in 0..100 {
            cache.insert(thing(1), NOW);
        }
        assert_eq!(bytes(&cache), COST);
        let queued = lock(&cache.shards[0].0).queue.len();
        assert!(queued <= 2 + SHARDS, "{queued}");
    }

    #[test]
    fn places_of_values_that_are_gone_are_dropped_at_their_bound() {
        let cache = room_for(2);
        let queued = || lock(&cache.shards[0].0).queue.len();
        for _ in 0..=SHARDS {
            cache.insert(thing(1), NOW);
        }
        assert_eq!(queued(), SHARDS + 1);
        cache.insert(thing(1), NOW);
        assert_eq!(queued(), 1);
    }

    #[test]
    fn a_value_keeps_its_place_where_others_lose_theirs() {
        let cache = room_for(2);
        cache.insert(thing(2), NOW);
        for _ in 0..2 * SHARDS + 4 {
            cache.insert(thing(1), NOW);
        }
        cache.insert(thing(3), NOW);
        assert!(has(&cache, 1) && !has(&cache, 2) && has(&cache, 3));
    }

    #[test]
    fn a_value_put_again_is_as_young_as_its_last_place() {
        let cache = room_for(2);
        for key in [1, 2, 1, 3] {
            cache.insert(thing(key), NOW);
        }
        assert!(has(&cache, 1) && !has(&cache, 2) && has(&cache, 3));
    }

    #[test]
    fn a_value_that_was_asked_for_is_not_spared_at_its_end() {
        for (now, spared) in [(199, true), (200, false)] {
            let cache = room_for(2);
            let other = Thing {
                ends: 300,
                ..thing(2)
            };
            cache.insert(thing(1), NOW);
            cache.insert(other.clone(), NOW);
            assert!(has(&cache, 1));
            let last = Thing {
                ends: 300,
                ..thing(3)
            };
            cache.insert(last, Timestamp::from_unix(now));
            assert_eq!(has(&cache, 1), spared, "{now}");
            assert_eq!(cache.get(other.key(), NOW).is_some(), !spared, "{now}");
        }
    }

    #[test]
    fn a_colliding_hash_never_answers_another_value() {
        let cache = room_for(2);
        let (one, other) = (thing(1), thing(2));
        let hash = cache.hash(other.key());
        lock(&cache.shards[0].0).add(hash, one, COST);
        assert!(cache.get(other.key(), NOW).is_none());
        cache.insert(other, NOW);
        assert!(has(&cache, 2));
        assert_eq!(bytes(&cache), COST);
    }

    #[test]
    fn keys_that_differ_before_the_hashed_end_take_one_place() {
        let cache = room_for(3);
        let of = |first: u8, length: usize| Thing {
            key: Arc::from([&[first][..], &vec![7; length]].concat()),
            ends: 200,
        };
        let get = |thing: &Thing| cache.get(&thing.key, NOW).is_some();
        let (one, other) = (of(1, HASHED_BYTES), of(2, HASHED_BYTES));
        cache.insert(one.clone(), NOW);
        assert!(get(&one) && !get(&other));
        cache.insert(other.clone(), NOW);
        assert!(!get(&one) && get(&other));
        let (one, other) = (of(1, HASHED_BYTES - 1), of(2, HASHED_BYTES - 1));
        cache.insert(one.clone(), NOW);
        cache.insert(other.clone(), NOW);
        assert!(get(&one) && get(&other));
    }

    #[test]
    fn a_cleared_cache_is_empty() {
        let cache = Cache::new(SHARDS * 2 * COST);
        cache.insert(thing(1), NOW);
        assert!(has(&cache, 1));
        cache.clear();
        assert!(!has(&cache, 1));
        assert_eq!(bytes(&cache), 0);
    }

    #[test]
    fn a_shard_that_a_panic_left_behind_starts_anew() {
        let cache = room_for(2);
        cache.insert(thing(1), NOW);
        let panicked = std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                let _guard = cache.shards[0].0.lock().unwrap();
                panic!("while it was held");
            });
            held.join().is_err()
        });
        assert!(panicked);
        assert!(!has(&cache, 1));
        cache.insert(thing(1), NOW);
        assert!(has(&cache, 1));
    }

    #[test]
    fn many_threads_stay_within_the_bound() {
        let cache = room_for(8);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let cache = &cache;
                scope.spawn(move || {
                    for key in 0..2_000 {
                        cache.insert(thing(key % 31 + thread), NOW);
                        let _ = has(cache, key % 17);
                    }
                });
            }
        });
        assert!(bytes(&cache) <= 8 * COST);
        let shard = lock(&cache.shards[0].0);
        assert_eq!(shard.bytes, shard.slots.len() * COST);
    }
}
