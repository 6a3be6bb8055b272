//! Files that are there whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Puts `content` at `path`: written beside it, made durable, then renamed over it. Readable by
/// its owner only.
///
/// # Errors
/// The file system's; what was at `path` is still there then.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::other("the path has no directory"))?;
    let temporary = path.with_extension("tmp");
    write_whole(&temporary, content).inspect_err(|_| {
        // On a disk that is full, half a file would only be in the way.
        let _ = fs::remove_file(&temporary);
    })?;
    fs::rename(&temporary, path)?;
    sync_directory(parent)
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a directory that only its owner can enter, with everything above it.
///
/// # Errors
/// The file system's.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes new files readable by their owner only.
pub(crate) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Makes a directory's names durable.
///
/// # Errors
/// The file system's.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
