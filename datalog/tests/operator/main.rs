//! Operator policies: what is refused when one is loaded, and what one decides.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod deciding;
mod differential;
mod document;
mod hostile;
mod loading;
mod policies;
mod scene;
