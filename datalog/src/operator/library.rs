//! The bridge to the Biscuit library: its parser as a second reader of every statement, and its
//! engine as the meaning of a policy.

use std::time::Duration;

use biscuit_auth::{
    AuthorizerBuilder, AuthorizerLimits,
    builder::{Check, CheckKind, Fact, Policy, PolicyKind, Rule, Term, string},
    error,
};

use super::{
    clock,
    problem::Problem,
    refused::{PolicyRefused, RuleRef},
    syntax::{Query, RuleKind, Statement, StatementKind},
};
use crate::{
    authority::{Authority, fact},
    reference::request_facts,
    request::Request,
};

/// A policy as the engine runs it: everything of it but the facts of a call.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    authorizer: AuthorizerBuilder,
    /// Checks, in the order of the text.
    checks: Vec<RuleRef>,
    /// `allow if` and `deny if`, in the order of the text.
    policies: Vec<RuleRef>,
}

/// Counted limits of one evaluation: what a policy may define and derive, with room to spare.
const LIMITS: AuthorizerLimits = AuthorizerLimits {
    max_facts: 100_000,
    max_iterations: 1_000,
    max_time: Duration::from_secs(3_600),
};

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            authorizer: AuthorizerBuilder::new().set_limits(LIMITS),
            checks: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Adds one statement, as the library reads its text.
    ///
    /// # Errors
    /// The problem, when the library does not read it or reads it differently.
    pub(super) fn add(&mut self, text: &str, statement: &Statement) -> Result<(), Problem> {
        let refused = |message: String| {
            Problem::new("syntax_error", statement.span.clone(), message).with_help(
                "write single spaces inside `check if`, none before `.` or before a method's `(`",
            )
        };
        let unread = |error: error::Token| {
            refused(format!("the Biscuit library does not read this: {error}"))
        };
        let differs = || refused("the Biscuit library reads this differently".to_owned());
        let authorizer = std::mem::take(&mut self.authorizer);
        let added = match &statement.kind {
            StatementKind::Fact(predicate) => {
                let fact = Fact::try_from(text).map_err(unread)?;
                if fact.predicate != predicate.to_library() {
                    return Err(differs());
                }
                authorizer.fact(fact)
            }
            StatementKind::Derivation { head, body } => {
                let rule = Rule::try_from(text).map_err(unread)?;
                if rule.head != head.to_library()
                    || !same(std::slice::from_ref(&rule), std::slice::from_ref(body))
                {
                    return Err(differs());
                }
                authorizer.rule(rule)
            }
            StatementKind::Rule { kind, queries } => match policy_kind(*kind) {
                Ok(kind) => {
                    let policy = Policy::try_from(text).map_err(unread)?;
                    if policy.kind != kind || !same(&policy.queries, queries) {
                        return Err(differs());
                    }
                    authorizer.policy(policy)
                }
                Err(kind) => {
                    let check = Check::try_from(text).map_err(unread)?;
                    if check.kind != kind || !same(&check.queries, queries) {
                        return Err(differs());
                    }
                    authorizer.check(check)
                }
            },
        };
        self.authorizer = added.map_err(unread)?;
        Ok(())
    }

    /// Says which rule is which, and what holds when no rule decides.
    ///
    /// # Errors
    /// The library's message.
    pub(super) fn finish(
        mut self,
        rules: impl IntoIterator<Item = (RuleKind, RuleRef)>,
        otherwise_allow: bool,
    ) -> Result<Self, String> {
        for (kind, rule) in rules {
            match kind.is_policy() {
                true => self.policies.push(rule),
                false => self.checks.push(rule),
            }
        }
        if otherwise_allow {
            let policy = self.authorizer.policy("allow if true");
            self.authorizer = policy.map_err(|error| error.to_string())?;
        }
        Ok(self)
    }

    /// Runs the policy by the library's engine.
    pub(super) fn evaluate(
        &self,
        authority: &Authority,
        request: &Request<'_>,
    ) -> Result<(), PolicyRefused> {
        let failed = |error: error::Token| PolicyRefused::EvaluationFailed {
            rule: None,
            what: error.to_string(),
        };
        let mut authorizer = world(authority, request)
            .into_iter()
            .try_fold(self.authorizer.clone(), AuthorizerBuilder::fact)
            .and_then(AuthorizerBuilder::build_unauthenticated)
            .map_err(failed)?;
        let logic = match authorizer.authorize() {
            Ok(_) => return Ok(()),
            Err(error::Token::FailedLogic(logic)) => logic,
            Err(error) => return Err(failed(error)),
        };
        let (checks, denied_by) = match &logic {
            error::Logic::Unauthorized {
                policy: error::MatchedPolicy::Deny(at),
                checks,
            } => (checks, self.policies.get(*at)),
            error::Logic::Unauthorized { checks, .. }
            | error::Logic::NoMatchingPolicy { checks } => (checks, None),
            _ => return Err(failed(error::Token::FailedLogic(logic))),
        };
        let failed_check = checks.iter().find_map(|check| match check {
            error::FailedCheck::Authorizer(check) => usize::try_from(check.check_id)
                .ok()
                .and_then(|at| self.checks.get(at)),
            error::FailedCheck::Block(_) => None,
        });
        Err(match (failed_check, denied_by) {
            (Some(rule), _) => PolicyRefused::CheckFailed(rule.clone()),
            (None, Some(rule)) => PolicyRefused::DeniedByRule(rule.clone()),
            (None, None) => PolicyRefused::NothingAllowed,
        })
    }
}

/// Which of the library's two kinds a rule is.
fn policy_kind(kind: RuleKind) -> Result<PolicyKind, CheckKind> {
    match kind {
        RuleKind::AllowIf => Ok(PolicyKind::Allow),
        RuleKind::DenyIf => Ok(PolicyKind::Deny),
        RuleKind::CheckIf => Err(CheckKind::One),
        RuleKind::CheckAll => Err(CheckKind::All),
        RuleKind::RejectIf => Err(CheckKind::Reject),
    }
}

fn same(read: &[Rule], queries: &[Query]) -> bool {
    let same_query = |(rule, query): (&Rule, &Query)| {
        let predicates = query.predicates.iter().map(|one| one.to_library());
        let expressions = query.expressions.iter().map(|one| one.to_library());
        rule.scopes.is_empty()
            && rule.body.iter().cloned().eq(predicates)
            && rule
                .expressions
                .iter()
                .map(|one| one.ops.clone())
                .eq(expressions)
    };
    read.len() == queries.len() && read.iter().zip(queries).all(same_query)
}

/// Every fact of one evaluation.
fn world(authority: &Authority, request: &Request<'_>) -> Vec<Fact> {
    let mut facts = authority.facts();
    facts.extend(request_facts(request));
    facts.push(fact(
        "time_of_day",
        vec![Term::Integer(clock::minute_of_day(request.time))],
    ));
    facts.push(fact("weekday", vec![string(clock::weekday(request.time))]));
    facts
}
