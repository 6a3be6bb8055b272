//! What would be minted, set beside what was asked for.

use bailiwick_datalog::Caveat;

use super::failure::Failure;
use crate::{
    access_request::{AccessRequest, ToolScope},
    approval::DecisionError,
    duration_text,
    narrowing::{Granted, NarrowingError},
    text::visible_line,
};

/// The effect of a choice, worked out by the same code that decides.
#[derive(Debug)]
pub(crate) struct EffectView {
    pub(crate) tools: Vec<ToolEffect>,
    /// The time in words, and what was asked for where it is less.
    pub(crate) duration: String,
    pub(crate) duration_asked: Option<String>,
}

/// What becomes of one tool.
#[derive(Debug)]
pub(crate) struct ToolEffect {
    pub(crate) name: String,
    /// It is not granted at all.
    pub(crate) removed: bool,
    /// In what it differs from what was asked for; nothing where it does not.
    pub(crate) differences: Vec<String>,
}

/// Why a choice cannot be granted, and where on the form.
#[derive(Debug)]
pub(crate) struct ProblemView {
    pub(crate) failure: Failure,
    /// The tool whose limits cannot be read.
    pub(crate) limits_of: Option<String>,
}

impl ProblemView {
    pub(crate) fn of(error: DecisionError) -> Self {
        let limits_of = match &error {
            DecisionError::Narrowing(
                NarrowingError::NotALimit { tool, .. }
                | NarrowingError::ArgumentClosed { tool, .. },
            ) => Some(tool.to_string()),
            _ => None,
        };
        Self {
            failure: error.into(),
            limits_of,
        }
    }

    /// Whether it is about what was written of that tool's arguments.
    pub(crate) fn is_about_limits_of(&self, tool: &str) -> bool {
        self.limits_of.as_deref() == Some(tool)
    }
}

impl EffectView {
    pub(crate) fn of(request: &AccessRequest, granted: &Granted) -> Self {
        let shorter = granted.duration < request.duration;
        let tools = request.tools.iter().map(|tool| {
            let mut kept = granted.tools.iter();
            let kept = kept.find(|kept| kept.name == tool.scope.name);
            ToolEffect::of(&tool.scope, kept)
        });
        Self {
            tools: tools.collect(),
            duration: duration_text::in_words(granted.duration),
            duration_asked: shorter.then(|| duration_text::in_words(request.duration)),
        }
    }
}

impl ToolEffect {
    fn of(asked: &ToolScope, kept: Option<&ToolScope>) -> Self {
        Self {
            name: asked.name.to_string(),
            removed: kept.is_none(),
            differences: kept.map_or_else(Vec::new, |kept| differences(asked, kept)),
        }
    }
}

fn differences(asked: &ToolScope, kept: &ToolScope) -> Vec<String> {
    let mut found = Vec::new();
    let text = |scope: &ToolScope| {
        let paths: Vec<String> = scope.resources.iter().map(ToString::to_string).collect();
        paths.join(", ")
    };
    if kept.resources != asked.resources {
        found.push(format!("on {} instead of {}", text(kept), text(asked)));
    }
    let (before, after) = (asked.limits(), kept.limits());
    let new = after.iter().filter(|limit| !before.contains(limit));
    found.extend(new.filter_map(|limit| match limit {
        Caveat::ExactCalls(calls) => Some(format!(
            "{} of {} exact calls",
            calls.len(),
            asked.calls.len()
        )),
        Caveat::ClosedWorld(_) if asked.closed_arguments => None,
        limit => Some(visible_line(&format!("each call {}", limit.in_words()))),
    }));
    found
}
