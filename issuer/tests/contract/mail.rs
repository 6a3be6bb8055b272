//! Mail to approvers: a server on this machine that says what it is told to.

use std::sync::{Arc, Mutex};

use bailiwick_issuer::{MailSecurity, MailTarget, NotifyTarget};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::harness::{World, details};

/// A mail server: what it took, envelope and content, and whom it refuses with which answer.
struct MailServer {
    port: u16,
    taken: Mutex<Vec<(Vec<String>, String)>>,
    refuses: Mutex<Option<(&'static str, &'static str)>>,
    visits: Mutex<usize>,
}

impl MailServer {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let it = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            taken: Mutex::default(),
            refuses: Mutex::default(),
            visits: Mutex::default(),
        });
        let server = Arc::clone(&it);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *server.visits.lock().unwrap() += 1;
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        it
    }

    async fn serve(&self, stream: TcpStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let (mut envelope, mut content, mut in_data) = (Vec::new(), String::new(), false);
        write.write_all(b"220 test ESMTP\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            if in_data {
                in_data = line != ".";
                if in_data {
                    content.push_str(&line);
                    content.push('\n');
                    continue;
                }
                let taken = (envelope.clone(), content.clone());
                self.taken.lock().unwrap().push(taken);
            }
            let refused = *self.refuses.lock().unwrap();
            let refused = refused.filter(|(whom, _)| line == format!("RCPT TO:<{whom}>"));
            in_data = line == "DATA";
            let answer = match refused {
                Some((_, answer)) => answer,
                None if in_data => "354 go on",
                None => "250 ok",
            };
            envelope.push(line);
            if write
                .write_all(format!("{answer}\r\n").as_bytes())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    fn recipients(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let lines = taken.iter().flat_map(|(envelope, _)| envelope);
        let mut all: Vec<String> = lines
            .filter_map(|line| line.strip_prefix("RCPT TO:"))
            .map(str::to_owned)
            .collect();
        all.sort();
        all
    }
}

fn to(port: u16, recipients: &[&str]) -> NotifyTarget {
    NotifyTarget::Mail(MailTarget {
        server: "127.0.0.1".to_owned(),
        port,
        security: MailSecurity::None,
        authorities: None,
        credentials: None,
        from: "Bailiwick <bailiwick@example.org>".to_owned(),
        to: recipients.iter().map(|to| (*to).to_owned()).collect(),
        applications: Vec::new(),
    })
}

async fn due(world: &World) -> usize {
    world.issuer.as_ref().unwrap().notify_due().await.unwrap()
}

#[tokio::test]
async fn recipient_who_is_refused_for_good_is_recorded_once_and_keeps_no_other_from_their_mail() {
    for (answer, tries_again) in [
        ("550 5.1.1 no such mailbox", false),
        ("450 4.2.1 mailbox busy", true),
    ] {
        let server = MailServer::start().await;
        *server.refuses.lock().unwrap() = Some(("eve@example.org", answer));
        let target = to(server.port, &["eve@example.org", "ada@example.org"]);
        let (world, _) = World::with_approver_and_places(vec![target]).await;
        world.asked().await;
        assert_eq!(due(&world).await, 1);
        assert_eq!(server.recipients(), ["<ada@example.org>"]);
        let recorded: Vec<_> = world
            .record()
            .into_iter()
            .filter(|(event, _)| event == "approver_not_told")
            .collect();
        match &recorded[..] {
            [] => assert!(tries_again),
            [(_, fields)] => {
                assert!(!tries_again);
                assert_eq!(fields["target"], "mail eve@example.org");
                assert!(fields["approval"].as_str().unwrap().starts_with("apr_"));
                let why = fields["why"].as_str().unwrap();
                assert!(why.contains("no such mailbox"), "{why}");
            }
            more => panic!("{more:?}"),
        }
        *server.refuses.lock().unwrap() = None;
        world.advance(5);
        assert_eq!(due(&world).await, usize::from(tries_again), "{answer}");
        assert_eq!(*server.visits.lock().unwrap(), 2 + usize::from(tries_again));
    }
}

#[tokio::test]
async fn mail_reaches_its_recipients_alone_whatever_an_agent_calls_itself() {
    let server = MailServer::start().await;
    let (world, _) =
        World::with_approver_and_places(vec![to(server.port, &["ada@example.org"])]).await;
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
    assert_eq!(server.recipients(), ["<ada@example.org>"]);
    let (_, content) = server.taken.lock().unwrap().remove(0);
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
    let (world, _) = World::with_approver_and_places(vec![to(port, &["ada@example.org"])]).await;
    world.asked().await;
    assert_eq!(due(&world).await, 0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    drop(listener);
    assert_eq!(due(&world).await, 0, "not before its time");
}
