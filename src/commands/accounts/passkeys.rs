//! `bailiwick accounts passkeys`: the passkeys of accounts, for those who manage them.

use bailiwick_datalog::words::visible;
use clap::Subcommand;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Name, PATH};
use crate::exit::Failure;
use crate::http;
use crate::operator::Operator;
use crate::output::{Event, Output};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List the passkeys of an account
    List(Name),
    /// Remove a passkey that was lost; nothing that it signs counts from then on
    Remove {
        #[command(flatten)]
        name: Name,
        /// The id of the passkey
        #[arg(value_name = "PASSKEY")]
        id: String,
    },
    /// Let an account that has none add a first one, once, within an hour
    Allow(Name),
}

/// Does one thing with the passkeys of an account.
pub(super) async fn run(action: Action, output: Output) -> Result<(), Failure> {
    match action {
        Action::List(name) => list(name, output).await,
        Action::Remove { name, id } => {
            let operator = Operator::new(name.operator)?;
            let names = [&*name.user_name, "passkeys", &id];
            let answer = http::send(operator.delete_below(PATH, &names)?).await?;
            if !answer.status.is_success() {
                return Err(answer.refusal());
            }
            let fields = json!({"user_name": name.user_name, "passkey": id});
            say("passkey_removed", fields, output)
        }
        Action::Allow(name) => {
            let operator = Operator::new(name.operator)?;
            let names = [&*name.user_name, "passkeys", "allow"];
            let allowed = http::json(operator.post_below(PATH, &names)?).await?;
            say("passkey_allowed", Value::Object(allowed), output)
        }
    }
}

async fn list(name: Name, output: Output) -> Result<(), Failure> {
    let operator = Operator::new(name.operator)?;
    let request = operator.get_below(PATH, &[&name.user_name, "passkeys"])?;
    let mut answer: Map<String, Value> = http::json(request).await?;
    let Some(Value::Array(passkeys)) = answer.remove("passkeys") else {
        let why = "the issuer sent no list of passkeys";
        return Err(Failure::new("unexpected_answer", why));
    };
    if passkeys.is_empty() {
        let until = answer.get("first_until").and_then(Value::as_str);
        match until {
            Some(until) => output.note(&format!(
                "No passkeys; a first one may be added until {}.",
                visible(until)
            )),
            None => output.note("No passkeys, and nobody has allowed a first one."),
        }
    }
    for passkey in passkeys {
        say("passkey", passkey, output)?;
    }
    Ok(())
}

fn say(name: &'static str, fields: Value, output: Output) -> Result<(), Failure> {
    let Value::Object(fields) = fields else {
        let why = "the issuer sent a passkey that is none";
        return Err(Failure::new("unexpected_answer", why));
    };
    output.emit(&Passkey { name, fields })
}

/// A passkey as the issuer describes it; passed on whole.
#[derive(Serialize)]
struct Passkey {
    #[serde(skip)]
    name: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Passkey {
    fn text(&self, name: &str) -> Option<String> {
        self.fields.get(name).and_then(Value::as_str).map(visible)
    }
}

impl Event for Passkey {
    fn name(&self) -> &'static str {
        self.name
    }

    fn human(&self) -> String {
        let text = |name: &str| self.text(name).unwrap_or_default();
        let (user_name, passkey) = (text("user_name"), text("passkey"));
        match self.name {
            "passkey_removed" => format!("Removed {passkey} of {user_name}"),
            "passkey_allowed" => format!(
                "{user_name} may add a first passkey until {}, on the page `/me` after a fresh \
                 sign-in",
                text("first_until")
            ),
            _ => {
                let used = self.text("last_used_at");
                let used = used.map_or("not used yet".to_owned(), |time| format!("used {time}"));
                let (name, added) = (text("name"), text("created_at"));
                format!("{passkey}  {name}  added {added}, {used}")
            }
        }
    }
}
