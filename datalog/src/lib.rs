//! The Bailiwick token profile: what a capability token may say and what it means.
//!
//! A token is a standard Biscuit. Its authority block grants ([`authority`]), its later blocks only
//! narrow ([`later_block`], [`caveat`]); anything else is refused ([`chain`]) before any Datalog
//! runs. What tokens allow, an operator's policy may still take away ([`operator`]). The laws of the
//! subject:
//!
//! 1. A token with one more block never allows what the token without it refuses.
//! 2. Deny is the answer in every gap: no grant, an unknown shape, an evaluation error, a limit.
//! 3. The same chain and the same request give the same answer.
//! 4. Decoding and re-encoding a token gives the same bytes, or it is refused.
//! 5. Names are byte-exact; nothing is normalised into acceptance.
//!
//! This crate is pure: no clock, no generator, no I/O. It checks no signatures (the verifier
//! does) and makes none (the issuer does).

pub mod authority;
pub mod call;
pub mod caveat;
pub mod chain;
pub mod effective;
pub mod exact_call;
pub mod later_block;
pub mod limits;
pub mod name;
pub mod operator;
pub mod plan;
pub mod reference;
pub mod request;
pub mod resource;
pub mod revocation_id;
pub mod strict_json;
pub mod timestamp;
pub mod token_text;
mod varint;
mod wire;
pub mod words;

pub use authority::{Authority, Grant, ProfileError, ToolLimit};
pub use call::{ArgumentValue, Arguments, Call, UrlArgument, canonical_call_digest};
pub use caveat::{
    ArgumentConstraint, ArgumentRule, Caveat, ConstraintError, HostRule, Scalar, UrlRule,
};
pub use chain::{Chain, ChainBlock, ChainError, EncodedChain};
pub use effective::{Effective, EffectiveGrant, MAX_PATHS_OF_A_GRANT};
pub use exact_call::{CallDigest, CallDigestError, ExactUse};
pub use later_block::LaterBlock;
pub use name::{
    Access, AgentName, ApplicationId, ApprovalId, Audience, DelegateName, NameError, Principal,
    SessionId, Thumbprint, ToolName,
};
pub use operator::OperatorPolicy;
pub use plan::{Allowed, Plan};
pub use request::Request;
pub use resource::{ResourceError, ResourcePath};
pub use revocation_id::{RevocationId, RevocationIdError};
pub use timestamp::{Timestamp, TimestampError};
