//! What an agent asks for, as one checked value with one digest.
//!
//! RFC 9396 `authorization_details` become an [`AccessRequest`] here, once. The request is
//! then stored as canonical JSON (RFC 8785); the SHA-256 of those bytes is the request
//! digest that the approval page carries, the approval is bound to and the token names.
//! Approving and narrowing is [`crate::narrowing`]'s.

mod details;
pub(crate) mod exact_call;
mod held;
mod requester;
mod stored;

use std::{collections::BTreeSet, time::Duration};

use bailiwick_datalog::{
    Access, AgentName, ApplicationId, ArgumentConstraint, Audience, Caveat, ResourcePath,
    Thumbprint, ToolName,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub(crate) use details::{Details, NO_TASK, RequestError};
pub(crate) use exact_call::ExactCall;
pub(crate) use held::Held;
pub(crate) use requester::Requester;
pub(crate) use stored::read_granted;

use crate::{
    catalogue::{CatalogueSnapshot, CatalogueTool},
    rules::Rule,
    tool_pattern::{ToolPattern, any_matches},
};

/// Version of the stored form.
const STORED_VERSION: u64 = 1;

/// The boundary a request is made in.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) id: ApplicationId,
    pub(crate) name: String,
    pub(crate) default_duration: Duration,
    pub(crate) max_duration: Duration,
    pub(crate) max_depth: u32,
    /// `None`: every tool of the catalogue.
    pub(crate) allowed_tools: Option<Vec<ToolPattern>>,
    /// What is demanded beyond one approver's word.
    pub(crate) rules: Vec<Rule>,
}

impl Application {
    /// True for a tool that may be asked for here.
    pub(crate) fn allows(&self, tool: &ToolName) -> bool {
        let tools = self.allowed_tools.as_ref();
        tools.is_none_or(|tools| any_matches(tools, tool))
    }
}

/// One tool with where and how it may be used: asked for, or granted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolScope {
    pub(crate) name: ToolName,
    pub(crate) access: Access,
    /// At least one, none twice.
    pub(crate) resources: Vec<ResourcePath>,
    /// Ascending by name; several of one argument have to hold together.
    pub(crate) args: Vec<ArgumentConstraint>,
    /// No argument outside `args` may be given.
    pub(crate) closed_arguments: bool,
    /// The only calls that may be made, each once; without any, every call within the limits.
    pub(crate) calls: Vec<ExactCall>,
}

impl ToolScope {
    /// The limits on calls as caveats, for the token and for words.
    pub(crate) fn limits(&self) -> Vec<Caveat> {
        let mut limits: Vec<Caveat> = self.args.iter().cloned().map(Caveat::Argument).collect();
        if self.closed_arguments {
            // One argument may have several limits, which stand beside each other.
            let mut names: Vec<String> = self.args.iter().map(|a| a.name.clone()).collect();
            names.dedup();
            limits.push(Caveat::ClosedWorld(names));
        }
        if !self.calls.is_empty() {
            let digests = self.calls.iter().map(ExactCall::digest);
            limits.push(Caveat::ExactCalls(digests.collect()));
        }
        limits
    }

    /// The scope as an entry of `authorization_details`, whose exact calls stand beside the tools.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(self.name.as_str()));
        object.insert("access".to_owned(), json!(self.access.as_str()));
        let resources: Vec<String> = self.resources.iter().map(ToString::to_string).collect();
        object.insert("resources".to_owned(), json!(resources));
        if !self.args.is_empty() {
            object.insert("args".to_owned(), details::args_to_json(&self.args));
        }
        if self.closed_arguments {
            object.insert("closed_arguments".to_owned(), json!(true));
        }
        object
    }
}

/// A tool asked for, with what the catalogue said of it at that moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RequestedTool {
    pub(crate) scope: ToolScope,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) definition_digest: String,
}

/// What the tools of a request are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Asked for by name: the approver keeps or removes them.
    Asked,
    /// All there is, because the client asked for none in particular: the approver picks, and may
    /// pick none.
    Offered,
}

