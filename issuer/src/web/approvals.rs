//! The approval pages: what waits, one request in full, and the decision on it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    address::{Path, Query},
    approval_form::{Decision, Draft, Verdict},
    cookies::{Cookie, FormToken},
    dry_run_view::DryRunView,
    effect_view::{EffectView, ProblemView},
    extract::{Approver, ApproverForm, Reader},
    failure::{Failure, Fault, PageFailure},
    headers::FormLeadsTo,
    may_grant::MayGrant,
    pages::{self, ApprovalPage, ApprovalsPage, DecidedPage, EnterCodePage, Frame},
    to_the_end,
    views::{RequestView, SessionView},
};
use crate::{
    access_request::{Selection, ToolScope},
    approval::{Approving, Deciding, DecisionError, check_open},
    core::Unavailable,
    fatigue::AgentKey,
    ids::UserCode,
    narrowing::Granted,
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
    Ok(pages::render_with_script(&page)?.into_response())
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
            Ok(failure.on_page(pages::render(&page)?))
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
    let stored = core.seen_request(&reader.account, &id).await?;
    let frame = Frame::of(&reader, "approvals");
    if stored.state == RequestState::Pending {
        let began = began_here(&core, &id, &headers).await?;
        let asked = Asked {
            stored: &stored,
            account: &reader.account,
            behalf: behalf.on_behalf_of.as_deref(),
            began: began.as_ref(),
        };
        return Ok(asked.page(&core, frame, Reviewed::default()).await?);
    }
    let now = core.clock.now().utc;
    let application = core.application(&stored.request.application).await?;
    let request = RequestView::of(&stored, &application.name, now);
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

/// A request that waits, and who looks at it.
struct Asked<'a> {
    stored: &'a StoredRequest,
    account: &'a Account,
    behalf: Option<&'a str>,
    began: Option<&'a Authorization>,
}

/// What somebody has filled in so far, and what came of it.
#[derive(Default)]
struct Reviewed {
    draft: Option<Draft>,
    granted: Option<Granted>,
    problem: Option<ProblemView>,
}

impl Asked<'_> {
    /// The page on which it is decided, with what was filled in.
    async fn page(
        &self,
        core: &App,
        frame: Frame<'_>,
        reviewed: Reviewed,
    ) -> Result<Response, Failure> {
        let (stored, now) = (self.stored, core.clock.now().utc);
        check_open(stored, now)?;
        let application = core.application(&stored.request.application).await?;
        let outlook = core.outlook(self.account, stored, self.behalf).await?;
        let may = MayGrant::of(&outlook, stored, &application);
        let asked: Vec<ToolScope> = stored
            .request
            .tools
            .iter()
            .map(|t| t.scope.clone())
            .collect();
        let tried = match (&reviewed.granted, stored.request.selection) {
            (Some(granted), _) => Some(&granted.tools),
            (None, Selection::Asked) => Some(&asked),
            // Nothing is picked yet.
            (None, Selection::Offered) => None,
        };
        let dry_run = match tried {
            Some(tools) => core.dry_run(&stored.request, tools, &application).await?,
            None => None,
        };
        let draft = reviewed.draft.unwrap_or_default();
        let checked = reviewed.granted.is_some() || reviewed.problem.is_some();
        let may = match checked {
            true => may.filled_in(&draft.choice, &stored.request),
            false => may,
        };
        let has_script = may.passkey;
        let page = ApprovalPage {
            frame,
            request: RequestView::of(stored, &application.name, now),
            digest: stored.digest.to_hex(),
            may,
            effect: reviewed
                .granted
                .map(|granted| EffectView::of(&stored.request, &granted)),
            problem: reviewed.problem,
            dry_run: dry_run.as_ref().map(DryRunView::of),
            instructions: draft.instructions,
            reason: draft.reason,
        };
        let mut page = match has_script {
            true => pages::render_with_script(&page)?,
            false => pages::render(&page)?,
        };
        if let Some(began) = self.began {
            let source = began.returns.redirect.policy_source();
            page.extensions_mut().insert(FormLeadsTo(source));
        }
        Ok(page)
    }
}

