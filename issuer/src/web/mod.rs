//! The HTTP surface: one table of routes, read top to bottom.
//!
//! Handlers extract typed input, call one function of [`Core`], and render. Who may call what
//! is visible in their signatures: [`extract::Looking`] and [`extract::Sending`] exist only for
//! a signed-in browser whose account has the role they name, [`api::Operator`] and
//! [`api::Gateway`] only for a right bearer token.

mod accounts;
mod accounts_api;
mod address;
mod api;
mod applications;
mod applications_api;
mod approval_form;
mod approvals;
mod assets;
mod call_view;
mod client_pages;
mod clients;
mod cookies;
mod dry_run_view;
mod effect_view;
mod events;
mod extract;
mod failure;
mod fields;
mod headers;
mod identity;
mod limits_form;
mod local_path;
mod may_grant;
mod me;
mod oauth;
mod openapi;
mod pages;
mod passkeys;
mod passkeys_api;
mod refused;
mod session_query;
mod sessions;
mod sessions_api;
mod sign_in;
mod usage_view;
mod views;
mod waiting;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use crate::core::{Core, Unavailable};

/// Shared state of all handlers.
pub(crate) type App = Arc<Core>;

/// Largest form or JSON body: sixteen times the longest task.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Largest metadata of a client: four times what its id can carry, for what is ignored.
const MAX_REGISTRATION_BYTES: usize = 8 * 1024;
/// Largest batch of call decisions.
const MAX_AUDIT_BYTES: usize = 1024 * 1024;
/// Requests handled at once; more wait in the accept queue.
const MAX_CONCURRENT: usize = 512;

/// All routes of the issuer.
pub(crate) fn router(core: App) -> Router {
    let pages = Router::new()
        .route("/", get(sign_in::home))
        .route(
            "/setup/{link}",
            get(sign_in::setup_page).post(sign_in::set_up),
        )
        .route(
            "/invitations/{link}",
            get(sign_in::invitation_page).post(sign_in::accept_invitation),
        )
        .route(
            "/sign-in",
            get(sign_in::sign_in_page).post(sign_in::sign_in),
        )
        .route("/sign-in/identity", get(identity::begin))
        .route("/sign-in/identity/return", get(identity::finish))
        .route("/sign-in/passkey", post(passkeys::sign_in))
        .route("/sign-in/passkey/begin", post(passkeys::begin_sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/approvals", get(approvals::list))
        .route("/approvals/events", get(events::waiting))
        .route("/approve", get(approvals::enter_code))
        .route(
            "/approvals/{id}",
            get(approvals::show).post(approvals::decide),
        )
        .route("/approvals/{id}/passkey", post(approvals::ask_for_touch))
        .route("/approvals/{id}/return", get(oauth::authorize::answer))
        .route("/sessions", get(sessions::list))
        .route("/sessions/revoke", post(sessions::revoke_all))
        .route("/sessions/{id}", get(sessions::show))
        .route("/sessions/{id}/revoke", post(sessions::revoke))
        .route("/accounts", get(accounts::list).post(accounts::add))
        .route("/accounts/{user_name}", get(accounts::show))
        .route("/accounts/{user_name}/roles", post(accounts::set_roles))
        .route("/accounts/{user_name}/link", post(accounts::link))
        .route("/accounts/{user_name}/disable", post(accounts::disable))
        .route("/accounts/{user_name}/enable", post(accounts::enable))
        .route("/accounts/{user_name}/sign-out", post(accounts::sign_out))
        .route("/accounts/{user_name}/ceiling", post(accounts::set_ceiling))
        .route(
            "/accounts/{user_name}/passkeys/allow",
            post(passkeys::allow),
        )
        .route(
            "/accounts/{user_name}/passkeys/{id}/remove",
            post(passkeys::remove_of),
        )
        .route(
            "/applications",
            get(applications::list).post(applications::add),
        )
        .route(
            "/applications/{id}",
            get(applications::show).post(applications::set),
        )
        .route("/applications/{id}/remove", post(applications::remove))
        .route(
            "/applications/{id}/clients",
            get(client_pages::list).post(client_pages::add),
        )
        .route(
            "/applications/{id}/clients/{client}/remove",
            post(client_pages::remove),
        )
        .route("/me", get(me::show))
        .route("/me/sign-out-everywhere", post(me::sign_out_everywhere))
        .route("/me/passkeys", post(passkeys::register))
        .route("/me/passkeys/begin", post(passkeys::begin))
        .route("/me/passkeys/{id}/remove", post(passkeys::remove))
        .route("/me/delegates", post(me::delegate))
        .route("/me/delegates/{id}/end", post(me::end_delegation))
        .route("/me/delegates/{id}/accept", post(me::accept_delegation))
        .route("/me/delegates/{id}/decline", post(me::decline_delegation))
        .route("/api", get(openapi::page))
        .route("/assets/bailiwick.css", get(assets::stylesheet))
        .route("/assets/passkeys.js", get(assets::passkeys_script))
        .route("/assets/waiting.js", get(assets::waiting_script))
        .route("/assets/icon.svg", get(assets::icon));
    let oauth = Router::new()
        .route("/oauth/authorize", get(oauth::authorize::authorize))
        .route(
            "/oauth/device_authorization",
            post(oauth::device_authorization),
        )
        .route("/oauth/introspect", post(oauth::introspect));
    let for_pages = Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(oauth::metadata),
        )
        .route("/oauth/token", post(oauth::token))
        .route("/oauth/revoke", post(oauth::revoke))
        .method_not_allowed_fallback(failure::wrong_method)
        .layer(oauth::cors::any_page());
    let for_local_pages = Router::new()
        .route(
            "/oauth/register",
            post(oauth::register).layer(DefaultBodyLimit::max(MAX_REGISTRATION_BYTES)),
        )
        .method_not_allowed_fallback(failure::wrong_method)
        .layer(oauth::cors::local_page());
    let (v1, _) = openapi::v1().split_for_parts();
    let api = Router::new()
        .merge(v1)
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz));
    Router::new()
        .merge(pages)
        .merge(oauth)
        .merge(for_pages)
        .merge(for_local_pages)
        .merge(api)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .fallback(failure::no_such_page)
        .method_not_allowed_fallback(failure::wrong_method)
        .with_state(Arc::clone(&core))
        .layer(middleware::from_fn(headers::deadline))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&core),
            refused::record,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&core),
            headers::identify,
        ))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_CONCURRENT))
        .layer(middleware::from_fn_with_state(core, headers::secure))
}

/// Runs a change of state to its end even if the caller goes away half-way: a record in the
/// audit file must not be left without its effect.
async fn to_the_end<T: Send + 'static, E: From<Unavailable> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(error) => Err(Unavailable::Internal(error.to_string()).into()),
    }
}
