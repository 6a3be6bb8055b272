//! The gateway's own audit record: what was asked, what was decided, what came of it.
//!
//! One thread owns the file. It takes what is waiting, appends it all, makes it durable with one
//! `fdatasync`, and only then tells those who wait: nothing is forwarded before its decision is
//! on disk, and what cannot be recorded does not happen. The form of a line is
//! [`bailiwick_verifier::audit`]'s.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bailiwick_datalog::Timestamp;
use bailiwick_verifier::audit::{AuditError, Chain};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::durable;

/// Records that may wait for the disk before callers have to.
const QUEUE: usize = 1_024;

/// Most records made durable together.
const MAX_BATCH: usize = 256;

/// Longest line looked for at the end of an existing record.
const MAX_LINE_BYTES: u64 = 1_048_576;

/// A record that lines can be added to.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    queue: mpsc::Sender<Job>,
    failing: Arc<AtomicBool>,
}

/// A line that is durable, by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Names the line for as long as the record lives.
    pub(crate) hash: String,
}

/// The record could not be made durable; its effect must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the audit record cannot be written")]
pub(crate) struct NotRecorded;

/// Why an existing record cannot be continued.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditOpenError {
    /// The file system refused.
    #[error("the audit record at `{path}` cannot be opened")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The last line is not one that this record could end with.
    #[error("the audit record at `{path}` does not end with a whole line of a record")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: AuditError,
    },
}

#[derive(Debug)]
struct Job {
    at: Timestamp,
    event: &'static str,
    fields: Value,
    done: oneshot::Sender<Result<Recorded, NotRecorded>>,
}

impl AuditLog {
    /// Opens the record at `path`, or starts one. A last line that a crash cut short never
    /// counted, so it is taken off; any other damage refuses.
    ///
    /// # Errors
    /// [`AuditOpenError`].
    pub(crate) fn open(path: &Path) -> Result<Self, AuditOpenError> {
        let failed = |source| AuditOpenError::Io {
            path: path.to_owned(),
            source,
        };
        let mut writer = Writer::open(path).map_err(failed)?;
        if let Some(line) = writer.last_line().map_err(failed)? {
            writer.chain = Chain::resume(&line).map_err(|source| AuditOpenError::Damaged {
                path: path.to_owned(),
                source,
            })?;
        }
        let (queue, jobs) = mpsc::channel(QUEUE);
        let failing = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&failing);
        std::thread::Builder::new()
            .name("gateway-audit".to_owned())
            .spawn(move || writer.run(jobs, &noted))
            .map_err(failed)?;
        Ok(Self { queue, failing })
    }

    /// Records one event and returns when it is durable.
    ///
    /// # Errors
    /// [`NotRecorded`]: the effect that depends on it must not happen.
    pub(crate) async fn record(
        &self,
        at: Timestamp,
        event: &'static str,
        fields: Value,
    ) -> Result<Recorded, NotRecorded> {
        let (done, recorded) = oneshot::channel();
        self.queue
            .send(Job {
                at,
                event,
                fields,
                done,
            })
            .await
            .map_err(|_| NotRecorded)?;
        recorded.await.map_err(|_| NotRecorded)?
    }

    /// True while the last attempt to write failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

/// The file and the end of its chain.
///
/// INVARIANT: `length` bytes of the file are durable, whole lines, and `chain` is their end.
struct Writer {
    file: File,
    chain: Chain,
    length: u64,
}

