//! `bailiwick tools`: the tools, and which of them the token may call.

use clap::Args;
use rmcp::model::Tool;
use serde::Serialize;
use serde_json::Value;

use crate::cli::{ServerArg, TokenFileArg};
use crate::exit::{Exit, Failure};
use crate::mcp_client::McpClient;
use crate::output::{Event, Output};
use crate::token_file;

/// Where a gateway says whether the token may call a tool.
const MAY_CALL: &str = "bailiwick/may_call";
/// Where a gateway says what a tool does to a resource.
const ACCESS: &str = "bailiwick/access";

/// List the tools and which of them the token may call
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bailiwick tools --token-file ./sub-agent-token")]
pub(crate) struct ToolsArgs {
    #[command(flatten)]
    token_file: TokenFileArg,

    #[command(flatten)]
    server: ServerArg,
}

/// Lists the tools.
pub(crate) async fn run(args: ToolsArgs, output: Output) -> Result<Exit, Failure> {
    let token = token_file::read(&args.token_file.token_file)?;
    let client = McpClient::connect(&args.server.server, &token).await?;
    let tools = client.tools().await;
    client.close().await;
    for tool in tools? {
        output.emit(&Listed::of(&tool))?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Listed {
    name: String,
    access: Option<String>,
    may_call: Option<bool>,
    title: Option<String>,
    description: Option<String>,
    input_schema: Value,
}

impl Listed {
    fn of(tool: &Tool) -> Self {
        let meta = |key: &str| tool.meta.as_ref().and_then(|meta| meta.0.get(key));
        Self {
            name: tool.name.to_string(),
            access: meta(ACCESS).and_then(Value::as_str).map(str::to_owned),
            may_call: meta(MAY_CALL).and_then(Value::as_bool),
            title: tool.title.clone(),
            description: tool.description.as_ref().map(ToString::to_string),
            input_schema: Value::Object((*tool.input_schema).clone()),
        }
    }
}

impl Event for Listed {
    fn name(&self) -> &'static str {
        "tool"
    }

    fn human(&self) -> String {
        let may = match self.may_call {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        let access = self.access.as_deref().unwrap_or("?");
        let words = self
            .title
            .as_deref()
            .or(self.description.as_deref())
            .unwrap_or_default();
        format!("{may:<4}{:<24}{access:<13}{words}", self.name)
    }
}
