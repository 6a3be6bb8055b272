//! One task from asking to the end of the session, as the people and programs
//! in it see it: the real binary, a real browser, the official Python SDK, and
//! a Biscuit library in another language.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::agent::{Wish, narrow};
use crate::harness::eventually;
use crate::harness::pages::Approver;
use crate::harness::python::Sdk;
use crate::harness::service::Bailiwick;

/// The promise: how soon every gateway refuses what was revoked.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

const REPORT: &str = "reports/q3.md";

fn read(path: &str) -> Value {
    json!({ "path": path })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_from_the_first_sign_in_to_its_end() {
    let servers = Bailiwick::up();
    let mcp = servers.mcp();
    let approver = Approver::signs_up(&servers).await;

    // The agent asks for more than the person is going to allow.
    let asked = servers.request(
        &Wish {
            tools: &[
                "files.list_directory",
                "files.read_file",
                "files.delete_file",
            ],
            resources: &["files"],
            task: "Summarise the third quarter",
            time: "30m",
        },
        &["--agent", "summariser"],
    );
    let page = approver.opens(&asked).await;
    page.shows("Summarise the third quarter").await;
    page.shows("summariser").await;
    page.shows(&asked.user_code).await;
    page.removes_tool("files.delete_file").await;
    page.narrows("files.list_directory", "files", "files/reports")
        .await;
    page.narrows("files.read_file", "files", "files/reports")
        .await;
    page.shortens_to("10m").await;
    page.approves().await;

    let granted = asked.granted();
    let mode = granted.token_file.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "only the owner reads the token");
    assert_eq!(granted.details["duration"], 600, "{}", granted.details);
    assert!(
        !granted.details.to_string().contains("delete"),
        "{}",
        granted.details
    );

    // An unmodified client of either generation: everything it was granted…
    for sdk in [Sdk::V1, Sdk::V2] {
        let answers = sdk.converse(
            &mcp,
            &granted.token,
            &[
                json!({ "list": true }),
                json!({ "call": "files.list_directory", "arguments": { "path": "reports" } }),
                json!({ "call": "files.read_file", "arguments": read(REPORT) }),
                json!({ "call": "files.read_file", "arguments": read("notes/meeting.md") }),
                json!({ "call": "files.delete_file", "arguments": read(REPORT) }),
            ],
        );
        let tools = answers[0].tools();
        assert!(
            tools.iter().any(|(name, _)| name == "files.delete_file"),
            "discovery is open"
        );
        assert!(answers[1].text().contains("q3.md"), "{:?}", answers[1]);
        assert!(!answers[2].text().is_empty());
        // …and nothing else, each refusal with its code and its way out.
        assert_eq!(answers[3].code(), "resource_not_granted");
        assert_eq!(answers[4].code(), "tool_not_granted");
        let denial = answers[4].denial();
        assert_eq!(denial["tool"], "files.delete_file");
        assert!(
            denial["request_access"]["authorization_details"].is_array(),
            "{denial}"
        );
    }

    // The agent hands a narrower token to a sub-agent, asking nobody.
    let root = servers.mint_key();
    let sub = narrow(
        &granted.token,
        &root,
        r#"delegate("reader");
           check if tool("files.read_file");
           check if resource($r), $r.starts_with(["files", "reports", "q3.md"]);"#,
    );
    let call =
        |token: &str, tool: &str, arguments: &Value| Sdk::V2.call(&mcp, token, tool, arguments);
    assert!(
        !call(&sub, "files.read_file", &read(REPORT))
            .text()
            .is_empty()
    );
    let outside = call(&sub, "files.read_file", &read("reports/q4-draft.md"));
    assert_eq!(outside.code(), "caveat_failed");
    let words = outside.denial()["explanation"].as_str().unwrap();
    assert!(words.contains("reader"), "the delegate is named: {words}");
    assert_eq!(
        call(&sub, "files.list_directory", &read("reports")).code(),
        "caveat_failed"
    );
    assert_eq!(
        call(&sub, "files.read_file", &read("notes/meeting.md")).code(),
        "resource_not_granted",
        "the grant is missing before any caveat is asked"
    );

    // Twice narrowed is narrower still, and depth has an end.
    let twice = narrow(&sub, &root, r#"check if depth($d), $d <= 2;"#);
    assert!(
        !call(&twice, "files.read_file", &read(REPORT))
            .text()
            .is_empty()
    );
    let thrice = narrow(&twice, &root, r#"delegate("one-too-many");"#);
    assert_eq!(
        call(&thrice, "files.read_file", &read(REPORT)).code(),
        "depth_exceeded"
    );

    // The person sees what was done with the approval, by whom.
    let seen = [
        "files.read_file",
        "reader",
        "tool_not_granted",
        "caveat_failed",
        "allowed",
    ];
    approver.sees_in_session(&granted.session, &seen).await;

    // One click, and the next call of everybody is refused.
    approver.revokes(&granted.session).await;
    for token in [&granted.token, &sub] {
        let refused = eventually("the revocation to arrive", REVOKED_WITHIN, || {
            let answer = servers.call_with(token, "files.read_file", "path=reports/q3.md");
            if answer.code() == Some(0) {
                Err("still allowed".to_owned())
            } else {
                Ok(answer)
            }
        });
        assert_eq!(refused.json()["code"], "revoked", "{refused:?}");
    }
    let refused = call(&granted.token, "files.read_file", &read(REPORT));
    assert_eq!(refused.code(), "revoked");
    assert!(
        refused.challenge().contains("resource_metadata="),
        "{}",
        refused.challenge()
    );
    assert_eq!(
        approver.complaints(),
        Vec::<String>::new(),
        "what the browser objected to"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_finds_the_request_by_its_code_and_says_no() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    approver.signs_in_again().await;
    let wish = Wish {
        tools: &["files.read_file", "files.write_file"],
        resources: &["files/notes"],
        task: "Tidy up the notes",
        time: "15m",
    };
    let asked = servers.request(&wish, &[]);
    let page = approver.types_code(&asked).await;
    page.shows("Tidy up the notes").await;
    page.denies("Not while the meeting lasts").await;
    let ended = asked.ended().expect_code(3);
    let denied = ended.json_lines().pop().unwrap();
    assert_eq!(denied["event"], "denied", "{denied}");
    assert_eq!(denied["reason"], "Not while the meeting lasts", "{denied}");
    assert!(
        !servers.folder.join("bailiwick-token").exists(),
        "no token for a denial"
    );

    // Widening in the browser is refused there and then, and can be mended. The agent that was
    // denied is quiet for a while, so another one asks.
    let asked = servers.request(&wish, &["--agent", "another agent"]);
    let page = approver.opens(&asked).await;
    page.shortens_to("16m").await;
    page.fails_to_approve("approval_widened").await;
    let page = approver.opens(&asked).await;
    page.removes_tool("files.write_file").await;
    page.approves().await;
    let granted = asked.granted();
    assert!(
        !granted.details.to_string().contains("write"),
        "{}",
        granted.details
    );
}
