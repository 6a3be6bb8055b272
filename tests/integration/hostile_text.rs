//! Texts that agents wrote to mislead people or browsers, each shown by a real Chromium.
//!
//! The texts are data, in `hostile_text/texts.json`. Each is the task of a request and, where the
//! profile takes it for one, the agent's name, a resource and an argument's value as well. What a
//! page may hold is told by the page of a harmless request: the same elements, and no more.

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::http::{Request, Response};
use crate::harness::pages::Approver;
use crate::harness::service::{Bailiwick, Place};
use crate::harness::visitor::USER;

/// So narrow that what does not wrap is seen.
const PHONE: (u32, u32) = (390, 844);

/// What a page has come to, in the browser's own view.
const LOOK: &str = r"
    const all = [...document.querySelectorAll('*')]
        .filter(element => element.dataset.lookAlike === undefined)
        // Words that were cut short are there in full as well.
        .filter(element => !element.matches('.limits li > :not(bdi)'));
    const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e01ef}]/u;
    const texts = [document.documentElement.textContent, document.title,
        ...all.flatMap(element => [...element.attributes].map(attribute => attribute.value))];
    const away = value => /^\s*(javascript|data|vbscript):/i.test(value)
        || (/^([a-z]+:)?\/\//i.test(value) && new URL(value, location).origin !== location.origin);
    const leads = ['href', 'src', 'action', 'formaction', 'data', 'srcdoc', 'content', 'ping'];
    return {
        harmed: window.harmed === undefined ? null : String(window.harmed),
        // The scripts that are files of ours are not what is looked for.
        elements: all.filter(element => !element.matches(`script[src^='/assets/']`))
            .map(element => element.localName).join(' '),
        handlers: all.flatMap(element => [...element.attributes])
            .filter(attribute => attribute.name.startsWith('on') || attribute.name === 'style')
            .map(attribute => attribute.name),
        away: all.flatMap(element => [...element.attributes])
            .filter(attribute => leads.includes(attribute.name) && away(attribute.value))
            .map(attribute => attribute.value),
        hidden: texts.filter(text => hidden.test(text)).map(text => text.slice(0, 200)),
        title: document.title,
        overhang: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        told: document.querySelectorAll('[data-look-alike]').length,
        task: document.querySelector('#task bdi')?.textContent ?? null,
        apart: [...document.querySelectorAll('bdi')]
            .every(element => getComputedStyle(element).unicodeBidi.includes('isolate')),
        decision: [...document.querySelectorAll('#approve, #deny')].map(button => button.textContent),
    };
";

/// A text with its name.
fn texts() -> Vec<(String, String)> {
    let texts: Value = serde_json::from_str(include_str!("hostile_text/texts.json")).unwrap();
    let texts = texts.as_array().unwrap().iter();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    texts
        .map(|entry| (text(entry, "name"), text(entry, "text")))
        .collect()
}

/// As many requests as wait in one application without a word of it being full.
const PLACES: usize = 90;

/// Adds the applications that so many requests need, with the approver of the tests.
fn make_room(servers: &Place, texts: usize) {
    for number in (0..texts).step_by(PLACES) {
        let id = client(number);
        let add = [
            "applications",
            "add",
            &id,
            "--name",
            &id,
            "--approver",
            USER,
        ];
        servers.run(&add).expect_code(0);
    }
}

/// The client, and the application, of the text with that number.
fn client(number: usize) -> String {
    format!("crowd-{}", number / PLACES)
}

fn ask(servers: &Place, client: &str, agent: &str, details: &Value) -> Response {
    Request::post(&servers.issuer, "/oauth/device_authorization")
        .form(&[
            ("client_id", client),
            ("agent_name", agent),
            ("authorization_details", &details.to_string()),
        ])
        .send()
}

fn details(task: &str, resource: &str, value: &str) -> Value {
    json!([{
        "type": "mcp_tools",
        "task": task,
        "tools": [{
            "name": "files.read_file",
            "resources": [resource],
            "args": {"path": {"exact": value}},
        }],
    }])
}

/// Asks with the text wherever a request takes it, and gives the address of the page.
fn ask_with(servers: &Place, number: usize, text: &str) -> String {
    let place = format!("files/{text}");
    let plain = format!("agent {number}");
    let attempts = [
        (text, place.as_str(), text),
        (text, "files/reports", text),
        (plain.as_str(), place.as_str(), text),
        (plain.as_str(), "files/reports", text),
        (plain.as_str(), "files/reports", "reports"),
    ];
    let mut answers = attempts.into_iter().map(|(agent, place, value)| {
        let answer = ask(
            servers,
            &client(number),
            agent,
            &details(text, place, value),
        );
        assert!([200, 400].contains(&answer.status), "{}", answer.text());
        answer
    });
    let taken = answers.find(|answer| answer.status == 200);
    let taken = taken.unwrap_or_else(|| panic!("no request takes {text:?}"));
    let address = &taken.json()["verification_uri_complete"];
    address.as_str().unwrap().to_owned()
}

/// The open page is the harmless one but for its words.
async fn is_harmless(browser: &Browser, name: &str, plain: &Value) -> Value {
    let seen = browser.evaluate(LOOK).await;
    assert_eq!(seen["harmed"], Value::Null, "{name}");
    for nothing in ["handlers", "away", "hidden"] {
        assert_eq!(seen[nothing], json!([]), "{name}: {nothing}");
    }
    for same in ["elements", "title", "decision"] {
        assert_eq!(seen[same], plain[same], "{name}: {same}");
    }
    assert_eq!(
        seen["apart"],
        json!(true),
        "{name}: directions are kept apart"
    );
    let overhang = seen["overhang"].as_i64().unwrap();
    assert!(overhang <= 0, "{name}: {overhang} pixels too wide");
    seen
}

/// The text as a page shows it where nothing in it has to be marked.
fn as_written(text: &str, shown: &str) -> bool {
    let marked = shown.contains("⟨U+");
    marked || shown == text.trim().replace("\r\n", "\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_are_shown_and_do_nothing() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let browser = approver.browser();
    browser.becomes(PHONE, false).await;
    let texts = texts();
    assert!(texts.len() >= 100, "{}", texts.len());
    make_room(&servers, texts.len());
    let harmless = ask_with(&servers, 0, "Read the reports");
    browser.goto(&harmless).await;
    let plain = browser.evaluate(LOOK).await;
    assert_eq!(plain["task"], "Read the reports");
    assert_eq!(plain["decision"], json!(["Approve what is ticked", "Deny"]));

    for (number, (name, text)) in texts.iter().enumerate() {
        let address = ask_with(&servers, number, text);
        browser.goto(&address).await;
        let seen = is_harmless(browser, name, &plain).await;
        let shown = seen["task"].as_str().unwrap();
        assert!(as_written(text, shown), "{name}: {shown}");
        let told = seen["told"].as_u64() > Some(0);
        assert!(told || !name.starts_with("look-alike"), "{name}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_hostile_requests_leads_nowhere_else() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let browser = approver.browser();
    browser.becomes(PHONE, true).await;
    let list = format!("{}/approvals", servers.issuer);
    let texts = texts();
    make_room(&servers, texts.len());
    for (number, (_, text)) in texts.iter().enumerate() {
        ask_with(&servers, number, text);
    }
    browser.goto(&list).await;
    let seen = browser.evaluate(LOOK).await;
    assert_eq!(seen["harmed"], Value::Null);
    for nothing in ["handlers", "away", "hidden"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(seen["title"], "Approvals · Bailiwick");
    assert!(seen["overhang"].as_i64().unwrap() <= 0, "{seen}");
    for element in ["script", "iframe", "style", "svg", "object", "math"] {
        let elements = seen["elements"].as_str().unwrap().split(' ');
        assert_eq!(elements.filter(|name| *name == element).count(), 0);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn task_is_taken_up_to_its_length_and_not_beyond() {
    let servers = Bailiwick::up();
    let task = |length: usize| details(&"x".repeat(length), "files/reports", "reports");
    ask(&servers, "bailiwick-cli", "a", &task(4_096)).expect_status(200);
    for length in [4_097, 10_000] {
        let refused = ask(&servers, "bailiwick-cli", "a", &task(length)).expect_status(400);
        assert_eq!(refused.json()["error"], "invalid_authorization_details");
    }
}
