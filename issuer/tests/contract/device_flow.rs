//! An agent asks, waits and collects.

use bailiwick_datalog::{Access, Call, ResourcePath, ToolName};
use bailiwick_verifier::{
    MemoryRevocations, UnverifiedToken, Verifier, VerifierConfig, signed::SignedDocument,
};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::harness::{AUDIENCE, START, World, details};

/// Checks a token the way a gateway does: with nothing but the published documents.
async fn verifier(world: &World) -> Verifier {
    let document = SignedDocument::from_json(world.get("/v1/keys").await.body.as_bytes()).unwrap();
    let anchor = world.issuer.as_ref().unwrap().trust_anchor();
    let keys = anchor.accept(&document, None).unwrap();
    Verifier::new(VerifierConfig {
        audience: bailiwick_datalog::Audience::parse(AUDIENCE).unwrap(),
        keys: Arc::new(keys.key_set().clone()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    })
    .unwrap()
}

fn call(tool: &str, access: Access, resource: &str, args: &Value) -> Call {
    Call::new(
        ToolName::parse(tool).unwrap(),
        access,
        vec![ResourcePath::parse(resource).unwrap()],
        args.as_object().unwrap(),
    )
}

#[tokio::test]
async fn agent_is_told_where_a_person_can_approve() {
    let (world, _) = World::with_approver().await;
    let asked = world.asked().await;
    let code = asked["user_code"].as_str().unwrap();
    assert_eq!(code.len(), 9);
    assert_eq!(asked["verification_uri"], "http://127.0.0.1:8400/approve");
    assert_eq!(
        asked["verification_uri_complete"],
        format!("http://127.0.0.1:8400/approve?user_code={code}")
    );
    assert_eq!(asked["expires_in"], 600);
    assert_eq!(asked["interval"], 2);
    assert_eq!(asked["device_code"].as_str().unwrap().len(), 43);
}

#[tokio::test]
async fn token_bound_to_a_key_is_of_the_type_that_says_so() {
    let (world, mut browser) = World::with_approver().await;
    let holder = "A".repeat(43);
    let fields = [
        ("client_id", "bailiwick-cli"),
        ("authorization_details", &details().to_string()),
        ("holder", &holder),
    ];
    let asked = world.post_form("/oauth/device_authorization", &fields);
    let asked = asked.await.json();
    browser.approve(&asked).await;
    let granted = world.poll(&asked).await.json();
    assert_eq!(granted["token_type"], "DPoP");
    let token = UnverifiedToken::from_text(granted["access_token"].as_str().unwrap()).unwrap();
    let verifier = verifier(&world).await;
    let verified = verifier.verify(&token, world.now()).unwrap();
    assert_eq!(verified.chain().holder().unwrap().as_str(), holder);
}

#[tokio::test]
async fn approved_agent_collects_a_token_that_does_what_was_approved_and_nothing_else() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    assert_eq!(
        world.poll(&asked).await.oauth(),
        (400, "authorization_pending".to_owned())
    );
    let session = browser.approve(&asked).await;

    let reply = world.poll(&asked).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let granted = reply.json();
    assert_eq!(granted["token_type"], "Bearer");
    assert_eq!(granted["expires_in"], 900);
    assert_eq!(granted["expires_at"], "2026-01-31T12:15:00Z");
    assert_eq!(
        granted["scope"],
        "tool:files.read_file tool:files.write_file"
    );
    assert_eq!(granted["session"], session);
    assert_eq!(granted["authorization_details"], details());

    let token = UnverifiedToken::from_text(granted["access_token"].as_str().unwrap()).unwrap();
    let verifier = verifier(&world).await;
    let verified = verifier.verify(&token, world.now()).unwrap();
    assert_eq!(
        (verified.session(), verified.agent(), verified.principal()),
        (session.as_str(), "report writer", "ada")
    );
    assert_eq!(verified.expires_at().unix(), START + 900);
    assert_eq!(verified.chain().authority().task, "Summarise the Q3 report");

    let decide = |tool, access, resource, args: &Value| {
        let call = call(tool, access, resource, args);
        verifier
            .authorize(&token, &call, world.now())
            .map(drop)
            .map_err(|denied| denied.code())
    };
    let none = json!({});
    let read = "files.read_file";
    assert_eq!(
        decide(read, Access::Read, "files/reports/q3.md", &none),
        Ok(())
    );
    assert_eq!(
        decide(read, Access::Read, "files/secret", &none),
        Err("resource_not_granted")
    );
    assert_eq!(
        decide("files.delete_file", Access::Destructive, "files/out", &none),
        Err("tool_not_granted")
    );
    let write = |content: &str| {
        let args = json!({"content": content});
        decide("files.write_file", Access::Write, "files/out/a.md", &args)
    };
    assert_eq!(write("# Title"), Ok(()));
    assert_eq!(write("Title"), Err("caveat_failed"));
}

