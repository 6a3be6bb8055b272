//! The list of what waits, with agents that ask very often folded into one line each.

use std::collections::HashMap;

use super::{failure::Failure, views::WaitingView};
use crate::{
    core::{Core, Unavailable},
    fatigue::{AgentKey, PROMPTS_AN_HOUR},
    people::Sight,
    store::StoredRequest,
};

/// What waits for somebody.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) requests: Vec<WaitingView>,
    pub(crate) folded: Vec<FoldedView>,
}

/// An agent that asks very often.
#[derive(Debug)]
pub(crate) struct FoldedView {
    /// The name it gives itself.
    pub(crate) agent: String,
    /// How many of its requests wait.
    pub(crate) waiting: usize,
    /// How often it asked in the last hour.
    pub(crate) prompts: i64,
    /// The address of the page that lists them.
    pub(crate) path: String,
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
        let waiting = self.store.waiting_requests(sight, now).await;
        let agents = self.store.waiting_agents(now).await.map_err(unavailable)?;
        let prompts = self.store.prompts_lately(now).await.map_err(unavailable)?;
        let mut list = Waiting {
            requests: Vec::new(),
            folded: Vec::new(),
        };
        let mut lines: HashMap<AgentKey, usize> = HashMap::new();
        for request in waiting.map_err(unavailable)? {
            let agent = agents.get(&request.id).copied();
            let asked = agent.and_then(|agent| prompts.get(&agent)).copied();
            match (agent, only) {
                (Some(agent), None) if asked.unwrap_or(0) > PROMPTS_AN_HOUR => {
                    let at = *lines.entry(agent).or_insert(list.folded.len());
                    list.fold(at, &request, agent, asked.unwrap_or(0));
                }
                (agent, Some(only)) if agent != Some(only) => {}
                _ => list.requests.push(WaitingView::of(&request, now)),
            }
        }
        Ok(list)
    }
}

impl Waiting {
    fn fold(&mut self, at: usize, request: &StoredRequest, agent: AgentKey, prompts: i64) {
        if let Some(line) = self.folded.get_mut(at) {
            line.waiting = line.waiting.saturating_add(1);
            return;
        }
        self.folded.push(FoldedView {
            agent: request.request.agent.to_string(),
            waiting: 1,
            prompts,
            path: format!("/approvals?agent={}", agent.to_hex()),
        });
    }
}
