//! What the gateway knows from its issuer: the keys it may trust and the revocations it must
//! refuse. It reaches the issuer over HTTP only, and believes signatures, not connections.
//!
//! [`trust`] holds the key set, [`fetch`] gets documents, [`refresh`] keeps both fresh, and
//! [`report`] tells the issuer what sessions did.

pub(crate) mod fetch;
pub(crate) mod refresh;
pub(crate) mod report;
pub(crate) mod trust;
