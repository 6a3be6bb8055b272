//! By what a passkey comes to count: never by the password alone.

use serde_json::{Value, json};

use crate::{
    deciding::approval,
    harness::{Browser, PASSWORD, World, authenticator::Authenticator},
    passkeys::{HERE, add, add_by, begin_adding, challenge, touched, touching},
};

const LINK: &str = "/v1/accounts/ada/link";
const ALLOW: &str = "/v1/accounts/ada/passkeys/allow";

/// Ada in another browser, by her password alone.
async fn with_the_password(world: &World) -> Browser {
    let mut browser = world.browser();
    let reply = browser.sign_in("ada", PASSWORD).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    browser
}

/// An issuer on which nobody has a passkey, long after its set-up.
async fn without_passkeys() -> (World, Browser) {
    let (world, _) = World::with_approver_at(HERE).await;
    world.advance(24 * 60 * 60);
    let browser = with_the_password(&world).await;
    (world, browser)
}

fn last(world: &World, event: &str) -> Value {
    let record = world.record();
    record.iter().rfind(|(e, _)| e == event).unwrap().1.clone()
}

#[tokio::test]
async fn rule_that_demands_a_passkey_is_not_satisfied_by_the_password_alone() {
    let (world, _ada, mut passkey) = touching().await;
    let asked = world.asked().await;
    let mut thief = with_the_password(&world).await;
    let mut theirs = Authenticator::new(9, HERE);
    let added = add(&mut thief, &mut theirs, "Mine").await;
    assert_eq!(added.verdict(), (403, "passkey_needed"));
    let form = approval(&mut thief, &asked).await;
    let form = touched(&mut thief, &form, &mut theirs).await;
    assert_eq!(
        thief.submit(&form).await.verdict(),
        (403, "passkey_refused")
    );
    // With the passkey that is there all of it goes.
    let added = add_by(&mut thief, &mut theirs, "Mine", Some(&mut passkey)).await;
    assert_eq!(added.location(), "/me", "{}", added.body);
    let form = approval(&mut thief, &asked).await;
    let form = touched(&mut thief, &form, &mut theirs).await;
    assert_eq!(thief.submit(&form).await.status, 303);
}

#[tokio::test]
async fn further_passkey_names_in_the_record_the_one_that_confirmed_it() {
    let (world, mut ada, mut passkey) = touching().await;
    let first = last(&world, "passkey_registered");
    assert_eq!(first["allowed_by"], "its one-time link");
    let mut second = Authenticator::new(9, HERE);
    let added = add_by(&mut ada, &mut second, "Key", Some(&mut passkey)).await;
    assert_eq!(added.location(), "/me", "{}", added.body);
    let registered = last(&world, "passkey_registered");
    assert_eq!(registered["confirmed_by"], first["passkey"]);
    assert_eq!(registered["allowed_by"], Value::Null);
}

#[tokio::test]
async fn touch_confirms_the_registration_it_was_asked_for_and_no_other() {
    let (world, mut ada, mut passkey) = touching().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    let approving = passkey.signs(&challenge(&mut ada, &form).await);

    let earlier = begin_adding(&mut ada).await.json();
    let begun = begin_adding(&mut ada).await.json();
    let mut new = Authenticator::new(9, HERE);
    let answer = new.registers(&begun["create"]);
    let good = passkey.signs(&begun["touch"]);
    for (what, touch, verdict) in [
        ("nothing", None, (403, "passkey_needed")),
        ("no answer", Some("x".to_owned()), (400, "malformed_form")),
        (
            "another registration",
            Some(passkey.signs(&earlier["touch"])),
            (403, "passkey_refused"),
        ),
        ("an approval", Some(approving), (403, "passkey_refused")),
        ("the one asked for", Some(good.clone()), (303, "")),
        ("once more", Some(good), (403, "passkey_refused")),
    ] {
        let mut fields = vec![("name", "New"), ("passkey", answer.as_str())];
        fields.extend(touch.as_ref().map(|touch| ("touch", touch.as_str())));
        let reply = ada.send("/me/passkeys", &fields).await;
        assert_eq!(reply.verdict(), verdict, "{what}: {}", reply.body);
    }
}

