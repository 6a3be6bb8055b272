//! Bounded memory of what was verified, so that it is verified once.
//!
//! A key is found by the hash of its last bytes under a secret of the process and then compared
//! byte for byte: a value is only ever answered for the very bytes it was kept under. The end of a
//! token is a secret or a signature, so that two tokens which share it come from one hand, and
//! displace each other only. What can change (time,
//! revocation, the key set, a holder's proof) is no business of a cache; whoever reads one checks
//! it afterwards. Whatever goes wrong here (a collision, a full cache, a panic elsewhere) costs
//! work, never an answer.

mod hashed;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, RandomState},
    sync::{Mutex, MutexGuard},
};

use bailiwick_datalog::Timestamp;

use self::hashed::Hashed;

/// How many parts have an account of their own.
const SHARDS: usize = 16;
/// How many parts of a shard are locked apart from each other by those who read.
const STRIPES: usize = 64;
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
    shards: Vec<Shard<V>>,
    hasher: RandomState,
    /// Most bytes in one shard.
    shard_bytes: usize,
}

impl<V: Remembered> Cache<V> {
    /// A cache of at most so many bytes. None at all for 0.
    pub(crate) fn new(bytes: usize) -> Self {
        Self::with_shards(bytes, SHARDS, STRIPES)
    }

    fn with_shards(bytes: usize, shards: usize, stripes: usize) -> Self {
        let shards = if bytes == 0 { 0 } else { shards };
        Self {
            shards: (0..shards).map(|_| Shard::new(stripes)).collect(),
            hasher: RandomState::new(),
            shard_bytes: bytes.checked_div(shards).unwrap_or(0),
        }
    }

    /// The value kept under exactly these bytes, if it has not ended.
    pub(crate) fn get(&self, key: &[u8], now: Timestamp) -> Option<V> {
        let hash = self.hash(key);
        let shard = self.shard(hash)?;
        let mut stripe = shard.stripe(hash)?.read()?;
        let slot = stripe.get_mut(&hash)?;
        if slot.value.key() != key {
            return None;
        }
        if now >= slot.value.ends() {
            drop(stripe);
            shard.write().remove(hash);
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
        if let Some(shard) = self.shard(hash) {
            let mut writing = shard.write();
            writing.remove(hash);
            writing.make_room(self.shard_bytes.saturating_sub(cost), now);
            writing.add(hash, value, cost);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            shard.write().clear();
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher
            .hash_one(key.last_chunk::<HASHED_BYTES>().map_or(key, |end| end))
    }

    fn shard(&self, hash: u64) -> Option<&Shard<V>> {
        pick(&self.shards, hash >> 32)
    }
}

/// The one of these that a number stands for.
fn pick<T>(of: &[T], number: u64) -> Option<&T> {
    let index = number.checked_rem(u64::try_from(of.len()).ok()?)?;
    of.get(usize::try_from(index).ok()?)
}

/// Values with one account. Who reads locks one stripe; who writes locks the account, and with it
/// in hand one stripe after the other.
struct Shard<V> {
    account: Mutex<Account>,
    stripes: Vec<Stripe<V>>,
}

/// What the values of a shard cost, and who goes next.
#[derive(Default)]
struct Account {
    /// Hash and serial of every slot, the next to be looked at first, among those of slots that
    /// are gone.
    queue: VecDeque<(u64, u64)>,
    next_serial: u64,
    /// INVARIANT: the number of all slots.
    slots: usize,
    /// INVARIANT: the sum of the costs of all slots.
    bytes: usize,
}

/// Slots by hash, on a cache line of their own: threads at work on two of them don't slow each
/// other down.
#[repr(align(64))]
struct Stripe<V>(Mutex<Slots<V>>);

type Slots<V> = HashMap<u64, Slot<V>, BuildHasherDefault<Hashed>>;

struct Slot<V> {
    value: V,
    cost: usize,
    serial: u64,
    /// Asked for since it was last looked at.
    used: bool,
}

impl<V> Shard<V> {
    fn new(stripes: usize) -> Self {
        Self {
            account: Mutex::default(),
            stripes: (0..stripes).map(|_| Stripe(Mutex::default())).collect(),
        }
    }

    fn stripe(&self, hash: u64) -> Option<&Stripe<V>> {
        pick(&self.stripes, hash >> 40)
    }

    /// Locks the account; a shard that a panic left behind starts anew.
    fn write(&self) -> Writing<'_, V> {
        let whole = !self.stripes.iter().any(|stripe| stripe.0.is_poisoned());
        match self.account.lock() {
            Ok(account) if whole => Writing {
                account,
                shard: self,
            },
            Ok(account) => self.anew(account),
            Err(poisoned) => {
                self.account.clear_poison();
                self.anew(poisoned.into_inner())
            }
        }
    }

    fn anew<'a>(&'a self, account: MutexGuard<'a, Account>) -> Writing<'a, V> {
        let mut writing = Writing {
            account,
            shard: self,
        };
        writing.clear();
        writing
    }
}

impl<V> Stripe<V> {
    /// Locks the slots for a look; `None` for those that a panic left behind.
    fn read(&self) -> Option<MutexGuard<'_, Slots<V>>> {
        self.0.lock().ok()
    }

    /// Locks the slots for a change; those that a panic left behind are emptied.
    fn write(&self) -> MutexGuard<'_, Slots<V>> {
        self.0.lock().unwrap_or_else(|poisoned| {
            let mut slots = poisoned.into_inner();
            slots.clear();
            self.0.clear_poison();
            slots
        })
    }
}

/// A shard whose account is locked.
struct Writing<'a, V> {
    account: MutexGuard<'a, Account>,
    shard: &'a Shard<V>,
}

