//! The dry run: what a grant would have made of the agent's last calls.

use serde_json::{Value, json};

use crate::harness::{Browser, World, details};

pub(crate) async fn report(world: &World, session: &str, calls: &[Value]) {
    let gateway = world.bearer("gateway.token");
    let calls: Vec<Value> = calls
        .iter()
        .map(|extra| {
            let mut call = json!({
                "session": session,
                "tool": "files.read_file",
                "access": "read",
                "resources": ["files/reports/q3.md"],
                "decision": "allow",
                "at": "2026-01-31T12:00:05Z",
            });
            let members = extra.as_object().unwrap().clone();
            call.as_object_mut().unwrap().extend(members);
            call
        })
        .collect();
    let body = json!({ "calls": calls }).to_string();
    let reply = world.post_json("/v1/audit", &gateway, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// The section of the page, if it is there.
pub(crate) fn section(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("id=\"dry-run\"")?;
    rest.split_once("</section>").map(|(section, _)| section)
}

async fn began(world: &World, browser: &mut Browser) -> String {
    let asked = world.asked().await;
    browser.approve(&asked).await
}

#[tokio::test]
async fn last_calls_are_decided_by_what_would_be_granted() {
    let (world, mut browser) = World::with_approver().await;
    let session = began(&world, &mut browser).await;
    let calls = [
        json!({}),
        json!({"resources": ["files/private/a.md"], "decision": "deny", "code": "resource_not_granted"}),
        json!({"tool": "files.delete_file", "access": "destructive"}),
        // Written under a limit on its content, which nobody but the gateway knows.
        json!({"tool": "files.write_file", "access": "write", "resources": ["files/out/a.md"]}),
        json!({"resources": []}),
    ];
    report(&world, &session, &calls).await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await;
    let shown = section(&form.page).unwrap();
    assert!(
        shown.contains("would allow 1, refuse 2; of 2 nobody can say"),
        "{shown}"
    );
    assert!(shown.contains("tool_not_granted") && shown.contains("resource_not_granted"));
    // Narrowed, it would refuse what it would have allowed; nothing is decided by asking.
    let narrowed = form.set("path.files.read_file#0", "files/reports/2026");
    let page = browser.submit(&narrowed.with("decision", "check")).await;
    let shown = section(&page.body).unwrap();
    assert!(
        shown.contains("would allow 0, refuse 3; of 2 nobody can say"),
        "{shown}"
    );
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
}

#[tokio::test]
async fn an_agent_that_made_no_call_has_no_dry_run() {
    let (world, mut browser) = World::with_approver().await;
    let session = began(&world, &mut browser).await;
    let asked = world.asked().await;
    assert_eq!(section(&browser.open(&asked).await.page), None);
    // Calls under another name are not this agent's.
    report(&world, &session, &[json!({})]).await;
    let details = details().to_string();
    let reply = world
        .post_form(
            "/oauth/device_authorization",
            &[
                ("client_id", "bailiwick-cli"),
                ("agent_name", "somebody else"),
                ("authorization_details", &details),
            ],
        )
        .await;
    let other = browser.open(&reply.json()).await;
    assert_eq!(section(&other.page), None);
    assert!(section(&browser.open(&asked).await.page).is_some());
}

#[tokio::test]
async fn fifty_calls_are_tried_and_no_more() {
    let (world, mut browser) = World::with_approver().await;
    let session = began(&world, &mut browser).await;
    let asked = world.asked().await;
    report(&world, &session, &vec![json!({}); 50]).await;
    let shown = |page: &str| section(page).unwrap().to_owned();
    let fifty = shown(&browser.open(&asked).await.page);
    assert!(fifty.contains("last 50 calls"), "{fifty}");
    // One more, the latest, takes the place of the oldest.
    let later = json!({"at": "2026-01-31T12:00:06Z", "tool": "files.search"});
    report(&world, &session, &[later]).await;
    let more = shown(&browser.open(&asked).await.page);
    assert!(more.contains("would allow 49, refuse 1"), "{more}");
}
