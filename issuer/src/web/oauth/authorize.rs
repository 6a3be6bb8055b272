//! The authorization endpoint and the way back: a client sends a browser here, and it leaves
//! with the answer.
//!
//! Until client and redirect URI are known to belong together, every refusal is a page: nobody
//! is redirected to an address that nobody registered. From then on the client is told; by way of a
//! page that names the place, where a stranger named it. While nobody is signed in nothing is
//! stored.

use axum::{
    Extension,
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};

use super::{
    super::{
        App,
        address::Path,
        cookies::Cookie,
        extract::{NotSignedIn, SignedIn},
        failure::{Failure, Fault, PageFailure, sentence},
        fields::{FieldError, Fields},
        local_path::LocalPath,
        pages::{self, RefusedPage},
        refused::Refusal,
        to_the_end,
    },
    error::OAuthError,
};
use crate::{
    core::Unavailable,
    oauth::{
        authorize::{
            Answer, AnswerError, AuthorizationParameters, AuthorizeError, Called, Caller,
            CallerError,
        },
        client::ClientError,
    },
    secret::Secret,
    store::Account,
};

/// What a browser wants to do with the answer (W3C, Fetch Metadata Request Headers).
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Where the page is from that sends it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// `GET /oauth/authorize`
pub(crate) async fn authorize(
    State(core): State<App>,
    request: Request,
) -> Result<Response, PageFailure> {
    refuse_embedded(request.headers())?;
    let (mut parts, _) = request.into_parts();
    let fields = Fields::of_query(parts.uri.query().unwrap_or_default());
    match SignedIn::from_request_parts(&mut parts, &core).await {
        Ok(who) => begin(core, who.account, fields, &parts.headers).await,
        Err(NotSignedIn::Redirect(_)) => sign_in_first(core, fields, &parts).await,
        Err(NotSignedIn::Failure(failure)) => Err(failure.into()),
    }
}

/// Nobody is signed in: what is wrong is said now, what is not comes back after sign-in.
async fn sign_in_first(
    core: App,
    mut fields: Fields,
    parts: &Parts,
) -> Result<Response, PageFailure> {
    let called = read_called(&mut fields)?;
    if let Some(caller) = core.known_caller(called).await? {
        let known = Cookie::Began.read(&core.settings.site, &parts.headers);
        let browser = known.unwrap_or_else(|| Secret::generate(&core.entropy));
        let checked = async {
            let parameters = read_parameters(fields)?;
            core.check_authorization(&caller, parameters, browser.digest())
                .await
        };
        if let Err(error) = checked.await {
            return refuse(&core, &caller, error, &parts.headers);
        }
    }
    let address = parts.uri.path_and_query();
    let next = address.and_then(|address| LocalPath::parse(address.as_str()));
    let next = next.ok_or_else(|| {
        let why = "What the program asks for cannot be kept while you sign in. Sign in first, \
            then let the program begin again.";
        Failure::new(Fault::MalformedAddress, why).back_to("/sign-in")
    })?;
    Ok(NotSignedIn::Redirect(next).into_response())
}

async fn begin(
    core: App,
    account: Account,
    mut fields: Fields,
    headers: &HeaderMap,
) -> Result<Response, PageFailure> {
    let called = read_called(&mut fields)?;
    let caller = {
        let core = App::clone(&core);
        to_the_end(async move { core.caller(called).await }).await?
    };
    let site = core.settings.site.clone();
    let known = Cookie::Began.read(&site, headers);
    let planted = known.is_none();
    let browser = known.unwrap_or_else(|| Secret::generate(&core.entropy));
    let digest = browser.digest();
    let asked = {
        let (core, caller) = (App::clone(&core), caller.clone());
        to_the_end(async move {
            let parameters = read_parameters(fields)?;
            core.authorize(&caller, parameters, digest, &account).await
        })
        .await
    };
    let id = match asked {
        Ok(id) => id,
        Err(error) => return refuse(&core, &caller, error, headers),
    };
    let cookie = planted.then(|| {
        (
            header::SET_COOKIE,
            Cookie::Began.plant(&site, &browser, None),
        )
    });
    let page = Redirect::to(&format!("/approvals/{id}"));
    Ok((AppendHeaders(cookie), page).into_response())
}

/// Tells the client, by way of a person where nobody vouches for its address. A browser that was
/// sent here by one of our forms goes by a person too: the policy of that form's page ends every
/// redirect to somewhere else.
fn refuse(
    core: &App,
    caller: &Caller,
    error: AuthorizeError,
    headers: &HeaderMap,
) -> Result<Response, PageFailure> {
    let refused = OAuthError::from(error);
    let to = core.refusal(caller, refused.error, &refused.description);
    let mut sites = headers.get_all(FETCH_SITE).iter();
    if caller.may_be_told_unseen() && sites.all(|site| site != "same-origin") {
        let told = (Extension(Refusal(refused.error)), Redirect::to(&to));
        return Ok(told.into_response());
    }
    let page = RefusedPage {
        client: &caller.client.name,
        error: refused.error,
        description: &refused.description,
        host: &caller.redirect.shown(),
        to: &to,
    };
    let refusal = Extension(Refusal(refused.error));
    Ok((StatusCode::BAD_REQUEST, refusal, pages::render(&page)?).into_response())
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

fn read_called(fields: &mut Fields) -> Result<Called, Failure> {
    Ok(Called {
        client_id: fields.required("client_id")?,
        redirect_uri: fields.required("redirect_uri")?,
        state: fields.optional("state")?,
    })
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
            CallerError::Client(ClientError::Resting { retry_after }) => {
                Self::new(Fault::TooManyAttempts, detail).after(retry_after)
            }
            CallerError::Client(ClientError::Busy) => Self::new(Fault::Unavailable, detail),
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
