//! `bailiwick check`: decisions on stdin's cases, without a server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::check::{self, Setup};
use crate::exit::{Exit, Failure};
use crate::output::OUTPUT_CLOSED;
use crate::policy;
use crate::settings::Way;

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

    /// Refuse what this operator policy refuses, whatever a token grants
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// What decides: the token's compiled plan, or the Biscuit library's engine as well
    #[arg(long, value_name = "WAY", default_value = "compiled")]
    evaluation: Way,
}

/// Answers until the input ends.
pub(crate) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let policy = args.policy.as_deref().map(policy::load).transpose()?;
    let setup = Setup::new(args.evaluation.into(), policy.map(Arc::new));
    let decisions = io::BufWriter::new(io::stdout().lock());
    check::stream(&setup, io::stdin().lock(), decisions, io::stderr().lock()).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => OUTPUT_CLOSED,
            _ => "stream_broken",
        };
        Failure::new(code, format!("the batch broke off: {error}"))
    })?;
    Ok(Exit::Done)
}
