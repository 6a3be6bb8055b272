//! What an agent can ask for when a right is missing.

use bailiwick_datalog::{Audience, Call};
use serde_json::{Value, json};

use crate::token::VerifiedToken;

/// How long the ready-made request asks for, in seconds.
const SUGGESTED_SECONDS: u64 = 900;

/// The request for access (RFC 9396 `authorization_details`) that, approved as it stands, allows
/// `call` at the server `audience`, for the task that `caller` was approved for.
///
/// Promises nothing: whether it is approved is for a human to say.
#[must_use]
pub fn access_request(call: &Call, caller: &VerifiedToken, audience: &Audience) -> Value {
    let resources: Vec<String> = call.resources.iter().map(ToString::to_string).collect();
    json!({
        "authorization_details": [{
            "type": "mcp_tools",
            "locations": [audience],
            "task": caller.chain().authority().task,
            "duration": SUGGESTED_SECONDS,
            "tools": [{
                "name": call.tool,
                "access": call.access,
                "resources": resources,
            }],
        }],
    })
}
