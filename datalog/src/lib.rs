//! The Bailiwick token profile.
//!
//! This crate owns the vocabulary of a token: what an authority block and a later block may say,
//! and how each of it is written and read. It does no I/O, reads no clock and draws no random
//! numbers.

pub mod revocation_id;
pub mod timestamp;

pub use revocation_id::{RevocationId, RevocationIdError};
pub use timestamp::{Timestamp, TimestampError};
