//! The issuer's pages for everybody: with a screen reader, with the keyboard alone, on a phone, by
//! day and by night. Looked at by axe-core in a real Chromium.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::harness::agent::{Wish, outcome};
use crate::harness::browser::Browser;
use crate::harness::http::Request;
use crate::harness::node;
use crate::harness::pages::Approver;
use crate::harness::service::{Bailiwick, Place};

/// A laptop by day and by night, a phone, and the narrowest screen that WCAG 2.2 counts with (1.4.10).
const SCREENS: [((u32, u32), bool); 4] = [
    ((1_200, 1_000), false),
    ((1_200, 1_000), true),
    ((390, 844), true),
    ((320, 568), false),
];

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// More tabs than any page has stops.
const MOST_TABS: usize = 200;

fn wish<'a>(tools: &'a [&'a str], task: &'a str) -> Wish<'a> {
    Wish {
        tools,
        resources: &["files/reports"],
        task,
        time: "20m",
    }
}

/// What axe-core finds wrong in the open page, in a line each. It looks at colours as well.
async fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.evaluate(axe).await;
    let found = browser
        .evaluate_async(
            "const done = arguments[arguments.length - 1];
             axe.run(document, {
                 resultTypes: ['violations'],
                 preload: false,
                 runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
             }).then(found => done({
                 looked: found.passes.length,
                 wrong: found.violations.flatMap(rule => rule.nodes.map(node =>
                     `${rule.impact} ${rule.id}: ${node.html} ${node.failureSummary}`)),
             }), error => done({looked: 0, wrong: [String(error)]}));",
        )
        .await;
    assert!(
        found["looked"].as_u64() > Some(5),
        "axe-core looked: {found}"
    );
    let wrong = found["wrong"].as_array().unwrap().iter();
    wrong
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

/// By how many pixels the page is wider than the screen.
async fn overhang(browser: &Browser) -> i64 {
    let script =
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    browser.evaluate(script).await.as_i64().unwrap()
}

