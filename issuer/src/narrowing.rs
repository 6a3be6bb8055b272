//! Narrowing: what an approver makes of a request.
//!
//! The law of this module: **what is granted never exceeds what was asked for**. [`narrow`]
//! builds a grant out of the *request*, guided by the approver's choice, and refuses a
//! choice that points outside it; [`Granted::is_within`] states the law again, independently,
//! and the mint asks it once more before signing.

mod limits;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bailiwick_datalog::{ResourcePath, ToolName};
use serde_json::Value;
use thiserror::Error;

pub(crate) use self::limits::added as added_limits;
use crate::{
    access_request::{
        AccessRequest, ExactCall, RequestedTool, Selection, ToolScope, authorization_details,
        exact_call,
    },
    duration_text,
    text::visible_line,
};

/// Names one requested resource or exact call: the tool, and the position in its list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResourceKey {
    pub(crate) tool: String,
    pub(crate) index: usize,
}

impl ResourceKey {
    /// Reads `TOOL#INDEX`, as the approval form writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (tool, index) = text.split_once('#')?;
        let index: usize = index.parse().ok()?;
        let key = Self {
            tool: tool.to_owned(),
            index,
        };
        // One spelling only: `a#01` and `a#+1` are not `a#1`.
        (key.to_string() == text).then_some(key)
    }
}

impl std::fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.tool, self.index)
    }
}

/// The approver's choice, as the form carries it: nothing in it is trusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Choice {
    /// Ticked tools.
    pub(crate) tools: BTreeSet<String>,
    /// Ticked resources.
    pub(crate) resources: BTreeSet<ResourceKey>,
    /// Ticked exact calls, by their place among those of their tool.
    pub(crate) calls: BTreeSet<ResourceKey>,
    /// What was written about the arguments of each tool, one limit a line.
    pub(crate) limits: BTreeMap<String, String>,
    /// Tools whose other arguments are not to be given.
    pub(crate) closed: BTreeSet<String>,
    /// The path field of each resource.
    pub(crate) paths: BTreeMap<ResourceKey, String>,
    /// The time field.
    pub(crate) duration: String,
}

/// Why a choice is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum NarrowingError {
    /// Every tool or every resource was removed.
    #[error(
        "nothing is left to approve: keep at least one tool and one of its resources, or deny the request"
    )]
    Nothing,
    /// The choice names a tool that was not asked for.
    #[error("tool `{0}` was not asked for")]
    ToolNotRequested(String),
    /// The choice names a resource that was not asked for.
    #[error("resource {0} was not asked for")]
    ResourceNotRequested(String),
    /// The choice names a call that was not asked for.
    #[error("call {0} was not asked for")]
    CallNotRequested(String),
    /// A path leads outside the requested resource.
    #[error("`{tool}` was asked for on `{requested}`; `{wanted}` is not under it")]
    ResourceWidened {
        /// The tool.
        tool: ToolName,
        /// What was asked for.
        requested: ResourcePath,
        /// What the form said.
        wanted: ResourcePath,
    },
    /// A path cannot be read in one way only.
    #[error("`{tool}`: `{path}` is not a resource: {reason}")]
    NotAPath {
        /// The tool.
        tool: ToolName,
        /// The text, made visible.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A line about arguments is no limit.
    #[error("`{tool}`: `{line}` is not a limit: {why}")]
    NotALimit {
        /// The tool.
        tool: ToolName,
        /// The line, made visible.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// A limit on an argument that may not be given, which would allow it.
    #[error(
        "`{tool}` may have no argument `{argument}` at all, so there is nothing to limit about it"
    )]
    ArgumentClosed {
        /// The tool.
        tool: ToolName,
        /// The argument, made visible.
        argument: String,
    },
    /// The time field is not a time.
    #[error("the time `{0}` cannot be read; write it like `90s`, `15m` or `1h 30m`")]
    NotADuration(String),
    /// The time is zero.
    #[error("the time must be at least one second")]
    NoTime,
    /// More time than was asked for.
    #[error("the agent asked for {asked}; `{wanted}` is longer", asked = duration_text::format(*.requested))]
    DurationWidened {
        /// What was asked for.
        requested: Duration,
        /// What the form said.
        wanted: String,
    },
}

/// What an approval grants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Granted {
    pub(crate) duration: Duration,
    pub(crate) tools: Vec<ToolScope>,
}

/// Applies a choice to a request.
///
/// # Errors
/// [`NarrowingError`] when the choice leaves nothing, cannot be read, or points outside the
/// request in any way.
pub(crate) fn narrow(request: &AccessRequest, choice: &Choice) -> Result<Granted, NarrowingError> {
    check_names(request, choice)?;
    let duration = narrow_duration(request.duration, &choice.duration)?;
    let mut tools = Vec::new();
    for tool in &request.tools {
        if !choice.tools.contains(tool.scope.name.as_str()) {
            continue;
        }
        let resources = narrow_resources(tool, choice)?;
        let calls = kept_calls(tool, choice);
        // Without its calls, the tool would be granted for any.
        let no_call_left = calls.is_empty() && !tool.scope.calls.is_empty();
        if !resources.is_empty() && !no_call_left {
            let (args, closed_arguments) = limits::narrow(&tool.scope, choice)?;
            tools.push(ToolScope {
                resources,
                args,
                closed_arguments,
                calls,
                ..tool.scope.clone()
            });
        }
    }
    if tools.is_empty() && request.selection == Selection::Asked {
        Err(NarrowingError::Nothing)
    } else {
        Ok(Granted { duration, tools })
    }
}

