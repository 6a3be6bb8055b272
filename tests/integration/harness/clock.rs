//! The wall clock of a process, moved from outside.
//!
//! libfaketime answers the process's questions for the time of day with an
//! offset read from a file; the monotonic clock stays true, so timers and
//! freshness limits behave as they would on a machine whose wall clock jumped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

/// A wall clock that starts right and moves when told.
pub(crate) struct WallClock {
    folder: TempDir,
}

impl WallClock {
    pub(crate) fn new() -> Self {
        let clock = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        clock.advance(Duration::ZERO);
        clock
    }

    /// Sets the clock to `by` after the true time.
    pub(crate) fn advance(&self, by: Duration) {
        // Replaced by a rename, so that no reader sees half a file.
        let fresh = self.folder.path().join("fresh");
        std::fs::write(&fresh, format!("+{}\n", by.as_secs())).unwrap();
        std::fs::rename(fresh, self.file()).unwrap();
    }

    /// Makes `command` live by this clock.
    pub(crate) fn rule(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// Where Debian keeps the library, on any architecture.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    folders
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| Path::exists(path))
        .expect("libfaketime is installed; ./scripts/test.sh installs it")
}
