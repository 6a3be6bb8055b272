//! The ledger's file: a first line that says what it can answer for, then one line for each use.
//!
//! A line is the SHA-256 of the line before it and of its own text, a space, and the text: a line
//! that was changed, lost or moved does not fit, and the ledger is not opened. Only its end may be
//! torn, by a crash in the middle of a write: what stood there was never acknowledged, but as nobody
//! can tell it from damage, sessions from before that moment are not answered for any more.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use bailiwick_datalog::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::uses::{Reach, Use, Uses};
use crate::durable;

/// Lines that may be over before the file is written anew.
const SLACK: usize = 4_096;
/// Far more than the longest line of a use takes.
const MAX_LINE_BYTES: usize = 1_024;

/// Sessions that are issued so soon after damage is found may have been issued before it: the
/// issuer's clock may be ahead by what verifiers allow for (profile, rule 4), and a second more.
const AFTER_DAMAGE: Duration = Duration::from_secs(31);

/// Why a ledger cannot be continued.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerOpenError {
    /// The file system refused.
    #[error("the ledger of exact calls at `{path}` cannot be opened")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A line is not the one that was written there.
    #[error(
        "the ledger of exact calls at `{path}` is damaged at line {line}; calls it has recorded \
         could be made again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The file and what it says.
///
/// INVARIANT: `length` bytes of the file are durable, whole lines; `hash` is that of the last, and
/// `uses` is what they say.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
    length: u64,
    lines: usize,
    hash: [u8; 32],
    uses: Uses,
    /// The file at the path may not be the one that is open: nothing is counted before it was read
    /// again.
    broken: bool,
}

impl LedgerFile {
    pub(super) fn open(path: &Path, now: Timestamp, most: usize) -> Result<Self, LedgerOpenError> {
        let failed = |source| LedgerOpenError::Io {
            path: path.to_owned(),
            source,
        };
        let mut uses = match read(path, most).map_err(failed)? {
            Some(text) => parse(&text, now, most).map_err(|line| LedgerOpenError::Damaged {
                path: path.to_owned(),
                line,
            })?,
            None => Uses::new(
                Reach {
                    since: now,
                    dropped_until: Timestamp::EPOCH,
                },
                most,
            ),
        };
        uses.drop_ended(now);
        if uses.reach().since > now {
            tracing::warn!(
                "the ledger of exact calls began when the clock was ahead; sessions issued before \
                 that moment are refused their exact calls"
            );
        }
        Self::written(path, uses).map_err(failed)
    }

