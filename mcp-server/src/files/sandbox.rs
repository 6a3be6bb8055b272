//! The directory that the `files` tools see, and nothing outside it.
//!
//! Every operation starts at an open handle of the root and walks one segment at a time without
//! following symbolic links, so neither `..` nor a link planted inside the sandbox can make the
//! thing touched differ from the thing authorized. All calls block: run them off the async
//! threads. Listing is in [`super::listing`], searching in [`super::search`].

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

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

/// Attempts to find a free temporary name before giving up.
const MAX_TEMPORARY_ATTEMPTS: usize = 64;

/// A directory, held open.
#[derive(Debug)]
pub(crate) struct Sandbox {
    root: Dir,
    next_temporary: AtomicU64,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox() -> (tempfile::TempDir, Sandbox) {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(dir.path()).unwrap();
        (dir, sandbox)
    }

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let (dir, sandbox) = sandbox();
        sandbox.write(&path("a"), "old").unwrap();
        let too_large = "x".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1);
        let error = sandbox.write(&path("a"), &too_large).unwrap_err();
        assert_eq!(error.code(), "too_large");
        assert_eq!(
            std::fs::read_to_string(dir.path().join("a")).unwrap(),
            "old"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_leftover_temporary_does_not_stop_the_next_write() {
        let (dir, sandbox) = sandbox();
        let leftover = format!("{TEMPORARY_PREFIX}{}-0", std::process::id());
        std::fs::write(dir.path().join(leftover), "torn").unwrap();
        assert_eq!(sandbox.write(&path("a"), "new").unwrap(), Written::Created);
        assert_eq!(sandbox.read(&path("a")).unwrap(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;

        let (dir, sandbox) = sandbox();
        let file = dir.path().join("a");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(sandbox.write(&path("a"), "new").unwrap(), Written::Replaced);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_sandbox_that_is_moved_is_still_the_same_directory() {
        let outer = tempfile::tempdir().unwrap();
        let (old, new) = (outer.path().join("old"), outer.path().join("new"));
        std::fs::create_dir(&old).unwrap();
        let sandbox = Sandbox::open(&old).unwrap();
        std::fs::rename(&old, &new).unwrap();
        std::os::unix::fs::symlink("/etc", &old).unwrap();
        sandbox.write(&path("a"), "x").unwrap();
        assert!(new.join("a").exists());
        assert_eq!(
            sandbox.read(&path("hostname")).unwrap_err().code(),
            "not_found"
        );
    }
}
