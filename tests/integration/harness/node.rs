//! JavaScript programs, run with the packages that `scripts/test.sh` installed.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::program;
use crate::workspace::root;

/// Where the packages are: a directory that holds `node_modules`.
fn packages() -> PathBuf {
    let packages =
        std::env::var_os("BAILIWICK_TEST_NODE").map_or_else(|| root().join(".node"), PathBuf::from);
    assert!(
        packages.join("node_modules").exists(),
        "{} is missing: run `./scripts/test.sh setup`, which creates it",
        packages.display()
    );
    packages
}

/// Runs `tests/node/SCRIPT` with `input` as JSON on standard input and returns the JSON it prints.
pub(crate) fn run(script: &str, input: &Value) -> Value {
    let mut command = Command::new("node");
    command
        // Node 20 reads WebAssembly as a module only when told to.
        .args(["--no-warnings", "--experimental-wasm-modules"])
        .arg(root().join("tests/node").join(script))
        .env("BAILIWICK_TEST_NODE", packages());
    program::answer(command, input)
}
