//! What stays on record of a call, and what the issuer is told.

use bailiwick_datalog::Access;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{GATEWAY_TOKEN, StandIn, TestGateway, TokenSpec, grant, request};

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
    // The key that verified the token is: by its id and its beginning.
    let public = StandIn::mint_key().public().to_bytes_hex();
    assert_eq!(
        line["fields"]["key"],
        json!({"id": 1, "public": format!("ed25519/{}", public.get(..16).unwrap())})
    );
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
    let (mut reports, credentials) = gateway.issuer.reports();
    let record = gateway.audit();
    let decided: Vec<_> = record
        .iter()
        .filter(|line| line["event"] == "call_decided")
        .collect();
    for (report, line) in reports.iter_mut().zip(decided) {
        let id = report.as_object_mut().unwrap().remove("id");
        assert_eq!(id.as_ref(), Some(&line["hash"]));
    }
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

#[tokio::test]
async fn reports_too_large_for_one_batch_arrive_all_the_same() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    // Each report is about as large as an agent can make one, and a hundred of them too large.
    let path = "\"".repeat(4_000);
    for _ in 0..70 {
        let arguments = json!({"from": path, "to": path});
        let reply = gateway.call(&token, "files.move_file", arguments).await;
        assert_eq!(reply.denial()["code"], "tool_not_granted");
    }
    gateway
        .call(&token, "files.read_file", json!({"path": "reports/q3.md"}))
        .await
        .tool_text();
    let stop = CancellationToken::new();
    let running = gateway.gateway().spawn_refresh(stop.clone());
    stop.cancel();
    running.await.unwrap();
    let (reports, _) = gateway.issuer.reports();
    assert_eq!(reports.len(), 71);
}

#[tokio::test]
async fn a_refused_token_is_on_the_record_if_the_issuer_minted_it() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    gateway.issuer.revoke("ses-1");
    gateway.refresh().await;
    let reply = gateway.send(&token, &request("tools/list")).await;
    assert_eq!(reply.code(), (401, "revoked".to_owned()));
    let forged = TokenSpec {
        key: biscuit_auth::KeyPair::from(
            &biscuit_auth::PrivateKey::from_bytes(&[9; 32], biscuit_auth::Algorithm::Ed25519)
                .unwrap(),
        ),
        ..TokenSpec::reading(&gateway.audience())
    };
    let reply = gateway.send(&forged.mint(), &request("tools/list")).await;
    assert_eq!(reply.code(), (401, "bad_signature".to_owned()));
    let record = gateway.audit();
    assert_eq!(record.len(), 1, "{record:?}");
    assert_eq!(record[0]["event"], "token_refused");
    assert_eq!(record[0]["fields"]["session"], "ses-1");
    assert_eq!(record[0]["fields"]["code"], "revoked");
    assert_eq!(record[0]["fields"]["key"]["id"], 1);
}

/// `/dev/full` takes no byte, like a full disk.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen() {
    let mut gateway = TestGateway::start().await;
    let grants = [grant("files.delete_file", Access::Destructive, "files")];
    let token = TokenSpec::granting(&gateway.audience(), grants).mint();
    let arguments = json!({"path": "reports/q3.md"});
    gateway.stop().await;
    let record = gateway.data.join("audit/gateway.jsonl");
    std::fs::remove_file(&record).unwrap();
    std::os::unix::fs::symlink("/dev/full", &record).unwrap();
    gateway.restart().await;
    gateway.refresh().await;
    for _ in 0..2 {
        let reply = gateway
            .call(&token, "files.delete_file", arguments.clone())
            .await;
        assert_eq!(reply.tool_error_code(), "audit_unavailable");
        assert!(gateway.files.join("reports/q3.md").exists());
        let ready = gateway.get("/readyz").await;
        assert_eq!(ready.code(), (503, "audit_unavailable".to_owned()));
    }
    gateway.stop().await;
    std::fs::remove_file(&record).unwrap();
    gateway.restart().await;
    gateway.refresh().await;
    gateway
        .call(&token, "files.delete_file", arguments)
        .await
        .tool_text();
    assert!(!gateway.files.join("reports/q3.md").exists());
}
