//! The OAuth endpoints, a file each: authorization (RFC 6749, OAuth 2.1), device authorization
//! (RFC 8628), token, registration (RFC 7591), revocation (RFC 7009), introspection (RFC 7662),
//! metadata (RFC 8414).
//!
//! Handlers read parameters, call one function of the core, and answer in the words of the
//! standards ([`error`]).

mod caller;
mod device;
mod error;
mod introspect;
mod metadata;
mod origin;
mod register;
mod revoke;
mod token;

pub(crate) mod authorize;
pub(crate) mod cors;

pub(crate) use device::device_authorization;
pub(crate) use introspect::introspect;
pub(crate) use metadata::metadata;
pub(crate) use register::register;
pub(crate) use revoke::revoke;
pub(crate) use token::token;

/// RFC 8628 section 3.4.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 6749 section 4.1.3.
const CODE_GRANT: &str = "authorization_code";
/// RFC 8693 section 2.1.
const EXCHANGE_GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// All that the token endpoint takes.
const GRANTS: [&str; 3] = [CODE_GRANT, DEVICE_GRANT, EXCHANGE_GRANT];
