//! What was decided about a call, in the words that the agent, the record and the issuer need.
//!
//! The decision itself is the verifier's; this module says which of its reasons belong on the record, and shapes a missing right so that a program can ask for it.

use bailiwick_datalog::{Access, Call, ResourcePath, Timestamp, words::visible};
use bailiwick_verifier::{Denied, VerifiedToken, access_request};
use serde_json::{Map, Value, json};

use crate::{
    arguments::ArgumentError,
    call::{AuthorizedCall, PreparedCall, digest},
    catalogue::Tool,
    surface::Surface,
};

/// The code of a call that needs an approval of its own.
const APPROVAL_REQUIRED: &str = "approval_required";

/// The decision on one call, on its way from the gate to the tool.
#[derive(Debug)]
pub(crate) enum Decided {
    /// The call may be executed, once, when its use is counted.
    Authorized(Box<AuthorizedCall>, Timestamp),
    /// A right is missing.
    Denied(Refused, Denial),
    /// The arguments don't fit the tool.
    BadArguments(Refused, ArgumentError),
    /// There is no such tool.
    UnknownTool(Refused),
}

/// Does this reason prove that the issuer minted the token? The verifier looks at signatures
/// before any of these. What strangers make up is not worth a line on the record; what a holder
/// tried after the end is.
pub(crate) fn proves_origin(denied: &Denied) -> bool {
    match denied {
        Denied::Expired { .. }
        | Denied::NotYetValid { .. }
        | Denied::WrongAudience { .. }
        | Denied::Revoked { .. }
        | Denied::RevocationStale { .. }
        | Denied::DepthExceeded { .. }
        | Denied::ToolNotGranted { .. }
        | Denied::ResourceNotGranted { .. }
        | Denied::CaveatFailed { .. }
        | Denied::HolderProofMissing
        | Denied::HolderProofInvalid { .. }
        | Denied::HolderProofReplayed
        | Denied::TooManyProofs { .. }
        | Denied::PolicyDenied { .. }
        | Denied::ApprovalRequired { .. }
        | Denied::BudgetExhausted { .. } => true,
        Denied::MalformedToken { .. }
        | Denied::TokenTooLarge { .. }
        | Denied::ProfileViolation { .. }
        | Denied::UnsupportedAlgorithm { .. }
        | Denied::UnknownKey { .. }
        | Denied::BadSignature
        | Denied::LimitExceeded { .. } => false,
    }
}

/// A call that was not permitted, for the record.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The tool, as the caller named it.
    pub(crate) tool: String,
    /// What the tool does, where it is known.
    pub(crate) access: Option<Access>,
    /// What the call would have touched, where that is known.
    pub(crate) resources: Vec<ResourcePath>,
    /// Why.
    pub(crate) code: &'static str,
    /// SHA-256 of the arguments.
    pub(crate) arguments_digest: [u8; 32],
    /// When.
    pub(crate) at: Timestamp,
}

impl Refused {
    /// A call of a tool that the catalogue does not have.
    pub(crate) fn unknown_tool(name: &str, arguments: &Map<String, Value>, at: Timestamp) -> Self {
        Self {
            // Longer names than tools have are not worth keeping.
            tool: visible(name).chars().take(64).collect(),
            access: None,
            resources: Vec::new(),
            code: "unknown_tool",
            arguments_digest: digest(arguments),
            at,
        }
    }

    /// A call whose arguments name nothing that could be authorized.
    pub(crate) fn before_authorization(
        tool: &Tool,
        code: &'static str,
        arguments: &Map<String, Value>,
        at: Timestamp,
    ) -> Self {
        Self {
            tool: tool.name.to_string(),
            access: Some(tool.access),
            resources: Vec::new(),
            code,
            arguments_digest: digest(arguments),
            at,
        }
    }

    /// A call that the verifier denied.
    pub(crate) fn by_verifier(prepared: &PreparedCall, denied: &Denied, at: Timestamp) -> Self {
        Self::of_call(prepared, denied.code(), at)
    }

    /// A call that was prepared and goes no further.
    pub(crate) fn of_call(prepared: &PreparedCall, code: &'static str, at: Timestamp) -> Self {
        let call = prepared.call();
        Self {
            tool: call.tool.to_string(),
            access: Some(call.access),
            resources: call.resources.clone(),
            code,
            arguments_digest: *prepared.arguments_digest(),
            at,
        }
    }
}

/// A missing right, as a program reads it in `_meta["bailiwick/denial"]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Denial {
    /// Stable code.
    pub(crate) code: &'static str,
    /// Plain words.
    pub(crate) explanation: String,
    tool: String,
    request_access: Option<Value>,
}

impl Denial {
    /// A call that the token does not allow, with the request that would have allowed it.
    pub(crate) fn missing_right(
        denied: &Denied,
        call: &Call,
        caller: &VerifiedToken,
        surface: &Surface,
    ) -> Self {
        Self {
            code: denied.code(),
            explanation: denied.explanation(),
            tool: call.tool.to_string(),
            request_access: denied
                .may_be_approved()
                .then(|| access_request(call, caller, &surface.audience)),
        }
    }

    /// A path that could be read in two ways: no resource, so granted to nobody.
    pub(crate) fn ambiguous_path(tool: &Tool, error: &ArgumentError) -> Self {
        Self {
            code: "resource_not_granted",
            // Its only foreign text is one character, which the message escapes.
            explanation: format!("{error}; a path is names joined by `/`, such as `reports/q3.md`"),
            tool: tool.name.to_string(),
            request_access: None,
        }
    }

    /// Whether a person could approve what is missing, and the name of the tool says what it is. It
    /// does not say with which arguments an exact call is to be made.
    pub(crate) fn may_be_asked_for_by_scope(&self) -> bool {
        self.request_access.is_some() && self.code != APPROVAL_REQUIRED
    }

    /// The tool that was called.
    pub(crate) fn tool(&self) -> &str {
        &self.tool
    }

    /// The denial as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = json!({
            "code": self.code,
            "explanation": self.explanation,
            "tool": self.tool,
            // The same call with the same token is refused again.
            "retryable": false,
        });
        if let (Some(members), Some(request)) = (members.as_object_mut(), &self.request_access) {
            members.insert("request_access".to_owned(), request.clone());
        }
        members
    }
}
