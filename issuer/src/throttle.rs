//! Slowing down guesses: at sign-in, and at the codes people type.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

/// Guesses before the first wait.
const FREE_ATTEMPTS: u32 = 5;
/// The first wait; each further guess doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait: long against a guesser, short enough that an approver who was locked out
/// by somebody else is not kept away for good.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// Attempts are forgotten after this much quiet.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
/// Most names remembered; past it, see [`Throttle::forgetting`].
const MAX_NAMES: usize = 10_000;

/// Counts attempts by name, on the monotonic clock. Names are kept as digests.
///
/// Where more names are tried than are remembered, names not seen before have to wait.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    names: Mutex<HashMap<[u8; 32], Attempts>>,
    forgets: bool,
}

#[derive(Debug)]
struct Attempts {
    count: u32,
    last: Duration,
    blocked_until: Duration,
}

/// Too many attempts: come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// How long to wait.
    pub(crate) retry_after: Duration,
}

impl Throttle {
    /// One that forgets everybody where more names are tried than are remembered: for names that
    /// anybody makes as many of as they like, so that a crowd of them keeps nobody out.
    pub(crate) fn forgetting() -> Self {
        Self {
            forgets: true,
            ..Self::default()
        }
    }

    /// Counts an attempt before it is made, so that simultaneous ones are counted too.
    ///
    /// # Errors
    /// [`TooMany`] when the attempt must not be made.
    pub(crate) fn begin(&self, name: &str, now: Duration) -> Result<(), TooMany> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let key = digest(name);
        if names.len() >= MAX_NAMES && !names.contains_key(&key) {
            names.retain(|_, attempts| now < attempts.last.saturating_add(FORGET_AFTER));
            if names.len() >= MAX_NAMES && self.forgets {
                names.clear();
            } else if names.len() >= MAX_NAMES {
                return Err(TooMany {
                    retry_after: FIRST_WAIT,
                });
            }
        }
        let fresh = Attempts {
            count: 0,
            last: now,
            blocked_until: Duration::ZERO,
        };
        let attempts = names.entry(key).or_insert(fresh);
        if now < attempts.blocked_until {
            return Err(TooMany {
                retry_after: attempts.blocked_until.saturating_sub(now),
            });
        }
        if now >= attempts.last.saturating_add(FORGET_AFTER) {
            attempts.count = 0;
        }
        attempts.count = attempts.count.saturating_add(1);
        attempts.last = now;
        if let Some(over) = attempts.count.checked_sub(FREE_ATTEMPTS) {
            let factor = 2_u32.saturating_pow(over);
            let wait = FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT);
            attempts.blocked_until = now.saturating_add(wait);
        }
        Ok(())
    }

    /// Takes the last attempt of a name back, and leaves the others: it was right, and says nothing
    /// about those before it.
    pub(crate) fn take_back(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempts) = names.get_mut(&digest(name)) {
            attempts.count = attempts.count.saturating_sub(1);
            // It would not have been made before an earlier wait was over.
            attempts.blocked_until = Duration::ZERO;
        }
    }

    /// Forgets the attempts of a name: the last one was right.
    pub(crate) fn succeeded(&self, name: &str) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&digest(name));
    }
}

/// Most attempts of everybody together within [`SHARED_WINDOW`]: with 100 live codes of 34 bits
/// and all of these used by guessers, one guess in four million windows is right.
const MOST_SHARED: usize = 60;
/// See [`MOST_SHARED`].
const SHARED_WINDOW: Duration = Duration::from_secs(10 * 60);

/// Counts attempts of everybody together, on the monotonic clock: many names guess no faster
/// than one.
#[derive(Debug, Default)]
pub(crate) struct SharedThrottle(Mutex<VecDeque<Duration>>);

