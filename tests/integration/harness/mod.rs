//! What the process-level tests share: running the binary, speaking raw HTTP,
//! driving a browser, running Python and Node, and moving a process's clock.
//!
//! Waiting is always for a condition, with a deadline; nothing sleeps for a
//! fixed time and hopes. Every process started here is ended and reaped when
//! its handle is dropped, and shows what it printed if the test is failing.

pub(crate) mod agent;
pub(crate) mod browser;
pub(crate) mod clock;
pub(crate) mod form;
pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod pages;
pub(crate) mod process;
mod program;
pub(crate) mod python;
pub(crate) mod service;
pub(crate) mod visitor;

use std::thread;
use std::time::{Duration, Instant};

/// Asks `condition` again and again until it holds, and returns its answer.
///
/// # Panics
/// After `limit`, with what was awaited and the last reason for not holding.
pub(crate) fn eventually<T>(
    awaited: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        match condition() {
            Ok(answer) => return answer,
            Err(reason) if started.elapsed() > limit => {
                panic!("waited {limit:?} for {awaited}: {reason}");
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::browser::Browser;
    use super::clock::WallClock;
    use super::process::Running;

    fn seconds(clock: &WallClock) -> u64 {
        let mut date = Command::new("date");
        date.arg("+%s");
        clock.rule(&mut date);
        let ended = Running::start("date", date).ended();
        ended.stdout.trim().parse().unwrap()
    }

    #[test]
    fn wall_clock_of_a_process_moves_as_told() {
        let clock = WallClock::new();
        let before = seconds(&clock);
        clock.advance(Duration::from_secs(7_200));
        let after = seconds(&clock);
        assert!(
            (7_200..7_260).contains(&(after - before)),
            "{before} to {after}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn browser_opens_a_page_and_reads_it() {
        let browser = Browser::open().await;
        browser.goto("data:text/html,<p>a bailiwick</p>").await;
        browser.reads("a bailiwick").await;
    }
}
