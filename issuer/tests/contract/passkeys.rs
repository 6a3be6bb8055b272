//! Passkeys: registered, signed in with, and touched for one approval.

use serde_json::Value;

use crate::{
    deciding::{approval, rules},
    harness::{
        ApprovalForm, Browser, PASSWORD, Reply, World,
        authenticator::{Authenticator, PRESENT, VERIFIED},
    },
};

pub(crate) const HERE: &str = "http://localhost:8400";
const RULE: &str = "passkey access=write";

pub(crate) async fn begin_adding(browser: &mut Browser) -> Reply {
    browser.send("/me/passkeys/begin", &[]).await
}

/// Adds a first passkey.
pub(crate) async fn add(browser: &mut Browser, passkey: &mut Authenticator, name: &str) -> Reply {
    add_by(browser, passkey, name, None).await
}

/// Adds a passkey that another one confirms, if one does.
pub(crate) async fn add_by(
    browser: &mut Browser,
    passkey: &mut Authenticator,
    name: &str,
    confirming: Option<&mut Authenticator>,
) -> Reply {
    let begun = begin_adding(browser).await;
    if begun.status != 200 {
        return begun;
    }
    let begun = begun.json();
    let answer = passkey.registers(&begun["create"]);
    let touch = confirming.map(|confirming| confirming.signs(&begun["touch"]));
    let mut fields = vec![("name", name), ("passkey", answer.as_str())];
    fields.extend(touch.as_ref().map(|touch| ("touch", touch.as_str())));
    browser.send("/me/passkeys", &fields).await
}

/// An issuer under the rule, and `ada` with a passkey.
pub(crate) async fn touching() -> (World, Browser, Authenticator) {
    let (world, mut ada) = World::with_approver_at(HERE).await;
    rules(&world, &[RULE]).await;
    let mut passkey = Authenticator::new(7, HERE);
    let added = add(&mut ada, &mut passkey, "Phone").await;
    assert_eq!(added.location(), "/me", "{}", added.body);
    (world, ada, passkey)
}

/// The challenge for a form as it stands.
pub(crate) async fn challenge(browser: &mut Browser, form: &ApprovalForm) -> Value {
    let fields: Vec<(&str, &str)> = form.fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    let reply = browser
        .post(&format!("{}/passkey", form.path), &fields)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["passkey"].clone()
}

pub(crate) async fn touched(
    browser: &mut Browser,
    form: &ApprovalForm,
    passkey: &mut Authenticator,
) -> ApprovalForm {
    let options = challenge(browser, form).await;
    form.clone().with("passkey", &passkey.signs(&options))
}

pub(crate) async fn signs_in(
    world: &World,
    passkey: &mut Authenticator,
) -> (Browser, Reply, String) {
    let mut browser = world.browser();
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let begun = browser
        .post("/sign-in/passkey/begin", &[("csrf", csrf.as_str())])
        .await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    let answer = passkey.signs(&begun.json());
    let reply = browser
        .post(
            "/sign-in/passkey",
            &[("csrf", csrf.as_str()), ("passkey", &answer)],
        )
        .await;
    (browser, reply, answer)
}

#[tokio::test]
async fn passkey_signs_in_and_confirms_an_approval_and_the_record_says_so() {
    let (world, mut ada, mut passkey) = touching().await;
    let page = ada.get("/me").await.body;
    assert!(
        page.contains("Phone") && page.contains("not used yet"),
        "{page}"
    );
    let (mut browser, reply, _) = signs_in(&world, &mut passkey).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let asked = world.asked().await;
    let form = approval(&mut browser, &asked).await;
    assert!(form.page.contains("/assets/passkeys.js"), "{}", form.page);
    let form = touched(&mut browser, &form, &mut passkey).await;
    assert_eq!(browser.submit(&form).await.status, 303);
    assert_eq!(world.poll(&asked).await.status, 200);
    assert!(!browser.get("/me").await.body.contains("not used yet"));
    let record = world.record();
    let of = |event: &str| record.iter().rfind(|(e, _)| e == event).unwrap().1.clone();
    let id = of("passkey_registered")["passkey"].clone();
    assert!(id.as_str().unwrap().starts_with("pky_"));
    assert_eq!(of("signed_in")["passkey"], id);
    assert_eq!(of("request_approved")["passkey"], id);
}

