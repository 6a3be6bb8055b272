//! The OAuth authorization server, as far as it is about OAuth: clients, authorization codes,
//! registration, exchange.
//!
//! One stored request for access underlies every way in. What is asked, approved and minted is
//! [`crate::asking`]'s, [`crate::approval`]'s and [`crate::collecting`]'s; what is here says who
//! asks and where the answer goes. `issuer/src/web/oauth/` speaks HTTP.

pub(crate) mod assertion;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod client;
pub(crate) mod code;
pub(crate) mod document;
pub(crate) mod enrol;
pub(crate) mod exchange;
pub(crate) mod jwt;
pub(crate) mod live_token;
pub(crate) mod pkce;
pub(crate) mod redirect;
pub(crate) mod register;
pub(crate) mod self_registered;
pub(crate) mod spiffe;
mod strangers;
