//! What a decision costs at most, in allocations and bytes: counted, not timed.
//!
//! The counter counts for the thread that measures, so tests may run beside each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod bombs;
#[path = "../corpus/case.rs"]
#[allow(dead_code, reason = "the corpus uses the rest")]
mod case;
#[path = "../corpus/forge.rs"]
#[allow(dead_code, reason = "the corpus uses the rest")]
mod forge;
mod memory;
#[path = "../corpus/scene.rs"]
#[allow(dead_code, reason = "the corpus uses the rest")]
mod scene;
mod warm;
