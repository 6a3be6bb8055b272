//! One JSON-RPC message, read from the one value that the body was parsed into.
//!
//! Every method that goes on is named here. What was not read does not go on: the message that
//! the MCP library sees is written again from [`Message`], member by member.

use serde_json::{Map, Value, json};
use thiserror::Error;

/// A message of a kind that the gateway lets through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// `tools/call`.
    Call {
        /// The request's id.
        id: RequestId,
        /// The tool named.
        tool: String,
        /// Its arguments; absent ones are empty.
        arguments: Map<String, Value>,
        /// `_meta` of the parameters, which the MCP library reads the protocol version from.
        meta: Option<Map<String, Value>>,
    },
    /// A request that touches no tool.
    Request {
        /// The request's id.
        id: RequestId,
        /// The method.
        method: PlainRequest,
        /// Its parameters.
        params: Option<Map<String, Value>>,
    },
    /// A notification.
    Notification {
        /// The method.
        method: Notification,
        /// Its parameters.
        params: Option<Map<String, Value>>,
    },
}

/// The id of a request: text or an integer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RequestId(Value);

impl RequestId {
    fn read(value: &Value) -> Option<Self> {
        let readable = match value {
            Value::String(_) => true,
            Value::Number(number) => number.is_i64(),
            _ => false,
        };
        readable.then(|| Self(value.clone()))
    }

    /// The id as it goes into an answer.
    pub(crate) fn as_json(&self) -> &Value {
        &self.0
    }
}

/// Requests that touch no tool. `tools/call` is not one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainRequest {
    /// `initialize`, the handshake before 2026-07-28.
    Initialize,
    /// `server/discover`, what took its place.
    Discover,
    /// `ping`.
    Ping,
    /// `tools/list`.
    ListTools,
}

impl PlainRequest {
    const ALL: [Self; 4] = [
        Self::Initialize,
        Self::Discover,
        Self::Ping,
        Self::ListTools,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Discover => "server/discover",
            Self::Ping => "ping",
            Self::ListTools => "tools/list",
        }
    }
}

/// Notifications that clients send to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// `notifications/initialized`
    Initialized,
    /// `notifications/cancelled`
    Cancelled,
    /// `notifications/progress`
    Progress,
    /// `notifications/roots/list_changed`
    RootsListChanged,
}

impl Notification {
    const ALL: [Self; 4] = [
        Self::Initialized,
        Self::Cancelled,
        Self::Progress,
        Self::RootsListChanged,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Initialized => "notifications/initialized",
            Self::Cancelled => "notifications/cancelled",
            Self::Progress => "notifications/progress",
            Self::RootsListChanged => "notifications/roots/list_changed",
        }
    }
}

const CALL: &str = "tools/call";

/// Why a message goes no further, and the id to answer to.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{problem}")]
pub(crate) struct MessageError {
    /// The request's id, where it could be read.
    pub(crate) id: Option<RequestId>,
    /// What is wrong.
    pub(crate) problem: MessageProblem,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum MessageProblem {
    /// An array of messages.
    #[error("a batch of messages is not accepted; send each message on its own")]
    Batch,
    /// Not a JSON-RPC 2.0 request or notification.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    Shape(&'static str),
    /// A method that is not on the map.
    #[error("method `{0}` is not offered here")]
    UnknownMethod(String),
    /// Parameters that don't fit `tools/call`.
    #[error("{0}")]
    Params(&'static str),
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] for batches, answers, unmapped methods and ill-typed members.
    pub(crate) fn read(value: Value) -> Result<Self, MessageError> {
        let nameless = |problem| MessageError { id: None, problem };
        let mut members = match value {
            Value::Object(members) => members,
            Value::Array(_) => return Err(nameless(MessageProblem::Batch)),
            _ => return Err(nameless(MessageProblem::Shape("an object is needed"))),
        };
        let id = match members.get("id") {
            None => None,
            Some(id) => Some(RequestId::read(id).ok_or_else(|| {
                nameless(MessageProblem::Shape("`id` must be a string or an integer"))
            })?),
        };
        read_members(&mut members, id.clone()).map_err(|problem| MessageError { id, problem })
    }

    /// The method's name.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Call { .. } => CALL,
            Self::Request { method, .. } => method.name(),
            Self::Notification { method, .. } => method.name(),
        }
    }

    /// What the message names, for the header that repeats it.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Call { tool, .. } => Some(tool),
            Self::Request { .. } | Self::Notification { .. } => None,
        }
    }

    /// The request's id; notifications have none.
    pub(crate) fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Call { id, .. } | Self::Request { id, .. } => Some(id),
            Self::Notification { .. } => None,
        }
    }

    /// The message written again from what was read.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("jsonrpc".to_owned(), json!("2.0"));
        if let Some(id) = self.id() {
            members.insert("id".to_owned(), id.as_json().clone());
        }
        members.insert("method".to_owned(), json!(self.method()));
        let params = match self {
            Self::Call {
                tool,
                arguments,
                meta,
                ..
            } => {
                let mut params = Map::new();
                params.insert("name".to_owned(), json!(tool));
                params.insert("arguments".to_owned(), Value::Object(arguments.clone()));
                if let Some(meta) = meta {
                    params.insert("_meta".to_owned(), Value::Object(meta.clone()));
                }
                Some(params)
            }
            Self::Request { params, .. } | Self::Notification { params, .. } => params.clone(),
        };
        if let Some(params) = params {
            members.insert("params".to_owned(), Value::Object(params));
        }
        Value::Object(members)
    }
}

