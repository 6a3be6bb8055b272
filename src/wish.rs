//! What an agent asks for, from the command line to `authorization_details`
//! (RFC 9396).
//!
//! Owns the reading of `--tool`, `--resource`, `--arg` and `--call` and the object they
//! become. Whether it may be had is for the issuer and the approver.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use bailiwick_datalog::{Access, ArgumentConstraint, ResourcePath, ToolName, strict_json};
use serde_json::{Map, Value, json};

use crate::catalogue::Catalogue;
use crate::exit::Failure;

/// A tool as typed: `NAME` or `NAME:ACCESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedTool {
    name: ToolName,
    access: Option<Access>,
}

impl FromStr for WantedTool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, access) = match text.split_once(':') {
            Some((name, access)) => (name, Some(access)),
            None => (text, None),
        };
        Ok(Self {
            name: ToolName::parse(name).map_err(|error| error.to_string())?,
            access: access
                .map(str::parse)
                .transpose()
                .map_err(|error: _| format!("{error}"))?,
        })
    }
}

/// One exact call as typed: `TOOL={…}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WantedCall {
    name: ToolName,
    arguments: Map<String, Value>,
}

impl FromStr for WantedCall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, arguments) = text
            .split_once('=')
            .ok_or("it reads like `TOOL={\"argument\":…}`")?;
        let name = ToolName::parse(name).map_err(|error| error.to_string())?;
        match strict_json::parse(arguments.as_bytes()) {
            Ok(Value::Object(arguments)) => Ok(Self { name, arguments }),
            Ok(_) => Err("the arguments are a JSON object".to_owned()),
            Err(error) => Err(format!("the arguments are no JSON: {error}")),
        }
    }
}

/// Everything that makes up one request.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// The tools, at least one.
    pub(crate) tools: &'a [WantedTool],
    /// The resources, for each tool alike.
    pub(crate) resources: &'a [ResourcePath],
    /// Argument limits as typed, `[TOOL:]NAME=CONSTRAINT`.
    pub(crate) arguments: &'a [String],
    /// Whether the limited arguments are the only ones there may be.
    pub(crate) closed_arguments: bool,
    /// Exact calls; a tool that has some is asked for these alone, each once.
    pub(crate) calls: &'a [WantedCall],
    /// The task in words.
    pub(crate) task: &'a str,
    /// For how long.
    pub(crate) duration: Duration,
}

impl Wish<'_> {
    /// The request as the issuer reads it. The access of a tool is the
    /// catalogue's unless it was typed.
    ///
    /// # Errors
    ///
    /// `unknown_tool`, or `usage` for an argument limit that cannot be read.
    pub(crate) fn authorization_details(&self, catalogue: &Catalogue) -> Result<Value, Failure> {
        let limits = self.limits()?;
        let mut tools = Vec::with_capacity(self.tools.len());
        for wanted in self.tools_with_calls() {
            let known = catalogue.tool(&wanted.name)?;
            let mut entry = Map::new();
            entry.insert("name".to_owned(), json!(wanted.name));
            entry.insert(
                "access".to_owned(),
                json!(wanted.access.unwrap_or(known.access)),
            );
            entry.insert("resources".to_owned(), json!(self.resources));
            let args = self.args_of(&wanted.name, &limits);
            if !args.is_empty() {
                entry.insert("args".to_owned(), Value::Object(args));
            }
            if self.closed_arguments {
                entry.insert("closed_arguments".to_owned(), Value::Bool(true));
            }
            tools.push(Value::Object(entry));
        }
        let mut detail = json!({
            "type": "mcp_tools",
            "locations": [catalogue.audience],
            "task": self.task,
            "duration": self.duration.as_secs(),
            "tools": tools,
        });
        if let (false, Some(detail)) = (self.calls.is_empty(), detail.as_object_mut()) {
            let calls = self.calls.iter();
            let calls = calls.map(|call| json!({"name": call.name, "arguments": call.arguments}));
            detail.insert("calls".to_owned(), calls.collect());
        }
        Ok(json!([detail]))
    }

    /// The tools that are named, and those that only a call names.
    fn tools_with_calls(&self) -> Vec<WantedTool> {
        let mut tools = self.tools.to_vec();
        for call in self.calls {
            if tools.iter().all(|tool| tool.name != call.name) {
                tools.push(WantedTool {
                    name: call.name.clone(),
                    access: None,
                });
            }
        }
        tools
    }

    fn args_of(&self, tool: &ToolName, limits: &Limits) -> Map<String, Value> {
        let shared = limits.get(&None).into_iter().flatten();
        let own = limits.get(&Some(tool.clone())).into_iter().flatten();
        let mut args = Map::new();
        for limit in shared.chain(own) {
            let rule = limit.rule_to_json();
            // Several limits of one argument have to hold together.
            match args.get_mut(&limit.name) {
                None => {
                    args.insert(limit.name.clone(), rule);
                }
                Some(Value::Array(rules)) => rules.push(rule),
                Some(first) => *first = Value::Array(vec![first.take(), rule]),
            }
        }
        args
    }

    fn limits(&self) -> Result<Limits, Failure> {
        let mut limits = Limits::new();
        for typed in self.arguments {
            let (tool, text) = self.split_tool(typed);
            let limit = ArgumentConstraint::parse_cli(text)
                .map_err(|error| Failure::usage(format!("`--arg {typed}`: {error}")))?;
            limits.entry(tool).or_default().push(limit);
        }
        Ok(limits)
    }

    /// Takes `TOOL:` off the front if it names one of the tools asked for;
    /// else the colon belongs to the argument.
    fn split_tool<'t>(&self, typed: &'t str) -> (Option<ToolName>, &'t str) {
        let named = typed.split_once(':').and_then(|(front, rest)| {
            let tool = self.tools.iter().find(|tool| tool.name.as_str() == front)?;
            Some((tool.name.clone(), rest))
        });
        match named {
            Some((tool, rest)) => (Some(tool), rest),
            None => (None, typed),
        }
    }
}

