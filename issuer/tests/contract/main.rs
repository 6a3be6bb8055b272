//! The issuer's HTTP surface, read as a contract.
//!
//! Every test talks to the router as a browser, an agent or a gateway would, with a clock
//! that moves only when told to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    reason = "a test stops at the first surprise"
)]

mod accounts;
mod across_applications;
mod agent_identity;
mod applications;
mod approval;
mod authorization_code;
mod bad_input;
mod before_sign_in;
mod ceilings;
mod client_documents;
mod client_pages;
mod clients;
mod concurrency;
mod deciding;
mod delegates;
mod description;
mod device_flow;
mod dry_run;
mod exact_calls;
mod failing_store;
mod fatigue;
mod feeds;
mod harness;
mod hostile_text;
mod identity;
mod identity_attempts;
mod identity_fresh;
mod identity_redirects;
mod lapsing;
mod mail;
mod metadata;
mod narrowing_by_hand;
mod notifying;
mod oauth_client;
mod open_pages;
mod passkey_attempts;
mod passkey_backing;
mod passkey_managing;
mod passkeys;
mod refused_on_record;
mod roles;
mod self_approval;
mod session_lists;
mod sessions;
mod sign_in;
mod spiffe_bundle;
mod step_up;
mod token_care;
