//! The first approver, signing in, and what protects a browser.

use std::os::unix::fs::PermissionsExt as _;

use axum::{
    body::Body,
    http::{Request, header},
};

use crate::harness::{Browser, PASSWORD, Reply, World};

async fn sign_in(browser: &mut Browser, user_name: &str, password: &str) -> Reply {
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("user_name", user_name),
        ("password", password),
    ];
    browser.post("/sign-in", &fields).await
}

async fn set_up(browser: &mut Browser, link: &str, user_name: &str, passwords: [&str; 2]) -> Reply {
    let csrf = browser.get(link).await.hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("user_name", user_name),
        ("password", passwords[0]),
        ("password_again", passwords[1]),
    ];
    browser.post(link, &fields).await
}

#[tokio::test]
async fn first_start_gives_a_link_and_private_files() {
    let world = World::new().await;
    assert!(
        world
            .link()
            .unwrap()
            .starts_with("http://127.0.0.1:8400/setup/")
    );
    for name in [
        "issuer/issuer.sqlite",
        "issuer/keys/anchor.key",
        "issuer/keys/mint-1.key",
        "issuer/keys/revocation.key",
        "operator.token",
        "gateway.token",
        "audit/issuer.jsonl",
    ] {
        let mode = std::fs::metadata(world.file(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let mode = std::fs::metadata(world.file("issuer"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn link_creates_the_first_approver_once() {
    let (world, mut ada) = World::with_approver().await;
    assert_eq!(ada.get("/").await.location(), "/approvals");
    assert_eq!(world.link(), None);
}

#[tokio::test]
async fn used_link_is_gone() {
    let world = World::new().await;
    let link = world.setup_path();
    let mut first = world.browser();
    let mut second = world.browser();
    let second_csrf = second.get(&link).await.hidden("csrf");
    assert_eq!(
        set_up(&mut first, &link, "ada", [PASSWORD; 2]).await.status,
        303
    );
    let fields = [
        ("csrf", second_csrf.as_str()),
        ("user_name", "eve"),
        ("password", PASSWORD),
        ("password_again", PASSWORD),
    ];
    assert_eq!(
        second.post(&link, &fields).await.verdict(),
        (410, "setup_link_used")
    );
    assert_eq!(second.get(&link).await.verdict(), (410, "setup_link_used"));
}

#[tokio::test]
async fn each_start_without_an_approver_gives_a_new_link_and_ends_the_old_one() {
    let mut world = World::new().await;
    let old = world.setup_path();
    world.restart().await;
    let new = world.setup_path();
    assert_ne!(old, new);
    assert_eq!(world.get(&old).await.verdict(), (410, "setup_link_used"));
    assert_eq!(world.get(&new).await.status, 200);
}

#[tokio::test]
async fn start_with_an_approver_gives_no_link() {
    let (mut world, _) = World::with_approver().await;
    world.restart().await;
    assert_eq!(world.link(), None);
}

#[tokio::test]
async fn account_that_cannot_be_used_is_refused_and_the_link_goes_on_working() {
    let world = World::new().await;
    let link = world.setup_path();
    let mut browser = world.browser();
    for (user_name, passwords, why) in [
        ("ada", ["short", "short"], "at least 12 characters"),
        ("ada", [PASSWORD, "correct horse batterz"], "not the same"),
        ("", [PASSWORD, PASSWORD], "1 to 64 characters"),
        ("ada/../root", [PASSWORD, PASSWORD], "letters a to z"),
    ] {
        let reply = set_up(&mut browser, &link, user_name, passwords).await;
        assert_eq!(reply.status, 422, "{user_name}");
        assert!(
            reply.body.contains(why) && reply.body.contains("account_refused"),
            "{why}"
        );
    }
    assert_eq!(
        set_up(&mut browser, &link, "Ada", [PASSWORD; 2])
            .await
            .status,
        303
    );
}

#[tokio::test]
async fn right_password_signs_in_and_a_wrong_one_does_not() {
    let (world, _) = World::with_approver().await;
    let mut browser = world.browser();
    for (user_name, password) in [
        ("ada", "correct horse batterz"),
        ("eve", PASSWORD),
        ("a da", PASSWORD),
    ] {
        let reply = sign_in(&mut browser, user_name, password).await;
        assert_eq!(reply.status, 403, "{user_name}");
        assert!(
            reply
                .body
                .contains("The user name or the password is wrong.")
        );
        assert_eq!(browser.cookie("bailiwick_session"), None);
    }
    let reply = sign_in(&mut browser, "ada", PASSWORD).await;
    assert_eq!(
        (reply.status.as_u16(), reply.location()),
        (303, "/approvals".to_owned())
    );
    assert_eq!(browser.get("/approvals").await.status, 200);
}

#[tokio::test]
async fn session_cookie_has_every_protection_and_is_new_at_each_sign_in() {
    let (world, _) = World::with_approver().await;
    let mut browser = world.browser();
    let first = sign_in(&mut browser, "ada", PASSWORD).await;
    let line = first
        .headers
        .get(header::SET_COOKIE)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(line.starts_with("bailiwick_session="), "{line}");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(line.split("; ").any(|p| p == part), "{part}: {line}");
    }
    let old = browser.cookie("bailiwick_session").unwrap().to_owned();

    // A browser that is signed in and signs in again: a planted cookie would not survive.
    let mut again = world.browser();
    let csrf = again.get("/sign-in").await.hidden("csrf");
    again
        .cookies
        .push(("bailiwick_session".to_owned(), old.clone()));
    let fields = [
        ("csrf", csrf.as_str()),
        ("user_name", "ada"),
        ("password", PASSWORD),
    ];
    assert_eq!(again.post("/sign-in", &fields).await.status, 303);
    assert_ne!(again.cookie("bailiwick_session").unwrap(), old);
    assert_eq!(
        browser.get("/approvals").await.status,
        303,
        "the old session has ended"
    );
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down() {
    let (world, _) = World::with_approver().await;
    let mut browser = world.browser();
    for _ in 0..5 {
        assert_eq!(
            sign_in(&mut browser, "ada", "wrong wrong wrong")
                .await
                .status,
            403
        );
    }
    let refused = sign_in(&mut browser, "ada", PASSWORD).await;
    assert_eq!(refused.verdict(), (429, "too_many_attempts"));
    assert_eq!(refused.header("retry-after"), "11");
    world.advance(10);
    assert_eq!(sign_in(&mut browser, "ada", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn idle_browser_is_signed_out_and_a_busy_one_is_not() {
    let (world, mut browser) = World::with_approver().await;
    for _ in 0..3 {
        world.advance(2 * 60 * 60 - 1);
        assert_eq!(browser.get("/approvals").await.status, 200);
    }
    world.advance(2 * 60 * 60);
    assert_eq!(
        browser.get("/approvals").await.location(),
        "/sign-in?next=%2Fapprovals"
    );
}

#[tokio::test]
async fn busy_browser_is_signed_out_after_twelve_hours() {
    let (world, mut browser) = World::with_approver().await;
    for _ in 0..11 {
        world.advance(60 * 60);
        assert_eq!(browser.get("/approvals").await.status, 200);
    }
    world.advance(60 * 60 - 1);
    assert_eq!(browser.get("/approvals").await.status, 200);
    world.advance(1);
    assert_eq!(browser.get("/approvals").await.status, 303);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let (_world, mut browser) = World::with_approver().await;
    let cookies = browser.cookies.clone();
    let csrf = browser.get("/approvals").await.hidden("csrf");
    assert_eq!(
        browser
            .post("/sign-out", &[("csrf", &csrf)])
            .await
            .location(),
        "/sign-in"
    );
    assert_eq!(browser.cookie("bailiwick_session"), None);
    browser.cookies = cookies;
    assert_eq!(browser.get("/approvals").await.status, 303);
}

#[tokio::test]
async fn stranger_is_sent_to_sign_in_and_then_to_where_they_wanted() {
    let (world, _) = World::with_approver().await;
    let mut browser = world.browser();
    let sent = browser.get("/approve?user_code=BCDF-GHJK").await;
    assert_eq!(
        sent.location(),
        "/sign-in?next=%2Fapprove%3Fuser_code%3DBCDF-GHJK"
    );
    let page = browser.get(&sent.location()).await;
    assert_eq!(page.hidden("next"), "/approve?user_code=BCDF-GHJK");
    let fields = [
        ("csrf", page.hidden("csrf")),
        ("next", page.hidden("next")),
        ("user_name", "ada".to_owned()),
        ("password", PASSWORD.to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(
        browser.post("/sign-in", &fields).await.location(),
        "/approve?user_code=BCDF-GHJK"
    );
}

#[tokio::test]
async fn signing_in_never_leads_to_another_site() {
    let (world, _) = World::with_approver().await;
    for next in [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "/a\r\nb: c",
    ] {
        let mut browser = world.browser();
        let csrf = browser.get("/sign-in").await.hidden("csrf");
        let fields = [
            ("csrf", csrf.as_str()),
            ("next", next),
            ("user_name", "ada"),
            ("password", PASSWORD),
        ];
        assert_eq!(
            browser.post("/sign-in", &fields).await.location(),
            "/approvals",
            "{next}"
        );
    }
}

#[tokio::test]
async fn form_from_another_origin_is_refused() {
    let (_world, mut browser) = World::with_approver().await;
    let csrf = browser.get("/approvals").await.hidden("csrf");
    for origin in [
        Some("http://evil.example"),
        Some("null"),
        Some("http://localhost:8400"),
        None,
    ] {
        browser.origin = origin.map(str::to_owned);
        let reply = browser.post("/sign-out", &[("csrf", &csrf)]).await;
        assert_eq!(reply.verdict(), (403, "wrong_origin"), "{origin:?}");
    }
}

#[tokio::test]
async fn form_without_the_right_token_is_refused() {
    let (world, mut browser) = World::with_approver().await;
    let mut other = world.browser();
    let foreign = other.get("/sign-in").await.hidden("csrf");
    for fields in [vec![], vec![("csrf", "")], vec![("csrf", foreign.as_str())]] {
        let reply = browser.post("/sign-out", &fields).await;
        assert_eq!(reply.verdict(), (403, "form_expired"), "{fields:?}");
    }
    // Before sign-in too.
    let fields = [
        ("csrf", foreign.as_str()),
        ("user_name", "ada"),
        ("password", PASSWORD),
    ];
    let reply = world.browser().post("/sign-in", &fields).await;
    assert_eq!(reply.verdict(), (403, "form_expired"));
}

#[tokio::test]
async fn form_of_nobody_signed_in_is_refused() {
    let (world, _) = World::with_approver().await;
    let reply = world.browser().post("/sign-out", &[("csrf", "x")]).await;
    assert_eq!(reply.verdict(), (401, "sign_in_needed"));
}

#[tokio::test]
async fn every_answer_carries_the_protecting_headers() {
    let (world, mut browser) = World::with_approver().await;
    for path in [
        "/approvals",
        "/sign-in",
        "/assets/bailiwick.css",
        "/v1/keys",
        "/nowhere",
        "/healthz",
    ] {
        let reply = browser.get(path).await;
        let policy = reply.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("referrer-policy"), "same-origin", "{path}");
        // Scripts are files of ours, and nothing else is one.
        let rest = reply.body.replace("<script src=\"/assets/", "");
        assert!(
            !rest.contains("style=") && !rest.contains("<script"),
            "{path}"
        );
    }
    let ids = [world.get("/healthz").await, world.get("/healthz").await];
    assert_eq!(ids[0].header("x-request-id").len(), 16);
    assert_ne!(ids[0].header("x-request-id"), ids[1].header("x-request-id"));
    assert_eq!(ids[0].header("strict-transport-security"), "");
    assert_eq!(
        browser.get("/approvals").await.header("cache-control"),
        "no-store"
    );
    assert_eq!(
        world.get("/sign-in").await.header("cache-control"),
        "no-store"
    );
}

#[tokio::test]
async fn second_password_field_or_an_unknown_one_is_refused() {
    let (world, _) = World::with_approver().await;
    let mut browser = world.browser();
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    for extra in [("password", PASSWORD), ("admin", "1")] {
        let fields = [
            ("csrf", csrf.as_str()),
            ("user_name", "ada"),
            ("password", PASSWORD),
            extra,
        ];
        let reply = browser.post("/sign-in", &fields).await;
        assert_eq!(reply.verdict(), (400, "malformed_form"), "{extra:?}");
    }
    let bare = Request::post("/sign-in")
        .header(header::ORIGIN, crate::harness::ORIGIN)
        .body(Body::from("csrf=x"))
        .unwrap();
    assert_eq!(world.send(bare).await.verdict(), (403, "form_expired"));
}

#[tokio::test]
async fn over_https_cookies_are_secure_and_browsers_are_told_to_stay_there() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(bailiwick_verifier::ManualClock::new(
        bailiwick_datalog::Timestamp::from_unix(crate::harness::START),
    ));
    let config = crate::harness::config(dir.path(), &clock, "https://issuer.example");
    let issuer = bailiwick_issuer::Issuer::open(config).await.unwrap();
    let mut world = World::new().await;
    world.router = issuer.router();
    let reply = world.get("/sign-in").await;
    let line = reply.header("set-cookie");
    assert!(line.starts_with("__Host-bailiwick_visitor="), "{line}");
    assert!(line.contains("; Secure"), "{line}");
    assert_eq!(
        reply.header("strict-transport-security"),
        "max-age=31536000"
    );
}
