//! The pages as askama templates: which there are, and what each needs.
//!
//! Everything is escaped by the templates.

use askama::Template;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    failure::{Failure, Fault},
    views::{CallView, RequestView, SessionView, WaitingView},
};

/// A page body.
pub(crate) fn html(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text)
}

/// Renders a page.
///
/// # Errors
/// [`Failure`] when the template fails, which none does on text that fits in memory.
pub(crate) fn render<T: Template>(page: &T) -> Result<Response, Failure> {
    let text = page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Failure::new(Fault::Internal, "The page could not be shown.")
    })?;
    Ok(html(text).into_response())
}

/// Who is signed in, for the bar at the top.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) user_name: &'a str,
    pub(crate) csrf: &'a str,
    /// Which entry of the bar is the current one.
    pub(crate) here: &'static str,
}

#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage<'a> {
    pub(crate) title: &'a str,
    pub(crate) code: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) back: &'a str,
    pub(crate) back_words: &'static str,
}

#[derive(Template)]
#[template(path = "setup.html")]
pub(crate) struct SetupPage<'a> {
    pub(crate) csrf: &'a str,
    pub(crate) link: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) problem: Option<&'a Failure>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) csrf: &'a str,
    pub(crate) next: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) problem: Option<&'a Failure>,
    /// Nobody can sign in yet: the set-up link comes first.
    pub(crate) needs_setup: bool,
}

#[derive(Template)]
#[template(path = "approvals.html")]
pub(crate) struct ApprovalsPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) waiting: Vec<WaitingView>,
}

#[derive(Template)]
#[template(path = "enter_code.html")]
pub(crate) struct EnterCodePage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) typed: &'a str,
    pub(crate) problem: Option<&'a Failure>,
}

#[derive(Template)]
#[template(path = "approval.html")]
pub(crate) struct ApprovalPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) request: RequestView,
    pub(crate) digest: String,
}

#[derive(Template)]
#[template(path = "decided.html")]
pub(crate) struct DecidedPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) request: RequestView,
    pub(crate) session: Option<SessionView>,
    pub(crate) denial: Option<String>,
}

#[derive(Template)]
#[template(path = "sessions.html")]
pub(crate) struct SessionsPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) live: Vec<SessionView>,
    pub(crate) over: Vec<SessionView>,
}

#[derive(Template)]
#[template(path = "session.html")]
pub(crate) struct SessionPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) session: SessionView,
    pub(crate) calls: Vec<CallView>,
}
