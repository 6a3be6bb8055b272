//! `bailiwick up` as a process: how it starts, what it leaves on disk, what it
//! writes to its log, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::http::Request;
use crate::harness::process::Running;
use crate::harness::service::{Bailiwick, Folder, bailiwick, up_arguments};

/// The promise to somebody who has just typed the command.
const READY_WITHIN: Duration = Duration::from_secs(2);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_below(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn first_start_is_ready_within_two_seconds() {
    let started = Instant::now();
    let servers = Bailiwick::up();
    let elapsed = started.elapsed();
    assert!(elapsed < READY_WITHIN, "{elapsed:?}");
    assert!(
        servers.sign_in.is_some(),
        "the first start offers a sign-in link"
    );
}

#[test]
fn both_servers_answer_as_soon_as_they_say_ready() {
    let servers = Bailiwick::up();
    for base in [&servers.issuer, &servers.gateway] {
        Request::get(base, "/healthz").send().expect_status(200);
        Request::get(base, "/readyz").send().expect_status(200);
    }
}

#[test]
fn second_up_on_the_same_directory_says_it_is_in_use() {
    let first = Bailiwick::up();
    let data = first.folder.arg("data");
    let mut command = bailiwick(&up_arguments(&data));
    command.current_dir(first.folder.path());
    let second = Running::start("second up", command).ended().expect_code(1);
    let failure = second.json();
    assert_eq!(failure["event"], "error", "{failure}");
    assert_eq!(failure["code"], "data_dir_in_use", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("in use") && message.contains("data"),
        "{message}"
    );
    // The first one never noticed.
    Request::get(&first.issuer, "/readyz")
        .send()
        .expect_status(200);
}

#[test]
fn both_signals_end_it_with_exit_code_zero() {
    for signal in ["INT", "TERM"] {
        let servers = Bailiwick::up();
        servers.signal(signal);
        let (ended, _folder) = servers.ended();
        assert_eq!(ended.code(), Some(0), "{signal}: {}", ended.stderr);
    }
}

#[test]
fn state_survives_a_restart_and_a_kill() {
    let servers = Bailiwick::up();
    let anchor = fs::read(servers.data_dir.join("issuer/keys/anchor.key")).unwrap();
    servers.signal("KILL");
    let (_, folder) = servers.ended();
    let again = Bailiwick::up_with(folder, |_| ());
    assert_eq!(
        fs::read(again.data_dir.join("issuer/keys/anchor.key")).unwrap(),
        anchor
    );
    Request::get(&again.gateway, "/readyz")
        .send()
        .expect_status(200);
}

#[test]
fn data_directory_is_private_and_keys_are_more_so() {
    let servers = Bailiwick::up();
    let data = &servers.data_dir;
    assert_eq!(mode(data), 0o700);
    let secrets = [
        "issuer/keys/anchor.key",
        "issuer/keys/mint-1.key",
        "issuer/keys/revocation.key",
        "operator.token",
        "gateway.token",
        "issuer/issuer.sqlite",
    ];
    for secret in secrets {
        assert_eq!(mode(&data.join(secret)), 0o600, "{secret}");
    }
    let open_to_others = |path: &PathBuf| mode(path) & 0o077 != 0;
    // The provider's files are the user's own documents, and the revocation
    // list is published to anybody; the directory above shields both.
    let public = [data.join("files"), data.join("gateway/revocations.sled")];
    let private = |path: &PathBuf| !public.iter().any(|folder| path.starts_with(folder));
    let open: Vec<_> = everything_below(data)
        .into_iter()
        .filter(private)
        .filter(open_to_others)
        .collect();
    assert!(open.is_empty(), "readable by others: {open:?}");
}

#[test]
fn an_address_in_use_is_named_and_nothing_is_left_running() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let data = folder.arg("data");
    let arguments = [
        "up",
        "--data-dir",
        &data,
        "--issuer",
        &address,
        "--gateway",
        "127.0.0.1:0",
        "--json",
    ];
    let ended = Running::start("up", bailiwick(&arguments))
        .ended()
        .expect_code(1);
    let failure = ended.json();
    assert!(
        failure["message"].as_str().unwrap().contains(&address),
        "{failure}"
    );
}

#[test]
fn usage_errors_end_with_two() {
    for arguments in [
        &["frobnicate"][..],
        &["up", "--no-such-option"],
        &["request", "--task", "x", "--for", "10m"],
        &[
            "request",
            "--tool",
            "files.read_file",
            "--resource",
            "files/../etc",
            "--task",
            "x",
            "--for",
            "10m",
        ],
        &[
            "request",
            "--tool",
            "files.read_file",
            "--resource",
            "files",
            "--task",
            "x",
            "--for",
            "soon",
        ],
    ] {
        let ended = Running::start("usage", bailiwick(arguments)).ended();
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn programs_get_json_lines_and_nothing_else_on_stdout() {
    let servers = Bailiwick::up();
    for arguments in [&["keys"][..], &["sessions"]] {
        let ended = servers.run(arguments);
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {}", ended.stderr);
        for line in ended.json_lines() {
            assert!(line["event"].is_string(), "{line}");
        }
    }
}
