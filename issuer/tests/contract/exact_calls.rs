//! Exact calls: asked for with their arguments, shown harmlessly, granted one by one.

use bailiwick_datalog::{CallDigest, Caveat, Chain, token_text};
use serde_json::{Value, json};

use crate::{
    deciding::rules,
    harness::{Browser, World, details},
};

const TOOL: &str = "files.delete_file";

fn arguments(path: &str) -> Value {
    json!({"path": path})
}

fn call(path: &str) -> Value {
    json!({"name": TOOL, "arguments": arguments(path)})
}

fn asking(calls: &[Value]) -> Value {
    let mut details = details();
    details[0]["tools"] = json!([{"name": TOOL, "resources": ["files"]}]);
    details[0]["calls"] = json!(calls);
    details
}

async fn asked(world: &World, details: &Value) -> Value {
    let reply = world.ask(details).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn refused(world: &World, details: &Value) -> (String, String) {
    let reply = world.ask(details).await;
    let error = reply.oauth().1;
    let why = reply.json()["error_description"].to_string();
    (error, why)
}

/// The digests that the token of an approved request lists.
async fn minted(world: &World, asked: &Value) -> (Value, Vec<CallDigest>) {
    let reply = world.poll(asked).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = reply.json();
    let bytes = token_text::decode(reply["access_token"].as_str().unwrap()).unwrap();
    let chain = Chain::decode_unverified(&bytes).unwrap();
    let limits = chain.authority().limits.iter();
    let calls = limits.filter_map(|limit| match &limit.caveat {
        Caveat::ExactCalls(calls) => Some(calls.clone()),
        _ => None,
    });
    (reply.clone(), calls.flatten().collect())
}

fn digest(path: &str) -> CallDigest {
    let arguments = arguments(path);
    CallDigest::new(&TOOL.parse().unwrap(), arguments.as_object().unwrap()).unwrap()
}

#[tokio::test]
async fn calls_are_shown_approved_and_minted_by_their_digests() {
    let (world, mut browser) = World::with_approver().await;
    let calls = [
        call("reports/a.md"),
        call("reports/b.md"),
        call("reports/a.md"),
    ];
    let asked = asked(&world, &asking(&calls)).await;
    let page = browser.open(&asked).await.page;
    assert!(page.contains("Exactly these calls, each once"), "{page}");
    assert!(!page.contains("With any arguments"), "{page}");
    assert_eq!(page.matches("&#34;reports/a.md&#34;").count(), 2, "{page}");
    let session = browser.approve(&asked).await;
    let (reply, digests) = minted(&world, &asked).await;
    assert_eq!(reply["authorization_details"][0]["calls"], json!(calls));
    let [a, b] = [digest("reports/a.md"), digest("reports/b.md")];
    assert_eq!(digests, [a, b, a]);
    let one = browser.get(&format!("/sessions/{session}")).await.body;
    assert!(one.contains("reports/b.md"), "{one}");
    let record = world.record();
    let approved = record.iter().find(|(event, _)| event == "request_approved");
    assert_eq!(approved.unwrap().1["exact_calls"], json!([a, b, a]));
}

#[tokio::test]
async fn a_call_can_be_removed_and_none_be_added() {
    let (world, mut browser) = World::with_approver().await;
    let calls = [call("reports/a.md"), call("reports/b.md")];
    let asked = asked(&world, &asking(&calls)).await;
    let form = browser.open(&asked).await.with("decision", "approve");
    let added = form.clone().with("call", "files.delete_file#2");
    let reply = browser.submit(&added).await;
    assert_eq!(reply.verdict(), (422, "approval_widened"));
    let none = form
        .clone()
        .without("call", "files.delete_file#0")
        .without("call", "files.delete_file#1");
    assert_eq!(
        browser.submit(&none).await.verdict(),
        (422, "approval_empty")
    );
    let one = form.without("call", "files.delete_file#0");
    assert_eq!(browser.submit(&one).await.status, 303);
    let (reply, digests) = minted(&world, &asked).await;
    assert_eq!(digests, [digest("reports/b.md")]);
    let granted = &reply["authorization_details"][0]["calls"];
    assert_eq!(*granted, json!([call("reports/b.md")]));
}

#[tokio::test]
async fn calls_that_cannot_be_granted_are_refused_with_the_reason() {
    let world = World::new().await;
    let error = "invalid_authorization_details".to_owned();
    let bytes = |length: usize| call(&"a".repeat(length));
    // `{"path":""}` takes eleven bytes.
    let most = 32 * 1024 - 11;
    for (calls, why) in [
        (vec![json!({"name": "files.read_file"})], "not among"),
        (
            vec![json!({"name": TOOL, "arguments": {"n": 9_007_199_254_740_993_i64}})],
            "RFC 8785",
        ),
        (vec![json!({"name": TOOL, "args": {}})], "unknown field"),
        (vec![json!({"name": TOOL, "arguments": []})], "invalid type"),
        (vec![call("a"); 33], "33 exact calls"),
        (vec![bytes(most + 1)], "bytes of arguments"),
    ] {
        let refused = refused(&world, &asking(&calls)).await;
        assert_eq!(refused.0, error, "{calls:?}");
        assert!(refused.1.contains(why), "{why}: {}", refused.1);
    }
    for calls in [vec![call("a"); 32], vec![bytes(most)]] {
        asked(&world, &asking(&calls)).await;
    }
}

#[tokio::test]
async fn hostile_arguments_are_shown_harmlessly_and_minted_as_they_are() {
    let (world, mut browser) = World::with_approver().await;
    let hostile = "<script>alert(1)</script>\u{202e}gpj.exe\u{200b}\u{0}\u{e0041}\\u202e\"";
    let asked = asked(&world, &asking(&[call(hostile)])).await;
    let page = browser.open(&asked).await.page;
    assert!(!page.contains("<script"), "{page}");
    for hidden in ['\u{202e}', '\u{200b}', '\u{0}', '\u{e0041}'] {
        assert!(!page.contains(hidden), "{hidden:?}");
    }
    // What hides is written as JSON escapes it, and a text that looks like that is told apart.
    let shown =
        "alert(1)&#60;/script&#62;\\u202egpj.exe\\u200b\\u0000\\udb40\\udc41\\\\u202e\\&#34;";
    assert!(page.contains(shown), "{page}");
    browser.approve(&asked).await;
    assert_eq!(minted(&world, &asked).await.1, [digest(hostile)]);
}

#[tokio::test]
async fn a_rule_demands_exact_calls_for_what_falls_under_it() {
    let (world, mut browser) = World::with_approver().await;
    rules(
        &world,
        &["exact-calls access=destructive resource=files/hr"],
    )
    .await;
    let mut any = asking(&[]);
    any[0].as_object_mut().unwrap().remove("calls");
    let request = asked(&world, &any).await;
    let form = browser.open(&request).await.with("decision", "approve");
    assert!(
        form.page.contains("granted only for exact calls"),
        "{}",
        form.page
    );
    let reply = browser.submit(&form).await;
    assert_eq!(reply.verdict(), (422, "exact_calls_demanded"));
    // Narrowed to where the rule does not reach, any call may be granted.
    let beside = form.set("path.files.delete_file#0", "files/tmp");
    assert_eq!(browser.submit(&beside).await.status, 303);

    let exact = asked(&world, &asking(&[call("hr/a.md")])).await;
    browser.approve(&exact).await;
    assert_eq!(minted(&world, &exact).await.1, [digest("hr/a.md")]);
}

async fn approve(browser: &mut Browser, asked: &Value, drop: Option<&str>) -> u16 {
    let form = browser.open(asked).await.with("decision", "approve");
    let form = match drop {
        Some(call) => form.without("call", call),
        None => form,
    };
    browser.submit(&form).await.status.as_u16()
}

#[tokio::test]
async fn the_second_approver_starts_from_the_calls_that_the_first_kept() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.approver("bob", &["default"]).await;
    rules(&world, &["two-approvers access=destructive"]).await;
    let calls = [call("reports/a.md"), call("reports/b.md")];
    let asked = asked(&world, &asking(&calls)).await;
    assert_eq!(
        approve(&mut ada, &asked, Some("files.delete_file#0")).await,
        303
    );
    let form = bob.open(&asked).await;
    let ticked: Vec<_> = form
        .fields
        .iter()
        .filter(|(name, _)| name == "call")
        .collect();
    assert_eq!(
        ticked,
        [&("call".to_owned(), "files.delete_file#1".to_owned())]
    );
    let wider = form.clone().with("call", "files.delete_file#0");
    let reply = bob.submit(&wider.with("decision", "approve")).await;
    assert_eq!(reply.verdict(), (422, "approval_widened"));
    assert_eq!(
        bob.submit(&form.with("decision", "approve")).await.status,
        303
    );
    assert_eq!(minted(&world, &asked).await.1, [digest("reports/b.md")]);
}

#[tokio::test]
async fn call_with_a_number_that_has_no_canonical_form_is_refused_and_hides_nothing() {
    let (world, mut browser) = World::with_approver().await;
    let with = |number: &str| {
        let call = format!(r#"{{"name": "{TOOL}", "arguments": {{"path": "a", "n": {number}}}}}"#);
        asking(&[serde_json::from_str(&call).unwrap()])
    };
    for good in ["0.5", "9007199254740991", "1e15", "1e300"] {
        asked(&world, &with(good)).await;
    }
    for bad in ["9007199254740992", "9007199254740992.0", "1e16", "1e20"] {
        let (error, _) = refused(&world, &with(bad)).await;
        assert_eq!(error, "invalid_authorization_details", "{bad}");
    }
    let list = browser.get("/approvals").await;
    assert_eq!(list.status, 200, "{}", list.body);
    assert!(list.body.contains(TOOL), "{}", list.body);
}
