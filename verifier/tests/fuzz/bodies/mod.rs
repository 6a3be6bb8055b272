//! What each fuzz target does with an input and what must hold of it. Each body answers whether
//! the input was accepted.

pub(crate) mod block;
pub(crate) mod constraint;
pub(crate) mod header;
pub(crate) mod policy;
pub(crate) mod resource;
pub(crate) mod scene;
