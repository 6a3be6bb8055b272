//! The pages as askama templates: which there are, and what each needs.
//!
//! Everything is escaped by the templates.

use askama::Template;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    call_view::CallView,
    client_pages::ClientLine,
    cookies::FormToken,
    dry_run_view::DryRunView,
    effect_view::{EffectView, ProblemView},
    extract::{Looking, Sending},
    failure::{Failure, Fault},
    headers::UsesScript,
    may_grant::MayGrant,
    sessions::Listed,
    usage_view::UsageView,
    views::{
        AccountView, ApplicationView, DelegationView, PasskeyView, PasskeysView, RequestView,
        SessionView, WaitingView,
    },
    waiting::{FoldedView, HiddenView},
};
use crate::{passkeys::MayAdd, people::Roles};

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

/// Renders a page that has a script of ours. It works without, as far as it can.
///
/// # Errors
/// As for [`render`].
pub(crate) fn render_with_script<T: Template>(page: &T) -> Result<Response, Failure> {
    let mut response = render(page)?;
    response.extensions_mut().insert(UsesScript);
    Ok(response)
}

/// Who is signed in, for the bar at the top.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) user_name: &'a str,
    pub(crate) csrf: &'a str,
    pub(crate) roles: Roles,
    /// Which entry of the bar is the current one.
    pub(crate) here: &'static str,
}

impl<'a> Frame<'a> {
    /// The bar of a page that somebody looks at.
    pub(crate) fn of<N>(who: &'a Looking<N>, here: &'static str) -> Self {
        Self {
            user_name: who.account.user_name.as_str(),
            csrf: who.form_token.as_str(),
            roles: who.account.roles,
            here,
        }
    }

    /// The bar of a page that answers a form.
    pub(crate) fn after<N>(
        who: &'a Sending<N>,
        form_token: &'a FormToken,
        here: &'static str,
    ) -> Self {
        Self {
            user_name: who.account.user_name.as_str(),
            csrf: form_token.as_str(),
            roles: who.account.roles,
            here,
        }
    }

    /// Whether requests and sessions are among what the account may see.
    pub(crate) fn reads(&self) -> bool {
        self.roles.approver || self.roles.auditor
    }

    /// Whether accounts and applications are.
    pub(crate) fn oversees(&self) -> bool {
        self.roles.admin || self.roles.auditor
    }
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
    /// Somebody who is signed in is to prove anew who they are.
    pub(crate) again: bool,
    pub(crate) user_name: &'a str,
    pub(crate) problem: Option<&'a Failure>,
    /// Nobody can sign in yet: the set-up link comes first.
    pub(crate) needs_setup: bool,
    /// An identity provider signs people in as well.
    pub(crate) identity: bool,
    /// Passkeys do.
    pub(crate) passkeys: bool,
}

#[derive(Template)]
#[template(path = "approvals.html")]
pub(crate) struct ApprovalsPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) waiting: Vec<WaitingView>,
    /// Agents that ask very often, one line each.
    pub(crate) folded: Vec<FoldedView>,
    /// How much waits that is not listed, by application.
    pub(crate) hidden: Vec<HiddenView>,
    pub(crate) of_one_agent: bool,
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
    pub(crate) may: MayGrant,
    /// What the choice would come to, where it was checked.
    pub(crate) effect: Option<EffectView>,
    /// Why it cannot be granted.
    pub(crate) problem: Option<ProblemView>,
    /// What it would have made of the agent's last calls.
    pub(crate) dry_run: Option<DryRunView>,
    /// What was written so far.
    pub(crate) instructions: String,
    pub(crate) reason: String,
}

impl ApprovalPage<'_> {
    /// Whether what was written about the arguments of a tool is what is wrong.
    fn is_wrong(&self, tool: &str) -> bool {
        let problem = self.problem.as_ref();
        problem.is_some_and(|problem| problem.is_about_limits_of(tool))
    }
}

/// An error that a client is told of by way of a person.
#[derive(Template)]
#[template(path = "refused.html")]
pub(crate) struct RefusedPage<'a> {
    /// The name that the client gives itself.
    pub(crate) client: &'a str,
    pub(crate) error: &'a str,
    pub(crate) description: &'a str,
    /// The place that wants the answer, and its whole address with the answer.
    pub(crate) host: &'a str,
    pub(crate) to: &'a str,
}

#[derive(Template)]
#[template(path = "decided.html")]
pub(crate) struct DecidedPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) request: RequestView,
    pub(crate) session: Option<SessionView>,
    pub(crate) denial: Option<String>,
    /// The client that asked is still waiting for this browser to come back.
    pub(crate) returns: bool,
}

#[derive(Template)]
#[template(path = "sessions.html")]
pub(crate) struct SessionsPage<'a> {
    pub(crate) frame: Frame<'a>,
    /// The filters that the address names.
    pub(crate) agent: Option<String>,
    pub(crate) application: Option<String>,
    /// `None` where the address asks for the others alone.
    pub(crate) live: Option<Listed>,
    pub(crate) over: Option<Listed>,
}

#[derive(Template)]
#[template(path = "session.html")]
pub(crate) struct SessionPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) session: SessionView,
    pub(crate) usage: UsageView,
    /// The address of the agent's sessions in the same application.
    pub(crate) all_of_agent: String,
    pub(crate) calls: Vec<CallView>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
pub(crate) struct InvitationPage<'a> {
    pub(crate) csrf: &'a str,
    pub(crate) link: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) problem: Option<&'a Failure>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
pub(crate) struct AccountsPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) accounts: Vec<AccountView>,
}

#[derive(Template)]
#[template(path = "account.html")]
pub(crate) struct AccountPage<'a> {
    pub(crate) frame: Frame<'a>,
    /// `None` where the issuer is reached by an address, which has none.
    pub(crate) passkeys: Option<PasskeysView>,
    pub(crate) account: AccountView,
}

impl AccountPage<'_> {
    /// Whoever looks may change the account, and it is not theirs.
    fn manages_another(&self) -> bool {
        self.frame.roles.admin && !self.is_own()
    }

    fn is_own(&self) -> bool {
        self.frame.user_name == self.account.user_name
    }
}

#[derive(Template)]
#[template(path = "invited.html")]
pub(crate) struct InvitedPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) user_name: &'a str,
    pub(crate) url: &'a str,
    pub(crate) expires_at: String,
}

#[derive(Template)]
#[template(path = "me.html")]
pub(crate) struct MePage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) delegations: Vec<DelegationView>,
    /// `None` where the issuer is reached by an address, which has none.
    pub(crate) passkeys: Option<Vec<PasskeyView>>,
    pub(crate) may_add: MayAdd,
    pub(crate) account: AccountView,
}

#[derive(Template)]
#[template(path = "applications.html")]
pub(crate) struct ApplicationsPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) applications: Vec<ApplicationView>,
}

#[derive(Template)]
#[template(path = "clients.html")]
pub(crate) struct ClientsPage<'a> {
    pub(crate) frame: Frame<'a>,
    /// The id of the application.
    pub(crate) application: String,
    pub(crate) name: String,
    pub(crate) clients: Vec<ClientLine>,
    /// One that was registered just now, with its secret if it has one.
    pub(crate) enrolled: Option<(String, Option<String>)>,
}

#[derive(Template)]
#[template(path = "application.html")]
pub(crate) struct ApplicationPage<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) application: ApplicationView,
    /// Every approver, and whether they decide for this application.
    pub(crate) candidates: Vec<(String, bool)>,
}
