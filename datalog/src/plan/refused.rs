//! Why a plan does not allow a call.

use crate::{
    caveat::Caveat,
    name::{Access, DelegateName, ToolName},
    resource::ResourcePath,
    timestamp::Timestamp,
};

/// A refusal. Exhaustive on purpose: whoever maps it handles every reason. Block 0 is the
/// authority block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused<'a> {
    /// The session, or a narrowed part of it, has ended.
    Expired {
        /// The moment of the decision.
        now: Timestamp,
        /// The first moment that is refused.
        expires_at: Timestamp,
        /// The block that sets the end.
        block: usize,
    },
    /// The token's time has not come.
    NotYetValid {
        /// The moment of the decision.
        now: Timestamp,
        /// When it was issued.
        issued_at: Timestamp,
    },
    /// The token is for another audience.
    WrongAudience {
        /// The block that names the other audience.
        block: usize,
    },
    /// The chain is longer than one of its blocks allows.
    DepthExceeded {
        /// Blocks after the authority block.
        depth: usize,
        /// How many there may be.
        most: i64,
        /// The block that sets the bound.
        block: usize,
    },
    /// A counted bound on the call is passed.
    LimitExceeded {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No grant has the call's tool with its access.
    ToolNotGranted {
        /// The tool called.
        tool: &'a ToolName,
        /// The access the call needs.
        access: Access,
    },
    /// The call names no resource.
    NoResource {
        /// The tool called.
        tool: &'a ToolName,
    },
    /// The tool is granted, but not on this resource.
    ResourceNotGranted {
        /// The tool called.
        tool: &'a ToolName,
        /// The first resource that no grant covers.
        resource: &'a ResourcePath,
    },
    /// The tool is granted for exact calls alone, and this is none of them.
    CallNotApproved {
        /// The tool called.
        tool: &'a ToolName,
    },
    /// A condition of a block does not hold.
    CaveatFailed {
        /// The block that sets the condition.
        block: usize,
        /// The sub-agent that the block narrowed the token for.
        delegate: Option<&'a DelegateName>,
        /// The condition.
        caveat: &'a Caveat,
    },
}