impl Granted {
    /// The law: nothing here exceeds `request`.
    pub(crate) fn is_within(&self, request: &AccessRequest) -> bool {
        let in_time = !self.duration.is_zero() && self.duration <= request.duration;
        let mut names = BTreeSet::new();
        let enough = !self.tools.is_empty() || request.selection == Selection::Offered;
        in_time
            && enough
            && self.tools.iter().all(|tool| {
                names.insert(&tool.name)
                    && request
                        .tool(&tool.name)
                        .is_some_and(|asked| is_within(tool, &asked.scope))
            })
    }

    /// Whether nothing here exceeds another grant of the same request.
    pub(crate) fn is_within_grant(&self, other: &Self) -> bool {
        let known = |tool: &ToolScope| {
            let mut same = other.tools.iter().filter(|kept| kept.name == tool.name);
            same.any(|kept| is_within(tool, kept))
        };
        self.duration <= other.duration && self.tools.iter().all(known)
    }

    /// The grant in the form of RFC 9396.
    pub(crate) fn authorization_details(&self, request: &AccessRequest) -> Value {
        authorization_details(&request.audience, &request.task, self.duration, &self.tools)
    }

    /// One `tool:NAME` for each tool, as an OAuth scope: the words that ask for them. On what and
    /// within which limits, only the details say.
    pub(crate) fn scope(&self) -> String {
        let words: Vec<String> = self
            .tools
            .iter()
            .map(|t| format!("tool:{}", t.name))
            .collect();
        words.join(" ")
    }
}

fn is_within(tool: &ToolScope, asked: &ToolScope) -> bool {
    !tool.resources.is_empty()
        && tool.access == asked.access
        && limits::are_within(tool, asked)
        && exact_call::are_within(&tool.calls, &asked.calls)
        && tool
            .resources
            .iter()
            .all(|path| asked.resources.iter().any(|top| path.is_under(top)))
}

fn check_names(request: &AccessRequest, choice: &Choice) -> Result<(), NarrowingError> {
    let requested = |name: &str| request.tools.iter().find(|t| t.scope.name.as_str() == name);
    let named = choice.tools.iter().chain(&choice.closed);
    let mut named = named.chain(choice.limits.keys());
    if let Some(name) = named.find(|name| requested(name).is_none()) {
        return Err(NarrowingError::ToolNotRequested(visible_line(name)));
    }
    let known = |key: &ResourceKey| {
        requested(&key.tool).is_some_and(|tool| key.index < tool.scope.resources.len())
    };
    match choice
        .resources
        .iter()
        .chain(choice.paths.keys())
        .find(|key| !known(key))
    {
        Some(key) => Err(NarrowingError::ResourceNotRequested(visible_line(
            &key.to_string(),
        ))),
        None => check_calls(request, choice),
    }
}

fn check_calls(request: &AccessRequest, choice: &Choice) -> Result<(), NarrowingError> {
    let known = |key: &ResourceKey| {
        let mut tools = request.tools.iter();
        tools.any(|tool| tool.scope.name.as_str() == key.tool && key.index < tool.scope.calls.len())
    };
    match choice.calls.iter().find(|key| !known(key)) {
        Some(key) => Err(NarrowingError::CallNotRequested(visible_line(
            &key.to_string(),
        ))),
        None => Ok(()),
    }
}

/// The calls that are ticked, as they were asked for.
fn kept_calls(tool: &RequestedTool, choice: &Choice) -> Vec<ExactCall> {
    let name = tool.scope.name.to_string();
    let calls = tool.scope.calls.iter().enumerate();
    let ticked = calls.filter(|(index, _)| {
        let (tool, index) = (name.clone(), *index);
        choice.calls.contains(&ResourceKey { tool, index })
    });
    ticked.map(|(_, call)| call.clone()).collect()
}

fn narrow_duration(requested: Duration, text: &str) -> Result<Duration, NarrowingError> {
    let duration =
        duration_text::parse(text).map_err(|_| NarrowingError::NotADuration(visible_line(text)))?;
    if duration.is_zero() {
        return Err(NarrowingError::NoTime);
    }
    if duration > requested {
        return Err(NarrowingError::DurationWidened {
            requested,
            wanted: visible_line(text),
        });
    }
    Ok(duration)
}

fn narrow_resources(
    tool: &RequestedTool,
    choice: &Choice,
) -> Result<Vec<ResourcePath>, NarrowingError> {
    let mut kept: Vec<ResourcePath> = Vec::new();
    for (index, requested) in tool.scope.resources.iter().enumerate() {
        let key = ResourceKey {
            tool: tool.scope.name.to_string(),
            index,
        };
        if !choice.resources.contains(&key) {
            continue;
        }
        let path = match choice.paths.get(&key) {
            Some(text) => narrow_path(&tool.scope.name, requested, text)?,
            None => requested.clone(),
        };
        if !kept.contains(&path) {
            kept.push(path);
        }
    }
    Ok(kept)
}

fn narrow_path(
    tool: &ToolName,
    requested: &ResourcePath,
    text: &str,
) -> Result<ResourcePath, NarrowingError> {
    let wanted = ResourcePath::parse(text).map_err(|e| NarrowingError::NotAPath {
        tool: tool.clone(),
        path: visible_line(text),
        reason: visible_line(&e.to_string()),
    })?;
    if wanted.is_under(requested) {
        return Ok(wanted);
    }
    let (tool, requested) = (tool.clone(), requested.clone());
    Err(NarrowingError::ResourceWidened {
        tool,
        requested,
        wanted,
    })
}

#[cfg(test)]
mod tests;
