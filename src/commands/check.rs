//! `bailiwick check`: decisions on stdin's cases, without a server.

use std::io;

use clap::Args;

use crate::check;
use crate::exit::{Exit, Failure};
use crate::output::OUTPUT_CLOSED;

/// Decide calls offline, one JSON case per line on stdin
#[derive(Debug, Args)]
#[command(after_help = "A case:\n  \
    {\"id\":1,\"token\":\"En0K…\",\"call\":{\"tool\":\"files.read_file\",\"access\":\"read\",\n   \
    \"resources\":[\"files/reports/q3.md\"],\"args\":{\"path\":\"reports/q3.md\"}},\n   \
    \"now\":\"2026-01-01T12:00:00Z\",\"audience\":\"http://127.0.0.1:8401/mcp\",\n   \
    \"keys\":{\"1\":\"ed25519/…\"},\"revoked\":[]}\n\n\
    Instead of `token`, `authorization` may hold a raw header value; `holder_proof` may hold\n\
    {\"dpop\":…,\"method\":…,\"url\":…}. A decision:\n  \
    {\"id\":1,\"decision\":\"deny\",\"code\":\"expired\",\"explanation\":\"…\",\"micros\":112}\n\n\
    A bad case is denied under its id; a line that is no JSON object is named on stderr.\n\
    Neither stops the batch, and neither changes the exit code.")]
pub(crate) struct CheckArgs {
    /// Read one case per line from stdin and write one decision per line to stdout
    #[arg(long, required = true)]
    jsonl: bool,
}

/// Answers until the input ends.
pub(crate) fn run(_args: &CheckArgs) -> Result<Exit, Failure> {
    let decisions = io::BufWriter::new(io::stdout().lock());
    check::stream(io::stdin().lock(), decisions, io::stderr().lock()).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => OUTPUT_CLOSED,
            _ => "stream_broken",
        };
        Failure::new(code, format!("the batch broke off: {error}"))
    })?;
    Ok(Exit::Done)
}
