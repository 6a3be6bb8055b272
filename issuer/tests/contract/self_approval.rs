//! Nobody approves what they ask for themselves.

use serde_json::json;

use crate::{
    deciding::{approval, rules, two},
    harness::{World, details},
    oauth_client::{REDIRECT, register},
};

#[tokio::test]
async fn workload_does_not_approve_what_it_asks_for_under_an_identity_it_proved() {
    let (world, _ada, mut bob) = two().await;
    rules(&world, &[]).await;
    let metadata = json!({"client_name": "Robot", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post"});
    let client = register(&world, &metadata).await.json();
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    let (id, secret, wish) = (
        text("client_id"),
        text("client_secret"),
        details().to_string(),
    );
    let fields = [
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
        ("authorization_details", wish.as_str()),
    ];
    let asked = world
        .post_form("/oauth/device_authorization", &fields)
        .await
        .json();
    let form = approval(&mut bob, &asked).await;
    let workload = |identity: &str| json!({"workload_identity": identity}).to_string();
    let name = id.split('.').next().unwrap();
    // Whether an admin takes the id from the client or its name from the page.
    for identity in [name, &id] {
        let set = world
            .operate("/v1/accounts/bob/workload", &workload(identity))
            .await;
        assert_eq!(set.json()["workload_identity"], json!(name));
    }
    assert_eq!(bob.submit(&form).await.verdict(), (403, "self_approval"));
    let page = bob.get(&form.path).await.body;
    assert!(
        page.contains("This account asked for this itself") && !page.contains("id=\"approve\"")
    );
    world
        .operate("/v1/accounts/bob/workload", &workload("another"))
        .await;
    assert_eq!(bob.submit(&form).await.status, 303);
    let empty = world
        .operate("/v1/accounts/bob/workload", &workload(""))
        .await;
    assert_eq!(empty.verdict(), (422, "account_refused"));
}

#[tokio::test]
async fn workload_approves_nothing_that_was_asked_for_without_a_proof() {
    let world = World::with_approver().await.0;
    let mut bob = world.approver("bob", &["default"]).await;
    let body = json!({"workload_identity": "spiffe://example.org/bob"}).to_string();
    let set = world.operate("/v1/accounts/bob/workload", &body).await;
    assert_eq!(set.status, 200, "{}", set.body);
    let asked = world.asked().await;
    let form = approval(&mut bob, &asked).await;
    let refused = bob.submit(&form).await;
    assert_eq!(refused.verdict(), (403, "self_approval"));
    for text in [&refused.body, &form.page] {
        assert!(
            !text.contains("asked for this itself"),
            "nobody proved that: {text}"
        );
        assert!(text.contains("Nobody has proved who asks"), "{text}");
    }
    let body = json!({"workload_identity": null}).to_string();
    let set = world.operate("/v1/accounts/bob/workload", &body).await;
    assert_eq!(set.status, 200, "{}", set.body);
    let form = approval(&mut bob, &asked).await;
    assert_eq!(bob.submit(&form).await.status, 303);
}
