//! Applications for the operator's programs.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    address::Path,
    api::{Operator, read_json},
    failure::Problem,
    openapi::{bodies, requests},
    to_the_end,
};
use crate::{
    applications::{Approvers, Staffed, Wanted, describe},
    people::Actor,
    rules::Rule,
    tool_pattern::ToolPattern,
};

/// The routes below `/v1/applications`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, set))
        .routes(routes!(remove))
}

/// What an application is to be; what is not there stays as it is. Durations are in seconds.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// For a new one.
    application: Option<String>,
    name: Option<String>,
    default_duration: Option<u64>,
    max_duration: Option<u64>,
    max_depth: Option<u32>,
    /// `null` is every tool of the catalogue.
    #[serde(default, deserialize_with = "given")]
    allowed_tools: Option<Option<Vec<ToolPattern>>>,
    rules: Option<Vec<Rule>>,
    redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    add_approvers: BTreeSet<String>,
    #[serde(default)]
    remove_approvers: BTreeSet<String>,
}

/// Tells `null` from what is not there.
fn given<'de, D: serde::Deserializer<'de>>(
    source: D,
) -> Result<Option<Option<Vec<ToolPattern>>>, D::Error> {
    Option::deserialize(source).map(Some)
}

impl From<Wish> for Wanted {
    fn from(wish: Wish) -> Self {
        let nobody = wish.add_approvers.is_empty() && wish.remove_approvers.is_empty();
        Self {
            name: wish.name,
            default_duration: wish.default_duration.map(Duration::from_secs),
            max_duration: wish.max_duration.map(Duration::from_secs),
            max_depth: wish.max_depth,
            allowed_tools: wish.allowed_tools,
            rules: wish.rules,
            redirect_uris: wish.redirect_uris,
            approvers: (!nobody).then_some(Approvers::Changed {
                add: wish.add_approvers,
                remove: wish.remove_approvers,
            }),
        }
    }
}

/// Lists the applications
#[utoipa::path(
    get,
    path = "/v1/applications",
    tag = "applications",
    operation_id = "listApplications",
    responses((status = 200, description = "Every application", body = bodies::Applications)),
    security(("operator" = []))
)]
async fn list(_operator: Operator, State(core): State<App>) -> Result<Json<Value>, Problem> {
    let applications = core.staffed_applications().await?;
    let applications: Vec<Value> = applications.iter().map(in_json).collect();
    Ok(Json(json!({"applications": applications})))
}

/// Shows an application
#[utoipa::path(
    get,
    path = "/v1/applications/{id}",
    tag = "applications",
    operation_id = "getApplication",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The application", body = bodies::Application)),
    security(("operator" = []))
)]
async fn show(
    _operator: Operator,
    State(core): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(in_json(&core.staffed_application(&id).await?)))
}

/// Adds an application
#[utoipa::path(
    post,
    path = "/v1/applications",
    tag = "applications",
    operation_id = "addApplication",
    request_body = requests::ApplicationWish,
    responses((status = 200, description = "The application", body = bodies::Application)),
    security(("operator" = []))
)]
async fn add(
    _operator: Operator,
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let mut wish: Wish = read_json(request).await?;
    let id = wish.application.take().unwrap_or_default();
    let added = async move {
        core.add_application(&Actor::Operator, &id, wish.into())
            .await
    };
    Ok(Json(in_json(&to_the_end(added).await?)))
}

/// Changes an application
///
/// What the body does not name stays as it is.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}",
    tag = "applications",
    operation_id = "setApplication",
    params(("id" = String, Path, description = "Its id")),
    request_body = requests::ApplicationWish,
    responses((status = 200, description = "The application", body = bodies::Application)),
    security(("operator" = []))
)]
async fn set(
    _operator: Operator,
    State(core): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let mut wish: Wish = read_json(request).await?;
    // Saying again which one is meant does no harm; saying another one does not rename it.
    if wish.application.take().is_some_and(|other| other != id) {
        return Err(crate::applications::ApplicationError::Id.into());
    }
    let set = async move {
        core.set_application(&Actor::Operator, &id, wish.into())
            .await
    };
    Ok(Json(in_json(&to_the_end(set).await?)))
}

/// Removes an application
///
/// Its sessions end, and what waits is denied.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/remove",
    tag = "applications",
    operation_id = "removeApplication",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "What ended with it", body = bodies::RemovedApplication)),
    security(("operator" = []))
)]
async fn remove(
    _operator: Operator,
    State(core): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let name = id.clone();
    let removed = async move { core.remove_application(&Actor::Operator, &name).await };
    let ended = to_the_end(removed).await?;
    Ok(Json(json!({
        "application": id,
        "sessions_revoked": ended.sessions,
        "requests_denied": ended.requests,
    })))
}

fn in_json(staffed: &Staffed) -> Value {
    describe(staffed)
}
