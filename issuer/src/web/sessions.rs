//! The sessions pages: what is going on, what each session did with what it was given, and the
//! buttons that end one or all of them.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use bailiwick_datalog::{AgentName, ApplicationId};

use super::{
    App,
    address::{Path, Query},
    call_view::CallView,
    extract::{ApproverForm, Reader},
    failure::{Failure, Fault, PageFailure},
    fields::FieldError,
    pages::{self, Frame, SessionPage, SessionsPage},
    session_query::{SessionQuery, Wanted, address},
    to_the_end,
    usage_view::UsageView,
    views::SessionView,
};
use crate::{
    core::{Core, Unavailable},
    people::Sight,
    revocation_feed::AllOf,
    store::{Revoked, SessionFilter, Standing, StoredSession},
};

/// Sessions that are over beside the live ones, where the address asks for neither.
const LATELY_OVER: usize = 10;

/// Some sessions of a list, and where it goes on.
pub(crate) struct Listed {
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Option<String>,
}

/// A session with what it did last.
pub(crate) struct Row {
    pub(crate) view: SessionView,
    pub(crate) latest: Vec<CallView>,
}

/// `GET /sessions`
pub(crate) async fn list(
    State(core): State<App>,
    reader: Reader,
    Query(query): Query<SessionQuery>,
) -> Result<Response, PageFailure> {
    let wanted = query.read()?;
    let sight = core.sight(&reader.account).await?;
    let of = |standing, most| Wanted {
        filter: SessionFilter {
            standing,
            ..wanted.filter.clone()
        },
        after: wanted.after.clone(),
        most,
    };
    let (live, over) = match wanted.filter.standing {
        Standing::Live => (Some(page(&core, &sight, &wanted).await?), None),
        Standing::Over => (None, Some(page(&core, &sight, &wanted).await?)),
        Standing::Any => {
            let live = page(&core, &sight, &of(Standing::Live, wanted.most)).await?;
            let over = page(&core, &sight, &of(Standing::Over, LATELY_OVER)).await?;
            (Some(live), Some(over))
        }
    };
    let page = SessionsPage {
        frame: Frame::of(&reader, "sessions"),
        agent: wanted.filter.agent.as_ref().map(ToString::to_string),
        application: wanted.filter.application.as_ref().map(ToString::to_string),
        live,
        over,
    };
    Ok(pages::render(&page)?.into_response())
}

async fn page(core: &Core, sight: &Sight, wanted: &Wanted) -> Result<Listed, Unavailable> {
    let now = core.clock.now().utc;
    let (filter, after) = (&wanted.filter, wanted.after.as_ref());
    let list = core
        .store
        .sessions(sight, filter, after, wanted.most, now)
        .await?;
    let ids = list.sessions.iter().map(|session| session.id.as_str());
    let counts = core.store.call_counts(ids.clone()).await?;
    let latest = core.store.latest_usage(ids).await?;
    let row = |session: &StoredSession| {
        let id = session.id.as_str();
        let counts = counts.get(id).copied().unwrap_or_default();
        let latest = latest.get(id).map(Vec::as_slice).unwrap_or_default();
        Row {
            view: SessionView::of(session, counts, now),
            latest: latest.iter().map(CallView::of_usage).collect(),
        }
    };
    Ok(Listed {
        rows: list.sessions.iter().map(row).collect(),
        next: list.next.map(|place| address(filter, Some(&place))),
    })
}

/// `GET /sessions/{id}`
pub(crate) async fn show(
    State(core): State<App>,
    Path(id): Path<String>,
    reader: Reader,
) -> Result<Response, PageFailure> {
    let session = core.store.session(&id).await.map_err(Unavailable::from)?;
    let session = session.ok_or_else(not_found)?;
    let sight = core.sight(&reader.account).await?;
    if !sight.covers(&session.request.request.application) {
        return Err(not_found().into());
    }
    let usage = core.store.usage_of(&id).await.map_err(Unavailable::from)?;
    let chains = core.store.chains_of(&id).await.map_err(Unavailable::from)?;
    let counts = core.store.call_counts_of(&id).await;
    let counts = counts.map_err(Unavailable::from)?;
    let calls = core.store.calls_of(&id).await.map_err(Unavailable::from)?;
    let of_agent = SessionFilter {
        standing: Standing::Any,
        agent: Some(session.request.request.agent.clone()),
        application: Some(session.request.request.application.clone()),
    };
    let page = SessionPage {
        all_of_agent: address(&of_agent, None),
        frame: Frame::of(&reader, "sessions"),
        usage: UsageView::of(&session.granted, &usage, &chains),
        session: SessionView::of(&session, counts, core.clock.now().utc),
        calls: calls.iter().map(CallView::of).collect(),
    };
    Ok(pages::render(&page)?.into_response())
}

/// `POST /sessions/{id}/revoke`
pub(crate) async fn revoke(
    State(core): State<App>,
    Path(id): Path<String>,
    form: ApproverForm,
) -> Result<Redirect, PageFailure> {
    form.fields.finish()?;
    let (account, session) = (form.account, id.clone());
    let revoked = async move { core.revoke_session_as(&account, &session).await };
    let revoked = to_the_end(revoked).await?;
    match revoked {
        Revoked::Now { .. } | Revoked::Before { .. } => {
            Ok(Redirect::to(&format!("/sessions/{id}")))
        }
        Revoked::Unknown => Err(not_found().into()),
    }
}

/// `POST /sessions/revoke`: all live sessions of an application, of one of its agents, or of an
/// agent wherever whoever sends it decides.
pub(crate) async fn revoke_all(
    State(core): State<App>,
    mut form: ApproverForm,
) -> Result<Redirect, PageFailure> {
    let application = form.fields.optional("application")?;
    let agent = form.fields.optional("agent")?;
    form.fields.finish()?;
    let application = application.map(ApplicationId::parse).transpose();
    let application = application.map_err(|_| not_found())?;
    let agent = agent.map(AgentName::parse).transpose();
    let agent = agent.map_err(|_| not_found())?;
    let filter = SessionFilter {
        standing: Standing::Any,
        agent: agent.clone(),
        application: application.clone(),
    };
    let whose = match (agent, application) {
        (Some(agent), application) => AllOf::Agent(agent, application),
        (None, Some(application)) => AllOf::Application(application),
        (None, None) => return Err(FieldError::Missing("application").into()),
    };
    let account = form.account;
    let ended = async move { core.revoke_all_as(&account, whose).await };
    to_the_end(ended).await?;
    Ok(Redirect::to(&address(&filter, None)))
}

fn not_found() -> Failure {
    Failure::new(
        Fault::SessionNotFound,
        "The session does not exist; the address may be mistyped.",
    )
}
