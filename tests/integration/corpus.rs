//! The verifier's adversarial corpus through the real binary: what the library decides case by
//! case, `bailiwick check --jsonl` decides line by line.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::workspace::root;

/// The committed cases, in the order of their ids.
fn cases() -> Vec<Value> {
    let folder = root().join("verifier/tests/corpus/cases");
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(path.file_stem().unwrap().to_str(), case["id"].as_str());
        (path, case)
    });
    files.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What `check --jsonl` answers to `lines`, and what it says on standard error.
fn check(lines: String) -> (Vec<Value>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["check", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Answers come while cases are still being read, so both pipes move at once.
    let fed = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    fed.join().unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let decisions = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (
        decisions.collect(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// What the binary must answer. It knows no catalogue, so that no argument is declared there.
fn expected(case: &Value) -> &Value {
    let without_catalogue = case.get("expect_without_catalogue");
    without_catalogue.unwrap_or(&case["expect"])
}

#[test]
fn the_binary_decides_every_case_of_the_corpus_as_the_library_does() {
    let cases = cases();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let (decisions, complaints) = check(lines);
    assert_eq!(complaints, "", "every case is a case");
    assert_eq!(decisions.len(), cases.len(), "one answer for each line");
    let mut wrong = Vec::new();
    for (case, met) in cases.iter().zip(&decisions) {
        assert_eq!(met["id"], case["id"], "answers come in order");
        let expected = expected(case);
        if met["decision"] != expected["decision"] || met["code"] != expected["code"] {
            wrong.push(format!("{met}, expected {expected}"));
        }
        let explained = met["explanation"]
            .as_str()
            .is_some_and(|text| !text.is_empty());
        assert!(explained, "{met}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
