//! Coming in by a one-time link, signing in, signing out.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts as _, Request, State},
    http::header,
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    App,
    address::{Path, Query},
    cookies::Cookie,
    extract::{NotSignedIn, SignedIn, SignedInForm, Visitor, VisitorForm},
    failure::{Failure, Fault, PageFailure},
    fields::Fields,
    local_path::LocalPath,
    pages::{self, InvitationPage, SetupPage, SignInPage},
    to_the_end,
};
use crate::{
    passwords::Password,
    people::{Roles, Setup, SetupError, SignedInBrowser, setup::NewPassword},
    secret::Secret,
};

/// Where a sign-in page leads.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
    /// Somebody who is signed in is to prove anew who they are.
    #[serde(default)]
    pub(super) again: bool,
}

impl Next {
    pub(super) fn path(&self) -> Option<LocalPath> {
        self.next.as_deref().and_then(LocalPath::parse)
    }
}

/// `GET /`
pub(crate) async fn home(
    State(core): State<App>,
    request: Request,
) -> Result<Redirect, NotSignedIn> {
    let (mut parts, _) = request.into_parts();
    match SignedIn::from_request_parts(&mut parts, &core).await {
        Ok(who) => Ok(Redirect::to(start(who.account.roles).as_str())),
        Err(NotSignedIn::Redirect(_)) => Ok(Redirect::to("/sign-in")),
        Err(failure) => Err(failure),
    }
}

/// `GET /setup/{link}`
pub(crate) async fn setup_page(
    State(core): State<App>,
    Path(link): Path<String>,
    visitor: Visitor,
) -> Result<Response, PageFailure> {
    if !core
        .store
        .setup_link_works(&Secret::received(&link).digest())
        .await
        .map_err(store)?
    {
        return Err(Failure::from(SetupError::LinkUsed).into());
    }
    let csrf = visitor.form_token.clone();
    let page = SetupPage {
        csrf: csrf.as_str(),
        link: &link,
        user_name: "",
        problem: None,
    };
    let page = pages::render(&page)?;
    Ok(visitor.show(page))
}

/// `POST /setup/{link}`
pub(crate) async fn set_up(
    State(core): State<App>,
    Path(link): Path<String>,
    form: VisitorForm,
) -> Result<Response, PageFailure> {
    let VisitorForm {
        mut fields,
        form_token,
        ..
    } = form;
    let user_name = fields.required("user_name")?;
    let password = new_password(&mut fields)?;
    fields.finish()?;
    let setup = Setup {
        link: Secret::received(&link),
        user_name: user_name.clone(),
        password,
    };
    let issuer = Arc::clone(&core);
    match to_the_end(async move { issuer.set_up(setup).await }).await {
        Ok(browser) => Ok(signed_in(&core, &browser, None)),
        Err(error) => {
            let failure = Failure::from(error);
            if failure.fault != Fault::AccountRefused {
                return Err(failure.into());
            }
            let csrf = form_token.as_str();
            let problem = Some(&failure);
            let page = SetupPage {
                csrf,
                link: &link,
                user_name: &user_name,
                problem,
            };
            Ok(failure.on_page(pages::render(&page)?))
        }
    }
}

/// `GET /invitations/{link}`
pub(crate) async fn invitation_page(
    State(core): State<App>,
    Path(link): Path<String>,
    visitor: Visitor,
) -> Result<Response, PageFailure> {
    let account = core.invited(&Secret::received(&link).digest()).await?;
    let csrf = visitor.form_token.clone();
    let page = pages::render(&InvitationPage {
        csrf: csrf.as_str(),
        link: &link,
        user_name: account.user_name.as_str(),
        problem: None,
    })?;
    Ok(visitor.show(page))
}

/// `POST /invitations/{link}`
pub(crate) async fn accept_invitation(
    State(core): State<App>,
    Path(link): Path<String>,
    form: VisitorForm,
) -> Result<Response, PageFailure> {
    let VisitorForm {
        mut fields,
        before,
        form_token,
        ..
    } = form;
    let password = new_password(&mut fields)?;
    fields.finish()?;
    let digest = Secret::received(&link).digest();
    let account = core.invited(&digest).await?;
    let issuer = Arc::clone(&core);
    let accepted = async move { issuer.accept_invitation(&digest, password, before).await };
    match to_the_end(accepted).await {
        Ok(browser) => Ok(signed_in(&core, &browser, None)),
        Err(error) => {
            let failure = Failure::from(error);
            if failure.fault != Fault::AccountRefused {
                return Err(failure.into());
            }
            let page = InvitationPage {
                csrf: form_token.as_str(),
                link: &link,
                user_name: account.user_name.as_str(),
                problem: Some(&failure),
            };
            Ok(failure.on_page(pages::render(&page)?))
        }
    }
}

