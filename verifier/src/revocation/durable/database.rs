//! The revocation list as sled keeps it.
//!
//! Owns the keys and values in the database and the test of whether they are whole. Which of
//! database and snapshot file to believe is decided in [`super`].

use std::{
    collections::BTreeSet,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
    time::Duration,
};

use super::error::StoreError;
use crate::revocation::list::{self, Entries, VerifiedSnapshot, Version};

/// Memory that sled may use for its pages; a list of the largest size fits.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How often, and after what pause, a database that is still locked is tried again: 5 s in all.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Under this key: sequence number and digest of all entries.
const STATE_KEY: &[u8] = &[0];
/// First byte of the key of a revoked id's prefix.
const ID_TAG: u8 = 1;
/// First byte of the key of a revoked session.
const SESSION_TAG: u8 = 2;

/// Length of the value under [`STATE_KEY`]: 8 bytes, big endian, and a SHA-256.
const STATE_BYTES: usize = 8 + 32;

/// An open database.
pub(super) struct Database {
    db: sled::Db,
}

/// What an opened database was found to hold.
pub(super) enum Content {
    /// Nothing was ever stored, or all of it is gone.
    Empty,
    /// A whole list.
    Whole { entries: Entries, version: Version },
    /// Something, but not a whole list.
    Damaged,
}

impl Database {
    /// Opens or creates the database at `path`.
    ///
    /// `None` if it is there but cannot be read: sled 0.34 answers some damage with an error and
    /// some with a panic, and both mean the same here.
    pub(super) fn open(path: &Path) -> Result<Option<(Self, Content)>, StoreError> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = Self {
                db: open_when_released(path)?,
            };
            let content = database.content()?;
            Ok((database, content))
        }));
        match opened {
            Ok(Ok(opened)) => Ok(Some(opened)),
            Ok(Err(sled::Error::Io(source))) if !is_damage(&source) => {
                Err(StoreError::io("open", path, source))
            }
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    fn content(&self) -> sled::Result<Content> {
        let mut state = None;
        let mut keys = Vec::new();
        for item in self.db.iter() {
            let (key, value) = item?;
            if key == STATE_KEY {
                state = Some(value);
            } else {
                keys.push(key);
            }
        }
        let Some(state) = state else {
            return Ok(if keys.is_empty() {
                Content::Empty
            } else {
                Content::Damaged
            });
        };
        Ok(whole(&state, &keys).unwrap_or(Content::Damaged))
    }

    /// Makes the stored set equal to the snapshot, in one atomic batch, and flushes it.
    ///
    /// Returning does not make it durable: sled's flush stops short of the disk. The caller syncs
    /// the file.
    pub(super) fn replace(&self, snapshot: &VerifiedSnapshot) -> sled::Result<()> {
        let wanted = keys_of(snapshot);
        let mut batch = sled::Batch::default();
        let mut stored = BTreeSet::new();
        for item in self.db.iter().keys() {
            let key = item?;
            if key == STATE_KEY {
                continue;
            }
            if !wanted.contains(key.as_ref()) {
                batch.remove(&key);
            }
            stored.insert(key.to_vec());
        }
        for key in wanted.difference(&stored) {
            batch.insert(key.as_slice(), &[]);
        }
        batch.insert(STATE_KEY, state_of(snapshot.version));
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        Ok(())
    }
}

/// Opens the database, waiting for a lock that is about to be released.
///
/// The caller holds the list's own lock, so no other process has the database open: a lock on it
/// can only be of this process's last instance, whose threads sled lets end after it was dropped.
fn open_when_released(path: &Path) -> sled::Result<sled::Db> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None);
    for _ in 0..LOCK_ATTEMPTS {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) => thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    config.open()
}

/// sled gives a lock that is held no kind of its own.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().starts_with("could not acquire lock")
}

/// Whether an error of the file system speaks of the content rather than of the system.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
    )
}

/// Reads a list back, if `state` vouches for exactly these `keys`, which come in ascending order.
fn whole(state: &[u8], keys: &[sled::IVec]) -> Option<Content> {
    let state: &[u8; STATE_BYTES] = state.try_into().ok()?;
    let (seq, vouched) = state.split_first_chunk::<8>()?;
    let mut ids = Vec::new();
    let mut sessions = Vec::new();
    for key in keys {
        match key.split_first()? {
            (&ID_TAG, id) => ids.push(id.try_into().ok()?),
            (&SESSION_TAG, session) => sessions.push(String::from_utf8(session.to_vec()).ok()?),
            _ => return None,
        }
    }
    let digest = list::digest(&ids, &sessions);
    if vouched != digest {
        return None;
    }
    Some(Content::Whole {
        entries: Entries::new(ids, sessions),
        version: Version {
            seq: u64::from_be_bytes(*seq),
            digest,
        },
    })
}

fn state_of(version: Version) -> Vec<u8> {
    [version.seq.to_be_bytes().as_slice(), &version.digest].concat()
}

fn keys_of(snapshot: &VerifiedSnapshot) -> BTreeSet<Vec<u8>> {
    let ids = snapshot.snapshot.ids().iter();
    let sessions = snapshot.snapshot.sessions().iter();
    ids.map(|id| [&[ID_TAG], id.as_slice()].concat())
        .chain(sessions.map(|session| [&[SESSION_TAG], session.as_bytes()].concat()))
        .collect()
}
