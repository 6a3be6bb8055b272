//! What the issuer makes of bad input: requests, polling, and above all the
//! approval form edited by hand.
//!
//! Each refusal has its code, none is a 500, and what was pending before stays
//! pending.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::agent::{Asked, Wish, code_of};
use crate::harness::clock::WallClock;
use crate::harness::form::Form;
use crate::harness::http::{Request, Response};
use crate::harness::service::{Bailiwick, Place};
use crate::harness::visitor::{PASSWORD, USER, Visitor};

const WISH: Wish<'_> = Wish {
    tools: &["files.list_directory", "files.read_file"],
    resources: &["files/reports"],
    task: "Read the reports",
    time: "15m",
};

pub(crate) fn details(servers: &Place, tool: &Value) -> Value {
    json!([{
        "type": "mcp_tools",
        "locations": [servers.mcp()],
        "task": "Read the reports",
        "duration": 600,
        "tools": [tool],
    }])
}

pub(crate) fn good_tool() -> Value {
    json!({ "name": "files.read_file", "access": "read", "resources": ["files/reports"] })
}

pub(crate) fn ask(servers: &Place, details: &str) -> Response {
    let fields = [
        ("client_id", "bailiwick-cli"),
        ("authorization_details", details),
    ];
    Request::post(&servers.issuer, "/oauth/device_authorization")
        .form(&fields)
        .send()
}

pub(crate) fn poll(servers: &Place, device_code: &str) -> Response {
    let fields = [
        ("client_id", "bailiwick-cli"),
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code),
    ];
    Request::post(&servers.issuer, "/oauth/token")
        .form(&fields)
        .send()
}

/// Asserts the status and code of a refused page, and that it says something.
fn assert_refused(response: &Response, status: u16, code: &str) {
    assert_eq!(
        (response.status, code_of(response).as_str()),
        (status, code),
        "{}",
        response.text()
    );
    assert!(
        response.text().contains(code),
        "the page names its code: {}",
        response.text()
    );
}

/// The request can still be decided, so nothing was lost.
fn assert_still_pending(visitor: &Visitor, asked: &Asked) {
    visitor.opens(asked);
}

#[test]
fn every_unclear_request_is_refused_with_the_reason() {
    let servers = Bailiwick::up();
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut tool = good_tool();
        edit(&mut tool);
        details(&servers, &tool).to_string()
    };
    ask(&servers, &with(&|_| ())).expect_status(200);
    let rows: Vec<(&str, String, &str)> = vec![
        (
            "unknown tool",
            with(&|tool| tool["name"] = json!("files.format_disk")),
            "files.format_disk",
        ),
        (
            "ill-formed tool",
            with(&|tool| tool["name"] = json!("FILES READ")),
            "name",
        ),
        (
            "wrong access",
            with(&|tool| tool["access"] = json!("write")),
            "files.read_file",
        ),
        (
            "no resource",
            with(&|tool| tool["resources"] = json!([])),
            "resource",
        ),
        (
            "dots",
            with(&|tool| tool["resources"] = json!(["files/../etc"])),
            "resource",
        ),
        (
            "encoded dots",
            with(&|tool| tool["resources"] = json!(["files/%2e%2e/etc"])),
            "resource",
        ),
        (
            "NUL",
            with(&|tool| tool["resources"] = json!(["files/a\u{0}"])),
            "resource",
        ),
        (
            "unknown member",
            with(&|tool| tool["every"] = json!(true)),
            "every",
        ),
        ("not JSON", "[".to_owned(), ""),
        ("no entries", "[]".to_owned(), ""),
        (
            "doubled key",
            with(&|_| ()).replacen("\"task\":", "\"task\":\"Something else\",\"task\":", 1),
            "task",
        ),
        (
            "another audience",
            with(&|_| ()).replace(&servers.mcp(), "http://127.0.0.1:1/mcp"),
            "",
        ),
    ];
    for (what, details, named) in rows {
        let response = ask(&servers, &details);
        assert_eq!(response.status, 400, "{what}: {}", response.text());
        let problem = response.json();
        let codes = [
            "invalid_authorization_details",
            "invalid_target",
            "invalid_request",
        ];
        assert!(
            codes.contains(&problem["error"].as_str().unwrap()),
            "{what}: {problem}"
        );
        let words = problem["error_description"].as_str().unwrap();
        assert!(words.contains(named), "{what}: {words}");
    }
}

