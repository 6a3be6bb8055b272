//! Argument limits by hand: an approver adds some to those that were asked for.
//!
//! All limits of a tool have to hold, so one more is narrower whatever it says. The one thing that
//! could widen is a name more where no other argument may be given: that is refused.

use std::collections::BTreeSet;

use bailiwick_datalog::ArgumentConstraint;

use super::{Choice, NarrowingError};
use crate::{access_request::ToolScope, text::visible_line};

/// The limits of a tool with those that the approver wrote, one a line, and whether no other
/// argument may be given.
///
/// # Errors
/// [`NarrowingError`] for a line that is no limit, or limits an argument that may not be given.
pub(super) fn narrow(
    asked: &ToolScope,
    choice: &Choice,
) -> Result<(Vec<ArgumentConstraint>, bool), NarrowingError> {
    let tool = asked.name.as_str();
    let known = names(asked);
    let mut args = asked.args.clone();
    let written = choice.limits.get(tool).map_or("", String::as_str);
    let lines = written.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let limit =
            ArgumentConstraint::parse_cli(line).map_err(|error| NarrowingError::NotALimit {
                tool: asked.name.clone(),
                line: visible_line(line),
                why: visible_line(&error.what),
            })?;
        if asked.closed_arguments && !known.contains(limit.name.as_str()) {
            return Err(NarrowingError::ArgumentClosed {
                tool: asked.name.clone(),
                argument: visible_line(&limit.name),
            });
        }
        if !args.contains(&limit) {
            args.push(limit);
        }
    }
    // As limits are read; those of one argument stay in their order.
    args.sort_by(|a, b| a.name.cmp(&b.name));
    let closed = asked.closed_arguments || choice.closed.contains(tool);
    Ok((args, closed))
}

/// Whether every limit that was asked for is there, and nothing that was closed is open.
pub(super) fn are_within(tool: &ToolScope, asked: &ToolScope) -> bool {
    let kept = asked.args.iter().all(|limit| tool.args.contains(limit));
    let closed =
        !asked.closed_arguments || (tool.closed_arguments && names(tool).is_subset(&names(asked)));
    kept && closed
}

/// What the approver added, in the form they write it in.
pub(crate) fn added(tool: &ToolScope, asked: &ToolScope) -> Vec<String> {
    let added = tool.args.iter().filter(|limit| !asked.args.contains(limit));
    added
        .map(|limit| {
            // Without its optionality in the name: the rule says it.
            format!("{}={}", limit.name, limit.rule_to_json())
        })
        .collect()
}

fn names(scope: &ToolScope) -> BTreeSet<&str> {
    scope.args.iter().map(|limit| limit.name.as_str()).collect()
}
