//! The Bailiwick gateway: the gate between an MCP client and the tools it may call.
//!
//! It owns enforcement. Every request to `/mcp` carries a token; every `tools/call` is decided
//! offline, on the very value that is executed, and its decision is on the audit record before
//! its effect happens. Tools can be reached only with the verifier's permit.
//!
//! # Laws
//!
//! 1. No permit, no effect: providers take a permitted call, and only an authorization makes one.
//! 2. The value that is authorized is the value that is executed: the body is parsed once, paths
//!    are canonicalised once, and the caller's bytes go no further than the gate.
//! 3. Deny is the answer in every gap: no keys, a stale revocation list, an unmapped method, a
//!    record that cannot be written.
//! 4. The caller's token stops at the gate. It reaches no provider, no log and no record.
//!
//! It holds no signing key and does not depend on the issuer's crate: keys and revocations come
//! over HTTP and are believed for their signatures alone.

mod arguments;
mod audit;
mod call;
mod catalogue;
mod config;
mod decision;
mod durable;
mod files;
mod gate;
mod gateway;
mod handler;
mod issuer;
mod ledger;
mod record;
mod surface;

pub use self::{
    audit::AuditOpenError,
    catalogue::CatalogueError,
    config::{GatewayConfig, OpenError},
    gateway::Gateway,
    issuer::{fetch::FetchError, refresh::RefreshError, trust::TrustStoreError},
    ledger::LedgerOpenError,
    surface::SurfaceError,
};