#[test]
fn unknown_clients_codes_and_grants_are_told_apart() {
    let servers = Bailiwick::up();
    let unknown = poll(&servers, "no-such-code").expect_status(400).json();
    assert_eq!(unknown["error"], "invalid_grant");
    let fields = [("client_id", "somebody-else"), ("grant_type", "password")];
    let request = Request::post(&servers.issuer, "/oauth/token").form(&fields);
    let other = request.send();
    assert!([400, 401].contains(&other.status), "{}", other.text());
    let details = details(&servers, &good_tool()).to_string();
    let fields = [
        ("client_id", "somebody-else"),
        ("authorization_details", details.as_str()),
    ];
    let request = Request::post(&servers.issuer, "/oauth/device_authorization").form(&fields);
    let client = request.send();
    assert!([400, 401].contains(&client.status), "{}", client.text());
    assert_eq!(client.json()["error"], "invalid_client");
    let large = "x".repeat(2 * 1024 * 1024);
    assert_eq!(ask(&servers, &large).status, 413);
}

#[test]
fn impatient_polling_is_slowed_down() {
    let servers = Bailiwick::up();
    let asked = ask(&servers, &details(&servers, &good_tool()).to_string()).expect_status(200);
    let code = asked.json()["device_code"].as_str().unwrap().to_owned();
    let answers: Vec<_> = (0..3)
        .map(|_| poll(&servers, &code).expect_status(400).json())
        .collect();
    assert_eq!(answers[0]["error"], "authorization_pending");
    assert!(
        answers[1..]
            .iter()
            .all(|answer| answer["error"] == "slow_down"),
        "{answers:?}"
    );
}

#[test]
fn editing_the_form_never_widens_the_grant() {
    let servers = Bailiwick::up();
    let visitor = Visitor::signs_up(&servers);
    let asked = servers.request(&WISH, &[]);
    let form = || visitor.approval_form(&asked);
    let path = |form: &Form| form.names("path.")[0].to_owned();
    let first = path(&form());
    let rows = [
        (
            "longer",
            form().set("duration", "16m"),
            422,
            "approval_widened",
        ),
        (
            "endless",
            form().set("duration", "999999999999999999999h"),
            422,
            "invalid_duration",
        ),
        (
            "no time",
            form().set("duration", "0s"),
            422,
            "invalid_duration",
        ),
        (
            "unreadable time",
            form().set("duration", "soon"),
            422,
            "invalid_duration",
        ),
        (
            "another tool",
            form().add("tool", "files.delete_file"),
            422,
            "approval_widened",
        ),
        (
            "another place",
            form().set(&first, "files/notes"),
            422,
            "approval_widened",
        ),
        (
            "a place above",
            form().set(&first, "files"),
            422,
            "approval_widened",
        ),
        (
            "a look-alike",
            form().set(&first, "files/reports-private"),
            422,
            "approval_widened",
        ),
        (
            "dots",
            form().set(&first, "files/reports/../notes"),
            422,
            "invalid_resource",
        ),
        (
            "encoded dots",
            form().set(&first, "files/reports/%2e%2e/notes"),
            422,
            "invalid_resource",
        ),
        (
            "NUL",
            form().set(&first, "files/reports/\u{0}"),
            422,
            "invalid_resource",
        ),
        (
            "a new resource",
            form().add("path.files.read_file#7", "files/notes"),
            422,
            "approval_widened",
        ),
        ("nothing", form().without("tool"), 422, "approval_empty"),
        (
            "no resource",
            form().without("resource"),
            422,
            "approval_empty",
        ),
        (
            "another digest",
            form().set("request_digest", &"0".repeat(64)),
            409,
            "request_changed",
        ),
        (
            "no digest",
            form().without("request_digest"),
            400,
            "malformed_form",
        ),
        (
            "two decisions",
            form().add("decision", "deny"),
            400,
            "malformed_form",
        ),
        (
            "a new field",
            form().add("principal", "root"),
            400,
            "malformed_form",
        ),
        ("no form token", form().without("csrf"), 403, "form_expired"),
        (
            "another form token",
            form().set("csrf", "AAAA"),
            403,
            "form_expired",
        ),
        (
            "endless words",
            form().set("instructions", &"x".repeat(20_000)),
            422,
            "text_too_long",
        ),
    ];
    for (what, edited, status, code) in rows {
        let answer = visitor.submit(&edited);
        let met = (answer.status, code_of(&answer));
        assert_eq!(met, (status, code.to_owned()), "{what}: {}", answer.text());
        assert_still_pending(&visitor, &asked);
    }
    // None of it left a trace: the request can be approved as it was.
    visitor.approves(&asked);
    let granted = asked.granted();
    assert_eq!(granted.details["duration"], 900, "{}", granted.details);
}

