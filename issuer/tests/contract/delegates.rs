//! Deciding for an approver who is away.

use serde_json::json;

use crate::{
    deciding::{approval, two},
    harness::{Browser, World},
};

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
    assert!(ada.get("/me").await.body.contains("bob is asked to decide"));
    assert_eq!(bob.get(path).await.status, 404, "nobody has accepted");
    accept(&mut bob).await;
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
    stands_in(&mut ada, &mut bob, "bob").await;
    stands_in(&mut bob, &mut carol, "carol").await;
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
    stands_in(&mut ada, &mut carol, "carol").await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    assert_eq!(ada.submit(&form).await.status, 303);
    let csrf = carol.csrf().await;
    let theirs = form.set("csrf", &csrf).set("on_behalf_of", "ada");
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
    stands_in(&mut ada, &mut bob, "bob").await;
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
    accept(&mut bob).await;
    assert!(bob.get("/approvals").await.body.contains("report writer"));
}

/// The path of a form on a person's own page.
async fn action(browser: &mut Browser, what: &str) -> Option<String> {
    let page = browser.get("/me").await.body;
    let actions = page.split("action=\"").skip(1);
    let mut actions = actions.filter_map(|rest| rest.split_once('"'));
    let found = actions.find(|(path, _)| path.ends_with(what));
    found.map(|(path, _)| path.to_owned())
}

async fn accept(browser: &mut Browser) {
    let path = action(browser, "/accept").await.unwrap();
    assert_eq!(browser.send(&path, &[]).await.status, 303);
}

/// One asks, the other accepts.
async fn stands_in(from: &mut Browser, to: &mut Browser, name: &str) {
    let mut fields = vec![("user_name", name)];
    fields.extend(DAYS);
    assert_eq!(from.send("/me/delegates", &fields).await.status, 303);
    accept(to).await;
}

#[tokio::test]
async fn delegate_who_does_not_accept_decides_nothing_and_may_stop_at_any_time() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver"]).await;
    let asked = world.asked().await;
    let mut fields = vec![("user_name", "bob")];
    fields.extend(DAYS);
    ada.send("/me/delegates", &fields).await;
    let accept_path = action(&mut bob, "/accept").await.unwrap();
    assert_eq!(
        ada.send(&accept_path, &[]).await.verdict(),
        (404, "delegation_not_found"),
        "not the giver's to accept"
    );
    assert!(!bob.get("/approvals").await.body.contains("report writer"));
    assert_eq!(bob.send(&accept_path, &[]).await.status, 303);
    assert_eq!(
        bob.send(&accept_path, &[]).await.verdict(),
        (404, "delegation_not_found"),
        "answered before"
    );
    let form = approval(&mut bob, &asked).await;
    let stop = action(&mut bob, "/decline").await.unwrap();
    assert_eq!(bob.send(&stop, &[]).await.status, 303);
    assert_eq!(
        bob.submit(&form).await.verdict(),
        (404, "request_not_found")
    );
    let record = world.record();
    for event in ["delegation_accepted", "delegation_declined"] {
        let (_, fields) = record.iter().find(|(e, _)| e == event).unwrap();
        assert_eq!(
            (&fields["to"], &fields["by"]),
            (&json!("bob"), &json!("bob"))
        );
    }
}

#[tokio::test]
async fn four_delegates_may_be_named_and_eight_approvers_stood_in_for() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver"]).await;
    let mut fields = vec![("user_name", "bob")];
    fields.extend(DAYS);
    for _ in 0..4 {
        assert_eq!(ada.send("/me/delegates", &fields).await.status, 303);
    }
    let fifth = ada.send("/me/delegates", &fields).await;
    assert_eq!(fifth.verdict(), (422, "invalid_delegation"));
    let end = action(&mut ada, "/end").await.unwrap();
    assert_eq!(ada.send(&end, &[]).await.status, 303);
    assert_eq!(ada.send("/me/delegates", &fields).await.status, 303);

    let mut eve = world.person("eve", &["approver"]).await;
    for _ in 0..4 {
        accept(&mut bob).await;
        assert_eq!(eve.send("/me/delegates", &fields).await.status, 303);
    }
    for _ in 0..4 {
        accept(&mut bob).await;
    }
    let mut fred = world.person("fred", &["approver"]).await;
    assert_eq!(fred.send("/me/delegates", &fields).await.status, 303);
    let ninth = action(&mut bob, "/accept").await.unwrap();
    assert_eq!(
        bob.send(&ninth, &[]).await.verdict(),
        (422, "invalid_delegation")
    );
}

