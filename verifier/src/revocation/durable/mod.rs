//! A revocation list that survives a restart with the issuer out of reach.
//!
//! Owns the order in which a list becomes durable, and the choice, after a crash, between what
//! the database and what the snapshot file hold.
//!
//! Two copies are kept because neither alone is enough: sled 0.34 promises little about its own
//! file after a power cut, and a single file would be rewritten whole for every revocation with
//! nothing to fall back on. Each copy carries the proof of its own wholeness: the database a
//! digest over its entries, the file the issuer's signature.

mod database;
mod error;
mod files;

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bailiwick_datalog::RevocationId;

use self::database::{Content, Database};
pub use self::error::{ApplyError, StoreError};
use super::{
    Applied, RevocationStatus, RevocationView,
    list::{Entries, RevocationList, VerifiedSnapshot, Version},
};
use crate::signed::{MAX_DOCUMENT_BYTES, PublicKeyHex, SignedDocument};

const DATABASE: &str = "revocations.sled";
const DAMAGED_DATABASE: &str = "revocations.sled.damaged";
const SNAPSHOT: &str = "revocations.snapshot";
/// Locked while the list is open; not empty once a list was ever stored.
const LOCK: &str = "revocations.lock";
const EVER_STORED: &[u8] = b"a list was stored here\n";

/// A revocation list kept in sled, with the signed snapshot beside it.
#[derive(Debug)]
pub struct SledRevocations {
    list: RevocationList,
    store: Mutex<Store>,
}

impl SledRevocations {
    /// Opens the list kept in `dir`, or begins an empty one.
    ///
    /// `revocation_keys` are those of the key set that was persisted with the list: a snapshot
    /// file counts only if one of them signed it. Without any, the database alone is believed.
    ///
    /// Whatever is found, nothing is cleared until [`SledRevocations::apply`] succeeds; what is
    /// known to be revoked is refused at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] for a second opener, [`StoreError::Lost`] if a list was stored here
    /// before and no copy of it is whole, else [`StoreError::Io`] or [`StoreError::Database`].
    pub fn open(
        dir: &Path,
        max_staleness: Duration,
        revocation_keys: &[PublicKeyHex],
    ) -> Result<Self, StoreError> {
        let (store, entries) = Store::open(dir, revocation_keys)?;
        Ok(Self {
            list: RevocationList::unrefreshed(entries, store.latest, max_staleness),
            store: Mutex::new(store),
        })
    }

    /// Verifies `document` against `keys`, makes it durable, and puts it in place of the list.
    ///
    /// `fetched_at` is the monotonic reading from *before* the fetch was begun: the list is as
    /// old as the question, not as the answer. When this returns `Ok`, the revocations in it are
    /// refused after any crash. Blocks on the disk: call it from a thread that may.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] leaves everything as it was. After [`ApplyError::Store`] what the
    /// list names is refused, but the list held grows older.
    pub fn apply(
        &self,
        document: &SignedDocument,
        keys: &[PublicKeyHex],
        fetched_at: Duration,
    ) -> Result<Applied, ApplyError> {
        let offered = VerifiedSnapshot::verify(document, keys)?;
        let seq = offered.version.seq;
        // A panic while storing leaves `Store::whole` false, so the next attempt stores anew.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.admit(offered.version)?;
        let held = self.list.version() == Some(offered.version);
        // What is not held is not whole either: `admit` has seen to that.
        if !store.whole {
            store.write(&offered, document).inspect_err(|_| {
                self.list.also_refuse(&offered);
            })?;
        }
        if held {
            self.list.refresh(fetched_at);
            Ok(Applied::Refreshed { seq })
        } else {
            self.list.replace(&offered, fetched_at);
            Ok(Applied::Replaced { seq })
        }
    }

    /// The sequence number of the snapshot held.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.list.version().map(|version| version.seq)
    }

    /// How old the list may be before it clears nothing.
    #[must_use]
    pub const fn max_staleness(&self) -> Duration {
        self.list.max_staleness()
    }

    /// Time since the last verified fetch began; `None` before the first in this process.
    #[must_use]
    pub fn age(&self, now_monotonic: Duration) -> Option<Duration> {
        self.list.age(now_monotonic)
    }
}

impl RevocationView for SledRevocations {
    fn check(
        &self,
        session: &str,
        ids: &[RevocationId],
        now_monotonic: Duration,
    ) -> RevocationStatus {
        self.list.check(session, ids, now_monotonic)
    }
}

