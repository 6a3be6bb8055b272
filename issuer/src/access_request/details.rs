//! Reading `authorization_details`: JSON text → typed, bounded, visible.

use std::time::Duration;

use bailiwick_datalog::{
    Access, ArgumentConstraint, Audience, ResourcePath, ToolName, strict_json,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    Application, ExactCall, RequestedTool, ToolScope, distinct,
    exact_call::{self, WireCall},
};
use crate::{
    catalogue::CatalogueTool,
    text::{first_hidden, visible_line, visible_paragraphs},
};

/// The one type of authorization detail this issuer knows.
pub(crate) const DETAIL_TYPE: &str = "mcp_tools";
/// Longest task, in bytes (profile, rule 22).
const MAX_TASK_BYTES: usize = 4_096;
/// Most grants in a token (profile, rule 22): one for each tool and resource.
const MAX_GRANTS: usize = 256;
/// What stands for the task of a client that states none.
pub(crate) const NO_TASK: &str = "No task was stated.";
/// How a scope names a tool: `tool:NAME`.
const SCOPE_PREFIX: &str = "tool:";
/// Most tools that a person is asked to pick from: the form of so many fits a body.
const MAX_OFFERED: usize = 128;
/// Most limits on calls in a request, a list of exact calls counted as one; each becomes a check of the token's first block,
/// which may hold 32 together with the two fixed ones.
pub(crate) const MAX_LIMITS: usize = 30;

/// Why a request is refused. The text is for the developer of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RequestError {
    /// Not the JSON that DESIGN section 5 describes.
    #[error("authorization_details: {0}")]
    Malformed(String),
    /// Meant for another server.
    #[error("this issuer mints tokens for `{expected}` alone, not for `{found}`")]
    WrongLocation {
        /// The audience of this issuer.
        expected: String,
        /// What was asked for.
        found: String,
    },
    /// No task is stated.
    #[error("`task` is empty: say what the access is for")]
    EmptyTask,
    /// The task is too long to be read by a person or put in a token.
    #[error("`task` has {length} bytes, more than {MAX_TASK_BYTES}")]
    TaskTooLong {
        /// Length of the text once made visible.
        length: usize,
    },
    /// The time is zero or above what the application allows.
    #[error("`duration` is {seconds} s; it must be between 1 and {max} s")]
    Duration {
        /// What was asked for.
        seconds: u64,
        /// The application's ceiling.
        max: u64,
    },
    /// No tool is named.
    #[error("`tools` is empty: name at least one tool")]
    NoTools,
    /// One tool appears twice.
    #[error("tool `{0}` is named twice")]
    RepeatedTool(ToolName),
    /// The application does not use the tool.
    #[error("tool `{0}` is not among those of this application")]
    ToolNotAllowed(ToolName),
    /// The catalogue has no such tool.
    #[error("there is no tool `{0}`")]
    UnknownTool(ToolName),
    /// The catalogue gives the tool another access level.
    #[error("tool `{tool}` has access `{actual}`, not `{asked}`")]
    WrongAccess {
        /// The tool.
        tool: ToolName,
        /// What the catalogue says.
        actual: Access,
        /// What was asked for.
        asked: Access,
    },
    /// A tool is asked for on nothing.
    #[error("tool `{0}`: name at least one resource")]
    NoResources(ToolName),
    /// A resource cannot be read in one way only.
    #[error("tool `{tool}`: resource `{resource}`: {reason}")]
    Resource {
        /// The tool.
        tool: ToolName,
        /// The text, made visible.
        resource: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A resource appears twice under one tool.
    #[error("tool `{0}`: a resource is named twice")]
    RepeatedResource(ToolName),
    /// An argument limit is not one of the known kinds.
    #[error("tool `{tool}`: argument `{argument}`: {reason}")]
    Argument {
        /// The tool.
        tool: ToolName,
        /// The argument's name, made visible.
        argument: String,
        /// What is wrong with the limit.
        reason: String,
    },
    /// A call of a tool that is not asked for.
    #[error("`calls` has a call of `{0}`, which is not among `tools`")]
    CallOfOtherTool(String),
    /// A call whose arguments cannot be told from others.
    #[error(
        "a call of `{0}` has an integer beyond 9007199254740991, which canonical JSON (RFC 8785) \
         cannot tell from its neighbours"
    )]
    CallWithoutForm(ToolName),
    /// A word of the scope names no tool.
    #[error("scope `{0}` is not `tool:` and the name of a tool")]
    Scope(String),
    /// The catalogue does not say on what the tool works, so a scope cannot mean all of it.
    #[error("tool `{0}` cannot be asked for by scope: name its resources in authorization_details")]
    NoRoots(ToolName),
    /// The catalogue has nothing to pick from.
    #[error("there is no tool to pick from: ask for one by name")]
    NothingToOffer,
    /// More than fits a token or a page.
    #[error("the request asks for {found} {what}, more than {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// Parsed details, not yet bound to the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Details {
    pub(crate) task: String,
    pub(crate) duration: Option<Duration>,
    pub(super) tools: Vec<DetailTool>,
}

