//! Of many at once, exactly one.

use std::collections::BTreeMap;

use crate::{
    harness::{PASSWORD, World, form},
    oauth_client::Client,
};

const MANY: usize = 100;

fn count(answers: Vec<(u16, String)>) -> BTreeMap<(u16, String), usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer).or_insert(0) += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_simultaneous_approvals_exactly_one_wins() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await.with("decision", "approve");
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let (mut browser, form) = (browser.clone(), form.clone());
            tokio::spawn(async move {
                let reply = browser.submit(&form).await;
                (reply.status.as_u16(), reply.code().to_owned())
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    let counted = count(answers);
    assert_eq!(counted.get(&(303, String::new())), Some(&1), "{counted:?}");
    assert_eq!(
        counted.get(&(409, "already_approved".to_owned())),
        Some(&(MANY - 1))
    );
    let operator = world.bearer("operator.token");
    let sessions = world.get_as("/v1/sessions", &operator).await.json();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_simultaneous_approvals_and_denials_exactly_one_wins() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await;
    let tasks: Vec<_> = (0..MANY)
        .map(|number| {
            let word = if number % 2 == 0 { "approve" } else { "deny" };
            let (mut browser, form) = (browser.clone(), form.clone().with("decision", word));
            tokio::spawn(async move { browser.submit(&form).await.status.as_u16() })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        let status = task.await.unwrap();
        won += usize::from(status == 303);
        assert!(matches!(status, 303 | 409), "{status}");
    }
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_simultaneous_polls_exactly_one_brings_a_token() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    browser.approve(&asked).await;
    let world = std::sync::Arc::new(world);
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let (world, asked) = (std::sync::Arc::clone(&world), asked.clone());
            tokio::spawn(async move { world.poll(&asked).await.oauth() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    let counted = count(answers);
    assert_eq!(counted.get(&(200, String::new())), Some(&1), "{counted:?}");
    assert_eq!(
        counted.get(&(400, "invalid_grant".to_owned())),
        Some(&(MANY - 1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_simultaneous_uses_of_the_setup_link_exactly_one_wins() {
    let world = World::new().await;
    let link = world.setup_path();
    let mut opened = Vec::new();
    for number in 0..10 {
        let mut browser = world.browser();
        let csrf = browser.get(&link).await.hidden("csrf");
        opened.push((number, browser, csrf));
    }
    let mut tasks = Vec::new();
    for (number, mut browser, csrf) in opened {
        let (link, user_name) = (link.clone(), format!("user{number}"));
        tasks.push(tokio::spawn(async move {
            let fields = [
                ("csrf", csrf.as_str()),
                ("user_name", user_name.as_str()),
                ("password", PASSWORD),
                ("password_again", PASSWORD),
            ];
            browser.post(&link, &fields).await.status.as_u16()
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push((task.await.unwrap(), String::new()));
    }
    let counted = count(answers);
    assert_eq!(counted.get(&(303, String::new())), Some(&1), "{counted:?}");
    assert_eq!(counted.get(&(410, String::new())), Some(&9), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_revocations_each_get_a_number_of_their_own() {
    let (world, mut browser) = World::with_approver().await;
    let operator = world.bearer("operator.token");
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let asked = world.asked().await;
        sessions.push(browser.approve(&asked).await);
    }
    let world = std::sync::Arc::new(world);
    let tasks: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (world, operator) = (std::sync::Arc::clone(&world), operator.clone());
            let body = serde_json::json!({"session": session}).to_string();
            tokio::spawn(async move {
                let reply = world.post_json("/v1/revocations", &operator, &body).await;
                reply.json()["seq"].as_u64().unwrap()
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=11).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_simultaneous_redemptions_of_a_code_one_at_most_brings_a_token_that_ends() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let code = client.code(&mut browser, "tool:files.read_file").await;
    let fields = client.redemption(&code);
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let (router, fields) = (world.router.clone(), fields.clone());
            tokio::spawn(async move {
                let pairs: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
                let reply = crate::harness::send(&router, form("/oauth/token", &pairs)).await;
                match reply.status.as_u16() {
                    200 => (200, String::new()),
                    _ => reply.oauth(),
                }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    let counted = count(answers);
    assert_eq!(counted.get(&(200, String::new())), Some(&1), "{counted:?}");
    assert_eq!(
        counted.get(&(400, "invalid_grant".to_owned())),
        Some(&(MANY - 1)),
        "{counted:?}"
    );
    let operator = world.bearer("operator.token");
    let sessions = world.get_as("/v1/sessions", &operator).await.json();
    assert_eq!(sessions["sessions"][0]["state"], "revoked", "it was reused");
}
