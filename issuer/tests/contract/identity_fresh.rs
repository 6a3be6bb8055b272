//! A fresh sign-in of somebody who comes by a provider: one that the provider was asked for.

use serde_json::{Value, json};
use url::Url;

use crate::{
    harness::{Browser, PASSWORD, Reply, START, World},
    identity::{Lies, parameter, returns, signs_in, trusting_in},
    passkeys::{HERE, begin_adding},
};

/// Whether a page leads to signing in again, and back to the account's own page.
fn leads_there(page: &Reply) -> bool {
    let body = page.body.replace("&#38;", "&amp;");
    body.contains("href=\"/sign-in?again=true&amp;next=%2Fme\"")
}

/// Grace by the provider, of an issuer with passkeys on which she may add a first one.
async fn grace() -> (World, std::sync::Arc<Lies>, Browser) {
    let (world, _) = World::with_approver_at(HERE).await;
    let (world, lies) = trusting_in(world).await;
    let (browser, reply) = signs_in(&world, &lies).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let allowed = world.operate("/v1/accounts/grace/passkeys/allow", "").await;
    assert_eq!(allowed.status, 200, "{}", allowed.body);
    (world, lies, browser)
}

/// Goes to the provider to sign in again; what the browser is sent there with.
async fn departs_again(browser: &mut Browser, lies: &Lies) -> Url {
    let page = browser.get("/sign-in?again=true&next=%2Fme").await;
    let way = "href=\"/sign-in/identity?again=true&amp;next=%2Fme\"";
    assert!(page.body.contains(way), "{}", page.body);
    let reply = browser.get("/sign-in/identity?again=true&next=%2Fme").await;
    let address: Url = reply.location().parse().unwrap();
    *lies.nonce.lock().unwrap() = parameter(&address, "nonce");
    address
}

/// The same there and back, where the provider says this.
async fn signs_in_again(browser: &mut Browser, lies: &Lies, claims: &Value) -> Reply {
    *lies.claims.lock().unwrap() = claims.clone();
    let state = parameter(&departs_again(browser, lies).await, "state");
    returns(browser, &state, "&code=c").await
}

#[tokio::test]
async fn provider_that_knows_somebody_is_asked_to_have_them_sign_in_where_that_has_to_be_fresh() {
    let (world, lies, _) = grace().await;
    // Whatever it says unasked.
    *lies.claims.lock().unwrap() = json!({"auth_time": START});
    let (mut grace, reply) = signs_in(&world, &lies).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let stale = begin_adding(&mut grace).await;
    assert_eq!(stale.verdict(), (403, "fresh_sign_in_needed"));
    assert!(leads_there(&stale), "{}", stale.body);
    let page = grace.get("/me").await;
    assert!(leads_there(&page), "{}", page.body);

    let address = departs_again(&mut grace, &lies).await;
    assert_eq!(parameter(&address, "max_age"), "0");
    assert_eq!(parameter(&address, "prompt"), "login");
    let reply = returns(&mut grace, &parameter(&address, "state"), "&code=c").await;
    assert_eq!(reply.location(), "/me", "{}", reply.body);
    world.advance(599);
    assert_eq!(begin_adding(&mut grace).await.status, 200);
    world.advance(1);
    let stale = begin_adding(&mut grace).await;
    assert_eq!(stale.verdict(), (403, "fresh_sign_in_needed"));
}

#[tokio::test]
async fn time_of_signing_in_at_the_provider_is_there_and_of_just_now() {
    let (world, lies, mut grace) = grace().await;
    for (time, code) in [
        (json!(START), ""),
        (Value::Null, "identity_not_fresh"),
        (json!(START - 31), "identity_not_fresh"),
        (json!(START - 30), ""),
        (json!(START + 30), ""),
        (json!(START + 31), "identity_not_fresh"),
        (json!("just now"), "identity_refused"),
        (json!(-1), "identity_not_fresh"),
    ] {
        let session = grace.cookie("bailiwick_session").unwrap().to_owned();
        let claims = json!({"auth_time": time});
        let reply = signs_in_again(&mut grace, &lies, &claims).await;
        assert_eq!(reply.code(), code, "{time}: {}", reply.body);
        assert_eq!(reply.status == 303, code.is_empty(), "{time}");
        let now = grace.cookie("bailiwick_session").unwrap();
        assert_eq!(now == session, !code.is_empty(), "{time}");
        let mut record = world.record();
        record.retain(|(event, _)| event != "request_refused");
        let (event, fields) = record.pop().unwrap();
        if code.is_empty() {
            assert_eq!(event, "signed_in", "{time}");
            assert!(fields["authenticated_at"].is_string(), "{fields}");
        } else {
            assert_eq!(event, "sign_in_refused", "{time}");
        }
    }
}

#[tokio::test]
async fn time_at_the_provider_counts_from_when_it_was_asked() {
    let (world, lies, mut grace) = grace().await;
    for (time, status) in [(START, 303), (START + 301, 303), (START - 31, 403)] {
        let now = world.now().utc.unix();
        *lies.claims.lock().unwrap() = json!({"auth_time": now + time - START, "exp": now + 900});
        let address = departs_again(&mut grace, &lies).await;
        world.advance(300);
        let state = parameter(&address, "state");
        let reply = returns(&mut grace, &state, "&code=c").await;
        assert_eq!(reply.status, status, "{time}: {}", reply.body);
    }
}

#[tokio::test]
async fn ordinary_sign_in_at_the_provider_asks_for_nothing_of_that() {
    let (_world, lies, mut grace) = grace().await;
    grace.cookies.clear();
    let address = crate::identity::departs(&mut grace, &lies).await;
    let names: Vec<String> = address.query_pairs().map(|(n, _)| n.into_owned()).collect();
    assert!(!names.contains(&"max_age".to_owned()), "{names:?}");
    assert!(!names.contains(&"prompt".to_owned()), "{names:?}");
    *lies.claims.lock().unwrap() = json!({"auth_time": null});
    let reply = returns(&mut grace, &parameter(&address, "state"), "&code=c").await;
    assert_eq!(reply.status, 303, "{}", reply.body);
}

#[tokio::test]
async fn person_with_a_password_signs_in_again_without_signing_out_first() {
    let (world, mut ada) = World::with_approver_at(HERE).await;
    world.operate("/v1/accounts/ada/passkeys/allow", "").await;
    world.advance(600);
    let stale = begin_adding(&mut ada).await;
    assert_eq!(stale.verdict(), (403, "fresh_sign_in_needed"));
    assert!(leads_there(&stale), "{}", stale.body);
    assert_eq!(ada.get("/sign-in?next=%2Fme").await.location(), "/me");
    let page = ada.get("/sign-in?again=true&next=%2Fme").await;
    assert_eq!(page.status, 200);
    let csrf = page.hidden("csrf");
    let wrong = [
        ("csrf", csrf.as_str()),
        ("user_name", "ada"),
        ("password", "not this one, surely"),
        ("again", "true"),
        ("next", "/me"),
    ];
    let refused = ada.post("/sign-in", &wrong).await;
    assert!(refused.body.contains("Sign in again"), "{}", refused.body);
    let stale = begin_adding(&mut ada).await;
    assert_eq!(stale.verdict(), (403, "fresh_sign_in_needed"));
    let right = wrong.map(|(n, v)| (n, if n == "password" { PASSWORD } else { v }));
    assert_eq!(ada.post("/sign-in", &right).await.location(), "/me");
    assert_eq!(begin_adding(&mut ada).await.status, 200);
}
