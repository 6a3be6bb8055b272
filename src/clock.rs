//! The clocks of this machine. The one place in Bailiwick that reads them;
//! everything else is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bailiwick_datalog::Timestamp;
use bailiwick_verifier::{Clock, Now};

/// The wall clock and a monotonic one that starts with the value.
#[derive(Clone, Debug)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub(crate) fn start() -> Self {
        Self { started: instant() }
    }
}

impl Clock for SystemClock {
    /// A wall clock set before 1970 reads as 1970: every token is then not
    /// yet valid, which is the safe side.
    fn now(&self) -> Now {
        Now {
            utc: Timestamp::from_unix(unix_seconds()),
            monotonic: instant().saturating_duration_since(self.started),
        }
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts measuring.
    pub(crate) fn start() -> Self {
        Self { started: instant() }
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        instant().saturating_duration_since(self.started)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is where the clock is read"
)]
fn instant() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is where the clock is read"
)]
fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
