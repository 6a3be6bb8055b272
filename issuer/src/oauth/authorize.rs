//! The authorization endpoint (OAuth 2.1 section 4.1.1): a browser brings a client's request
//! for a code.
//!
//! What it brings becomes the same stored request for access as any other; beside it stands
//! where the answer goes ([`Return`]). It may be decided only in the browser in which it began,
//! and only that browser is sent on with the answer: a link to somebody else's request leads
//! nowhere.
//!
//! While nobody is signed in it is looked at and not stored: the address itself goes through
//! sign-in and is read anew afterwards, so there is nothing that could be filled up, exchanged or
//! used twice. Places are counted for each account.

use thiserror::Error;

use super::{
    client::{Client, ClientError, ClientKind, Identity, Lookup},
    code::CODE_LIFETIME,
    pkce::CodeChallenge,
    redirect::RedirectUri,
};
use crate::{
    asking::{Ask, AskError},
    core::{Core, Unavailable},
    secret::{Secret, SecretDigest},
    store::{self, Account, Authorization, RequestState, StoreError, authorizations},
};

/// Longest `state`, in bytes: clients put a random number there.
const MAX_STATE_BYTES: usize = 1_024;

/// The parameters of an authorization request, as sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthorizationParameters {
    pub(crate) response_type: Option<String>,
    pub(crate) response_mode: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) authorization_details: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) request_uri: Option<String>,
}

/// Where the answer to an authorization request goes, and what its code is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Return {
    pub(crate) redirect: RedirectUri,
    pub(crate) state: Option<String>,
    pub(crate) challenge: CodeChallenge,
    /// The browser in which it began.
    pub(crate) browser: SecretDigest,
    /// The account that was signed in there; `None` in old requests, and where nothing is stored.
    pub(crate) account: Option<String>,
}

/// Who says to call, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
}

impl Called {
    fn by(self, client: Client) -> Result<Caller, CallerError> {
        let redirect = client
            .redirect(&self.redirect_uri)
            .ok_or(CallerError::Redirect)?;
        match self.state.as_ref().map(String::len) {
            Some(length) if length > MAX_STATE_BYTES => Err(CallerError::State { length }),
            _ => Ok(Caller {
                client,
                redirect,
                state: self.state,
            }),
        }
    }
}

/// Client and place of return, checked: from here on errors go back to the client.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) redirect: RedirectUri,
    pub(crate) state: Option<String>,
}

impl Caller {
    /// Whether a browser may be sent there with an error that no person has seen. To an address
    /// that a stranger wrote down a link to this issuer would then lead as well (RFC 9700 section
    /// 4.11.2): who clicks on it trusts the issuer, and arrives elsewhere.
    pub(crate) fn may_be_told_unseen(&self) -> bool {
        self.client.kind == ClientKind::Registered || self.redirect.is_loopback()
    }
}

/// Why nobody can be told that the request is refused but the person at the browser.
#[derive(Debug, Error)]
pub(crate) enum CallerError {
    /// No such client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client did not register this redirect URI.
    #[error("the client did not register this `redirect_uri`")]
    Redirect,
    /// What would be sent back is too long.
    #[error("`state` has {length} bytes, more than {MAX_STATE_BYTES}")]
    State {
        /// How many.
        length: usize,
    },
}

/// Why the client is told no, in the words of RFC 6749 section 4.1.2.1.
#[derive(Debug, Error)]
pub(crate) enum AuthorizeError {
    /// Another response than a code is wanted.
    #[error("the only response type is `code`")]
    ResponseType,
    /// A parameter is missing, doubled or unreadable.
    #[error("{0}")]
    Parameter(String),
    /// Request objects are not taken (RFC 9101).
    #[error("`request` is not supported")]
    RequestObject,
    /// Nor are references to them.
    #[error("`request_uri` is not supported")]
    RequestUri,
    /// The client does not say for which server.
    #[error("`resource` is missing: name the server that the token is for")]
    NoResource,
    /// The request for access is refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What becomes of a browser that comes for its answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Nobody has decided.
    Undecided,
    /// The answer was given before.
    Given,
    /// Off to the client.
    Go(String),
}

