//! The sight of waiting: a spinner and a countdown on a terminal, nothing
//! where there is none.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::duration;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// A spinner that counts down until [`Waiting::end`].
#[derive(Debug)]
pub(crate) struct Waiting {
    shown: Option<(ProgressBar, JoinHandle<()>)>,
}

impl Waiting {
    /// Shows that somebody is waited for, at most for `patience`. Needs a
    /// running tokio runtime where `visible`.
    pub(crate) fn show(patience: Duration, visible: bool) -> Self {
        if !visible {
            return Self { shown: None };
        }
        let bar = ProgressBar::new_spinner();
        // The template is a constant that the library reads; the default
        // style serves as well.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        let counting = tokio::spawn(count_down(bar.clone(), patience));
        Self {
            shown: Some((bar, counting)),
        }
    }

    /// Takes the spinner off the screen.
    pub(crate) fn end(self) {
        if let Some((bar, counting)) = self.shown {
            counting.abort();
            bar.finish_and_clear();
        }
    }
}

async fn count_down(bar: ProgressBar, patience: Duration) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut left = patience;
    loop {
        second.tick().await;
        bar.set_message(format!(
            "waiting for a decision, {} left",
            duration::format(left)
        ));
        left = left.saturating_sub(Duration::from_secs(1));
    }
}
