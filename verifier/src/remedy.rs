//! What an agent can ask for when a right is missing.

use bailiwick_datalog::{Audience, Call, CallDigest, Caveat};
use serde_json::{Value, json};

use crate::token::VerifiedToken;

/// How long the ready-made request asks for, in seconds.
const SUGGESTED_SECONDS: u64 = 900;

/// The request for access (RFC 9396 `authorization_details`) that, approved as it stands, allows
/// `call` at the server `audience`, for the task that `caller` was approved for. Where the tool was
/// granted for exact calls alone, it asks for this very call.
///
/// Promises nothing: whether it is approved is for a human to say.
#[must_use]
pub fn access_request(call: &Call, caller: &VerifiedToken, audience: &Audience) -> Value {
    let resources: Vec<String> = call.resources.iter().map(ToString::to_string).collect();
    let mut detail = json!({
        "type": "mcp_tools",
        "locations": [audience],
        "task": caller.chain().authority().task,
        "duration": SUGGESTED_SECONDS,
        "tools": [{
            "name": call.tool,
            "access": call.access,
            "resources": resources,
        }],
    });
    if let (Some(calls), Some(detail)) = (exact_call(call, caller), detail.as_object_mut()) {
        detail.insert("calls".to_owned(), calls);
    }
    json!({ "authorization_details": [detail] })
}

/// The call itself, where its tool is granted for exact calls and it has a name as one.
fn exact_call(call: &Call, caller: &VerifiedToken) -> Option<Value> {
    let mut limits = caller.chain().authority().limits.iter();
    let exact = limits
        .any(|limit| limit.tool == call.tool && matches!(limit.caveat, Caveat::ExactCalls(_)));
    (exact && CallDigest::of(call).is_some())
        .then(|| json!([{ "name": call.tool, "arguments": call.arguments.json() }]))
}
