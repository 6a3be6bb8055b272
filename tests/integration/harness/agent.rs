//! An agent: asks for access, holds a token, calls tools with it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::http::{Request, Response};
use super::process::{Ended, Running};
use super::python::Sdk;
use super::service::Place;

/// What an agent asks for.
pub(crate) struct Wish<'a> {
    pub(crate) tools: &'a [&'a str],
    pub(crate) resources: &'a [&'a str],
    pub(crate) task: &'a str,
    pub(crate) time: &'a str,
}

/// A request for access that waits for a person.
pub(crate) struct Asked {
    process: Running,
    folder: PathBuf,
    pub(crate) approval_url: String,
    pub(crate) user_code: String,
}

/// What was granted, and the token.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) token: String,
    pub(crate) token_file: PathBuf,
    pub(crate) session: String,
    pub(crate) details: Value,
}

impl Place {
    /// Starts `bailiwick request` and waits until it says where to approve.
    pub(crate) fn request(&self, wish: &Wish<'_>, more: &[&str]) -> Asked {
        let mut arguments = vec!["request"];
        for tool in wish.tools {
            arguments.extend(["--tool", tool]);
        }
        for resource in wish.resources {
            arguments.extend(["--resource", resource]);
        }
        arguments.extend(["--task", wish.task, "--for", wish.time]);
        arguments.extend(more);
        let mut process = Running::start("bailiwick request", self.command(&arguments));
        let needed = process.event("approval_needed");
        let text = |name: &str| needed[name].as_str().unwrap().to_owned();
        Asked {
            approval_url: text("approval_url"),
            user_code: text("user_code"),
            folder: self.folder.path().to_owned(),
            process,
        }
    }
}

impl Asked {
    /// Waits for the end of the command, which follows the decision.
    pub(crate) fn ended(self) -> Ended {
        self.process.ended()
    }

    /// Waits for the token.
    pub(crate) fn granted(self) -> Granted {
        let folder = self.folder.clone();
        let ended = self.ended().expect_code(0);
        let lines = ended.json_lines();
        let granted = lines.last().unwrap();
        assert_eq!(granted["event"], "granted", "{granted}");
        let text = |name: &str| granted[name].as_str().unwrap().to_owned();
        let token_file = folder.join(text("token_file"));
        Granted {
            token: std::fs::read_to_string(&token_file)
                .unwrap()
                .trim()
                .to_owned(),
            token_file,
            session: text("session"),
            details: granted["granted"].clone(),
        }
    }
}

/// One answer of the gateway, as the official SDK saw it.
#[derive(Debug)]
pub(crate) struct Answer(Value);

impl Answer {
    /// The text of a call that succeeded.
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.0["is_error"], false, "{self:?}");
        self.0["text"].as_str().unwrap()
    }

    /// The denial inside the result of a call that was refused.
    pub(crate) fn denial(&self) -> &Value {
        assert_eq!(self.0["is_error"], true, "{self:?}");
        assert!(
            self.0["structured"].is_null(),
            "a denial has no structured content: {self:?}"
        );
        let denial = &self.0["meta"]["bailiwick/denial"];
        assert!(denial.is_object(), "a denial: {self:?}");
        denial
    }

    /// The code of a refusal, wherever it was made.
    pub(crate) fn code(&self) -> String {
        if self.0["http"].is_object() {
            let body = self.0["http"]["body"].as_str().unwrap();
            let problem: Value = serde_json::from_str(body)
                .unwrap_or_else(|_| panic!("a problem document: {self:?}"));
            return problem["code"].as_str().unwrap().to_owned();
        }
        self.denial()["code"].as_str().unwrap().to_owned()
    }

    /// The `WWW-Authenticate` header of a refused token.
    pub(crate) fn challenge(&self) -> &str {
        assert_eq!(self.0["http"]["status"], 401, "{self:?}");
        self.0["http"]["challenge"].as_str().unwrap()
    }

    /// The tools of a listing, by name.
    pub(crate) fn tools(&self) -> Vec<(String, Value)> {
        let tools = self.0["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("{self:?}"));
        let named = |tool: &Value| {
            (
                tool["name"].as_str().unwrap().to_owned(),
                tool["tool"].clone(),
            )
        };
        tools.iter().map(named).collect()
    }
}

impl Sdk {
    /// Holds one conversation: connects, takes the steps, disconnects.
    pub(crate) fn converse(self, mcp: &str, token: &str, steps: &[Value]) -> Vec<Answer> {
        let input = json!({ "url": mcp, "token": token, "steps": steps });
        let answers = self.run("mcp_client.py", &input);
        answers
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .map(Answer)
            .collect()
    }

    /// Calls one tool.
    pub(crate) fn call(self, mcp: &str, token: &str, tool: &str, arguments: &Value) -> Answer {
        let step = json!({ "call": tool, "arguments": arguments });
        self.converse(mcp, token, &[step]).remove(0)
    }
}

/// Narrows a token with biscuit-python, which checks it under `root` first.
pub(crate) fn narrow(token: &str, root: &str, block: &str) -> String {
    narrow_each(token, root, &[block]).remove(0)
}

/// The token narrowed by each of `blocks` on its own.
pub(crate) fn narrow_each(token: &str, root: &str, blocks: &[&str]) -> Vec<String> {
    let input = json!({ "token": token, "root": root, "blocks": blocks });
    let narrowed = Sdk::V1.run("attenuate.py", &input);
    let tokens = narrowed.as_array().unwrap().iter();
    tokens
        .map(|token| token.as_str().unwrap().to_owned())
        .collect()
}

/// What the gateway makes of one call: `allowed`, or the code of the refusal.
pub(crate) fn outcome(gateway: &str, token: &str, tool: &str, arguments: &Value) -> String {
    let call = call_body(tool, arguments);
    let response = mcp_post(gateway).bearer(token).json(&call).send();
    let text = response.text();
    if response.status == 200 && text.contains("\"isError\":false") {
        return "allowed".to_owned();
    }
    code_of(&response)
}

/// The body of a `tools/call`.
pub(crate) fn call_body(tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments },
    })
}

/// A request to the gateway's MCP endpoint, without a body yet.
pub(crate) fn mcp_post(gateway: &str) -> Request {
    Request::post(gateway, "/mcp")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
}

/// The stable code of a refusal over plain HTTP: of a page, a problem document,
/// an OAuth error, a JSON-RPC error, or a denial inside a tool result.
pub(crate) fn code_of(response: &Response) -> String {
    if let Some(code) = response.header("bailiwick-code") {
        return code.to_owned();
    }
    let text = response.text();
    if let Some((_, alert)) = text.split_once("id=\"problem\"") {
        let code = alert
            .split("<code>")
            .nth(1)
            .and_then(|rest| rest.split('<').next());
        return code.expect("a problem on a page has a code").to_owned();
    }
    let json = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("data:"))
        .unwrap_or(&text);
    let body: Value = serde_json::from_str(json.trim())
        .unwrap_or_else(|_| panic!("{}: an answer with a code: {text}", response.status));
    let places = [
        &body["code"],
        &body["error"]["data"]["code"],
        &body["result"]["_meta"]["bailiwick/denial"]["code"],
        &body["result"]["_meta"]["bailiwick/error"]["code"],
        &body["error"],
    ];
    let code = places.into_iter().find_map(Value::as_str);
    code.unwrap_or_else(|| panic!("{}: no code in {text}", response.status))
        .to_owned()
}
