//! Telling approvers that requests wait: real receivers on this machine.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bailiwick_datalog::ApplicationId;
use bailiwick_issuer::{NotifyTarget, WebhookSecret, WebhookTarget};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    deciding::rules,
    harness::{START, World, details},
    oauth_client::{Client, REDIRECT},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver got, and what it is to answer; 200 once nothing is left.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<(HeaderMap, String)>>,
    answers: Mutex<VecDeque<StatusCode>>,
    /// Something came.
    news: tokio::sync::Notify,
}

async fn receive(State(it): State<Arc<Receiver>>, headers: HeaderMap, body: String) -> Response {
    it.got.lock().unwrap().push((headers, body));
    it.news.notify_one();
    let answer = it.answers.lock().unwrap().pop_front();
    let status = answer.unwrap_or(StatusCode::OK);
    let to = status
        .is_redirection()
        .then_some([(header::LOCATION, "/elsewhere")]);
    (status, to, ()).into_response()
}

impl Receiver {
    /// Starts one; its address and itself.
    async fn start() -> (String, Arc<Self>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let it = Arc::new(Self::default());
        let router = Router::new()
            .route("/hook", post(receive))
            .route("/elsewhere", post(receive).get(receive))
            .with_state(Arc::clone(&it));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, it)
    }

    fn answers(&self, statuses: &[u16]) {
        let statuses = statuses.iter().map(|s| StatusCode::from_u16(*s).unwrap());
        self.answers.lock().unwrap().extend(statuses);
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    fn last(&self) -> (HeaderMap, Value) {
        let (headers, body) = self.got.lock().unwrap().last().unwrap().clone();
        let body_json = serde_json::from_str(&body).unwrap();
        assert_eq!(headers["webhook-signature"], signature(&headers, &body));
        (headers, body_json)
    }
}

