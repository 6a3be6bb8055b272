//! `bailiwick request`: ask for tools, wait for a person, keep the token.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_datalog::{AgentName, Effective, ResourcePath, Thumbprint, Timestamp};
use bailiwick_verifier::Clock as _;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::catalogue::{self, Catalogue};
use crate::cli::{ServerArg, TokenFileArg, http_url};
use crate::clock::SystemClock;
use crate::device_flow::{Answer, Asking, DeviceFlow, Granted, Pending};
use crate::duration;
use crate::exit::{Exit, Failure};
use crate::holder_key::NextHolder;
use crate::output::{Event, Output};
use crate::token_file;
use crate::waiting::Waiting;
use crate::wish::{WantedCall, WantedTool, Wish};

/// Ask for tools; waits until a person has decided
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick request --tool files.list_directory --tool files.read_file \\\n      \
    --resource files/reports --task 'Summarise the Q3 report' --for 10m\n  \
    bailiwick request --tool files.write_file --resource files/notes \\\n      \
    --arg 'path=notes/*' --task 'Keep the meeting notes' --for 1h\n  \
    bailiwick request --call 'files.delete_file={\"path\":\"notes/old.md\"}' \\\n      \
    --resource files/notes --task 'Remove the old notes' --for 5m\n\n\
    A constraint is `1..10`, `..10` or `1..` for a range, `a|b` for one of several, `pre*` for a\n\
    prefix, `*suf` for a suffix, a JSON rule in braces, and anything else for exactly that value.\n\
    With `NAME?=` the argument may also be left out; with `TOOL:NAME=` the constraint holds for\n\
    that tool only.")]
pub(crate) struct RequestArgs {
    /// A tool, with its access if it should not be the catalogue's; may be repeated
    #[arg(
        long = "tool",
        value_name = "NAME[:ACCESS]",
        required_unless_present = "calls"
    )]
    tools: Vec<WantedTool>,

    /// A resource the tools may touch, with everything below it; may be repeated
    #[arg(long = "resource", value_name = "PATH", required = true)]
    resources: Vec<ResourcePath>,

    /// A limit on an argument; may be repeated
    #[arg(long = "arg", value_name = "[TOOL:]NAME=CONSTRAINT")]
    arguments: Vec<String>,

    /// Allow no argument but those named with --arg
    #[arg(long)]
    closed_arguments: bool,

    /// One exact call, to be made once with these very arguments; may be repeated. A tool with
    /// such calls is asked for them alone
    #[arg(long = "call", value_name = "TOOL={JSON}")]
    calls: Vec<WantedCall>,

    /// What the tools are for, in words the approver will read
    #[arg(long, value_name = "TEXT")]
    task: String,

    /// For how long, such as `10m` or `1h30m`
    #[arg(long = "for", value_name = "SPAN", value_parser = duration::parse)]
    duration: Duration,

    /// The name of the agent
    #[arg(long, value_name = "NAME", default_value = "bailiwick-cli")]
    agent: AgentName,

    /// Bind the token to this key: a thumbprint (RFC 7638), `ed25519/HEX`, or a JWK file
    #[arg(long, value_name = "KEY")]
    holder: Option<NextHolder>,

    /// The application the request is made for
    #[arg(long, value_name = "ID", default_value = "bailiwick-cli")]
    client_id: String,

    /// Give up waiting after this long
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    wait: Option<Duration>,

    /// Write the token to stdout instead of a file
    #[arg(long)]
    print_token: bool,

    #[command(flatten)]
    token_file: TokenFileArg,

    /// The address of the issuer, if not the one that the gateway names
    #[arg(long, env = "BAILIWICK_ISSUER", value_name = "URL", value_parser = http_url)]
    issuer: Option<Url>,

    #[command(flatten)]
    server: ServerArg,
}

/// Asks, waits and keeps what is granted.
pub(crate) async fn run(args: RequestArgs, output: Output) -> Result<Exit, Failure> {
    let destination = args.destination();
    if let Destination::File(path) = destination {
        // Better said before somebody has gone to approve.
        token_file::refuse_foreign(path)?;
    }
    let holder = args
        .holder
        .as_ref()
        .map(NextHolder::thumbprint)
        .transpose()?;
    let catalogue = Catalogue::fetch(&args.server.server).await?;
    let details = args.wish().authorization_details(&catalogue)?;
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => catalogue::issuer_of(&args.server.server, &catalogue.audience).await?,
    };
    let flow = DeviceFlow::new(&issuer, &args.client_id)?;
    let pending = flow
        .ask(&Asking {
            details: &details,
            audience: &catalogue.audience,
            agent: args.agent.as_str(),
            holder: holder.as_ref().map(Thumbprint::as_str),
        })
        .await?;
    output.emit(&ApprovalNeeded::of(&pending))?;
    match wait(&flow, &pending, args.wait, output).await? {
        Answer::Granted(granted) => keep(&granted, destination, output),
        Answer::Denied { reason } => {
            output.emit(&Denied { reason })?;
            Ok(Exit::Refused)
        }
        Answer::Expired => Err(Failure::new(
            "approval_expired",
            "nobody decided before the request expired",
        )
        .hint("ask again, and have the approver open the page in time")
        .ending(Exit::TimedOut)),
    }
}

