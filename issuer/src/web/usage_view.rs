//! What a session was given beside what it used of it and what it was refused.

use super::views::{ToolView, clock_time};
use crate::{
    access_request::ToolScope,
    narrowing::Granted,
    store::{DelegateChain, Usage},
};

/// A session's calls, told by what was granted.
#[derive(Debug)]
pub(crate) struct UsageView {
    /// Each granted tool with what was done with it.
    pub(crate) granted: Vec<GrantedUse>,
    /// What was called without being granted.
    pub(crate) beyond: Vec<RefusedUse>,
    /// The chains of sub-agents that calls came through.
    pub(crate) delegations: Vec<ChainView>,
}

/// One granted tool.
#[derive(Debug)]
pub(crate) struct GrantedUse {
    pub(crate) tool: ToolView,
    pub(crate) allowed: i64,
    pub(crate) last_allowed: Option<String>,
    pub(crate) refused: Vec<RefusedUse>,
}

/// Calls refused for one reason.
#[derive(Debug)]
pub(crate) struct RefusedUse {
    pub(crate) tool: String,
    pub(crate) code: String,
    pub(crate) calls: i64,
    pub(crate) last: String,
}

/// One chain of sub-agents.
#[derive(Debug)]
pub(crate) struct ChainView {
    pub(crate) chain: String,
    pub(crate) calls: i64,
    pub(crate) last: String,
}

impl UsageView {
    pub(crate) fn of(granted: &Granted, usage: &[Usage], chains: &[DelegateChain]) -> Self {
        let covers = |scope: &ToolScope, call: &Usage| {
            // A call refused before its access was known belongs to the tool all the same.
            scope.name.as_str() == call.tool
                && (call.access.is_empty() || call.access == scope.access.as_str())
        };
        let tools = granted.tools.iter().map(|scope| {
            let of_tool: Vec<&Usage> = usage.iter().filter(|call| covers(scope, call)).collect();
            GrantedUse::of(scope, &of_tool)
        });
        let beyond = usage
            .iter()
            .filter(|call| !call.allowed && !granted.tools.iter().any(|scope| covers(scope, call)));
        Self {
            granted: tools.collect(),
            beyond: by_reason(beyond),
            delegations: chains.iter().map(ChainView::of).collect(),
        }
    }
}

impl GrantedUse {
    fn of(scope: &ToolScope, usage: &[&Usage]) -> Self {
        let allowed = || usage.iter().filter(|call| call.allowed);
        let last = allowed().map(|call| call.last_at).max();
        Self {
            tool: ToolView::of(scope),
            allowed: sum(allowed().copied()),
            last_allowed: last.map(clock_time),
            refused: by_reason(usage.iter().copied().filter(|call| !call.allowed)),
        }
    }
}

/// One line for each tool and code, the latest first as the calls are.
fn by_reason<'a>(calls: impl Iterator<Item = &'a Usage>) -> Vec<RefusedUse> {
    let mut lines: Vec<RefusedUse> = Vec::new();
    for call in calls {
        let known = lines
            .iter_mut()
            .find(|l| l.tool == call.tool && l.code == call.code);
        match known {
            Some(line) => line.calls = line.calls.saturating_add(call.calls),
            None => lines.push(RefusedUse {
                tool: call.tool.clone(),
                code: call.code.clone(),
                calls: call.calls,
                last: clock_time(call.last_at),
            }),
        }
    }
    lines
}

impl ChainView {
    fn of(chain: &DelegateChain) -> Self {
        Self {
            chain: chain.delegates.join(" → "),
            calls: chain.calls,
            last: clock_time(chain.last_at),
        }
    }
}

fn sum<'a>(usage: impl Iterator<Item = &'a Usage>) -> i64 {
    usage.map(|call| call.calls).fold(0, i64::saturating_add)
}
