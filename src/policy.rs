//! Operator policies as files: read, checked, and their problems shown where they are.
//!
//! What a policy may say and what it decides is the library's business
//! ([`bailiwick_datalog::operator`]); `case` reads the calls it is tried on.

mod case;

use std::fmt;
use std::path::Path;

use bailiwick_datalog::operator::{OperatorPolicy, Problem};
use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};
use serde::Serialize;

pub(crate) use self::case::{MAX_CASE_BYTES, PolicyCase, Verdict};
use crate::exit::{Exit, Failure};
use crate::files;

/// More than the text of any policy, so that a longer one is refused by the library's own check.
const MAX_BYTES: u64 = 1_048_576;

/// Reads and checks the policy in a file, and logs what it may not have meant.
///
/// # Errors
///
/// `policy_unreadable`, or `policy_invalid` with the first problem in words and where it is.
pub(crate) fn load(path: &Path) -> Result<OperatorPolicy, Failure> {
    match check(path)? {
        Ok(checked) => {
            for place in checked.warnings.places() {
                let (line, column) = place.line_and_column();
                let Problem { code, message, .. } = place.problem;
                tracing::warn!(file = %path.display(), line, column, code, "policy: {message}");
            }
            Ok(checked.policy)
        }
        Err(report) => Err(report.failure()),
    }
}

/// Reads the policy in a file and checks it: the policy, or everything that is wrong with it.
///
/// # Errors
///
/// `policy_unreadable`.
pub(crate) fn check(path: &Path) -> Result<Result<Checked, Report>, Failure> {
    let source = files::read_text(path, MAX_BYTES).map_err(|error| {
        let message = format!("cannot read the policy `{}`: {error}", path.display());
        Failure::new("policy_unreadable", message)
    })?;
    let loaded = OperatorPolicy::load(&source);
    let report = |problems: &[Problem]| Report {
        located: Located {
            file: path.display().to_string(),
            source: source.clone(),
        },
        problems: problems.to_vec(),
    };
    Ok(match loaded {
        Ok(policy) => Ok(Checked {
            warnings: report(policy.warnings()),
            policy,
        }),
        Err(errors) => Err(report(errors.problems())),
    })
}

/// A policy that holds together, and what it may not have meant.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    policy: OperatorPolicy,
    warnings: Report,
}

impl Checked {
    /// The policy.
    pub(crate) fn policy(&self) -> &OperatorPolicy {
        &self.policy
    }

    /// What it may not have meant, each with its place.
    pub(crate) fn warnings(&self) -> &Report {
        &self.warnings
    }
}

/// A text and where it came from, to find places in.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    file: String,
    source: String,
}

/// What is wrong with a policy, or may be.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    located: Located,
    problems: Vec<Problem>,
}

impl Report {
    /// Each problem with its place.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let located = &self.located;
        let place = move |problem| Place { problem, located };
        self.problems.iter().map(place)
    }

    /// The failure of a command that has shown every problem.
    pub(crate) fn count(&self) -> Failure {
        let message = match self.problems.len() {
            1 => format!("the policy `{}` has a problem", self.located.file),
            count => format!("the policy `{}` has {count} problems", self.located.file),
        };
        Failure::new("policy_invalid", message)
    }

    /// The report as the one failure of a command.
    pub(crate) fn failure(&self) -> Failure {
        let file = &self.located.file;
        let Some(first) = self.places().next() else {
            return Failure::new("policy_invalid", format!("`{file}` is not a policy"));
        };
        let more = match self.problems.len().saturating_sub(1) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let (line, column) = first.line_and_column();
        let message = format!(
            "the policy `{file}` is not valid: line {line}, column {column}: {} ({}){more}",
            first.problem.message, first.problem.code
        );
        Failure::new("policy_invalid", message)
            .ending(Exit::Failed)
            .hint(format!("`bailiwick policy check {file}` shows all of it"))
    }
}

/// A problem in its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    problem: &'a Problem,
    located: &'a Located,
}

/// A problem as programs read it. Lines and columns count from 1, columns in characters; offset
/// and length count bytes of the file.
#[derive(Debug, Serialize)]
pub(crate) struct PlacedProblem<'a> {
    code: &'static str,
    message: &'a str,
    line: usize,
    column: usize,
    offset: usize,
    length: usize,
    help: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Where it begins, both counted from 1.
    fn line_and_column(&self) -> (usize, usize) {
        let before = self.located.source.get(..self.problem.span.start);
        let before = before.unwrap_or_default();
        let lines = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default();
        (lines, column.chars().count().saturating_add(1))
    }

    /// The problem for programs.
    pub(crate) fn to_record(self) -> PlacedProblem<'a> {
        let (line, column) = self.line_and_column();
        PlacedProblem {
            code: self.problem.code,
            message: &self.problem.message,
            line,
            column,
            offset: self.problem.span.start,
            length: self.problem.span.len(),
            help: self.problem.help.as_deref(),
        }
    }

    /// The problem for people: the lines it is in, with the place marked.
    pub(crate) fn drawn(self, warning: bool) -> String {
        let drawing = Drawing {
            source: NamedSource::new(&self.located.file, self.located.source.clone()),
            problem: self.problem.clone(),
            warning,
        };
        let handler = miette::MietteHandlerOpts::new()
            .wrap_lines(false)
            .break_words(false)
            .terminal_links(false)
            .build();
        let mut text = String::new();
        let drawn = fmt::write(&mut text, format_args!("{:?}", Drawn { handler, drawing }));
        match drawn {
            Ok(()) => text.trim_end().to_owned(),
            Err(_) => self.problem.message.clone(),
        }
    }
}

/// A problem as miette draws it.
#[derive(Debug)]
struct Drawing {
    source: NamedSource<String>,
    problem: Problem,
    warning: bool,
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawing {}

impl Diagnostic for Drawing {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.problem.help.as_ref()?;
        Some(Box::new(help))
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.warning {
            true => Severity::Warning,
            false => Severity::Error,
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone();
        let label = LabeledSpan::new(Some("here".to_owned()), span.start, span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

struct Drawn {
    handler: miette::MietteHandler,
    drawing: Drawing,
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        miette::ReportHandler::debug(&self.handler, &self.drawing, f)
    }
}
