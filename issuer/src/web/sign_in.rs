//! Signing up once, signing in, signing out.

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
    extract::{Approver, ApproverForm, NotSignedIn, Visitor, VisitorForm},
    failure::{Failure, Fault, PageFailure},
    local_path::LocalPath,
    pages::{self, SetupPage, SignInPage},
    to_the_end,
};
use crate::{accounts::Setup, config::Site, passwords::Password, secret::Secret};

/// Where a sign-in page leads.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

impl Next {
    fn path(&self) -> LocalPath {
        self.next
            .as_deref()
            .and_then(LocalPath::parse)
            .unwrap_or_else(LocalPath::start)
    }
}

/// `GET /`
pub(crate) async fn home(
    State(core): State<App>,
    request: Request,
) -> Result<Redirect, NotSignedIn> {
    let (mut parts, _) = request.into_parts();
    match Approver::from_request_parts(&mut parts, &core).await {
        Ok(_) => Ok(Redirect::to("/approvals")),
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
        return Err(link_used().into());
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
    let password = Password::typed(fields.required("password")?);
    let repeated = Password::typed(fields.required("password_again")?);
    fields.finish()?;
    let setup = Setup {
        link: Secret::received(&link),
        user_name: user_name.clone(),
        password,
        repeated,
    };
    let site = core.settings.site.clone();
    let age = core.settings.browser_absolute.as_secs();
    match to_the_end(async move { core.set_up(setup).await }).await {
        Ok(cookie) => Ok(signed_in(&site, &cookie, age, &LocalPath::start())),
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
            Ok((failure.fault.status(), pages::render(&page)?).into_response())
        }
    }
}

/// `GET /sign-in`
pub(crate) async fn sign_in_page(
    State(core): State<App>,
    Query(next): Query<Next>,
    visitor: Visitor,
) -> Result<Response, PageFailure> {
    if visitor.signed_in {
        return Ok(Redirect::to(next.path().as_str()).into_response());
    }
    let needs_setup = !core.store.has_account().await.map_err(store)?;
    let (csrf, next) = (visitor.form_token.clone(), next.path());
    let page = pages::render(&SignInPage {
        csrf: csrf.as_str(),
        next: next.as_str(),
        user_name: "",
        problem: None,
        needs_setup,
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
        previous,
        form_token,
    } = form;
    let user_name = fields.required("user_name")?;
    let password = Password::typed(fields.required("password")?);
    let next = Next {
        next: fields.optional("next")?,
    }
    .path();
    fields.finish()?;
    let site = core.settings.site.clone();
    let age = core.settings.browser_absolute.as_secs();
    let previous = previous.map(|cookie| cookie.digest());
    let typed_name = user_name.clone();
    match to_the_end(async move { core.sign_in(&typed_name, password, previous).await }).await {
        Ok(cookie) => Ok(signed_in(&site, &cookie, age, &next)),
        Err(error) => {
            let failure = Failure::from(error);
            if failure.fault != Fault::SignInFailed {
                return Err(failure.into());
            }
            let page = SignInPage {
                csrf: form_token.as_str(),
                next: next.as_str(),
                user_name: &user_name,
                problem: Some(&failure),
                needs_setup: false,
            };
            Ok((failure.fault.status(), pages::render(&page)?).into_response())
        }
    }
}

/// `POST /sign-out`
pub(crate) async fn sign_out(
    State(core): State<App>,
    form: ApproverForm,
) -> Result<Response, PageFailure> {
    form.fields.finish()?;
    core.sign_out(&form.cookie, form.account.user_name.as_str())
        .await?;
    let removed = Cookie::Session.remove(&core.settings.site);
    let headers = AppendHeaders([(header::SET_COOKIE, removed)]);
    Ok((headers, Redirect::to("/sign-in")).into_response())
}

fn signed_in(site: &Site, cookie: &Secret, age_s: u64, next: &LocalPath) -> Response {
    let planted = Cookie::Session.plant(site, cookie, Some(age_s));
    let removed = Cookie::Visitor.remove(site);
    let headers = AppendHeaders([(header::SET_COOKIE, planted), (header::SET_COOKIE, removed)]);
    (headers, Redirect::to(next.as_str())).into_response()
}

fn link_used() -> Failure {
    Failure::from(crate::accounts::SetupError::LinkUsed)
}

fn store(error: crate::store::StoreError) -> Failure {
    crate::core::Unavailable::from(error).into()
}
