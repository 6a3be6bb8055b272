//! The data directory: private to its owner and used by one process at a time.
//!
//! Owns the directory itself, its lock and the names at its top level. What
//! the issuer and the gateway keep below is theirs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};

use crate::exit::Failure;

/// The token of the operator API, written by the issuer.
pub(crate) const OPERATOR_TOKEN: &str = "operator.token";
/// The token with which a gateway reports to the issuer, written by the issuer.
pub(crate) const GATEWAY_TOKEN: &str = "gateway.token";
/// The trust anchor in text, so that commands on the same machine find it.
pub(crate) const TRUST_ANCHOR: &str = "trust-anchor";
/// The sandbox of the built-in files provider.
pub(crate) const FILES: &str = "files";

const LOCK: &str = "LOCK";

/// A data directory that this process alone uses until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if need be, with mode 0700, and locks it.
    ///
    /// The lock is an advisory one on the file `LOCK`; the system releases it
    /// when the process ends, however it ends.
    ///
    /// # Errors
    ///
    /// `data_dir_in_use` when another process holds the lock,
    /// `data_dir_exposed` when other users can reach the directory and it holds
    /// something that is not ours, and
    /// `data_dir_unusable` when it cannot be created or locked.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |error: &io::Error| {
            Failure::new(
                "data_dir_unusable",
                format!(
                    "cannot use the data directory `{}`: {error}",
                    path.display()
                ),
            )
        };
        create_private(path).map_err(|error| unusable(&error))?;
        let path = fs::canonicalize(path).map_err(|error| unusable(&error))?;
        close_to_others(&path)?;
        let mut lock = open_lock(&path.join(LOCK)).map_err(|error| unusable(&error))?;
        let free =
            fs4::fs_std::FileExt::try_lock_exclusive(&lock).map_err(|error| unusable(&error))?;
        if !free {
            return Err(in_use(&path, &mut lock));
        }
        sign(&mut lock).map_err(|error| unusable(&error))?;
        Ok(Self { path, _lock: lock })
    }

    /// The absolute path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    builder.mode(0o700);
    builder.create(path)
}

/// Takes a directory that others can reach into private use, if it is empty or
/// was used before. One with other things in it is left alone: it may be
/// somebody's home.
fn close_to_others(path: &Path) -> Result<(), Failure> {
    let exposed = |error: Option<io::Error>| {
        let why = error.map_or_else(String::new, |error| format!(": {error}"));
        Failure::new(
            "data_dir_exposed",
            format!(
                "other users can reach the data directory `{}`{why}",
                path.display()
            ),
        )
        .hint(format!(
            "run `chmod 700 {}`, or choose another with `--data-dir`",
            path.display()
        ))
    };
    let metadata = fs::metadata(path).map_err(|error| exposed(Some(error)))?;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if !path.join(LOCK).exists() && !empty() {
        return Err(exposed(None));
    }
    tracing::warn!(path = %path.display(), "the data directory was open to others; closing it");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(|error| exposed(Some(error)))
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600);
    options.open(path)
}

/// Leaves the process id for whoever finds the directory locked.
fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn in_use(path: &Path, lock: &mut File) -> Failure {
    // The id is for the message only; a process that has not signed yet is
    // reported without it.
    let mut signature = String::new();
    let read = lock.take(16).read_to_string(&mut signature);
    let holder = match (read, signature.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    Failure::new(
        "data_dir_in_use",
        format!(
            "the data directory `{}` is in use by {holder}",
            path.display()
        ),
    )
    .hint("stop that one first, or choose another directory with `--data-dir`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_opens_once_and_again_after_it_was_left() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert_eq!(refused.code(), "data_dir_in_use");
        assert!(
            refused
                .message()
                .contains(&format!("process {}", std::process::id()))
        );
        assert!(refused.message().contains("data`"), "{}", refused.message());
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_is_made_private_unless_it_holds_something_else() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        drop(DataDir::open(&path).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        let expose = || fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        expose();
        drop(DataDir::open(&path).unwrap());
        assert_eq!(mode(&path), 0o700);
        fs::remove_file(path.join(LOCK)).unwrap();
        expose();
        drop(DataDir::open(&path).unwrap());
        assert_eq!(mode(&path), 0o700);
        fs::remove_file(path.join(LOCK)).unwrap();
        fs::write(path.join("letter"), "").unwrap();
        expose();
        assert_eq!(DataDir::open(&path).unwrap_err().code(), "data_dir_exposed");
        assert_eq!(mode(&path), 0o755);
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_unusable() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::write(&path, "").unwrap();
        assert_eq!(
            DataDir::open(&path).unwrap_err().code(),
            "data_dir_unusable"
        );
    }
}
