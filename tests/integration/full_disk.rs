//! A disk without room, and with room again: nothing is granted or done that is not on record, and
//! nothing that was on record is lost. The system itself refuses the process every byte to a file.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::asking::{ask, details, good_tool, poll};
use crate::harness::agent::{Wish, outcome};
use crate::harness::eventually;
use crate::harness::form::Form;
use crate::harness::http::Request;
use crate::harness::service::{Bailiwick, Folder};
use crate::harness::visitor::Visitor;

const WISH: Wish<'_> = Wish {
    tools: &["files.write_file"],
    resources: &["files/out"],
    task: "Write it down",
    time: "10m",
};

/// Starts the servers so that a write that the limit forbids fails, and does not end the process.
fn up() -> Bailiwick {
    Bailiwick::up_with(Folder::new(), |command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        *command = shell;
    })
}

/// The largest file that the servers may write from now on.
fn files_may_have(servers: &Bailiwick, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &servers.pid().to_string()])
        .arg(format!("--fsize={bytes}:"))
        .status()
        .unwrap();
    assert!(status.success(), "prlimit, of util-linux");
}

fn ready(server: &str) -> u16 {
    Request::get(server, "/readyz").send().status
}

#[test]
fn approval_on_a_full_disk_grants_nothing_and_can_be_given_again() {
    let servers = up();
    let visitor = Visitor::signs_up(&servers);
    let asked = servers.request(&WISH, &[]);
    let form = visitor.approval_form(&asked);
    files_may_have(&servers, "0");
    for _ in 0..2 {
        let refused = visitor.submit(&form);
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.text().contains("temporarily_unavailable"));
    }
    assert_eq!(ready(&servers.issuer), 503);

    files_may_have(&servers, "unlimited");
    visitor.approves(&asked);
    let granted = asked.granted();
    assert_eq!(ready(&servers.issuer), 200);
    // One session, for the command prints one line.
    let session = servers.run(&["sessions"]).expect_code(0).json();
    assert_eq!(session["session"], granted.session.as_str());
    let record = servers.folder.arg("data/audit/issuer.jsonl");
    servers.run(&["audit", "verify", &record]).expect_code(0);
}

/// Once nothing can be written at all, and once the record can but the database cannot.
#[test]
fn token_that_cannot_be_stored_is_not_given_and_can_be_fetched_later() {
    for record_has_room in [false, true] {
        let servers = up();
        let visitor = Visitor::signs_up(&servers);
        let details = details(&servers, &good_tool()).to_string();
        let asked = ask(&servers, &details).expect_status(200).json();
        let device_code = asked["device_code"].as_str().unwrap();
        let page = visitor.get(asked["verification_uri_complete"].as_str().unwrap());
        let forms = Form::all(&visitor.follow(page).text());
        let mut forms = forms.into_iter();
        let form = forms.find(|form| !form.names("request_digest").is_empty());
        visitor.submit(&form.unwrap().set("decision", "approve"));
        let log = servers.folder.join("data/issuer/issuer.sqlite-wal");
        let length = std::fs::metadata(log).unwrap().len();
        let record = servers.folder.arg("data/audit/issuer.jsonl");
        let recorded = std::fs::metadata(&record).unwrap().len();
        assert!(recorded + 4_096 < length, "the record is the shorter file");
        let most = if record_has_room { length } else { 0 };

        files_may_have(&servers, &most.to_string());
        for _ in 0..2 {
            let refused = poll(&servers, device_code);
            assert_eq!(refused.status, 503, "{}", refused.text());
            assert_eq!(refused.json()["error"], "temporarily_unavailable");
            assert!(!refused.text().contains("access_token"));
        }
        files_may_have(&servers, "unlimited");
        let lines = std::fs::read_to_string(&record).unwrap();
        assert_eq!(lines.contains("not_committed"), record_has_room, "{lines}");
        let given = poll(&servers, device_code).expect_status(200);
        assert!(given.json()["access_token"].is_string());
        servers.run(&["audit", "verify", &record]).expect_code(0);
    }
}

#[test]
fn call_on_a_full_disk_has_no_effect_and_readiness_comes_back_without_a_call() {
    let servers = up();
    let visitor = Visitor::signs_up(&servers);
    let call = r#"files.write_file={"path":"once.md","content":"one"}"#;
    let wish = Wish {
        tools: &[],
        resources: &["files"],
        ..WISH
    };
    let asked = servers.request(&wish, &["--call", call]);
    visitor.approves(&asked);
    let granted = asked.granted();
    let made = || {
        let arguments = json!({"path": "once.md", "content": "one"});
        outcome(
            &servers.gateway,
            &granted.token,
            "files.write_file",
            &arguments,
        )
    };
    files_may_have(&servers, "0");
    let refused = made();
    assert!(
        ["audit_unavailable", "ledger_unavailable"].contains(&refused.as_str()),
        "{refused}"
    );
    assert_eq!(ready(&servers.gateway), 503);

    files_may_have(&servers, "unlimited");
    eventually("readiness", Duration::from_secs(20), || {
        match ready(&servers.gateway) {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    });
    assert_eq!(made(), "allowed");
    assert_eq!(made(), "approval_required");
    let record = servers.folder.arg("data/audit/gateway.jsonl");
    servers.run(&["audit", "verify", &record]).expect_code(0);
}
