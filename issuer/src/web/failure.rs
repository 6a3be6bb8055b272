//! Every way a request can fail at this edge: one table of codes, one page, one problem
//! document. What the domain's errors come to here is in `causes`.

mod causes;

use std::{any::Any, time::Duration};

use askama::Template;
use axum::{
    Json,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    pages::{self, ErrorPage},
    refused::Refusal,
    sign_in::sign_in_again,
};
use crate::core::Unavailable;

/// A header that repeats the code of a refused request, for programs that read pages.
const CODE_HEADER: HeaderName = HeaderName::from_static("bailiwick-code");

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal;)+) => {
        /// What went wrong, in the words of this edge.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// Every fault.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code.
            pub(crate) fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status that goes with it.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// The heading of its page.
            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

faults! {
    /// No such page.
    NotFound = NOT_FOUND, "not_found", "There is nothing here";
    /// The page does not take this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "That does not work here";
    /// A form field is missing, doubled, unknown or unreadable.
    MalformedForm = BAD_REQUEST, "malformed_form", "This form cannot be read";
    /// A path or query that cannot be read.
    MalformedAddress = BAD_REQUEST, "malformed_address", "This address cannot be read";
    /// The body is not a form or not JSON.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Wrong kind of content";
    /// The body is over the limit.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body_too_large", "That is too much";
    /// The form was sent from another site.
    WrongOrigin = FORBIDDEN, "wrong_origin", "This form came from another address";
    /// The form is not of this browser's current sign-in.
    FormExpired = FORBIDDEN, "form_expired", "This form is out of date";
    /// Nobody is signed in.
    SignInNeeded = UNAUTHORIZED, "sign_in_needed", "Please sign in first";
    /// The account has not the role this is for.
    RoleNeeded = FORBIDDEN, "role_needed", "That is not for your account";
    /// Wrong user name or password.
    SignInFailed = FORBIDDEN, "sign_in_failed", "Sign-in failed";
    /// No identity provider is configured.
    NoIdentityProvider = NOT_FOUND, "no_identity_provider", "There is no such way to sign in";
    /// The answer of the identity provider belongs to no attempt of this browser.
    SignInNotBegun = FORBIDDEN, "sign_in_not_begun", "That sign-in did not begin here";
    /// The identity provider did not vouch for anybody.
    IdentityRefused = FORBIDDEN, "identity_refused", "You were not signed in";
    /// The identity provider is out of reach.
    ProviderUnavailable = BAD_GATEWAY, "identity_provider_unavailable", "No answer to sign in with";
    /// The identity provider did not have somebody sign in anew.
    IdentityNotFresh = FORBIDDEN, "identity_not_fresh", "That was no fresh sign-in";
    /// Whom the provider vouches for has no place here.
    NotAdmitted = FORBIDDEN, "not_admitted", "You have no account here";
    /// Too many guesses.
    TooManyAttempts = TOO_MANY_REQUESTS, "too_many_attempts", "Too many attempts";
    /// The set-up link is used up.
    SetupLinkUsed = GONE, "setup_link_used", "This link does not work any more";
    /// The invitation is used up or too old.
    InvitationUsed = GONE, "invitation_used", "This link does not work any more";
    /// The user name or password cannot be used.
    AccountRefused = UNPROCESSABLE_ENTITY, "account_refused", "This account cannot be created";
    /// No such account.
    AccountNotFound = NOT_FOUND, "account_not_found", "There is no such account";
    /// The user name is taken.
    AccountExists = CONFLICT, "account_exists", "There is such an account already";
    /// The account is disabled.
    AccountDisabled = CONFLICT, "account_disabled", "This account is disabled";
    /// Nobody would be left to manage accounts.
    LastAdmin = CONFLICT, "last_admin", "Somebody has to manage accounts";
    /// A role that does not exist, or none at all.
    InvalidRole = UNPROCESSABLE_ENTITY, "invalid_role", "That is not a role";
    /// No request has this code.
    UnknownUserCode = NOT_FOUND, "unknown_user_code", "No request has this code";
    /// No such request.
    RequestNotFound = NOT_FOUND, "request_not_found", "There is no such request";
    /// It is for others to decide.
    NotYourApplication = FORBIDDEN, "not_your_application", "That is for others to decide";
    /// More than this approver may grant.
    BeyondCeiling = FORBIDDEN, "beyond_ceiling", "That is beyond what you may grant";
    /// The one who asks would approve.
    SelfApproval = FORBIDDEN, "self_approval", "Somebody else has to approve this";
    /// The first approver would be the second as well.
    SamePerson = CONFLICT, "second_person_needed", "Another person has to approve as well";
    /// The issuer is reached by an address.
    PasskeysUnavailable = NOT_FOUND, "passkeys_unavailable", "There are no passkeys here";
    /// A rule demands a touch.
    PasskeyNeeded = FORBIDDEN, "passkey_needed", "Your passkey has to confirm this";
    /// A passkey that is not believed.
    PasskeyRefused = FORBIDDEN, "passkey_refused", "That passkey was not accepted";
    /// Nobody has allowed a first passkey.
    PasskeyNotAllowed = FORBIDDEN, "passkey_not_allowed", "Somebody has to allow this first";
    /// A further passkey takes no word.
    PasskeyExists = CONFLICT, "passkey_exists", "This account has a passkey";
    /// Somebody would give themselves a way in.
    OwnAccount = FORBIDDEN, "own_account", "Somebody else has to do this";
    /// The sign-in is too old for this.
    FreshSignInNeeded = FORBIDDEN, "fresh_sign_in_needed", "Please sign in again first";
    /// A passkey that cannot be registered so.
    InvalidPasskey = UNPROCESSABLE_ENTITY, "invalid_passkey", "This passkey cannot be added";
    /// No such passkey.
    PasskeyNotFound = NOT_FOUND, "passkey_not_found", "There is no such passkey";
    /// What a step-up builds on is over.
    HeldOver = CONFLICT, "held_session_over", "What this request adds to is over";
    /// A delegate that cannot be named so.
    InvalidDelegation = UNPROCESSABLE_ENTITY, "invalid_delegation", "They cannot stand in so";
    /// No such delegation.
    DelegationNotFound = NOT_FOUND, "delegation_not_found", "Nobody stands in for you there";
    /// The application does not use the tool any more.
    ToolNotAllowed = CONFLICT, "tool_not_allowed", "This application does not use that tool";
    /// A ceiling that cannot be read.
    InvalidCeiling = UNPROCESSABLE_ENTITY, "invalid_ceiling", "That is not a limit";
    /// A rule that cannot be read.
    InvalidRule = UNPROCESSABLE_ENTITY, "invalid_rule", "That is not a rule";
    /// No such application.
    ApplicationNotFound = NOT_FOUND, "application_not_found", "There is no such application";
    /// The id was given before.
    ApplicationExists = CONFLICT, "application_exists", "There is such an application already";
    /// The application cannot be as wanted.
    InvalidApplication = UNPROCESSABLE_ENTITY, "invalid_application", "An application cannot be so";
    /// Approved before.
    AlreadyApproved = CONFLICT, "already_approved", "Already approved";
    /// Denied before.
    AlreadyDenied = CONFLICT, "already_denied", "Already denied";
    /// Waited too long.
    RequestExpired = GONE, "request_expired", "This request has expired";
    /// The page shows something else than what is stored.
    RequestChanged = CONFLICT, "request_changed", "This is not the request you were shown";
    /// Nothing left to approve.
    ApprovalEmpty = UNPROCESSABLE_ENTITY, "approval_empty", "Nothing is left to approve";
    /// A tool that is granted for exact calls only.
    ExactCallsDemanded = UNPROCESSABLE_ENTITY, "exact_calls_demanded", "That is granted for exact calls only";
    /// More than was asked for.
    ApprovalWidened = UNPROCESSABLE_ENTITY, "approval_widened", "That is more than was asked for";
    /// A path with two readings.
    InvalidResource = UNPROCESSABLE_ENTITY, "invalid_resource", "That is not a resource";
    /// A limit on arguments that cannot be read, or would widen.
    InvalidLimit = UNPROCESSABLE_ENTITY, "invalid_limit", "That is not a limit on arguments";
    /// A time that cannot be read.
    InvalidDuration = UNPROCESSABLE_ENTITY, "invalid_duration", "That is not a time";
    /// Too many words.
    TextTooLong = UNPROCESSABLE_ENTITY, "text_too_long", "That text is too long";
    /// No such session.
    SessionNotFound = NOT_FOUND, "session_not_found", "There is no such session";
    /// No such OAuth client.
    UnknownClient = BAD_REQUEST, "unknown_client", "Nobody knows this program";
    /// The client may not be answered there.
    WrongRedirect = BAD_REQUEST, "wrong_redirect_uri", "This program asks to be answered elsewhere";
    /// A client's request that began in another browser.
    OtherBrowser = FORBIDDEN, "other_browser", "This request began in another browser";
    /// A page that only a person can open.
    NotOpened = FORBIDDEN, "not_opened", "Please open this page by itself";
    /// A client that cannot be registered.
    InvalidClient = UNPROCESSABLE_ENTITY, "invalid_client", "This client cannot be registered";
    /// No such registered client.
    ClientNotFound = NOT_FOUND, "client_not_found", "There is no such client";
    /// What was picked does not fit a token.
    ApprovalTooLarge = UNPROCESSABLE_ENTITY, "approval_too_large", "That is too much for one token";
    /// No bearer token.
    MissingCredentials = UNAUTHORIZED, "missing_credentials", "Credentials needed";
    /// Another bearer token.
    BadCredentials = UNAUTHORIZED, "bad_credentials", "Wrong credentials";
    /// Two Authorization headers, or one that is not `Bearer TOKEN`.
    MalformedCredentials = BAD_REQUEST, "malformed_credentials", "Malformed credentials";
    /// The body is not the JSON expected.
    MalformedJson = BAD_REQUEST, "malformed_json", "Malformed JSON";
    /// Not now.
    Unavailable = SERVICE_UNAVAILABLE, "temporarily_unavailable", "Not available right now";
    /// A fault of ours.
    Internal = INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong";
}

/// A fault with its explanation.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// What happened and what to do, for people.
    pub(crate) detail: String,
    retry_after: Option<Duration>,
    /// Where to go on from here, other than the usual place.
    back: Option<String>,
}