#[tokio::test]
async fn approval_under_the_rule_takes_a_touch_and_any_other_does_not() {
    let (world, mut ada, mut passkey) = touching().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    assert_eq!(ada.submit(&form).await.verdict(), (403, "passkey_needed"));
    let nonsense = form.clone().with("passkey", "{}");
    assert_eq!(
        ada.submit(&nonsense).await.verdict(),
        (400, "malformed_form")
    );
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
    let reading = form.clone().without("tool", "files.write_file");
    assert_eq!(challenge(&mut ada, &reading).await, Value::Null);
    let deny = form.clone().set("csrf", &ada.csrf().await);
    let good = touched(&mut ada, &deny, &mut passkey).await;
    assert_eq!(ada.submit(&good).await.status, 303);
    let other = world.asked().await;
    let reading = approval(&mut ada, &other)
        .await
        .without("tool", "files.write_file");
    assert_eq!(ada.submit(&reading).await.status, 303);
}

#[tokio::test]
async fn touch_confirms_that_request_that_choice_and_those_words_alone() {
    let (world, mut ada, mut passkey) = touching().await;
    let (one, other) = (world.asked().await, world.asked().await);
    let form = approval(&mut ada, &one).await;
    let options = challenge(&mut ada, &form).await;
    let answer = passkey.signs(&options);
    let elsewhere = approval(&mut ada, &other).await;
    for changed in [
        elsewhere,
        form.clone().set("duration", "5m"),
        form.clone().without("resource", "files.read_file#1"),
        form.clone().with("instructions", "Be brief."),
    ] {
        let sent = changed.with("passkey", &answer);
        let refused = ada.submit(&sent).await;
        assert_eq!(
            refused.verdict(),
            (403, "passkey_refused"),
            "{}",
            refused.body
        );
    }
    let refused = world.record().into_iter().rev().nth(1).unwrap();
    assert_eq!(refused.0, "passkey_refused");
    assert_eq!(refused.1["by"], "ada");
    let good = form.clone().with("passkey", &answer);
    assert_eq!(ada.submit(&good).await.status, 303, "as it was touched for");
    assert_eq!(ada.submit(&good).await.verdict(), (409, "already_approved"));
}

#[tokio::test]
async fn touch_of_somebody_elses_passkey_confirms_nothing() {
    let (world, mut ada, _) = touching().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let mut theirs = Authenticator::new(9, HERE);
    assert_eq!(add(&mut bob, &mut theirs, "Key").await.location(), "/me");
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    let form = touched(&mut ada, &form, &mut theirs).await;
    assert_eq!(ada.submit(&form).await.verdict(), (403, "passkey_refused"));
    // Nor does a challenge of one count for the other.
    let mine = approval(&mut ada, &asked).await;
    let options = challenge(&mut ada, &mine).await;
    let theirs = approval(&mut bob, &asked)
        .await
        .with("passkey", &theirs.signs(&options));
    assert_eq!(
        bob.submit(&theirs).await.verdict(),
        (403, "passkey_refused")
    );
}