    pub(super) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Appends these uses and makes them durable, or none.
    pub(super) fn append(&mut self, fresh: Vec<Use>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("it could not be written anew"));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let (mut hash, mut text) = (self.hash, String::new());
        for one in &fresh {
            push_line(&mut text, &mut hash, one)?;
        }
        // Also takes off whatever an earlier failure left behind.
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
        }
        let written = self.write_at_end(text.as_bytes());
        if written.is_err() {
            // Nobody was told of what may stand there now; read again, it would count.
            let _ = self.file.set_len(self.length);
        }
        written?;
        let added = u64::try_from(text.len()).map_err(io::Error::other)?;
        self.length = self.length.saturating_add(added);
        self.lines = self.lines.saturating_add(fresh.len());
        self.hash = hash;
        if !fresh.into_iter().all(|one| self.uses.add(one)) {
            self.broken = true;
        }
        Ok(())
    }

    fn write_at_end(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    /// Writes the file anew, without the sessions that are over, when it has grown by enough of
    /// them or has no room for so many uses more.
    pub(super) fn make_room(&mut self, wanted: usize, now: Timestamp) -> io::Result<()> {
        self.mend(now)?;
        let full = self.uses.len().saturating_add(wanted) > self.uses.most();
        let live = self.uses.len();
        let grown = self.lines > live.saturating_mul(2).saturating_add(SLACK);
        if !(full || grown) {
            return Ok(());
        }
        self.uses.drop_ended(now);
        if self.uses.len() == live && !grown {
            return Ok(());
        }
        self.replace()
    }

    /// Writes the file anew, whatever it is like, without the sessions that are over.
    pub(super) fn write_anew(&mut self, now: Timestamp) -> io::Result<()> {
        self.mend(now)?;
        self.uses.drop_ended(now);
        self.replace()
    }

    fn mend(&mut self, now: Timestamp) -> io::Result<()> {
        if self.broken {
            // Whichever of the two files is there, every use that was acknowledged is in it.
            *self = Self::open(&self.path, now, self.uses.most()).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn replace(&mut self) -> io::Result<()> {
        // Should the new file not come to be, this one is read again: without what failed.
        if self.file.metadata()?.len() != self.length {
            self.file.set_len(self.length)?;
            self.file.sync_data()?;
        }
        let nothing = Uses::new(self.uses.reach(), self.uses.most());
        let uses = std::mem::replace(&mut self.uses, nothing);
        // Until this has succeeded, what is at the path may not be what would be written to.
        self.broken = true;
        *self = Self::written(&self.path, uses)?;
        Ok(())
    }

    /// The same with another open file.
    #[cfg(test)]
    pub(super) fn with_handle(self, file: File) -> Self {
        Self { file, ..self }
    }

    /// A new file at the path that says just this.
    fn written(path: &Path, uses: Uses) -> io::Result<Self> {
        let (mut hash, mut text) = ([0; 32], String::new());
        push_line(&mut text, &mut hash, &uses.reach())?;
        for one in uses.iter() {
            push_line(&mut text, &mut hash, &one)?;
        }
        durable::replace(path, text.as_bytes())?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length: u64::try_from(text.len()).map_err(io::Error::other)?,
            lines: uses.len().saturating_add(1),
            hash,
            uses,
            broken: false,
        })
    }
}

/// The whole file, if there is one, as far as a file of so many uses goes.
fn read(path: &Path, most: usize) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let lines = most.saturating_mul(3).saturating_add(SLACK);
    let limit = u64::try_from(lines.saturating_mul(MAX_LINE_BYTES)).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).map_err(io::Error::other)? > limit {
        return Err(io::Error::other("it is larger than a ledger can be"));
    }
    // What is not text has no hash that fits; the line is found by `parse`.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What the text of a ledger says, or the number of the first line that is not as it was written.
fn parse(text: &str, now: Timestamp, most: usize) -> Result<Uses, usize> {
    let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let (lines, tail) = text.split_at_checked(whole).unwrap_or((text, ""));
    let mut lines = lines.lines().zip(1_usize..);
    let mut hash = [0; 32];
    let (first, _) = lines.next().ok_or(1_usize)?;
    let reach: Reach = read_line(first, &mut hash).ok_or(1_usize)?;
    let mut uses = Uses::new(reach, most);
    for (line, number) in lines {
        let one: Use = read_line(line, &mut hash).ok_or(number)?;
        if !uses.add(one) {
            return Err(number);
        }
    }
    if tail.is_empty() {
        return Ok(uses);
    }
    // All of a use but its line break is a use; less than that may have been one.
    let counted = read_line(tail, &mut hash).is_some_and(|one: Use| uses.add(one));
    if !counted {
        tracing::warn!(
            bytes = tail.len(),
            "the ledger of exact calls ends in a torn line; calls approved before now have to be \
             approved again"
        );
        uses.know_only_since(now.checked_add(AFTER_DAMAGE).unwrap_or(now));
    }
    Ok(uses)
}

fn read_line<T: serde::de::DeserializeOwned>(line: &str, hash: &mut [u8; 32]) -> Option<T> {
    let (stated, text) = line.split_once(' ')?;
    let next = next_hash(hash, text);
    if hex::encode(next) != stated {
        return None;
    }
    *hash = next;
    serde_json::from_str(text).ok()
}

fn push_line(lines: &mut String, hash: &mut [u8; 32], value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    *hash = next_hash(hash, &text);
    lines.push_str(&hex::encode(*hash));
    lines.push(' ');
    lines.push_str(&text);
    lines.push('\n');
    Ok(())
}

fn next_hash(before: &[u8; 32], text: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(before)
        .chain_update(text)
        .finalize()
        .into()
}
