//! Mail to approvers through a real mail server, which speaks TLS and wants a password.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::agent::Wish;
use crate::harness::process::{PATIENCE, Running};
use crate::harness::service::{Bailiwick, Folder};
use crate::harness::{eventually, python};

const PASSWORD: &str = "a password of the tests";

const WISH: Wish<'_> = Wish {
    tools: &["files.read_file"],
    resources: &["files/reports"],
    task: "Read the reports",
    time: "15m",
};

fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let command = command.current_dir(folder).args(arguments.split(' '));
    let done = command.output().unwrap();
    assert!(done.status.success(), "openssl {arguments}: {done:?}");
}

/// An authority (`ca.pem`) and a certificate of its for that host (`server.pem`, `server.key`).
fn make_certificates(folder: &Path, host: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    std::fs::write(folder.join("names"), format!("subjectAltName=DNS:{host}\n")).unwrap();
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
    );
    openssl(
        folder,
        &format!("req -new {key} -keyout server.key -out server.csr -subj /CN={host}"),
    );
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out server.pem",
    );
}

/// What the server does, and what the issuer was told of it.
struct Given {
    /// What the server speaks.
    speaks: &'static str,
    /// What the issuer demands.
    demands: &'static str,
    host: &'static str,
    password: &'static str,
    knows_authority: bool,
}

const GOOD: Given = Given {
    speaks: "starttls",
    demands: "starttls",
    host: "localhost",
    password: PASSWORD,
    knows_authority: true,
};

/// A mail server, and a Bailiwick that writes to it when an agent asks.
fn started(given: &Given) -> (Running, Bailiwick) {
    let folder = Folder::new();
    make_certificates(folder.path(), given.host);
    let wanted = json!({
        "certificate": folder.arg("server.pem"),
        "key": folder.arg("server.key"),
        "security": given.speaks,
        "user": "bailiwick",
        "password": PASSWORD,
    });
    let mut server = Running::start("mail server", python::mail_server(&wanted));
    let port = server.event("listening")["port"].as_u64().unwrap();
    let authorities = match given.knows_authority {
        true => "authorities_file = \"ca.pem\"\n",
        false => "",
    };
    let config = format!(
        "[issuer.mail]\nserver = \"localhost\"\nport = {port}\nsecurity = \"{}\"\n{authorities}\
         user_name = \"bailiwick\"\npassword_file = \"mail.password\"\n\
         from = \"Bailiwick <bailiwick@example.org>\"\n\
         to = [\"refused@example.org\", \"ada@example.org\"]\n",
        given.demands
    );
    std::fs::write(folder.join("bailiwick.toml"), config).unwrap();
    std::fs::write(folder.join("mail.password"), given.password).unwrap();
    let file = folder.arg("bailiwick.toml");
    let servers = Bailiwick::up_with(folder, |command| {
        command.args(["--config", &file]);
    });
    (server, servers)
}

/// The lines of the record about approvers who will not be told, once there are so many.
fn not_told(servers: &Bailiwick, count: usize) -> Vec<Value> {
    eventually("lines on the record", PATIENCE, || {
        let record = std::fs::read_to_string(servers.data_dir.join("audit/issuer.jsonl")).unwrap();
        let lines: Vec<Value> = record
            .lines()
            .filter(|line| line.contains("\"approver_not_told\""))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        match lines.len() {
            found if found >= count => Ok(lines),
            found => Err(format!("{found} of {count}")),
        }
    })
}

#[test]
fn mail_goes_out_under_tls_with_the_password_to_whom_the_server_does_not_refuse() {
    for security in ["starttls", "tls"] {
        let (mut server, servers) = started(&Given {
            speaks: security,
            demands: security,
            ..GOOD
        });
        let asked = servers.request(&WISH, &[]);
        let auth = server.event("auth");
        assert_eq!(auth["user"], "bailiwick");
        assert_eq!(auth["good"], true);
        let message = server.event("message");
        assert_eq!(message["to"], json!(["ada@example.org"]));
        let content = message["content"].as_str().unwrap();
        assert!(content.contains("/approvals/apr_"), "{content}");
        assert!(!content.contains(&asked.user_code), "{content}");
        let refused = not_told(&servers, 1);
        let refused = refused[0].to_string();
        assert!(refused.contains("mail refused@example.org"), "{refused}");
        assert!(refused.contains("no such mailbox"), "{refused}");
    }
}

#[test]
fn wrong_password_is_refused_and_on_the_record() {
    let (mut server, servers) = started(&Given {
        password: "another password",
        ..GOOD
    });
    let _asked = servers.request(&WISH, &[]);
    let auth = server.event("auth");
    assert_eq!((&auth["good"], &auth["tls"]), (&json!(false), &json!(true)));
    for line in not_told(&servers, 2) {
        assert!(line.to_string().contains("535"), "{line}");
    }
    assert_eq!(said(server, "message"), 0);
}

#[test]
fn server_that_does_not_offer_the_tls_that_is_demanded_gets_no_password_and_no_mail() {
    let (server, servers) = started(&Given {
        speaks: "none",
        ..GOOD
    });
    let _asked = servers.request(&WISH, &[]);
    for line in not_told(&servers, 2) {
        assert!(line.to_string().contains("STARTTLS"), "{line}");
    }
    assert_eq!(said(server, "auth"), 0);
}

#[test]
fn server_whose_certificate_nobody_vouches_for_or_that_is_another_hosts_gets_nothing() {
    for (given, why) in [
        (
            Given {
                knows_authority: false,
                ..GOOD
            },
            "UnknownIssuer",
        ),
        (
            Given {
                host: "other.example",
                ..GOOD
            },
            "not valid for name",
        ),
    ] {
        let (mut server, servers) = started(&given);
        let _asked = servers.request(&WISH, &[]);
        server.event("starttls");
        servers.complains(why);
        servers.signal("TERM");
        drop(servers);
        assert_eq!(said(server, "auth"), 0);
    }
}

/// How often a server said so until now.
fn said(server: Running, event: &str) -> usize {
    let lines = server.kill().json_lines();
    lines.iter().filter(|line| line["event"] == event).count()
}