impl RequestArgs {
    fn wish(&self) -> Wish<'_> {
        Wish {
            tools: &self.tools,
            resources: &self.resources,
            arguments: &self.arguments,
            closed_arguments: self.closed_arguments,
            calls: &self.calls,
            task: &self.task,
            duration: self.duration,
        }
    }

    fn destination(&self) -> Destination<'_> {
        if self.print_token {
            Destination::Stdout
        } else {
            Destination::File(&self.token_file.token_file)
        }
    }
}

#[derive(Clone, Copy)]
enum Destination<'a> {
    Stdout,
    File(&'a Path),
}

async fn wait(
    flow: &DeviceFlow,
    pending: &Pending,
    limit: Option<Duration>,
    output: Output,
) -> Result<Answer, Failure> {
    let patience = limit.unwrap_or(pending.lifetime()).min(pending.lifetime());
    let shown = Waiting::show(patience, !output.is_json() && io::stderr().is_terminal());
    let answer = match limit {
        // The issuer itself says when a request has expired.
        None => flow.wait(pending, tokio::time::sleep).await,
        Some(limit) => tokio::time::timeout(limit, flow.wait(pending, tokio::time::sleep))
            .await
            .unwrap_or_else(|_| {
                Err(Failure::new(
                    "approval_timeout",
                    format!("nobody decided within {}", duration::format(limit)),
                )
                .hint("the request can still be approved, but nobody waits for the token any more")
                .ending(Exit::TimedOut))
            }),
    };
    shown.end();
    answer
}

fn keep(granted: &Granted, destination: Destination<'_>, output: Output) -> Result<Exit, Failure> {
    let chain = granted.token.decode().map_err(|failure| {
        Failure::new(
            "unexpected_answer",
            format!(
                "the issuer sent a token that is none: {}",
                failure.message()
            ),
        )
    })?;
    let file = match destination {
        Destination::File(path) => {
            token_file::write(path, &granted.token)?;
            Some(path.to_owned())
        }
        Destination::Stdout => None,
    };
    output.emit(&GrantedEvent {
        token: file.is_none().then(|| granted.token.expose()),
        token_file: file,
        session: &granted.session,
        expires_at: granted.expires_at,
        granted: &granted.details,
        instructions: granted.instructions.as_deref(),
        effective: Effective::of(&chain).lines(),
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct ApprovalNeeded<'a> {
    approval_url: String,
    user_code: &'a str,
    expires_at: Option<Timestamp>,
}

impl<'a> ApprovalNeeded<'a> {
    fn of(pending: &'a Pending) -> Self {
        Self {
            approval_url: pending.approval_url(),
            user_code: pending.user_code(),
            expires_at: SystemClock::start()
                .now()
                .utc
                .checked_add(pending.lifetime()),
        }
    }
}

impl Event for ApprovalNeeded<'_> {
    fn name(&self) -> &'static str {
        "approval_needed"
    }

    fn human(&self) -> String {
        format!(
            "Approval needed. Open {}\nand compare the code there with {}",
            self.approval_url, self.user_code
        )
    }

    fn is_progress(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
struct GrantedEvent<'a> {
    token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    session: &'a str,
    expires_at: Timestamp,
    granted: &'a Value,
    instructions: Option<&'a str>,
    effective: Vec<String>,
}

impl Event for GrantedEvent<'_> {
    fn name(&self) -> &'static str {
        "granted"
    }

    fn human(&self) -> String {
        if let Some(token) = self.token {
            return token.to_owned();
        }
        let mut lines = vec![format!(
            "Granted until {}, session {}",
            self.expires_at, self.session
        )];
        lines.extend(self.effective.iter().map(|line| format!("  {line}")));
        if let Some(instructions) = self.instructions {
            lines.push(format!("The approver says: {instructions}"));
        }
        if let Some(file) = &self.token_file {
            lines.push(format!("The token is in {}", file.display()));
        }
        lines.join("\n")
    }
}

#[derive(Serialize)]
struct Denied {
    reason: Option<String>,
}

impl Event for Denied {
    fn name(&self) -> &'static str {
        "denied"
    }

    fn human(&self) -> String {
        match &self.reason {
            Some(reason) => format!("Denied: {reason}"),
            None => "Denied, without a reason".to_owned(),
        }
    }

    fn is_progress(&self) -> bool {
        true
    }
}
