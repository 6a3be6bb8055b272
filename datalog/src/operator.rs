//! Operator policies: what a security team takes away, whatever a token allows.
//!
//! A policy is a text in Biscuit 3.3 Datalog over the facts of the token's authority block, of
//! the request, and of the clock. [`OperatorPolicy::load`] reads and checks it once, into an
//! immutable value: a misspelt fact, a rule that can never decide or a regular expression without
//! anchors is refused there, with its place and a suggestion. Each call is then decided natively
//! ([`OperatorPolicy::decide`]), within a counted budget.
//!
//! 1. A policy only takes away: it is asked after the token has allowed a call.
//! 2. An evaluation error, or a spent budget, refuses.
//! 3. The same policy, authority and request give the same answer, in whatever order facts are.
//! 4. The meaning is that of the Biscuit library's engine ([`OperatorPolicy::decide_by_engine`]);
//!    a differential test holds the two together. The native evaluation is stricter in two
//!    things: an error counts even if the engine might have found a match first, and an argument
//!    of which nothing can be said (null, a fraction) is an error where a rule looks at it.
//!
//! A policy is compiled once, for all tokens. It is not specialised to one: what a rule asks of the
//! authority block is read in its place, as cheaply as from a plan, and nothing that a verifier
//! remembers of a token depends on the policy.
//!
//! Facts of later blocks are not visible to a policy. `OPERATOR_POLICY.md` is the reference for
//! those who write policies.

mod clock;
mod constant;
mod contradictions;
mod cursor;
mod definitions;
mod evaluation;
mod explanation;
mod expression;
mod facts;
mod joins;
mod lexer;
mod library;
mod load;
mod parser;
mod problem;
mod program;
mod reach;
mod refused;
mod regexes;
mod steps;
mod syntax;
mod terms;
mod types;
mod value;
mod variables;
mod vocabulary;
mod warnings;

use std::sync::Arc;

use self::{
    evaluation::World,
    expression::Slots,
    library::Engine,
    program::{CompiledRule, Program},
    steps::Failure,
};
pub use self::{
    explanation::{Explanation, RuleOutcome, RuleResult},
    load::{MAX_POLICY_BYTES, MAX_RULES},
    problem::{MAX_PROBLEMS, PROBLEM_CODES, PolicyErrors, Problem, WARNING_CODES},
    refused::{PolicyRefused, RuleRef},
    steps::{EvaluationError, MAX_STEPS, Steps},
    syntax::RuleKind,
};
use crate::{authority::Authority, request::Request};

/// A checked policy, ready for decisions. Depends on nothing but its text.
#[derive(Clone, Debug)]
pub struct OperatorPolicy {
    source: Arc<str>,
    digest: [u8; 32],
    warnings: Vec<Problem>,
    program: Program,
    /// True when the text has no `allow if`: what no rule decides is left to the token.
    otherwise_allow: bool,
    engine: Engine,
}

/// Two policies are the same when their texts are.
impl PartialEq for OperatorPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for OperatorPolicy {}

impl OperatorPolicy {
    /// Reads and checks a policy. Takes a time that is bounded by the length of the text, and no
    /// more than a bounded depth of stack, whatever the text.
    ///
    /// # Errors
    /// Every problem that was found, each with its place.
    pub fn load(source: &str) -> Result<Self, PolicyErrors> {
        load::load(source)
    }

    /// What the text may not have meant, in the order of the text.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// SHA-256 of the text: names the policy in records.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The rules that decide and those that derive facts, in the order of the text. All of them
    /// are compiled: what the compiler does not cover is refused by [`OperatorPolicy::load`].
    pub fn rules(&self) -> impl Iterator<Item = (Option<RuleKind>, &RuleRef)> {
        let derivations = self.program.derivations.iter();
        let derivations =
            derivations.map(|derivation| (derivation.statement, None, &derivation.rule));
        let deciding = self
            .deciding()
            .map(|rule| (rule.statement, Some(rule.kind), &rule.rule));
        let mut rules: Vec<_> = derivations.chain(deciding).collect();
        rules.sort_by_key(|(statement, ..)| *statement);
        rules.into_iter().map(|(_, kind, rule)| (kind, rule))
    }