/// What a person does on a page before it is looked at.
enum Step {
    Fill(&'static str, &'static str),
    Click(&'static str),
    /// Waits until there is such an element.
    See(&'static str),
}

/// What is wrong with a page by day and by night and on narrow screens, in a line each.
async fn faults(browser: &Browser, axe: &str, url: &str) -> Vec<String> {
    faults_after(browser, axe, url, &[]).await
}

/// What is wrong with a page after these steps on it.
async fn faults_after(browser: &Browser, axe: &str, url: &str, steps: &[Step]) -> Vec<String> {
    let mut faults = Vec::new();
    for (screen, dark) in SCREENS {
        browser.becomes(screen, dark).await;
        browser.goto(url).await;
        for step in steps {
            match step {
                Step::Fill(field, text) => browser.fill(field, text).await,
                Step::Click(element) => browser.click(element).await,
                Step::See(element) => drop(browser.find(element).await),
            }
        }
        let seen = format!("{url} at {screen:?}, dark: {dark}");
        for wrong in violations(browser, axe).await {
            faults.push(format!("{seen}: {wrong}"));
        }
        let overhang = overhang(browser).await;
        if overhang > 0 {
            faults.push(format!("{seen} is {overhang} pixels too wide"));
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_wrong_is_seen() {
    let axe = node::source("axe-core/axe.min.js");
    let browser = Browser::open().await;
    let page = |body: &str| {
        format!("data:text/html,<html lang=en><title>t</title><main><h1>t</h1>{body}</main>")
    };
    browser.goto(&page("<p style=color:black>words</p>")).await;
    assert_eq!(violations(&browser, &axe).await, Vec::<String>::new());
    for (body, rule) in [
        ("<p style=color:lightgrey>words</p>", "color-contrast"),
        ("<input name=x>", "label"),
        ("<button></button>", "button-name"),
    ] {
        browser.goto(&page(body)).await;
        let wrong = violations(&browser, &axe).await;
        assert!(wrong.iter().any(|line| line.contains(rule)), "{wrong:?}");
    }
    browser.becomes((320, 568), false).await;
    let fits = "<meta name=viewport content=width=device-width>";
    for (width, overhangs) in [(250, false), (400, true)] {
        browser
            .goto(&page(&format!("{fits}<p style=width:{width}px>wide</p>")))
            .await;
        assert_eq!(overhang(&browser).await > 0, overhangs, "{width}");
    }
}

/// Every page that a person comes to, each with something on it.
fn pages(servers: &Place, approval: &str, decided: &str, session: &str) -> Vec<String> {
    let paths = [
        "/approvals",
        "/approve",
        "/approve?user_code=BCDF-GHJK",
        "/sessions",
        "/accounts",
        "/accounts/ada",
        "/applications",
        "/applications/default",
        "/applications/default/clients",
        "/api",
        "/me",
        "/no/such/page",
    ];
    let here = |path: &str| format!("{}{path}", servers.issuer);
    let mut pages: Vec<String> = paths.into_iter().map(here).collect();
    pages.push(here(&format!("/sessions/{session}")));
    pages.extend([approval, decided].map(str::to_owned));
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_violation_on_any_screen_by_day_or_night() {
    let axe = node::source("axe-core/axe.min.js");
    let servers = Bailiwick::up();
    let stranger = Browser::open().await;
    let link = servers.sign_in.as_deref().unwrap();
    let mut wrong = faults(&stranger, &axe, link).await;
    let approver = Approver::signs_up(&servers).await;
    let sign_in = format!("{}/sign-in", servers.issuer);
    wrong.extend(faults(&stranger, &axe, &sign_in).await);

    let first = servers.request(&wish(&["files.read_file"], "Read"), &[]);
    approver.opens(&first).await.approves().await;
    let decided = first.approval_url.clone();
    let granted = first.granted();
    let everything = [
        "files.list_directory",
        "files.read_file",
        "files.write_file",
        "files.delete_file",
    ];
    let limits = ["--arg", "path=prefix:reports/"];
    let waiting = servers.request(&wish(&everything, "Tidy up the reports"), &limits);
    for url in pages(&servers, &waiting.approval_url, &decided, &granted.session) {
        wrong.extend(faults(approver.browser(), &axe, &url).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stranger.complaints(), Vec::<String>::new());
}

/// Answers to what was filled in, exact calls, and what an agent did before.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_a_page_has_a_violation_either() {
    use Step::{Click, Fill, See};
    let axe = node::source("axe-core/axe.min.js");
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let browser = approver.browser();
    let first = servers.request(&wish(&["files.read_file"], "Read"), &[]);
    approver.opens(&first).await.approves().await;
    let granted = first.granted();
    let read = |path: &str| {
        let arguments = json!({ "path": path });
        outcome(
            &servers.gateway,
            &granted.token,
            "files.read_file",
            &arguments,
        )
    };
    assert_eq!(read("reports/q3.md"), "allowed");
    assert_ne!(read("other/q3.md"), "allowed");
    let counted = ["allowed", "resource_not_granted"];
    approver.sees_in_session(&granted.session, &counted).await;

    let limited = servers.request(&wish(&["files.read_file"], "Read on"), &[]);
    let write = r#"files.write_file={"path":"reports/new.md","content":"<b>all</b> of it"}"#;
    let exact = servers.request(&wish(&[], "Write"), &["--call", write]);
    let (form, call) = (&limited.approval_url, &exact.approval_url);
    let issuer = &servers.issuer;
    let (code, me) = (format!("{issuer}/approve"), format!("{issuer}/me"));
    let field = "textarea[name='limits.files.read_file']";
    let opens = || Click("details.further summary");
    let rows = [
        (call, vec![See(".calls")]),
        (
            call,
            vec![Fill("#duration", "5m"), Click("#check"), See("#effect")],
        ),
        (
            form,
            vec![
                opens(),
                Fill(field, "path=reports/*"),
                Click("#check"),
                See("#effect"),
                Click("#dry-run summary"),
                See("#dry-run tbody tr"),
            ],
        ),
        (
            form,
            vec![
                opens(),
                Fill(field, "path"),
                Click("#approve"),
                See("[aria-invalid=true]"),
            ],
        ),
        (
            form,
            vec![
                Fill("#duration", "for ever"),
                Click("#approve"),
                See("#problem"),
            ],
        ),
        (
            &code,
            vec![
                Fill("input[name=user_code]", "BCDF-GHJK"),
                Click("main form button[type=submit]"),
                See("[role=alert]"),
            ],
        ),
        (&me, vec![See("main")]),
    ];
    let mut wrong = Vec::new();
    for (url, steps) in rows {
        wrong.extend(faults_after(browser, &axe, url, &steps).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where a client sends a browser to ask for that scope.
fn authorize(servers: &Place, client: &str, redirect: &str, scope: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", client)
        .append_pair("redirect_uri", redirect)
        .append_pair("code_challenge", CHALLENGE)
        .append_pair("code_challenge_method", "S256")
        .append_pair("resource", &servers.mcp());
    if let Some(scope) = scope {
        query.append_pair("scope", scope);
    }
    format!("{}/oauth/authorize?{}", servers.issuer, query.finish())
}

/// The first connect of a client, more access for it, a refusal that a person passes on, and a
/// link that somebody was given.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_on_the_way_of_a_client_or_a_guest_has_a_violation() {
    use Step::See;
    let axe = node::source("axe-core/axe.min.js");
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let browser = approver.browser();
    let redirects = ["http://127.0.0.1:9/back", "https://client.example/back"];
    let [local, remote] = redirects.map(|redirect| {
        let metadata = json!({"client_name": "Inspector", "redirect_uris": [redirect],
            "token_endpoint_auth_method": "none"});
        let registered = Request::post(&servers.issuer, "/oauth/register").json(&metadata);
        let registered = registered.send().expect_status(201).json();
        registered["client_id"].as_str().unwrap().to_owned()
    });

    let mut wrong = Vec::new();
    let first = authorize(&servers, &local, redirects[0], None);
    browser.goto(&first).await;
    let offered = browser.url().await;
    let picks = [See("input[name=tool][value='files.read_file']")];
    wrong.extend(faults_after(browser, &axe, &offered, &picks).await);
    approver
        .is_sent_to(&offered)
        .await
        .picks("files.read_file")
        .await;
    browser.click("#approve").await;
    // Nothing listens there; the address has the code.
    let answer = loop {
        let url = url::Url::parse(&browser.url().await).unwrap();
        if url.as_str().starts_with(redirects[0]) {
            break url;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let code = answer.query_pairs().find(|(name, _)| name == "code");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &local),
        ("redirect_uri", redirects[0]),
        ("code", &code.unwrap().1),
        ("code_verifier", VERIFIER),
    ];
    let redeemed = Request::post(&servers.issuer, "/oauth/token").form(&fields);
    redeemed.send().expect_status(200);

    let scope = "tool:files.read_file tool:files.write_file";
    browser
        .goto(&authorize(&servers, &local, redirects[0], Some(scope)))
        .await;
    let more = browser.url().await;
    wrong.extend(faults_after(browser, &axe, &more, &[See("#adds")]).await);

    let refused = authorize(&servers, &remote, redirects[1], Some("tool:no.such"));
    wrong.extend(faults_after(browser, &axe, &refused, &[See("main")]).await);
    browser.reads("client.example").await;

    let added = servers.run(&["accounts", "add", "bob", "--role", "approver"]);
    let link = added.expect_code(0).json()["set_up_link"].clone();
    let guest = Browser::open().await;
    wrong.extend(faults(&guest, &axe, link.as_str().unwrap()).await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What has the focus, and whether one sees that it has.
async fn focus(browser: &Browser) -> Value {
    browser
        .evaluate(
            "const element = document.activeElement;
             const box = element.getBoundingClientRect();
             const style = getComputedStyle(element);
             return {
                 id: element.id,
                 name: element.getAttribute('name'),
                 value: element.getAttribute('value'),
                 seen: element === document.body || (style.outlineStyle !== 'none'
                     && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.height > 0),
                 html: element.outerHTML.slice(0, 200),
             };",
        )
        .await
}

/// Presses Tab until the focus is on what `wanted` holds of. Every stop on the way shows that it
/// has the focus.
async fn tabs_to(browser: &Browser, wanted: impl Fn(&Value) -> bool) {
    for _ in 0..MOST_TABS {
        browser.presses(char::from(Key::Tab)).await;
        let focused = focus(browser).await;
        assert_eq!(focused["seen"], json!(true), "no focus to see: {focused}");
        if wanted(&focused) {
            return;
        }
    }
    panic!("Tab never comes to what was wanted");
}

#[tokio::test(flavor = "multi_thread")]
async fn request_is_narrowed_and_approved_with_the_keyboard_alone() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let tools = ["files.delete_file", "files.read_file"];
    let asked = servers.request(&wish(&tools, "Read"), &[]);
    approver.opens(&asked).await;
    let browser = approver.browser();
    let named = |name: &'static str, value: &'static str| {
        move |focused: &Value| focused["name"] == name && focused["value"] == value
    };
    tabs_to(browser, named("tool", "files.delete_file")).await;
    browser.presses(' ').await;
    tabs_to(browser, |focused| focused["id"] == "duration").await;
    // Enter in a field decides nothing.
    browser.presses(char::from(Key::Enter)).await;
    assert_eq!(
        browser.path().await,
        "/approvals/".to_owned() + id(&browser.path().await)
    );
    tabs_to(browser, |focused| focused["id"] == "approve").await;
    browser.presses(char::from(Key::Enter)).await;
    browser.find("#approved").await;
    let granted = asked.granted();
    let tools = granted.details["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "{tools:?}");
    assert_eq!(tools[0]["name"], "files.read_file");
}

/// The last part of a path.
fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}
