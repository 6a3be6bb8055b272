//! Exact calls at the gateway: each made as often as it was approved, whatever happens.

use std::sync::Arc;

use bailiwick_datalog::{Access, CallDigest, Caveat, LaterBlock, ToolLimit};
use serde_json::{Value, json};

use crate::harness::{TestGateway, TokenSpec, grant};

fn write(content: &str) -> Value {
    json!({"path": "reports/new.md", "content": content})
}

/// A session that may write exactly this, once for each time that it is listed, and read.
fn approved(gateway: &TestGateway, calls: &[Value]) -> TokenSpec {
    let tool = "files.write_file";
    let digests = calls.iter().map(|arguments| {
        CallDigest::new(&tool.parse().unwrap(), arguments.as_object().unwrap()).unwrap()
    });
    TokenSpec {
        limits: vec![ToolLimit {
            tool: tool.parse().unwrap(),
            caveat: Caveat::ExactCalls(digests.collect()),
        }],
        ..TokenSpec::granting(
            &gateway.audience(),
            [
                grant(tool, Access::Write, "files"),
                grant("files.read_file", Access::Read, "files"),
            ],
        )
    }
}

async fn writes(gateway: &TestGateway, token: &str, content: &str) -> Result<String, Value> {
    let reply = gateway
        .call(token, "files.write_file", write(content))
        .await;
    match reply.result()["isError"] {
        Value::Bool(false) => Ok(reply.tool_text()),
        _ => Err(reply.denial()),
    }
}

fn written(gateway: &TestGateway) -> Option<String> {
    std::fs::read_to_string(gateway.files.join("reports/new.md")).ok()
}

/// Which uses are on the audit record as allowed.
fn recorded(gateway: &TestGateway) -> Vec<Value> {
    let lines = gateway.audit();
    let decided = lines.iter().filter(|line| line["event"] == "call_decided");
    let uses = decided.map(|line| line["fields"]["exact_call"].clone());
    uses.filter(|exact| !exact.is_null()).collect()
}

#[tokio::test]
async fn an_approved_call_is_made_once_and_another_never() {
    let gateway = TestGateway::start().await;
    let token = approved(&gateway, &[write("one")]).mint();
    let other = writes(&gateway, &token, "two").await.unwrap_err();
    assert_eq!(other["code"], "approval_required");
    assert_eq!(written(&gateway), None);
    assert!(writes(&gateway, &token, "one").await.is_ok());
    assert_eq!(written(&gateway).as_deref(), Some("one"));
    std::fs::remove_file(gateway.files.join("reports/new.md")).unwrap();
    let again = writes(&gateway, &token, "one").await.unwrap_err();
    assert_eq!(again["code"], "approval_required");
    assert_eq!(written(&gateway), None);
    // What would allow it is another approval of this very call.
    let asked = &again["request_access"]["authorization_details"][0]["calls"];
    let call = json!([{"name": "files.write_file", "arguments": write("one")}]);
    assert_eq!(*asked, call);
    // Other tools of the session are not counted.
    for _ in 0..2 {
        let path = json!({"path": "reports/q3.md"});
        gateway
            .call(&token, "files.read_file", path)
            .await
            .tool_text();
    }
    let digest = call[0]["arguments"].as_object().unwrap();
    let digest = CallDigest::new(&"files.write_file".parse().unwrap(), digest).unwrap();
    let uses = [json!({"sha256": digest, "nth": 1, "of": 1})];
    assert_eq!(recorded(&gateway), uses);
}