#[tokio::test]
async fn delegate_of_several_decides_for_the_one_who_may_grant_it_or_for_whom_they_say() {
    let (world, mut ada) = World::with_approver().await;
    // `ada` comes first by name and may only read; `zed` may grant everything.
    world.limit("ada", &json!({"access": ["read"]})).await;
    let mut zed = world.approver("zed", &["default"]).await;
    let mut bob = world.person("bob", &["approver"]).await;
    stands_in(&mut ada, &mut bob, "bob").await;
    stands_in(&mut zed, &mut bob, "bob").await;
    let asked = world.asked().await;
    let form = approval(&mut bob, &asked).await;
    assert!(form.page.contains("on behalf of zed, who"), "{}", form.page);
    let other = format!("{}?on_behalf_of=ada", form.path);
    assert!(form.page.contains(&other), "{}", form.page);
    let page = bob.get(&other).await.body;
    assert!(page.contains("on behalf of ada, who") && page.contains("data-barred"));
    let as_ada = form.clone().set("on_behalf_of", "ada");
    assert_eq!(
        bob.submit(&as_ada).await.verdict(),
        (403, "beyond_ceiling"),
        "whom they say counts"
    );
    let as_stranger = form.clone().set("on_behalf_of", "bob");
    assert_eq!(
        bob.submit(&as_stranger).await.verdict(),
        (403, "not_your_application")
    );
    let unsaid = form.clone().without("on_behalf_of", "zed");
    assert_eq!(bob.submit(&unsaid).await.verdict(), (400, "malformed_form"));
    assert_eq!(bob.submit(&form).await.status, 303);
    let (_, fields) = world
        .record()
        .into_iter()
        .find(|(e, _)| e == "request_approved")
        .unwrap();
    assert_eq!(fields["on_behalf_of"], "zed");
}

/// Takes the default application from `bob`.
async fn unassign(world: &World) {
    let body = json!({"remove_approvers": ["bob"]}).to_string();
    let reply = world.operate("/v1/applications/default", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn decision_counts_for_whom_the_page_said_and_for_nobody_else_by_the_time_it_is_sent() {
    for decision in ["approve", "deny", "check"] {
        let (world, mut ada) = World::with_approver().await;
        let mut bob = world.approver("bob", &["default"]).await;
        let asked = world.asked().await;
        let page = bob.open(&asked).await;
        let own = page.with("decision", decision);
        assert!(own.page.contains("name=\"on_behalf_of\" value=\"\""));
        // Meanwhile it is not theirs any more, and they stand in for somebody whose it is.
        stands_in(&mut ada, &mut bob, "bob").await;
        unassign(&world).await;
        let refused = bob.submit(&own).await;
        assert_eq!(
            refused.verdict(),
            (403, "not_your_application"),
            "{decision}"
        );
        assert!(refused.body.contains("for whom the page said"));

        // The page that says so is one that counts, until that is over in turn.
        let page = bob.open(&asked).await;
        let for_ada = page.with("decision", decision);
        assert!(for_ada.page.contains("name=\"on_behalf_of\" value=\"ada\""));
        world.assign("default", "bob").await;
        let refused = bob.submit(&for_ada).await;
        assert_eq!(
            refused.verdict(),
            (403, "not_your_application"),
            "{decision}"
        );
        unassign(&world).await;
        assert!(
            bob.submit(&for_ada).await.status.as_u16() < 400,
            "{decision}"
        );
    }
}
