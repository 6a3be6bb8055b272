//! The account pages: who there is, and what each may do.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    App,
    address::Path,
    cookies::FormToken,
    extract::{AdminForm, Overseer},
    failure::{Failure, PageFailure},
    fields::Fields,
    limits_form::read_ceiling,
    pages::{self, AccountPage, AccountsPage, Frame, InvitedPage},
    to_the_end,
    views::{AccountView, PasskeysView, account_path, clock_time},
};
use crate::{
    core::Unavailable,
    people::{AccountError, Roles, accounts::Invitation},
    store::Account,
};

/// `GET /accounts`
pub(crate) async fn list(
    State(core): State<App>,
    overseer: Overseer,
) -> Result<Response, PageFailure> {
    let accounts = core.store.accounts().await.map_err(Unavailable::from)?;
    let mut views = Vec::new();
    for account in &accounts {
        views.push(view(&core, account).await?);
    }
    let frame = Frame::of(&overseer, "accounts");
    let accounts = views;
    Ok(pages::render(&AccountsPage { frame, accounts })?.into_response())
}

/// `GET /accounts/{user_name}`
pub(crate) async fn show(
    State(core): State<App>,
    Path(user_name): Path<String>,
    overseer: Overseer,
) -> Result<Response, PageFailure> {
    let account = core.account_named(&user_name).await?;
    let passkeys = match core.passkeys {
        Some(_) => Some(PasskeysView::of(&core.passkeys_of(&account).await?)),
        None => None,
    };
    let page = AccountPage {
        frame: Frame::of(&overseer, "accounts"),
        passkeys,
        account: view(&core, &account).await?,
    };
    Ok(pages::render(&page)?.into_response())
}

/// `POST /accounts`
pub(crate) async fn add(
    State(core): State<App>,
    mut form: AdminForm,
) -> Result<Response, PageFailure> {
    let back = |failure: Failure| failure.back_to("/accounts");
    let user_name = form.fields.required("user_name")?;
    let roles = read_roles(&mut form.fields).map_err(back)?;
    std::mem::take(&mut form.fields).finish()?;
    // A link or a role gives power, so an open browser is not enough.
    core.check_fresh(&form.cookie)
        .await
        .map_err(Failure::from)
        .map_err(back)?;
    let (issuer, by) = (Arc::clone(&core), form.actor());
    let added = async move { issuer.add_account(&by, &user_name, roles).await };
    let invitation = to_the_end(added)
        .await
        .map_err(Failure::from)
        .map_err(back)?;
    invited(&core, &form, &invitation)
}

/// `POST /accounts/{user_name}/link`
pub(crate) async fn link(
    State(core): State<App>,
    Path(user_name): Path<String>,
    mut form: AdminForm,
) -> Result<Response, PageFailure> {
    std::mem::take(&mut form.fields).finish()?;
    let page = account_path(&user_name);
    let fresh = core.check_fresh(&form.cookie).await;
    fresh.map_err(|error| Failure::from(error).back_to(&page))?;
    let (issuer, by) = (Arc::clone(&core), form.actor());
    let renewed = async move { issuer.renew_invitation(&by, &user_name).await };
    let invitation = to_the_end(renewed).await;
    let invitation = invitation.map_err(|error| Failure::from(error).back_to(&page))?;
    invited(&core, &form, &invitation)
}

/// `POST /accounts/{user_name}/roles`
pub(crate) async fn set_roles(
    State(core): State<App>,
    Path(user_name): Path<String>,
    mut form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    let roles = read_roles(&mut form.fields).map_err(|failure| failure.back_to(&page))?;
    form.fields.finish()?;
    let fresh = core.check_fresh(&form.cookie).await;
    fresh.map_err(|error| Failure::from(error).back_to(&page))?;
    changed(page, async move {
        core.set_roles(&by, &user_name, roles).await.map(drop)
    })
    .await
}

/// `POST /accounts/{user_name}/ceiling`
pub(crate) async fn set_ceiling(
    State(core): State<App>,
    Path(user_name): Path<String>,
    mut form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    let ceiling = read_ceiling(&mut form.fields).map_err(|failure| failure.back_to(&page))?;
    form.fields.finish()?;
    changed(page, async move {
        core.set_ceiling(&by, &user_name, ceiling).await.map(drop)
    })
    .await
}

/// `POST /accounts/{user_name}/disable`
pub(crate) async fn disable(
    State(core): State<App>,
    Path(user_name): Path<String>,
    form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    form.fields.finish()?;
    changed(page, async move {
        core.disable_account(&by, &user_name).await.map(drop)
    })
    .await
}

/// `POST /accounts/{user_name}/enable`
pub(crate) async fn enable(
    State(core): State<App>,
    Path(user_name): Path<String>,
    form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    form.fields.finish()?;
    changed(page, async move {
        core.enable_account(&by, &user_name).await.map(drop)
    })
    .await
}

/// `POST /accounts/{user_name}/sign-out`
pub(crate) async fn sign_out(
    State(core): State<App>,
    Path(user_name): Path<String>,
    form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    form.fields.finish()?;
    changed(page, async move {
        core.sign_out_everywhere(&by, &user_name).await.map(drop)
    })
    .await
}

/// Runs a change of an account and goes back to its page.
async fn changed(
    page: String,
    change: impl Future<Output = Result<(), AccountError>> + Send + 'static,
) -> Result<Redirect, PageFailure> {
    let done = to_the_end(change).await;
    done.map_err(|error| Failure::from(error).back_to(&page))?;
    Ok(Redirect::to(&page))
}

/// Shows a one-time link, once: the store has only its digest.
fn invited(core: &App, form: &AdminForm, invitation: &Invitation) -> Result<Response, PageFailure> {
    let form_token = FormToken::of(&form.cookie);
    let page = InvitedPage {
        frame: Frame::after(form, &form_token, "accounts"),
        user_name: invitation.account.user_name.as_str(),
        url: &invitation.url(&core.settings.site),
        expires_at: clock_time(invitation.expires_at),
    };
    Ok(pages::render(&page)?.into_response())
}

fn read_roles(fields: &mut Fields) -> Result<Roles, Failure> {
    Roles::read(&fields.all("role")).map_err(|error| AccountError::Role(error).into())
}

pub(super) async fn view(core: &App, account: &Account) -> Result<AccountView, Failure> {
    let browsers = core.store.browser_count(&account.id).await;
    let applications = core.store.assignments_of(&account.id).await;
    Ok(AccountView::of(
        account,
        browsers.map_err(Unavailable::from)?,
        applications.map_err(Unavailable::from)?,
    ))
}