#[tokio::test]
async fn each_of_two_approvers_touches_a_passkey_of_their_own() {
    let (world, mut ada, mut passkey) = touching().await;
    rules(&world, &[RULE, "two-approvers access=write"]).await;
    let mut bob = world.approver("bob", &["default"]).await;
    let mut theirs = Authenticator::new(9, HERE);
    add(&mut bob, &mut theirs, "Key").await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    let form = touched(&mut ada, &form, &mut passkey).await;
    assert_eq!(ada.submit(&form).await.status, 303);
    let second = approval(&mut bob, &asked).await;
    assert_eq!(bob.submit(&second).await.verdict(), (403, "passkey_needed"));
    let second = touched(&mut bob, &second, &mut theirs).await;
    assert_eq!(bob.submit(&second).await.status, 303);
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn answer_that_differs_in_one_thing_is_refused() {
    let (world, mut ada, passkey) = touching().await;
    type Change = fn(&mut Authenticator);
    let changes: [(&str, Change); 9] = [
        ("nothing", |_| ()),
        ("another origin", |p| {
            p.origin = "http://localhost:8401".to_owned()
        }),
        ("another scheme", |p| {
            p.origin = "https://localhost:8400".to_owned()
        }),
        ("another party", |p| p.party = "example.org".to_owned()),
        ("nobody there", |p| p.flags = VERIFIED),
        ("not verified", |p| p.flags = PRESENT),
        ("another purpose", |p| p.kind = "webauthn.create"),
        ("another key", |p| p.signs_with_key(8)),
        ("unknown", |p| p.id = vec![1; 32]),
    ];
    for (what, change) in changes {
        let asked = world.asked().await;
        let form = approval(&mut ada, &asked).await;
        let mut changed = passkey.clone();
        // Whatever is tried, the counter is ahead of what was seen.
        changed.count = 1_000;
        change(&mut changed);
        if what == "nothing" {
            changed.count = 0;
        }
        let sent = touched(&mut ada, &form, &mut changed).await;
        let reply = ada.submit(&sent).await;
        if what == "nothing" {
            assert_eq!(reply.status, 303, "{}", reply.body);
        } else {
            assert_eq!(reply.status, 403, "{what}: {}", reply.body);
            assert_eq!(reply.code(), "passkey_refused", "{what}");
        }
    }
}

#[tokio::test]
async fn counter_that_does_not_go_up_is_a_copy() {
    let (world, _ada, mut passkey) = touching().await;
    passkey.count = 10;
    assert_eq!(signs_in(&world, &mut passkey).await.1.status, 303);
    for count in [3, 10] {
        let mut copy = passkey.clone();
        copy.count = count;
        let (_, refused, _) = signs_in(&world, &mut copy).await;
        assert_eq!(refused.verdict(), (403, "passkey_refused"), "{count}");
        assert!(refused.body.contains("counter"), "{}", refused.body);
    }
    passkey.count = 11;
    assert_eq!(signs_in(&world, &mut passkey).await.1.status, 303);
}

#[tokio::test]
async fn answer_signs_in_once_in_the_browser_that_was_asked_and_not_for_long() {
    let (world, _ada, mut passkey) = touching().await;
    let (mut browser, reply, answer) = signs_in(&world, &mut passkey).await;
    assert_eq!(reply.status, 303);
    let signed_out = browser.send("/sign-out", &[]).await;
    assert_eq!(signed_out.status, 303);
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    let fields = [("csrf", csrf.as_str()), ("passkey", answer.as_str())];
    let again = browser.post("/sign-in/passkey", &fields).await;
    assert_eq!(again.verdict(), (403, "passkey_refused"));

    for (wait, status) in [(119, 303), (120, 403)] {
        let mut browser = world.browser();
        let csrf = browser.get("/sign-in").await.hidden("csrf");
        let begun = browser
            .post("/sign-in/passkey/begin", &[("csrf", csrf.as_str())])
            .await;
        let answer = passkey.signs(&begun.json());
        let mut other = world.browser();
        let theirs = other.get("/sign-in").await.hidden("csrf");
        let planted = [("csrf", theirs.as_str()), ("passkey", answer.as_str())];
        let planted = other.post("/sign-in/passkey", &planted).await;
        assert_eq!(planted.verdict(), (403, "passkey_refused"));
        world.advance(wait);
        let fields = [("csrf", csrf.as_str()), ("passkey", answer.as_str())];
        let reply = browser.post("/sign-in/passkey", &fields).await;
        assert_eq!(reply.status, status, "{wait}");
    }
}

#[tokio::test]
async fn removed_passkey_and_one_of_a_disabled_account_count_no_more() {
    let (world, mut ada, mut passkey) = touching().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    let form = touched(&mut ada, &form, &mut passkey).await;
    let page = ada.get("/me").await.body;
    let (_, rest) = page.split_once("action=\"/me/passkeys/pky_").unwrap();
    let path = format!("/me/passkeys/pky_{}", rest.split_once('"').unwrap().0);
    let mut bob = world.approver("bob", &["default"]).await;
    assert_eq!(
        bob.send(&path, &[]).await.verdict(),
        (404, "passkey_not_found")
    );
    assert_eq!(ada.send(&path, &[]).await.status, 303);
    assert_eq!(ada.submit(&form).await.verdict(), (403, "passkey_refused"));
    let (_, refused, _) = signs_in(&world, &mut passkey).await;
    assert_eq!(refused.verdict(), (403, "passkey_refused"));

    let mut theirs = Authenticator::new(9, HERE);
    add(&mut bob, &mut theirs, "Key").await;
    assert_eq!(signs_in(&world, &mut theirs).await.1.status, 303);
    world.operate("/v1/accounts/bob/disable", "").await;
    let (_, refused, _) = signs_in(&world, &mut theirs).await;
    assert_eq!(refused.verdict(), (403, "passkey_refused"));
}

#[tokio::test]
async fn registering_takes_a_fresh_sign_in_a_name_and_room() {
    let (world, mut ada) = World::with_approver_at(HERE).await;
    world.advance(599);
    for bad in ["", " ", &"x".repeat(65)] {
        let mut passkey = Authenticator::new(7, HERE);
        let refused = add(&mut ada, &mut passkey, bad).await;
        assert_eq!(refused.verdict(), (422, "invalid_passkey"), "{bad:?}");
    }
    let mut first = Authenticator::new(1, HERE);
    let added = add(&mut ada, &mut first, &"x".repeat(64)).await;
    assert_eq!(added.location(), "/me", "{}", added.body);
    world.advance(1);
    let stale = begin_adding(&mut ada).await;
    assert_eq!(stale.verdict(), (403, "fresh_sign_in_needed"));
    assert!(ada.get("/me").await.body.contains("id=\"sign-in-again\""));
    ada.cookies.clear();
    ada.sign_in("ada", PASSWORD).await;
    for seed in 2..=16 {
        let mut passkey = Authenticator::new(seed, HERE);
        let added = add_by(&mut ada, &mut passkey, "Key", Some(&mut first)).await;
        assert_eq!(added.location(), "/me", "{seed}: {}", added.body);
    }
    let over = begin_adding(&mut ada).await;
    assert_eq!(over.verdict(), (422, "invalid_passkey"));
}

#[tokio::test]
async fn registration_counts_once_in_its_browser_and_only_with_a_verified_user() {
    let (world, mut ada) = World::with_approver_at(HERE).await;
    let options = begin_adding(&mut ada).await.json();
    let mut passkey = Authenticator::new(7, HERE);
    let answer = passkey.registers(&options["create"]);
    let fields = [("name", "Phone"), ("passkey", answer.as_str())];
    let mut bob = world.approver("bob", &["default"]).await;
    assert_eq!(
        bob.send("/me/passkeys", &fields).await.verdict(),
        (403, "passkey_refused")
    );
    let mut careless = Authenticator::new(8, HERE);
    careless.flags = PRESENT;
    assert_eq!(
        add(&mut ada, &mut careless, "Careless").await.verdict(),
        (403, "passkey_refused")
    );
    assert_eq!(ada.send("/me/passkeys", &fields).await.status, 303);
    assert_eq!(
        ada.send("/me/passkeys", &fields).await.verdict(),
        (403, "passkey_refused")
    );
    let mut same = passkey.clone();
    let again = add_by(&mut ada, &mut same, "Again", Some(&mut passkey)).await;
    assert_eq!(again.verdict(), (422, "invalid_passkey"), "the same");
}

#[tokio::test]
async fn issuer_that_is_reached_by_an_address_has_no_passkeys_and_says_so() {
    let (world, mut ada) = World::with_approver().await;
    assert!(ada.get("/me").await.body.contains("id=\"no-passkeys\""));
    let begun = begin_adding(&mut ada).await;
    assert_eq!(begun.verdict(), (404, "passkeys_unavailable"));
    rules(&world, &[RULE]).await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    assert_eq!(ada.submit(&form).await.verdict(), (403, "passkey_needed"));
}

#[tokio::test]
async fn script_is_our_own_file_and_inline_script_stays_forbidden() {
    let (_world, mut ada) = World::with_approver_at(HERE).await;
    let page = ada.get("/me").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let other = ada.get("/sessions").await;
    let policy = other.header("content-security-policy");
    assert!(!policy.contains("script-src"), "{policy}");
    let script = ada.get("/assets/passkeys.js").await;
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
}

#[tokio::test]
async fn new_link_for_somebody_who_lost_the_password_takes_the_passkeys_as_well() {
    let (world, _, mut passkey) = touching().await;
    let (_, reply, _) = signs_in(&world, &mut passkey).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let relinked = world.operate("/v1/accounts/ada/link", "").await.json();
    let link = relinked["set_up_link"].as_str().unwrap();
    let link = link.strip_prefix(HERE).unwrap();
    let (_, reply, _) = signs_in(&world, &mut passkey).await;
    assert_eq!(reply.status, 303, "until the link is used");
    let mut ada = world.browser();
    assert_eq!(ada.accept(link, PASSWORD).await.status, 303);
    let (_, reply, _) = signs_in(&world, &mut passkey).await;
    assert_ne!(reply.status, 303, "{}", reply.body);
    let record = world.record();
    let accepted = record
        .iter()
        .rfind(|(event, _)| event == "invitation_accepted");
    assert_eq!(accepted.unwrap().1["passkeys_removed"], 1);
}
