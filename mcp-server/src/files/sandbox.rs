//! The directory that the `files` tools see, and nothing outside it.
//!
//! Every operation starts at an open handle of the root and walks one segment at a time without
//! following symbolic links, so neither `..` nor a link planted inside the sandbox can make the
//! thing touched differ from the thing authorized. All calls block: run them off the async
//! threads. Searching is in [`super::search`].

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use bailiwick_datalog::ResourcePath;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::{
    ambient_authority,
    fs::{Dir, File, Metadata, OpenOptions},
};

use super::{
    error::FileError,
    path::{DirPath, FilePath, TEMPORARY_PREFIX, is_reserved},
};

/// Largest file read or written: what fits a model's context several times over, and a JSON-RPC
/// body with room for escapes.
pub(crate) const MAX_FILE_BYTES: u64 = 1_048_576;

/// Most entries of a directory that are listed.
pub(crate) const MAX_LISTED: usize = 1_000;

/// Most entries of a directory that are looked at.
pub(super) const MAX_SCANNED: usize = 10_000;

/// Attempts to find a free temporary name before giving up.
const MAX_TEMPORARY_ATTEMPTS: usize = 64;

/// A directory, held open.
#[derive(Debug)]
pub(crate) struct Sandbox {
    root: Dir,
    next_temporary: AtomicU64,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The name, as a canonical segment.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: EntryKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file and its size.
    File {
        /// Bytes.
        size: u64,
    },
    /// A link, device, pipe or socket: listed, never opened.
    Other,
}

/// A directory's entries in byte order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// At most [`MAX_LISTED`] entries.
    pub(crate) entries: Vec<Entry>,
    /// True when there are more.
    pub(crate) truncated: bool,
    /// Entries whose names no path argument can spell (not UTF-8, `%`, control characters, …).
    pub(crate) unaddressable: usize,
}

impl Sandbox {
    /// Opens an existing directory. What the path to it goes through is the operator's business;
    /// from here on only the handle is used.
    ///
    /// # Errors
    /// The file system's, when it is missing, no directory or not readable.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(root, ambient_authority())?;
        Ok(Self {
            root,
            next_temporary: AtomicU64::new(0),
        })
    }

    /// The entries of a directory.
    ///
    /// # Errors
    /// [`FileError`] when it is missing, no directory, or behind a link.
    pub(crate) fn list(&self, path: &DirPath) -> Result<Listing, FileError> {
        let dir = self.directory(path)?;
        let mut listing = scan(&dir, path)?;
        listing.truncated |= listing.entries.len() > MAX_LISTED;
        listing.entries.truncate(MAX_LISTED);
        Ok(listing)
    }

    /// The text of a file of at most [`MAX_FILE_BYTES`].
    ///
    /// # Errors
    /// [`FileError`] when it is missing, no regular file, too large, not UTF-8, or behind a link.
    pub(crate) fn read(&self, path: &FilePath) -> Result<String, FileError> {
        let (parent, name) = self.parent(path, Missing::Refuse)?;
        read_text(&parent, name, &path.to_string())
    }

    /// Puts a file in place whole, or not at all; what was there is replaced, missing
    /// directories on the way are made.
    ///
    /// # Errors
    /// [`FileError`] when the content is too large or something else than a file is there.
    pub(crate) fn write(&self, path: &FilePath, content: &str) -> Result<Written, FileError> {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if size > MAX_FILE_BYTES {
            let path = path.to_string();
            return Err(FileError::TooLarge {
                path,
                size,
                limit: MAX_FILE_BYTES,
            });
        }
        let (parent, name) = self.parent(path, Missing::Create)?;
        let replaced = match regular_metadata(&parent, name, path) {
            Ok(metadata) => Some(metadata),
            Err(FileError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let at_path = |error| FileError::from_io(path, error);
        let (temporary, file) = self.create_temporary(&parent).map_err(at_path)?;
        fill_and_rename(&parent, &temporary, file, content, replaced.as_ref(), name)
            .inspect_err(|_| {
                // The content never took its place; a leftover temporary is invisible to tools.
                let _ = parent.remove_file(&temporary);
            })
            .map_err(at_path)?;
        Ok(if replaced.is_some() {
            Written::Replaced
        } else {
            Written::Created
        })
    }

    /// Moves a file to a name that is free.
    ///
    /// The new name is taken first (atomically, so two moves cannot both win) and the old one
    /// given up after: interrupted in between, the file has both names and nothing is lost.
    ///
    /// # Errors
    /// [`FileError`] when `from` is no regular file or `to` is taken.
    pub(crate) fn rename(&self, from: &FilePath, to: &FilePath) -> Result<(), FileError> {
        let (from_dir, from_name) = self.parent(from, Missing::Refuse)?;
        regular_metadata(&from_dir, from_name, from)?;
        let (to_dir, to_name) = self.parent(to, Missing::Create)?;
        from_dir
            .hard_link(from_name, &to_dir, to_name)
            .and_then(|()| sync_directory(&to_dir))
            .map_err(|error| FileError::from_io(to, error))?;
        from_dir
            .remove_file(from_name)
            .and_then(|()| sync_directory(&from_dir))
            .map_err(|error| FileError::from_io(from, error))
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// [`FileError`] when it is missing or no regular file.
    pub(crate) fn delete(&self, path: &FilePath) -> Result<(), FileError> {
        let (parent, name) = self.parent(path, Missing::Refuse)?;
        regular_metadata(&parent, name, path)?;
        parent
            .remove_file(name)
            .and_then(|()| sync_directory(&parent))
            .map_err(|error| FileError::from_io(path, error))
    }

    /// Opens a directory, segment by segment.
    pub(super) fn directory(&self, path: &DirPath) -> Result<Dir, FileError> {
        self.walk(path.segments(), Missing::Refuse)
    }

    /// Opens the directory that holds `path`, and gives the last name.
    pub(super) fn parent<'a>(
        &self,
        path: &'a FilePath,
        missing: Missing,
    ) -> Result<(Dir, &'a str), FileError> {
        let Some((name, above)) = path.segments().split_last() else {
            return Err(FileError::NotAFile {
                path: path.to_string(),
            });
        };
        if is_reserved(name) {
            return Err(FileError::ReservedName);
        }
        Ok((self.walk(above, missing)?, name))
    }

    fn walk(&self, segments: &[String], missing: Missing) -> Result<Dir, FileError> {
        let mut dir = self
            .root
            .try_clone()
            .map_err(|error| FileError::from_io("/", error))?;
        let mut walked = String::new();
        for name in segments {
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(name);
            if is_reserved(name) {
                return Err(FileError::ReservedName);
            }
            dir = step_into(&dir, name, &walked, missing)?;
        }
        Ok(dir)
    }

    fn create_temporary(&self, dir: &Dir) -> io::Result<(String, File)> {
        let mut options = no_follow();
        options.write(true).create_new(true);
        for _ in 0..MAX_TEMPORARY_ATTEMPTS {
            let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id());
            match dir.open_with(&name, &options) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no temporary name is free"))
    }
}

/// Whether a write made or replaced a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing was there before.
    Created,
    /// An earlier file gave way.
    Replaced,
}

