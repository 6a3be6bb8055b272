//! A tool call on its way from arguments to effect: prepared, then permitted, then executed.
//!
//! Three types, one direction. [`PreparedCall`] holds the operation and what authorization sees
//! of it, made together. Only [`PreparedCall::authorize`] turns it into a [`PermittedCall`], and
//! only a permitted call gives up the operation to a provider.

use bailiwick_datalog::{Access, Call, ResourcePath, ToolName};
use bailiwick_verifier::{Denied, Now, Permit, VerifiedToken, Verifier, holder::HolderProof};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{arguments::ArgumentError, files::FileOperation};

/// What a provider is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Something in the sandbox of files.
    Files(FileOperation),
}

impl Operation {
    fn resources(&self) -> Result<Vec<ResourcePath>, ArgumentError> {
        match self {
            Self::Files(operation) => operation.resources(),
        }
    }

    fn path_arguments(&self) -> Vec<(&'static str, ResourcePath)> {
        match self {
            Self::Files(operation) => operation.path_arguments(),
        }
    }
}

/// An operation and the call that stands for it before the verifier.
///
/// INVARIANT: `call.resources` are exactly the resources that executing `operation` touches.
#[derive(Clone, Debug)]
pub(crate) struct PreparedCall {
    operation: Operation,
    call: Call,
    arguments_digest: [u8; 32],
}

impl PreparedCall {
    /// Derives the call to authorize from the operation to execute.
    ///
    /// # Errors
    /// [`ArgumentError`] when the operation names no resource that could be granted.
    pub(crate) fn new(
        tool: ToolName,
        access: Access,
        operation: Operation,
        arguments: &Map<String, Value>,
    ) -> Result<Self, ArgumentError> {
        let resources = operation.resources()?;
        let mut call = Call::new(tool, access, resources, arguments);
        for (name, path) in operation.path_arguments() {
            call = call.with_path_argument(name, path);
        }
        Ok(Self {
            operation,
            call,
            arguments_digest: digest(arguments),
        })
    }

    /// The call as the verifier sees it.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// SHA-256 of the arguments, for the audit record.
    pub(crate) fn arguments_digest(&self) -> &[u8; 32] {
        &self.arguments_digest
    }

    /// Asks the verifier, with the proof of possession that came with the request, if any. The
    /// operation goes on only with the permit for it.
    ///
    /// # Errors
    /// The verifier's [`Denied`], and the call it denied.
    pub(crate) fn authorize(
        self,
        verifier: &Verifier,
        token: &VerifiedToken,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<PermittedCall, Box<(Denied, Self)>> {
        let permit = match verifier.authorize_verified(token, &self.call, proof, now) {
            Ok(permit) => permit,
            Err(denied) => return Err(Box::new((denied, self))),
        };
        Ok(PermittedCall {
            permit,
            operation: self.operation,
            arguments_digest: self.arguments_digest,
        })
    }
}

/// An operation together with the permit to execute it, once.
#[derive(Debug)]
pub(crate) struct PermittedCall {
    permit: Permit,
    operation: Operation,
    arguments_digest: [u8; 32],
}

impl PermittedCall {
    /// What the verifier said.
    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// SHA-256 of the arguments, for the audit record.
    pub(crate) fn arguments_digest(&self) -> &[u8; 32] {
        &self.arguments_digest
    }

    /// Spends the permit.
    pub(crate) fn into_operation(self) -> Operation {
        self.operation
    }
}

/// Why a permitted operation had no effect, for the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolFailure {
    /// Stable code.
    pub(crate) code: &'static str,
    /// One sentence.
    pub(crate) message: String,
}

impl ToolFailure {
    /// A failure whose cause is in the log only.
    pub(crate) fn internal() -> Self {
        Self {
            code: "internal_error",
            message: "the tool failed; the operator can see why".to_owned(),
        }
    }
}

/// SHA-256 over the canonical JSON (RFC 8785) of the arguments. Where a number has no canonical
/// form, over the JSON as read: the digest identifies, it decides nothing.
pub(crate) fn digest(arguments: &Map<String, Value>) -> [u8; 32] {
    let bytes = serde_json_canonicalizer::to_vec(arguments)
        .or_else(|_| serde_json::to_vec(arguments))
        .unwrap_or_default();
    Sha256::digest(bytes).into()
}
