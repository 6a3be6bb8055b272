//! Accounts and their roles, from the command line into a real browser.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bailiwick_datalog::Timestamp;
use serde_json::json;

use crate::harness::agent::Wish;
use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::service::{Bailiwick, Place};
use crate::harness::visitor::{PASSWORD, Visitor};

/// As RFC 3339 writes it.
fn in_a_month() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(now.as_secs() + 30 * 24 * 60 * 60).to_rfc3339()
}

/// Adds an account and has its owner choose a password in a browser of their own.
async fn joins(servers: &Place, user_name: &str, role: &str) -> Browser {
    let added = servers.run(&["accounts", "add", user_name, "--role", role]);
    let added = added.expect_code(0).json();
    assert_eq!(added["event"], "account_added");
    let browser = Browser::open().await;
    browser.goto(added["set_up_link"].as_str().unwrap()).await;
    browser.reads(&format!("Welcome, {user_name}")).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.fill("input[name=password_again]", PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn account_from_the_command_line_lives_in_a_browser_until_it_is_disabled() {
    let servers = Bailiwick::up();
    Visitor::signs_up(&servers);
    let bob = joins(&servers, "bob", "auditor").await;
    bob.arrives_at("/approvals").await;
    bob.goto(&format!("{}/accounts", servers.issuer)).await;
    let page = bob.reads("bob").await;
    assert!(!page.contains("Add an account"), "{page}");

    let roles = servers.run(&["accounts", "set-roles", "bob", "--role", "admin"]);
    assert_eq!(roles.expect_code(0).json()["roles"], json!(["admin"]));
    bob.goto(&format!("{}/accounts", servers.issuer)).await;
    bob.fill("#user_name", "carol").await;
    bob.click("input[name=role][value=approver]").await;
    bob.click("#add-account button").await;
    let link = bob.find("#link").await.text().await.unwrap();
    assert!(link.starts_with(&servers.issuer), "{link}");
    assert_eq!(bob.complaints(), Vec::<String>::new());

    let disabled = servers.run(&["accounts", "disable", "bob"]);
    assert_eq!(disabled.expect_code(0).json()["state"], "disabled");
    bob.goto(&format!("{}/accounts", servers.issuer)).await;
    bob.arrives_at("/sign-in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn application_of_its_own_is_decided_by_its_approver_within_their_ceiling() {
    let servers = Bailiwick::up();
    Visitor::signs_up(&servers);
    let bob = joins(&servers, "bob", "approver").await;
    bob.arrives_at("/approvals").await;
    let added = servers.run(&[
        "applications",
        "add",
        "support",
        "--name",
        "Help desk",
        "--tool",
        "files.*",
        "--approver",
        "bob",
        "--longest-session",
        "1h",
    ]);
    let added = added.expect_code(0).json();
    assert_eq!(added["event"], "application_added");
    assert_eq!(added["allowed_tools"], json!(["files.*"]));
    let limited = servers.run(&[
        "accounts",
        "set-ceiling",
        "bob",
        "--access",
        "read",
        "--resource",
        "files/reports",
    ]);
    let expected = json!({"access": ["read"], "resources": ["files/reports"]});
    assert_eq!(limited.expect_code(0).json()["ceiling"], expected);

    let wish = Wish {
        tools: &["files.read_file", "files.delete_file"],
        resources: &["files"],
        task: "Answer a customer",
        time: "10m",
    };
    let asked = servers.request(&wish, &["--client-id", "support"]);
    bob.goto(&asked.approval_url).await;
    bob.reads("Help desk").await;
    bob.reads("You may not grant `destructive` access of `files.delete_file`.")
        .await;
    bob.reads("You may grant only what is under files/reports.")
        .await;
    bob.click("input[name=resource][value='files.read_file#0']")
        .await;
    bob.click("#approve").await;
    bob.reads("beyond_ceiling").await;
    bob.goto(&asked.approval_url).await;
    bob.click("input[name=resource][value='files.read_file#0']")
        .await;
    bob.fill("input[name='path.files.read_file#0']", "files/reports")
        .await;
    bob.click("#approve").await;
    bob.find("#approved").await;
    let granted = asked.granted();
    assert!(
        !granted.details.to_string().contains("delete"),
        "{}",
        granted.details
    );

    let removed = servers
        .run(&["applications", "remove", "support"])
        .expect_code(0)
        .json();
    assert_eq!(removed["sessions_revoked"], 1);
    eventually(
        "the gateway to refuse the token",
        Duration::from_secs(5),
        || {
            let ended = servers.call_with(&granted.token, "files.read_file", "path=reports/q3.md");
            match ended.code() {
                Some(4) => Ok(()),
                _ => Err(ended.json().to_string()),
            }
        },
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_persons_decide_what_a_rule_names_and_a_delegate_stands_in_for_one() {
    let servers = Bailiwick::up();
    let ada = Visitor::signs_up(&servers);
    let rule = "two-approvers access=destructive";
    let set = servers.run(&["applications", "set", "default", "--rule", rule]);
    assert_eq!(set.expect_code(0).json()["rules"], json!([rule]));
    for name in ["bob", "carol"] {
        let added = servers.run(&["accounts", "add", name, "--role", "approver"]);
        added.expect_code(0);
    }
    let assigned = servers.run(&["applications", "set", "default", "--approver", "bob"]);
    assigned.expect_code(0);
    let link = servers.run(&["accounts", "link", "carol"]).expect_code(0);
    let named = servers.run(&[
        "accounts",
        "delegate",
        "bob",
        "--to",
        "carol",
        "--from",
        "2026-01-01T00:00:00Z",
        "--until",
        &in_a_month(),
    ]);
    assert_eq!(named.expect_code(0).json()["to"], "carol");

    let wish = Wish {
        tools: &["files.delete_file"],
        resources: &["files/notes"],
        task: "Tidy up",
        time: "10m",
    };
    let asked = servers.request(&wish, &[]);
    ada.approves(&asked);
    let carol = Browser::open().await;
    carol
        .goto(link.json()["set_up_link"].as_str().unwrap())
        .await;
    carol.fill("input[name=password]", PASSWORD).await;
    carol.fill("input[name=password_again]", PASSWORD).await;
    carol.click("main form button[type=submit]").await;
    carol.arrives_at("/approvals").await;
    carol.goto(&format!("{}/me", servers.issuer)).await;
    carol.reads("bob asks you to decide for them").await;
    carol.click("form[action$='/accept'] button").await;
    carol.reads("You decide for bob").await;
    carol.goto(&asked.approval_url).await;
    carol.reads("You decide on behalf of bob").await;
    carol.reads("ada has approved what is ticked").await;
    carol.click("#approve").await;
    carol.reads("decided by carol on behalf of bob").await;
    assert_eq!(carol.complaints(), Vec::<String>::new());
    asked.granted();
}

#[test]
fn command_line_says_who_there_is_and_why_something_is_refused() {
    let servers = Bailiwick::up();
    Visitor::signs_up(&servers);
    let listed = servers.run(&["accounts", "list"]).expect_code(0);
    let listed = listed.json_lines();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["event"], "account");
    assert_eq!(listed[0]["roles"], json!(["admin", "approver"]));
    for (arguments, exit, code) in [
        (["accounts", "disable", "ada"].as_slice(), 1, "last_admin"),
        (&["accounts", "show", "bob"], 1, "account_not_found"),
        (&["accounts", "link", "bob"], 1, "account_not_found"),
        (
            &[
                "accounts",
                "delegate",
                "ada",
                "--to",
                "ada",
                "--from",
                "2026-01-01T00:00:00Z",
                "--until",
                "2100-01-01T00:00:00Z",
            ],
            1,
            "invalid_delegation",
        ),
        (
            &["applications", "show", "none"],
            1,
            "application_not_found",
        ),
        (
            &["accounts", "add", "ada", "--role", "auditor"],
            1,
            "account_exists",
        ),
    ] {
        let refused = servers.run(arguments).expect_code(exit);
        assert_eq!(refused.json()["code"], code, "{arguments:?}");
    }
    for arguments in [
        ["accounts", "add", "bob"].as_slice(),
        &["accounts", "add", "bob", "--role", "root"],
        &["accounts"],
    ] {
        servers.run(arguments).expect_code(2);
    }
    let elsewhere = servers.folder.arg("nothing-here");
    let arguments = ["accounts", "list", "--data-dir", &elsewhere];
    let refused = servers.run(&arguments).expect_code(4);
    assert_eq!(refused.json()["code"], "no_operator_token");
}

#[test]
fn operator_lists_applications_with_their_limits() {
    let servers = Bailiwick::up();
    Visitor::signs_up(&servers);
    let list = || {
        let listed = servers.run(&["applications", "list"]).expect_code(0);
        listed.json_lines()
    };
    let show = |id: &str| {
        servers
            .run(&["applications", "show", id])
            .expect_code(0)
            .json()
    };
    assert_eq!(list(), [show("default")]);
    let add = [
        "applications",
        "add",
        "support",
        "--name",
        "Help desk",
        "--longest-session",
        "1h",
        "--tool",
        "files.*",
        "--approver",
        "ada",
    ];
    servers.run(&add).expect_code(0);
    let listed = list();
    assert_eq!(listed, [show("default"), show("support")]);
    for (member, value) in [
        ("event", json!("application")),
        ("application", json!("support")),
        ("name", json!("Help desk")),
        ("max_duration", json!(3_600)),
        ("allowed_tools", json!(["files.*"])),
        ("approvers", json!(["ada"])),
    ] {
        assert_eq!(listed[1][member], value, "{member}");
    }
    let removed = servers.run(&["applications", "remove", "support"]);
    removed.expect_code(0);
    assert_eq!(list(), [show("default")]);
    let elsewhere = servers.folder.arg("nothing-here");
    let arguments = ["applications", "list", "--data-dir", &elsewhere];
    let refused = servers.run(&arguments).expect_code(4);
    assert_eq!(refused.json()["code"], "no_operator_token");
}
