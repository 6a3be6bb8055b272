//! Decisions that take more than one approver's word, or somebody else's.

use serde_json::{Value, json};

use crate::{
    harness::{ApprovalForm, Browser, World, details},
    oauth_client::{Client, REDIRECT, parameter, register},
};

const RULE: &str = "two-approvers access=write";

/// The default application under a rule, decided by `ada` and `bob`.
async fn two() -> (World, Browser, Browser) {
    let (world, ada) = World::with_approver().await;
    let bob = world.approver("bob", &["default"]).await;
    rules(&world, &[RULE]).await;
    (world, ada, bob)
}

async fn rules(world: &World, rules: &[&str]) {
    let body = json!({"rules": rules}).to_string();
    let reply = world.operate("/v1/applications/default", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

async fn approval(browser: &mut Browser, asked: &Value) -> ApprovalForm {
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
    assert_eq!(client.redeem(&world, &code).await.status, 200);
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

const DAYS: [(&str, &str); 2] = [("from", "2026-01-31"), ("until", "2026-01-31")];

#[tokio::test]
async fn delegate_decides_on_behalf_of_the_one_who_is_away_and_no_longer_than_named() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver"]).await;
    let asked = world.asked().await;
    let link = asked["verification_uri_complete"].as_str().unwrap();
    let path = link.strip_prefix(crate::harness::ORIGIN).unwrap();
    assert_eq!(bob.get(path).await.status, 404);
    let mut fields = vec![("user_name", "bob")];
    fields.extend(DAYS);
    assert_eq!(ada.send("/me/delegates", &fields).await.location(), "/me");
    assert!(ada.get("/me").await.body.contains("bob decides for you"));
    assert!(bob.get("/me").await.body.contains("You decide for ada"));

    let form = approval(&mut bob, &asked).await;
    assert!(
        form.page.contains("You decide on behalf of ada"),
        "{}",
        form.page
    );
    assert_eq!(bob.submit(&form).await.status, 303);
    let decided = bob.get(&form.path).await.body;
    assert!(
        decided.contains("decided by bob on behalf of ada"),
        "{decided}"
    );
    let record = world.record();
    let (_, fields) = record
        .iter()
        .find(|(e, _)| e == "request_approved")
        .unwrap();
    assert_eq!(
        (&fields["by"], &fields["on_behalf_of"]),
        (&json!("bob"), &json!("ada"))
    );

    // The last day ends at midnight UTC; it is noon.
    world.advance(12 * 60 * 60 - 1);
    bob.sign_in("bob", crate::harness::PASSWORD).await;
    let last = world.asked().await;
    assert_eq!(bob.open(&last).await.path.len(), form.path.len());
    world.advance(1);
    assert!(!bob.get("/approvals").await.body.contains("report writer"));
}

#[tokio::test]
async fn delegate_gets_no_more_than_either_and_hands_nothing_on() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver"]).await;
    let mut carol = world.person("carol", &["approver"]).await;
    for (from, to) in [(&mut ada, "bob"), (&mut bob, "carol")] {
        let mut fields = vec![("user_name", to)];
        fields.extend(DAYS);
        assert_eq!(from.send("/me/delegates", &fields).await.status, 303);
    }
    let asked = world.asked().await;
    assert!(!carol.get("/approvals").await.body.contains("report writer"));
    for limited in ["ada", "bob"] {
        world.limit(limited, &json!({"access": ["read"]})).await;
        let form = bob.open(&asked).await;
        assert!(
            form.page.contains("data-barred=\"files.write_file\""),
            "{limited}"
        );
        let all = form
            .with("tool", "files.write_file")
            .with("decision", "approve");
        assert_eq!(
            bob.submit(&all).await.verdict(),
            (403, "beyond_ceiling"),
            "{limited}"
        );
        world.limit(limited, &json!({})).await;
    }
    let form = approval(&mut bob, &asked).await;
    world
        .operate("/v1/accounts/ada/roles", r#"{"roles":["admin"]}"#)
        .await;
    assert_eq!(
        bob.submit(&form).await.verdict(),
        (404, "request_not_found")
    );
}

#[tokio::test]
async fn delegate_of_the_first_approver_is_no_second_person() {
    let (world, mut ada, _) = two().await;
    let mut carol = world.person("carol", &["approver"]).await;
    let mut fields = vec![("user_name", "carol")];
    fields.extend(DAYS);
    ada.send("/me/delegates", &fields).await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    assert_eq!(ada.submit(&form).await.status, 303);
    let csrf = carol.csrf().await;
    let theirs = form.set("csrf", &csrf);
    assert_eq!(
        carol.submit(&theirs).await.verdict(),
        (409, "second_person_needed")
    );
}

#[tokio::test]
async fn delegation_ends_when_it_is_ended_and_is_refused_when_it_makes_no_sense() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver"]).await;
    world.person("olga", &["auditor"]).await;
    for (to, from, until, verdict) in [
        (
            "ada",
            "2026-01-31",
            "2026-02-01",
            (422, "invalid_delegation"),
        ),
        (
            "olga",
            "2026-01-31",
            "2026-02-01",
            (422, "invalid_delegation"),
        ),
        (
            "nobody",
            "2026-01-31",
            "2026-02-01",
            (404, "account_not_found"),
        ),
        (
            "bob",
            "2026-02-02",
            "2026-02-01",
            (422, "invalid_delegation"),
        ),
        (
            "bob",
            "2026-01-01",
            "2026-01-30",
            (422, "invalid_delegation"),
        ),
        (
            "bob",
            "2026-01-31",
            "2026-05-01",
            (422, "invalid_delegation"),
        ),
        ("bob", "tomorrow", "2026-02-01", (422, "invalid_delegation")),
    ] {
        let fields = [("user_name", to), ("from", from), ("until", until)];
        assert_eq!(
            ada.send("/me/delegates", &fields).await.verdict(),
            verdict,
            "{to} {until}"
        );
    }
    let mut fields = vec![("user_name", "bob")];
    fields.extend(DAYS);
    ada.send("/me/delegates", &fields).await;
    world.asked().await;
    assert!(bob.get("/approvals").await.body.contains("report writer"));
    let page = ada.get("/me").await.body;
    let (_, rest) = page.split_once("action=\"/me/delegates/").unwrap();
    let end = format!("/me/delegates/{}", rest.split_once('"').unwrap().0);
    assert_eq!(
        bob.send(&end, &[]).await.verdict(),
        (404, "delegation_not_found")
    );
    assert_eq!(ada.send(&end, &[]).await.status, 303);
    assert!(!bob.get("/approvals").await.body.contains("report writer"));
    assert_eq!(
        ada.send(&end, &[]).await.verdict(),
        (404, "delegation_not_found")
    );
    let body = json!({"to": "bob", "starts_at": "2026-01-31T12:00:00Z",
        "ends_at": "2026-01-31T13:00:00Z"});
    let named = world
        .operate("/v1/accounts/ada/delegate", &body.to_string())
        .await;
    assert_eq!(named.json()["from"], "ada");
    assert!(bob.get("/approvals").await.body.contains("report writer"));
}

#[tokio::test]
async fn workload_does_not_approve_what_it_asks_for_under_an_identity_it_proved() {
    let (world, _ada, mut bob) = two().await;
    rules(&world, &[]).await;
    let metadata = json!({"client_name": "Robot", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post"});
    let client = register(&world, &metadata).await.json();
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    let (id, secret, wish) = (
        text("client_id"),
        text("client_secret"),
        details().to_string(),
    );
    let fields = [
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
        ("authorization_details", wish.as_str()),
    ];
    let asked = world
        .post_form("/oauth/device_authorization", &fields)
        .await
        .json();
    let form = approval(&mut bob, &asked).await;
    let workload = |identity: &str| json!({"workload_identity": identity}).to_string();
    let set = world
        .operate("/v1/accounts/bob/workload", &workload(&id))
        .await;
    assert_eq!(set.json()["workload_identity"], json!(id));
    assert_eq!(bob.submit(&form).await.verdict(), (403, "self_approval"));
    let page = bob.get(&form.path).await.body;
    assert!(page.contains("You asked for this yourself") && !page.contains("id=\"approve\""));
    world
        .operate("/v1/accounts/bob/workload", &workload("another"))
        .await;
    assert_eq!(bob.submit(&form).await.status, 303);
    let empty = world
        .operate("/v1/accounts/bob/workload", &workload(""))
        .await;
    assert_eq!(empty.verdict(), (422, "account_refused"));
}

#[tokio::test]
async fn workload_approves_nothing_that_was_asked_for_without_a_proof() {
    let world = World::with_approver().await.0;
    let mut bob = world.approver("bob", &["default"]).await;
    let body = json!({"workload_identity": "spiffe://example.org/bob"}).to_string();
    let set = world.operate("/v1/accounts/bob/workload", &body).await;
    assert_eq!(set.status, 200, "{}", set.body);
    let asked = world.asked().await;
    let form = approval(&mut bob, &asked).await;
    assert_eq!(bob.submit(&form).await.verdict(), (403, "self_approval"));
    let body = json!({"workload_identity": null}).to_string();
    let set = world.operate("/v1/accounts/bob/workload", &body).await;
    assert_eq!(set.status, 200, "{}", set.body);
    let form = approval(&mut bob, &asked).await;
    assert_eq!(bob.submit(&form).await.status, 303);
}

#[tokio::test]
async fn denial_quiets_the_agent_for_a_minute_and_longer_each_time() {
    let (world, mut ada) = World::with_approver().await;
    for wait in [60_u64, 120, 240] {
        let asked = world.asked().await;
        let form = ada.open(&asked).await.with("decision", "deny");
        assert_eq!(ada.submit(&form).await.status, 303);
        let refused = world.ask(&details()).await;
        assert_eq!(refused.oauth(), (429, "temporarily_unavailable".to_owned()));
        assert_eq!(refused.header("retry-after"), wait.to_string());
        world.advance(wait - 1);
        assert_eq!(world.ask(&details()).await.header("retry-after"), "1");
        world.advance(1);
    }
    assert_eq!(world.ask(&details()).await.status, 200);
}

#[tokio::test]
async fn denial_in_a_browser_silences_the_program_for_nobody() {
    let (world, mut ada) = World::with_approver().await;
    let client = Client::register(&world).await;
    let scope = Some("tool:files.read_file");
    for _ in 0..2 {
        let form = client.asks(&mut ada, scope).await;
        let answer = client
            .decided(&mut ada, &form.with("decision", "deny"))
            .await;
        assert_eq!(
            parameter(&answer, "error").as_deref(),
            Some("access_denied")
        );
    }
}

#[tokio::test]
async fn denial_quiets_that_agent_alone() {
    let (world, mut ada) = World::with_approver().await;
    world.application("other", &json!({})).await;
    let asked = world.asked().await;
    let form = ada.open(&asked).await.with("decision", "deny");
    ada.submit(&form).await;
    assert_eq!(world.ask(&details()).await.status, 429);
    assert_eq!(world.ask_as("other", &details()).await.status, 200);
    let another = [
        ("client_id", "bailiwick-cli"),
        ("agent_name", "another"),
        ("authorization_details", &details().to_string()),
    ];
    let reply = world
        .post_form("/oauth/device_authorization", &another)
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn agent_that_asks_more_than_ten_times_an_hour_is_one_line_of_the_list() {
    let (world, mut ada) = World::with_approver().await;
    for _ in 0..10 {
        world.asked().await;
    }
    let list = ada.get("/approvals").await.body;
    assert_eq!(list.matches("aria-label=\"Review the request").count(), 10);
    assert!(!list.contains("id=\"folded\""), "{list}");
    let last = world.asked().await;
    let list = ada.get("/approvals").await.body;
    assert_eq!(
        list.matches("aria-label=\"Review the request").count(),
        0,
        "{list}"
    );
    assert!(
        list.contains("11 times in the last hour; 11 of its requests wait"),
        "{list}"
    );
    let (_, rest) = list.split_once("href=\"/approvals?agent=").unwrap();
    let path = format!("/approvals?agent={}", rest.split_once('"').unwrap().0);
    let page = ada.get(&path).await.body;
    assert_eq!(page.matches("aria-label=\"Review the request").count(), 11);
    ada.approve(&last).await;
    for bad in ["x", "00", ""] {
        let reply = ada.get(&format!("/approvals?agent={bad}")).await;
        assert_eq!(reply.verdict(), (400, "malformed_address"), "{bad}");
    }
}
