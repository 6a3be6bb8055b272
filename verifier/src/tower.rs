//! A layer that protects any axum or tower service with capability tokens.
//!
//! Owns what happens between an HTTP request and a decision: [`RequireToken`] takes the one token
//! and the one proof of possession out of the headers, has the host say which [`Call`] the request
//! is, and passes the request on with its [`Permit`] in the extensions, or answers for the service:
//!
//! | answer | when |
//! |---|---|
//! | 401 with a `WWW-Authenticate` challenge | the token or proof is missing or no good (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1) |
//! | 403 with `error="insufficient_scope"` | the token is good and does not allow this call |
//! | 503 with `Retry-After` | nothing can be decided now: the revocation list is stale |
//!
//! each as a problem document (RFC 9457) with the stable code. [`ProtectedResource`] is what the
//! service says of itself (RFC 9728).
//!
//! Left to the host: limits on bodies and rates, `Host` and `Origin`, the audit record, and to
//! execute the call that the permit holds rather than what it reads from the request again.
//!
//! [`Call`]: bailiwick_datalog::Call
//! [`Permit`]: crate::Permit

mod layer;
mod refusal;
mod resource;

pub use self::{
    layer::{RequireToken, RequireTokenService, ResponseFuture},
    resource::{Metadata, ProtectedResource, ProtectedResourceError},
};