/// What to do about directories on the way that don't exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Report them.
    Refuse,
    /// Make them.
    Create,
}

fn step_into(dir: &Dir, name: &str, walked: &str, missing: Missing) -> Result<Dir, FileError> {
    match dir.symlink_metadata(name) {
        Ok(metadata) if metadata.is_symlink() => {
            return Err(FileError::SymbolicLink {
                path: walked.to_owned(),
            });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Create => {
            match dir.create_dir(name) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(FileError::from_io(walked, error));
                }
                _ => sync_directory(dir).map_err(|error| FileError::from_io(walked, error))?,
            }
        }
        Err(error) => return Err(FileError::from_io(walked, error)),
    }
    dir.open_dir_nofollow(name)
        .map_err(|error| FileError::from_io(walked, error))
}

fn regular_metadata(dir: &Dir, name: &str, path: &FilePath) -> Result<Metadata, FileError> {
    let metadata = dir
        .symlink_metadata(name)
        .map_err(|error| FileError::from_io(path, error))?;
    if metadata.is_symlink() {
        return Err(FileError::SymbolicLink {
            path: path.to_string(),
        });
    }
    if !metadata.is_file() {
        return Err(FileError::NotAFile {
            path: path.to_string(),
        });
    }
    Ok(metadata)
}

/// Reads a regular file by its name in an open directory; `shown` is its path in messages.
pub(super) fn read_text(dir: &Dir, name: &str, shown: &str) -> Result<String, FileError> {
    let failed = |error| FileError::from_io(shown, error);
    let link = dir.symlink_metadata(name).map_err(failed)?;
    if link.is_symlink() {
        return Err(FileError::SymbolicLink {
            path: shown.to_owned(),
        });
    }
    if !link.is_file() {
        return Err(FileError::NotAFile {
            path: shown.to_owned(),
        });
    }
    let mut options = no_follow();
    // A pipe put there meanwhile must not hang the thread.
    options.read(true).nonblock(true);
    let file = dir.open_with(name, &options).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile {
            path: shown.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let read = file
        .take(MAX_FILE_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        let size = metadata.len().max(MAX_FILE_BYTES.saturating_add(1));
        return Err(FileError::TooLarge {
            path: shown.to_owned(),
            size,
            limit: MAX_FILE_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|_| FileError::NotText {
        path: shown.to_owned(),
    })
}

/// Reads a directory's entries, sorted; at most [`MAX_SCANNED`] are looked at.
pub(super) fn scan(dir: &Dir, shown: impl ToString) -> Result<Listing, FileError> {
    let shown = shown.to_string();
    let failed = |error| FileError::from_io(&shown, error);
    let mut listing = Listing {
        entries: Vec::new(),
        truncated: false,
        unaddressable: 0,
    };
    for (seen, entry) in dir.entries().map_err(failed)?.enumerate() {
        if seen >= MAX_SCANNED {
            listing.truncated = true;
            break;
        }
        let entry = entry.map_err(failed)?;
        let name = match entry.file_name().into_string() {
            Ok(name) if ResourcePath::parse(&name).is_ok() => name,
            _ => {
                listing.unaddressable = listing.unaddressable.saturating_add(1);
                continue;
            }
        };
        if is_reserved(&name) {
            continue;
        }
        let kind = match dir.symlink_metadata(&name) {
            Ok(metadata) if metadata.is_dir() => EntryKind::Directory,
            Ok(metadata) if metadata.is_file() => EntryKind::File {
                size: metadata.len(),
            },
            Ok(_) => EntryKind::Other,
            // Gone since the directory was read.
            Err(_) => continue,
        };
        listing.entries.push(Entry { name, kind });
    }
    listing.entries.sort();
    Ok(listing)
}

fn fill_and_rename(
    dir: &Dir,
    temporary: &str,
    mut file: File,
    content: &str,
    replaced: Option<&Metadata>,
    name: &str,
) -> io::Result<()> {
    if let Some(metadata) = replaced {
        file.set_permissions(metadata.permissions())?;
    }
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    dir.rename(temporary, dir, name)?;
    sync_directory(dir)
}

fn sync_directory(dir: &Dir) -> io::Result<()> {
    // The handle itself may be one that only names the directory and cannot be synced.
    dir.open(".")?.sync_all()
}

fn no_follow() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.follow(FollowSymlinks::No);
    options
}
