//! Signing in with an identity provider: there, and back.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    App,
    address::Query,
    cookies::Cookie,
    extract::{Visitor, before},
    failure::{Failure, PageFailure},
    local_path::LocalPath,
    sign_in::{Next, signed_in},
    to_the_end,
};
use crate::people::{
    attempt::LIFETIME,
    identity::{IdentityError, Returned},
};

/// `GET /sign-in/identity?next=PATH&again=true`
pub(crate) async fn begin(
    State(core): State<App>,
    Query(next): Query<Next>,
    visitor: Visitor,
) -> Result<Response, PageFailure> {
    let path = next.path().map(|path| path.as_str().to_owned());
    let departing = core.begin_identity(&visitor.cookie, path, next.again).await;
    let departing = departing.map_err(|error| Failure::from(error).back_to("/sign-in"))?;
    let site = &core.settings.site;
    let kept = Cookie::Identity.plant(site, &departing.kept, Some(LIFETIME.as_secs()));
    let away = Redirect::to(departing.address.as_str());
    Ok(visitor.show((AppendHeaders([(header::SET_COOKIE, kept)]), away)))
}

/// What the provider sends a browser back with. What else it sends means nothing here.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
}

/// `GET /sign-in/identity/return`
pub(crate) async fn finish(
    State(core): State<App>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    let site = &core.settings.site;
    let back = |failure: Failure| failure.back_to("/sign-in");
    let browser = Cookie::Visitor.read(site, &headers);
    let before = before(site, &headers);
    let kept = Cookie::Identity.read(site, &headers);
    let (Some(browser), Some(kept), Some(state)) = (browser, kept, answer.state) else {
        return Err(back(IdentityError::NoAttempt.into()).into());
    };
    let returned = Returned {
        state,
        code: answer.code,
        issuer: answer.iss,
        kept,
    };
    let issuer = Arc::clone(&core);
    let finished =
        to_the_end(async move { issuer.finish_identity(&browser, returned, before).await });
    let answer = match finished.await {
        Ok((browser, next)) => {
            let next = next.as_deref().and_then(LocalPath::parse);
            signed_in(&core, &browser, next).into_response()
        }
        // Whoever sends a browser here with an answer of their own ends nothing that it began.
        Err(IdentityError::NoAttempt) => return Err(back(IdentityError::NoAttempt.into()).into()),
        Err(error) => PageFailure::from(back(Failure::from(error))).into_response(),
    };
    let used = AppendHeaders([(header::SET_COOKIE, Cookie::Identity.remove(site))]);
    Ok((used, answer).into_response())
}
