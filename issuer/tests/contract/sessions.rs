//! Live sessions: what they may do, what they did, and the button that ends them.

use serde_json::json;

use crate::harness::World;

fn report(session: &str, extra: &serde_json::Value) -> String {
    let mut call = json!({
        "session": session,
        "agent": "report writer",
        "delegates": ["sub-7"],
        "tool": "files.read_file",
        "access": "read",
        "resources": ["files/reports/q3.md"],
        "decision": "allow",
        "at": "2026-01-31T12:00:05Z",
    });
    call.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    json!({"calls": [call]}).to_string()
}

#[tokio::test]
async fn session_shows_what_it_may_do_and_how_long() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let page = browser.get(&format!("/sessions/{session}")).await.body;
    assert!(
        page.contains("not collected yet") && page.contains(">approved<"),
        "{page}"
    );
    world.poll(&asked).await;
    world.advance(300);
    for path in ["/sessions".to_owned(), format!("/sessions/{session}")] {
        let page = browser.get(&path).await.body;
        for shown in [
            "report writer",
            "files.read_file",
            "files/reports",
            "10 minutes left",
            ">active<",
            "ada",
        ] {
            assert!(page.contains(shown), "{path}: {shown}\n{page}");
        }
    }
    world.advance(600);
    let page = browser.get(&format!("/sessions/{session}")).await.body;
    assert!(page.contains(">expired<") && !page.contains("id=\"revoke\""));
}

#[tokio::test]
async fn calls_that_gateways_report_are_shown() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let gateway = world.bearer("gateway.token");
    let denied = json!({"decision": "deny", "code": "resource_not_granted",
        "resources": ["files/secret<script>\u{202e}"], "at": "2026-01-31T12:00:09Z"});
    for body in [report(&session, &json!({})), report(&session, &denied)] {
        let reply = world.post_json("/v1/audit", &gateway, &body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()),
            (200, json!({"recorded": 1}))
        );
    }
    let page = browser.get(&format!("/sessions/{session}")).await.body;
    for shown in [
        "files/reports/q3.md",
        "sub-7",
        "resource_not_granted",
        "1 call allowed, 1 refused",
        "files/secret&#60;script&#62;⟨U+202E⟩",
    ] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    let operator = world.bearer("operator.token");
    let calls = world
        .get_as(&format!("/v1/sessions/{session}"), &operator)
        .await
        .json();
    assert_eq!(calls["calls"].as_array().unwrap().len(), 2);
    assert_eq!(calls["calls"][0]["code"], "resource_not_granted");
}

#[tokio::test]
async fn report_sent_twice_with_an_id_counts_once() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let gateway = world.bearer("gateway.token");
    let body = report(&session, &json!({"id": "call-1"}));
    for _ in 0..2 {
        assert_eq!(
            world.post_json("/v1/audit", &gateway, &body).await.status,
            200
        );
    }
    let page = browser.get(&format!("/sessions/{session}")).await.body;
    assert!(page.contains("1 call allowed, 0 refused"), "{page}");
}

#[tokio::test]
async fn reports_need_the_gateways_token_and_the_right_form() {
    let (world, _) = World::with_approver().await;
    let gateway = world.bearer("gateway.token");
    let operator = world.bearer("operator.token");
    let good = report("ses_x", &json!({}));
    assert_eq!(
        world
            .post_json("/v1/audit", &operator, &good)
            .await
            .verdict(),
        (401, "bad_credentials")
    );
    for bad in [
        "{}".to_owned(),
        r#"{"calls":[{}]}"#.to_owned(),
        report("ses_x", &json!({"decision": "perhaps"})),
        report("ses_x", &json!({"at": "yesterday"})),
        report("", &json!({})),
        good.replace("\"tool\":", "\"tool\":\"x\",\"tool\":"),
    ] {
        let reply = world.post_json("/v1/audit", &gateway, &bad).await;
        assert_eq!(reply.verdict(), (400, "malformed_json"), "{bad}");
    }
    let call = serde_json::from_str::<serde_json::Value>(&good).unwrap()["calls"][0].clone();
    let batch = |count| json!({"calls": vec![call.clone(); count]}).to_string();
    assert_eq!(
        world
            .post_json("/v1/audit", &gateway, &batch(1_000))
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .post_json("/v1/audit", &gateway, &batch(1_001))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn one_click_ends_a_session_and_a_second_does_no_harm() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    world.poll(&asked).await;
    let list = browser.get("/sessions").await;
    let path = format!("/sessions/{session}/revoke");
    assert!(list.body.contains(&format!("action=\"{path}\"")));
    let csrf = list.hidden("csrf");
    for _ in 0..2 {
        let reply = browser.post(&path, &[("csrf", &csrf)]).await;
        assert_eq!(
            (reply.status.as_u16(), reply.location()),
            (303, format!("/sessions/{session}"))
        );
    }
    let page = browser.get(&format!("/sessions/{session}")).await.body;
    assert!(
        page.contains(">revoked<") && page.contains("by ada"),
        "{page}"
    );
    let unknown = browser
        .post("/sessions/ses_0/revoke", &[("csrf", &csrf)])
        .await;
    assert_eq!(unknown.verdict(), (404, "session_not_found"));
}

#[tokio::test]
async fn operator_sees_and_ends_sessions() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    world.poll(&asked).await;
    let operator = world.bearer("operator.token");
    let listed = world.get_as("/v1/sessions", &operator).await.json();
    let one = &listed["sessions"][0];
    assert_eq!(one["session"], session);
    assert_eq!(one["state"], "active");
    assert_eq!(one["agent"], "report writer");
    assert_eq!(one["principal"], "ada");
    assert_eq!(one["expires_at"], "2026-01-31T12:15:00Z");
    assert_eq!(one["remaining_seconds"], 900);
    let body = json!({"session": session}).to_string();
    let first = world
        .post_json("/v1/revocations", &operator, &body)
        .await
        .json();
    assert_eq!(
        first,
        json!({"session": session, "seq": 2, "already_revoked": false})
    );
    let again = world
        .post_json("/v1/revocations", &operator, &body)
        .await
        .json();
    assert_eq!(
        again,
        json!({"session": session, "seq": 2, "already_revoked": true})
    );
    let listed = world.get_as("/v1/sessions", &operator).await.json();
    assert_eq!(listed["sessions"][0]["state"], "revoked");
    assert_eq!(listed["sessions"][0]["revoked_by"], "operator");
}
