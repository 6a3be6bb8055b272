//! A person's own page: what they may do, and where they are signed in.

use std::time::Duration;

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};

use bailiwick_datalog::{Principal, Timestamp};

use super::{
    App,
    accounts::view,
    address::Path,
    cookies::Cookie,
    extract::{ApproverForm, Sending, SignedIn, SignedInForm},
    failure::{Failure, Fault, PageFailure},
    pages::{self, Frame, MePage},
    sign_in::signed_out,
    to_the_end,
    views::{DelegationView, PasskeyView},
};
use crate::{
    core::Unavailable,
    passkeys::MayAdd,
    people::{Actor, DelegationError, delegations::Period},
};

/// `GET /me`
pub(crate) async fn show(
    State(core): State<App>,
    headers: HeaderMap,
    who: SignedIn,
) -> Result<Response, PageFailure> {
    let may_add = match Cookie::Session.read(&core.settings.site, &headers) {
        Some(cookie) => core.may_add_passkey(&who.account, &cookie).await?,
        None => MayAdd::NotFresh,
    };
    let account = view(&core, &who.account).await?;
    let now = core.clock.now().utc;
    let delegations = core.store.delegations_of(&who.account.id, now).await;
    let delegations = delegations.map_err(Unavailable::from)?;
    let delegations = delegations.iter();
    let passkeys = match core.passkeys {
        Some(_) => Some(core.store.passkeys_of(&who.account.id).await),
        None => None,
    };
    let passkeys = passkeys.transpose().map_err(Unavailable::from)?;
    let page = MePage {
        frame: Frame::of(&who, "me"),
        passkeys: passkeys.map(|all| all.iter().map(PasskeyView::of).collect()),
        may_add,
        delegations: delegations
            .map(|delegation| DelegationView::of(delegation, &who.account))
            .collect(),
        account,
    };
    Ok(pages::render_with_script(&page)?.into_response())
}

/// `POST /me/delegates`
pub(crate) async fn delegate(
    State(core): State<App>,
    mut form: ApproverForm,
) -> Result<Redirect, PageFailure> {
    let back = |failure: Failure| failure.back_to("/me");
    let to = form.fields.required("user_name")?;
    let starts_at = day(&form.fields.required("from")?).map_err(back)?;
    let last = day(&form.fields.required("until")?).map_err(back)?;
    let by = form.actor();
    form.fields.finish()?;
    // The last day counts in full.
    let ends_at = last.checked_add(DAY).ok_or_else(no_day).map_err(back)?;
    let from = form.account.user_name;
    let period = Period { starts_at, ends_at };
    let named = async move { core.delegate(&by, from.as_str(), &to, period).await };
    to_the_end(named)
        .await
        .map_err(Failure::from)
        .map_err(back)?;
    Ok(Redirect::to("/me"))
}

/// `POST /me/delegates/{id}/end`
pub(crate) async fn end_delegation(
    State(core): State<App>,
    Path(id): Path<String>,
    form: ApproverForm,
) -> Result<Redirect, PageFailure> {
    said(form, move |by, name| async move {
        core.end_delegation(&by, name.as_str(), &id).await
    })
    .await
}

/// `POST /me/delegates/{id}/accept`: by the one who is to stand in.
pub(crate) async fn accept_delegation(
    State(core): State<App>,
    Path(id): Path<String>,
    form: ApproverForm,
) -> Result<Redirect, PageFailure> {
    said(form, move |by, name| async move {
        core.accept_delegation(&by, name.as_str(), &id).await
    })
    .await
}

/// `POST /me/delegates/{id}/decline`: by the one who is to stand in, or does.
pub(crate) async fn decline_delegation(
    State(core): State<App>,
    Path(id): Path<String>,
    form: SignedInForm,
) -> Result<Redirect, PageFailure> {
    said(form, move |by, name| async move {
        core.decline_delegation(&by, name.as_str(), &id).await
    })
    .await
}

/// Does what somebody says about a delegation, as whoever they are, and goes back to their page.
async fn said<N, W>(
    form: Sending<N>,
    doing: impl FnOnce(Actor, Principal) -> W,
) -> Result<Redirect, PageFailure>
where
    W: Future<Output = Result<(), DelegationError>> + Send + 'static,
{
    let by = form.actor();
    form.fields.finish()?;
    let done = to_the_end(doing(by, form.account.user_name)).await;
    done.map_err(|error| Failure::from(error).back_to("/me"))?;
    Ok(Redirect::to("/me"))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A day as browsers send it, from its first second in UTC.
fn day(text: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", text.trim())).map_err(|_| no_day())
}

fn no_day() -> Failure {
    Failure::new(Fault::InvalidDelegation, "Write days like 2026-01-31.")
}

/// `POST /me/sign-out-everywhere`: this browser too.
pub(crate) async fn sign_out_everywhere(
    State(core): State<App>,
    form: SignedInForm,
) -> Result<Response, PageFailure> {
    let by = form.actor();
    form.fields.finish()?;
    let leaving = signed_out(&core);
    let user_name = form.account.user_name;
    to_the_end(async move { core.sign_out_everywhere(&by, user_name.as_str()).await }).await?;
    Ok(leaving)
}
