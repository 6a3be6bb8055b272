//! `bailiwick revoke`: end a session, or all of an agent or an application.

use bailiwick_datalog::{AgentName, ApplicationId, SessionId};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::OperatorArgs;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

/// End a session, and every token made from it; or all sessions of an agent or an application
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick revoke ses_…\n  \
    bailiwick revoke --agent 'report writer'\n  \
    bailiwick revoke --application billing\n\n\
    `bailiwick sessions` lists the sessions. Gateways refuse a revoked one within seconds.")]
pub(crate) struct RevokeArgs {
    /// The session
    #[arg(value_name = "SESSION", required_unless_present_any = ["agent", "application"],
        conflicts_with_all = ["agent", "application"])]
    session: Option<SessionId>,

    /// Every live session of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,

    /// Every live session of this application, or of its agent
    #[arg(long, value_name = "ID")]
    application: Option<ApplicationId>,

    #[command(flatten)]
    operator: OperatorArgs,
}

/// Revokes; when this returns, the issuer has it on disk.
pub(crate) async fn run(args: RevokeArgs, output: Output) -> Result<Exit, Failure> {
    let operator = Operator::new(args.operator)?;
    let revocations = operator.post("v1/revocations")?;
    let seq = |answer: &Value| answer.get("seq").and_then(Value::as_u64);
    let Some(session) = &args.session else {
        let mut wanted = Map::new();
        if let Some(agent) = &args.agent {
            wanted.insert("agent".to_owned(), json!(agent));
        }
        if let Some(application) = &args.application {
            wanted.insert("application".to_owned(), json!(application));
        }
        let answer: Value = http::json(revocations.json(&wanted)).await?;
        output.emit(&RevokedAll {
            sessions: answer.get("sessions_revoked").and_then(Value::as_u64),
            seq: seq(&answer),
        })?;
        return Ok(Exit::Done);
    };
    let answer: Value = http::json(revocations.json(&json!({"session": session}))).await?;
    output.emit(&Revoked {
        session,
        seq: seq(&answer),
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

#[derive(Serialize)]
struct RevokedAll {
    sessions: Option<u64>,
    seq: Option<u64>,
}

impl Event for RevokedAll {
    fn name(&self) -> &'static str {
        "revoked_all"
    }

    fn human(&self) -> String {
        match self.sessions {
            Some(0) => "There was no live session to revoke".to_owned(),
            Some(1) => "Revoked 1 session".to_owned(),
            Some(count) => format!("Revoked {count} sessions"),
            None => "Revoked".to_owned(),
        }
    }
}
