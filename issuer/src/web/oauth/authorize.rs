//! The authorization endpoint and the way back: a client sends a browser here, and it leaves
//! with the answer.
//!
//! Until client and redirect URI are known to belong together, every refusal is a page: nobody
//! is redirected to an address that nobody registered. From then on the client is told.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};

use super::{
    super::{
        App,
        address::Path,
        cookies::Cookie,
        failure::{Failure, Fault, PageFailure, sentence},
        fields::{FieldError, Fields},
        to_the_end,
    },
    error::OAuthError,
};
use crate::{
    core::Unavailable,
    oauth::{
        authorize::{
            Answer, AnswerError, AuthorizationParameters, AuthorizeError, Caller, CallerError,
        },
        client::ClientError,
    },
    secret::Secret,
};

/// What a browser wants to do with the answer (W3C, Fetch Metadata Request Headers).
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// `GET /oauth/authorize`
pub(crate) async fn authorize(
    State(core): State<App>,
    request: Request,
) -> Result<Response, PageFailure> {
    refuse_embedded(request.headers())?;
    let mut fields = Fields::of_query(request.uri().query().unwrap_or_default());
    let caller = read_caller(&core, &mut fields).await?;
    let site = core.settings.site.clone();
    let known = Cookie::Began.read(&site, request.headers());
    let planted = known.is_none();
    let browser = known.unwrap_or_else(|| Secret::generate(&core.entropy));
    let digest = browser.digest();
    let asked = {
        let (core, caller) = (App::clone(&core), caller.clone());
        to_the_end(async move {
            let parameters = read_parameters(fields)?;
            core.authorize(&caller, parameters, digest).await
        })
        .await
    };
    let to = match asked {
        Ok(id) => format!("/approvals/{id}"),
        Err(error) => {
            let refused = OAuthError::from(error);
            core.refusal(&caller, refused.error, &refused.description)
        }
    };
    let cookie = planted.then(|| {
        (
            header::SET_COOKIE,
            Cookie::Began.plant(&site, &browser, None),
        )
    });
    Ok((AppendHeaders(cookie), Redirect::to(&to)).into_response())
}

/// `GET /approvals/{id}/return`
pub(crate) async fn answer(
    State(core): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Redirect, PageFailure> {
    let browser = Cookie::Began.read(&core.settings.site, &headers);
    let page = format!("/approvals/{id}");
    let answer = to_the_end(async move { core.answer(&id, browser.as_ref()).await });
    Ok(match answer.await? {
        Answer::Go(location) => Redirect::to(&location),
        Answer::Undecided | Answer::Given => Redirect::to(&page),
    })
}

async fn read_caller(core: &App, fields: &mut Fields) -> Result<Caller, Failure> {
    let client_id = fields.required("client_id")?;
    let redirect_uri = fields.required("redirect_uri")?;
    let state = fields.optional("state")?;
    let core = App::clone(core);
    let caller = async move { core.caller(&client_id, &redirect_uri, state).await };
    Ok(to_the_end(caller).await?)
}

fn read_parameters(mut fields: Fields) -> Result<AuthorizationParameters, AuthorizeError> {
    let mut take = |name: &str| {
        let taken = fields.optional(name);
        taken.map_err(|error: FieldError| AuthorizeError::Parameter(error.to_string()))
    };
    Ok(AuthorizationParameters {
        response_type: take("response_type")?,
        response_mode: take("response_mode")?,
        code_challenge: take("code_challenge")?,
        code_challenge_method: take("code_challenge_method")?,
        resource: take("resource")?,
        scope: take("scope")?,
        authorization_details: take("authorization_details")?,
        request: take("request")?,
        request_uri: take("request_uri")?,
    })
}

/// Refuses what a page fetched or framed: only a person who is taken here can decide, and the
/// places of waiting requests are not for pictures. Browsers say so themselves; what says nothing
/// is let through.
fn refuse_embedded(headers: &HeaderMap) -> Result<(), Failure> {
    let mut wanted = headers.get_all(FETCH_DEST).iter();
    if wanted.all(|value| value == "document") {
        return Ok(());
    }
    let why = "This page has to be opened by itself, not inside another one.";
    Err(Failure::new(Fault::NotOpened, why))
}

impl From<Unavailable> for CallerError {
    fn from(cause: Unavailable) -> Self {
        Self::Client(cause.into())
    }
}

impl From<CallerError> for Failure {
    fn from(error: CallerError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            CallerError::Client(ClientError::Unavailable(cause)) => cause.into(),
            CallerError::Client(ClientError::Unknown | ClientError::Document(_)) => {
                Self::new(Fault::UnknownClient, detail)
            }
            CallerError::Client(ClientError::TooManyFetches) => {
                Self::new(Fault::TooManyAttempts, detail)
            }
            CallerError::Redirect => Self::new(Fault::WrongRedirect, detail),
            CallerError::State { .. } => Self::new(Fault::MalformedAddress, detail),
        }
    }
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            AnswerError::NotFound => Self::new(Fault::RequestNotFound, detail),
            AnswerError::OtherBrowser => Self::new(Fault::OtherBrowser, detail),
            AnswerError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<Unavailable> for AuthorizeError {
    fn from(cause: Unavailable) -> Self {
        Self::Ask(cause.into())
    }
}

impl From<AuthorizeError> for OAuthError {
    /// The codes of RFC 6749 section 4.1.2.1 and its extensions; the status goes unused in a
    /// redirect.
    fn from(error: AuthorizeError) -> Self {
        let description = error.to_string();
        let code = match error {
            AuthorizeError::ResponseType => "unsupported_response_type",
            AuthorizeError::Parameter(_) => "invalid_request",
            AuthorizeError::RequestObject => "request_not_supported",
            AuthorizeError::RequestUri => "request_uri_not_supported",
            AuthorizeError::NoResource => "invalid_target",
            AuthorizeError::Ask(error) => return error.into(),
        };
        Self::bad_request(code, description)
    }
}
