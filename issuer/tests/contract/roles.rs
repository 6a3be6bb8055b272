//! Who may do what: every page and every form against every role.

use std::collections::BTreeSet;

use crate::harness::{Browser, PASSWORD, World};

/// The roles an account may have alone.
const ROLES: [&str; 3] = ["admin", "approver", "auditor"];

/// Every page behind a sign-in, and the roles that may see it.
const PAGES: [(&str, &[&str]); 11] = [
    ("/approvals", &["approver", "auditor"]),
    ("/approvals/{approval}", &["approver", "auditor"]),
    ("/approve", &["approver"]),
    ("/sessions", &["approver", "auditor"]),
    ("/sessions/ses_0", &["approver", "auditor"]),
    ("/accounts", &["admin", "auditor"]),
    ("/accounts/ada", &["admin", "auditor"]),
    ("/applications", &["admin", "auditor"]),
    ("/applications/default", &["admin", "auditor"]),
    ("/applications/default/clients", &["admin", "auditor"]),
    ("/me", &["admin", "approver", "auditor"]),
];

/// Every form behind a sign-in, by its route, and the roles that may send it.
const FORMS: [(&str, &[&str]); 27] = [
    ("/approvals/{id}", &["approver"]),
    ("/approvals/{id}/passkey", &["approver"]),
    ("/sessions/{id}/revoke", &["approver"]),
    ("/sessions/revoke", &["approver"]),
    ("/accounts", &["admin"]),
    ("/accounts/{user_name}/roles", &["admin"]),
    ("/accounts/{user_name}/ceiling", &["admin"]),
    ("/accounts/{user_name}/link", &["admin"]),
    ("/accounts/{user_name}/disable", &["admin"]),
    ("/accounts/{user_name}/enable", &["admin"]),
    ("/accounts/{user_name}/sign-out", &["admin"]),
    ("/accounts/{user_name}/passkeys/allow", &["admin"]),
    ("/accounts/{user_name}/passkeys/{id}/remove", &["admin"]),
    ("/applications", &["admin"]),
    ("/applications/{id}", &["admin"]),
    ("/applications/{id}/remove", &["admin"]),
    ("/applications/{id}/clients", &["admin"]),
    ("/applications/{id}/clients/{client}/remove", &["admin"]),
    ("/me/delegates", &["approver"]),
    ("/me/delegates/{id}/end", &["approver"]),
    ("/me/delegates/{id}/accept", &["approver"]),
    ("/me/delegates/{id}/decline", &ROLES),
    ("/me/passkeys", &ROLES),
    ("/me/passkeys/begin", &ROLES),
    ("/me/passkeys/{id}/remove", &ROLES),
    ("/me/sign-out-everywhere", &ROLES),
    ("/sign-out", &ROLES),
];

/// Every form of a browser in which nobody is signed in, by its route.
const VISITORS: [&str; 5] = [
    "/setup/{link}",
    "/invitations/{link}",
    "/sign-in",
    "/sign-in/passkey",
    "/sign-in/passkey/begin",
];

/// What takes forms of programs, which prove themselves in each and send no cookie.
const PROGRAMS: [&str; 5] = [
    "/oauth/device_authorization",
    "/oauth/introspect",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/register",
];

/// The path of a form: of the request that waits, or of what nobody has.
fn path_of(route: &str, approval: &str) -> String {
    let path = match route.strip_prefix("/approvals/{id}") {
        Some(rest) => format!("{approval}{rest}"),
        None => route.to_owned(),
    };
    ["{id}", "{user_name}", "{client}", "{link}"]
        .iter()
        .fold(path, |path, place| path.replace(place, "none"))
}

/// The routes of a table that are posted to.
fn posted_to(table: &str) -> BTreeSet<&str> {
    let routes = table.split(".route(").skip(1);
    let posts = routes.filter(|route| route.contains("post("));
    posts
        .map(|route| route.split('"').nth(1).unwrap())
        .collect()
}

