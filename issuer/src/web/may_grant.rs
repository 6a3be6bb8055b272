//! What somebody may grant of a request, said on the page before they try.
//!
//! It helps and decides nothing: what counts is checked when the decision comes in.

use std::time::Duration;

use bailiwick_datalog::ResourcePath;

use super::{App, failure::Failure};
use crate::{
    access_request::{Application, RequestedTool},
    core::Unavailable,
    duration_text,
    people::{Ceiling, Sight},
    store::{Account, StoredRequest},
};

/// The limits of whoever looks at a request.
#[derive(Debug)]
pub(crate) struct MayGrant {
    /// Whether they decide at all.
    pub(crate) decides: bool,
    /// The time to start from, as the form writes it.
    pub(crate) duration: String,
    /// Said where the time is less than what was asked for.
    pub(crate) duration_note: Option<String>,
    tools: Vec<ToolMark>,
}

/// What is to be said about one tool.
#[derive(Debug, Default)]
struct ToolMark {
    /// Why it cannot be granted at all.
    barred: Option<String>,
    resources: Vec<ResourceMark>,
}

/// What is to be said about one resource.
#[derive(Debug, Default)]
pub(crate) struct ResourceMark {
    /// It can be granted as it is.
    free: bool,
    /// Why not, and what could be granted instead.
    pub(crate) note: String,
    /// Part of it can be granted.
    pub(crate) in_part: bool,
}

impl MayGrant {
    pub(crate) async fn of(
        core: &App,
        account: &Account,
        stored: &StoredRequest,
        application: &Application,
    ) -> Result<Self, Failure> {
        let assigned = Sight::Assigned(account.id.clone());
        let assigned = core.store.sees(&assigned, &application.id).await;
        let decides = account.roles.approver && assigned.map_err(Unavailable::from)?;
        let ceiling = &account.ceiling;
        let asked = stored.request.duration;
        let longest = ceiling.longest().unwrap_or(Duration::MAX);
        let longest = longest.min(application.max_duration);
        let marks = stored.request.tools.iter();
        let marks = marks.map(|tool| ToolMark::of(tool, ceiling, application));
        Ok(Self {
            decides,
            duration: duration_text::format(asked.min(longest)),
            duration_note: (longest < asked)
                .then(|| format!("You may grant {}.", duration_text::in_words(longest))),
            tools: marks.collect(),
        })
    }

    /// Why the tool at that place of the list cannot be granted.
    pub(crate) fn barred(&self, tool: &usize) -> Option<&str> {
        self.tools.get(*tool)?.barred.as_deref()
    }

    /// What is to be said about a resource of that tool.
    pub(crate) fn limit(&self, tool: &usize, resource: &usize) -> Option<&ResourceMark> {
        let mark = self.tools.get(*tool)?.resources.get(*resource)?;
        (!mark.free).then_some(mark)
    }
}

impl ToolMark {
    fn of(tool: &RequestedTool, ceiling: &Ceiling, application: &Application) -> Self {
        let scope = &tool.scope;
        let barred = if application.allows(&scope.name) {
            let beyond = ceiling.tool_beyond(&scope.name, scope.access);
            beyond.map(|beyond| format!("You may not grant {beyond}."))
        } else {
            Some("The application does not use this tool any more.".to_owned())
        };
        let resources = scope.resources.iter();
        Self {
            barred,
            resources: resources
                .map(|path| ResourceMark::of(path, ceiling))
                .collect(),
        }
    }
}

impl ResourceMark {
    fn of(path: &ResourcePath, ceiling: &Ceiling) -> Self {
        if ceiling.covers(path) {
            return Self {
                free: true,
                ..Self::default()
            };
        }
        let parts: Vec<String> = ceiling
            .parts_within(path)
            .iter()
            .map(ToString::to_string)
            .collect();
        let note = if parts.is_empty() {
            "You may not grant this.".to_owned()
        } else {
            format!("You may grant only what is under {}.", parts.join(" or "))
        };
        Self {
            free: false,
            in_part: !parts.is_empty(),
            note,
        }
    }
}
