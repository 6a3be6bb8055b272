//! What a policy says of one call, rule by rule.

use serde::Serialize;

use super::{
    OperatorPolicy, PolicyRefused,
    evaluation::{self, World},
    program::CompiledRule,
    refused::RuleRef,
    steps::{EvaluationError, Failure, Steps},
    syntax::RuleKind,
};
use crate::{authority::Authority, request::Request};

/// What every rule of a policy says of one resource of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// True when the policy leaves the call allowed.
    pub allowed: bool,
    /// Why, in one line.
    pub reason: String,
    /// The line of the rule that decided; none where no rule did.
    pub decided_by: Option<usize>,
    /// Steps that the decision took; the explanation itself takes more.
    pub steps: u64,
    /// Every rule that decides, in the order of the text.
    pub rules: Vec<RuleOutcome>,
}

/// One rule and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleOutcome {
    /// What the rule does.
    pub kind: RuleKind,
    /// Where it stands and what it says.
    #[serde(flatten)]
    pub rule: RuleRef,
    /// What it says of the call, whether or not it decides.
    pub result: RuleResult,
    /// True for the one rule that decided.
    pub decided: bool,
}

/// What a rule says of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleResult {
    /// The body of an `allow if` or `deny if` matches.
    Matched,
    /// It does not.
    NotMatched,
    /// The check holds.
    Held,
    /// The check does not hold.
    Failed,
    /// The evaluation of the rule, or of a rule that derives facts, came to no answer.
    Error(EvaluationError),
    /// The budget was spent before this rule had an answer.
    BudgetExhausted,
}

pub(super) fn explain(
    policy: &OperatorPolicy,
    authority: &Authority,
    request: &Request<'_>,
    steps: &mut Steps,
) -> Explanation {
    let before = steps.taken();
    let decision = policy.decide_within(authority, request, steps);
    let taken = steps.taken().saturating_sub(before);
    let mut rules = outcomes(policy, authority, request);
    let (decided_by, reason) = match &decision {
        Err(refused) => (rule_of(refused).map(|rule| rule.line), refused.to_string()),
        Ok(()) => allowing(&rules),
    };
    let decided = match &decision {
        Err(refused) => rule_of(refused).cloned(),
        Ok(()) => decided_by.and_then(|line| {
            let mut rules = rules.iter();
            let rule = rules.find(|outcome| outcome.rule.line == line && outcome.matched_allow());
            rule.map(|outcome| outcome.rule.clone())
        }),
    };
    if let Some(outcome) = rules
        .iter_mut()
        .find(|outcome| Some(&outcome.rule) == decided.as_ref())
    {
        outcome.decided = true;
    }
    Explanation {
        allowed: decision.is_ok(),
        reason,
        decided_by,
        steps: taken,
        rules,
    }
}

impl RuleOutcome {
    fn matched_allow(&self) -> bool {
        self.kind == RuleKind::AllowIf && self.result == RuleResult::Matched
    }
}

fn allowing(rules: &[RuleOutcome]) -> (Option<usize>, String) {
    match rules.iter().find(|outcome| outcome.matched_allow()) {
        Some(outcome) => (Some(outcome.rule.line), outcome.rule.to_string()),
        None => (
            None,
            "no rule decides; the rest is left to the token".to_owned(),
        ),
    }
}

fn rule_of(refused: &PolicyRefused) -> Option<&RuleRef> {
    match refused {
        PolicyRefused::DeniedByRule(rule) | PolicyRefused::CheckFailed(rule) => Some(rule),
        PolicyRefused::EvaluationFailed { rule, .. } => rule.as_ref(),
        PolicyRefused::NothingAllowed | PolicyRefused::BudgetExhausted { .. } => None,
    }
}

/// Every rule on its own, each with a budget of its own.
fn outcomes(
    policy: &OperatorPolicy,
    authority: &Authority,
    request: &Request<'_>,
) -> Vec<RuleOutcome> {
    let world = World::new(&policy.program, authority, request, &mut Steps::default());
    let mut rules: Vec<&CompiledRule> = policy.deciding().collect();
    rules.sort_by_key(|rule| rule.statement);
    let outcome = |rule: &&CompiledRule| {
        let answer = match &world {
            Ok(world) => world.answers(rule, &mut evaluation::empty(), &mut Steps::default()),
            Err((_, failure)) => Err(*failure),
        };
        RuleOutcome {
            kind: rule.kind,
            rule: rule.rule.clone(),
            result: result(rule.kind, answer),
            decided: false,
        }
    };
    rules.iter().map(outcome).collect()
}

fn result(kind: RuleKind, answer: Result<bool, Failure>) -> RuleResult {
    match (answer, kind.is_policy()) {
        (Ok(true), true) => RuleResult::Matched,
        (Ok(false), true) => RuleResult::NotMatched,
        (Ok(true), false) => RuleResult::Held,
        (Ok(false), false) => RuleResult::Failed,
        (Err(Failure::Error(error)), _) => RuleResult::Error(error),
        (Err(Failure::Budget), _) => RuleResult::BudgetExhausted,
    }
}
