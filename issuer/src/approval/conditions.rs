//! What has to hold beyond the role, before an approval counts: the application's tools and
//! rules, ceilings, and that nobody approves their own request.

use super::DecisionError;
use crate::{
    access_request::{AccessRequest, Application},
    narrowing::Granted,
    oauth::client::Identity,
    people::Authority,
    rules::Demands,
    store::{Change, FirstApproval, applications, first_approvals},
};

/// What was found out about a request inside the change that decides it.
pub(super) struct Conditions {
    /// The first approval, where there is one.
    pub(super) first: Option<FirstApproval>,
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
    let first = first_approvals::first_in(change, id).await?;
    if let Some(first) = &first {
        check_second(first, granted, authority)?;
    }
    let needs_another = demands.two_approvers && first.is_none();
    Ok(Conditions {
        first,
        needs_another,
    })
}

/// The application may have been narrowed since the request was made.
fn check_tools(application: &Application, granted: &Granted) -> Result<(), DecisionError> {
    let mut names = granted.tools.iter().map(|scope| &scope.name);
    match names.find(|name| !application.allows(name)) {
        Some(name) => Err(DecisionError::ToolNotAllowed(name.clone())),
        None => Ok(()),
    }
}

/// A workload that asks under an identity it proved does not approve under the same.
fn check_not_self(request: &AccessRequest, authority: &Authority) -> Result<(), DecisionError> {
    if is_self(request, authority) {
        return Err(DecisionError::SelfApproval);
    }
    Ok(())
}

/// True where the one who asks is the one who would approve, or for whom it would be approved.
pub(super) fn is_self(request: &AccessRequest, authority: &Authority) -> bool {
    let identity = request
        .requester
        .as_ref()
        .map(|requester| &requester.identity);
    let Some(Identity::Proved { subject, .. }) = identity else {
        return false;
    };
    authority
        .persons()
        .any(|account| account.workload_identity.as_ref() == Some(subject))
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
        account.id == first.account || first.on_behalf_of.as_ref() == Some(&account.id)
    })
}
