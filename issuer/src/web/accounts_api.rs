//! Accounts for the operator's programs.

use axum::{
    Json,
    extract::{Request, State},
};
use bailiwick_datalog::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    address::Path,
    api::{Operator, read_json},
    failure::{Failure, Problem},
    openapi::{bodies, requests},
    to_the_end,
};
use crate::{
    core::Unavailable,
    people::{AccountError, Actor, Ceiling, Roles, accounts::Invitation, delegations::Period},
    store::Account,
};

/// The routes below `/v1/accounts`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show))
        .routes(routes!(set_roles))
        .routes(routes!(set_ceiling))
        .routes(routes!(set_workload))
        .routes(routes!(delegate))
        .routes(routes!(link))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(sign_out))
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

/// Lists the accounts
#[utoipa::path(
    get,
    path = "/v1/accounts",
    tag = "accounts",
    operation_id = "listAccounts",
    responses((status = 200, description = "Every account", body = bodies::Accounts)),
    security(("operator" = []))
)]
async fn list(_operator: Operator, State(core): State<App>) -> Result<Json<Value>, Problem> {
    let accounts = core.store.accounts().await.map_err(Unavailable::from)?;
    let accounts: Vec<Value> = accounts.iter().map(account_json).collect();
    Ok(Json(json!({"accounts": accounts})))
}

/// Shows an account
#[utoipa::path(
    get,
    path = "/v1/accounts/{user_name}",
    tag = "accounts",
    operation_id = "getAccount",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "The account", body = bodies::Account)),
    security(("operator" = []))
)]
async fn show(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let account = core.account_named(&user_name).await?;
    Ok(Json(account_json(&account)))
}

/// Adds an account
///
/// Answers with a link that works once, by which its owner comes in.
#[utoipa::path(
    post,
    path = "/v1/accounts",
    tag = "accounts",
    operation_id = "addAccount",
    request_body = requests::NewAccount,
    responses((status = 200, description = "The account, with its link", body = bodies::InvitedAccount)),
    security(("operator" = []))
)]
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

/// Makes a new link for an account
///
/// The one before stops working.
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/link",
    tag = "accounts",
    operation_id = "renewLink",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "The account, with its link", body = bodies::InvitedAccount)),
    security(("operator" = []))
)]
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

/// Sets the roles of an account
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/roles",
    tag = "accounts",
    operation_id = "setRoles",
    params(("user_name" = String, Path, description = "Whose account")),
    request_body = requests::WantedRoles,
    responses((status = 200, description = "The account", body = bodies::Account)),
    security(("operator" = []))
)]
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

/// Sets what an approver may grant at most
///
/// The body is the whole ceiling; what it does not name is not limited.
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/ceiling",
    tag = "accounts",
    operation_id = "setCeiling",
    params(("user_name" = String, Path, description = "Whose account")),
    request_body = requests::Ceiling,
    responses((status = 200, description = "The account", body = bodies::Account)),
    security(("operator" = []))
)]
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

/// Says which workload an account belongs to
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/workload",
    tag = "accounts",
    operation_id = "setWorkload",
    params(("user_name" = String, Path, description = "Whose account")),
    request_body = requests::Workload,
    responses((status = 200, description = "The account", body = bodies::Account)),
    security(("operator" = []))
)]
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

/// Has somebody decide for an approver who is away
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/delegate",
    tag = "accounts",
    operation_id = "addDelegate",
    params(("user_name" = String, Path, description = "Whose account")),
    request_body = requests::Delegate,
    responses((status = 200, description = "The delegation", body = bodies::Delegation)),
    security(("operator" = []))
)]
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

/// Disables an account
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/disable",
    tag = "accounts",
    operation_id = "disableAccount",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "The account", body = bodies::Account)),
    security(("operator" = []))
)]
async fn disable(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let disabled = async move { core.disable_account(&Actor::Operator, &user_name).await };
    Ok(Json(account_json(&to_the_end(disabled).await?)))
}

/// Enables an account
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/enable",
    tag = "accounts",
    operation_id = "enableAccount",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "The account", body = bodies::Account)),
    security(("operator" = []))
)]
async fn enable(
    _operator: Operator,
    State(core): State<App>,
    Path(user_name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let enabled = async move { core.enable_account(&Actor::Operator, &user_name).await };
    Ok(Json(account_json(&to_the_end(enabled).await?)))
}

/// Signs an account out everywhere
#[utoipa::path(
    post,
    path = "/v1/accounts/{user_name}/sign-out",
    tag = "accounts",
    operation_id = "signOutEverywhere",
    params(("user_name" = String, Path, description = "Whose account")),
    responses((status = 200, description = "How many browsers it was", body = bodies::SignedOut)),
    security(("operator" = []))
)]
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