/// `GET /sign-in`
pub(crate) async fn sign_in_page(
    State(core): State<App>,
    Query(next): Query<Next>,
    visitor: Visitor,
) -> Result<Response, PageFailure> {
    if visitor.signed_in && !next.again {
        let next = next.path();
        return Ok(Redirect::to(next.as_ref().map_or("/", LocalPath::as_str)).into_response());
    }
    let needs_setup = !core.store.has_account().await.map_err(store)?;
    let (csrf, again, next) = (visitor.form_token.clone(), next.again, next.path());
    let page = pages::render_with_script(&SignInPage {
        csrf: csrf.as_str(),
        next: next.as_ref().map_or("", LocalPath::as_str),
        again,
        user_name: "",
        problem: None,
        needs_setup,
        identity: core.identities.is_some(),
        passkeys: core.passkeys.is_some(),
    })?;
    Ok(visitor.show(page))
}

/// `POST /sign-in`
pub(crate) async fn sign_in(
    State(core): State<App>,
    form: VisitorForm,
) -> Result<Response, PageFailure> {
    let VisitorForm {
        mut fields,
        before,
        form_token,
        ..
    } = form;
    let user_name = fields.required("user_name")?;
    let password = Password::typed(fields.required("password")?);
    let next = fields.optional("next")?;
    let next = next.as_deref().and_then(LocalPath::parse);
    let again = fields.optional("again")?.is_some();
    fields.finish()?;
    let (typed_name, issuer) = (user_name.clone(), Arc::clone(&core));
    let attempt = async move { issuer.sign_in(&typed_name, password, before).await };
    match to_the_end(attempt).await {
        Ok(browser) => Ok(signed_in(&core, &browser, next)),
        Err(error) => {
            let failure = Failure::from(error);
            if failure.fault != Fault::SignInFailed {
                return Err(failure.into());
            }
            let page = SignInPage {
                csrf: form_token.as_str(),
                next: next.as_ref().map_or("", LocalPath::as_str),
                again,
                user_name: &user_name,
                problem: Some(&failure),
                needs_setup: false,
                identity: core.identities.is_some(),
                passkeys: core.passkeys.is_some(),
            };
            let page = pages::render_with_script(&page)?;
            Ok(failure.on_page(page))
        }
    }
}

/// `POST /sign-out`
pub(crate) async fn sign_out(
    State(core): State<App>,
    form: SignedInForm,
) -> Result<Response, PageFailure> {
    form.fields.finish()?;
    core.sign_out(&form.cookie, form.account.user_name.as_str())
        .await?;
    Ok(signed_out(&core))
}

/// Takes everything from a browser that says whose it was.
pub(super) fn signed_out(core: &App) -> Response {
    let removed = [Cookie::Session, Cookie::Began];
    let removed = removed.map(|cookie| (header::SET_COOKIE, cookie.remove(&core.settings.site)));
    (AppendHeaders(removed), Redirect::to("/sign-in")).into_response()
}

fn new_password(fields: &mut Fields) -> Result<NewPassword, Failure> {
    Ok(NewPassword {
        password: Password::typed(fields.required("password")?),
        repeated: Password::typed(fields.required("password_again")?),
    })
}

pub(super) fn signed_in(
    core: &App,
    browser: &SignedInBrowser,
    next: Option<LocalPath>,
) -> Response {
    let site = &core.settings.site;
    let age_s = core.settings.browser_absolute.as_secs();
    let planted = Cookie::Session.plant(site, &browser.cookie, Some(age_s));
    let removed = Cookie::Visitor.remove(site);
    let began = browser.began.as_ref();
    let began = began.map(|fresh| Cookie::Began.plant(site, fresh, None));
    let headers = AppendHeaders([(header::SET_COOKIE, planted), (header::SET_COOKIE, removed)]);
    let began = began.map(|cookie| AppendHeaders([(header::SET_COOKIE, cookie)]));
    let next = next.unwrap_or_else(|| start(browser.account.roles));
    (headers, began, Redirect::to(next.as_str())).into_response()
}

/// Where an account begins: with what it is there for.
fn start(roles: Roles) -> LocalPath {
    if roles.approver || roles.auditor {
        LocalPath::start()
    } else {
        LocalPath::accounts()
    }
}

/// The sign-in page for somebody who is signed in and has to prove anew who they are, and the way
/// back from it.
pub(super) fn sign_in_again(back: Option<&str>) -> String {
    let back = back.and_then(LocalPath::parse);
    let back = back.unwrap_or_else(LocalPath::start);
    format!("/sign-in?again=true&next={}", back.encoded())
}

fn store(error: crate::store::StoreError) -> Failure {
    crate::core::Unavailable::from(error).into()
}
