//! The authorization server as clients meet it that nobody has changed for it: the official MCP
//! conformance suite, and the official Python SDK of both generations, with a person in Chromium.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::harness::node;
use crate::harness::pages::Approver;
use crate::harness::process::Running;
use crate::harness::python::Sdk;
use crate::harness::service::{Bailiwick, Folder, Place};

const READ: &str = "files.read_file";
const LIST: &str = "files.list_directory";

/// Registers a public client that is answered on this machine.
fn register(servers: &Place) -> String {
    let metadata = json!({
        "client_name": "Conformance suite",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
    });
    let request = Request::post(&servers.issuer, "/oauth/register").json(&metadata);
    let registered = request.send().expect_status(201).json();
    registered["client_id"].as_str().unwrap().to_owned()
}

/// A port that was free a moment ago.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn official_conformance_suite_finds_nothing_wrong() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let (client, port, mcp) = (register(&servers), free_port(), servers.mcp());
    let arguments = [
        "authorization",
        "--url",
        &servers.issuer,
        "--client-id",
        &client,
        "--resource",
        &mcp,
        "--port",
        &port,
    ];
    let mut suite = Running::start("conformance", node::conformance(&arguments));
    let start = format!("{}/oauth/authorize?", servers.issuer);
    let address = suite.line("the address to open", |line| {
        line.starts_with(&start).then(|| line.trim().to_owned())
    });
    let page = approver.is_sent_to(&address).await;
    page.shows("Conformance suite").await;
    page.picks(READ).await;
    page.approves_and_returns("You can close this page").await;

    let ended = suite.ended().expect_code(0);
    for scenario in [
        "authorization-server-metadata-endpoint: 2 passed, 0 failed",
        "authorization-code-grant: 1 passed, 0 failed",
    ] {
        assert!(ended.stdout.contains(scenario), "{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("WARNING"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("SKIPPED"), "{}", ended.stdout);
    assert_no_complaints(&approver, &servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_connect_and_call_what_the_person_picked() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    for sdk in [Sdk::V1, Sdk::V2] {
        let call = |tool: &str, path: &str| json!({"call": tool, "arguments": {"path": path}});
        let list = call(LIST, "reports");
        let input = json!({"url": servers.mcp(), "connections": [
            {"steps": [{"list": true}, list, call(READ, "reports/q3.md")]},
            {"steps": [{"list": true}, list]},
        ]});
        let mut client = Running::start("MCP client", sdk.command("oauth_client.py", &input));
        let page = approver.is_sent_to(&opened(&mut client, 0)).await;
        page.shows("Unmodified client").await;
        page.picks(LIST).await;
        page.approves_and_returns("You can close this page").await;
        // The same client once more; this time the person picks nothing.
        let page = approver.is_sent_to(&opened(&mut client, 1)).await;
        page.approves_and_returns("You can close this page").await;

        let lines = client.ended().expect_code(0).json_lines();
        let answers: Vec<&Value> = lines.iter().filter(|l| l["event"] == "answers").collect();
        let [first, second] = answers[..] else {
            panic!("{sdk:?}: {answers:?}");
        };
        assert_eq!(first["scope"], format!("tool:{LIST}"), "{sdk:?}");
        assert_eq!(first["answers"][0]["tools"].as_array().unwrap().len(), 6);
        assert_eq!(first["answers"][1]["is_error"], false, "{sdk:?}");
        let denial = |answer: &Value| answer["meta"]["bailiwick/denial"]["code"].clone();
        assert_eq!(denial(&first["answers"][2]), "tool_not_granted", "{sdk:?}");
        // A token without a tool sees what there is, and no more.
        assert_eq!(second["scope"], "", "{sdk:?}");
        assert_eq!(second["answers"][0]["tools"].as_array().unwrap().len(), 6);
        assert_eq!(denial(&second["answers"][1]), "tool_not_granted", "{sdk:?}");
    }
    assert_no_complaints(&approver, &servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_step_up_when_a_call_lacks_its_scope() {
    let servers = Bailiwick::up_with(Folder::new(), |command| {
        command.args(["--step-up", "default"]);
    });
    let approver = Approver::signs_up(&servers).await;
    for sdk in [Sdk::V1, Sdk::V2] {
        let call = |tool: &str, path: &str| json!({"call": tool, "arguments": {"path": path}});
        let (list, read) = (call(LIST, "reports"), call(READ, "reports/q3.md"));
        let steps = json!([list, read, list]);
        let input = json!({"url": servers.mcp(), "connections": [{"steps": steps}]});
        let mut client = Running::start("MCP client", sdk.command("oauth_client.py", &input));
        let page = approver.is_sent_to(&opened(&mut client, 0)).await;
        page.picks(LIST).await;
        page.approves_and_returns("You can close this page").await;
        // The call of the second tool has the client ask for it, beside what it holds.
        let page = approver.is_sent_to(&opened(&mut client, 1)).await;
        page.shows("held already").await;
        page.shows("new").await;
        page.approves_and_returns("You can close this page").await;

        let answered = client.event("answers");
        client.ended().expect_code(0);
        for answer in answered["answers"].as_array().unwrap() {
            assert_eq!(answer["is_error"], false, "{sdk:?}: {answer}");
        }
        let mut scope: Vec<&str> = answered["scope"].as_str().unwrap().split(' ').collect();
        scope.sort_unstable();
        assert_eq!(
            scope,
            [format!("tool:{LIST}"), format!("tool:{READ}")],
            "{sdk:?}"
        );
    }
    assert_no_complaints(&approver, &servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_typescript_client_connects_calls_and_steps_up() {
    let servers = Bailiwick::up_with(Folder::new(), |command| {
        command.args(["--step-up", "default"]);
    });
    let approver = Approver::signs_up(&servers).await;
    let call = |tool: &str, path: &str| json!({"call": tool, "arguments": {"path": path}});
    let steps = json!([call(LIST, "reports"), call(READ, "reports/q3.md")]);
    let input = json!({"url": servers.mcp(), "steps": steps});
    let mut client = Running::start("MCP client", node::talking("oauth_client.mjs", &input));
    let page = approver.is_sent_to(&opened(&mut client, 0)).await;
    page.picks(LIST).await;
    page.approves_and_returns("You can close this page").await;
    let page = approver.is_sent_to(&opened(&mut client, 1)).await;
    page.shows("held already").await;
    page.approves_and_returns("You can close this page").await;

    let answered = client.event("answers");
    client.ended().expect_code(0);
    let none = json!({"is_error": false});
    assert_eq!(answered["answers"], json!([none, none]), "{answered}");
    let scope = answered["scope"].as_str().unwrap();
    assert!(scope.contains(LIST) && scope.contains(READ), "{scope}");
    assert_no_complaints(&approver, &servers);
}

/// What the browser objected to on the issuer's pages; the clients' own are not ours.
fn assert_no_complaints(approver: &Approver, servers: &Place) {
    let mut complaints = approver.complaints();
    complaints.retain(|complaint| complaint.contains(&servers.issuer));
    assert_eq!(complaints, Vec::<String>::new());
}

/// The address that the client has a person open the first, second… time.
fn opened(client: &mut Running, number: usize) -> String {
    client.line("an address to open", |line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let this = event["event"] == "open" && event["number"] == number;
        this.then(|| event["url"].as_str().unwrap().to_owned())
    })
}
