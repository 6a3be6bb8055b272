//! The OAuth endpoints, a file each: authorization (RFC 6749, OAuth 2.1), device authorization
//! (RFC 8628), token, registration (RFC 7591), metadata (RFC 8414).
//!
//! Handlers read parameters, call one function of the core, and answer in the words of the
//! standards ([`error`]).

mod caller;
mod device;
mod error;
mod metadata;
mod origin;
mod register;
mod token;

pub(crate) mod authorize;

pub(crate) use device::device_authorization;
pub(crate) use metadata::metadata;
pub(crate) use register::register;
pub(crate) use token::token;

/// RFC 8628 section 3.4.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 6749 section 4.1.3.
const CODE_GRANT: &str = "authorization_code";
