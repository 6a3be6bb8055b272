//! The list of what waits, with agents that ask very often folded into one line each.

use std::collections::{BTreeMap, HashSet};

use super::{failure::Failure, views::WaitingView};
use crate::{
    core::{Core, Unavailable},
    fatigue::{AgentKey, PROMPTS_AN_HOUR},
    people::Sight,
    store::WaitingRequest,
};

/// What waits for somebody.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) requests: Vec<WaitingView>,
    pub(crate) folded: Vec<FoldedView>,
    pub(crate) hidden: Vec<HiddenView>,
}

/// An agent that asks very often.
#[derive(Debug)]
pub(crate) struct FoldedView {
    /// The name it gives itself.
    pub(crate) agent: String,
    /// How many of its requests wait.
    pub(crate) waiting: i64,
    /// How often it asked in the last hour.
    pub(crate) prompts: i64,
    /// The address of the page that lists them.
    pub(crate) path: String,
}

/// What waits in an application beyond what is listed.
#[derive(Debug)]
pub(crate) struct HiddenView {
    /// Its id.
    pub(crate) application: String,
    pub(crate) count: i64,
}

impl Core {
    /// What waits in the applications seen; with `only`, everything of that one agent.
    pub(crate) async fn waiting_list(
        &self,
        sight: &Sight,
        only: Option<AgentKey>,
    ) -> Result<Waiting, Failure> {
        let now = self.clock.now().utc;
        let unavailable = |error| Failure::from(Unavailable::from(error));
        let waiting = self.store.waiting_requests(sight, only, now).await;
        let prompts = self.store.prompts_lately(now).await.map_err(unavailable)?;
        let mut list = Waiting::default();
        let mut lines: HashSet<AgentKey> = HashSet::new();
        // What of each application is on the page, be it in a folded line.
        let mut unlisted: BTreeMap<String, i64> = BTreeMap::new();
        for waiting in waiting.map_err(unavailable)? {
            let application = waiting.request.request.application.to_string();
            let unlisted = unlisted
                .entry(application)
                .or_insert(waiting.of_application);
            let asked = waiting.agent.and_then(|agent| prompts.get(&agent)).copied();
            let asked = asked.unwrap_or(0);
            let often = asked > PROMPTS_AN_HOUR || waiting.of_agent > PROMPTS_AN_HOUR;
            match waiting.agent {
                Some(agent) if often && only.is_none() => {
                    if lines.insert(agent) {
                        *unlisted = unlisted.saturating_sub(waiting.of_agent);
                        list.folded.push(FoldedView::of(&waiting, agent, asked));
                    }
                }
                _ => {
                    *unlisted = unlisted.saturating_sub(1);
                    list.requests.push(WaitingView::of(&waiting.request, now));
                }
            }
        }
        list.hidden = unlisted
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(application, count)| HiddenView { application, count })
            .collect();
        Ok(list)
    }
}

impl FoldedView {
    fn of(waiting: &WaitingRequest, agent: AgentKey, prompts: i64) -> Self {
        Self {
            agent: waiting.request.request.agent.to_string(),
            waiting: waiting.of_agent,
            prompts,
            path: format!("/approvals?agent={}", agent.to_hex()),
        }
    }
}
