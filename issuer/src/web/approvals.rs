//! The approval pages: what waits, one request in full, and the decision on it.

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    App,
    address::{Path, Query},
    cookies::Cookie,
    extract::{Approver, ApproverForm, Reader},
    failure::{Failure, Fault, PageFailure},
    fields::{FieldError, Fields},
    headers::FormLeadsTo,
    may_grant::MayGrant,
    pages::{self, ApprovalPage, ApprovalsPage, DecidedPage, EnterCodePage, Frame},
    to_the_end,
    views::{RequestView, SessionView},
};
use crate::{
    access_request::RequestDigest,
    approval::{Approving, Deciding, DecisionError, check_open},
    core::Unavailable,
    fatigue::AgentKey,
    ids::UserCode,
    narrowing::{Choice, ResourceKey},
    oauth::authorize::AnswerError,
    store::{Account, Authorization, RequestState, StoredRequest},
    text::visible_line,
};

/// The code a person brings from the agent's terminal.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TypedCode {
    user_code: Option<String>,
}

/// For whom a request is looked at, by somebody who stands in for several.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Behalf {
    on_behalf_of: Option<String>,
}

/// Which agent's requests are to be shown, when it is one that asks very often.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OnlyAgent {
    agent: Option<String>,
}

impl OnlyAgent {
    fn agent(&self) -> Result<Option<AgentKey>, Failure> {
        let Some(text) = &self.agent else {
            return Ok(None);
        };
        let unreadable = || {
            let why = "The address does not name an agent. Open the approvals again.";
            Failure::new(Fault::MalformedAddress, why)
        };
        AgentKey::parse(text).map(Some).ok_or_else(unreadable)
    }
}

/// `GET /approvals`
pub(crate) async fn list(
    State(core): State<App>,
    Query(only): Query<OnlyAgent>,
    reader: Reader,
) -> Result<Response, PageFailure> {
    let sight = core.sight(&reader.account).await?;
    let list = core.waiting_list(&sight, only.agent()?).await?;
    let page = ApprovalsPage {
        frame: Frame::of(&reader, "approvals"),
        waiting: list.requests,
        folded: list.folded,
        hidden: list.hidden,
        of_one_agent: only.agent.is_some(),
    };
    Ok(pages::render(&page)?.into_response())
}

