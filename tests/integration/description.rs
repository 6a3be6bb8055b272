//! The description of the issuer's interface for programs, before a linter and before what sends
//! everything that it allows: nothing is answered in another way than described, and nothing makes
//! the issuer fail.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::thread;

use serde_json::{Value, json};

use crate::harness::agent::Wish;
use crate::harness::http::Request;
use crate::harness::node;
use crate::harness::python;
use crate::harness::service::{Bailiwick, Folder, Place};
use crate::harness::visitor::Visitor;

const DESCRIPTION: &str = "/v1/openapi.json";
/// What bounds a run that asks about everything: so many seconds.
const FOR_A_WHILE: [&str; 2] = ["--max-time", "20"];
/// What bounds one in which each operation has to be answered well: so many tries of each, beside
/// those that the description gives.
const SO_OFTEN: [&str; 2] = ["--max-examples", "15"];

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

/// The description without the operations whose paths are not wanted.
fn described(servers: &Place, wanted: impl Fn(&str) -> bool) -> Value {
    let described = Request::get(&servers.issuer, DESCRIPTION).send();
    let mut described = described.expect_status(200).json();
    let paths = described["paths"].as_object_mut().unwrap();
    // That one is a page, for people.
    paths.retain(|path, _| wanted(path) && path != "/oauth/authorize");
    described
}

fn operations(described: &Value) -> usize {
    let paths = described["paths"].as_object().unwrap().values();
    paths.map(|item| item.as_object().unwrap().len()).sum()
}

/// What was sent to one server, and what came of it.
struct Sent {
    output: Output,
    /// Path, status and body of each answer.
    answers: Vec<(String, u64, String)>,
}

/// Sends a server what the description allows and what it does not, within a bound.
fn send_everything(
    described: &Value,
    server: &str,
    folder: &Folder,
    token: Option<&str>,
    bound: [&str; 2],
) -> Sent {
    let (file, report) = (folder.join("description.json"), folder.join("sent.har"));
    fs::write(&file, described.to_string()).unwrap();
    let mut command = python::schemathesis();
    command
        .arg("run")
        .arg(&file)
        .args(["--url", server])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(bound)
        .args(["--seed", "1", "--continue-on-failure"])
        .args(["--suppress-health-check", "all"])
        .args(["--warnings", "off", "--no-color"])
        .args(["--report", "har", "--report-har-path"])
        .arg(&report)
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance",
        ])
        .current_dir(folder.path());
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().unwrap();
    let report = fs::read(&report).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let report: Value = serde_json::from_slice(&report).unwrap();
    let entries = report["log"]["entries"].as_array().unwrap().iter();
    let answers = entries.map(|entry| {
        let url = entry["request"]["url"].as_str().unwrap();
        let path = url.strip_prefix(server).unwrap_or(url).to_owned();
        let answer = &entry["response"];
        let text = answer["content"]["text"].as_str().unwrap_or_default();
        (path, answer["status"].as_u64().unwrap(), text.to_owned())
    });
    Sent {
        answers: answers.collect(),
        output,
    }
}

impl Sent {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Nothing was wrong with any answer, and every operation was asked.
    fn expect_nothing_found(self, described: &Value) -> Self {
        let said = self.said();
        let complaints = String::from_utf8_lossy(&self.output.stderr);
        assert!(self.output.status.success(), "{said}\n{complaints}");
        let tested = format!("  Tested: {}\n", operations(described));
        assert!(said.contains(&tested), "{tested}{said}");
        self
    }

    /// It was not refusals alone: an operation was answered so at least once.
    fn expect_answer(&self, path: &str, status: u64, text: &str) {
        let mut answers = self.answers.iter();
        let found =
            answers.any(|(at, with, body)| at == path && *with == status && body.contains(text));
        assert!(found, "{path} {status} {text}: {:?}", self.answers);
    }
}

fn token_of(servers: &Place, file: &str) -> String {
    let token = fs::read_to_string(servers.data_dir.join(file)).unwrap();
    token.trim().to_owned()
}

fn sends_everything(servers: &Place, token: Option<&str>, wanted: impl Fn(&str) -> bool) {
    let described = described(servers, wanted);
    let token = token.map(|file| token_of(servers, file));
    let folder = &servers.folder;
    let sent = send_everything(
        &described,
        &servers.issuer,
        folder,
        token.as_deref(),
        FOR_A_WHILE,
    );
    sent.expect_nothing_found(&described);
    assert_ready(servers);
}

fn assert_ready(servers: &Place) {
    let ready = Request::get(&servers.issuer, "/readyz").send();
    assert_eq!(
        ready.expect_status(200).json()["status"],
        Value::from("ready")
    );
}

