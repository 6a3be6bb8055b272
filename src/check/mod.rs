//! `check --jsonl`: decisions without a server, one case per line.
//!
//! Owns the stream: lines in, decisions out, memory bounded by one line and
//! the ids of the proofs used, whatever the length of the batch. `case` reads a line, `decide` answers it.
//! Cases are independent of each other but for holder proofs: a proof that an
//! earlier case used up is a replay in a later one.

mod case;
mod decide;

use std::io::{self, Write};
use std::sync::Arc;

use bailiwick_datalog::operator::OperatorPolicy;
use bailiwick_verifier::Evaluation;
use bailiwick_verifier::holder::ProofVerifier;
use serde::Serialize;
use serde_json::Value;

pub(crate) use case::{Line, read_line};

use crate::lines::{LineLength, next_line};

/// The most holder proofs of one batch; each costs some 100 bytes of memory.
const MAX_PROOFS: usize = 1_000_000;
/// The longest line that is read. A call body of a gateway may have as much.
pub(crate) const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// The code of a case that is not one.
pub(crate) const MALFORMED_REQUEST: &str = "malformed_request";
/// The code of a case whose credential is not one.
pub(crate) const MALFORMED_TOKEN: &str = "malformed_token";

/// How all cases of a batch are decided.
pub(crate) struct Setup {
    /// What evaluates the conditions of tokens.
    pub(crate) evaluation: Evaluation,
    /// What the operator refuses, whatever a token grants.
    pub(crate) policy: Option<Arc<OperatorPolicy>>,
    /// Holder proofs that were used.
    proofs: Arc<ProofVerifier>,
}

impl Setup {
    /// One for a new batch.
    pub(crate) fn new(evaluation: Evaluation, policy: Option<Arc<OperatorPolicy>>) -> Self {
        Self {
            evaluation,
            policy,
            proofs: Arc::new(ProofVerifier::for_batch(MAX_PROOFS)),
        }
    }
}

/// The answer to one case.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Decision {
    /// The id of the case, as it came.
    pub(crate) id: Value,
    /// `allow` or `deny`.
    pub(crate) decision: Verdict,
    /// The stable code of a deny, nothing for an allow.
    pub(crate) code: Option<&'static str>,
    /// Why, in plain words.
    pub(crate) explanation: String,
    /// How long the decision took, in microseconds.
    pub(crate) micros: u64,
}

/// Whether a call may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

impl Decision {
    fn deny(id: Value, code: &'static str, explanation: String) -> Self {
        Self {
            id,
            decision: Verdict::Deny,
            code: Some(code),
            explanation,
            micros: 0,
        }
    }
}

/// Answers every case of `cases` on `decisions`, in order.
///
/// Lines that are no JSON object have no id to answer under; they are named
/// on `complaints`. Blank lines are passed over. Answers are flushed whenever
/// no further input is waiting, so a caller may feed cases one by one.
///
/// # Errors
///
/// Only when a stream breaks; no case ends the batch.
pub(crate) fn stream<R: io::Read>(
    setup: &Setup,
    cases: R,
    mut decisions: impl Write,
    mut complaints: impl Write,
) -> io::Result<()> {
    let mut cases = io::BufReader::new(cases);
    let mut line = Vec::new();
    let mut number: u64 = 0;
    while let Some(length) = next_line(&mut cases, &mut line, MAX_LINE_BYTES)? {
        number = number.saturating_add(1);
        let outcome = match length {
            LineLength::Fits => read_line(&line),
            LineLength::TooLong => {
                Line::NotACase(format!("it is longer than {MAX_LINE_BYTES} bytes"))
            }
        };
        match outcome {
            Line::Blank => {}
            Line::Case(case) => write_decision(&mut decisions, &decide::decide(*case, setup))?,
            Line::Refused(decision) => write_decision(&mut decisions, &decision)?,
            Line::NotACase(reason) => writeln!(complaints, "line {number}: {reason}")?,
        }
        if cases.buffer().is_empty() {
            decisions.flush()?;
        }
    }
    decisions.flush()
}

fn write_decision(to: &mut impl Write, decision: &Decision) -> io::Result<()> {
    serde_json::to_writer(&mut *to, decision)?;
    to.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &[u8]) -> (Vec<Value>, String) {
        let (mut decisions, mut complaints) = (Vec::new(), Vec::new());
        let setup = Setup::new(Evaluation::default(), None);
        stream(&setup, input, &mut decisions, &mut complaints).unwrap();
        let decisions = String::from_utf8(decisions)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (decisions, String::from_utf8(complaints).unwrap())
    }

    #[test]
    fn a_line_that_is_no_case_is_named_and_the_batch_goes_on() {
        let (decisions, complaints) = run(b"nonsense\n\n[1]\n{\"id\":7}\n{\"id\":8}");
        assert_eq!(decisions.len(), 2);
        assert_eq!(decisions[0]["id"], 7);
        assert_eq!(decisions[1]["id"], 8);
        assert!(complaints.starts_with("line 1: "), "{complaints}");
        assert!(complaints.contains("\nline 3: "), "{complaints}");
    }

    #[test]
    fn a_line_of_the_limit_is_read_and_one_byte_more_is_passed_over() {
        let case = |length: usize| {
            let mut line = br#"{"id":1,"note":""#.to_vec();
            line.resize(length.saturating_sub(2), b'x');
            line.extend_from_slice(b"\"}\n");
            line
        };
        let (decisions, complaints) = run(&case(MAX_LINE_BYTES));
        assert_eq!((decisions.len(), complaints.as_str()), (1, ""));
        let mut long = case(MAX_LINE_BYTES + 1);
        long.extend_from_slice(b"{\"id\":2}\n");
        let (decisions, complaints) = run(&long);
        assert_eq!(decisions.len(), 1);
        assert_eq!(decisions[0]["id"], 2);
        assert!(
            complaints.starts_with("line 1: it is longer"),
            "{complaints}"
        );
    }

    #[test]
    fn an_overlong_last_line_without_a_break_ends_the_batch_quietly() {
        let (decisions, complaints) = run(&vec![b'x'; MAX_LINE_BYTES + 9]);
        assert!(decisions.is_empty());
        assert_eq!(complaints.lines().count(), 1);
    }

    #[test]
    fn line_breaks_of_other_systems_are_no_part_of_the_case() {
        let (decisions, complaints) = run(b"{\"id\":1}\r\n\r\n");
        assert_eq!((decisions.len(), complaints.as_str()), (1, ""));
    }
}
