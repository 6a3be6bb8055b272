//! `bailiwick accounts`: who may sign in at an issuer, and as what.

mod passkeys;

use std::time::Duration;

use bailiwick_datalog::words::visible;
use bailiwick_datalog::{Access, Timestamp};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::OperatorArgs;
use crate::duration;
use crate::exit::{Exit, Failure};
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

const PATH: &str = "v1/accounts";

/// Say who may sign in at an issuer, and as what
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick accounts list\n  \
    bailiwick accounts add bob --role approver     prints a link with which bob chooses a password\n  \
    bailiwick accounts set-roles bob --role auditor\n  \
    bailiwick accounts passkeys allow bob          after bob lost the only one and it was removed\n  \
    bailiwick accounts disable bob")]
pub(crate) struct AccountsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the accounts
    List(OperatorArgs),
    /// Show one account
    Show(Name),
    /// Add an account; prints the one-time link on which its owner chooses a password
    Add {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        roles: RolesArg,
    },
    /// Give an account these roles and no others
    SetRoles {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        roles: RolesArg,
    },
    /// Say what an approver may grant at most; without options, whatever is asked for
    SetCeiling {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        ceiling: CeilingArg,
    },
    /// Say which workload acts through an account: it approves nothing that this one asks for
    SetWorkload {
        #[command(flatten)]
        name: Name,
        /// The identity it proves when it asks, such as `spiffe://example.org/agent`
        #[arg(value_name = "IDENTITY", required_unless_present = "none")]
        identity: Option<String>,
        /// No workload
        #[arg(long, conflicts_with = "identity")]
        none: bool,
    },
    /// Have another approver decide for one who is away
    Delegate {
        #[command(flatten)]
        name: Name,
        /// The approver who stands in
        #[arg(long, value_name = "USER")]
        to: String,
        /// From when, as in RFC 3339
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Timestamp,
        /// Until when, as in RFC 3339
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Timestamp,
    },
    /// Make a new one-time link, for a password that was lost
    Link(Name),
    /// Sign an account out and let nobody sign in with it
    Disable(Name),
    /// Let an account sign in again
    Enable(Name),
    /// Sign every browser of an account out
    SignOut(Name),
    /// List or remove the passkeys of an account, or allow a first one
    #[command(subcommand)]
    Passkeys(passkeys::Action),
}

#[derive(Debug, Args)]
struct Name {
    /// The user name
    #[arg(value_name = "USER")]
    user_name: String,

    #[command(flatten)]
    operator: OperatorArgs,
}

#[derive(Debug, Args)]
struct RolesArg {
    /// A role; give the option again for more
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
}

/// What is not named is not limited.
#[derive(Debug, Args)]
struct CeilingArg {
    /// A tool, or `files.*` for all whose name begins so
    #[arg(long = "tool", value_name = "PATTERN")]
    tools: Vec<String>,

    /// An access level: read, write or destructive
    #[arg(long, value_name = "LEVEL")]
    access: Vec<Access>,

    /// A resource, with everything below
    #[arg(long = "resource", value_name = "PATH")]
    resources: Vec<String>,

    /// The longest session
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    longest_session: Option<Duration>,
}

impl CeilingArg {
    fn body(&self) -> Value {
        let mut body = Map::new();
        if !self.tools.is_empty() {
            body.insert("tools".to_owned(), json!(self.tools));
        }
        if !self.access.is_empty() {
            body.insert("access".to_owned(), json!(self.access));
        }
        if !self.resources.is_empty() {
            body.insert("resources".to_owned(), json!(self.resources));
        }
        if let Some(longest) = self.longest_session {
            body.insert("longest_session".to_owned(), json!(longest.as_secs()));
        }
        Value::Object(body)
    }
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Manages accounts and applications
    Admin,
    /// Sees and decides requests
    Approver,
    /// Reads everything, changes nothing
    Auditor,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|error| error.to_string())
}

