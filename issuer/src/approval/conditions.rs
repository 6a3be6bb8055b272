//! What has to hold beyond the role, before an approval counts: the application's tools and
//! rules, ceilings, what a step-up builds on, and that nobody approves their own request.

use bailiwick_datalog::{Principal, Timestamp};

use super::DecisionError;
use crate::{
    access_request::{AccessRequest, Application},
    narrowing::Granted,
    oauth::client::Identity,
    people::{Authority, AuthorityError, authorities},
    rules::{Demands, Rule},
    store::{Change, FirstApproval, StoreError, accounts, applications, first_approvals, sessions},
};

/// What was found out about a request inside the change that decides it.
pub(super) struct Conditions {
    /// The authority that it is approved with.
    pub(super) authority: Authority,
    /// The first approval, where there is one.
    pub(super) first: Option<FirstApproval>,
    /// Who gave a first approval that counts no more; it is deleted in the same change.
    pub(super) void_first: Option<Principal>,
    /// This approval is a first one, and another has to follow.
    pub(super) needs_another: bool,
    /// Whoever approves has to touch a passkey for it.
    pub(super) needs_passkey: bool,
}

impl Conditions {
    /// What the first approver told the agent.
    pub(super) fn words_of_first(&self) -> Option<String> {
        self.first.as_ref()?.instructions.clone()
    }

    /// On whose behalf the agent acts: whoever approved first, because the program that asks is
    /// theirs.
    pub(super) fn principal(&self) -> &Principal {
        match &self.first {
            Some(first) => &first.user_name,
            None => &self.authority.account.user_name,
        }
    }
}

/// Checks an approval against everything the store says at this moment.
///
/// # Errors
/// [`DecisionError`] naming what is in the way.
pub(super) async fn check(
    change: &mut Change,
    id: &str,
    request: &AccessRequest,
    granted: &Granted,
    authority: Authority,
    now: Timestamp,
) -> Result<Conditions, DecisionError> {
    let application = applications::live_application_in(change, &request.application).await?;
    let application = application.ok_or(DecisionError::NotFound)?;
    check_tools(&application, granted)?;
    let stored = first_approvals::first_in(change, id).await?;
    let rules = &application.rules;
    let first = standing(change, stored.clone(), request, rules, now).await?;
    check_authority(request, granted, first.as_ref(), &authority)?;
    let void_first = stored.filter(|_| first.is_none());
    if void_first.is_some() {
        first_approvals::delete(change, id).await?;
    }
    let demands = Demands::of(rules, &granted.tools);
    if let Some(tool) = demands.exact_calls.into_iter().next() {
        return Err(DecisionError::NeedsExactCalls(tool));
    }
    let conditions = Conditions {
        authority,
        needs_another: demands.two_approvers && first.is_none(),
        needs_passkey: demands.passkey,
        first,
        void_first: void_first.map(|first| first.user_name),
    };
    if !held_stands(change, request, conditions.principal(), now).await? {
        return Err(DecisionError::HeldOver);
    }
    Ok(conditions)
}

fn check_authority(
    request: &AccessRequest,
    granted: &Granted,
    first: Option<&FirstApproval>,
    authority: &Authority,
) -> Result<(), DecisionError> {
    if let Some(why) = not_for(request, authority) {
        return Err(why.into());
    }
    let beyond = authority.beyond(granted);
    if !beyond.is_empty() {
        return Err(DecisionError::BeyondCeiling(beyond));
    }
    match first {
        Some(first) => check_second(first, granted, authority),
        None => Ok(()),
    }
}

/// Whether what a step-up builds on is still so: the session lives, and is of the same program
/// and the same person. True where it builds on nothing.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn held_stands(
    change: &mut Change,
    request: &AccessRequest,
    principal: &Principal,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (Some(held), Some(requester)) = (&request.held, &request.requester) else {
        return Ok(request.held.is_none());
    };
    let client = &requester.client_id;
    sessions::is_live_of(change, &held.session, client, principal, now).await
}

