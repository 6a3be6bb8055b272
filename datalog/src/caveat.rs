//! Caveats: the closed list of ways in which a block may narrow a token.
//!
//! A [`Caveat`] is the typed form of one Datalog check of the profile (rule 17). It renders to
//! exactly one check ([`Caveat::to_check`]) and is recognised from a decoded one whatever
//! library wrote it (`recognise`). A caveat can only narrow: each is one more condition.

mod evaluate;
mod json;
pub(crate) mod recognise;
mod render;
mod text;

use serde::Serialize;

use crate::{exact_call::CallDigest, timestamp::Timestamp};
pub use json::ConstraintError;

/// One condition that a call must meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// The call happens before `at`, or at it when `inclusive`.
    Expiry {
        /// The bound.
        at: Timestamp,
        /// `<=` rather than `<`.
        inclusive: bool,
    },
    /// The tool is one of these.
    Tools(Vec<String>),
    /// The access is one of these.
    Access(Vec<String>),
    /// The resource is one of these or below one of them.
    ResourceUnder(Vec<Vec<String>>),
    /// At most so many blocks after the authority.
    Depth(i64),
    /// The request is for this audience.
    Audience(String),
    /// One argument is limited.
    Argument(ArgumentConstraint),
    /// No argument outside these names.
    ClosedWorld(Vec<String>),
    /// The call is one of these, with the very arguments it was approved with; each may be made as
    /// often as it is listed. Only the authority block holds one (profile rule 3).
    ExactCalls(Vec<CallDigest>),
}

/// A limit on one named argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentConstraint {
    /// The argument's name.
    pub name: String,
    /// What must hold.
    pub rule: ArgumentRule,
    /// The argument may be absent. (Not with `Present`, `Absent`, `PathUnder` and `Url`.)
    pub optional: bool,
}

/// What must hold of an argument. A value of another type fails every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentRule {
    /// Equal to the value.
    Exact(Scalar),
    /// Equal to one of the values.
    OneOf(Vec<Scalar>),
    /// An integer within inclusive bounds; at least one bound is given.
    Range {
        /// Least value.
        min: Option<i64>,
        /// Greatest value.
        max: Option<i64>,
    },
    /// A string that starts with the text.
    Prefix(String),
    /// A string that ends with the text.
    Suffix(String),
    /// A list whose items are all among the values.
    Subset(Vec<Scalar>),
    /// A list with at least one item among the values.
    AnyOf(Vec<Scalar>),
    /// A list that holds every one of the values.
    AllOf(Vec<Scalar>),
    /// A list of at most so many items.
    MaxLength(i64),
    /// The argument is there.
    Present,
    /// The argument is not there.
    Absent,
    /// A declared path at or below these segments.
    PathUnder(Vec<String>),
    /// A declared URL with these parts.
    Url(UrlRule),
}

/// What must hold of a URL argument; at least one part is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlRule {
    /// The scheme.
    pub scheme: Option<String>,
    /// The host.
    pub host: Option<HostRule>,
    /// The port.
    pub port: Option<i64>,
    /// A prefix of the path, as text.
    pub path_prefix: Option<String>,
}

/// What must hold of a URL's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// Exactly this host.
    Exact(String),
    /// Any host that ends with this text, which starts with a dot.
    Under(String),
}

/// A value that constraints compare with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A string.
    String(String),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<i64> for Scalar {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<bool> for Scalar {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl Caveat {
    /// True for what the issuer may limit one tool by (profile rule 3).
    pub(crate) fn is_tool_limit(&self) -> bool {
        match self {
            Self::Argument(_) | Self::ClosedWorld(_) | Self::ExactCalls(_) => true,
            Self::Expiry { .. }
            | Self::Tools(_)
            | Self::Access(_)
            | Self::ResourceUnder(_)
            | Self::Depth(_)
            | Self::Audience(_) => false,
        }
    }
}
