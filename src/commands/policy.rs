//! `bailiwick policy`: check, test and explain an operator policy before a gateway runs it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bailiwick_datalog::operator::{Explanation, OperatorPolicy, RuleKind, RuleRef, RuleResult};
use bailiwick_datalog::{Request, ResourcePath};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::lines::{LineLength, next_line};
use crate::output::{Event, Output};
use crate::policy::{self, MAX_CASE_BYTES, Place, PlacedProblem, PolicyCase, Verdict};

/// Check, test and explain an operator policy
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Check the text of a policy: every problem, where it is and what to write instead
    Check(CheckArgs),
    /// Decide cases with a policy and compare with what they expect
    Test(TestArgs),
    /// Show what every rule of a policy says of one call
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "A policy is Biscuit Datalog over the facts of the token's authority block, \
    of the request\nand of the clock; it can only take away:\n\n  \
    classification([\"files\", \"hr\"], \"confidential\");\n  \
    deny if access(\"destructive\");\n  \
    deny if resource($r), classification($p, \"confidential\"), $r.starts_with($p);\n  \
    check if time_of_day($t), $t >= 360, $t < 1200;"
)]
struct CheckArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "One case a line, such as\n  \
    {\"name\":\"night\",\"expect\":\"deny\",\"now\":\"2026-01-05T23:00:00Z\",\n   \
    \"authority\":{\"application\":\"crm\"},\"call\":{\"tool\":\"files.read_file\",\"access\":\"read\",\n   \
    \"resources\":[\"files/reports/q3.md\"],\"args\":{\"path\":\"reports/q3.md\"}}}\n\n\
    `line` may name the line of the rule that has to decide. What `authority` leaves out is an\n\
    ordinary session that grants the call; `token` may stand in for all of it.\n\
    Ends with 1 if a case fails.")]
struct TestArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The cases, one JSON object a line; `-` reads them from stdin
    #[arg(value_name = "CASES")]
    cases: PathBuf,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The call: a JSON case as for `bailiwick policy test`; `-` reads it from stdin
    #[arg(value_name = "CALL")]
    call: PathBuf,
}

/// Runs one of the three.
pub(crate) fn run(args: &PolicyArgs, output: Output) -> Result<Exit, Failure> {
    match &args.command {
        PolicyCommand::Check(args) => check(args, output),
        PolicyCommand::Test(args) => test(args, output),
        PolicyCommand::Explain(args) => explain(args, output),
    }
}

fn check(args: &CheckArgs, output: Output) -> Result<Exit, Failure> {
    let checked = policy::check(&args.file)?;
    let report = match &checked {
        Ok(checked) => checked.warnings(),
        Err(report) => report,
    };
    let problem = |place: Place<'_>| output.emit(&Shown::of(place, checked.is_ok()));
    report.places().try_for_each(problem)?;
    let policy = match &checked {
        Ok(checked) => checked.policy(),
        Err(report) => return Err(report.count()),
    };
    output.emit(&Checked {
        file: &args.file,
        digest: hex(policy.digest()),
        otherwise: match policy.leaves_the_rest_to_the_token() {
            true => "left_to_the_token",
            false => "denied",
        },
        rules: policy
            .rules()
            .map(|(kind, rule)| Rule { kind, rule })
            .collect(),
    })?;
    Ok(Exit::Done)
}

fn test(args: &TestArgs, output: Output) -> Result<Exit, Failure> {
    let policy = policy::load(&args.file)?;
    let mut cases = BufReader::new(open(&args.cases)?);
    let mut line = Vec::new();
    let mut summary = Summary::default();
    let mut number = 0_usize;
    loop {
        number = number.saturating_add(1);
        let read = next_line(&mut cases, &mut line, MAX_CASE_BYTES);
        let Some(length) = read.map_err(|error| unreadable(&args.cases, &error))? else {
            break;
        };
        if length == LineLength::Fits && line.trim_ascii().is_empty() {
            continue;
        }
        let tried = match length {
            LineLength::Fits => Tried::of(&policy, &line, number),
            LineLength::TooLong => Tried::unreadable(number, "the line is too long".to_owned()),
        };
        summary.count(&tried);
        output.emit(&tried)?;
    }
    output.emit(&summary)?;
    match summary.failed {
        0 => Ok(Exit::Done),
        failed => Err(Failure::new(
            "policy_test_failed",
            format!("{failed} of {} cases failed", summary.cases()),
        )),
    }
}

fn explain(args: &ExplainArgs, output: Output) -> Result<Exit, Failure> {
    let policy = policy::load(&args.file)?;
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_CASE_BYTES).unwrap_or(u64::MAX);
    open(&args.call)?
        .take(limit)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(&args.call, &error))?;
    let case = PolicyCase::read(&text).map_err(|problem| {
        let message = format!("the call `{}`: {problem}", args.call.display());
        Failure::new("malformed_request", message)
    })?;
    for (resource, explanation) in explanations(&policy, &case) {
        output.emit(&Explained {
            resource: resource.to_string(),
            explanation,
        })?;
    }
    Ok(Exit::Done)
}

/// What the policy says of each resource of a call.
fn explanations<'a>(
    policy: &'a OperatorPolicy,
    case: &'a PolicyCase,
) -> impl Iterator<Item = (&'a ResourcePath, Explanation)> {
    case.call.resources.iter().map(move |resource| {
        let request = Request {
            time: case.now,
            audience: &case.authority.audience,
            depth: case.depth,
            call: &case.call,
            resource,
        };
        (resource, policy.explain(&case.authority, &request))
    })
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(file))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot read `{}`: {error}", path.display());
    Failure::new("file_unreadable", message)
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A problem, or a warning, as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    severity: &'static str,
    #[serde(flatten)]
    problem: PlacedProblem<'a>,
    #[serde(skip)]
    drawn: String,
}

