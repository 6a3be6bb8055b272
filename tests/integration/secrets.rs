//! Secrets stay where they belong: not in a log, however chatty, and not on
//! disk, but for the files made for them.

use std::path::{Path, PathBuf};

use crate::harness::agent::Wish;
use crate::harness::service::{Bailiwick, Folder};
use crate::harness::visitor::{PASSWORD, Visitor};

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let nested = |path: PathBuf| {
        if path.is_dir() {
            files_below(&path)
        } else {
            vec![path]
        }
    };
    entries.flat_map(nested).collect()
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

#[test]
fn no_secret_is_logged_or_kept_where_it_does_not_belong() {
    let loud = |command: &mut std::process::Command| {
        command.env("BAILIWICK_LOG", "trace");
    };
    let servers = Bailiwick::up_with(Folder::new(), loud);
    let link = servers.sign_in.clone().unwrap();
    let visitor = Visitor::signs_up(&servers);
    let wish = Wish {
        tools: &["files.read_file"],
        resources: &["files/reports"],
        task: "Read the report",
        time: "10m",
    };
    let asked = servers.request(&wish, &["--log", "trace"]);
    visitor.approves(&asked);
    let granted = asked.granted();
    let called = servers.call_with(&granted.token, "files.read_file", "path=reports/q3.md");
    let called = called.expect_code(0);
    servers.run(&["sessions", "--log", "trace"]).expect_code(0);

    let token_of = |name: &str| {
        let text = std::fs::read_to_string(servers.data_dir.join(name)).unwrap();
        text.trim().to_owned()
    };
    let (operator, gateway) = (token_of("operator.token"), token_of("gateway.token"));
    let link = link.rsplit('/').next().unwrap().to_owned();
    let mut secrets = vec![
        ("the token", granted.token.clone()),
        (
            "the token's signature",
            granted.token[granted.token.len() - 40..].to_owned(),
        ),
        ("the password", PASSWORD.to_owned()),
        ("the sign-in link", link),
    ];
    secrets.extend(
        visitor
            .cookie_values()
            .into_iter()
            .map(|value| ("a cookie", value)),
    );

    // On disk: nowhere in the data directory, where hashes are enough.
    for path in files_below(&servers.data_dir) {
        let bytes = std::fs::read(&path).unwrap();
        for (what, secret) in &secrets {
            assert!(!contains(&bytes, secret), "{what} is in {}", path.display());
        }
    }
    secrets.extend([
        ("the operator's token", operator),
        ("the gateway's token", gateway),
    ]);
    servers.signal("TERM");
    let (ended, _folder) = servers.ended();
    assert!(!ended.stderr.is_empty(), "there is a log to look at");
    for (what, secret) in &secrets {
        for log in [&ended.stderr, &called.stderr] {
            assert!(!contains(log.as_bytes(), secret), "{what} is in the log");
        }
    }
}
