//! The meaning of a decision: the token's own Datalog and the authorizer policy, run by the
//! Biscuit library's engine on the facts of one request.
//!
//! Give it only tokens whose signatures are verified and whose every block passed the shape check:
//! the engine's cost is bounded by that shape, not by its clock.

use std::{collections::BTreeMap, time::Duration};

use biscuit_auth::{
    AuthorizerBuilder, AuthorizerLimits, Biscuit,
    builder::{MapKey, Term, string},
    error,
};

use crate::{
    authority::{fact, path_term},
    call::{ArgumentValue, Arguments, UrlArgument},
    exact_call::CallDigest,
    request::Request,
};

/// The authorizer policy as Datalog text.
pub const POLICY: &str = include_str!("policy.datalog");

/// Counted limits of one evaluation. A token of the profile holds no rule, so nothing is derived
/// and one iteration is enough; the facts are those of the authority block and of the request.
const LIMITS: AuthorizerLimits = AuthorizerLimits {
    max_facts: 4_096,
    max_iterations: 8,
    max_time: Duration::from_secs(3_600),
};

/// The policy, parsed once.
#[derive(Clone, Debug)]
pub struct Policy {
    authorizer: AuthorizerBuilder,
}

/// Why the engine does not allow a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No grant allows the tool with this access on this resource.
    NoGrant,
    /// A check of the policy or of a block failed.
    FailedCheck,
    /// The evaluation itself failed: a type error, or a limit. Never an answer, so always a no.
    Error(String),
}

impl Policy {
    /// Parses the policy of the profile.
    ///
    /// # Errors
    /// The library's message when [`POLICY`] does not parse; a test holds that it does.
    pub fn load() -> Result<Self, String> {
        let authorizer = AuthorizerBuilder::new()
            .code(POLICY)
            .map_err(|error| error.to_string())?
            .set_limits(LIMITS);
        Ok(Self { authorizer })
    }

    /// Runs the token's checks and the policy on one request.
    ///
    /// Proves that every Datalog check of every block holds and that one grant covers the
    /// request's tool, access and resource. Does not prove signatures, revocation, `issued_at` or
    /// holder proofs, nor that the other resources of the call are covered.
    ///
    /// # Errors
    /// [`Refusal`]; only `Ok` allows.
    pub fn evaluate(&self, token: &Biscuit, request: &Request<'_>) -> Result<(), Refusal> {
        let unexpected = |error: error::Token| Refusal::Error(error.to_string());
        let mut authorizer = request_facts(request)
            .into_iter()
            .chain(call_digest(request))
            .try_fold(self.authorizer.clone(), AuthorizerBuilder::fact)
            .and_then(|builder| builder.build(token))
            .map_err(unexpected)?;
        match authorizer.authorize() {
            Ok(_) => Ok(()),
            Err(error::Token::FailedLogic(error::Logic::NoMatchingPolicy { checks }))
                if checks.is_empty() =>
            {
                Err(Refusal::NoGrant)
            }
            Err(error::Token::FailedLogic(_)) => Err(Refusal::FailedCheck),
            Err(error) => Err(unexpected(error)),
        }
    }
}

/// The facts of a request that every policy sees, as the engine takes them.
pub(crate) fn request_facts(request: &Request<'_>) -> Vec<biscuit_auth::builder::Fact> {
    let call = request.call;
    let depth = i64::try_from(request.depth).unwrap_or(i64::MAX);
    let mut facts = vec![
        fact("time", vec![Term::Date(request.time.unix())]),
        fact("request_audience", vec![string(request.audience.as_str())]),
        fact("tool", vec![string(call.tool.as_str())]),
        fact("access", vec![string(call.access.as_str())]),
        fact("resource", vec![path_term(request.resource)]),
        fact("args", vec![arguments_term(&call.arguments)]),
        fact("depth", vec![Term::Integer(depth)]),
    ];
    facts.extend(
        call.path_arguments
            .iter()
            .map(|(name, path)| fact("path_arg", vec![string(name), path_term(path)])),
    );
    facts.extend(
        call.url_arguments
            .iter()
            .map(|(name, url)| fact("url_arg", vec![string(name), url_term(url)])),
    );
    facts
}

/// The name of the very call, for the exact calls of a token; none where it has no canonical form.
fn call_digest(request: &Request<'_>) -> Option<biscuit_auth::builder::Fact> {
    let digest = CallDigest::of(request.call)?;
    Some(fact(
        "call_digest",
        vec![Term::Bytes(digest.as_bytes().to_vec())],
    ))
}

fn arguments_term(arguments: &Arguments) -> Term {
    Term::Map(
        arguments
            .iter()
            .map(|(name, value)| (MapKey::Str(name.to_owned()), value_term(value)))
            .collect(),
    )
}

fn value_term(value: &ArgumentValue) -> Term {
    match value {
        ArgumentValue::String(text) => string(text),
        ArgumentValue::Integer(integer) => Term::Integer(*integer),
        ArgumentValue::Boolean(boolean) => Term::Bool(*boolean),
        ArgumentValue::Array(items) => Term::Array(items.iter().map(value_term).collect()),
        ArgumentValue::Object(members) => Term::Map(
            members
                .iter()
                .map(|(name, value)| (MapKey::Str(name.clone()), value_term(value)))
                .collect(),
        ),
        ArgumentValue::Unrepresentable => Term::Null,
    }
}

fn url_term(url: &UrlArgument) -> Term {
    let parts = [
        ("scheme", string(&url.scheme)),
        ("host", string(&url.host)),
        ("port", Term::Integer(i64::from(url.port))),
        ("path", string(&url.path)),
    ];
    Term::Map(
        parts
            .into_iter()
            .map(|(name, term)| (MapKey::Str(name.to_owned()), term))
            .collect::<BTreeMap<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_parses() {
        assert!(Policy::load().is_ok());
    }
}
