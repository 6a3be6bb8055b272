//! Passkeys on a person's own page, on the pages of accounts, and on the sign-in page. Challenges go out as JSON for the script,
//! answers come back as forms.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{Redirect, Response},
};
use serde_json::{Value, json};

use super::{
    App,
    address::Path,
    extract::{AdminForm, SignedInForm, VisitorForm},
    failure::{Failure, PageFailure},
    local_path::LocalPath,
    sign_in::signed_in,
    to_the_end,
    views::account_path,
};
use crate::passkeys::NewPasskey;

/// `POST /me/passkeys/begin`
pub(crate) async fn begin(
    State(core): State<App>,
    form: SignedInForm,
) -> Result<Json<Value>, PageFailure> {
    form.fields.finish()?;
    let (account, cookie) = (form.account, form.cookie);
    let begun = async move { core.begin_passkey(&account, &cookie).await };
    let begun = to_the_end(begun).await.map_err(back)?;
    Ok(Json(json!({"create": begun.create, "touch": begun.touch})))
}

/// `POST /me/passkeys`
pub(crate) async fn register(
    State(core): State<App>,
    mut form: SignedInForm,
) -> Result<Redirect, PageFailure> {
    let name = form.fields.required("name")?;
    let answer = form.fields.required("passkey")?;
    let touch = form.fields.optional("touch")?;
    form.fields.finish()?;
    let (account, cookie) = (form.account, form.cookie);
    let registered = async move {
        let new = NewPasskey {
            name: &name,
            answer: &answer,
            touch: touch.as_deref(),
        };
        core.register_passkey(&account, &cookie, new).await
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
    form.fields.finish()?;
    let (account, cookie) = (form.account, form.cookie);
    let removed = async move { core.remove_own_passkey(&account, &cookie, &id).await };
    to_the_end(removed).await.map_err(back)?;
    Ok(Redirect::to("/me"))
}

/// `POST /accounts/{user_name}/passkeys/allow`
pub(crate) async fn allow(
    State(core): State<App>,
    Path(user_name): Path<String>,
    form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    form.fields.finish()?;
    let cookie = form.cookie;
    let allowed = async move {
        // It gives power, so an open browser is not enough.
        core.check_fresh(&cookie).await?;
        core.allow_passkey(&by, &user_name).await
    };
    let allowed = to_the_end(allowed).await.map_err(Failure::from);
    allowed.map_err(|failure| failure.back_to(&page))?;
    Ok(Redirect::to(&page))
}

/// `POST /accounts/{user_name}/passkeys/{id}/remove`
pub(crate) async fn remove_of(
    State(core): State<App>,
    Path((user_name, id)): Path<(String, String)>,
    form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let (page, by) = (account_path(&user_name), form.actor());
    form.fields.finish()?;
    let removed = async move { core.remove_passkey_of(&by, &user_name, &id).await };
    let removed = to_the_end(removed).await.map_err(Failure::from);
    removed.map_err(|failure| failure.back_to(&page))?;
    Ok(Redirect::to(&page))
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
