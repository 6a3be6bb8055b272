//! Reading back what the store keeps: canonical requests, and granted details.

use std::time::Duration;

use bailiwick_datalog::{
    Access, AgentName, ApplicationId, Audience, ResourcePath, Thumbprint, ToolName,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    AccessRequest, DamagedRequest, Held, RequestedTool, Selection, ToolScope,
    details::{DetailTool, WireDetail, WireTool, read_args},
    exact_call::{self, WireCall},
    requester::StoredRequester,
};

/// The stored form: everything the approver saw.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRequest {
    version: u64,
    application: ApplicationId,
    agent: AgentName,
    task: String,
    audience: Audience,
    duration: u64,
    holder: Option<Thumbprint>,
    client: Option<StoredRequester>,
    #[serde(default)]
    offered: bool,
    held: Option<StoredHeld>,
    tools: Vec<StoredTool>,
    #[serde(default)]
    calls: Vec<WireCall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHeld {
    session: String,
    tools: Vec<WireTool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTool {
    name: ToolName,
    access: Access,
    resources: Vec<ResourcePath>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    closed_arguments: bool,
    title: String,
    description: String,
    definition_digest: String,
}

pub(super) fn read_stored(text: &str, version: u64) -> Result<AccessRequest, DamagedRequest> {
    let damaged = |why: String| DamagedRequest(why);
    let stored: StoredRequest = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    if stored.version != version {
        return Err(damaged(format!("unknown version {}", stored.version)));
    }
    let calls = stored.calls;
    let tools: Result<Vec<RequestedTool>, DamagedRequest> = stored
        .tools
        .into_iter()
        .map(|tool| {
            let args = read_args(&tool.name, &tool.args).map_err(|e| damaged(e.to_string()))?;
            Ok(RequestedTool {
                scope: ToolScope {
                    name: tool.name,
                    access: tool.access,
                    resources: tool.resources,
                    args,
                    closed_arguments: tool.closed_arguments,
                    calls: Vec::new(),
                },
                title: tool.title,
                description: tool.description,
                definition_digest: tool.definition_digest,
            })
        })
        .collect();
    let mut tools = tools?;
    exact_call::restore(tools.iter_mut().map(|tool| &mut tool.scope), calls)?;
    let selection = if stored.offered {
        Selection::Offered
    } else {
        Selection::Asked
    };
    let held = match stored.held {
        None => None,
        Some(held) => Some(Held {
            session: held.session,
            tools: read_scopes(held.tools, Vec::new())?,
        }),
    };
    Ok(AccessRequest {
        application: stored.application,
        requester: stored.client.map(TryInto::try_into).transpose()?,
        agent: stored.agent,
        task: stored.task,
        audience: stored.audience,
        duration: Duration::from_secs(stored.duration),
        holder: stored.holder,
        selection,
        held,
        tools,
    })
}

/// Reads the scopes of stored `authorization_details` back.
///
/// # Errors
/// [`DamagedRequest`] when the text is not what [`super::authorization_details`] writes.
pub(crate) fn read_granted(text: &str) -> Result<(Duration, Vec<ToolScope>), DamagedRequest> {
    let damaged = |why: String| DamagedRequest(why);
    let wire: Vec<WireDetail> = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    let [wire] =
        <[WireDetail; 1]>::try_from(wire).map_err(|_| damaged("expected one entry".to_owned()))?;
    let seconds = wire
        .duration
        .ok_or_else(|| damaged("no duration".to_owned()))?;
    Ok((
        Duration::from_secs(seconds),
        read_scopes(wire.tools, wire.calls)?,
    ))
}

fn read_scopes(
    tools: Vec<WireTool>,
    calls: Vec<WireCall>,
) -> Result<Vec<ToolScope>, DamagedRequest> {
    let damaged = |why: String| DamagedRequest(why);
    let tools = DetailTool::read_all(tools, calls).map_err(|e| damaged(e.to_string()))?;
    let scopes = tools.into_iter().map(|tool| {
        let access = tool.access.ok_or_else(|| damaged("no access".to_owned()))?;
        Ok(ToolScope {
            name: tool.name,
            access,
            resources: tool.resources,
            args: tool.args,
            closed_arguments: tool.closed_arguments,
            calls: tool.calls,
        })
    });
    scopes.collect()
}
