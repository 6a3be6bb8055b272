//! What has to hold beyond the role, before an approval counts: the application's tools and
//! rules, ceilings, and that nobody approves their own request.

use bailiwick_datalog::Timestamp;

use super::DecisionError;
use crate::{
    access_request::{AccessRequest, Application},
    narrowing::Granted,
    oauth::client::Identity,
    people::{Authority, AuthorityError, authority},
    rules::Demands,
    store::{Change, FirstApproval, StoreError, accounts, applications, first_approvals},
};

/// What was found out about a request inside the change that decides it.
pub(super) struct Conditions {
    /// The first approval, where there is one.
    pub(super) first: Option<FirstApproval>,
    /// Who gave a first approval that counts no more; it is deleted in the same change.
    pub(super) void_first: Option<String>,
    /// This approval is a first one, and another has to follow.
    pub(super) needs_another: bool,
}

impl Conditions {
    /// What the first approver told the agent.
    pub(super) fn words_of_first(&self) -> Option<String> {
        self.first.as_ref()?.instructions.clone()
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
    authority: &Authority,
    now: Timestamp,
) -> Result<Conditions, DecisionError> {
    let application = applications::live_application_in(change, &request.application).await?;
    let application = application.ok_or(DecisionError::NotFound)?;
    check_tools(&application, granted)?;
    check_not_self(request, authority)?;
    let beyond = authority.beyond(granted);
    if !beyond.is_empty() {
        return Err(DecisionError::BeyondCeiling(beyond));
    }
    let demands = Demands::of(&application.rules, &granted.tools);
    let stored = first_approvals::first_in(change, id).await?;
    let first = standing(change, stored.clone(), request, now).await?;
    let void_first = stored.filter(|_| first.is_none());
    if void_first.is_some() {
        first_approvals::delete(change, id).await?;
    }
    if let Some(first) = &first {
        check_second(first, granted, authority)?;
    }
    let needs_another = demands.two_approvers && first.is_none();
    Ok(Conditions {
        first,
        void_first: void_first.map(|first| first.user_name),
        needs_another,
    })
}

/// A first approval, if whoever gave it could still give it: one by somebody who since lost the
/// account, the role, the application or the ceiling for it counts no more.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn standing(
    change: &mut Change,
    first: Option<FirstApproval>,
    request: &AccessRequest,
    now: Timestamp,
) -> Result<Option<FirstApproval>, StoreError> {
    let Some(first) = first else { return Ok(None) };
    let Some(giver) = accounts::account_of_id_in(change, &first.account).await? else {
        return Ok(None);
    };
    let still = match authority(change, &giver, &request.application, now).await {
        Ok(still) => still,
        Err(AuthorityError::Unseen | AuthorityError::NotYours) => return Ok(None),
        Err(AuthorityError::Store(cause)) => return Err(cause),
    };
    // Somebody who stood in for one approver does not do so for another unasked.
    let same_behalf = still
        .on_behalf_of
        .as_ref()
        .is_none_or(|account| first.on_behalf_of.as_ref() == Some(&account.id));
    let good = same_behalf && !is_self(request, &still) && still.beyond(&first.granted).is_empty();
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

/// A workload does not approve what it asked for.
fn check_not_self(request: &AccessRequest, authority: &Authority) -> Result<(), DecisionError> {
    if is_self(request, authority) {
        return Err(DecisionError::SelfApproval);
    }
    Ok(())
}

/// True where the one who asks may be the one who would approve, or for whom it would be approved.
/// Whoever asks without proving who they are may be any workload: an account of one decides what
/// was asked for under another proved identity, and nothing else.
pub(super) fn is_self(request: &AccessRequest, authority: &Authority) -> bool {
    let identity = request
        .requester
        .as_ref()
        .map(|requester| &requester.identity);
    let proved = match identity {
        Some(Identity::Proved { subject, .. }) => Some(subject),
        Some(Identity::Claimed) | None => None,
    };
    let mut workloads = authority
        .persons()
        .filter_map(|account| account.workload_identity.as_ref());
    workloads.any(|own| proved.is_none_or(|subject| own == subject))
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
