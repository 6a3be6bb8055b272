//! The issuer's audit file: one hash-chained line per event, durable before the effect.
//!
//! [`bailiwick_verifier::audit`] owns the form of a line; this module owns the file. If a
//! line cannot be made durable, the effect it records must not happen: callers record inside
//! the transaction and commit afterwards.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bailiwick_datalog::Timestamp;
use bailiwick_verifier::audit::{AuditError as ChainError, Chain};
use serde_json::{Map, Value};
use thiserror::Error;

/// Longest line that is written, its line break included, and that [`read_tail`] is sure to find
/// whole behind another that was cut short.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// The file can be written again; what failed meanwhile did not happen.
const RESUMED: &str = "audit_resumed";

/// Why an event could not be recorded, or the file not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// Reading or writing the file failed.
    #[error("the audit file cannot be read or written")]
    Io(#[from] io::Error),
    /// The last line is not one this program wrote.
    #[error(
        "the audit file does not end in a whole audit line; move it away to keep it as evidence"
    )]
    Damaged(#[source] ChainError),
    /// The line could not be made.
    #[error("the audit line cannot be written")]
    Line(#[source] ChainError),
    /// The line is longer than what reads it takes.
    #[error("the audit line has {bytes} bytes, more than {MAX_LINE_BYTES}")]
    TooLong {
        /// How many, with the line break.
        bytes: u64,
    },
}

/// The open audit file.
#[derive(Clone)]
pub(crate) struct AuditLog(Arc<Mutex<Writer>>);

struct Writer {
    file: File,
    /// Length of the file up to the last whole line.
    length: u64,
    chain: Chain,
    /// The last attempt to write failed, and may have left half a line.
    failed: bool,
}

impl AuditLog {
    /// Opens `issuer.jsonl` in `dir`, continuing its chain. A last line that was cut short by
    /// a crash is dropped: its effect never happened.
    ///
    /// # Errors
    /// [`AuditLogError`].
    pub(crate) fn open(dir: &Path) -> Result<Self, AuditLogError> {
        if !dir.exists() {
            DirBuilder::new().mode(0o700).create(dir)?;
        }
        let path = dir.join("issuer.jsonl");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        let (tail, start) = read_tail(&mut file)?;
        let end = tail.iter().rposition(|byte| *byte == b'\n');
        if end.is_none() && start > 0 {
            return Err(io::Error::other("its last line is too long").into());
        }
        let last = end
            .and_then(|end| tail.get(..end))
            .and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
        let chain = match last {
            None => Chain::new(),
            Some(line) => {
                let line = std::str::from_utf8(line).map_err(io::Error::other)?;
                Chain::resume(line).map_err(AuditLogError::Damaged)?
            }
        };
        // Only now, when the lines before it are known to be whole, is a torn end taken off.
        let whole = end.map_or(0, |end| end.saturating_add(1));
        let length = start.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
        file.set_len(length)?;
        file.sync_all()?;
        crate::keys::sync_dir(dir)?;
        Ok(Self(Arc::new(Mutex::new(Writer {
            file,
            length,
            chain,
            failed: false,
        }))))
    }

    /// Whether events can be recorded, as far as the last attempt shows. After one that failed
    /// another is made, which nobody's request has to wait for.
    ///
    /// # Errors
    /// [`AuditLogError`] of that attempt.
    pub(crate) async fn check(&self, at: Timestamp) -> Result<(), AuditLogError> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner).failed;
        match failed {
            true => self.record(at, RESUMED, Value::Object(Map::new())).await,
            false => Ok(()),
        }
    }

    /// Records an event and returns once it is on disk.
    ///
    /// # Errors
    /// [`AuditLogError`]; the effect must not happen.
    pub(crate) async fn record(
        &self,
        at: Timestamp,
        event: &'static str,
        fields: Value,
    ) -> Result<(), AuditLogError> {
        let writer = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write(at, event, fields)
        });
        written
            .await
            .map_err(|e| AuditLogError::Io(io::Error::other(e)))?
    }
}

impl Writer {
    fn write(&mut self, at: Timestamp, event: &str, fields: Value) -> Result<(), AuditLogError> {
        let mut next = self.chain.clone();
        let mut line = next
            .append(at, event, fields)
            .map_err(AuditLogError::Line)?;
        line.push('\n');
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if bytes > MAX_LINE_BYTES {
            return Err(AuditLogError::TooLong { bytes });
        }
        if self.failed {
            // Half a line must not stay in front of this one.
            self.file.set_len(self.length)?;
        }
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        self.failed = written.is_err();
        if self.failed {
            // What it says does not happen; after a restart it would be believed.
            let _ = self.file.set_len(self.length);
        }
        written?;
        self.length = self.length.saturating_add(bytes);
        self.chain = next;
        Ok(())
    }
}

