//! `bailiwick policy test`: cases with the decision that each expects.

use std::io::BufReader;
use std::path::PathBuf;

use bailiwick_datalog::operator::{Explanation, OperatorPolicy};
use clap::Args;
use serde::Serialize;

use super::{explanations, open, unreadable};
use crate::exit::{Exit, Failure};
use crate::lines::{LineLength, next_line};
use crate::output::{Event, Output};
use crate::policy::{self, MAX_CASE_BYTES, PolicyCase, Verdict};

#[derive(Debug, Args)]
#[command(after_help = "One case a line, such as\n  \
    {\"name\":\"night\",\"expect\":\"deny\",\"now\":\"2026-01-05T23:00:00Z\",\n   \
    \"authority\":{\"application\":\"crm\"},\"call\":{\"tool\":\"files.read_file\",\"access\":\"read\",\n   \
    \"resources\":[\"files/reports/q3.md\"],\"args\":{\"path\":\"reports/q3.md\"}}}\n\n\
    `line` may name the line of the rule that has to decide. What `authority` leaves out is an\n\
    ordinary session that grants the call; `token` may stand in for all of it.\n\
    Ends with 1 if a case fails, or if there is none.")]
pub(super) struct TestArgs {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The cases, one JSON object a line; `-` reads them from stdin
    #[arg(value_name = "CASES")]
    cases: PathBuf,
}

/// Decides every case, says how each went, and fails if one did not go as expected.
pub(super) fn run(args: &TestArgs, output: Output) -> Result<Exit, Failure> {
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
        0 if summary.passed == 0 => Err(Failure::new(
            "policy_test_failed",
            format!("`{}` holds no case", args.cases.display()),
        )),
        0 => Ok(Exit::Done),
        failed => Err(Failure::new(
            "policy_test_failed",
            format!("{failed} of {} cases failed", summary.cases()),
        )),
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
