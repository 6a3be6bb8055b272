//! Files that hold secrets: written whole or not at all, readable by their
//! owner only.
//!
//! Owns how such a file is created, replaced and read. What is in it, and
//! where it lies, is the caller's business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use std::os::unix::fs::OpenOptionsExt as _;

/// Writes a file of mode 0600 by way of a temporary one beside it, so that a
/// reader sees the old text or the new, never a part, and a crash keeps one.
///
/// # Errors
///
/// Whatever the file system says; the temporary file is then gone again.
pub(crate) fn replace_secret(path: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = temporary_beside(path)?;
    let written = create_secret(&beside, contents).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Nothing better can be done about a file that will not go.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_directory_of(path)
}

/// Creates a file of mode 0600 that did not exist, and waits for the disk.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when the name is taken, by a link too.
pub(crate) fn create_secret(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options.mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Reads a small text file, at most `limit` bytes of it.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] when it is longer or not UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_string(&mut text)?;
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is larger than {limit} bytes"),
        ));
    }
    Ok(text)
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_replaced_secret_is_whole_private_and_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        replace_secret(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace_secret(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_is_not_created_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        let refused = create_secret(&path, b"x").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_text_of_the_limit_is_read_and_one_byte_more_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert_eq!(
            read_text(&path, 4).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