impl<'a> Shown<'a> {
    fn of(place: Place<'a>, warning: bool) -> Self {
        Self {
            severity: if warning { "warning" } else { "error" },
            problem: place.to_record(),
            drawn: place.drawn(warning),
        }
    }
}

impl Event for Shown<'_> {
    fn name(&self) -> &'static str {
        "problem"
    }

    fn human(&self) -> String {
        self.drawn.clone()
    }

    fn is_progress(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
struct Checked<'a> {
    file: &'a Path,
    digest: String,
    /// What becomes of a call that no rule decides.
    otherwise: &'static str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    kind: Option<RuleKind>,
    #[serde(flatten)]
    rule: &'a RuleRef,
}

impl Event for Checked<'_> {
    fn name(&self) -> &'static str {
        "policy_checked"
    }

    fn human(&self) -> String {
        let mut lines = vec![format!(
            "The policy `{}` holds together.",
            self.file.display()
        )];
        lines.extend(self.rules.iter().map(|rule| format!("  {}", rule.rule)));
        lines.push(match self.otherwise {
            "denied" => "A call that no `allow if` matches is refused.".to_owned(),
            _ => "A call that no rule refuses is left to the token.".to_owned(),
        });
        lines.push(format!("SHA-256 {}", self.digest));
        lines.join("\n")
    }
}

/// One case, decided and compared.
#[derive(Serialize)]
struct Tried {
    /// The line of the case in its file.
    case: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Verdict>,
    /// The line of the rule that decided.
    decided_by: Option<usize>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Tried {
    fn of(policy: &OperatorPolicy, line: &[u8], number: usize) -> Self {
        let case = match PolicyCase::read(line) {
            Ok(case) => case,
            Err(problem) => return Self::unreadable(number, problem),
        };
        // A call is refused if one of its resources is; the first of them says why.
        let mut said: Vec<Explanation> = explanations(policy, &case)
            .map(|(_, explanation)| explanation)
            .collect();
        let deciding = said.iter().position(|said| !said.allowed).unwrap_or(0);
        let said = said.swap_remove(deciding);
        let decision = match said.allowed {
            true => Verdict::Allow,
            false => Verdict::Deny,
        };
        let problem = mismatch(&case, decision, said.decided_by);
        Self {
            case: number,
            name: case.name,
            passed: problem.is_none(),
            decision: Some(decision),
            decided_by: said.decided_by,
            reason: said.reason,
            problem,
        }
    }

    fn unreadable(number: usize, problem: String) -> Self {
        Self {
            case: number,
            name: None,
            passed: false,
            decision: None,
            decided_by: None,
            reason: "the case cannot be read".to_owned(),
            problem: Some(problem),
        }
    }
}

/// How a decision differs from what the case expects, if it does.
fn mismatch(case: &PolicyCase, decision: Verdict, decided_by: Option<usize>) -> Option<String> {
    let Some(expected) = case.expect else {
        return Some("the case lacks `expect`".to_owned());
    };
    if expected != decision {
        let word = |verdict| match verdict {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        };
        return Some(format!(
            "expected {}, and the policy says {}",
            word(expected),
            word(decision)
        ));
    }
    let line = case.line.filter(|line| Some(*line) != decided_by)?;
    Some(match decided_by {
        Some(other) => format!("expected line {line} to decide, and line {other} did"),
        None => format!("expected line {line} to decide, and no rule did"),
    })
}

impl Event for Tried {
    fn name(&self) -> &'static str {
        "policy_case"
    }

    fn human(&self) -> String {
        let mark = if self.passed { "ok    " } else { "FAILED" };
        let name = self.name.as_deref().unwrap_or_default();
        let mut text = format!("{mark} {:>4} {name}", self.case);
        if let Some(problem) = &self.problem {
            text.push_str(&format!("\n            {problem}; {}", self.reason));
        }
        text
    }
}

#[derive(Default, Serialize)]
struct Summary {
    passed: usize,
    failed: usize,
}

impl Summary {
    fn count(&mut self, tried: &Tried) {
        let counter = match tried.passed {
            true => &mut self.passed,
            false => &mut self.failed,
        };
        *counter = counter.saturating_add(1);
    }

    fn cases(&self) -> usize {
        self.passed.saturating_add(self.failed)
    }
}

impl Event for Summary {
    fn name(&self) -> &'static str {
        "policy_tested"
    }

    fn human(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

#[derive(Serialize)]
struct Explained {
    resource: String,
    #[serde(flatten)]
    explanation: Explanation,
}

impl Event for Explained {
    fn name(&self) -> &'static str {
        "policy_explained"
    }

    fn human(&self) -> String {
        let decision = match self.explanation.allowed {
            true => "left to the token",
            false => "refused",
        };
        let mut lines = vec![format!(
            "{}: {decision}: {}",
            self.resource, self.explanation.reason
        )];
        lines.extend(self.explanation.rules.iter().map(|outcome| {
            let mark = if outcome.decided { '>' } else { ' ' };
            format!("{mark} {:<13} {}", words(&outcome.result), outcome.rule)
        }));
        lines.join("\n")
    }
}

fn words(result: &RuleResult) -> String {
    match result {
        RuleResult::Matched => "matches".to_owned(),
        RuleResult::NotMatched => "does not".to_owned(),
        RuleResult::Held => "holds".to_owned(),
        RuleResult::Failed => "fails".to_owned(),
        RuleResult::Error(error) => format!("failed: {error}"),
        RuleResult::BudgetExhausted => "out of steps".to_owned(),
    }
}
