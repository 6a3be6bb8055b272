//! The bundle of a SPIFFE trust domain at an address: fetched, fetched anew, and out of reach.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bailiwick_issuer::SpiffeBundle;
use serde_json::json;

use crate::{
    agent_identity::{DOMAIN, JWT_SPIFFE, Key, WORKLOAD, ask_with, client_with, enrolled},
    harness::{ORIGIN, START, World},
};

/// Who publishes the bundle: what it answers, and how often it was asked.
struct Publisher {
    answer: Mutex<(StatusCode, String)>,
    asked: AtomicUsize,
}

async fn publish(State(it): State<Arc<Publisher>>) -> Response {
    it.asked.fetch_add(1, Ordering::SeqCst);
    let (status, body) = it.answer.lock().unwrap().clone();
    let elsewhere = [(header::LOCATION, "/elsewhere")];
    let elsewhere = status.is_redirection().then_some(elsewhere);
    (status, elsewhere, body).into_response()
}

impl Publisher {
    fn answers(&self, status: u16, body: &str) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn bundle_of(key: &Key) -> String {
    let mut jwk = key.jwk();
    jwk["use"] = json!("jwt-svid");
    json!({"keys": [jwk]}).to_string()
}

/// An issuer that fetches its bundle, with the workload as a client.
async fn trusting() -> (World, Arc<Publisher>) {
    let it = Arc::new(Publisher {
        answer: Mutex::new((StatusCode::OK, bundle_of(&Key::p256()))),
        asked: AtomicUsize::new(0),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bundle", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/bundle", get(publish))
        .route("/elsewhere", get(bundle_elsewhere))
        .with_state(Arc::clone(&it));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let bundle = SpiffeBundle::Url(url.parse().unwrap());
    let (world, _) = World::with_approver_and_spiffe(DOMAIN, bundle).await;
    let spiffe = client_with("spiffe_jwt", "spiffe_id", json!(WORKLOAD));
    enrolled(&world, &spiffe).await;
    (world, it)
}

async fn bundle_elsewhere() -> String {
    bundle_of(&Key::p256())
}

/// What becomes of a proof that is good for a long time.
async fn proves(world: &World, key: &Key) -> (u16, String) {
    let now = world.now().utc.unix();
    let svid = json!({"sub": WORKLOAD, "aud": [ORIGIN], "exp": now + 60});
    let reply = ask_with(world, JWT_SPIFFE, &key.sign(&svid)).await;
    match reply.status.as_u16() {
        200 => (200, String::new()),
        _ => reply.oauth(),
    }
}

fn good() -> (u16, String) {
    (200, String::new())
}

fn away() -> (u16, String) {
    (503, "temporarily_unavailable".to_owned())
}

/// How often the record says that there is no bundle.
fn recorded(world: &World) -> usize {
    let record = world.record();
    let lines = record
        .iter()
        .filter(|(event, _)| event == "spiffe_bundle_unavailable");
    lines
        .inspect(|(_, fields)| assert_eq!(fields["trust_domain"], DOMAIN))
        .count()
}

#[tokio::test]
async fn bundle_is_fetched_once_and_anew_after_five_minutes_or_for_a_key_it_lacks() {
    let (world, publisher) = trusting().await;
    assert_eq!(publisher.asked(), 0);
    for (wait, asked) in [(0, 1), (0, 1), (299, 1), (1, 2)] {
        world.advance(wait);
        assert_eq!(proves(&world, &Key::p256()).await, good(), "{wait}");
        assert_eq!(publisher.asked(), asked, "{wait}");
    }
    // The domain has another key now. Who signs with it is looked up, once in ten seconds.
    let rotated = Key {
        id: "next",
        ..Key::p256()
    };
    publisher.answers(200, &bundle_of(&rotated));
    let refused = (401, "invalid_client".to_owned());
    for (wait, verdict, asked) in [(9, refused, 2), (1, good(), 3)] {
        world.advance(wait);
        assert_eq!(proves(&world, &rotated).await, verdict, "{wait}");
        assert_eq!(publisher.asked(), asked);
    }
}

#[tokio::test]
async fn bundle_that_is_out_of_reach_lets_nobody_in_and_is_on_the_record_once() {
    let large = format!("{}{}", bundle_of(&Key::p256()), " ".repeat(256 * 1024));
    for (status, body) in [
        (500, bundle_of(&Key::p256())),
        (404, String::new()),
        (302, String::new()),
        (200, "{".to_owned()),
        (200, "[]".to_owned()),
        (200, large),
    ] {
        let (world, publisher) = trusting().await;
        publisher.answers(status, &body);
        for (wait, asked) in [(0, 1), (0, 1), (9, 1), (1, 2)] {
            world.advance(wait);
            assert_eq!(proves(&world, &Key::p256()).await, away(), "{status}");
            assert_eq!(publisher.asked(), asked, "{status} after {wait}");
        }
        assert_eq!(recorded(&world), 1, "{status}");
        publisher.answers(200, &bundle_of(&Key::p256()));
        world.advance(10);
        assert_eq!(proves(&world, &Key::p256()).await, good(), "{status}");
    }
}

#[tokio::test]
async fn bundle_that_was_read_is_good_for_five_minutes_while_its_place_is_away_and_no_longer() {
    let (world, publisher) = trusting().await;
    assert_eq!(proves(&world, &Key::p256()).await, good());
    publisher.answers(503, "");
    // What is signed with a key nobody knows has it looked for, and spoils nothing.
    world.advance(10);
    let unknown = Key {
        id: "unknown",
        ..Key::p256()
    };
    assert_eq!(proves(&world, &unknown).await, away());
    for (wait, verdict) in [(289, good()), (1, away())] {
        world.advance(wait);
        assert_eq!(proves(&world, &Key::p256()).await, verdict, "{wait}");
    }
    assert_eq!(recorded(&world), 1);
    assert!(world.now().utc.unix() >= START + 300);
}

#[tokio::test]
async fn publisher_that_is_gone_lets_nobody_in() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bundle", gone.local_addr().unwrap());
    drop(gone);
    let bundle = SpiffeBundle::Url(url.parse().unwrap());
    let (world, _) = World::with_approver_and_spiffe(DOMAIN, bundle).await;
    let spiffe = client_with("spiffe_jwt", "spiffe_id", json!(WORKLOAD));
    enrolled(&world, &spiffe).await;
    assert_eq!(proves(&world, &Key::p256()).await, away());
    assert_eq!(recorded(&world), 1);
}