#[test]
fn every_form_that_the_issuer_takes_is_among_these() {
    let table = include_str!("../../src/web/mod.rs");
    let found = posted_to(table);
    let behind = FORMS.iter().map(|(route, _)| *route);
    let listed: BTreeSet<&str> = behind.chain(VISITORS).chain(PROGRAMS).collect();
    assert_eq!(found, listed);
    assert_eq!(listed.len(), FORMS.len() + VISITORS.len() + PROGRAMS.len());
    assert_eq!(
        table.matches("post(").count(),
        found.len(),
        "each was found"
    );
    for other in [
        "put(",
        "delete(",
        "patch(",
        "any(",
        "on(",
        "nest",
        "_service(",
    ] {
        let used = table.match_indices(other);
        let whole = used.filter(|(at, _)| !table[..*at].ends_with(char::is_alphanumeric));
        assert_eq!(whole.count(), 0, "{other}");
    }
    let one_more = format!("{table}.route(\"/new\", get(a).post(b))");
    assert!(posted_to(&one_more).contains("/new"), "it looks");
}

/// A world with one request that waits, its path, and one browser for each role.
async fn everybody() -> (World, String, Vec<(&'static str, Browser)>) {
    let (world, mut ada) = World::with_approver().await;
    let asked = world.asked().await;
    let approval = ada.open(&asked).await.path;
    let mut browsers = Vec::new();
    for role in ROLES {
        browsers.push((role, world.person(&format!("only-{role}"), &[role]).await));
    }
    (world, approval, browsers)
}

#[tokio::test]
async fn page_opens_for_its_roles_and_for_no_other() {
    let (_world, approval, browsers) = everybody().await;
    for (role, mut browser) in browsers {
        for (page, roles) in PAGES {
            let path = page.replace("/approvals/{approval}", &approval);
            let reply = browser.get(&path).await;
            if roles.contains(&role) {
                assert_ne!(reply.code(), "role_needed", "{role} {path}");
                assert_ne!(reply.status, 303, "{role} {path}");
            } else {
                assert_eq!(reply.verdict(), (403, "role_needed"), "{role} {path}");
            }
        }
    }
}

#[tokio::test]
async fn form_is_taken_from_its_roles_and_from_no_other() {
    let (_world, approval, browsers) = everybody().await;
    for (role, mut browser) in browsers {
        for (form, roles) in FORMS {
            let path = path_of(form, &approval);
            let reply = browser.send(&path, &[]).await;
            if roles.contains(&role) {
                assert_ne!(reply.code(), "role_needed", "{role} {path}");
            } else {
                assert_eq!(reply.verdict(), (403, "role_needed"), "{role} {path}");
            }
            if path == "/me/sign-out-everywhere" {
                let again = browser.sign_in(&format!("only-{role}"), PASSWORD).await;
                assert_eq!(again.status, 303);
            }
        }
    }
}

#[tokio::test]
async fn every_form_needs_its_token_and_this_very_origin() {
    let (world, mut ada) = World::with_approver().await;
    let asked = world.asked().await;
    let approval = ada.open(&asked).await.path;
    let csrf = ada.csrf().await;
    for (form, _) in FORMS {
        let path = path_of(form, &approval);
        assert_eq!(
            ada.post(&path, &[]).await.verdict(),
            (403, "form_expired"),
            "{path}"
        );
        let wrong = ada.post(&path, &[("csrf", "x")]).await;
        assert_eq!(wrong.verdict(), (403, "form_expired"), "{path}");
        let mut elsewhere = ada.clone();
        elsewhere.origin = Some("http://evil.example".to_owned());
        let reply = elsewhere.post(&path, &[("csrf", &csrf)]).await;
        assert_eq!(reply.verdict(), (403, "wrong_origin"), "{path}");
    }
}

#[tokio::test]
async fn every_form_of_a_visitor_needs_its_token_and_this_very_origin() {
    let (world, _) = World::with_approver().await;
    for route in VISITORS {
        let path = path_of(route, "");
        let mut visitor = world.browser();
        let csrf = visitor.get("/sign-in").await.hidden("csrf");
        for fields in [&[][..], &[("csrf", "x")]] {
            let reply = visitor.post(&path, fields).await;
            assert_eq!(reply.verdict(), (403, "form_expired"), "{path}");
        }
        let right = [("csrf", csrf.as_str())];
        let reply = visitor.post(&path, &right).await;
        assert!(
            !["form_expired", "wrong_origin"].contains(&reply.code()),
            "{path}"
        );
        let mut elsewhere = visitor.clone();
        elsewhere.origin = Some("http://evil.example".to_owned());
        let reply = elsewhere.post(&path, &right).await;
        assert_eq!(reply.verdict(), (403, "wrong_origin"), "{path}");
        let mut stranger = world.browser();
        let reply = stranger.post(&path, &right).await;
        assert_eq!(reply.verdict(), (403, "form_expired"), "{path}: no cookie");
    }
}

#[tokio::test]
async fn auditor_sees_what_was_asked_and_finds_nothing_to_press() {
    let (_world, approval, mut browsers) = everybody().await;
    let (_, auditor) = &mut browsers[2];
    let page = auditor.get(&approval).await.body;
    assert!(page.contains("Summarise the Q3 report"), "{page}");
    assert!(page.contains("id=\"may-not-decide\""), "{page}");
    assert!(
        !page.contains("id=\"approve\"") && !page.contains("id=\"deny\""),
        "{page}"
    );
    let accounts = auditor.get("/accounts").await.body;
    assert!(accounts.contains("only-admin") && !accounts.contains("id=\"add-account\""));
    let account = auditor.get("/accounts/ada").await.body;
    assert!(
        !account.contains("/disable") && !account.contains("/roles"),
        "{account}"
    );
}

#[tokio::test]
async fn auditor_sees_sessions_and_cannot_end_them() {
    let (world, mut ada) = World::with_approver().await;
    let asked = world.asked().await;
    let session = ada.approve(&asked).await;
    let mut auditor = world.person("olga", &["auditor"]).await;
    for path in ["/sessions".to_owned(), format!("/sessions/{session}")] {
        let page = auditor.get(&path).await.body;
        assert!(
            page.contains("report writer") && !page.contains("/revoke"),
            "{page}"
        );
    }
    let revoke = format!("/sessions/{session}/revoke");
    assert_eq!(
        auditor.send(&revoke, &[]).await.verdict(),
        (403, "role_needed")
    );
    assert_eq!(world.poll(&asked).await.status, 200, "the session goes on");
}

#[tokio::test]
async fn each_role_starts_where_its_work_is_and_sees_its_own_entries() {
    let (world, _) = World::with_approver().await;
    for (role, start, entries) in [
        (
            "admin",
            "/accounts",
            ["/accounts", "/applications"].as_slice(),
        ),
        ("approver", "/approvals", &["/approvals", "/sessions"]),
        (
            "auditor",
            "/approvals",
            &["/approvals", "/sessions", "/accounts", "/applications"],
        ),
    ] {
        let mut browser = world.person(role, &[role]).await;
        assert_eq!(browser.get("/").await.location(), start);
        let page = browser.get("/me").await.body;
        let (_, bar) = page.split_once("<nav").unwrap();
        let (bar, _) = bar.split_once("</nav>").unwrap();
        for entry in ["/approvals", "/sessions", "/accounts", "/applications"] {
            let shown = bar.contains(&format!("href=\"{entry}\""));
            assert_eq!(shown, entries.contains(&entry), "{role} {entry}");
        }
    }
}

#[tokio::test]
async fn role_that_is_taken_is_gone_at_once() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.person("bob", &["approver", "auditor"]).await;
    assert_eq!(bob.get("/approve").await.status, 200);
    let set = ada
        .send("/accounts/bob/roles", &[("role", "auditor")])
        .await;
    assert_eq!(
        (set.status.as_u16(), set.location()),
        (303, "/accounts/bob".to_owned())
    );
    assert_eq!(bob.get("/approve").await.verdict(), (403, "role_needed"));
    assert_eq!(
        bob.get("/approvals").await.status,
        200,
        "and the sign-in stays"
    );
}
