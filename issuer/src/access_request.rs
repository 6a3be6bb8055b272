//! What an agent asks for, as one checked value with one digest.
//!
//! RFC 9396 `authorization_details` become an [`AccessRequest`] here, once. The request is
//! then stored as canonical JSON (RFC 8785); the SHA-256 of those bytes is the request
//! digest that the approval page carries, the approval is bound to and the token names.
//! Approving and narrowing is [`crate::narrowing`]'s.

mod details;
mod stored;

use std::{collections::BTreeSet, time::Duration};

use bailiwick_datalog::{
    Access, AgentName, ApplicationId, ArgumentConstraint, Audience, Caveat, ResourcePath,
    Thumbprint, ToolName,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub(crate) use details::{Details, RequestError};
pub(crate) use stored::read_granted;

use crate::catalogue::{CatalogueSnapshot, CatalogueTool};

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
}

/// One tool with where and how it may be used: asked for, or granted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolScope {
    pub(crate) name: ToolName,
    pub(crate) access: Access,
    /// At least one, none twice.
    pub(crate) resources: Vec<ResourcePath>,
    pub(crate) args: Vec<ArgumentConstraint>,
    /// No argument outside `args` may be given.
    pub(crate) closed_arguments: bool,
}

impl ToolScope {
    /// The argument limits as caveats, for the token and for words.
    pub(crate) fn limits(&self) -> Vec<Caveat> {
        let mut limits: Vec<Caveat> = self.args.iter().cloned().map(Caveat::Argument).collect();
        if self.closed_arguments {
            limits.push(Caveat::ClosedWorld(
                self.args.iter().map(|a| a.name.clone()).collect(),
            ));
        }
        limits
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(self.name.as_str()));
        object.insert("access".to_owned(), json!(self.access.as_str()));
        let resources: Vec<String> = self.resources.iter().map(ToString::to_string).collect();
        object.insert("resources".to_owned(), json!(resources));
        if !self.args.is_empty() {
            let args = self
                .args
                .iter()
                .map(|a| (a.name.clone(), a.rule_to_json()))
                .collect();
            object.insert("args".to_owned(), Value::Object(args));
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

/// A checked request. INVARIANT: at least one tool, no tool twice, each known to the
/// catalogue at its stated access, within the limits of a token, text made visible.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessRequest {
    pub(crate) application: ApplicationId,
    pub(crate) agent: AgentName,
    pub(crate) task: String,
    pub(crate) audience: Audience,
    pub(crate) duration: Duration,
    pub(crate) holder: Option<Thumbprint>,
    pub(crate) tools: Vec<RequestedTool>,
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
    /// Binds parsed details to the catalogue.
    ///
    /// # Errors
    /// [`RequestError`] for a tool the catalogue does not list or lists at another access.
    pub(crate) fn new(
        application: &Application,
        agent: AgentName,
        holder: Option<Thumbprint>,
        audience: Audience,
        details: Details,
        catalogue: &CatalogueSnapshot,
    ) -> Result<Self, RequestError> {
        let tools: Result<Vec<RequestedTool>, RequestError> = details
            .tools
            .into_iter()
            .map(|tool| {
                let known = catalogue
                    .tool(&tool.name)
                    .ok_or_else(|| RequestError::UnknownTool(tool.name.clone()))?;
                tool.bind(known)
            })
            .collect();
        Ok(Self {
            application: application.id.clone(),
            agent,
            task: details.task,
            audience,
            duration: details.duration.unwrap_or(application.default_duration),
            holder,
            tools: tools?,
        })
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
        if let (Some(holder), Some(map)) = (&self.holder, object.as_object_mut()) {
            map.insert("holder".to_owned(), json!(holder.as_str()));
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
    let tools: Vec<Value> = tools.iter().map(|t| Value::Object(t.to_json())).collect();
    json!([{
        "type": details::DETAIL_TYPE,
        "locations": [audience.as_str()],
        "task": task,
        "duration": duration.as_secs(),
        "tools": tools,
    }])
}

fn distinct<T: Ord>(items: &[T]) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| seen.insert(item))
}

#[cfg(test)]
mod tests;
