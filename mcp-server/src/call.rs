//! A tool call on its way from arguments to effect: prepared, then permitted, then executed.
//!
//! Three types, one direction. [`PreparedCall`] holds the operation and what authorization sees
//! of it, made together. [`PreparedCall::authorize`] turns it into an [`AuthorizedCall`], and that
//! becomes a [`PermittedCall`] when its use, if it has to be counted, is on the ledger. Only a
//! permitted call gives up the operation to a provider.

use bailiwick_datalog::{Access, Call, ResourcePath, Timestamp, ToolName};
use bailiwick_verifier::{
    Authorization, Denied, Now, Permit, VerifiedToken, Verifier, holder::HolderProof,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    arguments::ArgumentError,
    files::FileOperation,
    ledger::{Ledger, NotCounted},
};

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
    /// operation goes on only with the authorization for it.
    ///
    /// # Errors
    /// The verifier's [`Denied`], and the call it denied.
    pub(crate) fn authorize(
        self,
        verifier: &Verifier,
        token: &VerifiedToken,
        proof: Option<&HolderProof>,
        now: Now,
    ) -> Result<AuthorizedCall, Box<(Denied, Self)>> {
        match verifier.authorization_verified(token, &self.call, proof, now) {
            Ok(authorization) => Ok(AuthorizedCall {
                authorization,
                prepared: self,
            }),
            Err(denied) => Err(Box::new((denied, self))),
        }
    }

    fn permitted(self, permit: Permit) -> PermittedCall {
        PermittedCall {
            permit,
            operation: self.operation,
            arguments_digest: self.arguments_digest,
        }
    }
}

/// A call that may be made, if it has not been made as often as it was approved.
#[derive(Debug)]
pub(crate) struct AuthorizedCall {
    authorization: Authorization,
    prepared: PreparedCall,
}

/// Why an authorized call is not made.
#[derive(Debug)]
pub(crate) enum Uncounted {
    /// It needs another approval.
    Denied(Denied, PreparedCall),
    /// Its use cannot be recorded.
    NotRecorded(PreparedCall),
}

impl AuthorizedCall {
    /// Puts the use of a call that was approved by its arguments on the ledger, where it stays
    /// whatever comes of the call. Other calls are not counted.
    ///
    /// # Errors
    /// [`Uncounted`]: the call must not be made.
    pub(crate) async fn count(
        self,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<PermittedCall, Box<Uncounted>> {
        let single = match self.authorization {
            Authorization::Free(permit) => return Ok(self.prepared.permitted(permit)),
            Authorization::Once(single) => single,
        };
        let claim = single.claim().clone();
        let counted = ledger.count(claim.clone(), now).await;
        match single.record(|_| counted) {
            Ok(permit) => Ok(self.prepared.permitted(permit)),
            Err(NotCounted::UsedUp) => {
                Err(Box::new(Uncounted::Denied(claim.used_up(), self.prepared)))
            }
            Err(NotCounted::Unknown) => {
                let what = "it was approved before this server began to keep count of such calls, \
                            or lost count of them";
                let what = what.to_owned();
                let denied = Denied::ApprovalRequired { what };
                Err(Box::new(Uncounted::Denied(denied, self.prepared)))
            }
            Err(NotCounted::NotRecorded) => Err(Box::new(Uncounted::NotRecorded(self.prepared))),
        }
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
