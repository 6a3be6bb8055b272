//! What stays on record of a call, and what the issuer is told.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{GATEWAY_TOKEN, TestGateway};

#[tokio::test]
async fn each_decision_and_outcome_is_on_a_whole_record() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    gateway
        .call(&token, "files.read_file", json!({"path": "reports/q3.md"}))
        .await
        .tool_text();
    gateway
        .call(
            &token,
            "files.read_file",
            json!({"path": "reports/none.md"}),
        )
        .await;
    gateway
        .call(
            &token,
            "files.delete_file",
            json!({"path": "reports/q3.md"}),
        )
        .await;
    gateway
        .call(&token, "files.read_file", json!({"path": "../x"}))
        .await;
    gateway.call(&token, "files.nothing", json!({})).await;
    let events: Vec<_> = gateway
        .audit()
        .iter()
        .map(|line| {
            let fields = &line["fields"];
            let verdict = fields
                .get("decision")
                .or_else(|| fields.get("outcome"))
                .unwrap();
            (
                line["event"].as_str().unwrap().to_owned(),
                fields["tool"].as_str().unwrap().to_owned(),
                verdict.as_str().unwrap().to_owned(),
                fields["code"].clone(),
            )
        })
        .collect();
    let event = |event: &str, tool: &str, verdict: &str, code: Value| {
        (
            event.to_owned(),
            format!("files.{tool}"),
            verdict.to_owned(),
            code,
        )
    };
    assert_eq!(
        events,
        [
            event("call_decided", "read_file", "allow", Value::Null),
            event("call_ended", "read_file", "done", Value::Null),
            event("call_decided", "read_file", "allow", Value::Null),
            event("call_ended", "read_file", "failed", json!("not_found")),
            event(
                "call_decided",
                "delete_file",
                "deny",
                json!("tool_not_granted")
            ),
            event(
                "call_decided",
                "read_file",
                "deny",
                json!("resource_not_granted")
            ),
            event("call_decided", "nothing", "deny", json!("unknown_tool")),
        ]
    );
}

#[tokio::test]
async fn arguments_and_tokens_are_not_on_the_record() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let arguments = json!({"path": "reports", "query": "a-rare-word"});
    gateway
        .call(&token, "files.search", arguments)
        .await
        .tool_text();
    let line = &gateway.audit()[0];
    assert_eq!(line["fields"]["session"], "ses-1");
    assert_eq!(line["fields"]["agent"], "report-writer");
    assert_eq!(line["fields"]["resources"], json!(["files/reports"]));
    assert_eq!(
        line["fields"]["arguments_sha256"].as_str().unwrap().len(),
        64
    );
    let text = std::fs::read_to_string(gateway.data.join("audit/gateway.jsonl")).unwrap();
    assert!(!text.contains("a-rare-word"), "{text}");
    assert!(!text.contains(&token), "{text}");
}

#[tokio::test]
async fn the_issuer_is_told_with_the_gateways_own_credentials() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    gateway
        .call(&token, "files.read_file", json!({"path": "reports/q3.md"}))
        .await
        .tool_text();
    gateway
        .call(
            &token,
            "files.delete_file",
            json!({"path": "reports/q3.md"}),
        )
        .await;
    // Stopping delivers what is waiting.
    let stop = CancellationToken::new();
    let running = gateway.gateway().spawn_refresh(stop.clone());
    stop.cancel();
    running.await.unwrap();
    let (reports, credentials) = gateway.issuer.reports();
    let report = |tool: &str, access: &str| {
        json!({
            "session": "ses-1",
            "agent": "report-writer",
            "delegates": [],
            "tool": tool,
            "access": access,
            "resources": ["files/reports/q3.md"],
            "decision": "allow",
            "at": "2027-01-15T08:00:00Z",
        })
    };
    let mut denied = report("files.delete_file", "destructive");
    denied["decision"] = json!("deny");
    denied["code"] = json!("tool_not_granted");
    assert_eq!(reports, [report("files.read_file", "read"), denied]);
    assert_eq!(credentials, [format!("Bearer {GATEWAY_TOKEN}")]);
}
