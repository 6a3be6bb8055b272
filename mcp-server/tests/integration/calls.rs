//! Which calls pass, which are refused for a missing right, and how a refusal reads.

use std::time::Duration;

use bailiwick_datalog::{Access, Caveat, DelegateName, LaterBlock};
use serde_json::{Value, json};

use crate::harness::{TestGateway, TokenSpec, grant};

const READ: &str = "files.read_file";

#[tokio::test]
async fn a_granted_call_is_executed() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let reply = gateway
        .call(&token, READ, json!({"path": "reports/q3.md"}))
        .await;
    assert_eq!(reply.tool_text(), "# Q3\nRevenue grew.\n");
}

#[tokio::test]
async fn a_tool_without_a_grant_is_refused_with_the_request_that_would_allow_it() {
    let gateway = TestGateway::start().await;
    let only_list = [grant("files.list_directory", Access::Read, "files")];
    let token = TokenSpec::granting(&gateway.audience(), only_list).mint();
    let reply = gateway
        .call(&token, READ, json!({"path": "reports/q3.md"}))
        .await;
    assert_eq!(
        reply.denial(),
        json!({
            "code": "tool_not_granted",
            "explanation": "the tool `files.read_file` (read) was not granted",
            "tool": READ,
            "retryable": false,
            "request_access": { "authorization_details": [{
                "type": "mcp_tools",
                "locations": [gateway.audience()],
                "task": "summarise the quarter",
                "duration": 900,
                "tools": [{"name": READ, "access": "read", "resources": ["files/reports/q3.md"]}],
            }]},
        })
    );
    let text = reply.result()["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("tool_not_granted"), "{text}");
}

#[tokio::test]
async fn clients_of_an_application_that_steps_up_are_told_the_missing_scope_over_http() {
    let mut gateway = TestGateway::start().await;
    let only_list = [grant("files.list_directory", Access::Read, "files/reports")];
    let token = TokenSpec::granting(&gateway.audience(), only_list).mint();
    let (list, read) = ("files.list_directory", json!({"path": "reports/q3.md"}));
    gateway.step_up = ["other".to_owned()].into();
    gateway.restart().await;
    gateway.refresh().await;
    let reply = gateway.call(&token, READ, read.clone()).await;
    assert_eq!(
        reply.denial_code(),
        "tool_not_granted",
        "of another application"
    );

    gateway.step_up = ["default".to_owned()].into();
    gateway.restart().await;
    gateway.refresh().await;
    let reply = gateway.call(&token, READ, read).await;
    assert_eq!(reply.code(), (403, "tool_not_granted".to_owned()));
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    let metadata = gateway
        .url
        .join("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(
        challenge,
        format!(
            "Bearer resource_metadata=\"{}\", error=\"insufficient_scope\", \
             error_description=\"tool_not_granted\", scope=\"tool:files.read_file\"",
            metadata.unwrap()
        )
    );
    let recorded = gateway.audit();
    assert_eq!(
        recorded.last().unwrap()["fields"]["code"],
        "tool_not_granted"
    );
    let elsewhere = gateway.call(&token, list, json!({"path": "private"})).await;
    assert_eq!(elsewhere.code(), (403, "resource_not_granted".to_owned()));
    let allowed = gateway.call(&token, list, json!({"path": "reports"})).await;
    assert!(allowed.tool_text().contains("q3.md"));
    let ambiguous = gateway
        .call(&token, list, json!({"path": "../private"}))
        .await;
    assert_eq!(
        ambiguous.denial_code(),
        "resource_not_granted",
        "nobody could approve it, so asking is of no use"
    );
}

#[tokio::test]
async fn the_request_in_a_denial_grants_the_call_when_it_is_approved() {
    let gateway = TestGateway::start().await;
    let arguments = json!({"from": "reports/q3.md", "to": "archive/q3.md"});
    let token = gateway.reading_token();
    let denial = gateway
        .call(&token, "files.move_file", arguments.clone())
        .await
        .denial();
    let tool = &denial["request_access"]["authorization_details"][0]["tools"][0];
    let access = tool["access"].as_str().unwrap().parse().unwrap();
    let grants: Vec<_> = tool["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| {
            grant(
                tool["name"].as_str().unwrap(),
                access,
                path.as_str().unwrap(),
            )
        })
        .collect();
    let approved = TokenSpec::granting(&gateway.audience(), grants).mint();
    let reply = gateway.call(&approved, "files.move_file", arguments).await;
    assert_eq!(
        reply.tool_text(),
        "moved `reports/q3.md` to `archive/q3.md`"
    );
}

