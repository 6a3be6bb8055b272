//! A step-up: what a live session holds already, and its union with what is asked for now.
//!
//! What was held is part of the new request and so of its digest: the page shows the difference,
//! and all of it is approved anew.

use serde_json::{Value, json};

use super::{Application, RequestedTool, ToolScope};
use crate::catalogue::CatalogueSnapshot;

/// The live session that a request builds on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) session: String,
    pub(crate) tools: Vec<ToolScope>,
}

impl Held {
    /// What a session holds. Exact calls are left out: what is left of them is the gateway's to
    /// know, and the same calls approved anew could be made once more.
    pub(crate) fn of(session: String, granted: Vec<ToolScope>) -> Self {
        let tools = granted.into_iter().filter(|tool| tool.calls.is_empty());
        Self {
            session,
            tools: tools.collect(),
        }
    }

    /// Whether the session holds this already, under the same limits.
    pub(crate) fn covers(
        &self,
        scope: &ToolScope,
        resource: &bailiwick_datalog::ResourcePath,
    ) -> bool {
        self.tools
            .iter()
            .filter(|held| same_terms(held, scope))
            .any(|held| held.resources.iter().any(|top| resource.is_under(top)))
    }

    /// Adds to `tools` what the session holds, the application still allows and the catalogue
    /// still lists as it was. Where the new request sets other limits on a tool, what is held
    /// under the old ones is left out, unless it is held under none: the new limits would hold for
    /// all of it, and the union allows nothing that neither of the two did.
    pub(super) fn join(
        &self,
        tools: &mut Vec<RequestedTool>,
        application: &Application,
        catalogue: &CatalogueSnapshot,
    ) {
        for held in self
            .tools
            .iter()
            .filter(|held| application.allows(&held.name))
        {
            match tools.iter_mut().find(|tool| tool.scope.name == held.name) {
                Some(tool) if same_terms(held, &tool.scope) || is_unlimited(held, &tool.scope) => {
                    let wider: Vec<_> = held
                        .resources
                        .iter()
                        .filter(|path| !tool.scope.resources.iter().any(|top| path.is_under(top)))
                        .cloned()
                        .collect();
                    tool.scope.resources.extend(wider);
                }
                Some(_) => {}
                None => {
                    let known = catalogue.tool(&held.name);
                    if let Some(known) = known.filter(|known| known.access == held.access) {
                        tools.push(RequestedTool::new(held.clone(), known));
                    }
                }
            }
        }
    }

    pub(super) fn to_stored(&self) -> Value {
        let tools: Vec<Value> = self
            .tools
            .iter()
            .map(|tool| Value::Object(tool.to_json()))
            .collect();
        json!({"session": self.session, "tools": tools})
    }
}

/// True when a held tool has no limits at all, and so none that a request could take off.
fn is_unlimited(held: &ToolScope, asked: &ToolScope) -> bool {
    let open = held.args.is_empty() && !held.closed_arguments && held.calls.is_empty();
    held.access == asked.access && open
}

fn same_terms(a: &ToolScope, b: &ToolScope) -> bool {
    a.name == b.name
        && a.access == b.access
        && a.args == b.args
        && a.closed_arguments == b.closed_arguments
        && a.calls == b.calls
}
