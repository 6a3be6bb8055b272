//! What somebody is to know about a request before they decide it.

use super::{
    DecisionError,
    conditions::{self, NotFor},
};
use crate::{
    access_request::ToolScope,
    core::{Core, Unavailable},
    narrowing::Granted,
    people::{Authority, AuthorityError, authorities},
    rules::Demands,
    store::{Account, FirstApproval, StoredRequest, applications, first_approvals},
};

/// How a request looks to one person. Nothing is decided by it.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// With what authority they would decide; `None` when they may only look.
    pub(crate) authority: Option<Authority>,
    /// For whom they would decide or stand in the way, by user name; `None` for themselves.
    pub(crate) behalf: Option<String>,
    /// For whom else they could decide, by user name.
    pub(crate) other_behalves: Vec<String>,
    /// The first of two approvals, where there is one.
    pub(crate) first: Option<FirstApproval>,
    demands: Demands,
    not_for: Option<NotFor>,
    is_same_person: bool,
    held_is_over: bool,
}

impl Outlook {
    /// Whether a touch of a passkey is demanded for what is asked, or for a part of it.
    pub(crate) fn demands_passkey(&self) -> bool {
        self.demands.passkey
    }

    /// The same in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.not_for {
            Some(NotFor::Own) => notes.push(
                "This account asked for this itself. Somebody else has to decide.".to_owned(),
            ),
            Some(NotFor::MaybeOwn) => notes.push(
                "Nobody has proved who asks, and this account is a workload's. Somebody else has \
                 to decide."
                    .to_owned(),
            ),
            None => {}
        }
        if self.held_is_over {
            notes.push(
                "The session this adds to has ended or is somebody else's. Go back to the program \
                 and have it ask again."
                    .to_owned(),
            );
        }
        if let Some(behalf) = self.authority.as_ref().and_then(Authority::behalf) {
            notes.push(format!("You decide on behalf of {behalf}, who is away."));
        }
        match &self.first {
            Some(_) if self.is_same_person => notes.push(
                "You have approved this. Another person has to approve it as well.".to_owned(),
            ),
            Some(first) => notes.push(format!(
                "{} has approved what is ticked. You are the second: you may only narrow it.",
                first.user_name
            )),
            None if self.demands.two_approvers => notes.push(
                "Two persons have to approve this as it is asked for. After you, another one."
                    .to_owned(),
            ),
            None => {}
        }
        if self.authority.is_some() {
            notes.extend(self.demands.exact_calls.iter().map(|tool| {
                format!(
                    "Here {tool} is granted only for exact calls, and the agent asks for any call. \
                     Untick it, or deny the request and say so."
                )
            }));
        }
        if self.demands.passkey {
            notes.push("Your passkey has to confirm this approval as it is asked for.".to_owned());
        }
        notes
    }
}

impl Core {
    /// Whether a first person has approved a request that needs two, and still could.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn waits_for_second(&self, id: &str) -> Result<bool, Unavailable> {
        let Some(stored) = self.store.request(id).await? else {
            return Ok(false);
        };
        let (now, request) = (self.clock.now().utc, &stored.request);
        let mut look = self.store.look().await?;
        let application = applications::live_application_in(&mut look, &request.application);
        let Some(application) = application.await? else {
            return Ok(false);
        };
        let first = first_approvals::first_in(&mut look, id).await?;
        let rules = &application.rules;
        let first = conditions::standing(&mut look, first, request, rules, now).await?;
        Ok(first.is_some())
    }

    /// How a request looks to somebody at this moment, who may say for whom they would decide.
    ///
    /// # Errors
    /// [`DecisionError::Unavailable`].
    pub(crate) async fn outlook(
        &self,
        account: &Account,
        stored: &StoredRequest,
        behalf: Option<&str>,
    ) -> Result<Outlook, DecisionError> {
        let now = self.clock.now().utc;
        let request = &stored.request;
        let mut look = self.store.look().await?;
        let all = match authorities(&mut look, account, &request.application, now).await {
            Ok(all) => all,
            Err(AuthorityError::Unseen | AuthorityError::NotYours) => Vec::new(),
            Err(AuthorityError::Store(cause)) => return Err(cause.into()),
        };
        let application = applications::live_application_in(&mut look, &request.application);
        let rules = application.await?.map(|application| application.rules);
        let rules = rules.unwrap_or_default();
        let scopes: Vec<ToolScope> = request.tools.iter().map(|t| t.scope.clone()).collect();
        let first = first_approvals::first_in(&mut look, &stored.id).await?;
        let first = conditions::standing(&mut look, first, request, &rules, now).await?;
        let whole = first.as_ref().map_or_else(
            || Granted {
                duration: request.duration,
                tools: scopes.clone(),
            },
            |first| first.granted.clone(),
        );
        let in_the_way = |authority: &Authority| {
            let same = first
                .as_ref()
                .is_some_and(|first| conditions::is_same_person(first, authority));
            (conditions::not_for(request, authority), same)
        };
        let (found, other_behalves) = choose(all, behalf, |authority| {
            let barred = in_the_way(authority) != (None, false);
            (barred, authority.beyond(&whole).len())
        });
        let (not_for, is_same_person) = found.as_ref().map_or((None, false), in_the_way);
        let principal = match (&first, &found) {
            (Some(first), _) => Some(&first.user_name),
            (None, found) => found.as_ref().map(|found| &found.account.user_name),
        };
        let held_is_over = match principal {
            Some(person) => !conditions::held_stands(&mut look, request, person, now).await?,
            None => false,
        };
        let behalf = found.as_ref().and_then(Authority::behalf);
        Ok(Outlook {
            behalf: behalf.map(str::to_owned),
            authority: found.filter(|_| not_for.is_none() && !is_same_person && !held_is_over),
            other_behalves,
            demands: Demands::of(&rules, &scopes),
            first,
            not_for,
            is_same_person,
            held_is_over,
        })
    }
}

/// Of several authorities the one on behalf of whoever was named, or else the one with the least
/// in the way; and for whom the others are.
fn choose<K: Ord>(
    all: Vec<Authority>,
    behalf: Option<&str>,
    in_the_way: impl Fn(&Authority) -> K,
) -> (Option<Authority>, Vec<String>) {
    let named = |authority: &&Authority| behalf.is_some() && authority.behalf() == behalf;
    let found = all.iter().find(named);
    let found = found.or_else(|| all.iter().min_by_key(|authority| in_the_way(authority)));
    let found = found.cloned();
    let chosen = found.as_ref().and_then(Authority::behalf);
    let behalves = all.iter().filter_map(Authority::behalf);
    let others = behalves.filter(|name| Some(*name) != chosen);
    let others = others.map(str::to_owned).collect();
    (found, others)
}