    /// True when a call that no rule decides is left to the token: there is no `allow if`.
    #[must_use]
    pub fn leaves_the_rest_to_the_token(&self) -> bool {
        self.otherwise_allow
    }

    /// Decides on one resource of a call that the token allows, with [`MAX_STEPS`] of its own.
    /// Natively: nothing is built, and without derived facts nothing is allocated.
    ///
    /// # Errors
    /// [`PolicyRefused`]; only `Ok` leaves the call allowed.
    pub fn decide(
        &self,
        authority: &Authority,
        request: &Request<'_>,
    ) -> Result<(), PolicyRefused> {
        self.decide_within(authority, request, &mut Steps::default())
    }

    /// As [`OperatorPolicy::decide`], out of a budget that the resources of a call share.
    ///
    /// # Errors
    /// As [`OperatorPolicy::decide`].
    pub fn decide_within(
        &self,
        authority: &Authority,
        request: &Request<'_>,
        steps: &mut Steps,
    ) -> Result<(), PolicyRefused> {
        let world = World::new(&self.program, authority, request, steps);
        let world = world.map_err(|(rule, failure)| refused(rule, failure, steps))?;
        let mut slots = evaluation::empty();
        for check in &self.program.checks {
            if !answer(&world, check, &mut slots, steps)? {
                return Err(PolicyRefused::CheckFailed(check.rule.clone()));
            }
        }
        for policy in &self.program.policies {
            if answer(&world, policy, &mut slots, steps)? {
                return match policy.kind {
                    RuleKind::AllowIf => Ok(()),
                    _ => Err(PolicyRefused::DeniedByRule(policy.rule.clone())),
                };
            }
        }
        match self.otherwise_allow {
            true => Ok(()),
            false => Err(PolicyRefused::NothingAllowed),
        }
    }

    /// The same decision by the Biscuit library's engine: the meaning of the policy, slower by
    /// far. Where facts race (an error and a match in one rule), its answer may differ from call
    /// to call; [`OperatorPolicy::decide`] refuses those.
    ///
    /// # Errors
    /// As [`OperatorPolicy::decide`], without [`PolicyRefused::BudgetExhausted`].
    pub fn decide_by_engine(
        &self,
        authority: &Authority,
        request: &Request<'_>,
    ) -> Result<(), PolicyRefused> {
        self.engine.evaluate(authority, request)
    }

    /// What every rule says of one resource of a call, and which one decides.
    #[must_use]
    pub fn explain(&self, authority: &Authority, request: &Request<'_>) -> Explanation {
        self.explain_within(authority, request, &mut Steps::default())
    }

    /// As [`OperatorPolicy::explain`], out of a budget that the resources of a call share. Only the
    /// decision counts.
    #[must_use]
    pub fn explain_within(
        &self,
        authority: &Authority,
        request: &Request<'_>,
        steps: &mut Steps,
    ) -> Explanation {
        explanation::explain(self, authority, request, steps)
    }

    fn deciding(&self) -> impl Iterator<Item = &CompiledRule> {
        self.program.checks.iter().chain(&self.program.policies)
    }
}

fn answer<'a>(
    world: &World<'a>,
    rule: &'a CompiledRule,
    slots: &mut Slots<'a>,
    steps: &mut Steps,
) -> Result<bool, PolicyRefused> {
    world
        .answers(rule, slots, steps)
        .map_err(|failure| refused(&rule.rule, failure, steps))
}

fn refused(rule: &RuleRef, failure: Failure, steps: &Steps) -> PolicyRefused {
    match failure {
        Failure::Budget => PolicyRefused::BudgetExhausted {
            limit: steps.limit(),
        },
        Failure::Error(error) => PolicyRefused::error(rule, error),
    }
}