/// Why a browser gets no answer.
#[derive(Debug, Error)]
pub(crate) enum AnswerError {
    /// There is no such authorization request.
    #[error("there is no such request")]
    NotFound,
    /// It began in another browser.
    #[error("this request began in another browser; go back to the program that asks")]
    OtherBrowser,
    /// It could not be looked up or recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for AnswerError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Core {
    /// Finds out who calls and where the answer may go, for somebody who is signed in.
    ///
    /// # Errors
    /// [`CallerError`]: the browser must not be sent anywhere.
    pub(crate) async fn caller(&self, called: Called) -> Result<Caller, CallerError> {
        let client = self.client(&called.client_id, Lookup::Person).await?;
        called.by(client)
    }

    /// The same while nobody is signed in, from what is known. `None` where that is not enough.
    ///
    /// # Errors
    /// [`CallerError`]: the browser must not be sent anywhere.
    pub(crate) async fn known_caller(&self, called: Called) -> Result<Option<Caller>, CallerError> {
        let client = self.known_client(&called.client_id).await?;
        client.map(|client| called.by(client)).transpose()
    }

    /// Looks at a request as [`Self::authorize`] does, and stores nothing.
    ///
    /// # Errors
    /// [`AuthorizeError`].
    pub(crate) async fn check_authorization(
        &self,
        caller: &Caller,
        parameters: AuthorizationParameters,
        browser: SecretDigest,
    ) -> Result<(), AuthorizeError> {
        let ask = read_ask(caller, parameters, browser, None)?;
        Ok(self.try_ask(&ask).await?)
    }

    /// Stores the request for the approver, and returns its id.
    ///
    /// # Errors
    /// [`AuthorizeError`]; nothing is stored then.
    pub(crate) async fn authorize(
        &self,
        caller: &Caller,
        parameters: AuthorizationParameters,
        browser: SecretDigest,
        account: &Account,
    ) -> Result<String, AuthorizeError> {
        let ask = read_ask(caller, parameters, browser, Some(account.id.clone()))?;
        Ok(self.ask(&ask).await?.id)
    }

    /// The authorization request behind a request for access, if it came that way, for the
    /// browser in which it began.
    ///
    /// # Errors
    /// [`AnswerError::OtherBrowser`] for every other browser.
    pub(crate) async fn authorization_in(
        &self,
        id: &str,
        browser: Option<&Secret>,
    ) -> Result<Option<Authorization>, AnswerError> {
        let Some(found) = self.store.authorization(id).await? else {
            return Ok(None);
        };
        if browser.is_some_and(|cookie| cookie.digest() == found.returns.browser) {
            Ok(Some(found))
        } else {
            Err(AnswerError::OtherBrowser)
        }
    }

    /// What the browser takes back to the client: a code, once, or why there is none.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub(crate) async fn answer(
        &self,
        id: &str,
        browser: Option<&Secret>,
    ) -> Result<Answer, AnswerError> {
        let authorization = self.authorization_in(id, browser).await?;
        let authorization = authorization.ok_or(AnswerError::NotFound)?;
        let request = self.store.request(id).await?.ok_or(AnswerError::NotFound)?;
        let now = self.clock.now().utc;
        let refuse = |why: &str| {
            let parameters = [("error", "access_denied"), ("error_description", why)];
            Ok(Answer::Go(
                self.location(&authorization.returns, &parameters),
            ))
        };
        match request.state {
            RequestState::Pending if now < request.expires_at => Ok(Answer::Undecided),
            RequestState::Pending => refuse("nobody decided in time"),
            RequestState::Denied => {
                let reason = request.denial_reason.as_deref();
                refuse(reason.unwrap_or("the approver denied the request"))
            }
            RequestState::Approved => self.issue_code(id, &authorization.returns).await,
        }
    }

    async fn issue_code(&self, id: &str, returns: &Return) -> Result<Answer, AnswerError> {
        let now = self.clock.now().utc;
        let ends = now.checked_add(CODE_LIFETIME);
        let ends = ends.ok_or_else(|| Unavailable::Internal("time overflows".to_owned()))?;
        let code = Secret::generate(&self.entropy);
        let mut change = self.store.change().await?;
        if !authorizations::swap_to_coded(&mut change, id, &code.digest(), ends).await? {
            return Ok(Answer::Given);
        }
        store::commit(change).await?;
        Ok(Answer::Go(
            self.location(returns, &[("code", code.expose())]),
        ))
    }

    /// The client's redirect URI with the answer, `state` as it came, and `iss` (RFC 9207).
    pub(crate) fn location(&self, returns: &Return, answer: &[(&str, &str)]) -> String {
        location(
            self.settings.site.origin(),
            &returns.redirect,
            returns.state.as_deref(),
            answer,
        )
    }

    /// The same before anything is stored.
    pub(crate) fn refusal(&self, caller: &Caller, error: &str, description: &str) -> String {
        let answer = [("error", error), ("error_description", description)];
        location(
            self.settings.site.origin(),
            &caller.redirect,
            caller.state.as_deref(),
            &answer,
        )
    }
}

