//! Sessions for the operator's programs: lists, one in full, and ending them.

use axum::{
    Json,
    extract::{Request, State},
};
use bailiwick_datalog::{AgentName, ApplicationId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    address::{Path, Query},
    api::{self, Operator, read_json},
    failure::{Failure, Fault, Problem},
    openapi::{bodies, requests},
    session_query::SessionQuery,
    to_the_end,
    views::StateView,
};
use crate::{
    core::Unavailable,
    people::{Actor, Sight},
    revocation_feed::AllOf,
    store::{CallCounts, CallDecision, DelegateChain, Place, Revoked, StoredSession, Usage},
};

/// The routes below `/v1/sessions`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(api::revocations, revoke))
}

/// Lists sessions, page by page
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "sessions",
    operation_id = "listSessions",
    params(
        ("state" = Option<String>, Query, description = "`live`, `over` or `any`"),
        ("agent" = Option<String>, Query, description = "The name that an agent gives itself"),
        ("application" = Option<String>, Query, description = "The id of an application"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u16>, Query, description = "Most sessions on this page", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "A page of the list", body = bodies::Sessions)),
    security(("operator" = []))
)]
async fn list(
    _operator: Operator,
    State(core): State<App>,
    Query(query): Query<SessionQuery>,
) -> Result<Json<Value>, Problem> {
    let wanted = query.read()?;
    let now = core.clock.now().utc;
    let (filter, after) = (&wanted.filter, wanted.after.as_ref());
    let list = core
        .store
        .sessions(&Sight::Everything, filter, after, wanted.most, now)
        .await
        .map_err(Unavailable::from)?;
    let ids = list.sessions.iter().map(|session| session.id.as_str());
    let counts = core.store.call_counts(ids).await;
    let counts = counts.map_err(Unavailable::from)?;
    let sessions = list.sessions.iter().map(|session| {
        let counts = counts.get(session.id.as_str()).copied();
        session_json(session, counts.unwrap_or_default(), now)
    });
    let sessions: Vec<Value> = sessions.collect();
    let next = list.next.as_ref().map(Place::to_text);
    Ok(Json(json!({"sessions": sessions, "next": next})))
}

/// Shows a session with what was done in it
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}",
    tag = "sessions",
    operation_id = "getSession",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The session", body = bodies::SessionInFull)),
    security(("operator" = []))
)]
async fn show(
    _operator: Operator,
    State(core): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let session = core.store.session(&id).await.map_err(Unavailable::from)?;
    let session = session.ok_or_else(no_session)?;
    let calls = core.store.calls_of(&id).await.map_err(Unavailable::from)?;
    let usage = core.store.usage_of(&id).await.map_err(Unavailable::from)?;
    let chains = core.store.chains_of(&id).await.map_err(Unavailable::from)?;
    let counts = core.store.call_counts_of(&id).await;
    let counts = counts.map_err(Unavailable::from)?;
    let mut reply = session_json(&session, counts, core.clock.now().utc);
    if let Some(object) = reply.as_object_mut() {
        object.insert("usage".to_owned(), usage.iter().map(usage_json).collect());
        let chains = chains.iter().map(chain_json).collect();
        object.insert("delegations".to_owned(), chains);
        object.insert("calls".to_owned(), calls.iter().map(call_json).collect());
    }
    Ok(Json(reply))
}

/// Which sessions are to end: one, or all live ones of an agent or an application.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    session: Option<String>,
    agent: Option<AgentName>,
    application: Option<ApplicationId>,
}

/// Ends sessions
///
/// One by its id, or all live ones of an agent, of an application, or of an agent in an application.
#[utoipa::path(
    post,
    path = "/v1/revocations",
    tag = "sessions",
    operation_id = "revokeSessions",
    request_body = requests::WantedRevocation,
    responses((status = 200, description = "What was ended", body = bodies::Revoked)),
    security(("operator" = []))
)]
async fn revoke(
    _operator: Operator,
    State(core): State<App>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let wanted: Wanted = read_json(request).await?;
    let whose = match (wanted.session, wanted.agent, wanted.application) {
        (Some(session), None, None) => return revoke_one(core, session).await,
        (None, Some(agent), application) => AllOf::Agent(agent, application),
        (None, None, Some(application)) => AllOf::Application(application),
        (Some(_), _, _) | (None, None, None) => {
            let why = "Say `session`, or `agent` and `application` or one of them.";
            return Err(Failure::new(Fault::MalformedJson, why).into());
        }
    };
    let ended = to_the_end(async move { core.revoke_all(&whose, &Actor::Operator).await }).await?;
    Ok(Json(
        json!({"sessions_revoked": ended.sessions, "seq": ended.seq}),
    ))
}

async fn revoke_one(core: App, session: String) -> Result<Json<Value>, Problem> {
    let id = session.clone();
    let revoked =
        to_the_end(async move { core.revoke_session(&id, &Actor::Operator).await }).await?;
    let (seq, before) = match revoked {
        Revoked::Now { seq } => (seq, false),
        Revoked::Before { seq } => (seq, true),
        Revoked::Unknown => return Err(no_session().into()),
    };
    Ok(Json(
        json!({"session": session, "seq": seq, "already_revoked": before}),
    ))
}

fn session_json(session: &StoredSession, counts: CallCounts, now: Timestamp) -> Value {
    let request = &session.request.request;
    json!({
        "session": session.id.as_str(),
        "approval": session.request.id,
        "application": request.application.as_str(),
        "agent": request.agent.as_str(),
        "principal": session.principal.as_str(),
        "task": request.task,
        "state": StateView::of(session, now).word,
        "remaining_seconds": session.remaining(now).as_secs(),
        "approved_at": session.approved_at.to_rfc3339(),
        "minted_at": session.minted_at.map(Timestamp::to_rfc3339),
        "expires_at": session.expires_at.to_rfc3339(),
        "revoked_at": session.revoked_at.map(Timestamp::to_rfc3339),
        "revoked_by": session.revoked_by,
        "calls_allowed": counts.allowed,
        "calls_refused": counts.refused,
        "authorization_details": session.granted.authorization_details(request),
    })
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "tool": usage.tool,
        "access": some(&usage.access),
        "decision": decision(usage.allowed),
        "code": some(&usage.code),
        "calls": usage.calls,
        "first_at": usage.first_at.to_rfc3339(),
        "last_at": usage.last_at.to_rfc3339(),
    })
}

fn chain_json(chain: &DelegateChain) -> Value {
    json!({
        "delegates": chain.delegates,
        "calls": chain.calls,
        "last_at": chain.last_at.to_rfc3339(),
    })
}

fn call_json(call: &CallDecision) -> Value {
    json!({
        "time": call.time.to_rfc3339(),
        "tool": call.tool,
        "access": call.access,
        "resources": call.resources,
        "delegates": call.delegates,
        "decision": decision(call.allowed),
        "code": call.code,
    })
}

fn decision(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn no_session() -> Failure {
    Failure::new(Fault::SessionNotFound, "There is no session with that id.")
}
