//! Telling approvers that requests wait: real receivers on this machine.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bailiwick_datalog::ApplicationId;
use bailiwick_issuer::{MailSecurity, MailTarget, NotifyTarget, WebhookSecret, WebhookTarget};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{
    deciding::rules,
    harness::{START, World, details},
    oauth_client::Client,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver got, and what it is to answer; 200 once nothing is left.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<(HeaderMap, String)>>,
    answers: Mutex<VecDeque<StatusCode>>,
}

async fn receive(State(it): State<Arc<Receiver>>, headers: HeaderMap, body: String) -> Response {
    it.got.lock().unwrap().push((headers, body));
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

#[tokio::test]
async fn agent_that_asks_very_often_is_announced_no_more() {
    let (url, receiver) = Receiver::start().await;
    let (world, _) = World::with_approver_and_places(vec![hook(&url, &[])]).await;
    for _ in 0..12 {
        world.asked().await;
    }
    assert_eq!(due(&world).await, 10);
    assert_eq!(due(&world).await, 0);
    assert_eq!(receiver.count(), 10);
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

/// A mail server for one message, which it hands out: envelope lines and content.
async fn mail_server() -> (u16, tokio::task::JoinHandle<(Vec<String>, String)>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let (mut envelope, mut content, mut in_data) = (Vec::new(), String::new(), false);
        write.write_all(b"220 test ESMTP\r\n").await.unwrap();
        while let Some(line) = lines.next_line().await.unwrap() {
            if in_data {
                in_data = line != ".";
                if in_data {
                    content.push_str(&line);
                    content.push('\n');
                    continue;
                }
                write.write_all(b"250 taken\r\n").await.unwrap();
                break;
            }
            in_data = line == "DATA";
            let answer: &[u8] = if in_data {
                b"354 go on\r\n"
            } else {
                b"250 ok\r\n"
            };
            envelope.push(line);
            write.write_all(answer).await.unwrap();
        }
        (envelope, content)
    });
    (port, served)
}

#[tokio::test]
async fn mail_reaches_its_recipients_alone_whatever_an_agent_calls_itself() {
    let (port, served) = mail_server().await;
    let target = MailTarget {
        server: "127.0.0.1".to_owned(),
        port,
        security: MailSecurity::None,
        credentials: None,
        from: "Bailiwick <bailiwick@example.org>".to_owned(),
        to: vec!["ada@example.org".to_owned()],
        applications: Vec::new(),
    };
    let (world, _) = World::with_approver_and_places(vec![NotifyTarget::Mail(target)]).await;
    let wish = details().to_string();
    let fields = [
        ("client_id", "bailiwick-cli"),
        ("agent_name", "x Bcc: eve@example.org\u{2028}"),
        ("authorization_details", wish.as_str()),
    ];
    let reply = world
        .post_form("/oauth/device_authorization", &fields)
        .await;
    if reply.status != 200 {
        // A name with such a character is refused before it comes this far.
        let fields = [
            fields[0],
            ("agent_name", "x Bcc: eve@example.org"),
            fields[2],
        ];
        let reply = world
            .post_form("/oauth/device_authorization", &fields)
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(due(&world).await, 1);
    let (envelope, content) = served.await.unwrap();
    let recipients: Vec<&String> = envelope.iter().filter(|l| l.starts_with("RCPT")).collect();
    assert_eq!(recipients, ["RCPT TO:<ada@example.org>"]);
    assert!(
        !content.lines().any(|line| line.starts_with("Bcc")),
        "{content}"
    );
    assert!(content.contains("/approvals/apr_"), "{content}");
    assert!(content.contains("files.write_file (write)"), "{content}");
}

#[tokio::test]
async fn mail_server_that_is_away_is_asked_again() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let target = MailTarget {
        server: "127.0.0.1".to_owned(),
        port,
        security: MailSecurity::None,
        credentials: None,
        from: "b@example.org".to_owned(),
        to: vec!["ada@example.org".to_owned()],
        applications: Vec::new(),
    };
    let (world, _) = World::with_approver_and_places(vec![NotifyTarget::Mail(target)]).await;
    world.asked().await;
    assert_eq!(due(&world).await, 0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    drop(listener);
    assert_eq!(due(&world).await, 0, "not before its time");
}
