//! Token exchange (RFC 8693) as narrowing: a client that has no Biscuit library hands in a token
//! and gets one that allows less.
//!
//! The issuer does what any holder could do offline: it appends a block ([`HeldToken`]). Nothing
//! is minted, so nothing can be widened. What is asked for has to be within what the token still
//! allows, or the exchange is refused: nobody is given less than they think.

use std::time::Duration;

use bailiwick_datalog::{Access, Caveat, DelegateName, LaterBlock, ResourcePath, ToolName};
use bailiwick_verifier::HeldToken;
use serde_json::{Value, json};
use thiserror::Error;

use super::live_token::LiveToken;
use crate::{
    access_request::{Application, Details, RequestError, ToolScope},
    core::{Core, Unavailable},
    text::visible_line,
};

/// What a client asks for, as sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) subject_token: String,
    pub(crate) scope: Option<String>,
    pub(crate) authorization_details: Option<String>,
    pub(crate) resource: Option<String>,
    /// The sub-agent that the new token is for: a label.
    pub(crate) agent_name: Option<String>,
}

/// Why no narrower token is made.
#[derive(Debug, Error)]
pub(crate) enum ExchangeError {
    /// The token is not one that is live, or of another application.
    #[error("`subject_token` is not a live token")]
    Subject,
    /// A parameter cannot be read.
    #[error("{0}")]
    Parameter(String),
    /// For another server.
    #[error("this issuer's tokens are for `{expected}` alone")]
    InvalidTarget {
        /// The audience of this issuer.
        expected: String,
    },
    /// The details cannot be read.
    #[error(transparent)]
    Details(RequestError),
    /// More than the token allows, by scope.
    #[error("tool `{0}` is not among what the token allows")]
    ScopeWidened(ToolName),
    /// More than the token allows, by details.
    #[error("{0}")]
    DetailsWidened(String),
    /// One block cannot say it.
    #[error(
        "one token narrows all of its tools alike: ask for tools with other resources or argument \
         limits in an exchange of their own"
    )]
    Uneven,
    /// A block cannot say which calls.
    #[error("`calls` cannot be asked for in an exchange: only an approval grants exact calls")]
    ExactCalls,
    /// The token cannot be narrowed.
    #[error("the token cannot be narrowed: {0}")]
    NotNarrowed(String),
    /// It could not be looked up or recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a narrower token is to allow.
struct Wanted {
    tools: Vec<ToolName>,
    /// Where the details say so; a scope narrows to tools alone.
    terms: Option<Terms>,
    duration: Option<Duration>,
}

/// What holds for every tool alike.
struct Terms {
    access: Vec<Access>,
    resources: Vec<ResourcePath>,
    limits: Vec<Caveat>,
}

impl Core {
    /// Appends a block to a live token of the client's application.
    ///
    /// # Errors
    /// [`ExchangeError`]; nothing was made then.
    pub(crate) async fn exchange(
        &self,
        application: &Application,
        exchange: &Exchange,
    ) -> Result<Value, ExchangeError> {
        let audience = self.settings.audience.as_str();
        if exchange
            .resource
            .as_deref()
            .is_some_and(|named| named != audience)
        {
            return Err(ExchangeError::InvalidTarget {
                expected: audience.to_owned(),
            });
        }
        let subject = self.live_token(&exchange.subject_token).await?;
        let subject = subject
            .filter(|token| token.verified.application() == application.id.as_str())
            .ok_or(ExchangeError::Subject)?;
        let wanted = self.read_wanted(application, exchange, &subject)?;
        let block = self.block(&wanted, exchange, &subject)?;
        let held = HeldToken::from_text(&exchange.subject_token)
            .map_err(|denied| ExchangeError::NotNarrowed(denied.to_string()))?;
        let narrowed = self
            .entropy
            .with(|rng| held.attenuate(&block, rng))
            .map_err(|error| ExchangeError::NotNarrowed(error.to_string()))?;
        let text = narrowed.expose_text();
        // What leaves is looked at like anything that comes in.
        let token = self
            .live_token(&text)
            .await?
            .ok_or(ExchangeError::Subject)?;
        self.record_exchange(&token, exchange).await?;
        let now = self.clock.now().utc;
        Ok(json!({
            "access_token": text,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": token.token_type(),
            "expires_in": token.effective.expires_at.saturating_since(now).as_secs(),
            "scope": token.scope(),
            "authorization_details": token.authorization_details(),
            "session": token.session.id.as_str(),
            "expires_at": token.effective.expires_at.to_rfc3339(),
        }))
    }

