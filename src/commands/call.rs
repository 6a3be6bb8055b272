//! `bailiwick call`: call one tool with the token.

use clap::Args;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Map, Value};

use bailiwick_datalog::strict_json;
use bailiwick_verifier::Clock as _;

use crate::cli::{ServerArg, TokenFileArg, name_and_rest};
use crate::clock::SystemClock;
use crate::credential::Credential;
use crate::denial::Denial;
use crate::exit::{Exit, Failure};
use crate::holder_key::HolderKeyArg;
use crate::hosting;
use crate::mcp_client::McpClient;
use crate::output::{Event, Output};
use crate::token_file;

/// Where a gateway explains why a tool failed.
const FAILURE: &str = "bailiwick/error";

/// Call a tool with the token
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick call files.read_file --arg path=reports/q3.md\n  \
    bailiwick call files.search --args-json '{\"path\":\"reports\",\"query\":\"revenue\"}'\n\n\
    `NAME=VALUE` passes text; `NAME:=VALUE` passes a JSON value such as `limit:=10`.")]
pub(crate) struct CallArgs {
    /// The tool
    #[arg(value_name = "TOOL")]
    tool: String,

    /// An argument; may be repeated
    #[arg(long = "arg", value_name = "NAME=VALUE", conflicts_with = "args_json")]
    arguments: Vec<String>,

    /// All arguments as one JSON object
    #[arg(long, value_name = "OBJECT")]
    args_json: Option<String>,

    #[command(flatten)]
    holder_key: HolderKeyArg,

    #[command(flatten)]
    token_file: TokenFileArg,

    #[command(flatten)]
    server: ServerArg,
}

/// Calls the tool and shows its answer.
pub(crate) async fn run(args: CallArgs, output: Output) -> Result<Exit, Failure> {
    let arguments = match &args.args_json {
        Some(text) => whole(text)?,
        None => one_by_one(&args.arguments)?,
    };
    let (token, chain) = token_file::read_for(&args.token_file.token_file, &args.server.server)?;
    let mut credential = Credential::of(&token, &chain)?;
    if let Some(key) = args.holder_key.read_for(&chain)? {
        let now = SystemClock::start().now().utc;
        let call = (args.tool.as_str(), &arguments);
        credential = credential.with_proof(&key, &token, &chain, call, now)?;
    }
    let client = McpClient::connect(&args.server.server, credential).await?;
    let answer = client.call(&args.tool, arguments).await;
    client.close().await;
    report(
        &args.tool,
        &answer?,
        hosting::shown(&args.server.server),
        output,
    )
}

fn report(
    tool: &str,
    result: &CallToolResult,
    server: &str,
    output: Output,
) -> Result<Exit, Failure> {
    if let Some(denial) = Denial::of(result, server) {
        output.emit(&denial)?;
        return Ok(Exit::Refused);
    }
    let is_error = result.is_error.unwrap_or(false);
    let failure = result.meta.as_ref().and_then(|meta| meta.0.get(FAILURE));
    output.emit(&Answered {
        tool,
        is_error,
        code: failure
            .and_then(|failure| failure.get("code"))
            .and_then(Value::as_str),
        content: &result.content,
        structured: result.structured_content.as_ref(),
    })?;
    Ok(if is_error { Exit::Failed } else { Exit::Done })
}

fn whole(text: &str) -> Result<Map<String, Value>, Failure> {
    match strict_json::parse(text.as_bytes()) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(Failure::usage("`--args-json` is not a JSON object")),
        Err(error) => Err(Failure::usage(format!(
            "`--args-json` cannot be read: {error}"
        ))),
    }
}

fn one_by_one(typed: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut arguments = Map::new();
    for text in typed {
        let (name, rest) = name_and_rest("--arg", text)?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) if !name.is_empty() => (name, json_value(text, rest)?),
            _ => (name, Value::from(rest)),
        };
        if arguments.insert(name.to_owned(), value).is_some() {
            return Err(Failure::usage(format!(
                "the argument `{name}` is given twice"
            )));
        }
    }
    Ok(arguments)
}

fn json_value(typed: &str, text: &str) -> Result<Value, Failure> {
    strict_json::parse(text.as_bytes())
        .map_err(|error| Failure::usage(format!("`--arg {typed}` holds no JSON value: {error}")))
}

#[derive(Serialize)]
struct Answered<'a> {
    tool: &'a str,
    is_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    content: &'a [ContentBlock],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured: Option<&'a Value>,
}

impl Event for Answered<'_> {
    fn name(&self) -> &'static str {
        "result"
    }

    fn human(&self) -> String {
        let blocks: Vec<String> = self.content.iter().map(in_text).collect();
        let text = blocks.join("\n");
        // `emit` ends the line; a text that ended its own would get a second break.
        text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
    }

    fn is_progress(&self) -> bool {
        self.is_error
    }
}

fn in_text(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        other => serde_json::to_string(other).unwrap_or_else(|_| "(not shown)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn typed(arguments: &[&str]) -> Result<Value, Failure> {
        let owned: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        one_by_one(&owned).map(Value::Object)
    }

    #[test]
    fn arguments_are_text_unless_marked_as_json() {
        assert_eq!(
            typed(&["path=a=b", "limit:=10", "empty=", "query={}"]).unwrap(),
            json!({"path": "a=b", "limit": 10, "empty": "", "query": "{}"})
        );
    }

    #[test]
    fn unclear_arguments_are_usage_errors() {
        for arguments in [
            &["path"][..],
            &["=x"],
            &["a=1", "a=2"],
            &["a:=", "b=1"],
            &["a:={\"x\":1,\"x\":2}"],
        ] {
            assert_eq!(
                typed(arguments).unwrap_err().exit(),
                Exit::Usage,
                "{arguments:?}"
            );
        }
        for text in ["[]", "{", "{\"a\":1,\"a\":2}"] {
            assert_eq!(whole(text).unwrap_err().exit(), Exit::Usage, "{text}");
        }
    }
}
