//! `bailiwick sessions`: what an issuer's sessions may do and what became of
//! them.

use bailiwick_datalog::SessionId;
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
#[command(after_help = "Examples:\n  \
    bailiwick sessions --json\n  \
    bailiwick sessions ses_…     what this one did")]
pub(crate) struct SessionsArgs {
    /// Show this session and every call that was made with it
    #[arg(value_name = "SESSION")]
    session: Option<SessionId>,

    #[command(flatten)]
    operator: OperatorArgs,
}

/// Lists the sessions, the newest first.
pub(crate) async fn run(args: SessionsArgs, output: Output) -> Result<Exit, Failure> {
    let operator = Operator::new(args.operator)?;
    if let Some(session) = &args.session {
        return one(&operator, session, output).await;
    }
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

async fn one(operator: &Operator, id: &SessionId, output: Output) -> Result<Exit, Failure> {
    let request = operator.get_below("v1/sessions", id.as_str())?;
    let fields: Map<String, Value> = http::json(request).await?;
    output.emit(&Session { fields: &fields })?;
    Ok(Exit::Done)
}

/// A session as the issuer describes it; passed on whole.
#[derive(Serialize)]
struct Session<'a> {
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

fn text(fields: &Map<String, Value>, name: &str) -> String {
    let text = fields.get(name).and_then(Value::as_str);
    text.map_or_else(|| "?".to_owned(), visible)
}

impl Event for Session<'_> {
    fn name(&self) -> &'static str {
        "session"
    }

    fn human(&self) -> String {
        let mut lines = vec![format!(
            "{}  {:<8} until {}  {}: {}",
            text(self.fields, "session"),
            text(self.fields, "state"),
            text(self.fields, "expires_at"),
            text(self.fields, "agent"),
            text(self.fields, "task")
        )];
        let calls = self.fields.get("calls").and_then(Value::as_array);
        let calls = calls.into_iter().flatten().filter_map(Value::as_object);
        lines.extend(calls.map(|call| {
            let resources = call.get("resources").and_then(Value::as_array);
            let resources = resources.into_iter().flatten().filter_map(Value::as_str);
            format!(
                "  {}  {:<6}{:<22}{} on {}",
                text(call, "time"),
                text(call, "decision"),
                call.get("code").and_then(Value::as_str).unwrap_or_default(),
                text(call, "tool"),
                resources.map(visible).collect::<Vec<_>>().join(", ")
            )
        }));
        lines.join("\n")
    }
}
