//! The description of the issuer's interface for programs, before a linter and before what sends
//! everything that it allows: nothing is answered in another way than described, and nothing makes
//! the issuer fail.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::harness::node;
use crate::harness::python;
use crate::harness::service::{Bailiwick, Place};

const DESCRIPTION: &str = "/v1/openapi.json";
/// How long each sends, in seconds.
const BUDGET: &str = "20";

#[test]
fn linter_finds_no_fault_in_the_description() {
    let servers = Bailiwick::up();
    let described = Request::get(&servers.issuer, DESCRIPTION).send();
    let described = described.expect_status(200).json();
    assert_eq!(node::run("lint.mjs", &described), json!([]));
    let mut wrong = described;
    wrong["paths"]["/v1/keys"]["get"]
        .as_object_mut()
        .unwrap()
        .remove("operationId");
    let found = node::run("lint.mjs", &wrong);
    assert_eq!(
        found[0]["rule"], "operation-operationId",
        "it looks: {found}"
    );
}

/// Sends what the description allows and what it does not, with that token.
fn send_everything(servers: &Place, token: Option<&str>, operations: &str) {
    let mut command = python::schemathesis();
    command
        .arg("run")
        .arg(format!("{}{DESCRIPTION}", servers.issuer))
        .args(["--include-path-regex", operations])
        // A page, for people.
        .args(["--exclude-path", "/oauth/authorize"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-time", BUDGET, "--seed", "1", "--continue-on-failure"])
        .args([
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--no-color",
        ])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance",
        ])
        .current_dir(servers.folder.path());
    if let Some(file) = token {
        let token = std::fs::read_to_string(servers.data_dir.join(file)).unwrap();
        command.args([
            "--header",
            &format!("Authorization: Bearer {}", token.trim()),
        ]);
    }
    assert_nothing_found(&mut command);
    let ready = Request::get(&servers.issuer, "/readyz").send();
    assert_eq!(
        ready.expect_status(200).json()["status"],
        Value::from("ready")
    );
}

fn assert_nothing_found(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaints}");
    assert!(said.contains("passed"), "something was sent: {said}");
}

#[test]
fn whatever_an_operator_sends_is_answered_as_described() {
    let servers = Bailiwick::up();
    send_everything(&servers, Some("operator.token"), "^/v1/");
}

#[test]
fn whatever_a_gateway_sends_is_answered_as_described() {
    let servers = Bailiwick::up();
    send_everything(&servers, Some("gateway.token"), "^/v1/");
}

#[test]
fn whatever_a_stranger_sends_is_answered_as_described() {
    let servers = Bailiwick::up();
    send_everything(&servers, None, "^/(v1|oauth|[.]well-known)/");
}
