//! Managing accounts: invitations, disabling, and what is never left without an owner.

use serde_json::json;

use crate::harness::{Browser, ORIGIN, PASSWORD, World};

const ANOTHER: &str = "battery horse correct";
/// Three days.
const LIFETIME: u64 = 3 * 24 * 60 * 60;

/// The one-time link on a page that shows it.
fn link_on(page: &str) -> String {
    let (_, rest) = page.split_once(&format!("id=\"link\">{ORIGIN}")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

#[tokio::test]
async fn links_and_roles_take_a_fresh_sign_in() {
    let (world, mut ada) = World::with_approver().await;
    world.person("bob", &["approver"]).await;
    let give = async |ada: &mut Browser, name: &str| {
        let added = [("user_name", name), ("role", "approver")];
        let roles = [("role", "approver"), ("role", "auditor")];
        let answers = [
            ada.send("/accounts", &added).await,
            ada.send("/accounts/bob/roles", &roles).await,
            ada.send("/accounts/bob/link", &[]).await,
        ];
        answers.map(|answer| (answer.status.as_u16(), answer.code().to_owned()))
    };
    world.advance(599);
    let given = give(&mut ada, "carol").await;
    assert_eq!(given.map(|(status, _)| status), [200, 303, 200]);
    world.advance(1);
    let refused = (403, "fresh_sign_in_needed".to_owned());
    let given = give(&mut ada, "dave").await;
    assert!(given.iter().all(|answer| *answer == refused), "{given:?}");
    assert!(!ada.get("/accounts").await.body.contains("dave"));
}

#[tokio::test]
async fn admin_adds_an_account_whose_owner_chooses_the_password() {
    let (world, mut ada) = World::with_approver().await;
    let fields = [("user_name", "Bob@example.com"), ("role", "approver")];
    let added = ada.send("/accounts", &fields).await;
    assert_eq!(added.status, 200, "{}", added.body);
    let link = link_on(&added.body);

    let listed = ada.get("/accounts").await.body;
    assert!(
        listed.contains("bob@example.com") && listed.contains(">invited<"),
        "{listed}"
    );
    let mut bob = world.browser();
    assert_eq!(bob.sign_in("bob@example.com", PASSWORD).await.status, 403);
    assert_eq!(bob.accept(&link, ANOTHER).await.location(), "/approvals");
    assert_eq!(bob.get("/approvals").await.status, 200);
    assert_eq!(
        world
            .browser()
            .sign_in("bob@example.com", ANOTHER)
            .await
            .status,
        303
    );
    let page = ada.get("/accounts/bob%40example.com").await.body;
    assert!(
        page.contains(">active<") && page.contains("2 signed in"),
        "{page}"
    );
}

#[tokio::test]
async fn invitation_works_once() {
    let (world, _) = World::with_approver().await;
    let link = world.invited("bob", &["approver"]).await;
    let mut early = world.browser();
    let csrf = early.get(&link).await.hidden("csrf");
    assert_eq!(world.browser().accept(&link, PASSWORD).await.status, 303);
    let fields = [
        ("csrf", csrf.as_str()),
        ("password", ANOTHER),
        ("password_again", ANOTHER),
    ];
    assert_eq!(
        early.post(&link, &fields).await.verdict(),
        (410, "invitation_used")
    );
    assert_eq!(early.get(&link).await.verdict(), (410, "invitation_used"));
    assert_eq!(world.browser().sign_in("bob", ANOTHER).await.status, 403);
}

#[tokio::test]
async fn invitation_is_accepted_only_on_its_own_page() {
    let (world, _) = World::with_approver().await;
    let link = world.invited("bob", &["approver"]).await;
    let mut bob = world.browser();
    let csrf = bob.get(&link).await.hidden("csrf");
    let fields = |csrf| {
        [
            ("csrf", csrf),
            ("password", PASSWORD),
            ("password_again", PASSWORD),
        ]
    };
    let mut elsewhere = bob.clone();
    elsewhere.origin = Some("http://evil.example".to_owned());
    let reply = elsewhere.post(&link, &fields(&csrf)).await;
    assert_eq!(reply.verdict(), (403, "wrong_origin"));
    for mut other in [bob.clone(), world.browser()] {
        let reply = other.post(&link, &fields("x")).await;
        assert_eq!(reply.verdict(), (403, "form_expired"));
    }
    assert_eq!(bob.post(&link, &fields(&csrf)).await.status, 303);
}

#[tokio::test]
async fn cookie_planted_before_an_invitation_is_accepted_is_good_for_nothing_after() {
    let (world, mut ada) = World::with_approver().await;
    let link = world.invited("bob", &["approver"]).await;
    let mut bob = world.browser();
    bob.cookies = ada.cookies.clone();
    assert_eq!(bob.accept(&link, PASSWORD).await.status, 303);
    assert_ne!(
        bob.cookie("bailiwick_session"),
        ada.cookie("bailiwick_session")
    );
    assert_eq!(
        ada.get("/approvals").await.status,
        303,
        "the planted session has ended"
    );
    assert!(bob.get("/me").await.body.contains("bob"));
}

#[tokio::test]
async fn invitation_works_for_three_days_and_not_a_second_longer() {
    let (world, _) = World::with_approver().await;
    let link = world.invited("bob", &["approver"]).await;
    world.advance(LIFETIME - 1);
    assert_eq!(world.get(&link).await.status, 200);
    world.advance(1);
    assert_eq!(world.get(&link).await.verdict(), (410, "invitation_used"));
}

#[tokio::test]
async fn new_link_replaces_the_old_one_and_ends_what_the_lost_password_opened() {
    let (world, mut ada) = World::with_approver().await;
    let mut thief = world.person("bob", &["approver"]).await;
    let first = link_on(&ada.send("/accounts/bob/link", &[]).await.body);
    let second = link_on(&ada.send("/accounts/bob/link", &[]).await.body);
    assert_eq!(world.get(&first).await.verdict(), (410, "invitation_used"));
    assert_eq!(
        thief.get("/approvals").await.status,
        200,
        "until the link is used"
    );
    assert_eq!(world.browser().accept(&second, ANOTHER).await.status, 303);
    assert_eq!(thief.get("/approvals").await.status, 303);
    assert_eq!(world.browser().sign_in("bob", PASSWORD).await.status, 403);
    assert_eq!(world.browser().sign_in("bob", ANOTHER).await.status, 303);
}

#[tokio::test]
async fn password_that_cannot_be_used_leaves_the_invitation_working() {
    let (world, _) = World::with_approver().await;
    let link = world.invited("bob", &["approver"]).await;
    let mut bob = world.browser();
    let short = bob.accept(&link, "elevenchars").await;
    assert_eq!(short.status, 422);
    assert!(short.body.contains("account_refused"), "{}", short.body);
    assert_eq!(bob.accept(&link, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn disabled_account_is_signed_out_and_stays_out_until_it_is_enabled() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver"]).await;
    assert_eq!(
        ada.send("/accounts/bob/disable", &[]).await.location(),
        "/accounts/bob"
    );
    assert_eq!(bob.get("/approvals").await.status, 303);
    let refused = bob.sign_in("bob", PASSWORD).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("The user name or the password is wrong.")
    );
    assert!(ada.get("/accounts/bob").await.body.contains(">disabled<"));
    let link = ada.send("/accounts/bob/link", &[]).await;
    assert_eq!(link.verdict(), (409, "account_disabled"));
    assert_eq!(ada.send("/accounts/bob/enable", &[]).await.status, 303);
    assert_eq!(
        bob.get("/approvals").await.status,
        303,
        "the old sign-in is gone"
    );
    assert_eq!(bob.sign_in("bob", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn invitation_of_a_disabled_account_is_void_even_once_it_is_enabled() {
    let (world, mut ada) = World::with_approver().await;
    let link = world.invited("bob", &["approver"]).await;
    ada.send("/accounts/bob/disable", &[]).await;
    assert_eq!(world.get(&link).await.verdict(), (410, "invitation_used"));
    ada.send("/accounts/bob/enable", &[]).await;
    assert_eq!(world.get(&link).await.verdict(), (410, "invitation_used"));
}

#[tokio::test]
async fn last_admin_stays_and_the_last_but_one_may_go() {
    let (world, mut ada) = World::with_approver().await;
    world.person("disabled", &["admin"]).await;
    ada.send("/accounts/disabled/disable", &[]).await;
    for (path, fields) in [
        ("/accounts/ada/disable", [].as_slice()),
        ("/accounts/ada/roles", &[("role", "approver")]),
    ] {
        let reply = ada.send(path, fields).await;
        assert_eq!(reply.verdict(), (409, "last_admin"), "{path}");
    }
    let mut eve = world.person("eve", &["admin"]).await;
    assert_eq!(
        ada.send("/accounts/ada/roles", &[("role", "approver")])
            .await
            .status,
        303
    );
    assert_eq!(
        eve.send("/accounts/eve/disable", &[]).await.verdict(),
        (409, "last_admin")
    );
}

#[tokio::test]
async fn account_that_cannot_be_added_is_refused_with_its_reason() {
    let (world, mut ada) = World::with_approver().await;
    for (fields, verdict) in [
        (
            [("user_name", "ada"), ("role", "auditor")],
            (409, "account_exists"),
        ),
        (
            [("user_name", "ADA"), ("role", "auditor")],
            (409, "account_exists"),
        ),
        (
            [("user_name", "operator"), ("role", "auditor")],
            (422, "account_refused"),
        ),
        (
            [("user_name", "a b"), ("role", "auditor")],
            (422, "account_refused"),
        ),
        (
            [("user_name", "bob"), ("role", "root")],
            (422, "invalid_role"),
        ),
        (
            [("user_name", "bob"), ("colour", "red")],
            (422, "invalid_role"),
        ),
    ] {
        let reply = ada.send("/accounts", &fields).await;
        let expected = if fields[1].0 == "colour" {
            (400, "malformed_form")
        } else {
            verdict
        };
        assert_eq!(reply.verdict(), expected, "{fields:?}");
    }
    let none = ada.send("/accounts", &[("user_name", "bob")]).await;
    assert_eq!(none.verdict(), (422, "invalid_role"));
    assert_eq!(
        ada.get("/accounts/bob").await.verdict(),
        (404, "account_not_found")
    );
    drop(world);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_browser_of_that_account_alone() {
    let (world, mut ada) = World::with_approver().await;
    let mut other = world.browser();
    other.sign_in("ada", PASSWORD).await;
    let mut bob = world.person("bob", &["approver"]).await;
    let reply = other.send("/me/sign-out-everywhere", &[]).await;
    assert_eq!(reply.location(), "/sign-in");
    assert_eq!(other.cookie("bailiwick_session"), None);
    assert_eq!(ada.get("/approvals").await.status, 303);
    assert_eq!(bob.get("/approvals").await.status, 200);

    ada.sign_in("ada", PASSWORD).await;
    assert_eq!(ada.send("/accounts/bob/sign-out", &[]).await.status, 303);
    assert_eq!(bob.get("/approvals").await.status, 303);
    assert_eq!(ada.get("/approvals").await.status, 200);
}

#[tokio::test]
async fn operator_manages_accounts_without_a_browser() {
    let (world, mut ada) = World::with_approver().await;
    let added = json!({"user_name": "bob", "roles": ["approver", "auditor"]}).to_string();
    let added = world.operate("/v1/accounts", &added).await.json();
    assert_eq!(added["roles"], json!(["approver", "auditor"]));
    assert_eq!(added["state"], "invited");
    assert_eq!(added["link_expires_at"], "2026-02-03T12:00:00Z");
    let link = added["set_up_link"]
        .as_str()
        .unwrap()
        .strip_prefix(ORIGIN)
        .unwrap();
    let mut bob = world.browser();
    assert_eq!(bob.accept(link, PASSWORD).await.status, 303);

    let operator = world.bearer("operator.token");
    let listed = world.get_as("/v1/accounts", &operator).await.json();
    let names: Vec<_> = listed["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["user_name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ada", "bob"]);
    let roles = json!({"roles": ["auditor"]}).to_string();
    let set = world.operate("/v1/accounts/bob/roles", &roles).await.json();
    assert_eq!(set["roles"], json!(["auditor"]));
    let out = world.operate("/v1/accounts/bob/sign-out", "").await.json();
    assert_eq!(out, json!({"user_name": "bob", "browsers": 1}));
    let off = world.operate("/v1/accounts/bob/disable", "").await.json();
    assert_eq!(off["state"], "disabled");
    let on = world.operate("/v1/accounts/bob/enable", "").await.json();
    assert_eq!(on["state"], "active");
    let relinked = world.operate("/v1/accounts/bob/link", "").await.json();
    assert!(
        relinked["set_up_link"]
            .as_str()
            .unwrap()
            .starts_with(ORIGIN)
    );
    let shown = world.get_as("/v1/accounts/bob", &operator).await.json();
    assert_eq!(shown["roles"], json!(["auditor"]));
    assert!(ada.get("/accounts/bob").await.body.contains("auditor"));
}

#[tokio::test]
async fn operators_programs_are_refused_with_the_same_codes() {
    let (world, _) = World::with_approver().await;
    for (path, body, verdict) in [
        (
            "/v1/accounts",
            r#"{"user_name":"ada","roles":["admin"]}"#,
            (409, "account_exists"),
        ),
        (
            "/v1/accounts",
            r#"{"user_name":"bob","roles":[]}"#,
            (422, "invalid_role"),
        ),
        (
            "/v1/accounts",
            r#"{"user_name":"bob","roles":["x"]}"#,
            (422, "invalid_role"),
        ),
        (
            "/v1/accounts",
            r#"{"user_name":"bob"}"#,
            (400, "malformed_json"),
        ),
        (
            "/v1/accounts",
            r#"{"user_name":"bob","roles":["admin"],"x":1}"#,
            (400, "malformed_json"),
        ),
        (
            "/v1/accounts/bob/roles",
            r#"{"roles":["admin"]}"#,
            (404, "account_not_found"),
        ),
        ("/v1/accounts/ada/disable", "", (409, "last_admin")),
        ("/v1/accounts/%20/disable", "", (404, "account_not_found")),
    ] {
        assert_eq!(
            world.operate(path, body).await.verdict(),
            verdict,
            "{path} {body}"
        );
    }
    let gateway = world.bearer("gateway.token");
    for path in ["/v1/accounts", "/v1/accounts/ada"] {
        assert_eq!(
            world.get(path).await.verdict(),
            (401, "missing_credentials"),
            "{path}"
        );
        let reply = world.get_as(path, &gateway).await;
        assert_eq!(reply.verdict(), (401, "bad_credentials"), "{path}");
    }
    for path in [
        "",
        "/ada/roles",
        "/ada/link",
        "/ada/disable",
        "/ada/enable",
        "/ada/sign-out",
    ] {
        let reply = world
            .post_json(&format!("/v1/accounts{path}"), &gateway, "{}")
            .await;
        assert_eq!(reply.verdict(), (401, "bad_credentials"), "{path}");
    }
}

#[tokio::test]
async fn every_change_of_an_account_is_recorded_with_who_made_it() {
    let (world, mut ada) = World::with_approver().await;
    world.person("bob", &["approver"]).await;
    ada.send("/accounts/bob/roles", &[("role", "auditor")])
        .await;
    ada.send("/accounts/bob/link", &[]).await;
    ada.send("/accounts/bob/sign-out", &[]).await;
    ada.send("/accounts/bob/disable", &[]).await;
    ada.send("/accounts/bob/enable", &[]).await;
    let record = world.record();
    let about_bob: Vec<(&str, &str)> = record
        .iter()
        .filter(|(_, fields)| fields["user_name"] == "bob")
        .map(|(event, fields)| (event.as_str(), fields["by"].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(
        about_bob,
        [
            ("account_added", "operator"),
            ("invitation_accepted", "-"),
            ("account_roles_set", "ada"),
            ("account_invited", "ada"),
            ("signed_out_everywhere", "ada"),
            ("account_disabled", "ada"),
            ("account_enabled", "ada"),
        ]
    );
    assert!(
        !record
            .iter()
            .any(|(_, fields)| fields.to_string().contains(PASSWORD))
    );
}
