//! The facts of one evaluation: one call on one of its resources, at one moment.

use crate::{call::Call, name::Audience, resource::ResourcePath, timestamp::Timestamp};

/// What the verifier asserts about a request, exactly one of each (DESIGN: request facts).
/// A call that touches several resources makes one `Request` for each.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The moment, in whole seconds UTC.
    pub time: Timestamp,
    /// The audience this verifier guards.
    pub audience: &'a Audience,
    /// Number of blocks after the authority block.
    pub depth: usize,
    /// The call.
    pub call: &'a Call,
    /// The one resource of the call under evaluation.
    pub resource: &'a ResourcePath,
}