/// The end of the file, long enough to hold a whole line, and its offset. Bytes and not text: it
/// may begin inside a character, and a crash may have cut it short inside another.
fn read_tail(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_LINE_BYTES.saturating_mul(2));
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok((tail, start))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bailiwick_verifier::audit::verify;
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::from_unix(1_000);

    fn lines(dir: &Path) -> Vec<String> {
        let text = fs::read_to_string(dir.join("issuer.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn chain_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        for event in ["one", "two"] {
            let log = AuditLog::open(dir.path()).unwrap();
            log.record(AT, event, json!({"a": 1})).await.unwrap();
        }
        assert_eq!(verify(lines(dir.path())).unwrap().lines, 2);
    }

    #[tokio::test]
    async fn line_cut_short_by_a_crash_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.record(AT, "one", json!({})).await.unwrap();
        drop(log);
        let path = dir.path().join("issuer.jsonl");
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"event\":\"tw\xc3");
        fs::write(&path, text).unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.record(AT, "two", json!({})).await.unwrap();
        assert_eq!(verify(lines(dir.path())).unwrap().lines, 2);
    }

    #[tokio::test]
    async fn long_file_loses_nothing_wherever_its_tail_begins() {
        // One byte more or less moves the place where the tail begins in or out of a character.
        for padding in ["", "x"] {
            let dir = tempfile::tempdir().unwrap();
            let reason = format!("{}{padding}", "\u{fc}".repeat(400_000));
            let log = AuditLog::open(dir.path()).unwrap();
            for _ in 0..4 {
                let fields = json!({"reason": reason});
                log.record(AT, "one", fields).await.unwrap();
            }
            drop(log);
            let log = AuditLog::open(dir.path()).unwrap();
            log.record(AT, "two", json!({})).await.unwrap();
            assert_eq!(verify(lines(dir.path())).unwrap().lines, 5, "{padding:?}");
        }
    }

    #[tokio::test]
    async fn line_of_a_mebibyte_is_written_and_read_back_and_one_byte_more_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.record(AT, "one", json!({"a": ""})).await.unwrap();
        let line = |fill: usize| json!({"a": "x".repeat(fill)});
        // Every line of one digit's number is as long, but for what fills it.
        let fill = 1024 * 1024 - (lines(dir.path())[0].len() + 1);
        let refused = log.record(AT, "two", line(fill + 1)).await;
        let bytes = 1024 * 1024 + 1;
        assert!(matches!(refused, Err(AuditLogError::TooLong { bytes: b }) if b == bytes));
        log.record(AT, "two", line(fill)).await.unwrap();
        assert_eq!(lines(dir.path())[1].len() + 1, 1024 * 1024);
        drop(log);
        let path = dir.path().join("issuer.jsonl");
        let mut text = fs::read(&path).unwrap();
        text.resize(text.len() + 1024 * 1024 - 1, b'x');
        fs::write(&path, text).unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.record(AT, "end", json!({})).await.unwrap();
        assert_eq!(verify(lines(dir.path())).unwrap().lines, 3);
    }

    #[test]
    fn file_without_a_line_in_its_tail_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("issuer.jsonl");
        let long = vec![b'x'; 2 * 1024 * 1024 + 1];
        fs::write(&path, &long).unwrap();
        assert!(matches!(
            AuditLog::open(dir.path()),
            Err(AuditLogError::Io(_))
        ));
        assert_eq!(fs::read(&path).unwrap(), long);
    }

    #[tokio::test]
    async fn line_that_cannot_be_written_is_refused_and_the_next_is_tried_anew() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.record(AT, "one", json!({})).await.unwrap();
        // On this handle every write fails for lack of space, and nothing can be cut back.
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut log.0.lock().unwrap().file, full);
        log.check(AT).await.unwrap();
        for _ in 0..2 {
            assert!(matches!(
                log.record(AT, "two", json!({})).await,
                Err(AuditLogError::Io(_))
            ));
            assert!(log.check(AT).await.is_err());
        }
        // Half a line was left behind.
        let path = dir.path().join("issuer.jsonl");
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"event\":\"tw");
        fs::write(&path, text).unwrap();
        log.0.lock().unwrap().file = good;
        log.check(AT).await.unwrap();
        log.record(AT, "two", json!({})).await.unwrap();
        assert_eq!(verify(lines(dir.path())).unwrap().lines, 3);
        assert!(lines(dir.path())[1].contains(RESUMED));
    }

    #[test]
    fn edited_last_line_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("issuer.jsonl"), "{}\n").unwrap();
        assert!(matches!(
            AuditLog::open(dir.path()),
            Err(AuditLogError::Damaged(_))
        ));
    }
}