/// A checked request. INVARIANT: at least one tool, no tool twice, each known to the
/// catalogue at its stated access, text made visible; what is asked for by name is within the
/// limits of a token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessRequest {
    pub(crate) application: ApplicationId,
    /// Absent only in requests that are older than the table of clients.
    pub(crate) requester: Option<Requester>,
    pub(crate) agent: AgentName,
    pub(crate) task: String,
    pub(crate) audience: Audience,
    pub(crate) duration: Duration,
    pub(crate) holder: Option<Thumbprint>,
    pub(crate) selection: Selection,
    /// What the client's live session holds, where this request adds to it.
    pub(crate) held: Option<Held>,
    pub(crate) tools: Vec<RequestedTool>,
}

/// Who asks, for whom, with which key.
#[derive(Clone, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) application: &'a Application,
    pub(crate) requester: Requester,
    pub(crate) agent: AgentName,
    pub(crate) holder: Option<Thumbprint>,
}

/// SHA-256 of the canonical request: what the approver saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// The digest of stored bytes.
    pub(crate) fn of(canonical: &str) -> Self {
        Self(Sha256::digest(canonical.as_bytes()).into())
    }

    /// Reads the form the approval page carries.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Lower-case hex, as the approval page carries it.
    pub(crate) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// The bytes, for the token and the store.
    pub(crate) fn bytes(self) -> [u8; 32] {
        self.0
    }
}

/// A stored request or grant cannot be read back: the store was changed by other hands.
#[derive(Debug, Error)]
#[error("a stored request is damaged: {0}")]
pub(crate) struct DamagedRequest(pub(crate) String);

impl AccessRequest {
    /// Binds parsed details to the catalogue, and adds what the client holds already.
    ///
    /// # Errors
    /// [`RequestError`] for a tool the catalogue does not list or lists at another access.
    pub(crate) fn new(
        asker: Asker<'_>,
        audience: Audience,
        details: Details,
        catalogue: &CatalogueSnapshot,
        held: Option<Held>,
    ) -> Result<Self, RequestError> {
        let tools: Result<Vec<RequestedTool>, RequestError> = details
            .tools
            .into_iter()
            .map(|tool| {
                if !asker.application.allows(&tool.name) {
                    return Err(RequestError::ToolNotAllowed(tool.name));
                }
                let known = catalogue
                    .tool(&tool.name)
                    .ok_or_else(|| RequestError::UnknownTool(tool.name.clone()))?;
                tool.bind(known)
            })
            .collect();
        let mut tools = tools?;
        if let Some(held) = &held {
            held.join(&mut tools, asker.application, catalogue);
        }
        let task = details.task;
        let duration = details
            .duration
            .unwrap_or(asker.application.default_duration);
        Ok(Self {
            selection: Selection::Asked,
            held,
            ..Self::of(asker, audience, task, duration, tools)
        })
    }

    /// A request for nothing in particular: the whole catalogue, for the approver to pick from.
    ///
    /// # Errors
    /// [`RequestError`] when there is nothing to pick from, or more than fits a page.
    pub(crate) fn offering(
        asker: Asker<'_>,
        audience: Audience,
        catalogue: &CatalogueSnapshot,
    ) -> Result<Self, RequestError> {
        let allowed = catalogue.tools();
        let allowed = allowed.filter(|tool| asker.application.allows(&tool.name));
        let tools: Vec<RequestedTool> = allowed.filter_map(RequestedTool::whole).collect();
        details::check_offer(&tools)?;
        let duration = asker.application.default_duration;
        Ok(Self {
            selection: Selection::Offered,
            ..Self::of(asker, audience, NO_TASK.to_owned(), duration, tools)
        })
    }

    fn of(
        asker: Asker<'_>,
        audience: Audience,
        task: String,
        duration: Duration,
        tools: Vec<RequestedTool>,
    ) -> Self {
        Self {
            application: asker.application.id.clone(),
            requester: Some(asker.requester),
            agent: asker.agent,
            task,
            audience,
            duration,
            holder: asker.holder,
            selection: Selection::Asked,
            held: None,
            tools,
        }
    }

