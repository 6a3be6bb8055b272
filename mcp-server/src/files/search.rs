//! Looking for text under one directory or in one file.
//!
//! Only what lies under the path searched is looked at, because only that path was authorized:
//! links are not followed. Work is bounded by counts, not by time, so the same search gives the
//! same answer on every machine.

use super::{
    error::FileError,
    listing::{EntryKind, scan},
    path::{DirPath, FilePath},
    sandbox::{Missing, Sandbox, read_text},
};

/// Longest query, in characters.
pub(crate) const MAX_QUERY_CHARS: usize = 200;

/// Most matches reported.
pub(crate) const MAX_MATCHES: usize = 100;

/// Most files looked into.
const MAX_FILES: usize = 2_000;

/// Most bytes looked through.
const MAX_BYTES: usize = 32 * 1_048_576;

/// Deepest directory entered below the one searched.
const MAX_DEPTH: usize = 16;

/// Longest part of a matching line shown, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// One place where the query was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Path below the sandbox's root.
    pub(crate) path: String,
    /// Line number from 1 and the line; `None` when the name matched.
    pub(crate) line: Option<(usize, String)>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// At most [`MAX_MATCHES`], by path and line.
    pub(crate) matches: Vec<Match>,
    /// True when a limit ended the search early or left something out.
    pub(crate) incomplete: bool,
}

impl Sandbox {
    /// Finds `query` in names and lines under `path`, upper and lower case alike.
    ///
    /// Files that are not UTF-8 text or larger than the read limit are looked at by name only.
    ///
    /// # Errors
    /// [`FileError`] when `path` is missing or behind a link.
    pub(crate) fn search(&self, path: &DirPath, query: &str) -> Result<Found, FileError> {
        let mut search = Search::new(query);
        match self.directory(path) {
            Ok(_) => search.descend(self, path)?,
            Err(FileError::NotADirectory { .. }) => {
                let file = path.relative().map(ToString::to_string).unwrap_or_default();
                let file = FilePath::parse(&file).map_err(|_| FileError::NotADirectory {
                    path: path.to_string(),
                })?;
                let (parent, name) = self.parent(&file, Missing::Refuse)?;
                let text = read_text(&parent, name, &file.to_string())?;
                search.look_into(&file.to_string(), &text);
            }
            Err(error) => return Err(error),
        }
        Ok(search.found)
    }
}

struct Search {
    query: String,
    files_left: usize,
    bytes_left: usize,
    found: Found,
}

impl Search {
    fn new(query: &str) -> Self {
        Self {
            query: query.to_lowercase(),
            files_left: MAX_FILES,
            bytes_left: MAX_BYTES,
            found: Found::default(),
        }
    }

    fn descend(&mut self, sandbox: &Sandbox, start: &DirPath) -> Result<(), FileError> {
        // Depth first, directories in byte order: a stack of those still to enter.
        let mut pending = vec![(start.clone(), 0_usize)];
        while let Some((path, depth)) = pending.pop() {
            let dir = match sandbox.directory(&path) {
                Ok(dir) => dir,
                Err(error) if depth == 0 => return Err(error),
                // Gone or swapped since it was listed.
                Err(_) => continue,
            };
            let listing = scan(&dir, &path)?;
            self.found.incomplete |= listing.truncated;
            let mut below = Vec::new();
            for entry in listing.entries {
                if self.is_spent() {
                    return Ok(());
                }
                let shown = join(&path, &entry.name);
                if entry.name.to_lowercase().contains(&self.query) {
                    self.report(Match {
                        path: shown.clone(),
                        line: None,
                    });
                }
                match entry.kind {
                    EntryKind::Directory if depth < MAX_DEPTH => below.push(shown),
                    EntryKind::Directory => self.found.incomplete = true,
                    EntryKind::File { .. } => self.read_file(&dir, &entry.name, &shown),
                    EntryKind::Other => {}
                }
            }
            for shown in below.into_iter().rev() {
                if let Ok(path) = DirPath::parse(Some(&shown)) {
                    pending.push((path, depth.saturating_add(1)));
                }
            }
        }
        Ok(())
    }

