//! `bailiwick sessions`: what an issuer's sessions may do and what became of
//! them.

use bailiwick_datalog::words::visible;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::OperatorArgs;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

/// List the sessions of an issuer
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bailiwick sessions --data-dir ./bailiwick-data --json")]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    operator: OperatorArgs,
}

/// Lists the sessions, the newest first.
pub(crate) async fn run(args: SessionsArgs, output: Output) -> Result<Exit, Failure> {
    let operator = Operator::new(args.operator)?;
    let answer: Value = http::json(operator.get("v1/sessions")?).await?;
    let sessions = answer
        .get("sessions")
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::new("unexpected_answer", "the issuer sent no list of sessions"))?;
    if sessions.is_empty() {
        output.note("No sessions yet.");
    }
    for session in sessions {
        let Value::Object(fields) = session else {
            return Err(Failure::new(
                "unexpected_answer",
                "the issuer sent a session that is none",
            ));
        };
        output.emit(&Session { fields })?;
    }
    Ok(Exit::Done)
}

/// A session as the issuer describes it; passed on whole.
#[derive(Serialize)]
struct Session<'a> {
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

impl Session<'_> {
    fn text(&self, name: &str) -> String {
        let text = self.fields.get(name).and_then(Value::as_str);
        text.map_or_else(|| "?".to_owned(), visible)
    }
}

impl Event for Session<'_> {
    fn name(&self) -> &'static str {
        "session"
    }

    fn human(&self) -> String {
        format!(
            "{}  {:<8} until {}  {}: {}",
            self.text("session"),
            self.text("state"),
            self.text("expires_at"),
            self.text("agent"),
            self.text("task")
        )
    }
}
