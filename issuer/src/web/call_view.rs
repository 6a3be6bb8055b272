//! Calls as the pages show them: those that were made, and exact calls to the letter.

use serde_json::json;

use super::views::clock_time;
use crate::{
    access_request::ExactCall,
    store::{CallDecision, Usage},
    text::visible_json,
};

/// One exact call: its arguments by name, or all there is to say of one without any.
#[derive(Debug)]
pub(crate) struct CallArguments {
    pub(crate) arguments: Vec<(String, String)>,
    /// The digest that the record of gateways names it by.
    pub(crate) digest: String,
}

impl CallArguments {
    pub(crate) fn of(call: &ExactCall) -> Self {
        let arguments = call.arguments().iter();
        let shown =
            arguments.map(|(name, value)| (visible_json(&json!(name)), visible_json(value)));
        Self {
            arguments: shown.collect(),
            digest: call.digest().to_string(),
        }
    }
}

/// One call of a session.
#[derive(Debug)]
pub(crate) struct CallView {
    pub(crate) time: String,
    pub(crate) tool: String,
    pub(crate) resources: String,
    pub(crate) delegates: String,
    pub(crate) allowed: bool,
    pub(crate) code: String,
}

impl CallView {
    pub(crate) fn of(call: &CallDecision) -> Self {
        Self {
            time: clock_time(call.time),
            tool: call.tool.clone(),
            resources: call.resources.join(", "),
            delegates: call.delegates.join(" → "),
            allowed: call.allowed,
            code: call.code.clone().unwrap_or_default(),
        }
    }

    /// The last of the calls that were alike.
    pub(crate) fn of_usage(usage: &Usage) -> Self {
        Self {
            time: clock_time(usage.last_at),
            tool: usage.tool.clone(),
            resources: String::new(),
            delegates: usage.delegates.join(" → "),
            allowed: usage.allowed,
            code: usage.code.clone(),
        }
    }
}
