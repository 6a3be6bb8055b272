//! `bailiwick revoke`: end a session.

use bailiwick_datalog::SessionId;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::OperatorArgs;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

/// End a session, and every token made from it
#[derive(Debug, Args)]
#[command(
    after_help = "`bailiwick sessions` lists the sessions. Gateways refuse a revoked one within seconds."
)]
pub(crate) struct RevokeArgs {
    /// The session
    #[arg(value_name = "SESSION")]
    session: SessionId,

    #[command(flatten)]
    operator: OperatorArgs,
}

/// Revokes the session; when this returns, the issuer has it on disk.
pub(crate) async fn run(args: RevokeArgs, output: Output) -> Result<Exit, Failure> {
    let operator = Operator::new(args.operator)?;
    let request = operator
        .post("v1/revocations")?
        .json(&json!({"session": args.session}));
    let answer: Value = http::json(request).await?;
    output.emit(&Revoked {
        session: &args.session,
        seq: answer.get("seq").and_then(Value::as_u64),
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Revoked<'a> {
    session: &'a SessionId,
    seq: Option<u64>,
}

impl Event for Revoked<'_> {
    fn name(&self) -> &'static str {
        "revoked"
    }

    fn human(&self) -> String {
        format!("Revoked {}", self.session)
    }
}
