//! Passkeys of accounts for the operator's programs.

use axum::{Json, extract::State, http::StatusCode};
use bailiwick_datalog::Timestamp;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, address::Path, api::Operator, failure::Problem, openapi::bodies, to_the_end};
use crate::{people::Actor, store::Passkey};

/// The routes below `/v1/accounts/{user_name}/passkeys`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(allow))
        .routes(routes!(remove))
}

/// Lists the passkeys of an account
#[utoipa::path(
    get,
    path = "/v1/accounts/{user_name}/passkeys",
    tag = "accounts",
    operation_id = "listPasskeys",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "Its passkeys, oldest first", body = bodies::Passkeys)),
    security(("operator" = []))
)]
async fn list(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let account = core.account_named(&user_name).await?;
    let listed = core.passkeys_of(&account).await?;
    let passkeys: Vec<Value> = listed.passkeys.iter().map(passkey_json).collect();
    Ok(Json(json!({
        "user_name": account.user_name.as_str(),
        "passkeys": passkeys,
        "first_until": listed.first_until.map(Timestamp::to_rfc3339),
    })))
}

/// Lets an account add a first passkey
///
/// Once, within an hour. An account that has one confirms further ones with it.
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/passkeys/allow",
    tag = "accounts",
    operation_id = "allowPasskey",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "Until when", body = bodies::PasskeyAllowed)),
    security(("operator" = []))
)]
async fn allow(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let name = user_name.clone();
    let allowed = async move { core.allow_passkey(&Actor::Operator, &name).await };
    let until = to_the_end(allowed).await?.to_rfc3339();
    Ok(Json(json!({"user_name": user_name, "first_until": until})))
}

/// Removes a passkey of an account
///
/// Nothing that it signs counts from here on.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{user_name}/passkeys/{id}",
    tag = "accounts",
    operation_id = "removePasskey",
    params(
        ("user_name" = String, Path, description = "Whose account"),
        ("id" = String, Path, description = "The id of the passkey")
    ),
    responses((status = 204, description = "It is gone")),
    security(("operator" = []))
)]
async fn remove(
    _operator: Operator,
    State(core): State<App>,
    Path((user_name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let removed = async move {
        core.remove_passkey_of(&Actor::Operator, &user_name, &id)
            .await
    };
    to_the_end(removed).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn passkey_json(passkey: &Passkey) -> Value {
    json!({
        "passkey": passkey.id,
        "name": passkey.name,
        "created_at": passkey.created_at.to_rfc3339(),
        "last_used_at": passkey.last_used_at.map(Timestamp::to_rfc3339),
    })
}
