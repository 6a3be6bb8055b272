//! What the workspace promises as a whole, held by one test binary.
//!
//! Everything that needs two crates, the real `bailiwick` binary, a browser or
//! another language lives here; what one crate promises by itself is tested
//! beside its code.
//!
//! Nothing here is skipped for want of a tool: a missing browser or Python
//! package fails the test and names `scripts/test.sh`, which installs both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::disallowed_methods,
    reason = "a test that meets something unexpected should stop right there"
)]

mod accessibility;
mod apart;
mod asking;
mod authorization;
mod clients;
mod corpus;
mod description;
mod end_to_end;
mod exact_calls;
mod full_disk;
mod harness;
mod holding;
mod hostile_text;
mod identity;
mod interop;
mod lifecycle;
mod mail;
mod narrowing;
mod notifying;
mod passkeys;
mod people;
mod policies;
mod presenting;
mod preview;
mod repository;
mod secrets;
mod supply_chain;
mod workspace;
