//! A dry run: what a grant would have made of the agent's last calls.
//!
//! The calls are those that gateways reported, and the decision is the plan of a token that says
//! just what would be granted. Arguments are known to nobody but the gateway that had them: where a
//! grant limits them, nothing can be said, and nothing is.

use bailiwick_datalog::{
    Access, Authority, Call, Chain, Plan, ResourcePath, ToolName, plan::Question, token_text,
};
use bailiwick_verifier::{Denied, Now};
use serde_json::Map;

use crate::{
    access_request::{AccessRequest, Application, ToolScope},
    call_reports::MAX_NAMES,
    core::{Core, Unavailable},
    mint,
    store::CallDecision,
};

/// Most calls that are tried.
const MAX_CALLS: i64 = 50;
/// Sessions of the agent that are looked through, the latest first.
const MAX_SESSIONS: i64 = 20;

/// What a grant would have made of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allowed,
    /// With the code of the refusal.
    Refused(&'static str),
    /// It depends on the arguments, or on what was not reported.
    Unknown,
}

/// The last calls of an agent and what a grant would have made of each.
#[derive(Debug)]
pub(crate) struct DryRun {
    pub(crate) calls: Vec<(CallDecision, Outcome)>,
}

impl DryRun {
    /// How many calls would have come out so.
    pub(crate) fn count(&self, such: impl Fn(Outcome) -> bool) -> usize {
        let calls = self.calls.iter();
        calls.filter(|(_, outcome)| such(*outcome)).count()
    }
}

impl Core {
    /// Tries a grant on the last calls that were made under the agent's name in the same
    /// application; `None` where there are none.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn dry_run(
        &self,
        request: &AccessRequest,
        granted: &[ToolScope],
        application: &Application,
    ) -> Result<Option<DryRun>, Unavailable> {
        let (agent, application_id) = (request.agent.as_str(), application.id.as_str());
        let calls = self
            .store
            .last_calls_of(application_id, agent, MAX_SESSIONS, MAX_CALLS)
            .await?;
        if calls.is_empty() {
            return Ok(None);
        }
        let tools: Vec<&ToolScope> = granted.iter().collect();
        let now = self.clock.now();
        let Ok(authority) = mint::rehearsal(request, &tools, application, now.utc) else {
            return Ok(None);
        };
        let limited: Vec<ToolName> = authority.limits.iter().map(|l| l.tool.clone()).collect();
        let unlimited = Authority {
            limits: Vec::new(),
            ..authority
        };
        let Some(plan) = self.plan_of(&unlimited, now) else {
            return Ok(None);
        };
        let tried = calls.into_iter().map(|call| {
            let outcome = outcome(&plan, &limited, request, &call, now);
            (call, outcome)
        });
        let calls = tried.collect();
        Ok(Some(DryRun { calls }))
    }

    /// The plan of a token that says this, signed with a key that nobody trusts.
    fn plan_of(&self, authority: &Authority, now: Now) -> Option<Plan> {
        let token = self.rehearsal.sign(authority, now, &self.entropy).ok()?;
        let bytes = token_text::decode(token.expose()).ok()?;
        Chain::decode_unverified(&bytes).ok().map(Plan::compile)
    }
}

/// `plan` is that of the grant without its limits on calls: what it refuses, no limit allows.
fn outcome(
    plan: &Plan,
    limited: &[ToolName],
    request: &AccessRequest,
    made: &CallDecision,
    now: Now,
) -> Outcome {
    let Some(call) = call_of(made) else {
        return Outcome::Unknown;
    };
    let question = Question {
        time: now.utc,
        audience: &request.audience,
        call: &call,
    };
    match plan.decide(&question) {
        Err(refused) => Outcome::Refused(Denied::from(refused).code()),
        Ok(_) if limited.contains(&call.tool) => Outcome::Unknown,
        Ok(_) => Outcome::Allowed,
    }
}

/// The call as far as it was reported; `None` where a part is missing or was cut.
fn call_of(made: &CallDecision) -> Option<Call> {
    let whole = made.resources.len() < MAX_NAMES && !made.resources.is_empty();
    let resources = made
        .resources
        .iter()
        .map(|text| ResourcePath::parse(text).ok());
    let resources: Vec<ResourcePath> = resources.collect::<Option<_>>()?;
    let tool = ToolName::parse(made.tool.as_str()).ok()?;
    let access: Access = made.access.as_deref()?.parse().ok()?;
    whole.then(|| Call::new(tool, access, resources, &Map::new()))
}
