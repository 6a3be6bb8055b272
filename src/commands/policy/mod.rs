//! `bailiwick policy`: check, test and explain an operator policy before a gateway runs it.

mod test;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bailiwick_datalog::operator::{
    Explanation, OperatorPolicy, RuleKind, RuleRef, RuleResult, Steps,
};
use bailiwick_datalog::{Request, ResourcePath};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{Event, Output};
use crate::policy::{self, MAX_CASE_BYTES, Place, PlacedProblem, PolicyCase};

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
    Test(test::TestArgs),
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
        PolicyCommand::Test(args) => test::run(args, output),
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

/// What the policy says of each resource of a call, within one budget as at a gateway.
fn explanations<'a>(
    policy: &'a OperatorPolicy,
    case: &'a PolicyCase,
) -> impl Iterator<Item = (&'a ResourcePath, Explanation)> {
    let mut steps = Steps::default();
    case.call.resources.iter().map(move |resource| {
        let request = Request {
            time: case.now,
            audience: &case.authority.audience,
            depth: case.depth,
            call: &case.call,
            resource,
        };
        let explanation = policy.explain_within(&case.authority, &request, &mut steps);
        (resource, explanation)
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