#[test]
fn only_a_signed_in_person_on_the_issuers_own_page_decides() {
    let servers = Bailiwick::up();
    let visitor = Visitor::signs_up(&servers);
    let asked = servers.request(&WISH, &[]);
    let form = visitor.approval_form(&asked);
    let stranger = Visitor::stranger(&servers);
    let answer = stranger.submit(&form);
    assert_refused(&answer, 401, "sign_in_needed");
    let page = stranger.get(&asked.approval_url);
    assert!(
        page.header("location")
            .is_some_and(|to| to.contains("/sign-in")),
        "{page:?}"
    );
    let foreign = Request::post(&servers.issuer, &form.action)
        .header("Origin", "https://elsewhere.example")
        .form(&form.fields());
    assert_refused(&visitor.send(foreign), 403, "wrong_origin");
    assert_still_pending(&visitor, &asked);
}

#[test]
fn a_decision_is_made_once() {
    let servers = Bailiwick::up();
    let visitor = Visitor::signs_up(&servers);
    let approved = servers.request(&WISH, &["--token-file", "first"]);
    let form = visitor.approval_form(&approved);
    visitor.approves(&approved);
    assert_refused(&visitor.submit(&form), 409, "already_approved");
    assert_refused(
        &visitor.submit(&form.set("decision", "deny")),
        409,
        "already_approved",
    );
    approved.granted();

    let denied = servers.request(&WISH, &["--token-file", "second"]);
    let form = visitor.approval_form(&denied);
    let deny = form
        .clone()
        .set("decision", "deny")
        .set("reason", "Ask me tomorrow");
    assert!((300..400).contains(&visitor.submit(&deny).status));
    assert_refused(&visitor.submit(&form), 409, "already_denied");
    let ended = denied.ended().expect_code(3);
    let last = ended.json_lines().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["reason"]),
        (&json!("denied"), &json!("Ask me tomorrow"))
    );
}

