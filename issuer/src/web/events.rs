//! Server-sent events for the open list of what waits: the page is told that its list is another
//! one, and fetches it. No event says what changed.
//!
//! A stream ends with the sign-in of its browser, which it does not keep alive, and with the role.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use sha2::{Digest as _, Sha256};

use super::{
    App,
    cookies::Cookie,
    extract::{Reader, sign_in_needed},
    failure::{Failure, Fault, PageFailure},
};
use crate::{core::Unavailable, pulse::Listener, secret::Secret};

/// How often a stream looks without a beat: requests expire and browsers are signed out by time.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Least time between two looks: a burst of changes is one.
const SETTLE: Duration = Duration::from_millis(250);

/// `GET /approvals/events`
pub(crate) async fn waiting(
    State(core): State<App>,
    reader: Reader,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    let cookie = Cookie::Session.read(&core.settings.site, &headers);
    let cookie = cookie.ok_or_else(sign_in_needed)?;
    let listener = core.pulse.listen(&reader.account.id).ok_or_else(|| {
        let why = "Too many pages of yours wait for news. Close some of them.";
        Failure::new(Fault::TooManyAttempts, why)
    })?;
    let watch = Watch {
        core,
        cookie,
        listener,
        seen: None,
    };
    let events = stream::unfold(watch, |mut watch| async move {
        watch.changed().await.then(|| {
            let event = Event::default().event("waiting").data("changed");
            (Ok::<Event, Infallible>(event), watch)
        })
    });
    let alive = KeepAlive::new().interval(LOOK_EVERY);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

struct Watch {
    core: App,
    cookie: Secret,
    listener: Listener,
    /// A digest of the list as last seen.
    seen: Option<[u8; 32]>,
}

impl Watch {
    /// Waits until the list is another one than before: `false` when the stream is to end. The
    /// first time it comes at once, so that nothing is missed between page and stream.
    async fn changed(&mut self) -> bool {
        loop {
            if self.listener.is_over() {
                return false;
            }
            match self.list().await {
                Ok(Some(now)) if self.seen != Some(now) => {
                    self.seen = Some(now);
                    return true;
                }
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(cause) => {
                    tracing::error!(%cause, "an open page could not be kept up to date");
                    return false;
                }
            }
            tokio::select! {
                heard = self.listener.heard() => if !heard { return false },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// A digest of what waits for whoever is signed in; `None` when nobody is who may see it.
    async fn list(&self) -> Result<Option<[u8; 32]>, Unavailable> {
        let account = self.core.signed_in(&self.cookie).await?;
        let reads = |roles: crate::people::Roles| roles.approver || roles.auditor;
        let Some(account) = account.filter(|account| reads(account.roles)) else {
            return Ok(None);
        };
        let sight = self.core.sight(&account).await?;
        let now = self.core.clock.now().utc;
        let waiting = self.core.store.waiting_requests(&sight, None, now).await?;
        let mut digest = Sha256::new();
        for one in waiting {
            digest.update(&one.request.id);
            digest.update(one.of_agent.to_be_bytes());
            digest.update(one.of_application.to_be_bytes());
        }
        Ok(Some(digest.finalize().into()))
    }
}
