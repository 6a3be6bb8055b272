//! What somebody may grant of a request, said on the page before they try.
//!
//! It helps and decides nothing: what counts is checked when the decision comes in.

use std::time::Duration;

use bailiwick_datalog::{CallDigest, ResourcePath};

use crate::{
    access_request::{AccessRequest, Application, ExactCall, RequestedTool, Selection, ToolScope},
    approval::Outlook,
    duration_text,
    narrowing::{Choice, ResourceKey, added_limits},
    people::Ceiling,
    store::{FirstApproval, StoredRequest},
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
    /// What else they should know before they decide.
    pub(crate) notes: Vec<String>,
    /// For whom they would decide, where they stand in for several.
    pub(crate) behalf: String,
    /// For whom else they could, each with the address of the page that shows it.
    pub(crate) other_behalves: Vec<(String, String)>,
    /// A touch of a passkey may be demanded.
    pub(crate) passkey: bool,
    tools: Vec<ToolMark>,
}

/// What is to be said about one tool.
#[derive(Debug, Default)]
struct ToolMark {
    /// Why it cannot be granted at all.
    barred: Option<String>,
    /// The first approver kept it.
    kept: bool,
    resources: Vec<ResourceMark>,
    /// Whether each exact call is ticked at first.
    calls: Vec<bool>,
    /// The limits to start from, beyond those that were asked for, one a line.
    limits: String,
    /// Whether other arguments are ruled out beyond what was asked for.
    closed: bool,
}

/// What is to be said about one resource.
#[derive(Debug, Default)]
pub(crate) struct ResourceMark {
    /// Why it cannot be granted as it is, and what could be granted instead.
    pub(crate) note: Option<String>,
    /// None of it can be granted.
    pub(crate) barred: bool,
    /// Whether its box is ticked at first.
    pub(crate) ticked: bool,
    /// The path to start from.
    pub(crate) path: String,
}

impl MayGrant {
    pub(crate) fn of(outlook: &Outlook, stored: &StoredRequest, application: &Application) -> Self {
        let authority = outlook.authority.as_ref();
        let ceilings: Vec<&Ceiling> = authority
            .into_iter()
            .flat_map(|authority| authority.persons().map(|account| &account.ceiling))
            .collect();
        let asked = stored.request.duration;
        let limits = ceilings.iter().filter_map(|ceiling| ceiling.longest());
        let first = outlook.first.as_ref();
        let longest = limits
            .chain(first.map(|first| first.granted.duration))
            .chain([application.max_duration])
            .min()
            .unwrap_or(Duration::MAX);
        let marks = stored.request.tools.iter();
        let preselected = stored.request.selection == Selection::Asked;
        let marks = marks.map(|tool| {
            let mut mark = ToolMark::of(tool, &ceilings, application, first);
            // Of all there is, nothing is picked before somebody picks it.
            mark.kept &= preselected || first.is_some();
            mark
        });
        let others = outlook.other_behalves.iter();
        let others = others.map(|name| (name.clone(), behalf_path(&stored.id, name)));
        Self {
            behalf: outlook.behalf.clone().unwrap_or_default(),
            other_behalves: others.collect(),
            decides: authority.is_some(),
            passkey: outlook.demands_passkey(),
            duration: duration_text::format(asked.min(longest)),
            duration_note: (longest < asked)
                .then(|| format!("You may grant {}.", duration_text::in_words(longest))),
            notes: outlook.notes(),
            tools: marks.collect(),
        }
    }

    /// Why the tool at that place of the list cannot be granted.
    pub(crate) fn barred(&self, tool: &usize) -> Option<&str> {
        self.tools.get(*tool)?.barred.as_deref()
    }

    /// Whether its box is ticked at first.
    pub(crate) fn ticked(&self, tool: &usize) -> bool {
        let mark = self.tools.get(*tool);
        mark.is_some_and(|mark| mark.kept && mark.barred.is_none())
    }

    /// Whether an exact call of that tool is ticked at first.
    pub(crate) fn keeps_call(&self, tool: &usize, call: &usize) -> bool {
        let mark = self.tools.get(*tool);
        mark.and_then(|mark| mark.calls.get(*call))
            .is_some_and(|kept| *kept)
    }

    /// The limits of that tool to start from, beyond those that were asked for.
    pub(crate) fn limits(&self, tool: &usize) -> &str {
        self.tools.get(*tool).map_or("", |mark| &mark.limits)
    }

    /// Whether other arguments of that tool are ruled out at first.
    pub(crate) fn closed(&self, tool: &usize) -> bool {
        self.tools.get(*tool).is_some_and(|mark| mark.closed)
    }

    /// The same with what somebody filled in as the start.
    pub(crate) fn filled_in(mut self, choice: &Choice, request: &AccessRequest) -> Self {
        self.duration.clone_from(&choice.duration);
        for (mark, tool) in self.tools.iter_mut().zip(&request.tools) {
            mark.fill_in(choice, tool.scope.name.as_str());
        }
        self
    }

