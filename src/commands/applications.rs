//! `bailiwick applications`: the separate policy surfaces of an issuer.

use std::time::Duration;

use bailiwick_datalog::words::visible;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::OperatorArgs;
use crate::duration;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

const PATH: &str = "v1/applications";

/// Say which applications agents may ask for, and within what limits
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick applications list\n  \
    bailiwick applications add support --name \"Help desk\" --tool 'files.*' --approver bob\n  \
    bailiwick applications set support --longest-session 1h --remove-approver bob\n  \
    bailiwick applications remove support     revokes its sessions, denies its requests")]
pub(crate) struct ApplicationsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the applications
    List(OperatorArgs),
    /// Show one application
    Show(Id),
    /// Add an application; nobody decides for it until somebody is named
    Add {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        limits: Limits,
    },
    /// Change an application; what is not named stays as it is
    Set {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        limits: Limits,
        /// Let an approver decide for it no longer
        #[arg(long = "remove-approver", value_name = "USER")]
        remove_approvers: Vec<String>,
    },
    /// Remove an application: its sessions are revoked and its requests denied, at once
    Remove(Id),
}

#[derive(Debug, Args)]
struct Id {
    /// The id of the application
    #[arg(value_name = "APPLICATION")]
    id: String,

    #[command(flatten)]
    operator: OperatorArgs,
}

#[derive(Debug, Args)]
struct Limits {
    /// The name, as approvers read it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    /// How long a session is unless the agent says
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    default_session: Option<Duration>,

    /// How long a session may be at most
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    longest_session: Option<Duration>,

    /// How often a token may be handed on
    #[arg(long, value_name = "TIMES")]
    depth: Option<u32>,

    /// A tool that may be asked for, or `files.*` for all whose name begins so; replaces the list
    #[arg(long = "tool", value_name = "PATTERN", conflicts_with = "all_tools")]
    tools: Vec<String>,

    /// Let every tool be asked for
    #[arg(long)]
    all_tools: bool,

    /// Where the answers of its own client may go; replaces the list
    #[arg(long = "redirect-uri", value_name = "URL")]
    redirect_uris: Vec<String>,

    /// A rule, such as `two-approvers access=write`, `passkey access=write` or
    /// `exact-calls access=destructive`; replaces the list
    #[arg(long = "rule", value_name = "RULE", conflicts_with = "no_rules")]
    rules: Vec<String>,

    /// Demand nothing beyond one approver's word
    #[arg(long)]
    no_rules: bool,

    /// Let an approver decide for it
    #[arg(long = "approver", value_name = "USER")]
    approvers: Vec<String>,
}

impl Limits {
    /// The members of the request, for what was named.
    fn members(self) -> Map<String, Value> {
        let seconds = |span: Duration| json!(span.as_secs());
        let tools = match (self.all_tools, self.tools.is_empty()) {
            (true, _) => Some(Value::Null),
            (false, true) => None,
            (false, false) => Some(json!(self.tools)),
        };
        let rules = (self.no_rules || !self.rules.is_empty()).then(|| json!(self.rules));
        let redirects = (!self.redirect_uris.is_empty()).then(|| json!(self.redirect_uris));
        let approvers = (!self.approvers.is_empty()).then(|| json!(self.approvers));
        let members = [
            ("name", self.name.map(Value::from)),
            ("default_duration", self.default_session.map(seconds)),
            ("max_duration", self.longest_session.map(seconds)),
            ("max_depth", self.depth.map(Value::from)),
            ("allowed_tools", tools),
            ("rules", rules),
            ("redirect_uris", redirects),
            ("add_approvers", approvers),
        ];
        let named = members.into_iter();
        named
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// Does one thing with the applications.
pub(crate) async fn run(args: ApplicationsArgs, output: Output) -> Result<Exit, Failure> {
    match args.action {
        Action::List(operator) => list(&Operator::new(operator)?, output).await?,
        Action::Show(id) => {
            let request = Operator::new(id.operator)?.get_below(PATH, &[&id.id])?;
            say("application", http::json(request).await?, output)?;
        }
        Action::Add { id, limits } => {
            let mut members = limits.members();
            members.insert("application".to_owned(), json!(id.id));
            let request = Operator::new(id.operator)?.post(PATH)?.json(&members);
            say("application_added", http::json(request).await?, output)?;
        }
        Action::Set {
            id,
            limits,
            remove_approvers,
        } => {
            let mut members = limits.members();
            if !remove_approvers.is_empty() {
                members.insert("remove_approvers".to_owned(), json!(remove_approvers));
            }
            let request = Operator::new(id.operator)?.post_below(PATH, &[&id.id])?;
            let answer = http::json(request.json(&members)).await?;
            say("application", answer, output)?;
        }
        Action::Remove(id) => {
            let request = Operator::new(id.operator)?.post_below(PATH, &[&id.id, "remove"])?;
            say("application_removed", http::json(request).await?, output)?;
        }
    }
    Ok(Exit::Done)
}

async fn list(operator: &Operator, output: Output) -> Result<(), Failure> {
    let unexpected = |why: &'static str| Failure::new("unexpected_answer", why);
    let answer: Value = http::json(operator.get(PATH)?).await?;
    let applications = answer.get("applications").and_then(Value::as_array);
    let applications =
        applications.ok_or_else(|| unexpected("the issuer sent no list of applications"))?;
    if applications.is_empty() {
        output.note("No applications.");
    }
    for application in applications {
        let Value::Object(fields) = application.clone() else {
            return Err(unexpected("the issuer sent an application that is none"));
        };
        say("application", fields, output)?;
    }
    Ok(())
}

fn say(name: &'static str, fields: Map<String, Value>, output: Output) -> Result<(), Failure> {
    output.emit(&Application { name, fields })
}

/// An application as the issuer describes it; passed on whole.
#[derive(Serialize)]
struct Application {
    #[serde(skip)]
    name: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Application {
    fn text(&self, name: &str) -> String {
        let text = self.fields.get(name).and_then(Value::as_str);
        text.map_or_else(|| "?".to_owned(), visible)
    }

    fn number(&self, name: &str) -> u64 {
        self.fields.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    fn list(&self, name: &str, none: &str) -> String {
        let items = self.fields.get(name).and_then(Value::as_array);
        let items = items.into_iter().flatten().filter_map(Value::as_str);
        let items: Vec<String> = items.map(visible).collect();
        if items.is_empty() {
            return none.to_owned();
        }
        items.join(", ")
    }
}

impl Event for Application {
    fn name(&self) -> &'static str {
        self.name
    }

    fn human(&self) -> String {
        let id = self.text("application");
        if self.name == "application_removed" {
            return format!(
                "Removed {id}; {} sessions revoked, {} requests denied",
                self.number("sessions_revoked"),
                self.number("requests_denied")
            );
        }
        let longest = duration::format(Duration::from_secs(self.number("max_duration")));
        format!(
            "{id}  {}  up to {longest}  tools: {}  rules: {}  approvers: {}",
            self.text("name"),
            self.list("allowed_tools", "all"),
            self.list("rules", "none"),
            self.list("approvers", "nobody")
        )
    }
}
