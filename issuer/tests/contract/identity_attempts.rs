//! What a browser keeps while it is at the identity provider: it costs the issuer nothing, says
//! nothing, and is of no use in another browser, for another answer or later.

use axum::http::header;
use futures_util::future::join_all;
use url::form_urlencoded::byte_serialize;

use crate::{
    harness::{Browser, Reply},
    identity::{Lies, departs, parameter, returns, signs_in, trusting},
};

const COOKIE: &str = "bailiwick_identity";
/// Longest address that is kept, in bytes.
const LONGEST: usize = 2_816;

fn begin_for(next: &str) -> String {
    let next: String = byte_serialize(next.as_bytes()).collect();
    format!("/sign-in/identity?next={next}")
}

fn of_length(length: usize) -> String {
    format!("/{}", "\"".repeat(length - 1))
}

/// The line that plants or removes what the browser keeps.
fn planted(reply: &Reply) -> Option<String> {
    let lines = reply.headers.get_all(header::SET_COOKIE).iter();
    let mut lines = lines.map(|line| line.to_str().unwrap().to_owned());
    lines.find(|line| line.starts_with(COOKIE))
}

#[tokio::test]
async fn beginnings_without_end_keep_nobody_from_signing_in() {
    let (world, lies) = trusting().await;
    let begin = begin_for(&of_length(LONGEST));
    for _ in 0..300 {
        // More than 8 MiB of addresses in all.
        let begun = join_all((0..10).map(|_| world.get(&begin))).await;
        assert!(begun.iter().all(|reply| reply.status == 303));
    }
    let (_, reply) = signs_in(&world, &lies).await;
    assert_eq!(reply.location(), "/sessions", "{}", reply.body);
}

#[tokio::test]
async fn what_the_browser_keeps_is_protected_ends_in_ten_minutes_and_goes_with_its_answer() {
    let (world, lies) = trusting().await;
    let mut browser = world.browser();
    let reply = browser.get("/sign-in/identity").await;
    let line = planted(&reply).unwrap();
    let (value, rest) = line.split_once(';').unwrap();
    assert_eq!(rest, " Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
    let departure: url::Url = reply.location().parse().unwrap();
    for secret in ["state", "nonce"] {
        assert!(!value.contains(&parameter(&departure, secret)), "{secret}");
    }
    for (more, status) in [("&code=c", 303), ("&error=access_denied", 403)] {
        let mut browser = world.browser();
        let state = parameter(&departs(&mut browser, &lies).await, "state");
        let reply = returns(&mut browser, &state, more).await;
        assert_eq!(reply.status, status);
        assert!(planted(&reply).unwrap().ends_with("; Max-Age=0"), "{more}");
        assert_eq!(browser.cookie(COOKIE), None);
    }
}

#[tokio::test]
async fn answer_of_somebody_elses_attempt_ends_nothing_that_the_browser_began() {
    let (world, lies) = trusting().await;
    let mut attacker = world.browser();
    let planted_state = parameter(&departs(&mut attacker, &lies).await, "state");
    let mut browser = world.browser();
    let state = parameter(&departs(&mut browser, &lies).await, "state");
    let reply = returns(&mut browser, &planted_state, "&code=c").await;
    assert_eq!(reply.verdict(), (403, "sign_in_not_begun"));
    assert_eq!(planted(&reply), None);
    assert_eq!(returns(&mut browser, &state, "&code=c").await.status, 303);
}

#[tokio::test]
async fn attempt_of_one_browser_is_none_in_another_or_once_it_was_changed() {
    let (world, lies) = trusting().await;
    let mut attacker = world.browser();
    let state = parameter(&departs(&mut attacker, &lies).await, "state");
    let sealed = attacker.cookie(COOKIE).unwrap().to_owned();
    let keep = |browser: &mut Browser, value: &str| {
        browser.cookies.retain(|(name, _)| name != COOKIE);
        browser.cookies.push((COOKIE.to_owned(), value.to_owned()));
    };
    let mut victim = world.browser();
    victim.get("/sign-in").await;
    keep(&mut victim, &sealed);
    let reply = returns(&mut victim, &state, "&code=c").await;
    assert_eq!(reply.verdict(), (403, "sign_in_not_begun"));
    let flipped = match sealed.as_bytes()[50] {
        b'A' => "B",
        _ => "A",
    };
    let changed = format!("{}{flipped}{}", &sealed[..50], &sealed[51..]);
    for (value, status) in [(changed, 403), (sealed, 303)] {
        keep(&mut attacker, &value);
        let reply = returns(&mut attacker, &state, "&code=c").await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }
}

/// A browser has one attempt at a time: the last one begun.
#[tokio::test]
async fn last_attempt_of_a_browser_counts() {
    let (world, lies) = trusting().await;
    let mut browser = world.browser();
    let first = parameter(&departs(&mut browser, &lies).await, "state");
    let second = parameter(&departs(&mut browser, &lies).await, "state");
    let reply = returns(&mut browser, &first, "&code=c").await;
    assert_eq!(reply.verdict(), (403, "sign_in_not_begun"));
    assert_eq!(returns(&mut browser, &second, "&code=c").await.status, 303);
}

#[tokio::test]
async fn longest_address_goes_through_the_provider_and_a_longer_one_is_refused_before() {
    let (world, lies) = trusting().await;
    let goes = async |browser: &mut Browser, lies: &Lies, length: usize| {
        let reply = browser.get(&begin_for(&of_length(length))).await;
        if reply.status == 303 {
            let departure: url::Url = reply.location().parse().unwrap();
            *lies.nonce.lock().unwrap() = parameter(&departure, "nonce");
            let line = planted(&reply).unwrap();
            let pair = line.split(';').next().unwrap();
            // With the seven bytes of `__Host-`.
            assert!(pair.len() + 7 <= 4_096, "{}", pair.len());
            return returns(browser, &parameter(&departure, "state"), "&code=c").await;
        }
        reply
    };
    let reply = goes(&mut world.browser(), &lies, LONGEST).await;
    assert_eq!(reply.location(), of_length(LONGEST));
    let mut browser = world.browser();
    let reply = goes(&mut browser, &lies, LONGEST + 1).await;
    assert_eq!(reply.verdict(), (400, "malformed_address"));
    assert!(reply.body.contains("ign in first"), "{}", reply.body);
    assert_eq!(browser.cookie(COOKIE), None);
}