#[tokio::test]
async fn a_granted_tool_on_another_resource_is_refused() {
    let gateway = TestGateway::start().await;
    let reports = [grant(READ, Access::Read, "files/reports")];
    let token = TokenSpec::granting(&gateway.audience(), reports).mint();
    let inside = gateway
        .call(&token, READ, json!({"path": "reports/q3.md"}))
        .await;
    assert_eq!(inside.tool_text(), "# Q3\nRevenue grew.\n");
    let outside = gateway
        .call(&token, READ, json!({"path": "private/salaries.md"}))
        .await;
    assert_eq!(outside.denial_code(), "resource_not_granted");
}

#[tokio::test]
async fn access_comes_from_the_catalogue_and_is_not_ordered() {
    let gateway = TestGateway::start().await;
    for access in Access::ALL {
        let token = TokenSpec::granting(&gateway.audience(), [grant(READ, access, "files")]).mint();
        let reply = gateway
            .call(&token, READ, json!({"path": "reports/q3.md"}))
            .await;
        match access {
            Access::Read => assert_eq!(reply.tool_text(), "# Q3\nRevenue grew.\n"),
            Access::Write | Access::Destructive => {
                assert_eq!(reply.denial_code(), "tool_not_granted");
            }
        }
    }
}

#[tokio::test]
async fn a_move_needs_both_sides_granted() {
    let gateway = TestGateway::start().await;
    let arguments = json!({"from": "reports/q3.md", "to": "archive/q3.md"});
    let (from, to) = (
        grant("files.move_file", Access::Write, "files/reports"),
        grant("files.move_file", Access::Write, "files/archive"),
    );
    for one_side in [from.clone(), to.clone()] {
        let token = TokenSpec::granting(&gateway.audience(), [one_side]).mint();
        let reply = gateway
            .call(&token, "files.move_file", arguments.clone())
            .await;
        assert_eq!(reply.denial_code(), "resource_not_granted");
        assert!(gateway.files.join("reports/q3.md").exists());
    }
    let token = TokenSpec::granting(&gateway.audience(), [from, to]).mint();
    let reply = gateway.call(&token, "files.move_file", arguments).await;
    assert_eq!(
        reply.tool_text(),
        "moved `reports/q3.md` to `archive/q3.md`"
    );
    assert!(!gateway.files.join("reports/q3.md").exists());
}

#[tokio::test]
async fn a_block_narrows_and_its_delegate_is_named() {
    let gateway = TestGateway::start().await;
    let narrowed = |paths: &[&str]| {
        let mut spec = TokenSpec::reading(&gateway.audience());
        let segments = paths.iter().map(|segment| (*segment).to_owned()).collect();
        spec.blocks = vec![LaterBlock {
            delegate: Some(DelegateName::parse("sub-7").unwrap()),
            holder: None,
            caveats: vec![Caveat::ResourceUnder(vec![segments])],
        }];
        spec.mint()
    };
    let arguments = json!({"path": "reports/q3.md"});
    let inside = gateway
        .call(&narrowed(&["files", "reports"]), READ, arguments.clone())
        .await;
    assert_eq!(inside.tool_text(), "# Q3\nRevenue grew.\n");
    let outside = gateway
        .call(&narrowed(&["files", "private"]), READ, arguments)
        .await;
    assert_eq!(outside.denial_code(), "caveat_failed");
    assert!(
        outside.denial()["explanation"]
            .as_str()
            .unwrap()
            .contains("`sub-7`")
    );
}

