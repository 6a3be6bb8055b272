//! Exact calls in a request: each with the very arguments it is to be made with.
//!
//! Unlike all other text of a request, arguments are kept as they were sent: their digest is what
//! is minted. They are made visible where they are shown.

use std::collections::BTreeMap;

use bailiwick_datalog::{CallDigest, ToolName, limits::MAX_EXACT_CALLS};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{DamagedRequest, RequestError, ToolScope, details::DetailTool};
use crate::text::visible_line;

/// Longest canonical text of the arguments of all calls of a request, in bytes: a person has to
/// read them.
pub(super) const MAX_CALL_BYTES: usize = 32 * 1024;

/// One call of a tool, to be made once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExactCall {
    arguments: Map<String, Value>,
    /// INVARIANT: of the tool that the call is kept under, with these arguments.
    digest: CallDigest,
}

/// A call as it is written in `authorization_details`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCall {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

impl ExactCall {
    /// A call of a tool with these arguments; `None` where they have no canonical form.
    pub(crate) fn new(tool: &ToolName, arguments: Map<String, Value>) -> Option<Self> {
        let digest = CallDigest::new(tool, &arguments)?;
        Some(Self { arguments, digest })
    }

    /// The arguments as they were sent.
    pub(crate) fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// What the token names the call by.
    pub(crate) fn digest(&self) -> CallDigest {
        self.digest
    }
}

/// Puts each call to its tool, in the order of the list.
///
/// # Errors
/// [`RequestError`] for a call of a tool that is not asked for, one that has no digest, and more
/// than a person reads or a token holds.
pub(super) fn assign(tools: &mut [DetailTool], calls: Vec<WireCall>) -> Result<(), RequestError> {
    let found = calls.len();
    if found > MAX_EXACT_CALLS {
        return Err(too_many("exact calls", found, MAX_EXACT_CALLS));
    }
    let mut bytes = 0_usize;
    for call in calls {
        let unknown = || RequestError::CallOfOtherTool(visible_line(&call.name));
        let tool = tools
            .iter_mut()
            .find(|tool| tool.name.as_str() == call.name);
        let tool = tool.ok_or_else(unknown)?;
        let exact = ExactCall::new(&tool.name, call.arguments);
        let exact = exact.ok_or_else(|| RequestError::CallWithoutForm(tool.name.clone()))?;
        let text = serde_json_canonicalizer::to_vec(exact.arguments())
            .map_err(|_| RequestError::CallWithoutForm(tool.name.clone()))?;
        bytes = bytes.saturating_add(text.len());
        tool.calls.push(exact);
    }
    if bytes > MAX_CALL_BYTES {
        return Err(too_many(
            "bytes of arguments of exact calls",
            bytes,
            MAX_CALL_BYTES,
        ));
    }
    Ok(())
}

fn too_many(what: &'static str, found: usize, limit: usize) -> RequestError {
    RequestError::TooMany { what, found, limit }
}

/// Puts stored calls back to the scopes of their tools.
pub(super) fn restore<'a>(
    scopes: impl Iterator<Item = &'a mut ToolScope>,
    calls: Vec<WireCall>,
) -> Result<(), DamagedRequest> {
    let damaged = || DamagedRequest("a call of no tool, or without a digest".to_owned());
    let mut scopes: Vec<&mut ToolScope> = scopes.collect();
    for call in calls {
        let scope = scopes
            .iter_mut()
            .find(|scope| scope.name.as_str() == call.name)
            .ok_or_else(damaged)?;
        let exact = ExactCall::new(&scope.name, call.arguments).ok_or_else(damaged)?;
        scope.calls.push(exact);
    }
    Ok(())
}

/// The calls of all scopes as `authorization_details` have them; `None` where there are none.
pub(crate) fn to_json<'a>(scopes: impl IntoIterator<Item = &'a ToolScope>) -> Option<Value> {
    let calls: Vec<Value> = scopes
        .into_iter()
        .flat_map(|scope| scope.calls.iter().map(move |call| (scope, call)))
        .map(|(scope, call)| json!({"name": scope.name.as_str(), "arguments": call.arguments}))
        .collect();
    (!calls.is_empty()).then_some(Value::Array(calls))
}

/// The digests of all calls, for the record.
pub(crate) fn digests(scopes: &[ToolScope]) -> Vec<CallDigest> {
    let calls = scopes.iter().flat_map(|scope| &scope.calls);
    calls.map(ExactCall::digest).collect()
}

/// Whether a tool is granted for no other calls, and none more often, than another scope of it.
/// One without calls is granted for any.
pub(crate) fn are_within(calls: &[ExactCall], asked: &[ExactCall]) -> bool {
    if asked.is_empty() || calls.is_empty() {
        return calls.is_empty() && asked.is_empty();
    }
    let mut left: BTreeMap<CallDigest, usize> = BTreeMap::new();
    for call in asked {
        let count = left.entry(call.digest).or_default();
        *count = count.saturating_add(1);
    }
    calls.iter().all(|call| match left.get_mut(&call.digest) {
        Some(count) if *count > 0 => {
            *count = count.saturating_sub(1);
            true
        }
        _ => false,
    })
}
