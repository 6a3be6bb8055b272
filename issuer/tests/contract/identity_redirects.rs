//! An identity provider that sends the issuer elsewhere: what it asks carries a credential or asks
//! for keys, so it goes to the provider and to nobody else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{extract::Request, middleware};

use crate::{
    harness::{Browser, World},
    identity::{Lies, departs, parameter, returns, says, trusting},
};

/// A second server that would say all that the provider says: its origin, and how often it was
/// asked.
async fn elsewhere(lies: &Arc<Lies>) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let count = move |request: Request, next: middleware::Next| {
        counts.fetch_add(1, Ordering::SeqCst);
        next.run(request)
    };
    let router = says(lies).layer(middleware::from_fn(count));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (origin, asked)
}

/// A browser that is away at the provider, and the state with which it comes back.
async fn away(world: &World, lies: &Lies) -> (Browser, String) {
    let mut browser = world.browser();
    let state = parameter(&departs(&mut browser, lies).await, "state");
    (browser, state)
}

#[tokio::test]
async fn provider_that_sends_the_issuer_elsewhere_is_not_followed() {
    let (world, lies) = trusting().await;
    let (origin, asked) = elsewhere(&lies).await;
    for status in [302, 307] {
        for (path, verdict) in [
            (
                "/.well-known/openid-configuration",
                (502, "identity_provider_unavailable"),
            ),
            ("/keys", (502, "identity_provider_unavailable")),
            ("/token", (403, "identity_refused")),
        ] {
            let (mut browser, state) = away(&world, &lies).await;
            *lies.sends_away.lock().unwrap() = Some((path, status, origin.clone()));
            let begun = world.get("/sign-in/identity?next=%2Fsessions").await;
            let reply = returns(&mut browser, &state, "&code=c").await;
            assert_eq!(reply.verdict(), verdict, "{status} {path}: {}", reply.body);
            assert_eq!(browser.get("/me").await.status, 303, "not signed in");
            if path == "/token" {
                assert_eq!(begun.status, 303, "the code goes nowhere yet");
            } else {
                assert_eq!(begun.verdict(), verdict, "{status} {path}");
            }
            *lies.sends_away.lock().unwrap() = None;
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let (mut browser, state) = away(&world, &lies).await;
    let reply = returns(&mut browser, &state, "&code=c").await;
    assert_eq!(
        reply.location(),
        "/sessions",
        "without a redirect it counts"
    );
}