#[tokio::test]
async fn paths_with_a_second_reading_are_granted_to_nobody() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    for path in [
        "../files/reports/q3.md",
        "reports/../private/salaries.md",
        "reports/..",
        "./reports/q3.md",
        "/etc/passwd",
        "reports//q3.md",
        "reports/",
        "%2e%2e/x",
        "reports/%2e%2e/private/salaries.md",
        "reports/q3.md\0",
        "..\\x",
        "reports\\q3.md",
        "reports/\u{202e}q3.md",
    ] {
        for tool in [READ, "files.list_directory"] {
            let reply = gateway.call(&token, tool, json!({ "path": path })).await;
            assert_eq!(
                reply.denial_code(),
                "resource_not_granted",
                "{tool} {path:?}"
            );
            assert!(reply.denial().get("request_access").is_none(), "{path:?}");
            let explanation = reply.denial()["explanation"].as_str().unwrap().to_owned();
            assert!(
                explanation.starts_with("argument `path` is not a plain path"),
                "{path:?}"
            );
            assert!(!explanation.contains('\u{202e}'), "{path:?}");
        }
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_a_tool_error_not_a_denial() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    for arguments in [
        json!({}),
        json!({"path": 1}),
        json!({"path": null}),
        json!({"path": "reports/q3.md", "encoding": "utf-8"}),
    ] {
        let reply = gateway.call(&token, READ, arguments.clone()).await;
        assert_eq!(reply.tool_error_code(), "invalid_arguments", "{arguments}");
    }
}

#[tokio::test]
async fn an_unknown_tool_is_invalid_params() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    for tool in [
        "files.format_disk",
        "Files.read_file",
        "files.read_file ",
        "",
    ] {
        let reply = gateway
            .call(&token, tool, json!({"path": "reports/q3.md"}))
            .await;
        assert_eq!(reply.code(), (200, "unknown_tool".to_owned()), "{tool:?}");
        assert_eq!(reply.json()["error"]["code"], -32_602);
    }
}

#[tokio::test]
async fn a_token_good_at_the_last_second_is_refused_at_the_next() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let arguments = json!({"path": "reports/q3.md"});
    gateway.clock.advance(Duration::from_secs(3_599));
    gateway.refresh().await;
    let reply = gateway.call(&token, READ, arguments.clone()).await;
    assert_eq!(reply.tool_text(), "# Q3\nRevenue grew.\n");
    gateway.clock.advance(Duration::from_secs(1));
    let reply = gateway.call(&token, READ, arguments).await;
    assert_eq!(reply.code(), (401, "expired".to_owned()));
}

#[tokio::test]
async fn tools_say_whether_this_token_may_call_them() {
    let gateway = TestGateway::start().await;
    let grants = [
        grant(READ, Access::Read, "files/reports"),
        grant(READ, Access::Read, "files/archive"),
        // The wrong access for the tool: it grants nothing here.
        grant("files.delete_file", Access::Read, "files"),
    ];
    let token = TokenSpec::granting(&gateway.audience(), grants).mint();
    let list = gateway
        .send(&token, &crate::harness::request("tools/list"))
        .await
        .result();
    let tools = list["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 6);
    let permission = |name: &str| -> Value {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        tool["_meta"]["bailiwick/permission"].clone()
    };
    assert_eq!(
        permission(READ),
        json!({
            "callable": true,
            "access": "read",
            "resources": ["files/archive", "files/reports"],
        })
    );
    assert_eq!(
        permission("files.delete_file"),
        json!({"callable": false, "access": "destructive", "resources": []})
    );
}