/// One tool as asked for; access may be left to the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DetailTool {
    pub(super) name: ToolName,
    pub(super) access: Option<Access>,
    pub(super) resources: Vec<ResourcePath>,
    pub(super) args: Vec<ArgumentConstraint>,
    pub(super) closed_arguments: bool,
    pub(super) calls: Vec<ExactCall>,
}

impl Details {
    /// Reads the parameter as an agent sends it.
    ///
    /// # Errors
    /// [`RequestError`]; duplicate keys, unknown members, other types and other locations
    /// are refused, never ignored.
    pub(crate) fn parse(
        text: &[u8],
        application: &Application,
        audience: &Audience,
    ) -> Result<Self, RequestError> {
        let value = strict_json::parse(text).map_err(|e| RequestError::Malformed(e.to_string()))?;
        let wire: Vec<WireDetail> = from_value(value)?;
        let [wire] = <[WireDetail; 1]>::try_from(wire).map_err(|all| {
            let why = format!(
                "expected one entry of type `{DETAIL_TYPE}`, found {}",
                all.len()
            );
            RequestError::Malformed(why)
        })?;
        if wire.r#type != DETAIL_TYPE {
            let why = format!(
                "type `{}` is not `{DETAIL_TYPE}`",
                visible_line(&wire.r#type)
            );
            return Err(RequestError::Malformed(why));
        }
        check_locations(wire.locations.as_deref(), audience)?;
        check_duration(wire.duration, application.max_duration)?;
        let tools = DetailTool::read_all(wire.tools, wire.calls)?;
        check_tools(&tools)?;
        Ok(Self {
            task: read_task(&wire.task)?,
            duration: wire.duration.map(Duration::from_secs),
            tools,
        })
    }

    /// Details that ask for whole tools, as the words of an OAuth scope name them.
    ///
    /// # Errors
    /// [`RequestError::Scope`], [`RequestError::TooMany`].
    pub(crate) fn of_scope(scope: &str) -> Result<Self, RequestError> {
        let mut details = Self {
            task: NO_TASK.to_owned(),
            duration: None,
            tools: Vec::new(),
        };
        details.add_scope(scope)?;
        Ok(details)
    }

    /// Adds the tools that a scope names and the details do not: what the details say of a tool
    /// is the narrower.
    ///
    /// # Errors
    /// As [`Details::of_scope`].
    pub(crate) fn add_scope(&mut self, scope: &str) -> Result<(), RequestError> {
        for word in scope.split(' ').filter(|word| !word.is_empty()) {
            let name = word.strip_prefix(SCOPE_PREFIX).map(ToolName::parse);
            let Some(Ok(name)) = name else {
                return Err(RequestError::Scope(visible_line(word)));
            };
            if self.tools.iter().all(|tool| tool.name != name) {
                self.tools.push(DetailTool::whole(name));
                at_most("tools", self.tools.len(), MAX_GRANTS)?;
            }
        }
        Ok(())
    }

