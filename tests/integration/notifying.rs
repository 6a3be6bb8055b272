//! Who is told when requests wait, by a configuration file: servers send it by themselves.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::agent::Wish;
use crate::harness::service::{Apart, Bailiwick, Folder, Place};
use crate::harness::visitor::Visitor;

const PATIENCE: Duration = Duration::from_secs(20);
const TASK: &str = "Read what somebody is told of";

/// What a receiver was sent: the lines before the body, and the body.
type Told = (String, Value);

/// A receiver on this machine, in a folder with the configuration that names it.
fn configured() -> (Folder, String, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || receive(&listener, &tell));
    let folder = Folder::new();
    let config = format!(
        "[[issuer.webhook]]\nurl = \"http://{address}/hook\"\nsecret_file = \"webhook.secret\"\n"
    );
    fs::write(folder.join("bailiwick.toml"), config).unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    fs::write(folder.join("webhook.secret"), secret).unwrap();
    let file = folder.arg("bailiwick.toml");
    (folder, file, told)
}

fn receive(listener: &TcpListener, tell: &Sender<Told>) {
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        head.make_ascii_lowercase();
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        let taken = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        stream.get_mut().write_all(taken).unwrap();
        if tell
            .send((head, serde_json::from_slice(&body).unwrap()))
            .is_err()
        {
            return;
        }
    }
}

/// Asks for access; the receiver learns of that request, and where its page is.
fn assert_told(servers: &Place, told: &Receiver<Told>) {
    let visitor = Visitor::signs_up(servers);
    let wish = Wish {
        tools: &["files.read_file"],
        resources: &["files/reports"],
        task: TASK,
        time: "10m",
    };
    let _asked = servers.request(&wish, &[]);
    let (head, body) = told.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("post /hook http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nwebhook-signature: v1,"), "{head}");
    assert_eq!(body["type"], "access_request.waiting", "{body}");
    let page = body["data"]["url"].as_str().unwrap();
    let path = page.strip_prefix(&servers.issuer).unwrap();
    let page = visitor.get(path).expect_status(200).text();
    assert!(page.contains(TASK), "{page}");
}

#[test]
fn server_with_everything_in_it_tells_who_its_configuration_names() {
    let (folder, file, told) = configured();
    let servers = Bailiwick::up_with(folder, |command| {
        command.args(["--config", &file]);
    });
    assert_told(&servers, &told);
}

#[test]
fn issuer_on_its_own_tells_who_its_configuration_names() {
    let (folder, file, told) = configured();
    let servers = Apart::start_with(folder, |command| {
        command.args(["--config", &file]);
    });
    assert_told(&servers, &told);
}
