//! One exact call from the command line to its one effect, with a gateway that dies in between.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::harness::agent::{Granted, Wish, call_body, mcp_post, outcome};
use crate::harness::eventually;
use crate::harness::service::Apart;
use crate::harness::visitor::Visitor;

const TOOL: &str = "files.write_file";

fn arguments(content: &str) -> Value {
    json!({"path": "reports/new.md", "content": content})
}

/// Asks for exact calls with the real command and approves them.
fn approved(servers: &Apart, visitor: &Visitor, calls: &[Value]) -> Granted {
    let calls: Vec<String> = calls.iter().map(|call| format!("{TOOL}={call}")).collect();
    let mut more = vec!["--token-file", "token"];
    for call in &calls {
        more.extend(["--call", call.as_str()]);
    }
    let wish = Wish {
        tools: &[],
        resources: &["files/reports"],
        task: "Write the new report",
        time: "10m",
    };
    let asked = servers.request(&wish, &more);
    visitor.approves(&asked);
    asked.granted()
}

fn recorded(servers: &Apart) -> Vec<Value> {
    let path = servers.folder.join("gateway/audit/gateway.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn count(lines: &[Value], event: &str, decision: &str) -> usize {
    let such = lines.iter().filter(|line| {
        let fields = &line["fields"];
        let verdict = fields.get("decision").or_else(|| fields.get("outcome"));
        line["event"] == event && verdict.is_some_and(|verdict| verdict == decision)
    });
    such.count()
}

#[test]
fn what_was_approved_with_its_arguments_is_done_once_and_nothing_else_is() {
    let servers = Apart::start();
    let visitor = Visitor::signs_up(&servers);
    let granted = approved(&servers, &visitor, &[arguments("one")]);
    let call = json!({"name": TOOL, "arguments": arguments("one")});
    assert_eq!(granted.details["calls"], json!([call]));
    let made = |content: &str| {
        let arguments = arguments(content);
        outcome(&servers.gateway, &granted.token, TOOL, &arguments)
    };
    assert_eq!(made("two"), "approval_required");
    assert_eq!(made("one"), "allowed");
    assert_eq!(made("one"), "approval_required");
    let written = std::fs::read_to_string(servers.folder.join("files/reports/new.md"));
    assert_eq!(written.unwrap(), "one");
    let inspected = servers
        .run(&["inspect", "--token-file", "token"])
        .expect_code(0);
    let conditions = inspected.json()["effective"]["conditions"].to_string();
    assert!(conditions.contains("made once"), "{conditions}");
}

/// Many clients send the same call while the gateway is killed as soon as the use is on its ledger.
/// Whether the effect came before or not, there is none afterwards.
#[test]
fn a_gateway_killed_in_the_middle_makes_no_call_twice() {
    let mut servers = Apart::start();
    let visitor = Visitor::signs_up(&servers);
    for round in 0..3 {
        let content = format!("round {round}");
        let granted = approved(&servers, &visitor, &[arguments(&content)]);
        let ledger = servers.folder.join("gateway/gateway/calls.ledger");
        let lines = || std::fs::read_to_string(&ledger).unwrap().lines().count();
        let before = lines();
        let body = call_body(TOOL, &arguments(&content));
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let request = mcp_post(&servers.gateway)
                    .bearer(&granted.token)
                    .json(&body);
                thread::spawn(move || drop(request.try_send()))
            })
            .collect();
        eventually("the use on the ledger", Duration::from_secs(20), || {
            if lines() > before {
                Ok(())
            } else {
                Err("not there".to_owned())
            }
        });
        servers.kill_gateway();
        for client in clients {
            // One whose answer was cut off has failed.
            drop(client.join());
        }
        let effects = |decided: &[Value]| {
            (
                count(decided, "call_decided", "allow"),
                count(decided, "call_ended", "done"),
            )
        };
        let (allowed, done) = effects(&recorded(&servers));
        assert!(allowed <= round + 1 && done <= allowed, "{allowed} {done}");

        servers.start_gateway(&[]);
        eventually("a refusal for good", Duration::from_secs(5), || {
            let again = outcome(&servers.gateway, &granted.token, TOOL, &arguments(&content));
            match again.as_str() {
                "approval_required" => Ok(()),
                "revocation_stale" => Err(again),
                other => panic!("{other}"),
            }
        });
        assert_eq!(effects(&recorded(&servers)), (allowed, done), "made again");
    }
}
