//! What the pages show, as plain text: a template decides nothing.
//!
//! Text from agents was made visible at intake and is escaped by the templates. People and
//! applications are in `people`.

mod people;

use bailiwick_datalog::{Access, Caveat, Timestamp};
use serde_json::{Map, Value};

use super::call_view::CallArguments;
use crate::{
    access_request::{AccessRequest, Held, NO_TASK, Requester, Selection, ToolScope},
    duration_text, look_alike,
    oauth::client::{ClientKind, Identity},
    store::{CallCounts, StoredRequest, StoredSession},
    text::visible_line,
};

pub(crate) use people::{
    AccountView, ApplicationView, DelegationView, PasskeyView, PasskeysView, account_path,
};

/// Longest excerpt of a task in a list, in characters.
const EXCERPT_CHARS: usize = 160;
/// `in_words` cuts each text after 200 characters; a limit shorter than this was not cut.
const MAX_UNCUT_CHARS: usize = 200;

/// A request in the list.
#[derive(Debug)]
pub(crate) struct WaitingView {
    pub(crate) id: String,
    pub(crate) agent: String,
    pub(crate) task: String,
    pub(crate) tools: Vec<String>,
    pub(crate) highest_risk: RiskView,
    pub(crate) duration: String,
    pub(crate) user_code: String,
    pub(crate) expires_in: String,
}

/// A request in full.
#[derive(Debug)]
pub(crate) struct RequestView {
    pub(crate) id: String,
    pub(crate) application: String,
    pub(crate) client: Option<ClientView>,
    pub(crate) agent: String,
    pub(crate) task: String,
    pub(crate) task_stated: bool,
    /// The approver picks from all there is, and may pick nothing.
    pub(crate) offered: bool,
    /// It came through this browser, so no code was typed.
    pub(crate) in_browser: bool,
    /// The request adds to what a live session holds.
    pub(crate) adds: bool,
    pub(crate) audience: String,
    pub(crate) holder_bound: bool,
    pub(crate) user_code: String,
    pub(crate) asked_at: String,
    pub(crate) expires_in: String,
    pub(crate) duration_words: String,
    pub(crate) decided_at: Option<String>,
    pub(crate) decided_by: Option<String>,
    pub(crate) tools: Vec<ToolView>,
    /// What to tell of names that look like others.
    pub(crate) look_alikes: Vec<String>,
}

/// The program that asks: what it says of itself, and what is known.
#[derive(Debug)]
pub(crate) struct ClientView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// How the issuer came to know it.
    pub(crate) origin: &'static str,
    /// Whom a proof names; nothing was proved without.
    pub(crate) proved: Option<String>,
    /// Where the browser goes with the answer.
    pub(crate) returns_to: Option<String>,
}

/// A resource of a tool.
#[derive(Debug)]
pub(crate) struct ResourceView {
    pub(crate) path: String,
    /// A live session of the client has this already.
    pub(crate) held: bool,
}

impl std::fmt::Display for ResourceView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}

/// A tool with its limits.
#[derive(Debug)]
pub(crate) struct ToolView {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) risk: RiskView,
    pub(crate) resources: Vec<ResourceView>,
    pub(crate) limits: Vec<LimitView>,
    /// The only calls it is for, if it is for exact calls.
    pub(crate) calls: Vec<CallArguments>,
}

/// A limit on the arguments of a tool.
#[derive(Debug)]
pub(crate) struct LimitView {
    pub(crate) words: String,
    /// The limit in full where the words may have been cut.
    pub(crate) full: Option<String>,
}

/// How much harm a tool can do, in a word, a sentence and a style.
#[derive(Clone, Debug)]
pub(crate) struct RiskView {
    pub(crate) word: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) class: &'static str,
}

/// A session in the list or in full.
#[derive(Debug)]
pub(crate) struct SessionView {
    pub(crate) id: String,
    pub(crate) approval: String,
    pub(crate) application: String,
    pub(crate) agent: String,
    pub(crate) task: String,
    pub(crate) excerpt: String,
    pub(crate) principal: String,
    pub(crate) state: StateView,
    pub(crate) live: bool,
    pub(crate) remaining: String,
    pub(crate) approved_at: String,
    pub(crate) expires_at: String,
    pub(crate) collected_at: Option<String>,
    pub(crate) revoked_at: Option<String>,
    pub(crate) revoked_by: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) tools: Vec<ToolView>,
    /// How many calls were allowed and refused, in words.
    pub(crate) counts: String,
}

