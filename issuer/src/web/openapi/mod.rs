//! The description of this issuer's interface for programs (OpenAPI 3.1), and the page that shows
//! it.
//!
//! Every route under `/v1` is made of the declaration that describes it ([`v1`]), so there is none
//! that is not described, and no description without its route. What bodies look like is in
//! [`bodies`] and [`requests`]; the OAuth endpoints, whose routes have layers of their own, are
//! described in [`oauth`].

pub(super) mod bodies;
mod oauth;
pub(super) mod requests;
mod viewer;

use std::sync::LazyLock;

use axum::{
    extract::DefaultBodyLimit,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, MAX_AUDIT_BYTES, accounts_api, api, applications_api, clients, passkeys_api, sessions_api,
};

pub(super) use viewer::page;

/// The parts of the description that belong to no route.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bailiwick issuer",
        description = "Sessions, revocations, accounts, applications and clients for the operator's \
            programs, what gateways fetch and report, and the OAuth endpoints. Every refusal under \
            `/v1` is a problem document (RFC 9457) with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "sessions", description = "What was approved and lives, and ending it"),
        (name = "accounts", description = "The people who approve, and what each may"),
        (name = "applications", description = "Separate surfaces with limits and approvers of their own"),
        (name = "clients", description = "OAuth clients that an operator registered"),
        (name = "verifiers", description = "What verifiers fetch, and what gateways report"),
        (name = "description", description = "This document"),
        (name = "oauth", description = "The OAuth 2.1 authorization server"),
    ),
    components(schemas(bodies::Problem, bodies::OAuthProblem)),
)]
struct Frame;

/// The routes under `/v1`, with their description.
pub(super) fn v1() -> OpenApiRouter<App> {
    let reports = OpenApiRouter::new()
        .routes(routes!(api::record_calls))
        .layer(DefaultBodyLimit::max(MAX_AUDIT_BYTES));
    OpenApiRouter::with_openapi(Frame::openapi())
        .routes(routes!(description))
        .routes(routes!(api::keys))
        .merge(sessions_api::routes())
        .merge(accounts_api::routes())
        .merge(passkeys_api::routes())
        .merge(applications_api::routes())
        .merge(clients::routes())
        .merge(reports)
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut described = v1().into_openapi();
    described.merge(oauth::Endpoints::openapi());
    let document = serde_json::to_value(described).unwrap_or_default();
    finished(document)
});

/// This description
///
/// The same for everybody: it names nothing of this installation.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "description",
    operation_id = "getDescription",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = bodies::Description)),
    security(())
)]
async fn description() -> Response {
    let text = DOCUMENT.to_string();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Adds what holds for every operation alike: who may call, and how a refusal looks.
fn finished(mut document: Value) -> Value {
    let schemes = json!({
        "operator": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token in `operator.token` of the data directory",
        },
        "gateway": {
            "type": "http",
            "scheme": "bearer",
            "description": "The token in `gateway.token` of the data directory",
        },
    });
    if let Some(components) = members(&mut document, "/components") {
        components.insert("securitySchemes".to_owned(), schemes);
    }
    for (path, item) in members(&mut document, "/paths").into_iter().flatten() {
        let (kind, schema) = if path.starts_with("/v1/") {
            ("application/problem+json", "Problem")
        } else {
            ("application/json", "OAuthProblem")
        };
        for operation in item.as_object_mut().into_iter().flatten() {
            if let Some(responses) = members(operation.1, "/responses") {
                let schema = format!("#/components/schemas/{schema}");
                let refusals = [
                    ("4XX", "Refused, with the reason"),
                    ("5XX", "Not possible now; nothing was changed"),
                ];
                for (status, description) in refusals {
                    let refusal = json!({
                        "description": description,
                        "content": {kind: {"schema": {"$ref": schema}}},
                    });
                    responses.insert(status.to_owned(), refusal);
                }
            }
        }
    }
    document
}

fn members<'a>(document: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    document.pointer_mut(pointer)?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `"/v1/…"` that a route of this crate names.
    fn named_in_source() -> Vec<String> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web");
        let mut named = Vec::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let routes = text.split(".route(\"/v1").skip(1);
            named.extend(routes.map(|rest| rest.split('"').next().unwrap_or("").to_owned()));
        }
        named
    }

    #[test]
    fn no_route_under_v1_is_made_without_its_description() {
        assert_eq!(named_in_source(), Vec::<String>::new());
        let paths = DOCUMENT["paths"].as_object().unwrap();
        let described = paths.keys().filter(|path| path.starts_with("/v1/")).count();
        assert!(described >= 20, "{described}");
    }

    #[test]
    fn every_operation_has_a_name_a_summary_a_tag_and_says_who_may_call() {
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{at}: {name} is taken");
                assert!(operation["summary"].is_string(), "{at}");
                assert!(operation["tags"].is_array(), "{at}");
                assert!(operation["security"].is_array(), "{at}");
                assert!(operation["responses"]["4XX"].is_object(), "{at}");
            }
        }
    }
}