    /// What is to be said about a resource of that tool.
    pub(crate) fn resource(&self, tool: &usize, resource: &usize) -> Option<&ResourceMark> {
        self.tools.get(*tool)?.resources.get(*resource)
    }
}

/// The page of a request as somebody sees it who decides for that approver.
fn behalf_path(id: &str, user_name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(user_name.as_bytes()).collect();
    format!("/approvals/{id}?on_behalf_of={name}")
}

impl ToolMark {
    fn of(
        tool: &RequestedTool,
        ceilings: &[&Ceiling],
        application: &Application,
        first: Option<&FirstApproval>,
    ) -> Self {
        let scope = &tool.scope;
        let beyond = ceilings
            .iter()
            .find_map(|ceiling| ceiling.tool_beyond(&scope.name, scope.access));
        let barred = match beyond {
            _ if !application.allows(&scope.name) => {
                Some("The application does not use this tool any more.".to_owned())
            }
            Some(beyond) => Some(format!("You may not grant {beyond}.")),
            None => None,
        };
        let mut granted: Option<Vec<&ResourcePath>> = first.map(|first| {
            let kept = first
                .granted
                .tools
                .iter()
                .filter(|kept| kept.name == scope.name);
            kept.flat_map(|kept| &kept.resources).collect()
        });
        let kept = granted.as_ref().is_none_or(|paths| !paths.is_empty());
        let mut kept_scopes = first.into_iter().flat_map(|first| &first.granted.tools);
        let kept_scope = kept_scopes.find(|kept| kept.name == scope.name);
        let resources = scope.resources.iter();
        let resources = resources.map(|path| ResourceMark::of(path, ceilings, granted.as_mut()));
        Self {
            barred,
            kept,
            resources: resources.collect(),
            calls: calls_kept(scope, first),
            limits: kept_scope
                .map_or_else(String::new, |kept| added_limits(kept, scope).join("\n")),
            closed: kept_scope.is_some_and(|kept| kept.closed_arguments && !scope.closed_arguments),
        }
    }
}

impl ToolMark {
    fn fill_in(&mut self, choice: &Choice, tool: &str) {
        let key = |index| ResourceKey {
            tool: tool.to_owned(),
            index,
        };
        self.kept = choice.tools.contains(tool);
        for (index, resource) in self.resources.iter_mut().enumerate() {
            resource.ticked = choice.resources.contains(&key(index));
            if let Some(path) = choice.paths.get(&key(index)) {
                resource.path.clone_from(path);
            }
        }
        for (index, kept) in self.calls.iter_mut().enumerate() {
            *kept = choice.calls.contains(&key(index));
        }
        self.limits = choice.limits.get(tool).cloned().unwrap_or_default();
        self.closed = choice.closed.contains(tool);
    }
}

/// Which calls the first approver kept, each as often as they did; all where there was none.
fn calls_kept(scope: &ToolScope, first: Option<&FirstApproval>) -> Vec<bool> {
    let Some(first) = first else {
        return vec![true; scope.calls.len()];
    };
    let granted = first.granted.tools.iter();
    let granted = granted.filter(|kept| kept.name == scope.name);
    let mut left: Vec<CallDigest> = granted
        .flat_map(|kept| kept.calls.iter().map(ExactCall::digest))
        .collect();
    let calls = scope.calls.iter().map(ExactCall::digest);
    calls
        .map(|call| {
            let at = left.iter().position(|kept| *kept == call);
            at.map(|at| left.remove(at)).is_some()
        })
        .collect()
}

impl ResourceMark {
    /// `granted` are the paths the first approver granted of the tool, each used once.
    fn of(
        path: &ResourcePath,
        ceilings: &[&Ceiling],
        granted: Option<&mut Vec<&ResourcePath>>,
    ) -> Self {
        let first = granted.map(|granted| {
            let at = granted.iter().position(|kept| kept.is_under(path));
            at.map(|at| granted.remove(at))
        });
        let start = match first {
            Some(Some(kept)) => kept,
            Some(None) | None => path,
        };
        let kept = first.is_none_or(|kept| kept.is_some());
        let limit = ceilings.iter().find(|ceiling| !ceiling.covers(start));
        let parts = limit.map(|ceiling| ceiling.parts_within(start));
        let note = parts.as_ref().map(|parts| {
            let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            if parts.is_empty() {
                "You may not grant this.".to_owned()
            } else {
                format!("You may grant only what is under {}.", parts.join(" or "))
            }
        });
        Self {
            ticked: kept && note.is_none(),
            barred: parts.is_some_and(|parts| parts.is_empty()),
            note,
            path: start.to_string(),
        }
    }
}