impl Writer {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        durable::private(&mut options);
        let file = options.open(path)?;
        if let Some(parent) = path.parent() {
            durable::sync_directory(parent)?;
        }
        let length = fs::metadata(path)?.len();
        Ok(Self {
            file,
            chain: Chain::new(),
            length,
        })
    }

    /// Takes off a torn tail and returns the last whole line, if there is one.
    fn last_line(&mut self) -> io::Result<Option<String>> {
        let start = self.length.saturating_sub(MAX_LINE_BYTES);
        self.file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        (&self.file).take(MAX_LINE_BYTES).read_to_end(&mut tail)?;
        let whole = tail
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end.saturating_add(1));
        if whole == 0 && start > 0 {
            return Err(io::Error::other("its last line is too long"));
        }
        if whole < tail.len() {
            let kept = start.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
            tracing::warn!(
                bytes = self.length.saturating_sub(kept),
                "took an unfinished line off the audit record"
            );
            self.truncate_to(kept)?;
        }
        tail.truncate(whole);
        let last = tail
            .strip_suffix(b"\n")
            .and_then(|lines| lines.rsplit(|b| *b == b'\n').next());
        match last {
            None => Ok(None),
            Some(line) => String::from_utf8(line.to_vec())
                .map(Some)
                .map_err(|_| io::Error::other("its last line is not text")),
        }
    }

    fn run(mut self, mut jobs: mpsc::Receiver<Job>, failing: &AtomicBool) {
        let mut batch = Vec::new();
        while jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
            let result = self.append(&batch);
            if let Err(error) = &result {
                tracing::error!(%error, "the audit record cannot be written");
            }
            failing.store(result.is_err(), Ordering::Relaxed);
            let mut hashes = result.unwrap_or_default().into_iter();
            for job in batch.drain(..) {
                let recorded = hashes.next().map(|hash| Recorded { hash });
                // A caller that no longer waits has nothing to refuse.
                let _ = job.done.send(recorded.ok_or(NotRecorded));
            }
        }
    }

    /// Appends all records and gives the hash of each line, or appends none.
    fn append(&mut self, batch: &[Job]) -> io::Result<Vec<String>> {
        let mut chain = self.chain.clone();
        let mut text = String::new();
        let mut hashes = Vec::with_capacity(batch.len());
        for job in batch {
            let line = chain
                .append(job.at, job.event, job.fields.clone())
                .map_err(io::Error::other)?;
            text.push_str(&line);
            text.push('\n');
            hashes.push(chain.hash().to_owned());
        }
        // Also takes off whatever an earlier failure left behind.
        self.truncate_to(self.length)?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.chain = chain;
        self.length = self
            .length
            .saturating_add(u64::try_from(text.len()).map_err(io::Error::other)?);
        Ok(hashes)
    }

    fn truncate_to(&mut self, length: u64) -> io::Result<()> {
        if self.file.metadata()?.len() != length {
            self.file.set_len(length)?;
            self.file.sync_data()?;
        }
        self.length = length;
        self.file.seek(SeekFrom::Start(length))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::from_unix(1_800_000_000);

    async fn record(log: &AuditLog, n: u64) -> Result<Recorded, NotRecorded> {
        log.record(AT, "test", json!({ "n": n })).await
    }

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[tokio::test]
    async fn records_of_two_runs_make_one_whole_chain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.jsonl");
        for run in 0..2 {
            let log = AuditLog::open(&path).unwrap();
            record(&log, run).await.unwrap();
            record(&log, run).await.unwrap();
        }
        let lines = lines(&path);
        assert_eq!(lines.len(), 4);
        bailiwick_verifier::audit::verify(lines.iter().map(String::as_str)).unwrap();
    }

    #[tokio::test]
    async fn a_torn_last_line_is_taken_off_and_a_damaged_one_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.jsonl");
        record(&AuditLog::open(&path).unwrap(), 1).await.unwrap();
        let whole = fs::read_to_string(&path).unwrap();

        fs::write(&path, format!("{whole}{{\"seq\":2,\"ti")).unwrap();
        record(&AuditLog::open(&path).unwrap(), 2).await.unwrap();
        assert_eq!(lines(&path).len(), 2);
        bailiwick_verifier::audit::verify(lines(&path).iter().map(String::as_str)).unwrap();

        fs::write(&path, whole.replace("\"n\":1", "\"n\":7")).unwrap();
        assert!(matches!(
            AuditLog::open(&path),
            Err(AuditOpenError::Damaged { .. })
        ));
    }
}
