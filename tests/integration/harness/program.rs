//! Programs in other languages: JSON in, JSON out.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a program with `input` as JSON on standard input and returns the JSON it prints.
pub(crate) fn answer(mut command: Command, input: &Value) -> Value {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} with {input}: {stderr}"
    );
    serde_json::from_slice(&output.stdout).expect("the program prints JSON")
}