#[test]
fn whatever_an_operator_sends_is_answered_as_described() {
    let servers = Bailiwick::up();
    let v1 = |path: &str| path.starts_with("/v1/");
    sends_everything(&servers, Some("operator.token"), v1);
}

#[test]
fn whatever_a_gateway_sends_is_answered_as_described() {
    let servers = Bailiwick::up();
    let v1 = |path: &str| path.starts_with("/v1/");
    sends_everything(&servers, Some("gateway.token"), v1);
}

#[test]
fn whatever_a_stranger_sends_is_answered_as_described() {
    let servers = Bailiwick::up();
    sends_everything(&servers, None, |_| true);
}

/// Says of a body in the description that it has these members, each with one of these values.
fn pin(described: &mut Value, schema: &str, members: Value) {
    let schema = &mut described["components"]["schemas"][schema];
    schema["required"] = members.as_object().unwrap().keys().cloned().collect();
    schema["properties"] = members;
}

#[test]
fn whatever_a_known_client_sends_with_a_good_token_is_answered_as_described() {
    let servers = Bailiwick::up();
    let visitor = Visitor::signs_up(&servers);
    let wish = Wish {
        tools: &["files.read_file"],
        resources: &["files/reports"],
        task: "Read the report",
        time: "10m",
    };
    let asked = servers.request(&wish, &[]);
    visitor.approves(&asked);
    let token = asked.granted().token;

    let looks = "/oauth/introspect";
    let mut introspection = described(&servers, |path| path == looks);
    let member = json!({"token": {"enum": [token]}});
    pin(&mut introspection, "TokenForm", member);
    let operator = token_of(&servers, "operator.token");
    let (server, folder) = (&servers.issuer, &servers.folder);
    let sent = send_everything(&introspection, server, folder, Some(&operator), SO_OFTEN);
    let sent = sent.expect_nothing_found(&introspection);
    sent.expect_answer(looks, 200, "files.read_file");

    let details = json!([{"type": "mcp_tools", "task": "Read", "duration": 60, "tools": [
        {"name": "files.read_file", "access": "read", "resources": ["files/reports"]}]}]);
    let (client, details) = (json!({"enum": ["bailiwick-cli"]}), details.to_string());
    let details = json!({"enum": [details]});
    let mut oauth = described(&servers, |path| {
        path.starts_with("/oauth/") && path != looks
    });
    let members = json!({"client_id": client, "authorization_details": details,
        "agent_name": {"type": "string"}});
    pin(&mut oauth, "DeviceRequest", members);
    let members = json!({"client_id": client, "authorization_details": details,
        "grant_type": {"enum": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
        "subject_token": {"enum": [token]},
        "subject_token_type": {"enum": ["urn:ietf:params:oauth:token-type:access_token"]}});
    pin(&mut oauth, "TokenRequest", members);
    let members = json!({"redirect_uris": {"enum": [["http://127.0.0.1:7777/callback"]]},
        "client_name": {"type": "string"},
        "token_endpoint_auth_method": {"enum": ["none", "client_secret_basic"]}});
    pin(&mut oauth, "ClientMetadata", members);
    let sent = send_everything(&oauth, server, folder, None, SO_OFTEN);
    let sent = sent.expect_nothing_found(&oauth);
    for (path, status, text) in [
        ("/oauth/device_authorization", 200, "user_code"),
        ("/oauth/token", 200, "access_token"),
        ("/oauth/register", 201, "client_id"),
        ("/oauth/revoke", 200, ""),
    ] {
        sent.expect_answer(path, status, text);
    }
    assert_ready(&servers);
}

/// Answers every request with 500, in the form that the description gives to refusals.
fn failing_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::from("-");
            while !line.trim().is_empty() {
                line.clear();
                drop(stream.read_line(&mut line));
            }
            let body =
                r#"{"type":"about:blank","title":"t","status":500,"code":"internal","detail":"d"}"#;
            let answer = format!(
                "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/problem+json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            drop(stream.get_mut().write_all(answer.as_bytes()));
        }
    });
    format!("http://{address}")
}

#[test]
fn server_that_fails_is_found_out() {
    let servers = Bailiwick::up();
    let described = described(&servers, |path| path == "/v1/keys");
    let sent = send_everything(
        &described,
        &failing_server(),
        &servers.folder,
        None,
        SO_OFTEN,
    );
    assert!(!sent.output.status.success(), "{}", sent.said());
    assert!(sent.said().contains("Server error"), "{}", sent.said());
    sent.expect_answer("/v1/keys", 500, "internal");
}
