//! From text to a checked policy: every check in its order, every problem reported.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    OperatorPolicy, contradictions,
    definitions::{Definitions, bodies},
    facts, joins, lexer,
    library::Engine,
    parser,
    problem::{PolicyErrors, Problem},
    program::{CompiledRule, Derivation, Join, Program},
    reach,
    refused::RuleRef,
    syntax::{RuleKind, Statement, StatementKind},
    types, variables, warnings,
};

/// Longest text of a policy, in bytes.
pub const MAX_POLICY_BYTES: usize = 64 * 1024;
/// Most rules in a policy, those that derive facts included; of a rule with alternatives each one
/// counts. Facts are bounded by the length of the text.
pub const MAX_RULES: usize = 256;

pub(super) fn load(source: &str) -> Result<OperatorPolicy, PolicyErrors> {
    let mut problems = Vec::new();
    let statements = read(source, &mut problems);
    if problems.is_empty() {
        check(&statements, &mut problems);
    }
    let policy = match problems.is_empty() {
        true => compile(source, &statements, &mut problems),
        false => None,
    };
    match (PolicyErrors::of(problems), policy) {
        (None, Some(policy)) => Ok(policy),
        (Some(errors), _) => Err(errors),
        (None, None) => Err(PolicyErrors::internal()),
    }
}

/// Text to statements.
fn read(source: &str, problems: &mut Vec<Problem>) -> Vec<Statement> {
    if source.len() > MAX_POLICY_BYTES {
        let length = source.len();
        let message = format!("the policy has {length} bytes, more than {MAX_POLICY_BYTES}");
        problems.push(Problem::new("too_large", 0..length, message));
        return Vec::new();
    }
    let lexemes = lexer::statements(source, problems);
    let statements: Vec<Statement> = lexemes
        .iter()
        .filter_map(|lexemes| {
            let statement = parser::statement(lexemes);
            statement.map_err(|problem| problems.push(problem)).ok()
        })
        .collect();
    let mut queries = statements.iter().flat_map(bodies);
    if let Some(first) = queries.nth(MAX_RULES) {
        let message = format!("more than {MAX_RULES} rules and alternatives");
        problems.push(Problem::new("too_many_rules", first.span.clone(), message));
    }
    let decides = |statement: &Statement| matches!(statement.kind, StatementKind::Rule { .. });
    if problems.is_empty() && !statements.iter().any(decides) {
        let message = "the policy has no rule that decides";
        let problem = Problem::new("empty_policy", 0..source.len(), message);
        problems.push(problem.with_help("to allow what tokens allow, load no policy"));
    }
    statements
}

/// What can be wrong with statements that can be read.
fn check(statements: &[Statement], problems: &mut Vec<Problem>) {
    let definitions = Definitions::of(statements, problems);
    facts::check(statements, &definitions, problems);
    variables::check(statements, problems);
    refuse_reject_any(statements, problems);
    joins::check(statements, &definitions, problems);
    if problems.is_empty() {
        types::check(statements, &definitions, problems);
    }
    // What follows reads the meaning of rules, and would repeat what is wrong already.
    if problems.is_empty() {
        contradictions::check(statements, problems);
        reach::check(statements, problems);
    }
}

/// `reject if A or B` refuses only what matches both, in the engine: whoever writes it means
/// either, and would let through what was to be refused.
fn refuse_reject_any(statements: &[Statement], problems: &mut Vec<Problem>) {
    for statement in statements {
        if let StatementKind::Rule {
            kind: RuleKind::RejectIf,
            queries,
        } = &statement.kind
            && queries.len() > 1
        {
            let message = "`reject if … or …` refuses only what matches every alternative";
            let problem = Problem::new("reject_any", statement.span.clone(), message);
            problems.push(problem.with_help("write one `reject if` for each alternative"));
        }
    }
}

fn compile(
    source: &str,
    statements: &[Statement],
    problems: &mut Vec<Problem>,
) -> Option<OperatorPolicy> {
    let lines = Lines::of(source);
    let definitions = Definitions::of(statements, problems);
    let mut program = definitions.program(statements);
    let mut engine = Engine::new();
    let mut rules = Vec::new();
    let mut derivations = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let text = source.get(statement.span.clone()).unwrap_or_default();
        let rule = RuleRef {
            line: lines.line(statement.span.start),
            text: Arc::from(text),
        };
        if let Err(problem) = engine.add(text, statement) {
            problems.push(problem);
        }
        match compile_statement(statement, index, &rule, &definitions, &mut program) {
            Ok(Some(derivation)) => derivations.push(derivation),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
        if let StatementKind::Rule { kind, .. } = statement.kind {
            rules.push((kind, rule));
        }
    }
    program.derivations = joins::in_order(derivations, &definitions);
    let otherwise_allow = rules.iter().all(|(kind, _)| *kind != RuleKind::AllowIf);
    let engine = engine.finish(rules, otherwise_allow).ok()?;
    Some(OperatorPolicy {
        source: Arc::from(source),
        digest: Sha256::digest(source).into(),
        warnings: warnings::of(statements),
        program,
        otherwise_allow,
        engine,
    })
}

/// Adds a rule that decides to the program; gives back one that derives.
fn compile_statement(
    statement: &Statement,
    index: usize,
    rule: &RuleRef,
    definitions: &Definitions,
    program: &mut Program,
) -> Result<Option<Derivation>, Problem> {
    match &statement.kind {
        StatementKind::Fact(_) => Ok(None),
        StatementKind::Derivation { head, body } => {
            let (body, columns) = Join::compile(body, Some(head), definitions.numbers())?;
            let Some(relation) = definitions.number(&head.name) else {
                return Ok(None);
            };
            Ok(Some(Derivation {
                rule: rule.clone(),
                statement: index,
                relation,
                head: columns,
                body,
            }))
        }
        StatementKind::Rule { kind, queries } => {
            let alternatives = queries
                .iter()
                .map(|query| {
                    Join::compile(query, None, definitions.numbers()).map(|(join, _)| join)
                })
                .collect::<Result<_, _>>()?;
            let compiled = CompiledRule {
                kind: *kind,
                rule: rule.clone(),
                statement: index,
                alternatives,
            };
            match kind.is_policy() {
                true => program.policies.push(compiled),
                false => program.checks.push(compiled),
            }
            Ok(None)
        }
    }
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(source: &str) -> Self {
        let ends = source.match_indices('\n');
        Self(ends.map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|end| *end < byte).saturating_add(1)
    }
}