    fn read_file(&mut self, dir: &cap_std::fs::Dir, name: &str, shown: &str) {
        self.files_left = self.files_left.saturating_sub(1);
        match read_text(dir, name, shown) {
            Ok(text) => {
                self.bytes_left = self.bytes_left.saturating_sub(text.len());
                self.look_into(shown, &text);
            }
            Err(FileError::TooLarge { .. } | FileError::Io { .. }) => self.found.incomplete = true,
            Err(_) => {}
        }
    }

    fn look_into(&mut self, shown: &str, text: &str) {
        for (index, line) in text.lines().enumerate() {
            if line.to_lowercase().contains(&self.query) {
                let line = line.trim().chars().take(MAX_SHOWN_CHARS).collect();
                let number = index.saturating_add(1);
                self.report(Match {
                    path: shown.to_owned(),
                    line: Some((number, line)),
                });
                if self.is_spent() {
                    return;
                }
            }
        }
    }

    fn report(&mut self, found: Match) {
        if self.found.matches.len() < MAX_MATCHES {
            self.found.matches.push(found);
        }
    }

    /// True, and noted, when a limit is reached.
    fn is_spent(&mut self) -> bool {
        let spent =
            self.files_left == 0 || self.bytes_left == 0 || self.found.matches.len() >= MAX_MATCHES;
        self.found.incomplete |= spent;
        spent
    }
}

fn join(dir: &DirPath, name: &str) -> String {
    match dir.relative() {
        None => name.to_owned(),
        Some(path) => format!("{path}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(make: impl FnOnce(&std::path::Path), path: &str, query: &str) -> Found {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let sandbox = Sandbox::open(dir.path()).unwrap();
        sandbox
            .search(&DirPath::parse(Some(path)).unwrap(), query)
            .unwrap()
    }

    fn place(path: &str, line: Option<(usize, &str)>) -> Match {
        Match {
            path: path.to_owned(),
            line: line.map(|(number, text)| (number, text.to_owned())),
        }
    }

    #[test]
    fn names_and_lines_are_found_in_order_whatever_their_case() {
        let found = search(
            |dir| {
                std::fs::create_dir(dir.join("sub")).unwrap();
                std::fs::write(dir.join("sub/Needle.txt"), "nothing\n").unwrap();
                std::fs::write(dir.join("a.txt"), "one\n  a NEEDLE here\n").unwrap();
                std::fs::write(dir.join("binary"), b"\xffneedle").unwrap();
            },
            "",
            "needle",
        );
        assert_eq!(
            found.matches,
            [
                place("a.txt", Some((2, "a NEEDLE here"))),
                place("sub/Needle.txt", None)
            ]
        );
        assert!(!found.incomplete);
    }

    #[test]
    fn only_what_lies_under_the_path_is_looked_at() {
        let found = search(
            |dir| {
                std::fs::create_dir(dir.join("in")).unwrap();
                std::fs::write(dir.join("in/a"), "needle").unwrap();
                std::fs::create_dir(dir.join("in2")).unwrap();
                std::fs::write(dir.join("in2/a"), "needle").unwrap();
            },
            "in",
            "needle",
        );
        assert_eq!(found.matches, [place("in/a", Some((1, "needle")))]);
    }

    #[test]
    fn a_hundred_matches_are_given_and_one_more_is_said_to_be_there() {
        for (count, incomplete) in [(MAX_MATCHES - 1, false), (MAX_MATCHES + 1, true)] {
            let lines = "needle\n".repeat(count);
            let found = search(
                |dir| std::fs::write(dir.join("a"), lines).unwrap(),
                "",
                "needle",
            );
            assert_eq!(found.matches.len(), count.min(MAX_MATCHES));
            assert_eq!(found.incomplete, incomplete, "{count}");
        }
    }

    #[test]
    fn directories_are_entered_sixteen_deep_and_no_deeper() {
        for (depth, found_it) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let found = search(
                |dir| {
                    let deep = dir.join(vec!["d"; depth].join("/"));
                    std::fs::create_dir_all(&deep).unwrap();
                    std::fs::write(deep.join("x"), "needle").unwrap();
                },
                "",
                "needle",
            );
            assert_eq!(found.matches.len(), usize::from(found_it), "{depth}");
            assert_eq!(found.incomplete, !found_it, "{depth}");
        }
    }
}