/// As the receiver computes it, from what it was sent and the secret it knows.
fn signature(headers: &HeaderMap, body: &str) -> String {
    let key = STANDARD
        .decode(SECRET.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let part = |name: &str| headers[name].to_str().unwrap().to_owned();
    let signed = format!(
        "{}.{}.{body}",
        part("webhook-id"),
        part("webhook-timestamp")
    );
    mac.update(signed.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn hook(url: &str, applications: &[&str]) -> NotifyTarget {
    let secret = WebhookSecret::parse(SECRET).unwrap();
    let applications = applications
        .iter()
        .map(|id| ApplicationId::parse(*id).unwrap());
    let target = WebhookTarget::new(url.parse().unwrap(), secret, applications.collect());
    NotifyTarget::Webhook(target.unwrap())
}

async fn due(world: &World) -> usize {
    world.issuer.as_ref().unwrap().notify_due().await.unwrap()
}

/// The same until nothing is taken any more: each place takes some at a time.
async fn all_due(world: &World) -> usize {
    let mut all = 0;
    loop {
        match due(world).await {
            0 => return all,
            some => all += some,
        }
    }
}

#[tokio::test]
async fn webhook_says_which_request_waits_and_where_and_nothing_that_opens_anything() {
    let (url, receiver) = Receiver::start().await;
    let (world, mut ada) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    let asked = world.asked().await;
    assert_eq!(receiver.count(), 0, "nothing is sent in the change itself");
    assert_eq!(due(&world).await, 1);
    let (headers, body) = receiver.last();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-timestamp"], START.to_string());
    assert!(headers["webhook-id"].to_str().unwrap().starts_with("msg_"));
    assert_eq!(body["type"], "access_request.waiting");
    let data = &body["data"];
    assert_eq!(data["agent"], "report writer");
    assert_eq!(data["application"], "default");
    assert_eq!(data["proved_identity"], Value::Null);
    assert_eq!(
        data["tools"],
        json!([{"name": "files.read_file", "access": "read"},
            {"name": "files.write_file", "access": "write"}])
    );
    let form = ada.open(&asked).await;
    assert_eq!(data["url"], format!("{}{}", world.origin, form.path));
    let text = body.to_string();
    for secret in ["device_code", "user_code"] {
        assert!(!text.contains(asked[secret].as_str().unwrap()), "{secret}");
    }
    assert!(!text.contains("whsec_"), "{text}");
    assert_eq!(due(&world).await, 0, "told once");
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again_later_and_after_a_restart_under_the_same_id() {
    let (url, receiver) = Receiver::start().await;
    let (mut world, _) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    receiver.answers(&[500, 302, 404]);
    world.asked().await;
    let mut ids = Vec::new();
    for (wait, count) in [(0, 1), (4, 1), (1, 2), (9, 2), (1, 3), (19, 3)] {
        world.advance(wait);
        assert_eq!(due(&world).await, 0);
        assert_eq!(receiver.count(), count, "after {wait}");
        ids.push(receiver.last().0["webhook-id"].clone());
    }
    world.restart().await;
    world.advance(1);
    assert_eq!(due(&world).await, 1);
    assert_eq!(receiver.count(), 4, "no redirect was followed");
    let (headers, _) = receiver.last();
    assert!(ids.iter().all(|id| *id == headers["webhook-id"]));
    assert_eq!(headers["webhook-timestamp"], (START + 35).to_string());
}

#[tokio::test]
async fn nobody_is_told_of_a_request_that_has_expired() {
    for (wait, told) in [(599, 1), (600, 0)] {
        let (url, receiver) = Receiver::start().await;
        let (world, _) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
        world.asked().await;
        world.advance(wait);
        assert_eq!(due(&world).await, told, "{wait}");
        assert_eq!(receiver.count(), told);
    }
}

#[tokio::test]
async fn receiver_of_one_application_hears_of_no_other() {
    let (url, receiver) = Receiver::start().await;
    let places = vec![hook(&url, &["other"])];
    let (world, _) = World::with_approver_and_places(places).await;
    world.application("other", &json!({})).await;
    world.asked().await;
    assert_eq!(due(&world).await, 0);
    let asked = world.ask_as("other", &details()).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert_eq!(due(&world).await, 1);
    assert_eq!(receiver.last().1["data"]["application"], "other");
}

/// Asks under a name that anybody can claim.
async fn claims(world: &World, name: &str) -> Value {
    let wish = details().to_string();
    let fields = [
        ("client_id", "bailiwick-cli"),
        ("agent_name", name),
        ("authorization_details", wish.as_str()),
    ];
    let reply = world
        .post_form("/oauth/device_authorization", &fields)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

#[tokio::test]
async fn requests_of_an_agent_that_asks_very_often_are_told_of_together_once_a_minute() {
    let (url, receiver) = Receiver::start().await;
    let (world, _) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    for _ in 0..13 {
        world.asked().await;
    }
    assert_eq!(all_due(&world).await, 10);
    for (wait, told) in [(59, 0), (1, 1), (0, 0)] {
        world.advance(wait);
        assert_eq!(all_due(&world).await, told, "{wait}");
    }
    let (_, body) = receiver.last();
    assert_eq!(body["type"], "access_requests.waiting");
    let list = format!("{}/approvals", world.origin);
    assert_eq!(body["data"], json!({"application": "default", "url": list}));
    world.asked().await;
    world.advance(60);
    assert_eq!(all_due(&world).await, 1);
}

#[tokio::test]
async fn name_that_an_outsider_uses_up_silences_nobody_who_has_it() {
    let (url, receiver) = Receiver::start().await;
    let (world, _) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    for _ in 0..11 {
        claims(&world, "Robot").await;
    }
    all_due(&world).await;
    world.advance(60);
    all_due(&world).await;
    let before = receiver.count();

    claims(&world, "Robot").await;
    world.advance(60);
    assert_eq!(
        all_due(&world).await,
        1,
        "the honest one is told of as well"
    );

    // Who proves its identity is told of at once, whatever others claim.
    let metadata = json!({"client_name": "Robot", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post"});
    let client = Client::register_as(&world, &metadata).await;
    let wish = details().to_string();
    let fields = [
        ("client_id", client.id.as_str()),
        ("client_secret", client.secret.as_deref().unwrap()),
        ("agent_name", "Robot"),
        ("authorization_details", wish.as_str()),
    ];
    let asked = world.post_form("/oauth/device_authorization", &fields);
    assert_eq!(asked.await.status, 200);
    assert_eq!(all_due(&world).await, 1);
    let data = &receiver.last().1["data"];
    assert_eq!(data["proved_identity"], client.known_as());
    assert_eq!(receiver.count(), before + 2);
}

#[tokio::test]
async fn request_that_was_decided_is_not_told_of_as_waiting() {
    let (url, receiver) = Receiver::start().await;
    let (world, mut ada) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    for (decision, told) in [("approve", 0), ("deny", 0), ("check", 1)] {
        let asked = claims(&world, decision).await;
        let form = ada.open(&asked).await.with("decision", decision);
        let reply = ada.submit(&form).await;
        assert!(reply.status.as_u16() < 400, "{}", reply.body);
        assert_eq!(all_due(&world).await, told, "{decision}");
        assert_eq!(receiver.count(), told);
    }
    world.application("other", &json!({})).await;
    let asked = world.ask_as("other", &details()).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let removed = world.operate("/v1/applications/other/remove", "").await;
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(all_due(&world).await, 0);
}

#[tokio::test]
async fn requests_that_were_all_decided_are_not_told_of_together() {
    for (left, told) in [(0, 0), (1, 1)] {
        let (url, _) = Receiver::start().await;
        let (world, mut ada) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
        let mut asked = Vec::new();
        for _ in 0..11 {
            asked.push(world.asked().await);
        }
        all_due(&world).await;
        for one in asked.iter().skip(left) {
            let form = ada.open(one).await.with("decision", "deny");
            assert_eq!(ada.submit(&form).await.status, 303);
        }
        world.advance(60);
        assert_eq!(all_due(&world).await, told, "{left}");
    }
}

#[tokio::test]
async fn receiver_that_hangs_keeps_no_other_waiting() {
    let hanging = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hanging);
    let router = Router::new().route(
        "/hook",
        post(async move || {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (url, receiver) = Receiver::start().await;
    let places = vec![hook(&address, &[]), hook(&url, &[])];
    let (world, _) = World::with_approver_and_places(places).await;
    let issuer = world.issuer.as_ref().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let telling = issuer.spawn_notifying(async move {
        let _ = stopped.await;
    });
    for number in 0..20 {
        claims(&world, &format!("agent {number}")).await;
    }
    while receiver.count() < 20 {
        receiver.news.notified().await;
    }
    // Four at once, and none was given up before the other place had everything.
    assert!(hanging.load(Ordering::SeqCst) <= 4);
    stop.send(()).unwrap();
    telling.await.unwrap();
}

#[tokio::test]
async fn request_in_a_browser_is_announced_once_it_waits_for_a_second_person() {
    let (url, receiver) = Receiver::start().await;
    let (world, mut ada) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    rules(&world, &["two-approvers access=read"]).await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut ada, Some("tool:files.search")).await;
    assert_eq!(due(&world).await, 0);
    let reply = ada.submit(&form.with("decision", "approve")).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert_eq!(due(&world).await, 1);
    assert_eq!(
        receiver.last().1["type"],
        "access_request.waiting_for_second"
    );
}
