//! The agent's last calls, and what a grant would have made of each.

use super::views::clock_time;
use crate::dry_run::{DryRun, Outcome};

/// A dry run in numbers and line by line.
#[derive(Debug)]
pub(crate) struct DryRunView {
    pub(crate) calls: usize,
    pub(crate) allowed: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    pub(crate) lines: Vec<TriedCall>,
}

/// One call that was made.
#[derive(Debug)]
pub(crate) struct TriedCall {
    pub(crate) time: String,
    pub(crate) tool: String,
    pub(crate) resources: String,
    /// What became of it then.
    pub(crate) then: String,
    /// What this grant would make of it.
    pub(crate) now: String,
}

impl DryRunView {
    pub(crate) fn of(run: &DryRun) -> Self {
        let lines = run.calls.iter().map(|(call, outcome)| TriedCall {
            time: clock_time(call.time),
            tool: call.tool.clone(),
            resources: call.resources.join(", "),
            then: match (call.allowed, &call.code) {
                (true, _) => "allowed".to_owned(),
                (false, Some(code)) => format!("refused: {code}"),
                (false, None) => "refused".to_owned(),
            },
            now: match outcome {
                Outcome::Allowed => "allowed".to_owned(),
                Outcome::Refused(code) => format!("refused: {code}"),
                Outcome::Unknown => "cannot be said".to_owned(),
            },
        });
        Self {
            calls: run.calls.len(),
            allowed: run.count(|outcome| outcome == Outcome::Allowed),
            refused: run.count(|outcome| matches!(outcome, Outcome::Refused(_))),
            unknown: run.count(|outcome| outcome == Outcome::Unknown),
            lines: lines.collect(),
        }
    }
}
