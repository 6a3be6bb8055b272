//! `bailiwick sessions`: what an issuer's sessions may do and what became of
//! them.

use bailiwick_datalog::words::visible;
use bailiwick_datalog::{AgentName, ApplicationId, SessionId};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::OperatorArgs;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

/// List the sessions of an issuer
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick sessions --live --json\n  \
    bailiwick sessions --agent 'report writer'\n  \
    bailiwick sessions ses_…     what this one did")]
pub(crate) struct SessionsArgs {
    /// Show this session and every call that was made with it
    #[arg(value_name = "SESSION", conflicts_with_all = ["live", "over", "agent", "application"])]
    session: Option<SessionId>,

    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    operator: OperatorArgs,
}

/// Which sessions a list holds.
#[derive(Debug, Args)]
struct Which {
    /// Only those whose time still runs
    #[arg(long, conflicts_with = "over")]
    live: bool,

    /// Only those that are over or were ended
    #[arg(long)]
    over: bool,

    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,

    /// Only those of this application
    #[arg(long, value_name = "ID")]
    application: Option<ApplicationId>,
}

/// Lists the sessions, the newest first.
pub(crate) async fn run(args: SessionsArgs, output: Output) -> Result<Exit, Failure> {
    let operator = Operator::new(args.operator)?;
    if let Some(session) = &args.session {
        return one(&operator, session, output).await;
    }
    let mut after: Option<String> = None;
    let mut found = false;
    loop {
        let request = operator.get_with("v1/sessions", &args.which.query(after.as_deref()))?;
        let page: Page = http::json(request).await?;
        for fields in &page.sessions {
            output.emit(&Session { fields })?;
        }
        found |= !page.sessions.is_empty();
        match page.next {
            // A place that does not move would be asked for again and again.
            Some(next) if !page.sessions.is_empty() && after.as_ref() != Some(&next) => {
                after = Some(next);
            }
            Some(_) | None => break,
        }
    }
    if !found {
        output.note("No such sessions yet.");
    }
    Ok(Exit::Done)
}

/// Sessions asked for at once.
const PAGE: &str = "200";

/// A page of the issuer's list.
#[derive(Deserialize)]
struct Page {
    sessions: Vec<Map<String, Value>>,
    next: Option<String>,
}

impl Which {
    fn query<'a>(&'a self, after: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
        let state = match (self.live, self.over) {
            (true, _) => Some("live"),
            (false, true) => Some("over"),
            (false, false) => None,
        };
        let parts = [
            ("state", state),
            ("agent", self.agent.as_ref().map(AgentName::as_str)),
            (
                "application",
                self.application.as_ref().map(ApplicationId::as_str),
            ),
            ("after", after),
            ("limit", Some(PAGE)),
        ];
        let given = parts.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

async fn one(operator: &Operator, id: &SessionId, output: Output) -> Result<Exit, Failure> {
    let request = operator.get_below("v1/sessions", &[id.as_str()])?;
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
