//! Events for the open list of what waits.

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use tower::ServiceExt as _;

use crate::harness::{Browser, World};

/// Opens the stream of a browser; what of it was answered.
pub(crate) async fn opens(world: &World, browser: &Browser) -> (u16, BodyDataStream) {
    let cookies: Vec<String> = browser
        .cookies
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let request = axum::http::Request::get("/approvals/events")
        .header("cookie", cookies.join("; "))
        .body(Body::empty())
        .unwrap();
    let reply = world.router.clone().oneshot(request).await.unwrap();
    (
        reply.status().as_u16(),
        reply.into_body().into_data_stream(),
    )
}

/// The next event; `None` at the end.
pub(crate) async fn next(stream: &mut BodyDataStream) -> Option<String> {
    loop {
        let text = String::from_utf8(stream.next().await?.unwrap().to_vec()).unwrap();
        // A line that begins with a colon only keeps the connection open.
        if !text.starts_with(':') {
            return Some(text);
        }
    }
}

#[tokio::test]
async fn open_list_is_told_when_it_is_another_one_and_not_what_changed() {
    let (world, ada) = World::with_approver().await;
    let (status, mut stream) = opens(&world, &ada).await;
    assert_eq!(status, 200);
    let first = next(&mut stream).await.unwrap();
    assert_eq!(first, "event: waiting\ndata: changed\n\n");
    world.asked().await;
    assert_eq!(next(&mut stream).await.unwrap(), first);
}

#[tokio::test]
async fn stream_ends_with_the_sign_in_and_is_none_for_a_stranger() {
    let (world, mut ada) = World::with_approver().await;
    let (_, mut stream) = opens(&world, &ada).await;
    next(&mut stream).await.unwrap();
    let stranger = world.browser();
    assert_eq!(opens(&world, &stranger).await.0, 303);
    let admin = world.person("olga", &["admin"]).await;
    assert_eq!(opens(&world, &admin).await.0, 403);
    assert_eq!(ada.send("/sign-out", &[]).await.status, 303);
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn stream_ends_with_the_role_and_does_not_keep_a_browser_signed_in() {
    let (world, _) = World::with_approver().await;
    let bob = world.approver("bob", &["default"]).await;
    let (_, mut stream) = opens(&world, &bob).await;
    next(&mut stream).await.unwrap();
    let body = r#"{"roles":["admin"]}"#;
    world.operate("/v1/accounts/bob/roles", body).await;
    assert_eq!(next(&mut stream).await, None);

    let mut carol = world.approver("carol", &["default"]).await;
    let (_, mut stream) = opens(&world, &carol).await;
    next(&mut stream).await.unwrap();
    world.advance(2 * 60 * 60 - 1);
    world.asked().await;
    assert!(next(&mut stream).await.is_some(), "signed in still");
    world.advance(1);
    world.asked().await;
    assert_eq!(
        next(&mut stream).await,
        None,
        "idle, though the page was open"
    );
    assert_eq!(carol.get("/me").await.status, 303);
}

#[tokio::test]
async fn eight_pages_of_one_account_are_kept_up_to_date_and_no_more() {
    let (world, ada) = World::with_approver().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let (status, stream) = opens(&world, &ada).await;
        assert_eq!(status, 200);
        open.push(stream);
    }
    assert_eq!(opens(&world, &ada).await.0, 429);
    open.pop();
    assert_eq!(opens(&world, &ada).await.0, 200);
}
