//! The names in a directory of the sandbox.
//!
//! A name counts only if a path argument can spell it: what no tool could address is counted, not
//! shown. Links and devices are shown and never opened.

use bailiwick_datalog::ResourcePath;
use cap_std::fs::Dir;

use super::{
    error::FileError,
    path::{DirPath, is_reserved},
    sandbox::Sandbox,
};

/// Most entries of a directory that are listed.
pub(crate) const MAX_LISTED: usize = 1_000;

/// Most entries of a directory that are looked at.
const MAX_SCANNED: usize = 10_000;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(make: impl FnOnce(&std::path::Path)) -> Listing {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let sandbox = Sandbox::open(dir.path()).unwrap();
        sandbox.list(&DirPath::parse(None).unwrap()).unwrap()
    }

    #[test]
    fn names_come_in_byte_order_with_their_kind() {
        let listing = listed(|dir| {
            std::fs::write(dir.join("b.txt"), "12345").unwrap();
            std::fs::create_dir(dir.join("a")).unwrap();
            std::fs::write(dir.join("Z"), "").unwrap();
        });
        let entry = |name: &str, kind| Entry {
            name: name.to_owned(),
            kind,
        };
        assert_eq!(
            listing.entries,
            [
                entry("Z", EntryKind::File { size: 0 }),
                entry("a", EntryKind::Directory),
                entry("b.txt", EntryKind::File { size: 5 }),
            ]
        );
        assert!(!listing.truncated);
    }

    #[test]
    fn a_thousand_names_are_listed_and_one_more_is_said_to_be_there() {
        for (count, truncated) in [(MAX_LISTED, false), (MAX_LISTED + 1, true)] {
            let listing = listed(|dir| {
                for number in 0..count {
                    std::fs::write(dir.join(format!("{number:04}")), "").unwrap();
                }
            });
            assert_eq!(listing.entries.len(), MAX_LISTED);
            assert_eq!(listing.truncated, truncated, "{count}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_no_argument_can_spell_are_counted_and_temporaries_hidden() {
        use std::os::unix::ffi::OsStrExt;

        let listing = listed(|dir| {
            std::fs::write(dir.join("good"), "").unwrap();
            std::fs::write(dir.join("50%"), "").unwrap();
            std::fs::write(dir.join("line\nbreak"), "").unwrap();
            std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
            std::fs::write(dir.join(".bailiwick-tmp-1-1"), "").unwrap();
            std::os::unix::fs::symlink("/etc", dir.join("link")).unwrap();
        });
        let names: Vec<_> = listing
            .entries
            .iter()
            .map(|e| (e.name.as_str(), e.kind))
            .collect();
        assert_eq!(
            names,
            [
                ("good", EntryKind::File { size: 0 }),
                ("link", EntryKind::Other)
            ]
        );
        assert_eq!(listing.unaddressable, 3);
    }
}
