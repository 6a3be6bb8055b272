//! Puts refused requests on the record: an answer says that it is a refusal, and with which code.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use super::{App, cookies::Cookie, headers::RequestId};
use crate::{refusals::Refused, secret::Secret};

/// On an answer: it refuses, with this code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// How long an answer waits for its line.
const PATIENCE: Duration = Duration::from_secs(5);

/// Codes with which clients are told to go on.
const NOT_REFUSED: [&str; 2] = ["authorization_pending", "slow_down"];

/// Records what was refused. Faults of ours are in the log; addresses that lead nowhere are not
/// worth a line.
pub(crate) async fn record(State(core): State<App>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let route = extensions.get::<MatchedPath>().cloned();
    let request_id = extensions.get::<RequestId>().cloned();
    let cookie = Cookie::Session.read(&core.settings.site, request.headers());
    let response = next.run(request).await;
    let (Some(route), Some(Refusal(code))) = (route, response.extensions().get().copied()) else {
        return response;
    };
    if response.status().is_server_error() || NOT_REFUSED.contains(&code) {
        return response;
    }
    let request_id = request_id.map(|RequestId(id)| id).unwrap_or_default();
    let noted = note(&core, route.as_str(), code, request_id, cookie);
    if tokio::time::timeout(PATIENCE, noted).await.is_err() {
        tracing::error!(code, "a refusal was not recorded in time");
    }
    response
}

async fn note(
    core: &App,
    route: &str,
    code: &'static str,
    request_id: String,
    cookie: Option<Secret>,
) {
    let browser = match cookie {
        Some(cookie) => core.store.browser_session(&cookie.digest()).await,
        None => Ok(None),
    };
    let by = browser
        .ok()
        .flatten()
        .map(|browser| browser.account.user_name);
    let lately = match by {
        Some(_) => &core.refusals.of_people,
        None => &core.refusals.of_strangers,
    };
    if let Some(missed) = lately.count(route, code, core.clock.now().monotonic) {
        let refused = Refused {
            route: route.to_owned(),
            code,
            request_id,
            by: by.map(|name| name.as_str().to_owned()),
        };
        core.note_refused(refused, missed).await;
    }
}