fn read_members(
    members: &mut Map<String, Value>,
    id: Option<RequestId>,
) -> Result<Message, MessageProblem> {
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(MessageProblem::Shape("`jsonrpc` must be \"2.0\""));
    }
    let method = match members.remove("method") {
        Some(Value::String(method)) => method,
        Some(_) => return Err(MessageProblem::Shape("`method` must be a string")),
        None if members.contains_key("result") || members.contains_key("error") => {
            return Err(MessageProblem::Shape(
                "this server asks nothing, so it takes no answers",
            ));
        }
        None => return Err(MessageProblem::Shape("`method` is missing")),
    };
    let params = match members.remove("params") {
        None => None,
        Some(Value::Object(params)) => Some(params),
        Some(_) => return Err(MessageProblem::Shape("`params` must be an object")),
    };
    match id {
        None => Notification::ALL
            .into_iter()
            .find(|known| known.name() == method)
            .map(|method| Message::Notification { method, params })
            .ok_or(MessageProblem::UnknownMethod(method)),
        Some(id) if method == CALL => read_call(id, params),
        Some(id) => PlainRequest::ALL
            .into_iter()
            .find(|known| known.name() == method)
            .map(|method| Message::Request { id, method, params })
            .ok_or(MessageProblem::UnknownMethod(method)),
    }
}

fn read_call(id: RequestId, params: Option<Map<String, Value>>) -> Result<Message, MessageProblem> {
    let mut params = params.ok_or(MessageProblem::Params("`params` is missing"))?;
    let tool = match params.remove("name") {
        Some(Value::String(tool)) => tool,
        _ => return Err(MessageProblem::Params("`params.name` must be a string")),
    };
    let arguments = match params.remove("arguments") {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => {
            return Err(MessageProblem::Params(
                "`params.arguments` must be an object",
            ));
        }
    };
    let meta = match params.remove("_meta") {
        None => None,
        Some(Value::Object(meta)) => Some(meta),
        Some(_) => return Err(MessageProblem::Params("`params._meta` must be an object")),
    };
    Ok(Message::Call {
        id,
        tool,
        arguments,
        meta,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(value: Value) -> MessageProblem {
        Message::read(value).unwrap_err().problem
    }

    #[test]
    fn every_mapped_method_is_read_and_written_again() {
        for method in ["initialize", "server/discover", "ping", "tools/list"] {
            let value = json!({"jsonrpc":"2.0","id":1,"method":method,"params":{"a":1}});
            assert_eq!(Message::read(value.clone()).unwrap().to_json(), value);
        }
        for method in ["initialized", "cancelled", "progress", "roots/list_changed"] {
            let value = json!({"jsonrpc":"2.0","method":format!("notifications/{method}")});
            assert_eq!(Message::read(value.clone()).unwrap().to_json(), value);
        }
    }

    #[test]
    fn members_that_were_not_read_do_not_go_on() {
        let call = Message::read(json!({
            "jsonrpc":"2.0","id":"a","method":"tools/call","extra":1,
            "params":{"name":"t","arguments":{"x":1},"task":{"ttl":1},"requestState":"s"}
        }))
        .unwrap();
        assert_eq!(
            call.to_json(),
            json!({"jsonrpc":"2.0","id":"a","method":"tools/call",
                   "params":{"name":"t","arguments":{"x":1}}})
        );
    }

    #[test]
    fn unmapped_methods_are_refused_by_name() {
        for method in [
            "prompts/list",
            "resources/read",
            "Tools/call",
            "tools/call ",
            "x",
        ] {
            assert_eq!(
                problem(json!({"jsonrpc":"2.0","id":1,"method":method})),
                MessageProblem::UnknownMethod(method.to_owned())
            );
        }
        // A call without an id would be executed with no answer: it is not a notification.
        assert_eq!(
            problem(json!({"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}})),
            MessageProblem::UnknownMethod("tools/call".to_owned())
        );
    }

    #[test]
    fn batches_answers_and_ill_typed_members_are_refused() {
        assert_eq!(problem(json!([])), MessageProblem::Batch);
        for bad in [
            json!("x"),
            json!({"id":1,"method":"ping"}),
            json!({"jsonrpc":"1.0","id":1,"method":"ping"}),
            json!({"jsonrpc":"2.0","id":null,"method":"ping"}),
            json!({"jsonrpc":"2.0","id":1.5,"method":"ping"}),
            json!({"jsonrpc":"2.0","id":1,"method":7}),
            json!({"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}),
            json!({"jsonrpc":"2.0","id":1,"result":{}}),
        ] {
            assert!(
                matches!(problem(bad.clone()), MessageProblem::Shape(_)),
                "{bad}"
            );
        }
    }

    #[test]
    fn call_parameters_must_have_their_types() {
        let call = |params: Value| {
            Message::read(json!({"jsonrpc":"2.0","id":1,"method":"tools/call","params":params}))
        };
        assert!(call(json!({"name":"t"})).is_ok());
        for bad in [
            json!({}),
            json!({"name":1}),
            json!({"name":"t","arguments":null}),
            json!({"name":"t","arguments":[]}),
            json!({"name":"t","_meta":1}),
        ] {
            let error = call(bad.clone()).unwrap_err();
            assert!(matches!(error.problem, MessageProblem::Params(_)), "{bad}");
            assert_eq!(error.id.unwrap().as_json(), &json!(1));
        }
    }
}