/// What became of a session, in a word and a style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateView {
    pub(crate) word: &'static str,
    pub(crate) class: &'static str,
}

impl RiskView {
    pub(crate) fn of(access: Access) -> Self {
        let (word, sentence, class) = match access {
            Access::Read => ("read", "Looks, changes nothing", "risk-read"),
            Access::Write => ("write", "Creates or changes things", "risk-write"),
            Access::Destructive => (
                "destructive",
                "Removes or overwrites things for good",
                "risk-destructive",
            ),
        };
        Self {
            word,
            sentence,
            class,
        }
    }
}

impl WaitingView {
    pub(crate) fn of(stored: &StoredRequest, now: Timestamp) -> Self {
        let request = &stored.request;
        // `Access` is declared from harmless to harmful.
        let highest = request.tools.iter().map(|tool| tool.scope.access).max();
        Self {
            id: stored.id.clone(),
            agent: request.agent.to_string(),
            task: excerpt(&request.task),
            tools: request
                .tools
                .iter()
                .map(|tool| tool.scope.name.to_string())
                .collect(),
            highest_risk: RiskView::of(highest.unwrap_or(Access::Destructive)),
            duration: duration_text::in_words(request.duration),
            user_code: stored.user_code.grouped(),
            expires_in: until(stored.expires_at, now),
        }
    }
}

impl RequestView {
    pub(crate) fn of(stored: &StoredRequest, application: &str, now: Timestamp) -> Self {
        let request = &stored.request;
        let tools = request.tools.iter().map(|tool| {
            let description = tool.description.clone();
            ToolView {
                title: tool.title.clone(),
                description,
                ..ToolView::of_request(&tool.scope, request.held.as_ref())
            }
        });
        Self {
            id: stored.id.clone(),
            application: application.to_owned(),
            client: request.requester.as_ref().map(ClientView::of),
            agent: request.agent.to_string(),
            task: request.task.clone(),
            task_stated: request.task != NO_TASK,
            offered: request.selection == Selection::Offered,
            in_browser: request
                .requester
                .as_ref()
                .is_some_and(|requester| requester.returns_to.is_some()),
            adds: request.held.is_some(),
            audience: request.audience.to_string(),
            holder_bound: request.holder.is_some(),
            user_code: stored.user_code.grouped(),
            asked_at: clock_time(stored.created_at),
            expires_in: until(stored.expires_at, now),
            duration_words: duration_text::in_words(request.duration),
            decided_at: stored.decided_at.map(clock_time),
            decided_by: stored
                .decided_by
                .as_ref()
                .map(|by| match &stored.decided_on_behalf_of {
                    Some(behalf) => format!("{by} on behalf of {behalf}"),
                    None => by.clone(),
                }),
            tools: tools.collect(),
            look_alikes: look_alikes(request),
        }
    }
}

