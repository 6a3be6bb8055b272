//! A refusal that a gateway put into a tool result, and the request that would
//! ask for what was missing.

use std::fmt::Display;
use std::time::Duration;

use rmcp::model::CallToolResult;
use serde::Serialize;
use serde_json::Value;

use crate::cli::DEFAULT_SERVER;
use crate::duration;
use crate::invocation::CommandLine;
use crate::output::Event;

/// Where a gateway keeps the denial in the metadata of a result.
const KEY: &str = "bailiwick/denial";

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Denial {
    tool: Option<String>,
    code: String,
    explanation: String,
    retryable: bool,
    request_access: Option<Value>,
    request_command: Option<String>,
}

impl Denial {
    /// The denial in `result` of the gateway at `server`, if it is one.
    pub(crate) fn of(result: &CallToolResult, server: &str) -> Option<Self> {
        result
            .meta
            .as_ref()?
            .0
            .get(KEY)
            .map(|denial| Self::read(denial, server))
    }

    fn read(denial: &Value, server: &str) -> Self {
        let text = |name: &str| denial.get(name).and_then(Value::as_str).map(str::to_owned);
        let request_access = denial
            .get("request_access")
            .filter(|value| !value.is_null())
            .cloned();
        Self {
            tool: text("tool"),
            code: text("code").unwrap_or_else(|| "denied".to_owned()),
            explanation: text("explanation").unwrap_or_else(|| "the call was refused".to_owned()),
            retryable: denial
                .get("retryable")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            request_command: request_access
                .as_ref()
                .and_then(|wanted| request_command(wanted, server)),
            request_access,
        }
    }
}

impl Event for Denial {
    fn name(&self) -> &'static str {
        "denied"
    }

    fn human(&self) -> String {
        let mut text = format!("Denied ({}): {}", self.code, self.explanation);
        if let Some(command) = &self.request_command {
            text.push_str("\nTo ask for it:\n  ");
            text.push_str(command);
        }
        text
    }

    fn is_progress(&self) -> bool {
        true
    }
}

/// The command that asks for what `request_access` describes, for one entry of
/// `authorization_details` whose tools share their resources and limits.
fn request_command(request_access: &Value, server: &str) -> Option<String> {
    let details = request_access.get("authorization_details")?;
    let entry = details
        .as_array()
        .map_or(Some(details), |entries| entries.first())?;
    let tools = entry.get("tools")?.as_array()?;
    let mut line = CommandLine::new("request");
    for tool in tools {
        let name = tool.get("name")?.as_str()?;
        let access = tool.get("access").and_then(Value::as_str);
        line.option("--tool", &with_access(name, access));
    }
    let mut resources: Vec<&str> = tools.iter().flat_map(resources_of).collect();
    resources.sort_unstable();
    resources.dedup();
    for resource in resources {
        line.option("--resource", resource);
    }
    for (name, rule) in tools.iter().flat_map(args_of) {
        line.option("--arg", &format!("{name}={rule}"));
    }
    let calls = entry.get("calls").and_then(Value::as_array);
    for call in calls.into_iter().flatten() {
        let (name, arguments) = (call.get("name")?.as_str()?, call.get("arguments")?);
        line.option("--call", &format!("{name}={arguments}"));
    }
    line.option(
        "--task",
        entry
            .get("task")
            .and_then(Value::as_str)
            .unwrap_or("what it is for"),
    );
    let seconds = entry.get("duration").and_then(Value::as_u64).unwrap_or(600);
    line.option("--for", &duration::format(Duration::from_secs(seconds)));
    if server != DEFAULT_SERVER {
        line.option("--server", server);
    }
    Some(line.to_string())
}

fn with_access(name: &str, access: Option<&str>) -> String {
    match access {
        Some(access) => format!("{name}:{access}"),
        None => name.to_owned(),
    }
}

fn resources_of(tool: &Value) -> impl Iterator<Item = &str> {
    let resources = tool.get("resources").and_then(Value::as_array);
    resources.into_iter().flatten().filter_map(Value::as_str)
}

fn args_of(tool: &Value) -> impl Iterator<Item = (&str, impl Display)> {
    let args = tool.get("args").and_then(Value::as_object);
    args.into_iter()
        .flatten()
        .map(|(name, rule)| (name.as_str(), rule))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn denial() -> Value {
        json!({
            "code": "resource_not_granted",
            "explanation": "no grant covers `files/notes`",
            "tool": "files.read_file",
            "retryable": false,
            "request_access": {"authorization_details": [{
                "type": "mcp_tools",
                "task": "Read the notes",
                "duration": 900,
                "tools": [{"name": "files.read_file", "access": "read", "resources": ["files/notes"],
                           "args": {"path": {"prefix": "notes/"}}}],
            }]},
        })
    }

    #[test]
    fn the_request_that_would_help_is_written_as_a_command() {
        let denial = Denial::read(&denial(), DEFAULT_SERVER);
        let command = denial.request_command.clone().unwrap();
        assert!(
            command.ends_with(
                "request --tool files.read_file:read --resource files/notes \
                 --arg 'path={\"prefix\":\"notes/\"}' --task 'Read the notes' --for 15m"
            ),
            "{command}"
        );
        assert!(
            denial
                .human()
                .starts_with("Denied (resource_not_granted): no grant covers")
        );
    }

    #[test]
    fn an_exact_call_is_asked_for_with_its_arguments() {
        let mut denial = denial();
        let details = &mut denial["request_access"]["authorization_details"][0];
        details["tools"][0].as_object_mut().unwrap().remove("args");
        details["calls"] = json!([{"name": "files.read_file", "arguments": {"path": "it's"}}]);
        let command = Denial::read(&denial, DEFAULT_SERVER).request_command;
        let command = command.unwrap();
        let call = r#"--call 'files.read_file={"path":"it'\''s"}' --task 'Read the notes'"#;
        assert!(command.contains(call), "{command}");
    }

    #[test]
    fn the_request_goes_to_the_gateway_that_refused() {
        let command = Denial::read(&denial(), "http://h:1")
            .request_command
            .unwrap();
        assert!(
            command.ends_with("--for 15m --server http://h:1"),
            "{command}"
        );
    }

    #[test]
    fn a_denial_without_a_way_out_names_none() {
        let mut bare = denial();
        bare["request_access"] = Value::Null;
        let denial = Denial::read(&bare, DEFAULT_SERVER);
        assert_eq!(denial.request_command, None);
        assert!(!denial.human().contains("To ask for it"));
    }
}