/// `GET /approve?user_code=XXXX-XXXX`
pub(crate) async fn enter_code(
    State(core): State<App>,
    Query(typed): Query<TypedCode>,
    approver: Approver,
) -> Result<Response, PageFailure> {
    let frame = Frame::of(&approver, "approvals");
    let Some(typed) = typed.user_code.filter(|typed| !typed.trim().is_empty()) else {
        let page = EnterCodePage {
            frame,
            typed: "",
            problem: None,
        };
        return Ok(pages::render(&page)?.into_response());
    };
    match find_by_code(&core, &approver.account, &typed).await {
        Ok(id) => Ok(Redirect::to(&format!("/approvals/{id}")).into_response()),
        Err(failure) if failure.fault == Fault::UnknownUserCode => {
            let typed = visible_line(&typed);
            let page = EnterCodePage {
                frame,
                typed: &typed,
                problem: Some(&failure),
            };
            Ok((failure.fault.status(), pages::render(&page)?).into_response())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// `GET /approvals/{id}`
pub(crate) async fn show(
    State(core): State<App>,
    Path(id): Path<String>,
    Query(behalf): Query<Behalf>,
    headers: HeaderMap,
    reader: Reader,
) -> Result<Response, PageFailure> {
    let now = core.clock.now().utc;
    let stored = core.seen_request(&reader.account, &id).await?;
    let application = core.application(&stored.request.application).await?;
    let request = RequestView::of(&stored, &application.name, now);
    let frame = Frame::of(&reader, "approvals");
    if stored.state == RequestState::Pending {
        let began = began_here(&core, &id, &headers).await?;
        check_open(&stored, now)?;
        let digest = stored.digest.to_hex();
        let behalf = behalf.on_behalf_of.as_deref();
        let outlook = core.outlook(&reader.account, &stored, behalf).await?;
        let may = MayGrant::of(&outlook, &stored, &application);
        let mut page = pages::render(&ApprovalPage {
            frame,
            request,
            digest,
            may,
        })?;
        if let Some(began) = began {
            let source = began.returns.redirect.policy_source();
            page.extensions_mut().insert(FormLeadsTo(source));
        }
        return Ok(page);
    }
    let returns = matches!(began_here(&core, &id, &headers).await, Ok(Some(_)));
    let session = session_of(&core, &stored).await?;
    let denial = (stored.state == RequestState::Denied)
        .then(|| stored.denial_reason.clone().unwrap_or_default());
    Ok(pages::render(&DecidedPage {
        frame,
        request,
        session,
        denial,
        returns,
    })?
    .into_response())
}

/// `POST /approvals/{id}`
pub(crate) async fn decide(
    State(core): State<App>,
    Path(id): Path<String>,
    form: ApproverForm,
) -> Result<Redirect, PageFailure> {
    let page = format!("/approvals/{}", url_safe(&id));
    let began = began_here(&core, &id, &form.headers).await?;
    let decision = Decision::read(form.fields).map_err(|failure| failure.back_to(&page))?;
    let account = form.account;
    let decided = to_the_end(async move {
        let deciding = Deciding {
            id: &id,
            shown: decision.shown,
            behalf: decision.behalf.as_deref(),
        };
        match &decision.verdict {
            Verdict::Approve(choice, instructions) => {
                let approving = Approving {
                    deciding,
                    choice,
                    instructions,
                };
                core.approve(&account, &approving).await
            }
            Verdict::Deny(reason) => core.deny(&account, deciding, reason).await,
        }
    });
    decided
        .await
        .map_err(|error: DecisionError| Failure::from(error).back_to(&page))?;
    Ok(match began {
        Some(_) => Redirect::to(&format!("{page}/return")),
        None => Redirect::to(&page),
    })
}

/// The authorization request behind a request for access, if it came through a browser: that
/// browser alone decides it, or gives the first of two approvals.
async fn began_here(
    core: &App,
    id: &str,
    headers: &HeaderMap,
) -> Result<Option<Authorization>, Failure> {
    let browser = Cookie::Began.read(&core.settings.site, headers);
    match core.authorization_in(id, browser.as_ref()).await {
        // The second of two approvers is somebody else, at a browser of their own.
        Err(AnswerError::OtherBrowser) if core.waits_for_second(id).await? => Ok(None),
        found => Ok(found?),
    }
}

/// The form, read.
#[derive(Debug)]
struct Decision {
    shown: RequestDigest,
    behalf: Option<String>,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Approve(Choice, String),
    Deny(String),
}

impl Decision {
    fn read(mut fields: Fields) -> Result<Self, Failure> {
        let digest = fields.required("request_digest")?;
        let shown = RequestDigest::parse(&digest)
            .ok_or_else(|| malformed("`request_digest` is not a digest."))?;
        let verdict = fields.required("decision")?;
        let choice = read_choice(&mut fields)?;
        let instructions = fields.optional("instructions")?.unwrap_or_default();
        let reason = fields.optional("reason")?.unwrap_or_default();
        let behalf = fields.optional("on_behalf_of")?;
        fields.finish()?;
        let verdict = match verdict.as_str() {
            "approve" => Verdict::Approve(choice, instructions),
            "deny" => Verdict::Deny(reason),
            _ => return Err(malformed("`decision` is neither `approve` nor `deny`.")),
        };
        Ok(Self {
            shown,
            behalf,
            verdict,
        })
    }
}

fn read_choice(fields: &mut Fields) -> Result<Choice, Failure> {
    let key = |text: &str| {
        ResourceKey::parse(text).ok_or_else(|| malformed("A resource of the form has no number."))
    };
    let mut choice = Choice {
        tools: fields.all("tool").into_iter().collect(),
        ..Choice::default()
    };
    for text in fields.all("resource") {
        choice.resources.insert(key(&text)?);
    }
    for (text, path) in fields.prefixed("path.") {
        if choice.paths.insert(key(&text)?, path).is_some() {
            return Err(FieldError::Repeated(visible_line(&text)).into());
        }
    }
    choice.duration = fields.optional("duration")?.unwrap_or_default();
    Ok(choice)
}

fn malformed(why: &str) -> Failure {
    Failure::new(Fault::MalformedForm, why)
}

async fn find_by_code(core: &App, account: &Account, typed: &str) -> Result<String, Failure> {
    let unknown = || {
        let why = "No request has this code. Check it against what the agent shows; codes work \
            only for a few minutes.";
        Failure::new(Fault::UnknownUserCode, why)
    };
    let user_name = account.user_name.as_str();
    let now = core.clock.now();
    core.code_attempts
        .begin(user_name, now.monotonic)
        .and_then(|()| core.all_code_attempts.begin(now.monotonic))
        .map_err(|wait| {
            let why = "Too many codes were tried. Wait a moment, then try again.";
            Failure::new(Fault::TooManyAttempts, why).after(wait.retry_after)
        })?;
    let code = UserCode::parse(typed).ok_or_else(unknown)?;
    let id = core
        .store
        .waiting_request_of_code(&code, &core.sight(account).await?, now.utc)
        .await
        .map_err(Unavailable::from)?;
    let id = id.ok_or_else(unknown)?;
    // A right code is no guess, and makes no guess before it undone.
    core.code_attempts.take_back(user_name);
    core.all_code_attempts.succeeded();
    Ok(id)
}

async fn session_of(core: &App, stored: &StoredRequest) -> Result<Option<SessionView>, Failure> {
    let session = core
        .store
        .session_of_request(&stored.id)
        .await
        .map_err(Unavailable::from)?;
    let Some(session) = session else {
        return Ok(None);
    };
    let counts = core
        .store
        .call_counts_of(session.id.as_str())
        .await
        .map_err(Unavailable::from)?;
    Ok(Some(SessionView::of(
        &session,
        counts,
        core.clock.now().utc,
    )))
}

/// Ids are hex with a prefix; anything else in the path was not one of ours.
fn url_safe(id: &str) -> String {
    id.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}
