//! A gateway on a loopback port, an issuer stand-in beside it, and requests to it.

mod gateway;
mod issuer;
mod reply;
mod serve;
mod token;

pub(crate) use self::{
    gateway::{GATEWAY_TOKEN, MAX_STALENESS, TestGateway, call, request},
    issuer::StandIn,
    reply::Reply,
    token::{TokenSpec, grant},
};

use bailiwick_datalog::Timestamp;

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::from_unix(1_800_000_000);