/// A first approval, if whoever gave it could still give it so: one by somebody who since lost the
/// account, the role, the application or the ceiling for it counts no more, nor does one that no
/// passkey confirmed, or one that was removed since, where the rules demand a passkey by now.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn standing(
    change: &mut Change,
    first: Option<FirstApproval>,
    request: &AccessRequest,
    rules: &[Rule],
    now: Timestamp,
) -> Result<Option<FirstApproval>, StoreError> {
    let Some(first) = first else { return Ok(None) };
    if Demands::of(rules, &first.granted.tools).passkey && !first.touched {
        return Ok(None);
    }
    let Some(giver) = accounts::account_of_id_in(change, &first.account).await? else {
        return Ok(None);
    };
    let all = match authorities(change, &giver, &request.application, now).await {
        Ok(all) => all,
        Err(AuthorityError::Unseen | AuthorityError::NotYours) => return Ok(None),
        Err(AuthorityError::Store(cause)) => return Err(cause),
    };
    // Somebody who stood in for one approver does not do so for another unasked.
    let as_then = |authority: &Authority| {
        let behalf = authority.on_behalf_of.as_ref();
        behalf.is_none_or(|account| first.on_behalf_of.as_ref() == Some(&account.id))
    };
    let good = all
        .iter()
        .filter(|authority| as_then(authority))
        .any(|still| not_for(request, still).is_none() && still.beyond(&first.granted).is_empty());
    Ok(good.then_some(first))
}

/// The application may have been narrowed since the request was made.
fn check_tools(application: &Application, granted: &Granted) -> Result<(), DecisionError> {
    let mut names = granted.tools.iter().map(|scope| &scope.name);
    match names.find(|name| !application.allows(name)) {
        Some(name) => Err(DecisionError::ToolNotAllowed(name.clone())),
        None => Ok(()),
    }
}

/// Why a request is not for somebody to decide, whatever they may grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFor {
    /// They proved that it is theirs.
    Own,
    /// Nobody proved whose it is, and they are a workload.
    MaybeOwn,
}

impl From<NotFor> for DecisionError {
    fn from(why: NotFor) -> Self {
        match why {
            NotFor::Own => Self::SelfApproval,
            NotFor::MaybeOwn => Self::MaybeSelf,
        }
    }
}

/// Whether the one who asks may be the one who would approve, or for whom it would be approved: by
/// the identity of the account's workload, or by the name under which an identity provider signs
/// it in. Whoever asks without proving who they are may be any workload: an account of one decides
/// what was asked for under another proved identity, and nothing else.
pub(super) fn not_for(request: &AccessRequest, authority: &Authority) -> Option<NotFor> {
    let requester = request.requester.as_ref();
    let mut workloads = authority
        .persons()
        .filter_map(|account| account.workload_identity.as_ref());
    match requester.map(|requester| &requester.identity) {
        Some(Identity::Proved { subject, .. }) => {
            let own = authority.has_subject(subject) || workloads.any(|own| own == subject);
            own.then_some(NotFor::Own)
        }
        Some(Identity::Claimed) | None => workloads.next().map(|_| NotFor::MaybeOwn),
    }
}

/// The second approver is another person and grants no more than the first did.
fn check_second(
    first: &FirstApproval,
    granted: &Granted,
    authority: &Authority,
) -> Result<(), DecisionError> {
    if is_same_person(first, authority) {
        return Err(DecisionError::SamePerson);
    }
    if !granted.is_within_grant(&first.granted) {
        return Err(DecisionError::WiderThanFirst);
    }
    Ok(())
}

/// True where somebody who gave the first approval, or for whom it was given, would give the
/// second.
pub(super) fn is_same_person(first: &FirstApproval, authority: &Authority) -> bool {
    authority.persons().any(|account| {
        let workload = account.workload_identity.as_ref();
        account.id == first.account
            || first.on_behalf_of.as_ref() == Some(&account.id)
            || (workload.is_some() && first.workload_identity.as_ref() == workload)
    })
}