    /// The tools asked for, each with the access that `granted` gives it where none is named.
    ///
    /// # Errors
    /// A sentence about a tool that is not among those granted, or is with another access.
    pub(crate) fn scopes_within(self, granted: &[ToolScope]) -> Result<Vec<ToolScope>, String> {
        let scopes = self.tools.into_iter().map(|tool| {
            let known = granted.iter().find(|scope| scope.name == tool.name);
            match known {
                Some(known) if tool.access.is_none_or(|asked| asked == known.access) => {
                    Ok(ToolScope {
                        access: known.access,
                        name: tool.name,
                        resources: tool.resources,
                        args: tool.args,
                        closed_arguments: tool.closed_arguments,
                        calls: tool.calls,
                    })
                }
                _ => Err(format!("tool `{}` was not granted so", tool.name)),
            }
        });
        scopes.collect()
    }

    /// The names asked for.
    pub(crate) fn tool_names(&self) -> Vec<ToolName> {
        self.tools.iter().map(|tool| tool.name.clone()).collect()
    }
}

impl DetailTool {
    /// The tools, each with its exact calls.
    pub(super) fn read_all(
        tools: Vec<WireTool>,
        calls: Vec<WireCall>,
    ) -> Result<Vec<Self>, RequestError> {
        let tools: Result<Vec<Self>, RequestError> = tools.into_iter().map(Self::read).collect();
        let mut tools = tools?;
        exact_call::assign(&mut tools, calls)?;
        Ok(tools)
    }

    fn read(wire: WireTool) -> Result<Self, RequestError> {
        let name = ToolName::parse(wire.name.as_str())
            .map_err(|e| RequestError::Malformed(visible_line(&e.to_string())))?;
        let access = match wire.access.as_deref() {
            None => None,
            Some(text) => Some(
                text.parse::<Access>()
                    .map_err(|e| RequestError::Malformed(visible_line(&e.to_string())))?,
            ),
        };
        let resources = read_resources(&name, &wire.resources)?;
        let args = read_args(&name, &wire.args)?;
        Ok(Self {
            name,
            access,
            resources,
            args,
            closed_arguments: wire.closed_arguments,
            calls: Vec::new(),
        })
    }

    /// A tool on everything it works on.
    fn whole(name: ToolName) -> Self {
        Self {
            name,
            access: None,
            resources: Vec::new(),
            args: Vec::new(),
            closed_arguments: false,
            calls: Vec::new(),
        }
    }

    /// Joins what was asked for with what the catalogue says.
    pub(super) fn bind(self, known: &CatalogueTool) -> Result<RequestedTool, RequestError> {
        let asked = self.access.unwrap_or(known.access);
        if asked != known.access {
            let actual = known.access;
            return Err(RequestError::WrongAccess {
                tool: self.name,
                actual,
                asked,
            });
        }
        // None are named only where a scope named the tool: details are refused without.
        let resources = if self.resources.is_empty() {
            known.roots.clone()
        } else {
            self.resources
        };
        if resources.is_empty() {
            return Err(RequestError::NoRoots(self.name));
        }
        let scope = ToolScope {
            name: self.name,
            access: asked,
            resources,
            args: self.args,
            closed_arguments: self.closed_arguments,
            calls: self.calls,
        };
        Ok(RequestedTool::new(scope, known))
    }
}

fn from_value<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, RequestError> {
    serde_json::from_value(value).map_err(|e| RequestError::Malformed(visible_line(&e.to_string())))
}

fn check_locations(locations: Option<&[String]>, audience: &Audience) -> Result<(), RequestError> {
    match locations {
        None => Ok(()),
        Some([only]) if only == audience.as_str() => Ok(()),
        Some(other) => Err(RequestError::WrongLocation {
            expected: audience.as_str().to_owned(),
            found: visible_line(&other.join(" ")),
        }),
    }
}

fn check_duration(seconds: Option<u64>, max: Duration) -> Result<(), RequestError> {
    match seconds {
        Some(seconds) if seconds == 0 || seconds > max.as_secs() => Err(RequestError::Duration {
            seconds,
            max: max.as_secs(),
        }),
        _ => Ok(()),
    }
}

