//! What crowds can do to passkeys: to themselves alone, and hardly anything to the record.

use serde_json::Value;

use crate::{
    deciding::approval,
    failing_store::{connect, tamper},
    harness::{Browser, Reply, World, authenticator::Authenticator},
    passkeys::{HERE, add, begin_adding, challenge, signs_in, touched, touching},
};

/// As many browsers on their way to sign in as there is room for.
const CROWD: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO passkey_challenges (challenge, purpose, owner, bound_to, state, expires_at)
    SELECT randomblob(16), 'sign_in', randomblob(32), randomblob(32), x'00', 9000000000 FROM n";

/// A browser on its way to sign in, with the token of its forms.
async fn visitor(world: &World) -> (Browser, String) {
    let mut browser = world.browser();
    let csrf = browser.get("/sign-in").await.hidden("csrf");
    (browser, csrf)
}

async fn begins(browser: &mut Browser, csrf: &str) -> Reply {
    browser
        .post("/sign-in/passkey/begin", &[("csrf", csrf)])
        .await
}

async fn answers(browser: &mut Browser, csrf: &str, answer: &str) -> Reply {
    let fields = [("csrf", csrf), ("passkey", answer)];
    browser.post("/sign-in/passkey", &fields).await
}

async fn under_way(world: &World, purpose: &str) -> i64 {
    let pool = connect(world).await;
    let sql = "SELECT count(*) FROM passkey_challenges WHERE purpose = ?";
    let count = sqlx::query_scalar(sql).bind(purpose).fetch_one(&pool).await;
    pool.close().await;
    count.unwrap()
}

fn refusals(world: &World) -> usize {
    let record = world.record();
    let such = record
        .iter()
        .filter(|(event, _)| event == "sign_in_refused");
    such.count()
}

#[tokio::test]
async fn crowd_that_signs_in_stops_no_approval_no_registration_and_nobody_who_comes_after_it() {
    let (world, mut ada, mut passkey) = touching().await;
    let asked = world.asked().await;
    let form = approval(&mut ada, &asked).await;
    let before = touched(&mut ada, &form, &mut passkey).await;
    let (mut early, csrf) = visitor(&world).await;
    let begun = begins(&mut early, &csrf).await.json();
    tamper(&world, CROWD).await;

    assert_eq!(begin_adding(&mut ada).await.status, 200);
    let other = world.asked().await;
    let form = approval(&mut ada, &other).await;
    let after = touched(&mut ada, &form, &mut passkey).await;
    assert_eq!(ada.submit(&before).await.status, 303);
    assert_eq!(ada.submit(&after).await.status, 303);

    assert_eq!(under_way(&world, "sign_in").await, 10_001, "one too many");
    assert_eq!(signs_in(&world, &mut passkey).await.1.status, 303);
    assert_eq!(under_way(&world, "sign_in").await, 9_999, "one was used");
    let gone = answers(&mut early, &csrf, &passkey.signs(&begun)).await;
    assert_eq!(gone.verdict(), (403, "passkey_refused"), "the oldest");
}

#[tokio::test]
async fn account_has_sixteen_touches_under_way_and_the_oldest_of_its_own_gives_way() {
    let (world, mut ada, mut passkey) = touching().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let mut theirs = Authenticator::new(9, HERE);
    assert_eq!(add(&mut bob, &mut theirs, "Key").await.location(), "/me");
    let asked = world.asked().await;
    let of_bob = approval(&mut bob, &asked).await;
    let of_bob = touched(&mut bob, &of_bob, &mut theirs).await;
    let form = approval(&mut ada, &asked).await;
    let mut options: Vec<Value> = Vec::new();
    for _ in 0..17 {
        options.push(challenge(&mut ada, &form).await);
    }
    let gone = form.clone().with("passkey", &passkey.signs(&options[0]));
    assert_eq!(ada.submit(&gone).await.verdict(), (403, "passkey_refused"));
    let kept = form.with("passkey", &passkey.signs(&options[1]));
    assert_eq!(ada.submit(&kept).await.status, 303);
    // Bob's was not driven out; he comes too late for another reason.
    assert_eq!(
        bob.submit(&of_bob).await.verdict(),
        (409, "already_approved")
    );
    let other = world.asked().await;
    let of_bob = approval(&mut bob, &other).await;
    let of_bob = touched(&mut bob, &of_bob, &mut theirs).await;
    let form = approval(&mut ada, &other).await;
    for _ in 0..17 {
        challenge(&mut ada, &form).await;
    }
    assert_eq!(bob.submit(&of_bob).await.status, 303);
}

#[tokio::test]
async fn answer_that_meets_no_challenge_leaves_no_line_and_one_that_does_leaves_one() {
    let (world, _ada, mut passkey) = touching().await;
    let (mut browser, csrf) = visitor(&world).await;
    let malformed = answers(&mut browser, &csrf, "x").await;
    assert_eq!(malformed.verdict(), (400, "malformed_form"));
    let begun = begins(&mut browser, &csrf).await.json();
    let (mut other, theirs) = visitor(&world).await;
    let planted = answers(&mut other, &theirs, &passkey.signs(&begun)).await;
    assert_eq!(planted.verdict(), (403, "passkey_refused"));
    assert_eq!(refusals(&world), 0);

    let mut forged = passkey.clone();
    forged.signs_with_key(8);
    let answer = forged.signs(&begun);
    for _ in 0..3 {
        let refused = answers(&mut browser, &csrf, &answer).await;
        assert_eq!(refused.verdict(), (403, "passkey_refused"));
    }
    assert_eq!(refusals(&world), 1, "a challenge is answered once");
    let late = answers(&mut browser, &csrf, &passkey.signs(&begun)).await;
    assert_eq!(late.verdict(), (403, "passkey_refused"), "nor by the key");
    assert_eq!(refusals(&world), 1);
}

#[tokio::test]
async fn browser_that_tries_often_waits_and_no_other_one_does() {
    let (world, _ada, mut passkey) = touching().await;
    let (mut browser, csrf) = visitor(&world).await;
    for _ in 0..5 {
        assert_eq!(begins(&mut browser, &csrf).await.status, 200);
    }
    let refused = begins(&mut browser, &csrf).await;
    assert_eq!(refused.verdict(), (429, "too_many_attempts"));
    assert_eq!(refused.header("retry-after"), "11");
    for _ in 0..5 {
        let refused = answers(&mut browser, &csrf, "x").await;
        assert_eq!(refused.verdict(), (400, "malformed_form"));
    }
    let refused = answers(&mut browser, &csrf, "x").await;
    assert_eq!(refused.verdict(), (429, "too_many_attempts"));
    assert_eq!(signs_in(&world, &mut passkey).await.1.status, 303);

    world.advance(10);
    let begun = begins(&mut browser, &csrf).await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    let answer = passkey.signs(&begun.json());
    assert_eq!(answers(&mut browser, &csrf, &answer).await.status, 303);
}