/// Argument limits by tool; those of `None` hold for every tool.
type Limits = BTreeMap<Option<ToolName>, Vec<ArgumentConstraint>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        serde_json::from_value(json!({
            "audience": "http://127.0.0.1:8401/mcp",
            "tools": [
                {"name": "files.read_file", "access": "read"},
                {"name": "files.write_file", "access": "write"},
            ],
        }))
        .unwrap()
    }

    fn details(tools: &[&str], arguments: &[&str]) -> Result<Value, Failure> {
        let tools: Vec<WantedTool> = tools.iter().map(|tool| tool.parse().unwrap()).collect();
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let wish = Wish {
            tools: &tools,
            resources: &[ResourcePath::parse("files/reports").unwrap()],
            arguments: &arguments,
            closed_arguments: false,
            calls: &[],
            task: "read",
            duration: Duration::from_secs(600),
        };
        wish.authorization_details(&catalogue())
    }

    #[test]
    fn a_tool_is_a_name_and_perhaps_an_access() {
        assert!("files.read_file".parse::<WantedTool>().is_ok());
        assert!("files.read_file:write".parse::<WantedTool>().is_ok());
        for text in [
            "",
            "Files",
            "files.read_file:",
            "files.read_file:all",
            "a:read:b",
        ] {
            assert!(text.parse::<WantedTool>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_access_comes_from_the_catalogue_unless_typed() {
        assert_eq!(
            details(&["files.write_file", "files.read_file:write"], &[]).unwrap(),
            json!([{
                "type": "mcp_tools",
                "locations": ["http://127.0.0.1:8401/mcp"],
                "task": "read",
                "duration": 600,
                "tools": [
                    {"name": "files.write_file", "access": "write", "resources": ["files/reports"]},
                    {"name": "files.read_file", "access": "write", "resources": ["files/reports"]},
                ],
            }])
        );
    }

    #[test]
    fn a_limit_with_a_tool_in_front_holds_for_that_tool_only() {
        let tools = ["files.read_file", "files.write_file"];
        let wish = details(&tools, &["path=reports/*", "files.write_file:content=a:b"]).unwrap();
        assert_eq!(
            wish[0]["tools"][0]["args"],
            json!({"path": {"prefix": "reports/"}})
        );
        assert_eq!(
            wish[0]["tools"][1]["args"],
            json!({"path": {"prefix": "reports/"}, "content": {"exact": "a:b"}})
        );
    }

    #[test]
    fn a_call_names_its_tool_and_stands_beside_the_tools() {
        let call = |text: &str| text.parse::<WantedCall>();
        let calls = [
            call(r#"files.write_file={"path":"a=b","content":"x"}"#).unwrap(),
            call("files.write_file={}").unwrap(),
        ];
        let wish = Wish {
            tools: &["files.read_file".parse().unwrap()],
            resources: &[ResourcePath::parse("files").unwrap()],
            arguments: &[],
            closed_arguments: false,
            calls: &calls,
            task: "write",
            duration: Duration::from_secs(600),
        };
        let details = wish.authorization_details(&catalogue()).unwrap();
        let names: Vec<&Value> = (0..2).map(|at| &details[0]["tools"][at]["name"]).collect();
        assert_eq!(names, ["files.read_file", "files.write_file"]);
        assert_eq!(
            details[0]["calls"],
            json!([
                {"name": "files.write_file", "arguments": {"path": "a=b", "content": "x"}},
                {"name": "files.write_file", "arguments": {}},
            ])
        );
        for bad in [
            "files.write_file",
            "Files={}",
            "files.write_file=[]",
            "files.write_file={\"a\":1,\"a\":2}",
            "files.write_file={",
        ] {
            assert!(call(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn several_limits_of_one_argument_are_all_asked_for() {
        let limits = ["path=reports/*", "path=*.md", "files.read_file:path=1..2"];
        let wish = details(&["files.read_file"], &limits).unwrap();
        assert_eq!(
            wish[0]["tools"][0]["args"]["path"],
            json!([{"prefix": "reports/"}, {"suffix": ".md"}, {"min": 1, "max": 2}])
        );
    }

    #[test]
    fn an_unreadable_limit_is_quoted() {
        let refused = details(&["files.read_file"], &["path"]).unwrap_err();
        assert_eq!(refused.code(), "usage");
        assert!(refused.message().contains("`--arg path`"));
    }
}
