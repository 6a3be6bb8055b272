//! Every application against every other: nothing of one is seen, decided, ended, looked at,
//! narrowed or built on from another.

use futures_util::{FutureExt as _, StreamExt as _, future::join, stream::FuturesUnordered};
use serde_json::{Value, json};

use crate::{
    dry_run::{report, section},
    harness::{Browser, ORIGIN, Reply, World, details},
    oauth_client::{Client, REDIRECT, parameter},
    open_pages::{next, opens},
};

const APPLICATIONS: [&str; 3] = ["billing", "research", "support"];

/// Every application with one approver of its own.
pub(crate) async fn three() -> (World, Vec<Browser>) {
    let (world, _) = World::with_approver().await;
    let mut approvers = Vec::new();
    for application in APPLICATIONS {
        world.application(application, &json!({})).await;
        let name = format!("of-{application}");
        approvers.push(world.approver(&name, &[application]).await);
    }
    (world, approvers)
}

/// A request of an application, with a task that names it.
pub(crate) async fn asked(world: &World, application: &str) -> Value {
    let mut details = details();
    details[0]["task"] = json!(format!("Work for {application}"));
    let reply = world.ask_as(application, &details).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

fn path_of(link: &Value) -> String {
    link.as_str()
        .unwrap()
        .strip_prefix(ORIGIN)
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_approver_sees_and_decides_the_requests_of_their_own_application_alone() {
    let (world, mut approvers) = three().await;
    for (mine, application) in APPLICATIONS.iter().enumerate() {
        let asked = asked(&world, application).await;
        let form = approvers[mine]
            .open(&asked)
            .await
            .with("decision", "approve");
        let task = format!("Work for {application}");
        for (other, stranger) in approvers.iter_mut().enumerate() {
            let list = stranger.get("/approvals").await.body;
            assert_eq!(list.contains(&task), other == mine, "{other} {application}");
            if other == mine {
                continue;
            }
            let code = path_of(&asked["verification_uri_complete"]);
            let found = stranger.get(&code).await;
            assert_eq!(found.status, 404, "{other} {application}");
            assert!(found.body.contains("unknown_user_code"), "{}", found.body);
            let page = stranger.get(&form.path).await;
            assert_eq!(
                page.verdict(),
                (404, "request_not_found"),
                "{other} {application}"
            );
            let csrf = stranger.csrf().await;
            for decision in ["approve", "deny"] {
                let theirs = form.clone().set("csrf", &csrf).set("decision", decision);
                let reply = stranger.submit(&theirs).await;
                assert_eq!(
                    reply.verdict(),
                    (404, "request_not_found"),
                    "{other} {application}"
                );
            }
        }
        let mine = &mut approvers[mine];
        assert_eq!(mine.submit(&form).await.status, 303, "{application}");
    }
}

#[tokio::test]
async fn each_approver_sees_and_ends_the_sessions_of_their_own_application_alone() {
    let (world, mut approvers) = three().await;
    for (mine, application) in APPLICATIONS.iter().enumerate() {
        let asked = asked(&world, application).await;
        let decided = approvers[mine].open(&asked).await.path;
        let session = approvers[mine].approve(&asked).await;
        let (page, revoke) = (
            format!("/sessions/{session}"),
            format!("/sessions/{session}/revoke"),
        );
        for (other, stranger) in approvers.iter_mut().enumerate() {
            let list = stranger.get("/sessions").await.body;
            assert_eq!(
                list.contains(&session),
                other == mine,
                "{other} {application}"
            );
            if other == mine {
                continue;
            }
            let seen = stranger.get(&page).await;
            assert_eq!(
                seen.verdict(),
                (404, "session_not_found"),
                "{other} {application}"
            );
            let ended = stranger.send(&revoke, &[]).await;
            assert_eq!(
                ended.verdict(),
                (404, "session_not_found"),
                "{other} {application}"
            );
            let decided = stranger.get(&decided).await;
            assert_eq!(
                decided.verdict(),
                (404, "request_not_found"),
                "{other} {application}"
            );
        }
        assert_eq!(
            world.poll_as(application, &asked).await.status,
            200,
            "nobody ended it"
        );
        assert_eq!(approvers[mine].send(&revoke, &[]).await.location(), page);
    }
}

#[tokio::test]
async fn no_approver_sees_the_applications_or_accounts_themselves() {
    let (_world, mut approvers) = three().await;
    for application in APPLICATIONS {
        for path in [
            "/applications".to_owned(),
            format!("/applications/{application}"),
            format!("/accounts/of-{application}"),
        ] {
            for approver in &mut approvers {
                assert_eq!(
                    approver.get(&path).await.verdict(),
                    (403, "role_needed"),
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn client_of_one_application_cannot_collect_for_another() {
    let (world, mut approvers) = three().await;
    let asked = asked(&world, "billing").await;
    approvers[0].approve(&asked).await;
    for other in ["research", "support", "bailiwick-cli"] {
        let poll = world.poll_as(other, &asked).await;
        assert_eq!(poll.oauth(), (400, "invalid_grant".to_owned()), "{other}");
    }
    assert_eq!(world.poll_as("billing", &asked).await.status, 200);
}

/// A client of an application that proves itself by a secret, as the fields that do so.
async fn proving(world: &World, application: &str) -> [(&'static str, String); 2] {
    let client = json!({"application": application, "name": "Checker",
        "auth_method": "client_secret_post"});
    let enrolled = world.operate("/v1/clients", &client.to_string()).await;
    assert_eq!(enrolled.status, 201, "{}", enrolled.body);
    let enrolled = enrolled.json();
    ["client_id", "client_secret"].map(|name| (name, enrolled[name].as_str().unwrap().to_owned()))
}

async fn posts(
    world: &World,
    path: &str,
    client: &[(&str, String)],
    more: &[(&str, &str)],
) -> Reply {
    let own = client.iter().map(|(name, value)| (*name, value.as_str()));
    let fields: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
    world.post_form(path, &fields).await
}

#[tokio::test]
async fn each_client_looks_at_and_narrows_the_tokens_of_its_own_application_alone() {
    let (world, mut approvers) = three().await;
    let mut clients = Vec::new();
    for application in APPLICATIONS {
        clients.push(proving(&world, application).await);
    }
    for (mine, application) in APPLICATIONS.iter().enumerate() {
        let asked = asked(&world, application).await;
        let session = approvers[mine].approve(&asked).await;
        let granted = world.poll_as(application, &asked).await.json();
        let token = granted["access_token"].as_str().unwrap();
        for (other, client) in clients.iter().enumerate() {
            let named = format!("{application} seen from {}", APPLICATIONS[other]);
            let look = [("token", token)];
            let described = posts(&world, "/oauth/introspect", client, &look).await;
            assert_eq!(described.status, 200, "{named}: {}", described.body);
            let narrow = [
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                ),
                ("subject_token", token),
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:access_token",
                ),
                ("scope", "tool:files.read_file"),
            ];
            let narrowed = posts(&world, "/oauth/token", client, &narrow).await;
            if other == mine {
                assert_eq!(described.json()["session"], json!(session), "{named}");
                assert_eq!(narrowed.status, 200, "{named}: {}", narrowed.body);
            } else {
                assert_eq!(described.json(), json!({"active": false}), "{named}");
                let refused = (400, "invalid_request".to_owned());
                assert_eq!(narrowed.oauth(), refused, "{named}");
                let why = &narrowed.json()["error_description"];
                assert_eq!(why, "`subject_token` is not a live token", "{named}");
            }
        }
    }
}

#[tokio::test]
async fn each_open_list_is_told_of_the_requests_of_its_own_application_alone() {
    let (world, approvers) = three().await;
    for (mine, application) in APPLICATIONS.iter().enumerate() {
        let mut streams = Vec::new();
        for approver in &approvers {
            let (status, mut stream) = opens(&world, approver).await;
            assert_eq!(status, 200, "{application}");
            assert!(next(&mut stream).await.is_some(), "the list as it is");
            streams.push(stream);
        }
        let mut own = streams.remove(mine);
        let mut strangers: FuturesUnordered<_> = streams.iter_mut().map(next).collect();
        // All of them look at the first request, and only then comes the second.
        let told = async {
            for _ in 0..2 {
                let (event, _) = join(next(&mut own), asked(&world, application)).await;
                assert!(event.is_some(), "{application}");
            }
        };
        tokio::select! {
            biased;
            stranger = strangers.next() => panic!("of {application}: {stranger:?}"),
            () = told => {}
        }
        assert!(strangers.next().now_or_never().is_none(), "{application}");
    }
}

#[tokio::test]
async fn each_dry_run_is_on_the_calls_of_its_own_application_alone() {
    let (world, mut approvers) = three().await;
    for (mine, application) in APPLICATIONS.iter().enumerate() {
        let before = asked(&world, application).await;
        let form = approvers[mine].open(&before).await;
        assert_eq!(
            section(&form.page),
            None,
            "{application}: none was made in it"
        );
        let session = approvers[mine].approve(&before).await;
        let calls: Vec<Value> = (0..=mine).map(|_| json!({})).collect();
        report(&world, &session, &calls).await;
    }
    // The agent has the same name everywhere.
    for (mine, application) in APPLICATIONS.iter().enumerate() {
        let form = approvers[mine]
            .open(&asked(&world, application).await)
            .await;
        let tried = section(&form.page).unwrap();
        let allowed = format!("would allow {},", mine + 1);
        assert!(tried.contains(&allowed), "{application}: {tried}");
    }
}

#[tokio::test]
async fn each_step_up_builds_on_a_session_of_its_own_application_alone() {
    let (world, _) = three().await;
    let mut person = world.approver("everywhere", &APPLICATIONS).await;
    let client = |application: &str| Client {
        id: application.to_owned(),
        secret: None,
    };
    let redirects = json!({"redirect_uris": [REDIRECT]}).to_string();
    for application in APPLICATIONS {
        let path = format!("/v1/applications/{application}");
        assert_eq!(world.operate(&path, &redirects).await.status, 200);
    }
    for (holds, application) in APPLICATIONS.iter().enumerate() {
        let form = client(application)
            .asks(&mut person, Some("tool:files.read_file"))
            .await;
        assert!(!form.page.contains("held already"), "{application}");
        let approved = form.with("decision", "approve");
        let answer = client(application).decided(&mut person, &approved).await;
        let code = parameter(&answer, "code").unwrap();
        assert_eq!(client(application).redeem(&world, &code).await.status, 200);
        for (other, asking) in APPLICATIONS.iter().enumerate() {
            let form = client(asking)
                .asks(&mut person, Some("tool:files.write_file"))
                .await;
            let builds = form.page.contains("held already");
            assert_eq!(builds, other <= holds, "{asking} after {application}");
            assert_eq!(
                form.page.contains("files.read_file"),
                other <= holds,
                "{asking}"
            );
        }
    }
}