fn check_tools(tools: &[DetailTool]) -> Result<(), RequestError> {
    if tools.is_empty() {
        return Err(RequestError::NoTools);
    }
    let mut seen = std::collections::BTreeSet::new();
    if let Some(tool) = tools.iter().find(|tool| !seen.insert(&tool.name)) {
        return Err(RequestError::RepeatedTool(tool.name.clone()));
    }
    let grants = tools.iter().map(|t| t.resources.len()).sum();
    let limits = tools
        .iter()
        .map(|t| t.args.len() + usize::from(t.closed_arguments) + usize::from(!t.calls.is_empty()))
        .sum();
    at_most("tool and resource pairs", grants, MAX_GRANTS)?;
    at_most("limits on calls", limits, MAX_LIMITS)
}

/// Whether a person can be asked to pick from these.
pub(super) fn check_offer(tools: &[RequestedTool]) -> Result<(), RequestError> {
    if tools.is_empty() {
        return Err(RequestError::NothingToOffer);
    }
    at_most("tools to pick from", tools.len(), MAX_OFFERED)
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), RequestError> {
    if found <= limit {
        Ok(())
    } else {
        Err(RequestError::TooMany { what, found, limit })
    }
}

/// A resource that an approver can see as it is: a token would take characters that a page cannot
/// show.
fn read_resource(text: &str) -> Result<ResourcePath, String> {
    match first_hidden(text) {
        Some(hidden) => Err(format!(
            "U+{:04X} cannot be shown to whoever approves; ask for the folder above it",
            u32::from(hidden)
        )),
        None => ResourcePath::parse(text).map_err(|error| error.to_string()),
    }
}

fn read_task(text: &str) -> Result<String, RequestError> {
    let task = visible_paragraphs(text);
    match task.len() {
        0 => Err(RequestError::EmptyTask),
        length if length > MAX_TASK_BYTES => Err(RequestError::TaskTooLong { length }),
        _ => Ok(task),
    }
}

fn read_resources(tool: &ToolName, texts: &[String]) -> Result<Vec<ResourcePath>, RequestError> {
    let resources = texts
        .iter()
        .map(|text| {
            read_resource(text).map_err(|reason| RequestError::Resource {
                tool: tool.clone(),
                resource: visible_line(text),
                reason: visible_line(&reason),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if resources.is_empty() {
        return Err(RequestError::NoResources(tool.clone()));
    }
    if !distinct(&resources) {
        return Err(RequestError::RepeatedResource(tool.clone()));
    }
    Ok(resources)
}

pub(super) fn read_args(
    tool: &ToolName,
    args: &Map<String, Value>,
) -> Result<Vec<ArgumentConstraint>, RequestError> {
    let each = args.iter().flat_map(|(name, rules)| {
        // One rule, or a list of rules that have to hold together.
        let rules = match rules {
            Value::Array(rules) if !rules.is_empty() => rules.as_slice(),
            one => std::slice::from_ref(one),
        };
        rules.iter().map(move |rule| (name, rule))
    });
    let mut limits = each
        .map(|(name, rule)| {
            ArgumentConstraint::from_json(name, rule).map_err(|e| RequestError::Argument {
                tool: tool.clone(),
                argument: visible_line(name),
                reason: visible_line(&e.to_string()),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    // The order in the JSON means nothing; canonical JSON sorts it too.
    limits.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(limits)
}

/// The inverse of [`read_args`].
pub(super) fn args_to_json(args: &[ArgumentConstraint]) -> Value {
    let mut object = Map::new();
    for limit in args {
        let rule = limit.rule_to_json();
        match object.get_mut(&limit.name) {
            None => {
                object.insert(limit.name.clone(), rule);
            }
            Some(Value::Array(rules)) => rules.push(rule),
            Some(first) => *first = Value::Array(vec![first.take(), rule]),
        }
    }
    Value::Object(object)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireDetail {
    r#type: String,
    locations: Option<Vec<String>>,
    task: String,
    pub(super) duration: Option<u64>,
    pub(super) tools: Vec<WireTool>,
    #[serde(default)]
    pub(super) calls: Vec<WireCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireTool {
    name: String,
    access: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    closed_arguments: bool,
}
