//! Accounts for the operator's programs.

use axum::{
    Json, Router,
    extract::{Request, State},
    routing::{get, post},
};
use bailiwick_datalog::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    address::Path,
    api::{Operator, read_json},
    failure::{Failure, Problem},
    to_the_end,
};
use crate::{
    core::Unavailable,
    people::{AccountError, Actor, Ceiling, Roles, accounts::Invitation, delegations::Period},
    store::Account,
};

/// The routes below `/v1/accounts`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/accounts", get(list).post(add))
        .route("/v1/accounts/{user_name}", get(show))
        .route("/v1/accounts/{user_name}/roles", post(set_roles))
        .route("/v1/accounts/{user_name}/ceiling", post(set_ceiling))
        .route("/v1/accounts/{user_name}/workload", post(set_workload))
        .route("/v1/accounts/{user_name}/delegate", post(delegate))
        .route("/v1/accounts/{user_name}/link", post(link))
        .route("/v1/accounts/{user_name}/disable", post(disable))
        .route("/v1/accounts/{user_name}/enable", post(enable))
        .route("/v1/accounts/{user_name}/sign-out", post(sign_out))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    user_name: String,
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedRoles {
    roles: Vec<String>,
}

async fn list(_operator: Operator, State(core): State<App>) -> Result<Json<Value>, Problem> {
    let accounts = core.store.accounts().await.map_err(Unavailable::from)?;
    let accounts: Vec<Value> = accounts.iter().map(account_json).collect();
    Ok(Json(json!({"accounts": accounts})))
}

async fn show(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let account = core.account_named(&user_name).await?;
    Ok(Json(account_json(&account)))
}

async fn add(
    _operator: Operator,
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let wanted: NewAccount = read_json(request).await?;
    let roles = read_roles(&wanted.roles)?;
    let site = core.settings.site.clone();
    let added = async move {
        core.add_account(&Actor::Operator, &wanted.user_name, roles)
            .await
    };
    let invitation = to_the_end(added).await?;
    Ok(Json(invitation_json(&invitation, &site)))
}

async fn link(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let site = core.settings.site.clone();
    let renewed = async move { core.renew_invitation(&Actor::Operator, &user_name).await };
    let invitation = to_the_end(renewed).await?;
    Ok(Json(invitation_json(&invitation, &site)))
}

async fn set_roles(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let wanted: WantedRoles = read_json(request).await?;
    let roles = read_roles(&wanted.roles)?;
    let set = async move { core.set_roles(&Actor::Operator, &user_name, roles).await };
    Ok(Json(account_json(&to_the_end(set).await?)))
}

/// The body is the whole ceiling; what it does not name is not limited.
async fn set_ceiling(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let ceiling: Ceiling = read_json(request).await?;
    let set = async move {
        core.set_ceiling(&Actor::Operator, &user_name, ceiling)
            .await
    };
    Ok(Json(account_json(&to_the_end(set).await?)))
}

async fn set_workload(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Workload {
        /// `null`: none.
        workload_identity: Option<String>,
    }
    let wanted: Workload = read_json(request).await?;
    let identity = wanted.workload_identity;
    let set = async move {
        core.set_workload(&Actor::Operator, &user_name, identity)
            .await
    };
    Ok(Json(account_json(&to_the_end(set).await?)))
}

async fn delegate(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Delegate {
        to: String,
        starts_at: Timestamp,
        ends_at: Timestamp,
    }
    let wanted: Delegate = read_json(request).await?;
    let reply = json!({
        "from": user_name,
        "to": wanted.to,
        "starts_at": wanted.starts_at.to_rfc3339(),
        "ends_at": wanted.ends_at.to_rfc3339(),
    });
    let period = Period {
        starts_at: wanted.starts_at,
        ends_at: wanted.ends_at,
    };
    let named = async move {
        core.delegate(&Actor::Operator, &user_name, &wanted.to, period)
            .await
    };
    let id = to_the_end(named).await?;
    let mut reply = reply;
    if let Some(object) = reply.as_object_mut() {
        object.insert("delegation".to_owned(), json!(id));
    }
    Ok(Json(reply))
}

async fn disable(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let disabled = async move { core.disable_account(&Actor::Operator, &user_name).await };
    Ok(Json(account_json(&to_the_end(disabled).await?)))
}

async fn enable(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let enabled = async move { core.enable_account(&Actor::Operator, &user_name).await };
    Ok(Json(account_json(&to_the_end(enabled).await?)))
}

async fn sign_out(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let name = user_name.clone();
    let ended = async move { core.sign_out_everywhere(&Actor::Operator, &name).await };
    let browsers = to_the_end(ended).await?;
    Ok(Json(json!({"user_name": user_name, "browsers": browsers})))
}

fn read_roles(words: &[String]) -> Result<Roles, Failure> {
    Roles::read(words).map_err(|error| AccountError::Role(error).into())
}

fn account_json(account: &Account) -> Value {
    let state = match (account.disabled_at, &account.password_hash) {
        (Some(_), _) => "disabled",
        (None, None) => "invited",
        (None, Some(_)) => "active",
    };
    json!({
        "account": account.id,
        "user_name": account.user_name.as_str(),
        "roles": account.roles.words(),
        "ceiling": account.ceiling,
        "workload_identity": account.workload_identity,
        "state": state,
        "created_at": account.created_at.to_rfc3339(),
    })
}

fn invitation_json(invitation: &Invitation, site: &crate::config::Site) -> Value {
    let mut reply = account_json(&invitation.account);
    if let Some(object) = reply.as_object_mut() {
        object.insert("set_up_link".to_owned(), json!(invitation.url(site)));
        let end = invitation.expires_at.to_rfc3339();
        object.insert("link_expires_at".to_owned(), json!(end));
    }
    reply
}
