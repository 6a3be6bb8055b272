//! How to call this program again, for the commands that others are advised
//! to type.
//!
//! A program started as `target/release/bailiwick` is not on anybody's path,
//! so advice repeats the name it was started under.

use std::fmt::Write as _;

/// A command line, built argument by argument and quoted for a POSIX shell.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    text: String,
}

impl CommandLine {
    /// This program with a subcommand.
    pub(crate) fn new(subcommand: &str) -> Self {
        let mut line = Self {
            text: quoted(&program()),
        };
        line.push(subcommand);
        line
    }

    /// Adds one argument.
    pub(crate) fn push(&mut self, argument: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, " {}", quoted(argument));
    }

    /// Adds an option and its value.
    pub(crate) fn option(&mut self, name: &str, value: &str) {
        self.push(name);
        self.push(value);
    }
}

impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn program() -> String {
    let started_as = std::env::args().next().unwrap_or_default();
    if started_as.contains('/') {
        started_as
    } else {
        "bailiwick".to_owned()
    }
}

/// The argument as a POSIX shell reads it back, with quotes where it needs any.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_would_read_them_otherwise() {
        assert_eq!(quoted("files/reports"), "files/reports");
        assert_eq!(quoted("http://127.0.0.1:8401"), "http://127.0.0.1:8401");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("limit=1..10"), "limit=1..10");
        assert_eq!(quoted("~"), "'~'");
    }
}