impl Failure {
    pub(crate) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self {
            fault,
            detail: detail.into(),
            retry_after: None,
            back: None,
        }
    }

    /// With a `Retry-After`.
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// With a way back to a page of this site.
    pub(crate) fn back_to(self, path: &str) -> Self {
        Self {
            back: Some(path.to_owned()),
            ..self
        }
    }

    /// A page of ours that shows the failure itself, such as the form that was sent.
    pub(crate) fn on_page(&self, page: impl IntoResponse) -> Response {
        self.decorate((self.fault.status(), page).into_response())
    }

    /// The answer with the headers that every failure has.
    pub(crate) fn decorate(&self, mut response: Response) -> Response {
        let code = self.fault.code();
        response.extensions_mut().insert(Refusal(code));
        let headers = response.headers_mut();
        headers.insert(CODE_HEADER, HeaderValue::from_static(code));
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs().saturating_add(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A failure shown as a page.
#[derive(Debug)]
pub(crate) struct PageFailure(pub(crate) Failure);

impl<T: Into<Failure>> From<T> for PageFailure {
    fn from(failure: T) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for PageFailure {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let fault = failure.fault;
        let again =
            (fault == Fault::FreshSignInNeeded).then(|| sign_in_again(failure.back.as_deref()));
        let (back, back_words) = match again.as_deref().or(failure.back.as_deref()) {
            Some(path) if again.is_some() => (path, "Sign in again"),
            Some(path) if path.starts_with("/approvals/") => (path, "Back to the request"),
            Some(path) => (path, "Back"),
            None if needs_sign_in(fault) => ("/sign-in", "Go to sign-in"),
            None => ("/approvals", "Back to the approvals"),
        };
        let (title, code) = (fault.title(), fault.code());
        let page = ErrorPage {
            title,
            code,
            detail: &failure.detail,
            back,
            back_words,
        };
        let response = match page.render() {
            Ok(html) => (fault.status(), pages::html(html)).into_response(),
            Err(_) => (fault.status(), code).into_response(),
        };
        failure.decorate(response)
    }
}

fn needs_sign_in(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::SignInNeeded | Fault::SetupLinkUsed | Fault::InvitationUsed | Fault::FormExpired
    )
}

/// A failure told as `application/problem+json` (RFC 9457).
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Failure);