#[test]
fn of_many_simultaneous_approvals_one_counts() {
    const PEOPLE: usize = 16;
    let servers = Bailiwick::up();
    let visitor = Visitor::signs_up(&servers);
    let asked = servers.request(&WISH, &[]);
    let form = visitor.approval_form(&asked);
    let request = Request::post(&servers.issuer, &form.action)
        .header("Origin", &servers.issuer)
        .form(&form.fields());
    let request = visitor.with_cookies(request);
    let start = Barrier::new(PEOPLE);
    let answers: Vec<Response> = thread::scope(|scope| {
        let click = || {
            start.wait();
            request.send()
        };
        let clicks: Vec<_> = (0..PEOPLE).map(|_| scope.spawn(click)).collect();
        clicks
            .into_iter()
            .map(|click| click.join().unwrap())
            .collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status < 400);
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(
        lost.iter()
            .all(|answer| code_of(answer) == "already_approved"),
        "{lost:?}"
    );
    asked.granted();
    let sessions = servers.run(&["sessions"]).expect_code(0).json_lines();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
}

#[test]
fn an_expired_request_is_not_approved_and_nobody_waits_for_it() {
    let clock = WallClock::new();
    let servers = Bailiwick::up_on(&clock);
    let visitor = Visitor::signs_up(&servers);
    let asked = servers.request(&WISH, &[]);
    let form = visitor.approval_form(&asked);
    clock.advance(Duration::from_secs(20 * 60));
    assert_refused(&visitor.submit(&form), 410, "request_expired");
    let ended = asked.ended().expect_code(5);
    assert_eq!(
        ended.json_lines().pop().unwrap()["code"],
        "approval_expired"
    );
}

#[test]
fn waiting_ends_when_told_to() {
    let servers = Bailiwick::up();
    let asked = servers.request(&WISH, &["--wait", "1s"]);
    let ended = asked.ended().expect_code(5);
    assert_eq!(
        ended.json_lines().pop().unwrap()["code"],
        "approval_timeout"
    );
}

#[test]
fn the_sign_in_link_works_once() {
    let servers = Bailiwick::up();
    let link = servers.sign_in.clone().unwrap();
    let early = Visitor::stranger(&servers);
    let form = Form::of(&early.get(&link).expect_status(200).text(), "/setup/");
    Visitor::signs_up(&servers);
    let form = form
        .set("user_name", "eve")
        .set("password", PASSWORD)
        .set("password_again", PASSWORD);
    assert_refused(&early.submit(&form), 410, "setup_link_used");
    assert_refused(
        &Visitor::stranger(&servers).get(&link),
        410,
        "setup_link_used",
    );
    let guessed = format!("{}/setup/{}", servers.issuer, "A".repeat(43));
    assert_refused(
        &Visitor::stranger(&servers).get(&guessed),
        410,
        "setup_link_used",
    );
}

#[test]
fn passwords_are_asked_for_and_guessing_is_slowed_down() {
    let servers = Bailiwick::up();
    Visitor::signs_up(&servers);
    let visitor = Visitor::stranger(&servers);
    let form = || {
        let page = visitor.get("/sign-in").expect_status(200).text();
        Form::of(&page, "/sign-in").set("user_name", USER)
    };
    assert_refused(
        &visitor.submit(&form().set("password", "guess")),
        403,
        "sign_in_failed",
    );
    let unknown = form().set("user_name", "nobody").set("password", "guess");
    assert_refused(&visitor.submit(&unknown), 403, "sign_in_failed");
    let right = visitor.submit(&form().set("password", PASSWORD));
    let home = visitor.follow(right).expect_status(200);
    assert!(home.text().contains("ppro"), "{}", home.text());
    let codes: Vec<_> = (0..8)
        .map(|_| code_of(&Visitor::stranger(&servers).submit_sign_in(USER, "guess")))
        .collect();
    assert_eq!(codes.last().unwrap(), "too_many_attempts", "{codes:?}");
}

#[test]
fn pages_are_locked_down() {
    let servers = Bailiwick::up();
    let visitor = Visitor::signs_up(&servers);
    let asked = servers.request(
        &Wish {
            task: "<script>alert(1)</script><b>bold</b>\u{202e}",
            ..WISH
        },
        &["--agent", "<i>agent</i>"],
    );
    let page = visitor.opens(&asked);
    let policy = page.header("content-security-policy").unwrap();
    for directive in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let text = page.text();
    assert!(
        text.contains("&lt;script&gt;") || text.contains("&#60;script&#62;"),
        "{text}"
    );
    for live in ["<script>alert", "<b>bold", "<i>agent", "\u{202e}"] {
        assert!(!text.contains(live), "{live:?} in {text}");
    }
    let form = Visitor::stranger(&servers).get("/sign-in");
    let cookie = form.header("set-cookie").expect("a cookie for the form");
    for attribute in ["HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
}

#[test]
fn operator_calls_need_the_operators_token() {
    let servers = Bailiwick::up();
    let gateways = std::fs::read_to_string(servers.data_dir.join("gateway.token")).unwrap();
    for target in ["/v1/sessions", "/v1/sessions/x"] {
        let bare = Request::get(&servers.issuer, target);
        let none = bare.send();
        assert_eq!(
            (none.status, code_of(&none).as_str()),
            (401, "missing_credentials")
        );
        let wrong = bare.clone().bearer(gateways.trim()).send();
        assert_eq!(
            (wrong.status, code_of(&wrong).as_str()),
            (401, "bad_credentials"),
            "{target}"
        );
        let two = bare.bearer("a").bearer("b").send();
        assert_eq!(
            (two.status, code_of(&two).as_str()),
            (400, "malformed_credentials")
        );
    }
    let revoke = Request::post(&servers.issuer, "/v1/revocations").json(&json!({ "session": "x" }));
    assert_eq!(revoke.send().status, 401);
    let unknown = servers.run(&["revoke", "no-such-session"]).expect_code(1);
    assert_eq!(unknown.json()["code"], "session_not_found");
}

#[test]
fn operator_finds_and_ends_all_sessions_of_an_agent() {
    let servers = Bailiwick::up();
    let none = servers.run(&["sessions", "--live", "--agent", "report writer"]);
    assert_eq!(none.expect_code(0).json_lines(), Vec::<Value>::new());
    for (arguments, code) in [
        (&["revoke", "--agent", "report writer"][..], 0),
        (&["revoke", "--application", "default"], 0),
        (&["revoke"], 2),
        (&["revoke", "ses_0", "--agent", "report writer"], 2),
        (&["sessions", "--live", "--over"], 2),
        (&["sessions", "ses_0", "--live"], 2),
    ] {
        let ran = servers.run(arguments).expect_code(code);
        if code == 0 {
            let said = ran.json();
            assert_eq!(
                (&said["event"], &said["sessions"]),
                (&json!("revoked_all"), &json!(0))
            );
        }
    }
}
