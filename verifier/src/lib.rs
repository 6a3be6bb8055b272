//! Offline verifier for Bailiwick capability tokens: may this token do this, now?
//!
//! The crate owns the decision and everything it rests on: the keys that may have minted a token
//! ([`trust`], [`keys`]), what was revoked ([`revocation`]), and who holds the token
//! ([`holder`]). Beside it stand the other side of the table, a holder that narrows a token and
//! hands it on ([`attenuation`]), and the [`audit`] record that proves what was decided.
//!
//! # Laws
//!
//! 1. A block that is appended to a token can only narrow it.
//! 2. Deny is the answer in every gap: an unknown key, a stale revocation list, an error, a limit.
//! 3. A decision depends on the token's bytes, the request, the key set, the revocation list and
//!    the time, all of which are arguments.
//!
//! # What it does not do
//!
//! It spawns nothing, logs nothing, fetches nothing, and reads no clock and no generator: its hosts
//! pass a [`clock::Now`], and their generator where a key is to be drawn. Its only I/O is the
//! revocation list on disk, behind the feature `sled-revocations`. The feature `tower`
//! adds a layer that protects any axum or tower service.

pub mod attenuation;
pub mod audit;
mod cache;
pub mod clock;
mod denied;
mod ed25519;
pub mod holder;
pub mod keys;
mod known;
mod permit;
mod remedy;
pub mod revocation;
mod signatures;
pub mod signed;
pub mod single_use;
mod token;
#[cfg(feature = "tower")]
pub mod tower;
pub mod trust;
mod verifier;
#[cfg(test)]
mod work;

pub use attenuation::{AttenuationError, HeldToken};
pub use bailiwick_datalog::plan::ISSUED_AT_LEEWAY;
pub use clock::{Clock, ManualClock, Now};
pub use denied::{Denied, Disposition};
pub use keys::KeySet;
pub use known::DEFAULT_CACHE_BYTES;
pub use permit::Permit;
pub use remedy::access_request;
pub use revocation::{MemoryRevocations, RevocationStatus, RevocationView};
pub use single_use::{Authorization, SingleUse};
pub use token::{UnverifiedToken, VerifiedToken};
pub use trust::TrustAnchor;
pub use verifier::{Evaluation, Verifier, VerifierConfig};