/// Does one thing with the accounts.
pub(crate) async fn run(args: AccountsArgs, output: Output) -> Result<Exit, Failure> {
    match args.action {
        Action::List(operator) => list(&Operator::new(operator)?, output).await?,
        Action::Show(name) => {
            let request = Operator::new(name.operator)?.get_below(PATH, &[&name.user_name])?;
            say("account", http::json(request).await?, output)?;
        }
        Action::Add { name, roles } => {
            let operator = Operator::new(name.operator)?;
            let wanted = json!({"user_name": name.user_name, "roles": roles.roles});
            let request = operator.post(PATH)?.json(&wanted);
            say("account_added", http::json(request).await?, output)?;
        }
        Action::SetRoles { name, roles } => {
            let operator = Operator::new(name.operator)?;
            let request = operator.post_below(PATH, &[&name.user_name, "roles"])?;
            let request = request.json(&json!({"roles": roles.roles}));
            say("account", http::json(request).await?, output)?;
        }
        Action::SetCeiling { name, ceiling } => {
            let operator = Operator::new(name.operator)?;
            let request = operator.post_below(PATH, &[&name.user_name, "ceiling"])?;
            let answer = http::json(request.json(&ceiling.body())).await?;
            say("account", answer, output)?;
        }
        Action::SetWorkload { name, identity, .. } => {
            let operator = Operator::new(name.operator)?;
            let request = operator.post_below(PATH, &[&name.user_name, "workload"])?;
            let request = request.json(&json!({"workload_identity": identity}));
            say("account", http::json(request).await?, output)?;
        }
        Action::Delegate {
            name,
            to,
            from,
            until,
        } => {
            let operator = Operator::new(name.operator)?;
            let request = operator.post_below(PATH, &[&name.user_name, "delegate"])?;
            let wanted = json!({"to": to, "starts_at": from, "ends_at": until});
            say(
                "delegate_named",
                http::json(request.json(&wanted)).await?,
                output,
            )?;
        }
        Action::Passkeys(action) => passkeys::run(action, output).await?,
        Action::Link(name) => change(name, "link", "account_invited", output).await?,
        Action::Disable(name) => change(name, "disable", "account", output).await?,
        Action::Enable(name) => change(name, "enable", "account", output).await?,
        Action::SignOut(name) => {
            change(name, "sign-out", "signed_out_everywhere", output).await?;
        }
    }
    Ok(Exit::Done)
}

async fn list(operator: &Operator, output: Output) -> Result<(), Failure> {
    let answer: Value = http::json(operator.get(PATH)?).await?;
    let accounts = answer.get("accounts").and_then(Value::as_array);
    let accounts = accounts
        .ok_or_else(|| Failure::new("unexpected_answer", "the issuer sent no list of accounts"))?;
    if accounts.is_empty() {
        output.note("No accounts yet: the link of the first start makes one.");
    }
    for account in accounts {
        let Value::Object(fields) = account.clone() else {
            let why = "the issuer sent an account that is none";
            return Err(Failure::new("unexpected_answer", why));
        };
        say("account", fields, output)?;
    }
    Ok(())
}

async fn change(
    name: Name,
    action: &str,
    event: &'static str,
    output: Output,
) -> Result<(), Failure> {
    let operator = Operator::new(name.operator)?;
    let request = operator.post_below(PATH, &[&name.user_name, action])?;
    say(event, http::json(request).await?, output)
}

fn say(name: &'static str, fields: Map<String, Value>, output: Output) -> Result<(), Failure> {
    output.emit(&Account { name, fields })
}

/// An account as the issuer describes it; passed on whole.
#[derive(Serialize)]
struct Account {
    #[serde(skip)]
    name: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Account {
    fn text(&self, name: &str) -> Option<String> {
        self.fields.get(name).and_then(Value::as_str).map(visible)
    }
}

impl Event for Account {
    fn name(&self) -> &'static str {
        self.name
    }

    fn human(&self) -> String {
        let user_name = self.text("user_name").unwrap_or_default();
        if let Some(browsers) = self.fields.get("browsers").and_then(Value::as_u64) {
            return format!("Signed {user_name} out of {browsers} browsers");
        }
        if let (Some(from), Some(to)) = (self.text("from"), self.text("to")) {
            let until = self.text("ends_at").unwrap_or_default();
            return format!("{to} decides for {from} until {until}");
        }
        let roles = self.fields.get("roles").and_then(Value::as_array);
        let roles = roles.into_iter().flatten().filter_map(Value::as_str);
        let mut text = format!(
            "{user_name}  {:<8}  {}",
            self.text("state").unwrap_or_default(),
            roles.map(visible).collect::<Vec<_>>().join(", ")
        );
        if let Some(link) = self.text("set_up_link") {
            let end = self.text("link_expires_at").unwrap_or_default();
            text.push_str(&format!(
                "\nTo choose a password, once, until {end}:  {link}"
            ));
        }
        text
    }
}