fn location(
    issuer: &str,
    redirect: &RedirectUri,
    state: Option<&str>,
    answer: &[(&str, &str)],
) -> String {
    let described: Vec<(&str, String)> = answer
        .iter()
        .map(|(name, value)| match *name {
            "error_description" => (*name, describable(value)),
            _ => (*name, (*value).to_owned()),
        })
        .collect();
    let mut parameters: Vec<(&str, &str)> = described
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", issuer));
    redirect.with(&parameters)
}

/// Text with the characters that RFC 6749 section 4.1.2.1 allows in `error_description`.
fn describable(text: &str) -> String {
    let allowed = |c: char| match c {
        '"' => '\'',
        '\\' => '/',
        '\n' => ' ',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().map(allowed).collect()
}

fn read_ask(
    caller: &Caller,
    parameters: AuthorizationParameters,
    browser: SecretDigest,
    account: Option<String>,
) -> Result<Ask, AuthorizeError> {
    let challenge = read_challenge(&parameters)?;
    let resource = parameters.resource.ok_or(AuthorizeError::NoResource)?;
    Ok(Ask {
        client: caller.client.clone(),
        // A browser proves nothing about the client that sent it.
        identity: Identity::Claimed,
        authorization_details: parameters.authorization_details,
        scope: parameters.scope,
        resource: Some(resource),
        agent_name: None,
        holder: None,
        returns: Some(Return {
            redirect: caller.redirect.clone(),
            state: caller.state.clone(),
            challenge,
            browser,
            account,
        }),
    })
}

fn read_challenge(parameters: &AuthorizationParameters) -> Result<CodeChallenge, AuthorizeError> {
    let wrong = |why: &str| AuthorizeError::Parameter(why.to_owned());
    if parameters.request.is_some() {
        return Err(AuthorizeError::RequestObject);
    }
    if parameters.request_uri.is_some() {
        return Err(AuthorizeError::RequestUri);
    }
    match parameters.response_type.as_deref() {
        Some("code") => {}
        Some(_) => return Err(AuthorizeError::ResponseType),
        None => return Err(wrong("`response_type` is missing")),
    }
    if parameters
        .response_mode
        .as_deref()
        .is_some_and(|mode| mode != "query")
    {
        return Err(wrong("the only response mode is `query`"));
    }
    let challenge = parameters.code_challenge.as_deref();
    let challenge = challenge.ok_or_else(|| wrong("`code_challenge` is missing: use PKCE"))?;
    if parameters.code_challenge_method.as_deref() != Some("S256") {
        return Err(wrong("`code_challenge_method` must be `S256`"));
    }
    let read = CodeChallenge::parse(challenge);
    read.ok_or_else(|| wrong("`code_challenge` is not a SHA-256 in base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_has_only_what_the_standard_allows() {
        assert_eq!(describable("say \"no\"\\\nnow – ü"), "say 'no'/ now ? ?");
    }

    #[test]
    fn answer_carries_state_and_issuer() {
        let redirect = RedirectUri::parse("https://app.example/cb").unwrap();
        assert_eq!(
            location(
                "https://i.example",
                &redirect,
                Some("a b"),
                &[("code", "c")]
            ),
            "https://app.example/cb?code=c&state=a+b&iss=https%3A%2F%2Fi.example"
        );
        assert_eq!(
            location(
                "https://i.example",
                &redirect,
                None,
                &[("error", "server_error")]
            ),
            "https://app.example/cb?error=server_error&iss=https%3A%2F%2Fi.example"
        );
    }
}