impl<V> Writing<'_, V> {
    fn add(&mut self, hash: u64, value: V, cost: usize) {
        let Some(stripe) = self.shard.stripe(hash) else {
            return;
        };
        let serial = self.account.next_serial;
        self.account.next_serial = serial.wrapping_add(1);
        self.account.slots = self.account.slots.saturating_add(1);
        self.account.bytes = self.account.bytes.saturating_add(cost);
        self.account.queue.push_back((hash, serial));
        let slot = Slot {
            value,
            cost,
            serial,
            used: false,
        };
        stripe.write().insert(hash, slot);
    }

    fn remove(&mut self, hash: u64) {
        let slot = self
            .shard
            .stripe(hash)
            .and_then(|s| s.write().remove(&hash));
        let Some(slot) = slot else {
            return;
        };
        let account = &mut *self.account;
        account.slots = account.slots.saturating_sub(1);
        account.bytes = account.bytes.saturating_sub(slot.cost);
        // Places of slots that are gone are a minority, so the queue is bounded as the slots are.
        if account.queue.len() > account.slots.saturating_mul(2).saturating_add(SHARDS) {
            account.queue.retain(|(hash, serial)| {
                let stripe = self.shard.stripe(*hash).map(Stripe::write);
                let slot = stripe.as_ref().and_then(|slots| slots.get(hash));
                slot.is_some_and(|slot| slot.serial == *serial)
            });
        }
    }

    fn clear(&mut self) {
        *self.account = Account::default();
        for stripe in &self.shard.stripes {
            // Not merely emptied: the memory of the map goes too.
            *stripe.write() = Slots::default();
        }
    }
}

impl<V: Remembered> Writing<'_, V> {
    /// Drops values until no more than `bytes` are left: those that have ended or were not asked
    /// for since the last look. Each is spared at most once, so this comes to an end.
    fn make_room(&mut self, bytes: usize, now: Timestamp) {
        while self.account.bytes > bytes {
            let Some((hash, serial)) = self.account.queue.pop_front() else {
                return;
            };
            match self.look(hash, serial, now) {
                Look::Gone => {}
                Look::Spared => self.account.queue.push_back((hash, serial)),
                Look::Over => self.remove(hash),
            }
        }
    }

    fn look(&self, hash: u64, serial: u64, now: Timestamp) -> Look {
        let mut stripe = self.shard.stripe(hash).map(Stripe::write);
        match stripe.as_mut().and_then(|slots| slots.get_mut(&hash)) {
            Some(slot) if slot.serial == serial => {
                if slot.used && now < slot.value.ends() {
                    slot.used = false;
                    Look::Spared
                } else {
                    Look::Over
                }
            }
            Some(_) | None => Look::Gone,
        }
    }
}

/// What a look at the next place in the queue finds.
enum Look {
    /// The slot is gone, or another has taken its place.
    Gone,
    /// It was asked for.
    Spared,
    /// It has ended, or nobody asked.
    Over,
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
        Cache::with_shards(count * COST, 1, 2)
    }

    fn bytes(cache: &Cache<Thing>) -> usize {
        let accounts = cache.shards.iter().map(|shard| shard.write().account.bytes);
        accounts.sum()
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
            let cache = Cache::with_shards(room, 1, 2);
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
        let queued = cache.shards[0].write().account.queue.len();
        assert!(queued <= 2 + SHARDS, "{queued}");
    }

    #[test]
    fn places_of_values_that_are_gone_are_dropped_at_their_bound() {
        let cache = room_for(2);
        let queued = || cache.shards[0].write().account.queue.len();
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
        cache.shards[0].write().add(hash, one, COST);
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
    fn values_are_spread_over_all_stripes_of_all_shards() {
        let cache = Cache::new(SHARDS * 1_000 * COST);
        for key in 0..8_000 {
            cache.insert(thing(key), NOW);
        }
        assert_eq!(
            (cache.shards.len(), cache.shards[0].stripes.len()),
            (SHARDS, STRIPES)
        );
        let mut stripes = cache.shards.iter().flat_map(|shard| &shard.stripes);
        // Eight each on average; none at all has a chance of one in three thousand.
        let empty = stripes.by_ref().filter(|s| s.write().is_empty()).count();
        assert!(empty < 8, "{empty}");
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
        let account = |cache: &Cache<Thing>| drop(cache.shards[0].account.lock().unwrap());
        let stripe = |cache: &Cache<Thing>| {
            let hash = cache.hash(thing(1).key());
            drop(cache.shards[0].stripe(hash).unwrap().0.lock().unwrap());
        };
        let panicking: [fn(&Cache<Thing>); 2] = [
            |cache| {
                let _guard = cache.shards[0].account.lock().unwrap();
                panic!("while it was held");
            },
            |cache| {
                let hash = cache.hash(thing(1).key());
                let _guard = cache.shards[0].stripe(hash).unwrap().0.lock().unwrap();
                panic!("while it was held");
            },
        ];
        for panicking in panicking {
            let cache = room_for(2);
            cache.insert(thing(1), NOW);
            cache.insert(thing(2), NOW);
            let panicked = std::thread::scope(|scope| scope.spawn(|| panicking(&cache)).join());
            assert!(panicked.is_err());
            cache.insert(thing(3), NOW);
            assert!(!has(&cache, 1) && !has(&cache, 2) && has(&cache, 3));
            assert_eq!(bytes(&cache), COST);
            account(&cache);
            stripe(&cache);
        }
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
        let shard = &cache.shards[0];
        let kept: usize = shard.stripes.iter().map(|s| s.write().len()).sum();
        let account = &shard.write().account;
        assert_eq!((account.slots, account.bytes), (kept, kept * COST));
    }
}
