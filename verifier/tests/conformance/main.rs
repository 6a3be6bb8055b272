//! The verifier against its specification: every rule of the token profile, every trap of the
//! Biscuit library, and the law that a block only narrows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod attenuation;
mod authority_block;
mod chain;
mod exact_calls;
mod grants;
mod holder;
mod key_set;
mod later_blocks;
mod laws;
mod limits;
mod narrowing;
mod operator_policy;
#[path = "../../../datalog/tests/operator/policies.rs"]
mod policies;
mod remembering;
mod signatures;
#[path = "../../../datalog/tests/strategy/mod.rs"]
mod strategy;
mod support;
mod traps;
