//! `bailiwick tools`: the tools, and which of them the token may call.

use clap::Args;
use rmcp::model::Tool;
use serde::Serialize;
use serde_json::Value;

use crate::cli::{ServerArg, TokenFileArg};
use crate::credential::Credential;
use crate::exit::{Exit, Failure};
use crate::holder_key::HolderKeyArg;
use crate::mcp_client::McpClient;
use crate::output::{Event, Output};
use crate::token_file;

/// Where a gateway says what the token may do with a tool.
const PERMISSION: &str = "bailiwick/permission";

/// List the tools and which of them the token may call
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bailiwick tools --token-file ./sub-agent-token")]
pub(crate) struct ToolsArgs {
    #[command(flatten)]
    holder_key: HolderKeyArg,

    #[command(flatten)]
    token_file: TokenFileArg,

    #[command(flatten)]
    server: ServerArg,
}

/// Lists the tools.
pub(crate) async fn run(args: ToolsArgs, output: Output) -> Result<Exit, Failure> {
    let (token, chain) = token_file::read_for(&args.token_file.token_file, &args.server.server)?;
    // Seeing the tools takes no proof; a key that would not serve a call is better told now.
    args.holder_key.check_for(&chain)?;
    let client = McpClient::connect(&args.server.server, Credential::of(&token, &chain)?).await?;
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
    callable: Option<bool>,
    resources: Vec<String>,
    title: Option<String>,
    description: Option<String>,
    input_schema: Value,
}

impl Listed {
    fn of(tool: &Tool) -> Self {
        let permission = tool.meta.as_ref().and_then(|meta| meta.0.get(PERMISSION));
        let says = |name: &str| permission.and_then(|permission| permission.get(name));
        let resources = says("resources")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Self {
            name: tool.name.to_string(),
            access: says("access").and_then(Value::as_str).map(str::to_owned),
            callable: says("callable").and_then(Value::as_bool),
            resources: resources
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
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
        let may = match self.callable {
            Some(true) => format!("yes, on {}", self.resources.join(", ")),
            Some(false) => "no".to_owned(),
            None => "unknown".to_owned(),
        };
        let access = self.access.as_deref().unwrap_or("unknown");
        format!("{:<24}{access:<13}{may}", self.name)
    }
}