    fn read_wanted(
        &self,
        application: &Application,
        exchange: &Exchange,
        subject: &LiveToken,
    ) -> Result<Wanted, ExchangeError> {
        let scope = exchange
            .scope
            .as_deref()
            .filter(|scope| !scope.trim().is_empty());
        match (&exchange.authorization_details, scope) {
            (Some(_), Some(_)) => Err(ExchangeError::Parameter(
                "name what is wanted in `scope` or in `authorization_details`, not in both"
                    .to_owned(),
            )),
            (None, None) => Err(ExchangeError::Parameter(
                "`scope` or `authorization_details` is missing".to_owned(),
            )),
            (None, Some(scope)) => {
                let details = Details::of_scope(scope).map_err(ExchangeError::Details)?;
                let tools = details.tool_names();
                let left = &subject.effective.grants;
                let gone = tools
                    .iter()
                    .find(|name| left.iter().all(|grant| grant.tool != name.as_str()));
                match gone {
                    Some(name) => Err(ExchangeError::ScopeWidened(name.clone())),
                    None => Ok(Wanted {
                        tools,
                        terms: None,
                        duration: None,
                    }),
                }
            }
            (Some(text), None) => {
                let audience = &self.settings.audience;
                let details = Details::parse(text.as_bytes(), application, audience)
                    .map_err(ExchangeError::Details)?;
                let duration = details.duration;
                let scopes = details
                    .scopes_within(&subject.session.granted.tools)
                    .map_err(ExchangeError::DetailsWidened)?;
                if scopes.iter().any(|scope| !scope.calls.is_empty()) {
                    return Err(ExchangeError::ExactCalls);
                }
                check_left(&scopes, subject)?;
                let terms = even_terms(&scopes).ok_or(ExchangeError::Uneven)?;
                let tools = scopes.into_iter().map(|scope| scope.name).collect();
                Ok(Wanted {
                    tools,
                    terms: Some(terms),
                    duration,
                })
            }
        }
    }

    fn block(
        &self,
        wanted: &Wanted,
        exchange: &Exchange,
        subject: &LiveToken,
    ) -> Result<LaterBlock, ExchangeError> {
        let names = wanted.tools.iter().map(ToString::to_string).collect();
        let mut caveats = vec![Caveat::Tools(names)];
        if let Some(terms) = &wanted.terms {
            let words = terms.access.iter().map(ToString::to_string).collect();
            caveats.push(Caveat::Access(words));
            let paths = terms.resources.iter().map(|path| path.segments().to_vec());
            caveats.push(Caveat::ResourceUnder(paths.collect()));
            caveats.extend(terms.limits.iter().cloned());
        }
        if let Some(duration) = wanted.duration {
            let ends = self.clock.now().utc.checked_add(duration);
            match ends {
                Some(at) if at <= subject.effective.expires_at => {
                    let inclusive = false;
                    caveats.push(Caveat::Expiry { at, inclusive });
                }
                _ => {
                    let why = "`duration` is longer than the token lasts".to_owned();
                    return Err(ExchangeError::DetailsWidened(why));
                }
            }
        }
        let delegate = exchange.agent_name.as_deref().map(DelegateName::parse);
        let delegate = delegate.transpose().map_err(|error| {
            ExchangeError::Parameter(visible_line(&format!("`agent_name`: {error}")))
        })?;
        Ok(LaterBlock {
            delegate,
            holder: None,
            caveats,
        })
    }

    async fn record_exchange(
        &self,
        token: &LiveToken,
        exchange: &Exchange,
    ) -> Result<(), ExchangeError> {
        let ids = token.verified.chain().revocation_ids();
        let fields = json!({
            "session": token.session.id.as_str(),
            "block": ids.last().map(|id| id.to_hex()),
            "delegate": exchange.agent_name,
            "granted": token.authorization_details(),
            "expires_at": token.effective.expires_at.to_rfc3339(),
        });
        let now = self.clock.now().utc;
        let recorded = self.audit.record(now, "token_exchanged", fields).await;
        recorded.map_err(|error| Unavailable::from(error).into())
    }
}

/// Whether every wanted resource of every wanted tool is left in the token: in the chain itself,
/// of which a list may show a part alone.
fn check_left(scopes: &[ToolScope], subject: &LiveToken) -> Result<(), ExchangeError> {
    let chain = subject.verified.chain();
    for scope in scopes {
        for path in &scope.resources {
            let left = chain.leaves(scope.name.as_str(), scope.access, path);
            if !left {
                let why = format!("tool `{}` on `{path}` is not left in the token", scope.name);
                return Err(ExchangeError::DetailsWidened(visible_line(&why)));
            }
        }
    }
    Ok(())
}

/// The terms of all scopes, if one block can say them: a check of a block speaks of every tool.
fn even_terms(scopes: &[ToolScope]) -> Option<Terms> {
    let (first, others) = scopes.split_first()?;
    let limits = first.limits();
    let alike = others.iter().all(|scope| {
        scope.resources == first.resources && scope.limits().is_empty() && limits.is_empty()
    });
    let mut access: Vec<Access> = Vec::new();
    for scope in scopes {
        if !access.contains(&scope.access) {
            access.push(scope.access);
        }
    }
    alike.then(|| Terms {
        access,
        resources: first.resources.clone(),
        limits,
    })
}
