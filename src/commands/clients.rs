//! `bailiwick clients`: OAuth clients that an operator answers for.

use std::path::PathBuf;

use bailiwick_datalog::words::visible;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::OperatorArgs;
use crate::exit::{Exit, Failure};
use crate::operator::Operator;
use crate::output::{Event, Output};
use crate::{files, http};

const PATH: &str = "v1/clients";
/// More than the keys of any client.
const MAX_KEYS_BYTES: u64 = 64 * 1024;

/// Say which programs may ask under a name that you answer for
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick clients list --application support\n  \
    bailiwick clients add --application support --name Triage --auth client-secret-basic\n  \
    bailiwick clients add --application support --name Triage --auth private-key-jwt --jwks keys.json\n  \
    bailiwick clients remove cli_0123456789abcdef")]
pub(crate) struct ClientsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the clients that an operator registered
    List {
        /// Of this application alone
        #[arg(long, value_name = "APPLICATION")]
        application: Option<String>,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Register a client; prints its secret, if it has one, this once
    Add {
        #[command(flatten)]
        client: New,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Remove a client; what it holds already goes on until it ends
    Remove {
        /// The id of the client
        #[arg(value_name = "CLIENT")]
        id: String,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, Args)]
struct New {
    /// The application it belongs to
    #[arg(long, value_name = "APPLICATION")]
    application: String,

    /// The name, as approvers read it
    #[arg(long, value_name = "TEXT")]
    name: String,

    /// How it proves who it is
    #[arg(long, value_name = "METHOD")]
    auth: Method,

    /// Where its answers may go, if it asks through a browser; give the option again for more
    #[arg(long = "redirect-uri", value_name = "URL")]
    redirect_uris: Vec<String>,

    /// The file with the public keys of `private-key-jwt`, a JWK set
    #[arg(long, value_name = "FILE", required_if_eq("auth", "private-key-jwt"))]
    jwks: Option<PathBuf>,

    /// The identity of `spiffe-jwt`, such as `spiffe://example.org/agent`
    #[arg(long, value_name = "ID", required_if_eq("auth", "spiffe-jwt"))]
    spiffe_id: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// It does not
    None,
    /// By a secret in a header
    ClientSecretBasic,
    /// By a secret in the body
    ClientSecretPost,
    /// By a JWT that its own key signs
    PrivateKeyJwt,
    /// By a JWT-SVID of the trusted SPIFFE domain
    SpiffeJwt,
}

impl New {
    fn body(self) -> Result<Value, Failure> {
        let mut body = json!({
            "application": self.application,
            "name": self.name,
            "auth_method": self.auth,
            "redirect_uris": self.redirect_uris,
        });
        let keys = self.jwks.map(|path| read_keys(&path)).transpose()?;
        if let Some(members) = body.as_object_mut() {
            members.extend(keys.map(|keys| ("jwks".to_owned(), keys)));
            let id = self.spiffe_id.map(Value::from);
            members.extend(id.map(|id| ("spiffe_id".to_owned(), id)));
        }
        Ok(body)
    }
}

fn read_keys(path: &std::path::Path) -> Result<Value, Failure> {
    let unreadable = |why: String| {
        Failure::usage(format!(
            "cannot read the keys in `{}`: {why}",
            path.display()
        ))
    };
    let text = files::read_text(path, MAX_KEYS_BYTES).map_err(|e| unreadable(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))
}

/// Does one thing with the clients.
pub(crate) async fn run(args: ClientsArgs, output: Output) -> Result<Exit, Failure> {
    match args.action {
        Action::List {
            application,
            operator,
        } => list(&Operator::new(operator)?, application.as_deref(), output).await?,
        Action::Add { client, operator } => {
            let body = client.body()?;
            let request = Operator::new(operator)?.post(PATH)?.json(&body);
            say("client_added", http::json(request).await?, output)?;
        }
        Action::Remove { id, operator } => {
            let request = Operator::new(operator)?.delete_below(PATH, &[&id])?;
            let answer = http::send(request).await?;
            if !answer.status.is_success() {
                return Err(answer.refusal());
            }
            let fields = Map::from_iter([("client_id".to_owned(), Value::from(id))]);
            say("client_removed", fields, output)?;
        }
    }
    Ok(Exit::Done)
}

async fn list(
    operator: &Operator,
    application: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let unexpected = |why: &'static str| Failure::new("unexpected_answer", why);
    let answer: Value = http::json(operator.get(PATH)?).await?;
    let clients = answer.get("clients").and_then(Value::as_array);
    let clients = clients.ok_or_else(|| unexpected("the issuer sent no list of clients"))?;
    let mut listed = 0_usize;
    for client in clients {
        let Value::Object(fields) = client.clone() else {
            return Err(unexpected("the issuer sent a client that is none"));
        };
        let own = fields.get("application").and_then(Value::as_str);
        if application.is_none_or(|wanted| own == Some(wanted)) {
            say("client", fields, output)?;
            listed = listed.saturating_add(1);
        }
    }
    if listed == 0 {
        output.note("No clients.");
    }
    Ok(())
}

fn say(name: &'static str, fields: Map<String, Value>, output: Output) -> Result<(), Failure> {
    output.emit(&Client { name, fields })
}

/// A client as the issuer describes it; passed on whole.
#[derive(Serialize)]
struct Client {
    #[serde(skip)]
    name: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Client {
    fn text(&self, name: &str) -> Option<String> {
        self.fields.get(name).and_then(Value::as_str).map(visible)
    }

    fn shown(&self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| "?".to_owned())
    }
}

impl Event for Client {
    fn name(&self) -> &'static str {
        self.name
    }

    fn human(&self) -> String {
        let id = self.shown("client_id");
        match (self.name, self.text("client_secret")) {
            ("client_removed", _) => format!("Removed {id}"),
            ("client_added", Some(secret)) => {
                format!("Registered {id}\nIts secret, shown this once: {secret}")
            }
            ("client_added", None) => format!("Registered {id}"),
            _ => {
                let redirects = self.fields.get("redirect_uris").and_then(Value::as_array);
                let redirects = redirects.into_iter().flatten().filter_map(Value::as_str);
                let redirects: Vec<String> = redirects.map(visible).collect();
                let answers = if redirects.is_empty() {
                    "nowhere".to_owned()
                } else {
                    redirects.join(", ")
                };
                format!(
                    "{id}  {}  application: {}  proof: {}  answers to: {answers}",
                    self.shown("name"),
                    self.shown("application"),
                    self.shown("proof"),
                )
            }
        }
    }
}
