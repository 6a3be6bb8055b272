//! The sessions pages: what is going on, and the button that ends it.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    App,
    address::Path,
    extract::{ApproverForm, Reader},
    failure::{Failure, Fault, PageFailure},
    pages::{self, Frame, SessionPage, SessionsPage},
    to_the_end,
    views::{CallView, SessionView},
};
use crate::{core::Unavailable, store::Revoked};

/// `GET /sessions`
pub(crate) async fn list(State(core): State<App>, reader: Reader) -> Result<Response, PageFailure> {
    let now = core.clock.now().utc;
    let sight = core.sight(&reader.account).await?;
    let sessions = core.store.sessions(&sight).await;
    let sessions = sessions.map_err(Unavailable::from)?;
    let mut counts = core
        .store
        .all_call_counts()
        .await
        .map_err(Unavailable::from)?;
    let views = sessions.iter().map(|session| {
        let counts = counts.remove(session.id.as_str()).unwrap_or_default();
        SessionView::of(session, counts, now)
    });
    let (live, over) = views.partition(|view| view.live);
    let page = SessionsPage {
        frame: Frame::of(&reader, "sessions"),
        live,
        over,
    };
    Ok(pages::render(&page)?.into_response())
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
    let counts = core
        .store
        .call_counts(&id)
        .await
        .map_err(Unavailable::from)?;
    let calls = core.store.calls_of(&id).await.map_err(Unavailable::from)?;
    let page = SessionPage {
        frame: Frame::of(&reader, "sessions"),
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

fn not_found() -> Failure {
    Failure::new(
        Fault::SessionNotFound,
        "The session does not exist; the address may be mistyped.",
    )
}