impl SharedThrottle {
    /// Counts an attempt before it is made.
    ///
    /// # Errors
    /// [`TooMany`] when the attempt must not be made.
    pub(crate) fn begin(&self, now: Duration) -> Result<(), TooMany> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = times.front().copied() {
            let over = first.saturating_add(SHARED_WINDOW);
            if now < over {
                if times.len() >= MOST_SHARED {
                    let retry_after = over.saturating_sub(now);
                    return Err(TooMany { retry_after });
                }
                break;
            }
            times.pop_front();
        }
        times.push_back(now);
        Ok(())
    }

    /// Takes an attempt back: it was right.
    pub(crate) fn succeeded(&self) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.pop_back();
    }
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    #[test]
    fn five_attempts_are_free_and_the_sixth_waits() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.begin("ada", START), Ok(()));
        }
        assert_eq!(
            throttle.begin("ada", START),
            Err(TooMany {
                retry_after: FIRST_WAIT
            })
        );
        assert_eq!(throttle.begin("bob", START), Ok(()));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let throttle = Throttle::default();
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..15 {
            if let Err(TooMany { retry_after }) = throttle.begin("ada", now) {
                waits.push(retry_after.as_secs());
                now += retry_after;
                throttle.begin("ada", now).unwrap();
            }
        }
        assert_eq!(waits.first(), Some(&10));
        assert_eq!(waits.get(1), Some(&20));
        assert_eq!(waits.last(), Some(&300));
    }

    #[test]
    fn right_attempt_clears_the_count() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            throttle.begin("ada", START).unwrap();
        }
        throttle.succeeded("ada");
        for _ in 0..5 {
            assert_eq!(throttle.begin("ada", START), Ok(()));
        }
    }

    #[test]
    fn attempt_that_is_taken_back_leaves_those_before_it() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            throttle.begin("ada", START).unwrap();
        }
        for _ in 0..3 {
            throttle.begin("ada", START).unwrap();
            throttle.take_back("ada");
        }
        assert_eq!(throttle.begin("ada", START), Ok(()), "the fifth");
        assert!(throttle.begin("ada", START).is_err(), "the sixth");
    }

    #[test]
    fn quiet_clears_the_count() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            throttle.begin("ada", START).unwrap();
        }
        let later = START + FORGET_AFTER;
        for _ in 0..5 {
            assert_eq!(throttle.begin("ada", later), Ok(()));
        }
    }

    #[test]
    fn sixty_attempts_of_all_together_are_made_and_one_more_waits() {
        let throttle = SharedThrottle::default();
        for second in 0..60 {
            let now = START + Duration::from_secs(second);
            assert_eq!(throttle.begin(now), Ok(()));
        }
        let retry_after = SHARED_WINDOW - Duration::from_secs(60);
        let now = START + Duration::from_secs(60);
        assert_eq!(throttle.begin(now), Err(TooMany { retry_after }));
        throttle.succeeded();
        assert_eq!(throttle.begin(now), Ok(()), "a right one does not count");
        assert_eq!(throttle.begin(START + SHARED_WINDOW), Ok(()));
        assert!(throttle.begin(START + SHARED_WINDOW).is_err());
    }

    #[test]
    fn crowd_keeps_nobody_out_where_names_are_free() {
        let throttle = Throttle::forgetting();
        for _ in 0..5 {
            throttle.begin("0", START).unwrap();
        }
        for name in 1..MAX_NAMES {
            throttle.begin(&name.to_string(), START).unwrap();
        }
        assert!(throttle.begin("0", START).is_err());
        assert_eq!(throttle.begin("one more", START), Ok(()));
        assert_eq!(throttle.begin("0", START), Ok(()));
    }

    #[test]
    fn flood_of_names_is_bounded() {
        let throttle = Throttle::default();
        for name in 0..MAX_NAMES {
            throttle.begin(&name.to_string(), START).unwrap();
        }
        assert!(throttle.begin("one more", START).is_err());
        assert_eq!(throttle.begin("0", START), Ok(()));
        assert_eq!(throttle.begin("one more", START + FORGET_AFTER), Ok(()));
    }
}
