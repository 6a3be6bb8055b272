//! The ledger of exact calls: which were made, so that none is made more often than approved.
//!
//! A use is on disk before its call has an effect, and stays there until its session is over. What
//! cannot be recorded does not happen; what was acknowledged is never forgotten: a ledger that is
//! not whole is not opened, and sessions from before it began, or from beyond what it has dropped,
//! are refused. One thread owns the file, and takes what waits for it with one `fdatasync`. The form
//! of the file is `file`'s; that uses are counted before calls are made is `crate::call`'s.

mod file;
#[cfg(test)]
mod tests;
mod uses;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bailiwick_datalog::Timestamp;
use bailiwick_verifier::single_use::Claim;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

pub use self::file::LedgerOpenError;
use self::{file::LedgerFile, uses::Use};

/// Claims that may wait for the disk before callers have to.
const QUEUE: usize = 1_024;
/// Most claims made durable together.
const MAX_BATCH: usize = 256;
/// Most uses of live sessions that are remembered; each takes some 250 bytes on disk.
pub(crate) const MAX_USES: usize = 100_000;

/// A ledger that uses can be put on.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    queue: mpsc::Sender<Job>,
    health: Arc<Health>,
}

/// What the ledger's thread says of itself.
#[derive(Debug, Default)]
struct Health {
    /// The last attempt to write failed.
    failing: AtomicBool,
    /// An attempt that nobody's call waits for is under way.
    trying: AtomicBool,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotCounted {
    /// It was made as often as it was approved.
    #[error("the call was made as often as it was approved")]
    UsedUp,
    /// The session began before the ledger did, or ended before something that the ledger dropped:
    /// nobody knows how often it made the call.
    #[error("the ledger does not go back to the beginning of the session")]
    Unknown,
    /// The use could not be made durable, or there is no room for it.
    #[error("the use cannot be recorded")]
    NotRecorded,
}

#[derive(Debug)]
enum Job {
    Count(Count),
    /// Whether the file can be written again.
    Try(Timestamp),
}

#[derive(Debug)]
struct Count {
    claim: Claim,
    now: Timestamp,
    done: oneshot::Sender<Result<u32, NotCounted>>,
}

impl Ledger {
    /// Opens the ledger at `path`, or begins one. What is over is dropped from it.
    ///
    /// # Errors
    /// [`LedgerOpenError`]; calls could be made again without it.
    pub(crate) fn open(path: &Path, now: Timestamp) -> Result<Self, LedgerOpenError> {
        Self::bounded(path, now, MAX_USES)
    }

    fn bounded(path: &Path, now: Timestamp, most: usize) -> Result<Self, LedgerOpenError> {
        let file = LedgerFile::open(path, now, most)?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let health = Arc::new(Health::default());
        let noted = Arc::clone(&health);
        std::thread::Builder::new()
            .name("gateway-ledger".to_owned())
            .spawn(move || run(file, jobs, &noted))
            .map_err(|source| LedgerOpenError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self { queue, health })
    }

    /// Counts one more use and returns, when it is durable, which it is.
    ///
    /// # Errors
    /// [`NotCounted`]: the call must not be made.
    pub(crate) async fn count(&self, claim: Claim, now: Timestamp) -> Result<u32, NotCounted> {
        let (done, counted) = oneshot::channel();
        let job = Job::Count(Count { claim, now, done });
        let sent = self.queue.send(job).await;
        sent.map_err(|_| NotCounted::NotRecorded)?;
        counted.await.map_err(|_| NotCounted::NotRecorded)?
    }

    /// True while the last attempt to write failed. Has another made then, without waiting for it:
    /// calls may not come until this says that they can be counted.
    pub(crate) fn is_failing(&self, now: Timestamp) -> bool {
        let failing = self.health.failing.load(Ordering::Relaxed);
        if failing && !self.health.trying.swap(true, Ordering::Relaxed) {
            // A queue that is full has enough to try.
            if self.queue.try_send(Job::Try(now)).is_err() {
                self.health.trying.store(false, Ordering::Relaxed);
            }
        }
        failing
    }
}

fn run(mut file: LedgerFile, mut jobs: mpsc::Receiver<Job>, health: &Health) {
    let mut batch = Vec::new();
    while jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        let (mut counts, mut attempt) = (Vec::new(), None);
        for job in batch.drain(..) {
            match job {
                Job::Count(count) => counts.push(count),
                Job::Try(now) => attempt = Some(now),
            }
        }
        let mut outcome = attempt.map(|now| file.write_anew(now));
        let (answers, written) = settle(&mut file, &counts);
        if !counts.is_empty() {
            outcome = Some(written);
        }
        if let Some(written) = outcome {
            if let Err(error) = &written {
                tracing::error!(%error, "the ledger of exact calls cannot be written");
            }
            health.failing.store(written.is_err(), Ordering::Relaxed);
        }
        if attempt.is_some() {
            health.trying.store(false, Ordering::Relaxed);
        }
        for (count, answer) in counts.into_iter().zip(answers) {
            // A caller that no longer waits makes no call; its use is spent.
            let _ = count.done.send(answer);
        }
    }
}

/// Answers all claims of a batch, and makes those counted durable before it returns.
fn settle(
    file: &mut LedgerFile,
    batch: &[Count],
) -> (Vec<Result<u32, NotCounted>>, io::Result<()>) {
    let latest = batch.iter().map(|job| job.now).max();
    let made_room = latest.map_or(Ok(()), |now| file.make_room(batch.len(), now));
    let mut fresh: Vec<Use> = Vec::new();
    let answers: Vec<_> = batch
        .iter()
        .map(|job| {
            let next = file.uses().next(&job.claim, &fresh)?;
            let nth = next.nth;
            fresh.push(next);
            Ok(nth)
        })
        .collect();
    let written = made_room.and_then(|()| file.append(fresh));
    match written {
        Ok(()) => (answers, Ok(())),
        Err(error) => {
            let refused =
                |answer: Result<u32, NotCounted>| answer.and(Err(NotCounted::NotRecorded));
            (answers.into_iter().map(refused).collect(), Err(error))
        }
    }
}
