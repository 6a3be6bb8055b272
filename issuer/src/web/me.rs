//! A person's own page: what they may do, and where they are signed in.

use axum::{
    extract::State,
    http::header,
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};

use super::{
    App,
    accounts::view,
    cookies::Cookie,
    extract::{SignedIn, SignedInForm},
    failure::PageFailure,
    pages::{self, Frame, MePage},
    to_the_end,
};

/// `GET /me`
pub(crate) async fn show(State(core): State<App>, who: SignedIn) -> Result<Response, PageFailure> {
    let account = view(&core, &who.account).await?;
    let frame = Frame::of(&who, "me");
    Ok(pages::render(&MePage { frame, account })?.into_response())
}

/// `POST /me/sign-out-everywhere`: this browser too.
pub(crate) async fn sign_out_everywhere(
    State(core): State<App>,
    form: SignedInForm,
) -> Result<Response, PageFailure> {
    let by = form.actor();
    form.fields.finish()?;
    let removed = Cookie::Session.remove(&core.settings.site);
    let user_name = form.account.user_name;
    to_the_end(async move { core.sign_out_everywhere(&by, user_name.as_str()).await }).await?;
    let headers = AppendHeaders([(header::SET_COOKIE, removed)]);
    Ok((headers, Redirect::to("/sign-in")).into_response())
}