#[tokio::test]
async fn device_code_works_once() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    assert_eq!(world.poll(&asked).await.status, 200);
    let again = world.poll(&asked).await;
    assert_eq!(again.oauth(), (400, "invalid_grant".to_owned()));
    assert_eq!(
        again.json()["error_description"],
        "the device code was used already"
    );
}

#[tokio::test]
async fn unknown_device_code_is_an_invalid_grant() {
    let (world, _) = World::with_approver().await;
    let reply = world.poll(&json!({"device_code": "A".repeat(43)})).await;
    assert_eq!(reply.oauth(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn denied_agent_learns_the_reason() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser
        .open(&asked)
        .await
        .with("decision", "deny")
        .with("reason", "not today");
    assert_eq!(browser.submit(&form).await.status, 303);
    for _ in 0..2 {
        let reply = world.poll(&asked).await;
        assert_eq!(reply.oauth(), (400, "access_denied".to_owned()));
        assert_eq!(reply.json()["error_description"], "not today");
    }
}

#[tokio::test]
async fn agent_that_polls_too_fast_is_slowed_down() {
    let (world, _) = World::with_approver().await;
    let asked = world.asked().await;
    let poll = async || world.poll(&asked).await.oauth().1;
    assert_eq!(poll().await, "authorization_pending");
    world.advance(2);
    assert_eq!(poll().await, "authorization_pending");
    world.advance(1);
    assert_eq!(poll().await, "slow_down");
    world.advance(6);
    assert_eq!(poll().await, "slow_down", "the interval is 7 s now");
    world.advance(12);
    assert_eq!(poll().await, "authorization_pending", "and 12 s now");
}

#[tokio::test]
async fn request_that_nobody_decides_expires() {
    let (world, _) = World::with_approver().await;
    let asked = world.asked().await;
    world.advance(599);
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
    world.advance(1);
    assert_eq!(
        world.poll(&asked).await.oauth(),
        (400, "expired_token".to_owned())
    );
}

#[tokio::test]
async fn time_runs_from_the_approval_and_not_from_the_collection() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    world.advance(300);
    let granted = world.poll(&asked).await.json();
    assert_eq!(granted["expires_in"], 600);
    assert_eq!(granted["expires_at"], "2026-01-31T12:15:00Z");
}

#[tokio::test]
async fn token_is_not_minted_once_the_approved_time_is_over() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    world.advance(900);
    assert_eq!(
        world.poll(&asked).await.oauth(),
        (400, "expired_token".to_owned())
    );
}

#[tokio::test]
async fn token_is_not_minted_for_a_session_that_was_ended_before() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let session = browser.approve(&asked).await;
    let page = browser.get(&format!("/sessions/{session}")).await;
    let revoke = format!("/sessions/{session}/revoke");
    assert_eq!(
        browser
            .post(&revoke, &[("csrf", &page.hidden("csrf"))])
            .await
            .status,
        303
    );
    assert_eq!(
        world.poll(&asked).await.oauth(),
        (400, "access_denied".to_owned())
    );
}

#[tokio::test]
async fn request_survives_a_restart() {
    let (mut world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    world.restart().await;
    let cookies = browser.cookies.clone();
    browser = world.browser();
    browser.cookies = cookies;
    browser.approve(&asked).await;
    world.restart().await;
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn instructions_of_the_approver_reach_the_agent() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await;
    let form = form
        .with("decision", "approve")
        .with("instructions", "Only the summary, please");
    browser.submit(&form).await;
    assert_eq!(
        world.poll(&asked).await.json()["instructions"],
        "Only the summary, please"
    );
}

#[tokio::test]
async fn neither_token_nor_device_code_is_stored_in_clear() {
    let (mut world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    let granted = world.poll(&asked).await.json();
    world.issuer.take().unwrap().close().await;
    let session = browser.cookie("bailiwick_session").unwrap();
    let secrets = [
        granted["access_token"].as_str().unwrap(),
        asked["device_code"].as_str().unwrap(),
        session,
    ];
    let mut seen = 0;
    for dir in [world.file("issuer"), world.file("audit")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                seen += 1;
                let bytes = std::fs::read(&path).unwrap();
                for secret in secrets {
                    let found = bytes
                        .windows(secret.len())
                        .any(|part| part == secret.as_bytes());
                    assert!(!found, "{}", path.display());
                }
            }
        }
    }
    assert!(seen >= 2);
}
