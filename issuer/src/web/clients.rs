//! What an operator does about OAuth clients: registers, lists, removes.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    address::Path,
    api::{Operator, read_json},
    failure::{Failure, Fault, Problem, sentence},
    openapi::{bodies, requests},
    to_the_end,
};
use crate::{
    core::Unavailable,
    oauth::{
        client::{Client, Credentials},
        enrol::{EnrolError, Enrolment},
        redirect::RedirectUri,
    },
    people::Actor,
};

/// The routes below `/v1/clients`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, enrol))
        .routes(routes!(remove))
}

/// Registers a client
#[utoipa::path(
    post,
    path = "/v1/clients",
    tag = "clients",
    operation_id = "addClient",
    request_body = requests::NewClient,
    responses((status = 201, description = "The client, with its secret if it has one", body = bodies::RegisteredClient)),
    security(("operator" = []))
)]
pub(crate) async fn enrol(
    _operator: Operator,
    State(core): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let enrolment: Enrolment = read_json(request).await?;
    let enrolled =
        to_the_end(async move { core.enrol(&Actor::Operator, &enrolment).await }).await?;
    let mut reply = json!({"client_id": enrolled.client_id});
    if let (Some(object), Some(secret)) = (reply.as_object_mut(), &enrolled.secret) {
        object.insert("client_secret".to_owned(), json!(secret.expose()));
    }
    Ok((StatusCode::CREATED, Json(reply)).into_response())
}

/// Lists the clients that an operator registered
#[utoipa::path(
    get,
    path = "/v1/clients",
    tag = "clients",
    operation_id = "listClients",
    responses((status = 200, description = "The clients", body = bodies::Clients)),
    security(("operator" = []))
)]
pub(crate) async fn list(
    _operator: Operator,
    State(core): State<App>,
) -> Result<Json<Value>, Problem> {
    let clients = core.store.registered_clients().await;
    let clients = clients.map_err(Unavailable::from)?;
    let clients: Vec<Value> = clients.iter().map(client_json).collect();
    Ok(Json(json!({"clients": clients})))
}

/// Removes a client that an operator registered
#[utoipa::path(
    delete,
    path = "/v1/clients/{id}",
    tag = "clients",
    operation_id = "removeClient",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is gone")),
    security(("operator" = []))
)]
pub(crate) async fn remove(
    _operator: Operator,
    State(core): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if to_the_end(async move { core.remove_client(&Actor::Operator, &id).await }).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let why = "No client with that id was registered by an operator; the one that came with an \
        application goes with it.";
    Err(Failure::new(Fault::ClientNotFound, why).into())
}

/// How a client proves who it is, in a word.
pub(super) fn proof(credentials: &Credentials) -> &'static str {
    match credentials {
        Credentials::None => "none",
        Credentials::Secret(_) => "secret",
        Credentials::Keys(_) => "private_key_jwt",
        Credentials::Spiffe(_) => "spiffe_jwt",
    }
}

fn client_json(client: &Client) -> Value {
    let redirects: Vec<&str> = client.redirects.iter().map(RedirectUri::as_str).collect();
    json!({
        "client_id": client.id,
        "application": client.application.id.as_str(),
        "name": client.name,
        "redirect_uris": redirects,
        "proof": proof(&client.credentials),
    })
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            EnrolError::UnknownApplication(_) | EnrolError::Field { .. } => {
                Self::new(Fault::MalformedJson, detail)
            }
            EnrolError::Unavailable(cause) => cause.into(),
        }
    }
}
