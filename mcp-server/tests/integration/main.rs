//! The gateway's public behaviour, over HTTP, against an issuer stand-in that signs for real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test fails by panicking"
)]

mod audit;
mod calls;
mod clients;
mod credentials;
mod discovery;
mod exact_calls;
mod files;
mod freshness;
mod harness;
mod requests;
