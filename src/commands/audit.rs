//! `bailiwick audit`: whether the record of what happened is whole.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use bailiwick_datalog::Timestamp;
use bailiwick_verifier::audit::{self, AuditFault, Summary};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::lines::{LineLength, next_line};
use crate::output::{Event, Output};

/// Far more than the longest line that is ever written.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// The records that a data directory may hold.
const RECORDS: [&str; 2] = ["audit/issuer.jsonl", "audit/gateway.jsonl"];

/// Check the record of what happened
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Find any line that was edited, removed, inserted or moved
    #[command(
        after_help = "Example:\n  bailiwick audit verify --data-dir ./bailiwick-data\n\n\
        Lines cut off at the end leave no trace in the file itself: note the number and hash\n\
        that are printed, and compare them later."
    )]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The records to check, instead of those in the data directory
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The data directory whose records are checked
    #[arg(
        long,
        env = "BAILIWICK_DATA_DIR",
        value_name = "DIR",
        default_value = "./bailiwick-data"
    )]
    data_dir: PathBuf,
}

/// Checks each record to its end.
pub(crate) fn run(args: &AuditArgs, output: Output) -> Result<Exit, Failure> {
    let AuditCommand::Verify(args) = &args.command;
    for path in records(args)? {
        let summary = verify(&path)?;
        output.emit(&Whole {
            file: &path,
            lines: summary.lines,
            hash: &summary.hash,
            first: summary.first,
            last: summary.last,
        })?;
    }
    Ok(Exit::Done)
}

fn records(args: &VerifyArgs) -> Result<Vec<PathBuf>, Failure> {
    if !args.files.is_empty() {
        return Ok(args.files.clone());
    }
    let here = RECORDS.map(|name| args.data_dir.join(name));
    let records: Vec<PathBuf> = here.into_iter().filter(|path| path.exists()).collect();
    if records.is_empty() {
        return Err(Failure::new(
            "no_audit_record",
            format!("there is no audit record in `{}`", args.data_dir.display()),
        )
        .hint("name the data directory with `--data-dir`, or the files themselves"));
    }
    Ok(records)
}

fn verify(path: &Path) -> Result<Summary, Failure> {
    let unreadable = |error: &io::Error| {
        Failure::new(
            "audit_unreadable",
            format!("cannot read `{}`: {error}", path.display()),
        )
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut lines = Lines {
        from: BufReader::new(file),
        broken: None,
    };
    let outcome = audit::verify(&mut lines);
    if let Some(error) = lines.broken {
        return Err(unreadable(&error));
    }
    outcome.map_err(|error| {
        let code = match error.what {
            AuditFault::Sequence { .. } => "audit_gap",
            _ => "audit_edited",
        };
        Failure::new(code, format!("`{}` is not whole: {error}", path.display()))
    })
}

/// The lines of a record. One that cannot be text is passed on as an empty
/// one, which no record has; a broken stream ends the lines and is kept.
struct Lines<R> {
    from: R,
    broken: Option<io::Error>,
}

impl<R: io::BufRead> Iterator for &mut Lines<R> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match next_line(&mut self.from, &mut line, MAX_LINE_BYTES) {
            Ok(Some(LineLength::Fits)) => Some(String::from_utf8(line).unwrap_or_default()),
            Ok(Some(LineLength::TooLong)) => Some(String::new()),
            Ok(None) => None,
            Err(error) => {
                self.broken = Some(error);
                None
            }
        }
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    file: &'a Path,
    lines: u64,
    hash: &'a str,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Event for Whole<'_> {
    fn name(&self) -> &'static str {
        "whole"
    }

    fn human(&self) -> String {
        format!(
            "{}: {} lines, whole\n  last hash {}",
            self.file.display(),
            self.lines,
            self.hash
        )
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_verifier::audit::Chain;
    use serde_json::json;

    use super::*;

    fn record(path: &Path, edit: impl Fn(&mut Vec<String>)) {
        let mut chain = Chain::new();
        let mut lines: Vec<String> = (0..3)
            .map(|n| {
                let at = Timestamp::from_unix(n);
                chain
                    .append(at, "call", json!({"n": n.to_string()}))
                    .unwrap()
            })
            .collect();
        edit(&mut lines);
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    #[test]
    fn a_record_is_whole_until_a_line_is_edited_removed_or_moved() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("issuer.jsonl");
        record(&path, |_| {});
        assert_eq!(verify(&path).unwrap().lines, 3);
        record(&path, |lines| lines[1] = lines[1].replace("\"1\"", "\"7\""));
        assert_eq!(verify(&path).unwrap_err().code(), "audit_edited");
        record(&path, |lines| drop(lines.remove(1)));
        assert_eq!(verify(&path).unwrap_err().code(), "audit_gap");
        record(&path, |lines| lines.swap(0, 1));
        assert_eq!(verify(&path).unwrap_err().code(), "audit_gap");
        std::fs::write(&path, [0xff, b'\n']).unwrap();
        assert_eq!(verify(&path).unwrap_err().code(), "audit_edited");
    }

    #[test]
    fn no_record_is_not_a_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        let args = VerifyArgs {
            files: Vec::new(),
            data_dir: directory.path().to_owned(),
        };
        assert_eq!(records(&args).unwrap_err().code(), "no_audit_record");
    }
}
