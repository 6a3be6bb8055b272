//! The description of the interface for programs, held to what the issuer really does.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Map, Value, json};

use crate::harness::{AUDIENCE, Reply, World};

async fn description(world: &World) -> Value {
    let reply = world.get("/v1/openapi.json").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "application/json");
    reply.json()
}

/// Every operation that is described, with its method and path.
fn operations(description: &Value) -> Vec<(Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push((method, path.clone(), operation.clone()));
        }
    }
    operations
}

async fn send(world: &World, method: Method, path: &str, bearer: &str, body: &Value) -> Reply {
    let path = path
        .replace("{user_name}", "ada")
        .replace("{id}", "default");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()));
    world.send(request.unwrap()).await
}

#[tokio::test]
async fn description_is_for_everybody_and_its_page_runs_nothing() {
    let world = World::new().await;
    let described = description(&world).await;
    assert_eq!(described["openapi"], "3.1.0");
    let sign_in = world.get("/sign-in").await;
    assert!(sign_in.body.contains("<a href=\"/api\">"), "it is linked");
    let page = world.get("/api").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'"),
        "{policy}"
    );
    for never in [
        "<script",
        "<style",
        " style=",
        "onclick",
        "src=\"http",
        "href=\"http",
    ] {
        assert!(!page.body.contains(never), "{never}");
    }
    for (method, path, _) in operations(&described) {
        assert!(
            page.body.contains(&format!("<code>{method} {path}</code>")),
            "{method} {path}"
        );
    }
    for name in described["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            page.body.contains(&format!("id=\"schema-{name}\"")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_operation_that_is_described_is_there_and_no_other_method_is() {
    let world = World::new().await;
    let described = description(&world).await;
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let named = item.get(method.as_str().to_lowercase()).is_some();
            let reply = send(&world, method.clone(), path, "Bearer x", &json!({})).await;
            let is_there = !["not_found", "method_not_allowed"].contains(&reply.code());
            assert_eq!(is_there, named, "{method} {path}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn whoever_may_call_is_who_is_named() {
    let (world, _) = World::with_approver().await;
    let described = description(&world).await;
    let bearers = [("operator", "operator.token"), ("gateway", "gateway.token")];
    for (method, path, operation) in operations(&described) {
        if !path.starts_with("/v1/") {
            continue;
        }
        let security = operation["security"].as_array().unwrap();
        let open = security
            .iter()
            .any(|one| one.as_object().is_some_and(Map::is_empty));
        let stranger = send(&world, method.clone(), &path, "Bearer x", &json!([])).await;
        assert_eq!(stranger.status != 401, open, "{method} {path}");
        for (name, file) in bearers {
            let named = open || security.iter().any(|one| one.get(name).is_some());
            let bearer = world.bearer(file);
            // No body of these can be read, so nothing changes; of what takes none, most is undone.
            let reply = send(&world, method.clone(), &path, &bearer, &json!([])).await;
            assert_eq!(reply.status != 401, named, "{name}: {method} {path}");
        }
    }
}

/// The schema of a body, with those it is made of put together.
fn members(described: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return members(described, &described["components"]["schemas"][name]);
    }
    let mut all: BTreeSet<String> = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .cloned()
        .collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(members(described, part));
    }
    all
}

fn of_body(described: &Value, operation: &Value) -> Option<BTreeSet<String>> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    schema.is_object().then(|| members(described, schema))
}

#[tokio::test]
async fn bodies_that_are_described_are_those_that_are_read() {
    let (world, _) = World::with_approver().await;
    let described = description(&world).await;
    let mut bodies = 0;
    for (method, path, operation) in operations(&described) {
        let Some(members) = of_body(&described, &operation) else {
            continue;
        };
        if !path.starts_with("/v1/") {
            continue;
        }
        let gateway = path == "/v1/audit";
        let bearer = world.bearer(if gateway {
            "gateway.token"
        } else {
            "operator.token"
        });
        let reply = send(
            &world,
            method,
            &path,
            &bearer,
            &json!({"no_such_member": 1}),
        )
        .await;
        let problem = reply.json();
        let detail = problem["detail"].as_str().unwrap();
        // The reader's own words: `expected one of a, b`, or `expected a`.
        let (_, expected) = detail
            .split_once("expected")
            .unwrap_or_else(|| panic!("{path}: {detail}"));
        let read: BTreeSet<String> = expected
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(read, members, "{path}: {detail}");
        bodies += 1;
    }
    assert_eq!(bodies, 10);
}