/// The copies on disk.
struct Store {
    dir: PathBuf,
    /// Locked for as long as it is open.
    lock: File,
    ever_stored: bool,
    database: Database,
    /// The newest version that was ever admitted, stored or not. Older ones are refused.
    latest: Option<Version>,
    /// Whether both copies hold `latest`.
    whole: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .field("latest", &self.latest)
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

impl Store {
    fn open(dir: &Path, keys: &[PublicKeyHex]) -> Result<(Self, Entries), StoreError> {
        files::create_dir(dir).map_err(|source| StoreError::io("create", dir, source))?;
        let lock = lock(dir)?;
        let ever_stored = !is_empty(&lock, dir)?;
        let file = read_snapshot(dir, keys)?;
        let lost = || StoreError::Lost {
            dir: dir.to_owned(),
        };

        let path = dir.join(DATABASE);
        let snapshot_exists = dir.join(SNAPSHOT).exists();
        let (database, content) = match Database::open(&path)? {
            Some((database, content @ (Content::Empty | Content::Whole { .. }))) => {
                (database, content)
            }
            damaged => {
                drop(damaged);
                if file.is_none() {
                    return Err(lost());
                }
                move_aside(dir)?;
                match Database::open(&path)? {
                    Some(opened) => opened,
                    None => return Err(lost()),
                }
            }
        };

        let mut store = Self {
            dir: dir.to_owned(),
            lock,
            ever_stored,
            database,
            latest: None,
            whole: false,
        };
        let entries = match (content, file) {
            (Content::Whole { entries, version }, Some((_, file))) if version == file.version => {
                store.latest = Some(version);
                store.whole = true;
                entries
            }
            (Content::Whole { entries, version }, file)
                if file
                    .as_ref()
                    .is_none_or(|(_, file)| file.version.seq < version.seq) =>
            {
                store.latest = Some(version);
                entries
            }
            (_, Some((document, file))) => {
                store.latest = Some(file.version);
                store.write(&file, &document)?;
                Entries::from(&file.snapshot)
            }
            (_, None) if ever_stored || snapshot_exists => return Err(lost()),
            (_, None) => Entries::default(),
        };
        Ok((store, entries))
    }

    /// Checks that `offered` is not older than anything seen before.
    fn admit(&mut self, offered: Version) -> Result<(), ApplyError> {
        if let Some(latest) = self.latest {
            latest.is_followed_by(offered)?;
        }
        if self.latest != Some(offered) {
            self.latest = Some(offered);
            self.whole = false;
        }
        Ok(())
    }

    /// Makes both copies hold the snapshot. The database comes first: if the file is then not
    /// reached, the database is the newer copy and wins.
    fn write(
        &mut self,
        snapshot: &VerifiedSnapshot,
        document: &SignedDocument,
    ) -> Result<(), StoreError> {
        self.whole = false;
        let path = self.dir.join(DATABASE);
        self.database
            .replace(snapshot)
            .map_err(|source| StoreError::Database {
                path: path.clone(),
                source,
            })?;
        // sled's own flush is `sync_file_range`, which neither waits for the disk's cache nor
        // writes the file's length.
        for path in [path.join("db"), path, self.dir.clone()] {
            files::sync(&path).map_err(|source| StoreError::io("sync", &path, source))?;
        }
        files::replace(&self.dir, SNAPSHOT, document.to_json().as_bytes())
            .map_err(|source| StoreError::io("write", &self.dir.join(SNAPSHOT), source))?;
        self.mark_ever_stored()?;
        self.whole = true;
        Ok(())
    }

    /// Notes, outside both copies and once they are there, that finding neither is a loss.
    fn mark_ever_stored(&mut self) -> Result<(), StoreError> {
        if self.ever_stored {
            return Ok(());
        }
        self.lock
            .write_all(EVER_STORED)
            .and_then(|()| self.lock.sync_all())
            .and_then(|()| files::sync(&self.dir))
            .map_err(|source| StoreError::io("write", &self.dir.join(LOCK), source))?;
        self.ever_stored = true;
        Ok(())
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let file = files::open_private(&path, false)
        .map_err(|source| StoreError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path, source)),
    }
}

fn is_empty(lock: &File, dir: &Path) -> Result<bool, StoreError> {
    lock.metadata()
        .map(|metadata| metadata.len() == 0)
        .map_err(|source| StoreError::io("read", &dir.join(LOCK), source))
}

/// The snapshot file, if it is whole: signed by one of `keys`.
fn read_snapshot(
    dir: &Path,
    keys: &[PublicKeyHex],
) -> Result<Option<(SignedDocument, VerifiedSnapshot)>, StoreError> {
    let path = dir.join(SNAPSHOT);
    let content = files::read(&path, MAX_DOCUMENT_BYTES)
        .map_err(|source| StoreError::io("read", &path, source))?;
    Ok(content.and_then(|json| {
        let document = SignedDocument::from_json(&json).ok()?;
        let verified = VerifiedSnapshot::verify(&document, keys).ok()?;
        Some((document, verified))
    }))
}

/// Moves a damaged database out of the way, in place of the last one, for whoever wants to look.
fn move_aside(dir: &Path) -> Result<(), StoreError> {
    let aside = dir.join(DAMAGED_DATABASE);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|source| StoreError::io("remove", &aside, source))?;
    }
    let path = dir.join(DATABASE);
    fs::rename(&path, &aside)
        .and_then(|()| files::sync(dir))
        .map_err(|source| StoreError::io("move aside", &path, source))
}