    /// The canonical JSON and its digest.
    ///
    /// # Errors
    /// [`DamagedRequest`] when canonicalisation fails, which no parsed request brings about.
    pub(crate) fn to_stored(&self) -> Result<(String, RequestDigest), DamagedRequest> {
        let tools: Vec<Value> = self.tools.iter().map(RequestedTool::to_stored).collect();
        let mut object = json!({
            "version": STORED_VERSION,
            "application": self.application.as_str(),
            "agent": self.agent.as_str(),
            "task": self.task,
            "audience": self.audience.as_str(),
            "duration": self.duration.as_secs(),
            "tools": tools,
        });
        // What is not there is left out, so that the bytes of requests without it stay as they are.
        let optional = [
            (
                "holder",
                self.holder.as_ref().map(|key| json!(key.as_str())),
            ),
            ("client", self.requester.as_ref().map(Requester::to_stored)),
            ("held", self.held.as_ref().map(Held::to_stored)),
            (
                "calls",
                exact_call::to_json(self.tools.iter().map(|tool| &tool.scope)),
            ),
            (
                "offered",
                (self.selection == Selection::Offered).then(|| json!(true)),
            ),
        ];
        if let Some(map) = object.as_object_mut() {
            for (name, value) in optional {
                if let Some(value) = value {
                    map.insert(name.to_owned(), value);
                }
            }
        }
        let text = serde_json_canonicalizer::to_string(&object)
            .map_err(|e| DamagedRequest(e.to_string()))?;
        let digest = RequestDigest::of(&text);
        Ok((text, digest))
    }

    /// Reads a stored request back, refusing one whose bytes are not those digested.
    ///
    /// # Errors
    /// [`DamagedRequest`].
    pub(crate) fn from_stored(text: &str, digest: RequestDigest) -> Result<Self, DamagedRequest> {
        if RequestDigest::of(text) != digest {
            return Err(DamagedRequest("its digest does not match".to_owned()));
        }
        stored::read_stored(text, STORED_VERSION)
    }

    /// The request in the form of RFC 9396, as the agent sent it or could have.
    pub(crate) fn authorization_details(&self) -> Value {
        let scopes: Vec<ToolScope> = self.tools.iter().map(|t| t.scope.clone()).collect();
        authorization_details(&self.audience, &self.task, self.duration, &scopes)
    }

    /// Whether that client made the request. One without a client is nobody's.
    pub(crate) fn is_of_client(&self, client_id: &str) -> bool {
        let requester = self.requester.as_ref();
        requester.is_some_and(|requester| requester.client_id == client_id)
    }

    /// The requested tool of that name.
    pub(crate) fn tool(&self, name: &ToolName) -> Option<&RequestedTool> {
        self.tools.iter().find(|tool| tool.scope.name == *name)
    }

    /// The names asked for.
    #[cfg(test)]
    pub(crate) fn tool_names(&self) -> BTreeSet<String> {
        self.tools
            .iter()
            .map(|t| t.scope.name.to_string())
            .collect()
    }
}

impl RequestedTool {
    fn new(scope: ToolScope, known: &CatalogueTool) -> Self {
        Self {
            scope,
            title: known.title.clone(),
            description: known.description.clone(),
            definition_digest: known.definition_digest.clone(),
        }
    }

    /// A tool with all its resources and no limit; `None` when the catalogue does not say where
    /// its resources begin.
    fn whole(known: &CatalogueTool) -> Option<Self> {
        let scope = ToolScope {
            name: known.name.clone(),
            access: known.access,
            resources: known.roots.clone(),
            args: Vec::new(),
            closed_arguments: false,
            calls: Vec::new(),
        };
        (!scope.resources.is_empty()).then(|| Self::new(scope, known))
    }

    fn to_stored(&self) -> Value {
        let mut object = self.scope.to_json();
        object.insert("title".to_owned(), json!(self.title));
        object.insert("description".to_owned(), json!(self.description));
        object.insert(
            "definition_digest".to_owned(),
            json!(self.definition_digest),
        );
        Value::Object(object)
    }
}

/// RFC 9396 `authorization_details` with its single `mcp_tools` entry.
pub(crate) fn authorization_details(
    audience: &Audience,
    task: &str,
    duration: Duration,
    tools: &[ToolScope],
) -> Value {
    let list: Vec<Value> = tools.iter().map(|t| Value::Object(t.to_json())).collect();
    let mut detail = json!({
        "type": details::DETAIL_TYPE,
        "locations": [audience.as_str()],
        "task": task,
        "duration": duration.as_secs(),
        "tools": list,
    });
    if let (Some(calls), Some(detail)) = (exact_call::to_json(tools), detail.as_object_mut()) {
        detail.insert("calls".to_owned(), calls);
    }
    json!([detail])
}

fn distinct<T: Ord>(items: &[T]) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| seen.insert(item))
}

#[cfg(test)]
mod tests;
