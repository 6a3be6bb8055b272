//! Delivering what is to be told.
//!
//! Each place has its own queue and is served by itself: one that hangs or is away keeps only
//! itself waiting. It is served when something changes and when its next attempt is due; nobody
//! looks at fixed intervals. What a receiver will never take is put on the record and not sent
//! again. What is on its way while its request is decided cannot be called back.

use std::{sync::Arc, time::Duration};

use bailiwick_datalog::Timestamp;
use futures_util::future::join_all;
use serde_json::json;

use super::{DEADLINE, GATHER, Place, Sender, Undelivered};
use crate::{
    core::{Core, Unavailable},
    store::{Notification, notifications},
    text::visible_line,
};

/// Most sent to one place at once.
const AT_ONCE: i64 = 4;
/// Until the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause between two. No place is left alone for longer either, because a clock may
/// be set while it sleeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Until the store is asked again after it failed: it is not to be kept busy failing.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Most characters of a receiver's answer that are put on the record.
const MAX_ANSWER_CHARS: usize = 300;

impl Core {
    /// Sends what is due now, and says how much of it was taken.
    ///
    /// # Errors
    /// [`Unavailable`] when the store does not answer.
    pub(crate) async fn deliver_due(&self) -> Result<usize, Unavailable> {
        let served = join_all(self.places.0.iter().map(|place| self.serve(place))).await;
        served
            .into_iter()
            .try_fold(0_usize, |all, taken| Ok(all.saturating_add(taken?)))
    }

    /// Sends what is due in one place.
    async fn serve(&self, place: &Place) -> Result<usize, Unavailable> {
        let now = self.clock.now().utc;
        self.store.forget_late_notifications(now).await?;
        let due = self.store.due_notifications(&place.name, now, AT_ONCE);
        let due = due.await?;
        let sent = join_all(due.iter().map(|one| place.deliver(one, now))).await;
        let mut taken = 0_usize;
        let mut noted = Ok(());
        for (one, sent) in due.iter().zip(sent) {
            // What was taken is noted whatever became of the note before.
            let note = match sent {
                Ok(()) => {
                    taken = taken.saturating_add(1);
                    let again_at = now.checked_add(GATHER).unwrap_or(now);
                    let forgotten = self.store.forget_notification(one, again_at).await;
                    forgotten.map_err(Unavailable::from)
                }
                Err(Undelivered::Later(cause)) => {
                    tracing::warn!(target = place.name, cause, "an approver was not told");
                    let next = now.checked_add(pause_after(one.attempts));
                    let next = next.unwrap_or(one.expires_at);
                    let postponed = self.store.postpone_notification(&one.id, next).await;
                    postponed.map_err(Unavailable::from)
                }
                Err(Undelivered::Never(cause)) => self.give_up(place, one, &cause, now).await,
            };
            noted = noted.and(note);
        }
        noted?;
        Ok(taken)
    }

    /// Puts it on the record that an approver will not be told.
    async fn give_up(
        &self,
        place: &Place,
        one: &Notification,
        cause: &str,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let why: String = visible_line(cause).chars().take(MAX_ANSWER_CHARS).collect();
        tracing::warn!(target = place.name, why, "an approver will not be told");
        let fields = json!({"approval": one.request, "target": place.name, "why": why});
        let mut change = self.store.change().await?;
        notifications::forget(&mut change, &one.id).await?;
        self.seal(change, now, "approver_not_told", fields).await
    }

    /// Serves one place for good.
    async fn keep_serving(&self, place: &Place) {
        let mut beats = self.pulse.beats();
        loop {
            beats.mark_unchanged();
            let served = self.serve(place).await;
            let pause = match served {
                Ok(_) => self.until_due(place).await,
                Err(cause) => Err(cause),
            };
            let pause = pause.unwrap_or_else(|cause| {
                tracing::error!(%cause, "approvers could not be told");
                AFTER_FAILURE
            });
            tokio::select! {
                changed = beats.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn until_due(&self, place: &Place) -> Result<Duration, Unavailable> {
        let next = self.store.next_notification(&place.name).await?;
        let now = self.clock.now().utc;
        let pause = next.map_or(LONGEST_PAUSE, |next| next.saturating_since(now));
        Ok(pause.min(LONGEST_PAUSE))
    }
}

impl Place {
    async fn deliver(&self, one: &Notification, now: Timestamp) -> Result<(), Undelivered> {
        let sending = async {
            match &self.sender {
                Sender::Webhook(webhook) => webhook.send(&one.id, &one.body, now).await,
                Sender::Mail(mail) => mail.send(&one.id, &one.body).await,
            }
        };
        let sent = tokio::time::timeout(DEADLINE, sending).await;
        sent.unwrap_or_else(|_| Err(Undelivered::Later("it takes too long".to_owned())))
    }
}

/// Serves all places until `stop`, and then has open pages end.
pub(crate) async fn run(core: Arc<Core>, stop: impl Future<Output = ()>) {
    let all = join_all(core.places.0.iter().map(|place| core.keep_serving(place)));
    let work = async {
        all.await;
        // There may be no place at all.
        std::future::pending::<()>().await;
    };
    // What is cut off half-way is sent again after the next start.
    tokio::select! {
        biased;
        () = stop => {}
        () = work => {}
    }
    core.pulse.end();
}

/// Twice as long after each attempt.
fn pause_after(attempts: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempts);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 4, 40].map(|attempts| pause_after(attempts).as_secs());
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    }
}