#[tokio::test]
async fn calls_of_a_plan_are_made_one_by_one_by_any_token_of_the_session() {
    let gateway = TestGateway::start().await;
    let plan = approved(&gateway, &[write("a"), write("b"), write("a")]);
    let token = plan.mint();
    let narrowed = TokenSpec {
        blocks: vec![LaterBlock::default()],
        ..plan
    }
    .mint();
    for (token, content, allowed) in [
        (&token, "a", true),
        (&narrowed, "b", true),
        (&narrowed, "a", true),
        (&token, "a", false),
        (&token, "b", false),
        (&narrowed, "b", false),
    ] {
        let answer = writes(&gateway, token, content).await;
        assert_eq!(answer.is_ok(), allowed, "{content}: {answer:?}");
    }
    let nth: Vec<_> = recorded(&gateway)
        .iter()
        .map(|u| u["nth"].clone())
        .collect();
    assert_eq!(nth, [1, 1, 2]);
}

#[tokio::test]
async fn a_use_is_remembered_across_restarts_and_is_one_sessions_own() {
    let mut gateway = TestGateway::start().await;
    let token = approved(&gateway, &[write("one")]).mint();
    writes(&gateway, &token, "one").await.unwrap();
    gateway.restart().await;
    gateway.refresh().await;
    let again = writes(&gateway, &token, "one").await.unwrap_err();
    assert_eq!(again["code"], "approval_required");
    let other = TokenSpec {
        session: "ses-2".to_owned(),
        ..approved(&gateway, &[write("one")])
    };
    assert!(writes(&gateway, &other.mint(), "one").await.is_ok());
}

#[tokio::test]
async fn a_hundred_at_once_have_one_effect() {
    let gateway = Arc::new(TestGateway::start().await);
    let token = approved(&gateway, &[write("one")]).mint();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (gateway, token) = (Arc::clone(&gateway), token.clone());
            tokio::spawn(async move { writes(&gateway, &token, "one").await.is_ok() })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        made += usize::from(call.await.unwrap());
    }
    assert_eq!(made, 1);
    assert_eq!(recorded(&gateway).len(), 1);
    let lines = gateway.audit();
    let ended = lines.iter().filter(|line| line["event"] == "call_ended");
    assert_eq!(ended.count(), 1);
}

#[tokio::test]
async fn a_failed_effect_spends_its_use() {
    let gateway = TestGateway::start().await;
    std::fs::create_dir(gateway.files.join("reports/new.md")).unwrap();
    let token = approved(&gateway, &[write("one")]).mint();
    let reply = gateway.call(&token, "files.write_file", write("one")).await;
    reply.tool_error_code();
    let again = writes(&gateway, &token, "one").await.unwrap_err();
    assert_eq!(again["code"], "approval_required");
}

#[tokio::test]
async fn a_damaged_ledger_is_not_opened_and_a_lost_one_answers_for_nobody() {
    let mut gateway = TestGateway::start().await;
    let token = approved(&gateway, &[write("one")]).mint();
    writes(&gateway, &token, "one").await.unwrap();
    gateway.stop().await;
    let path = gateway.data.join("gateway/calls.ledger");
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[70] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let refused = bailiwick_mcp_server::Gateway::open(gateway.config());
    let error = refused.err().unwrap();
    assert!(
        matches!(error, bailiwick_mcp_server::OpenError::Ledger(_)),
        "{error:?}"
    );

    // A ledger that begins a second after the session did knows nothing of it.
    std::fs::remove_file(&path).unwrap();
    gateway.clock.advance(std::time::Duration::from_secs(1));
    drop(bailiwick_mcp_server::Gateway::open(gateway.config()).unwrap());
    gateway.restart().await;
    gateway.refresh().await;
    let again = writes(&gateway, &token, "one").await.unwrap_err();
    assert_eq!(again["code"], "approval_required");
}

#[tokio::test]
async fn clients_that_step_up_by_scope_are_told_in_the_result() {
    let mut gateway = TestGateway::start().await;
    gateway.step_up = ["default".to_owned()].into();
    gateway.restart().await;
    gateway.refresh().await;
    let token = approved(&gateway, &[write("one")]).mint();
    // The name of a tool, which is all that a scope says, does not say with which arguments.
    let other = gateway.call(&token, "files.write_file", write("two")).await;
    assert_eq!(other.denial_code(), "approval_required");
}