/// `POST /approvals/{id}`
pub(crate) async fn decide(
    State(core): State<App>,
    Path(id): Path<String>,
    mut form: ApproverForm,
) -> Result<Response, PageFailure> {
    let page = format!("/approvals/{}", url_safe(&id));
    let began = began_here(&core, &id, &form.headers).await?;
    let fields = std::mem::take(&mut form.fields);
    let decision = Decision::read(fields).map_err(|failure| failure.back_to(&page))?;
    let (reviewed, behalf) = match decide_as(&core, &id, &form.account, decision).await {
        Ok(()) => {
            let leads_to = match began {
                Some(_) => format!("{page}/return"),
                None => page,
            };
            return Ok(Redirect::to(&leads_to).into_response());
        }
        Err(Undecided::Refused(error)) => return Err(Failure::from(error).back_to(&page).into()),
        Err(Undecided::Reviewed(reviewed, behalf)) => (reviewed, behalf),
    };
    let failure = reviewed
        .problem
        .as_ref()
        .map(|problem| problem.failure.clone());
    let stored = core.seen_request(&form.account, &id).await?;
    let form_token = FormToken::of(&form.cookie);
    let asked = Asked {
        stored: &stored,
        account: &form.account,
        behalf: behalf.as_deref(),
        began: began.as_ref(),
    };
    let frame = Frame::after(&form, &form_token, "approvals");
    let mut answer = asked.page(&core, frame, *reviewed).await?;
    if let Some(failure) = failure {
        *answer.status_mut() = failure.fault.status();
        answer = failure.decorate(answer);
    }
    Ok(answer)
}

/// Why a form decided nothing.
enum Undecided {
    Refused(DecisionError),
    /// The page is shown again, for whom it was to be decided.
    Reviewed(Box<Reviewed>, Option<String>),
}

/// Decides as the form says. What cannot be granted as it was filled in, and what was only to be
/// checked, goes back to the page.
async fn decide_as(
    core: &App,
    id: &str,
    account: &Account,
    decision: Decision,
) -> Result<(), Undecided> {
    let Decision {
        shown,
        behalf,
        touch,
        verdict,
        draft,
    } = decision;
    let draft = Arc::new(draft);
    let done = {
        let (core, account, draft) = (App::clone(core), account.clone(), Arc::clone(&draft));
        let (id, behalf) = (id.to_owned(), behalf.clone());
        to_the_end(async move {
            let deciding = Deciding {
                id: &id,
                shown,
                behalf: behalf.as_deref(),
            };
            let approving = Approving {
                deciding,
                choice: &draft.choice,
                instructions: &draft.instructions,
                touch: touch.as_deref(),
            };
            match verdict {
                Verdict::Approve => core.approve(&account, &approving).await.map(|()| None),
                Verdict::Check => core.rehearse(&account, &approving).await.map(Some),
                Verdict::Deny => {
                    let denied = core.deny(&account, deciding, &draft.reason);
                    denied.await.map(|()| None)
                }
            }
        })
        .await
    };
    let (granted, problem) = match done {
        Ok(None) => return Ok(()),
        Ok(Some(granted)) => (Some(granted), None),
        Err(error) if is_of_the_form(&error) => (None, Some(ProblemView::of(error))),
        Err(error) => return Err(Undecided::Refused(error)),
    };
    let reviewed = Reviewed {
        draft: Some(Arc::unwrap_or_clone(draft)),
        granted,
        problem,
    };
    Err(Undecided::Reviewed(Box::new(reviewed), behalf))
}

/// Whether what was filled in is what is wrong.
fn is_of_the_form(error: &DecisionError) -> bool {
    matches!(
        error,
        DecisionError::Narrowing(_)
            | DecisionError::BeyondCeiling(_)
            | DecisionError::WiderThanFirst
            | DecisionError::NeedsExactCalls(_)
            | DecisionError::TooLarge(_)
            | DecisionError::TooManyWords { .. }
    )
}

/// `POST /approvals/{id}/passkey`: what a passkey has to sign before this form counts.
pub(crate) async fn ask_for_touch(
    State(core): State<App>,
    Path(id): Path<String>,
    form: ApproverForm,
) -> Result<Json<Value>, PageFailure> {
    began_here(&core, &id, &form.headers).await?;
    let decision = Decision::read(form.fields)?;
    if decision.verdict != Verdict::Approve {
        return Ok(Json(json!({"passkey": null})));
    }
    let account = form.account;
    let options = to_the_end(async move {
        let deciding = Deciding {
            id: &id,
            shown: decision.shown,
            behalf: decision.behalf.as_deref(),
        };
        let approving = Approving {
            deciding,
            choice: &decision.draft.choice,
            instructions: &decision.draft.instructions,
            touch: None,
        };
        core.prepare_touch(&account, &approving).await
    });
    Ok(Json(json!({"passkey": options.await?})))
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
        .and_then(|()| {
            let together = core.all_code_attempts.begin(now.monotonic);
            // What is not looked at is no guess of theirs.
            together.inspect_err(|_| core.code_attempts.take_back(user_name))
        })
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
