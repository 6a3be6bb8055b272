//! Decisions that take more than one approver's word.

use serde_json::{Value, json};

use crate::{
    harness::{ApprovalForm, Browser, World},
    oauth_client::{Client, parameter},
};

const RULE: &str = "two-approvers access=write";

/// The default application under a rule, decided by `ada` and `bob`.
pub(crate) async fn two() -> (World, Browser, Browser) {
    let (world, ada) = World::with_approver().await;
    let bob = world.approver("bob", &["default"]).await;
    rules(&world, &[RULE]).await;
    (world, ada, bob)
}

pub(crate) async fn rules(world: &World, rules: &[&str]) {
    let body = json!({"rules": rules}).to_string();
    let reply = world.operate("/v1/applications/default", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

pub(crate) async fn approval(browser: &mut Browser, asked: &Value) -> ApprovalForm {
    browser.open(asked).await.with("decision", "approve")
}

#[tokio::test]
async fn two_persons_approve_what_a_rule_names_before_a_token_leaves() {
    let (world, mut ada, mut bob) = two().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    assert!(
        form.page.contains("Two persons have to approve this"),
        "{}",
        form.page
    );
    assert_eq!(ada.submit(&form).await.status, 303);
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
    let waiting = ada.get(&form.path).await.body;
    assert!(waiting.contains("You have approved this.") && !waiting.contains("id=\"approve\""));

    let form = approval(&mut bob, &asked).await;
    assert!(
        form.page.contains("ada has approved what is ticked"),
        "{}",
        form.page
    );
    assert_eq!(bob.submit(&form).await.status, 303);
    world.advance(10);
    assert_eq!(world.poll(&asked).await.status, 200);
    let record = world.record();
    let (_, once) = record
        .iter()
        .find(|(e, _)| e == "request_approved_once")
        .unwrap();
    assert_eq!(once["by"], "ada");
    let (_, last) = record
        .iter()
        .find(|(e, _)| e == "request_approved")
        .unwrap();
    assert_eq!(
        (&last["by"], &last["after"]),
        (&json!("bob"), &json!("ada"))
    );
}

#[tokio::test]
async fn one_person_is_not_two() {
    let (world, mut ada, _bob) = two().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    assert_eq!(ada.submit(&form).await.status, 303);
    assert_eq!(
        ada.submit(&form).await.verdict(),
        (409, "second_person_needed")
    );
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
}

/// What an operator does to whoever gave a first approval.
async fn take_away(world: &World, what: &str) {
    let (path, body) = match what {
        "the account" => ("/v1/accounts/ada/disable", json!({})),
        "the role" => ("/v1/accounts/ada/roles", json!({"roles": ["admin"]})),
        "the application" => (
            "/v1/applications/default",
            json!({"remove_approvers": ["ada"]}),
        ),
        "the ceiling" => ("/v1/accounts/ada/ceiling", json!({"access": ["read"]})),
        "nothing" => (
            "/v1/accounts/ada/ceiling",
            json!({"longest_session": 86_400}),
        ),
        other => panic!("{other}"),
    };
    let reply = world.operate(path, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{what}: {}", reply.body);
}

#[tokio::test]
async fn first_approval_counts_only_while_its_giver_could_still_give_it() {
    for what in [
        "the account",
        "the role",
        "the application",
        "the ceiling",
        "nothing",
    ] {
        let (world, mut ada, mut bob) = two().await;
        let mut eve = world.approver("eve", &["default"]).await;
        world.person("olga", &["admin"]).await;
        let asked = world.asked().await;
        let form = approval(&mut ada, &asked).await;
        assert_eq!(ada.submit(&form).await.status, 303, "{what}");
        take_away(&world, what).await;
        let form = approval(&mut bob, &asked).await;
        let counts = what == "nothing";
        assert_eq!(form.page.contains("ada has approved"), counts, "{what}");
        assert_eq!(bob.submit(&form).await.status, 303, "{what}");
        world.advance(10);
        let (status, error) = world.poll(&asked).await.oauth();
        assert_eq!(status == 200, counts, "{what}: {error}");
        if counts {
            continue;
        }
        // Bob's is the first one now, and the record says what became of ada's.
        let (event, fields) = world.record().pop().unwrap();
        assert_eq!(event, "request_approved_once", "{what}");
        assert_eq!(fields["void_first_approval_by"], "ada", "{what}");
        let form = approval(&mut eve, &asked).await;
        assert_eq!(eve.submit(&form).await.status, 303, "{what}");
        world.advance(20);
        assert_eq!(world.poll(&asked).await.status, 200, "{what}");
    }
}

#[tokio::test]
async fn what_the_rule_does_not_name_takes_one() {
    let (world, mut ada, _bob) = two().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked)
        .await
        .without("tool", "files.write_file");
    assert_eq!(ada.submit(&form).await.status, 303);
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn second_approver_starts_from_what_the_first_granted_and_only_narrows_it() {
    let (world, mut ada, mut bob) = two().await;
    let asked = world.asked().await;
    let first = approval(&mut ada, &asked)
        .await
        .without("resource", "files.read_file#1")
        .set("path.files.read_file#0", "files/reports/2026")
        .set("duration", "10m")
        .with("instructions", "Be brief.");
    assert_eq!(ada.submit(&first).await.status, 303);
    let form = approval(&mut bob, &asked).await;
    let sent = |name: &str| {
        form.fields
            .iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(sent("path.files.read_file#0"), "files/reports/2026");
    assert_eq!(sent("duration"), "10m");
    assert!(
        !form
            .fields
            .contains(&("resource".to_owned(), "files.read_file#1".to_owned()))
    );
    for wider in [
        form.clone().set("path.files.read_file#0", "files/reports"),
        form.clone().with("resource", "files.read_file#1"),
        form.clone().set("duration", "601s"),
    ] {
        assert_eq!(
            bob.submit(&wider).await.verdict(),
            (422, "approval_widened")
        );
    }
    let narrower = form
        .without("tool", "files.write_file")
        .set("duration", "5m");
    assert_eq!(bob.submit(&narrower).await.status, 303);
    let token = world.poll(&asked).await.json();
    assert_eq!(token["expires_in"], 300);
    assert_eq!(token["instructions"], "Be brief.");
    assert_eq!(
        token["authorization_details"][0]["tools"][0]["resources"],
        json!(["files/reports/2026"])
    );
}

#[tokio::test]
async fn request_that_came_through_a_browser_gets_its_second_approval_in_another() {
    let (world, mut ada, mut bob) = two().await;
    world.application("other", &json!({})).await;
    let mut carol = world.approver("carol", &["other"]).await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut ada, Some("tool:files.write_file")).await;
    let form = form.with("decision", "approve");
    assert_eq!(bob.get(&form.path).await.verdict(), (403, "other_browser"));
    assert!(!bob.get("/approvals").await.body.contains(&form.path));
    assert_eq!(
        ada.submit(&form).await.location(),
        format!("{}/return", form.path)
    );
    let back = ada.get(&format!("{}/return", form.path)).await;
    assert_eq!(back.location(), form.path, "nothing to take back yet");

    for stranger in [&mut carol] {
        assert_eq!(
            stranger.get(&form.path).await.verdict(),
            (404, "request_not_found")
        );
    }
    assert!(bob.get("/approvals").await.body.contains(&form.path));
    let csrf = bob.csrf().await;
    let second = form.clone().set("csrf", &csrf);
    assert_eq!(bob.submit(&second).await.location(), form.path);
    let foreign = bob.get(&format!("{}/return", form.path)).await;
    assert_eq!(
        foreign.verdict(),
        (403, "other_browser"),
        "the code is not for this browser"
    );
    let page = ada.get(&form.path).await.body;
    assert!(page.contains("id=\"return\""), "{page}");
    assert!(!bob.get(&form.path).await.body.contains("id=\"return\""));
    let answer = ada.get(&format!("{}/return", form.path)).await;
    let code = parameter(&answer.location().parse().unwrap(), "code").unwrap();
    let token = client.redeem(&world, &code).await;
    assert_eq!(token.status, 200, "{}", token.body);
    let path = format!("/v1/sessions/{}", token.json()["session"].as_str().unwrap());
    let session = world.get_as(&path, &world.bearer("operator.token")).await;
    assert_eq!(session.json()["principal"], "ada", "{}", session.body);
}

#[tokio::test]
async fn denial_by_either_ends_it() {
    let (world, mut ada, mut bob) = two().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    ada.submit(&form).await;
    let deny = bob.open(&asked).await.with("decision", "deny");
    assert_eq!(bob.submit(&deny).await.status, 303);
    assert_eq!(world.poll(&asked).await.oauth().1, "access_denied");
    assert_eq!(ada.submit(&form).await.verdict(), (409, "already_denied"));
}

#[tokio::test]
async fn rules_are_shown_set_by_hand_and_refused_when_they_make_no_sense() {
    let (world, mut ada, _bob) = two().await;
    let page = ada.get("/applications/default").await.body;
    assert!(page.contains(RULE), "{page}");
    for bad in [
        "three-approvers access=write",
        "two-approvers",
        "two-approvers tool=*",
    ] {
        let fields = [
            ("name", "x"),
            ("default_duration", "10m"),
            ("max_duration", "1h"),
            ("max_depth", "2"),
            ("tools", ""),
            ("rules", bad),
            ("redirect_uris", ""),
        ];
        let reply = ada.send("/applications/default", &fields).await;
        assert_eq!(reply.verdict(), (422, "invalid_rule"), "{bad}");
        let body = json!({"rules": [bad]}).to_string();
        let reply = world.operate("/v1/applications/default", &body).await;
        assert_eq!(reply.verdict(), (400, "malformed_json"), "{bad}");
    }
    let many = |count: usize| json!({"rules": vec![RULE; count]}).to_string();
    let set = world.operate("/v1/applications/default", &many(64)).await;
    assert_eq!(set.status, 200);
    let over = world.operate("/v1/applications/default", &many(65)).await;
    assert_eq!(over.verdict(), (422, "invalid_application"));
}

#[tokio::test]
async fn first_approval_that_counts_no_more_opens_the_request_to_no_other_browser() {
    let (world, mut ada, mut bob) = two().await;
    world.person("olga", &["admin"]).await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut ada, Some("tool:files.write_file")).await;
    let form = form.with("decision", "approve");
    assert_eq!(ada.submit(&form).await.status, 303);
    assert_eq!(bob.get(&form.path).await.status, 200);
    take_away(&world, "the ceiling").await;
    assert_eq!(bob.get(&form.path).await.verdict(), (403, "other_browser"));
    let second = form.clone().set("csrf", &bob.csrf().await);
    assert_eq!(bob.submit(&second).await.verdict(), (403, "other_browser"));
    take_away(&world, "nothing").await;
    assert_eq!(bob.submit(&second).await.status, 303);
}