/// What to tell of the names in a request, each once.
fn look_alikes(request: &AccessRequest) -> Vec<String> {
    let client = request.requester.as_ref().map(|r| r.name.as_str());
    let names = std::iter::once(request.agent.as_str()).chain(client);
    let paths = request.tools.iter().flat_map(|tool| &tool.scope.resources);
    let paths: Vec<String> = paths.map(ToString::to_string).collect();
    let mut warnings: Vec<String> = names
        .chain(paths.iter().map(String::as_str))
        .filter_map(look_alike::warning)
        .collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

impl ClientView {
    fn of(requester: &Requester) -> Self {
        let origin = match requester.kind {
            ClientKind::Registered => "registered by an operator",
            ClientKind::Dynamic => "it registered itself; nobody has checked its name",
            ClientKind::Document => "it describes itself at the address that is its id",
        };
        let proved = match &requester.identity {
            Identity::Claimed => None,
            Identity::Proved { method, subject } => {
                Some(format!("{} ({})", visible_line(subject), method.as_str()))
            }
        };
        Self {
            id: visible_line(&requester.client_id),
            name: requester.name.clone(),
            origin,
            proved,
            returns_to: requester.returns_to.clone(),
        }
    }
}

impl ToolView {
    pub(crate) fn of(scope: &ToolScope) -> Self {
        Self::of_request(scope, None)
    }

    fn of_request(scope: &ToolScope, held: Option<&Held>) -> Self {
        let mut limits = scope.limits();
        // Each is shown on its own.
        limits.retain(|limit| !matches!(limit, Caveat::ExactCalls(_)));
        let resources = scope.resources.iter().map(|path| ResourceView {
            path: path.to_string(),
            held: held.is_some_and(|held| held.covers(scope, path)),
        });
        Self {
            name: scope.name.to_string(),
            title: scope.name.to_string(),
            description: String::new(),
            risk: RiskView::of(scope.access),
            resources: resources.collect(),
            limits: limits.iter().map(LimitView::of).collect(),
            calls: scope.calls.iter().map(CallArguments::of).collect(),
        }
    }
}

impl LimitView {
    fn of(limit: &Caveat) -> Self {
        let full = match limit {
            Caveat::Argument(argument) => {
                let mut object = Map::new();
                object.insert(argument.name.clone(), argument.rule_to_json());
                Some(Value::Object(object).to_string())
            }
            // Its names are those of the limits beside it.
            _ => None,
        };
        Self {
            words: visible_line(&limit.in_words()),
            full: full
                .map(|text| visible_line(&text))
                .filter(|text| text.chars().count() > MAX_UNCUT_CHARS),
        }
    }
}

impl SessionView {
    pub(crate) fn of(session: &StoredSession, counts: CallCounts, now: Timestamp) -> Self {
        let request = &session.request.request;
        let remaining = session.remaining(now);
        let tools = session.granted.tools.iter().map(|scope| {
            let title = request.tool(&scope.name).map(|tool| tool.title.clone());
            let view = ToolView::of(scope);
            ToolView {
                title: title.unwrap_or_else(|| view.name.clone()),
                ..view
            }
        });
        Self {
            id: session.id.to_string(),
            approval: session.request.id.clone(),
            application: request.application.to_string(),
            agent: request.agent.to_string(),
            task: request.task.clone(),
            excerpt: excerpt(&request.task),
            principal: session.principal.to_string(),
            state: StateView::of(session, now),
            live: !remaining.is_zero(),
            remaining: duration_text::in_words(remaining),
            approved_at: clock_time(session.approved_at),
            expires_at: clock_time(session.expires_at),
            collected_at: session.minted_at.map(clock_time),
            revoked_at: session.revoked_at.map(clock_time),
            revoked_by: session.revoked_by.clone(),
            instructions: session.instructions.clone(),
            tools: tools.collect(),
            counts: counts_in_words(counts),
        }
    }
}

impl StateView {
    /// The one place that names the states of a session; the operator API uses the words too.
    pub(crate) fn of(session: &StoredSession, now: Timestamp) -> Self {
        let (word, class) = if session.revoked_at.is_some() {
            ("revoked", "state-over")
        } else if session.remaining(now).is_zero() {
            ("expired", "state-over")
        } else if session.minted_at.is_none() {
            ("approved", "state-waiting")
        } else {
            ("active", "state-live")
        };
        Self { word, class }
    }
}

fn excerpt(task: &str) -> String {
    let line = task.replace('\n', " ");
    let mut shown: String = line.chars().take(EXCERPT_CHARS).collect();
    if line.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn counts_in_words(counts: CallCounts) -> String {
    let CallCounts { allowed, refused } = counts;
    let calls = if allowed == 1 { "call" } else { "calls" };
    format!("{allowed} {calls} allowed, {refused} refused")
}

fn until(end: Timestamp, now: Timestamp) -> String {
    duration_text::in_words(end.saturating_since(now))
}

/// `2026-01-31 12:00:00 UTC`.
pub(crate) fn clock_time(time: Timestamp) -> String {
    time.to_rfc3339().replace('T', " ").replace('Z', " UTC")
}
