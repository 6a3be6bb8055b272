//! Logs: to stderr, filtered by `--log` or `BAILIWICK_LOG`.
//!
//! Libraries that print whole messages or headers at their chatty levels are
//! held at `warn` whatever the filter says, because those would hold tokens.

use std::io::{self, IsTerminal as _};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry};

use crate::exit::Failure;

/// Libraries whose `debug` and `trace` output may quote headers or bodies.
const QUIET: [&str; 9] = [
    "rmcp",
    "hyper",
    "hyper_util",
    "reqwest",
    "h2",
    "oauth2",
    "rustls",
    "sqlx",
    "sse_stream",
];

/// Starts logging. Called once, before anything that may log.
///
/// # Errors
///
/// `usage` when the filter cannot be read.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let asked = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("cannot read the log filter: {error}")))?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_filter(asked.and(filter_fn(may_be_logged)));
    tracing::subscriber::set_global_default(Registry::default().with(layer))
        .map_err(|error| Failure::new("internal", format!("cannot start logging: {error}")))
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    let library = event.target().split("::").next().unwrap_or_default();
    *event.level() <= Level::WARN || !QUIET.contains(&library)
}
