//! Passkeys on the account page and on the sign-in page. Challenges go out as JSON for the script,
//! answers come back as forms.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{Redirect, Response},
};
use serde_json::Value;

use super::{
    App,
    address::Path,
    extract::{SignedInForm, VisitorForm},
    failure::{Failure, PageFailure},
    local_path::LocalPath,
    sign_in::signed_in,
    to_the_end,
};

/// `POST /me/passkeys/begin`
pub(crate) async fn begin(
    State(core): State<App>,
    form: SignedInForm,
) -> Result<Json<Value>, PageFailure> {
    form.fields.finish()?;
    let (account, cookie) = (form.account, form.cookie);
    let begun = async move { core.begin_passkey(&account, &cookie).await };
    Ok(Json(to_the_end(begun).await.map_err(back)?))
}

/// `POST /me/passkeys`
pub(crate) async fn register(
    State(core): State<App>,
    mut form: SignedInForm,
) -> Result<Redirect, PageFailure> {
    let name = form.fields.required("name")?;
    let answer = form.fields.required("passkey")?;
    form.fields.finish()?;
    let (account, cookie) = (form.account, form.cookie);
    let registered = async move {
        core.register_passkey(&account, &cookie, &name, &answer)
            .await
    };
    to_the_end(registered).await.map_err(back)?;
    Ok(Redirect::to("/me"))
}

/// `POST /me/passkeys/{id}/remove`
pub(crate) async fn remove(
    State(core): State<App>,
    Path(id): Path<String>,
    form: SignedInForm,
) -> Result<Redirect, PageFailure> {
    let by = form.actor();
    form.fields.finish()?;
    let account = form.account;
    let removed = async move { core.remove_passkey(&by, &account, &id).await };
    to_the_end(removed).await.map_err(back)?;
    Ok(Redirect::to("/me"))
}

/// `POST /sign-in/passkey/begin`
pub(crate) async fn begin_sign_in(
    State(core): State<App>,
    form: VisitorForm,
) -> Result<Json<Value>, PageFailure> {
    form.fields.finish()?;
    let visitor = form.cookie;
    let begun = async move { core.begin_passkey_sign_in(&visitor).await };
    Ok(Json(to_the_end(begun).await?))
}

/// `POST /sign-in/passkey`
pub(crate) async fn sign_in(
    State(core): State<App>,
    mut form: VisitorForm,
) -> Result<Response, PageFailure> {
    let answer = form.fields.required("passkey")?;
    let next = form.fields.optional("next")?;
    form.fields.finish()?;
    let (visitor, before) = (form.cookie, form.before);
    let issuer = Arc::clone(&core);
    let attempt = async move {
        issuer
            .finish_passkey_sign_in(&visitor, &answer, before)
            .await
    };
    let browser = to_the_end(attempt).await.map_err(Failure::from);
    let browser = browser.map_err(|failure| failure.back_to("/sign-in"))?;
    let next = next.as_deref().and_then(LocalPath::parse);
    Ok(signed_in(&core, &browser, next))
}

fn back(error: crate::passkeys::PasskeyError) -> Failure {
    Failure::from(error).back_to("/me")
}
