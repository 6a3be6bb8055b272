//! Python programs, run with the packages that `scripts/test.sh` installed.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::program;
use crate::workspace::root;

/// Which generation of the official MCP SDK a program runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// Protocol 2025-11-25: `initialize`, then calls.
    V1,
    /// Protocol 2026-07-28: every request stands alone.
    V2,
}

impl Sdk {
    fn environment(self) -> &'static str {
        match self {
            Self::V1 => "sdk-v1",
            Self::V2 => "sdk-v2",
        }
    }

    fn interpreter(self) -> PathBuf {
        program_of(self.environment(), "python")
    }

    /// A command that runs `tests/python/SCRIPT` with `input` as JSON in its argument, for programs
    /// that talk while they run.
    pub(crate) fn command(self, script: &str, input: &Value) -> Command {
        let mut command = Command::new(self.interpreter());
        command
            .arg(root().join("tests/python").join(script))
            .arg(input.to_string());
        command
    }

    /// Runs `tests/python/SCRIPT` with `input` as JSON on standard input and
    /// returns the JSON it prints.
    pub(crate) fn run(self, script: &str, input: &Value) -> Value {
        let mut command = Command::new(self.interpreter());
        command.arg(root().join("tests/python").join(script));
        program::answer(command, input)
    }
}

/// A program of one of the virtual environments.
fn program_of(environment: &str, program: &str) -> PathBuf {
    let environments = std::env::var_os("BAILIWICK_TEST_PYTHON")
        .map_or_else(|| root().join(".venv"), PathBuf::from);
    let path = environments.join(environment).join("bin").join(program);
    assert!(
        path.exists(),
        "{} is missing: run `./scripts/test.sh setup`, which creates it",
        path.display()
    );
    path
}

/// What sends a server everything that its OpenAPI document allows.
pub(crate) fn schemathesis() -> Command {
    Command::new(program_of("openapi", "schemathesis"))
}

/// A mail server, as it is `wanted`.
pub(crate) fn mail_server(wanted: &Value) -> Command {
    let mut command = Command::new(program_of("mail", "python"));
    command
        .arg(root().join("tests/python/mail_server.py"))
        .arg(wanted.to_string());
    command
}