impl<T: Into<Failure>> From<T> for Problem {
    fn from(failure: T) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let fault = failure.fault;
        let body = json!({
            "type": format!("urn:bailiwick:problem:{}", fault.code()),
            "title": fault.title(),
            "status": fault.status().as_u16(),
            "detail": failure.detail,
            "code": fault.code(),
        });
        let mut response = (fault.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if fault.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        failure.decorate(response)
    }
}

impl From<Unavailable> for Failure {
    /// The cause goes to the log; the caller learns only that it did not work.
    fn from(cause: Unavailable) -> Self {
        let error: &(dyn std::error::Error + 'static) = &cause;
        tracing::error!(error, "the issuer could not serve a request");
        Self::new(
            Fault::Unavailable,
            "The issuer cannot do this right now. Nothing was changed; try again in a moment.",
        )
    }
}

/// An error message as a sentence on a page.
pub(crate) fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let mut text: String = first.to_uppercase().collect();
    text.push_str(characters.as_str());
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// True for paths that programs call. The authorization endpoint is for browsers.
fn is_for_programs(path: &str) -> bool {
    path != "/oauth/authorize"
        && ["/v1/", "/oauth/", "/.well-known/", "/healthz", "/readyz"]
            .iter()
            .any(|p| path.starts_with(p))
}

/// The failure in the language of whoever calls that path.
pub(crate) fn answer(path: &str, failure: Failure) -> Response {
    if is_for_programs(path) {
        Problem(failure).into_response()
    } else {
        PageFailure(failure).into_response()
    }
}

/// The answer to an unknown path.
pub(crate) async fn no_such_page(uri: Uri) -> Response {
    answer(
        uri.path(),
        Failure::new(
            Fault::NotFound,
            "The address may be mistyped or out of date.",
        ),
    )
}

/// The answer to a known path with an unknown method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let detail = format!("This address does not take {method} requests.");
    answer(uri.path(), Failure::new(Fault::MethodNotAllowed, detail))
}

/// The answer when a handler panicked: the last net, which no input should reach.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    Problem(Failure::new(
        Fault::Internal,
        "The issuer made a mistake; it was logged.",
    ))
    .into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_snake_case() {
        let codes: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!(
            codes
                .iter()
                .all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
    }

    #[test]
    fn message_becomes_a_sentence() {
        assert_eq!(sentence("the time is zero"), "The time is zero.");
        assert_eq!(sentence(""), "");
    }
}
