//! Time as an argument.
//!
//! Owns [`Now`], the reading that every decision takes, and [`Clock`], through which services get
//! one. The verifier itself never reads a clock: its hosts implement [`Clock`] over the system's,
//! and tests advance a [`ManualClock`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bailiwick_datalog::Timestamp;

/// One reading of the time, taken once per decision.
///
/// The two parts answer different questions and never mix: `utc` is compared with dates inside
/// tokens and proofs, `monotonic` measures the age of what was fetched and cannot be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub utc: Timestamp,
    /// Time since some fixed point in the life of the process, never running backwards.
    pub monotonic: Duration,
}

/// A source of [`Now`].
pub trait Clock: Send + Sync {
    /// Reads the time.
    fn now(&self) -> Now;
}

impl<F: Fn() -> Now + Send + Sync> Clock for F {
    fn now(&self) -> Now {
        self()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Clone, Copy, Debug)]
struct ManualState {
    /// The wall clock when it was last set.
    utc_base: Timestamp,
    /// The monotonic reading when the wall clock was last set.
    utc_set_at: Duration,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock that stands at `utc`, with a monotonic reading of zero.
    #[must_use]
    pub fn new(utc: Timestamp) -> Self {
        Self {
            state: Mutex::new(ManualState {
                utc_base: utc,
                utc_set_at: Duration::ZERO,
                monotonic: Duration::ZERO,
            }),
        }
    }

    /// Lets `duration` pass on both clocks. At the end of time they stand still.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.monotonic = state.monotonic.saturating_add(duration);
    }

    /// Sets the wall clock, as an administrator might; the monotonic one goes on undisturbed.
    pub fn set_utc(&self, utc: Timestamp) {
        let mut state = self.lock();
        state.utc_base = utc;
        state.utc_set_at = state.monotonic;
    }

    fn lock(&self) -> MutexGuard<'_, ManualState> {
        // Each change is a plain assignment, so a panicking holder leaves a whole state behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        let state = *self.lock();
        let passed = state.monotonic.saturating_sub(state.utc_set_at);
        Now {
            utc: state
                .utc_base
                .checked_add(passed)
                .unwrap_or(Timestamp::from_unix(u64::MAX)),
            monotonic: state.monotonic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_advance_together() {
        let clock = ManualClock::new(Timestamp::from_unix(100));
        clock.advance(Duration::from_millis(600));
        assert_eq!(clock.now().utc.unix(), 100);
        clock.advance(Duration::from_millis(400));
        assert_eq!(
            clock.now(),
            Now {
                utc: Timestamp::from_unix(101),
                monotonic: Duration::from_secs(1),
            }
        );
    }

    #[test]
    fn setting_the_wall_clock_leaves_the_monotonic_one() {
        let clock = ManualClock::new(Timestamp::from_unix(100));
        clock.advance(Duration::from_secs(5));
        clock.set_utc(Timestamp::from_unix(50));
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            clock.now(),
            Now {
                utc: Timestamp::from_unix(51),
                monotonic: Duration::from_secs(6),
            }
        );
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let clock = ManualClock::new(Timestamp::from_unix(u64::MAX));
        clock.advance(Duration::MAX);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now().utc.unix(), u64::MAX);
        assert_eq!(clock.now().monotonic, Duration::MAX);
    }
}