/// The members that a schema says are always there.
fn required(described: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return required(described, &described["components"]["schemas"][name]);
    }
    let names = schema["required"].as_array().into_iter().flatten();
    let mut all: BTreeSet<String> = names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(required(described, part));
    }
    all
}

/// Asserts that an answer has the members that are described, and no other.
fn assert_described(described: &Value, schema: &str, answer: &Value) {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    let known = members(described, &schema);
    let wanted = required(described, &schema);
    assert!(!wanted.is_empty(), "{schema} is described");
    let found: BTreeSet<String> = answer.as_object().unwrap().keys().cloned().collect();
    assert!(found.is_subset(&known), "{schema}, {known:?}: {answer}");
    assert!(wanted.is_subset(&found), "{schema}, {wanted:?}: {answer}");
}

#[tokio::test]
async fn answers_have_the_members_that_are_described() {
    let (world, mut browser) = World::with_approver().await;
    let described = description(&world).await;
    let check = |schema: &str, answer: &Value| assert_described(&described, schema, answer);
    let operator = world.bearer("operator.token");
    let get = async |path: &str| world.get_as(path, &operator).await.json();
    let post = async |path: &str, body: Value| world.operate(path, &body.to_string()).await.json();

    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    world.poll(&asked).await;
    let call = json!({"session": session, "tool": "files.read_file", "access": "read",
        "resources": ["files/reports"], "delegates": ["helper"], "decision": "deny",
        "code": "resource_not_granted", "at": "2026-01-31T12:00:00Z"});
    let gateway = world.bearer("gateway.token");
    let reports = json!({"calls": [call]}).to_string();
    let recorded = world.post_json("/v1/audit", &gateway, &reports).await;
    check("Recorded", &recorded.json());
    let listed = get("/v1/sessions").await;
    check("Sessions", &listed);
    check("Session", &listed["sessions"][0]);
    check(
        "AuthorizationDetail",
        &listed["sessions"][0]["authorization_details"][0],
    );
    let full = get(&format!("/v1/sessions/{session}")).await;
    check("SessionInFull", &full);
    check("Usage", &full["usage"][0]);
    check("DelegateChain", &full["delegations"][0]);
    check("Call", &full["calls"][0]);
    check(
        "RevokedSession",
        &post("/v1/revocations", json!({"session": session})).await,
    );
    let all = json!({"application": "default"});
    check("RevokedSessions", &post("/v1/revocations", all).await);
    check("SignedDocument", &world.get("/v1/revocations").await.json());
    check("SignedDocument", &world.get("/v1/keys").await.json());

    let bob = json!({"user_name": "bob", "roles": ["approver"]});
    check("InvitedAccount", &post("/v1/accounts", bob).await);
    check("Accounts", &get("/v1/accounts").await);
    check("Account", &get("/v1/accounts/bob").await);
    check(
        "SignedOut",
        &post("/v1/accounts/ada/sign-out", json!({})).await,
    );
    let delegate = json!({"to": "bob", "starts_at": "2026-01-31T12:00:00Z",
        "ends_at": "2026-02-01T12:00:00Z"});
    check(
        "Delegation",
        &post("/v1/accounts/ada/delegate", delegate).await,
    );

    let other = json!({"application": "other", "name": "Other"});
    check("Application", &post("/v1/applications", other).await);
    check("Applications", &get("/v1/applications").await);
    let client = json!({"application": "other", "name": "Agent",
        "auth_method": "client_secret_basic"});
    check("RegisteredClient", &post("/v1/clients", client).await);
    let clients = get("/v1/clients").await;
    check("Clients", &clients);
    check("Client", &clients["clients"][0]);
    check(
        "RemovedApplication",
        &post("/v1/applications/other/remove", json!({})).await,
    );

    check("Problem", &world.get("/v1/nothing").await.json());
    let fields = [("client_id", "bailiwick-cli"), ("resource", AUDIENCE)];
    let refused = world
        .post_form("/oauth/device_authorization", &fields)
        .await;
    check("OAuthProblem", &refused.json());
}

#[tokio::test]
async fn answers_about_passkeys_have_the_members_that_are_described() {
    let (world, _ada, _) = crate::passkeys::touching().await;
    let described = description(&world).await;
    let operator = world.bearer("operator.token");
    let listed = world.get_as("/v1/accounts/ada/passkeys", &operator).await;
    let listed = listed.json();
    assert_described(&described, "Passkeys", &listed);
    assert_described(&described, "Passkey", &listed["passkeys"][0]);
    world.invited("bob", &["approver"]).await;
    let allowed = world.operate("/v1/accounts/bob/passkeys/allow", "").await;
    assert_described(&described, "PasskeyAllowed", &allowed.json());
}