#[tokio::test]
async fn touch_of_another_passkey_than_the_accounts_own_uses_the_registration_up_on_the_record() {
    let (world, mut ada, mut passkey) = touching().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let mut of_bob = Authenticator::new(11, HERE);
    assert_eq!(add(&mut bob, &mut of_bob, "Key").await.location(), "/me");
    for is_bobs in [true, false] {
        let begun = begin_adding(&mut ada).await.json();
        let mut new = Authenticator::new(9, HERE);
        let answer = new.registers(&begun["create"]);
        let other = if is_bobs { &mut of_bob } else { &mut new };
        let touch = other.signs(&begun["touch"]);
        let right = passkey.signs(&begun["touch"]);
        for touch in [&touch, &touch, &right] {
            let fields = [
                ("name", "New"),
                ("passkey", answer.as_str()),
                ("touch", touch.as_str()),
            ];
            let refused = ada.send("/me/passkeys", &fields).await;
            assert_eq!(refused.verdict(), (403, "passkey_refused"), "{is_bobs}");
        }
        let refused = last(&world, "passkey_refused");
        assert_eq!(
            (&refused["by"], &refused["adding"]),
            (&json!("ada"), &json!(true))
        );
    }
    let record = world.record();
    let refused = record
        .iter()
        .filter(|(event, _)| event == "passkey_refused");
    assert_eq!(refused.count(), 2, "one for each registration");
    let mut new = Authenticator::new(9, HERE);
    let added = add_by(&mut ada, &mut new, "New", Some(&mut passkey)).await;
    assert_eq!(added.location(), "/me", "{}", added.body);
}

#[tokio::test]
async fn first_passkey_is_added_in_the_browser_that_used_the_link_and_in_no_other() {
    let (world, mut ada) = World::with_approver_at(HERE).await;
    let mut other = with_the_password(&world).await;
    let refused = begin_adding(&mut other).await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"));
    let page = other.get("/me").await.body;
    assert!(page.contains("id=\"passkey-not-allowed\""), "{page}");
    let mut passkey = Authenticator::new(7, HERE);
    assert_eq!(add(&mut ada, &mut passkey, "Phone").await.location(), "/me");

    // A new link takes the passkeys, and lets the browser that uses it add one.
    let relinked = world.operate(LINK, "").await.json();
    let link = relinked["set_up_link"].as_str().unwrap();
    let mut ada = world.browser();
    let link = link.strip_prefix(HERE).unwrap();
    assert_eq!(ada.accept(link, PASSWORD).await.status, 303);
    let mut other = with_the_password(&world).await;
    let refused = begin_adding(&mut other).await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"));
    let added = add(&mut ada, &mut passkey, "Phone").await;
    assert_eq!(added.location(), "/me", "{}", added.body);
}

#[tokio::test]
async fn word_for_a_first_passkey_is_good_once_and_for_an_hour() {
    let (world, mut ada) = without_passkeys().await;
    let mut passkey = Authenticator::new(7, HERE);
    let refused = add(&mut ada, &mut passkey, "Phone").await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"));
    for (wait, verdict) in [(3_600, (403, "passkey_not_allowed")), (3_599, (303, ""))] {
        assert_eq!(world.operate(ALLOW, "").await.status, 200);
        world.advance(wait);
        let mut ada = with_the_password(&world).await;
        let reply = add(&mut ada, &mut passkey, "Phone").await;
        assert_eq!(reply.verdict(), verdict, "{wait}: {}", reply.body);
    }
    assert_eq!(last(&world, "passkey_registered")["allowed_by"], "operator");
    let mut ada = with_the_password(&world).await;
    let id = last(&world, "passkey_registered")["passkey"].clone();
    let path = format!("/me/passkeys/{}/remove", id.as_str().unwrap());
    assert_eq!(ada.send(&path, &[]).await.status, 303);
    let refused = add(&mut ada, &mut passkey, "Phone").await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"), "once");
}

#[tokio::test]
async fn word_that_was_used_between_begin_and_end_counts_no_more() {
    let (world, mut ada) = without_passkeys().await;
    world.operate(ALLOW, "").await;
    let mut other = with_the_password(&world).await;
    let begun = begin_adding(&mut other).await.json();
    let mut theirs = Authenticator::new(9, HERE);
    let answer = theirs.registers(&begun["create"]);
    let mut passkey = Authenticator::new(7, HERE);
    assert_eq!(add(&mut ada, &mut passkey, "Phone").await.location(), "/me");
    let fields = [("name", "Mine"), ("passkey", answer.as_str())];
    let refused = other.send("/me/passkeys", &fields).await;
    assert_eq!(refused.verdict(), (403, "passkey_needed"));
}

#[tokio::test]
async fn disabling_an_account_takes_the_word_back() {
    let (world, _) = without_passkeys().await;
    world.person("olga", &["admin"]).await;
    world.operate(ALLOW, "").await;
    for action in ["disable", "enable"] {
        let path = format!("/v1/accounts/ada/{action}");
        assert_eq!(world.operate(&path, "").await.status, 200);
    }
    let mut ada = with_the_password(&world).await;
    let refused = begin_adding(&mut ada).await;
    assert_eq!(refused.verdict(), (403, "passkey_not_allowed"));
    world.operate(ALLOW, "").await;
    assert_eq!(begin_adding(&mut ada).await.status, 200);
}
