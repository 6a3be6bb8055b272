//! The file tools, through the whole gateway.

use bailiwick_datalog::Access;
use bailiwick_mcp_server::{Gateway, GatewayConfig, OpenError};
use serde_json::json;

use crate::harness::{TestGateway, TokenSpec, grant};

fn everything(gateway: &TestGateway) -> String {
    let mut spec = TokenSpec::reading(&gateway.audience());
    spec.grants.extend([
        grant("files.write_file", Access::Write, "files"),
        grant("files.move_file", Access::Write, "files"),
        grant("files.delete_file", Access::Destructive, "files"),
    ]);
    spec.mint()
}

#[tokio::test]
async fn files_are_written_listed_read_moved_and_deleted() {
    let gateway = TestGateway::start().await;
    let token = everything(&gateway);
    let write = json!({"path": "new/deep/a.txt", "content": "one\ntwo\n"});
    let text = gateway
        .call(&token, "files.write_file", write.clone())
        .await
        .tool_text();
    assert_eq!(text, "created `new/deep/a.txt` with 8 bytes");
    let text = gateway
        .call(&token, "files.write_file", write)
        .await
        .tool_text();
    assert_eq!(text, "replaced `new/deep/a.txt` with 8 bytes");
    let text = gateway
        .call(&token, "files.list_directory", json!({"path": "new/deep"}))
        .await;
    assert_eq!(text.tool_text(), "a.txt\t8 bytes\n");
    let text = gateway
        .call(&token, "files.list_directory", json!({}))
        .await
        .tool_text();
    assert_eq!(text, "new/\nprivate/\nreports/\n");
    let moved = json!({"from": "new/deep/a.txt", "to": "b.txt"});
    gateway
        .call(&token, "files.move_file", moved)
        .await
        .tool_text();
    let text = gateway
        .call(&token, "files.read_file", json!({"path": "b.txt"}))
        .await
        .tool_text();
    assert_eq!(text, "one\ntwo\n");
    gateway
        .call(&token, "files.delete_file", json!({"path": "b.txt"}))
        .await
        .tool_text();
    let gone = gateway
        .call(&token, "files.read_file", json!({"path": "b.txt"}))
        .await;
    assert_eq!(gone.tool_error_code(), "not_found");
    let leftovers = std::fs::read_dir(gateway.files.join("new/deep"))
        .unwrap()
        .count();
    assert_eq!(leftovers, 0);
}

#[tokio::test]
async fn a_search_stays_under_the_path_that_was_granted() {
    let gateway = TestGateway::start().await;
    let reports = [grant("files.search", Access::Read, "files/reports")];
    let token = TokenSpec::granting(&gateway.audience(), reports).mint();
    std::fs::write(gateway.files.join("private/q3.md"), "revenue\n").unwrap();
    let under = gateway.call(
        &token,
        "files.search",
        json!({"path": "reports", "query": "REVENUE"}),
    );
    assert_eq!(under.await.tool_text(), "reports/q3.md:2: Revenue grew.\n");
    let file = json!({"path": "reports/q3.md", "query": "revenue"});
    let file = gateway.call(&token, "files.search", file).await;
    assert_eq!(file.tool_text(), "reports/q3.md:2: Revenue grew.\n");
    let all = gateway
        .call(&token, "files.search", json!({"query": "revenue"}))
        .await;
    assert_eq!(all.denial_code(), "resource_not_granted");
}

#[tokio::test]
async fn a_move_never_overwrites() {
    let gateway = TestGateway::start().await;
    let token = everything(&gateway);
    std::fs::write(gateway.files.join("taken.md"), "taken\n").unwrap();
    let onto = |to: &'static str| {
        gateway.call(
            &token,
            "files.move_file",
            json!({"from": "reports/q3.md", "to": to}),
        )
    };
    assert_eq!(onto("taken.md").await.tool_error_code(), "already_exists");
    assert_eq!(
        std::fs::read_to_string(gateway.files.join("taken.md")).unwrap(),
        "taken\n"
    );
    assert!(gateway.files.join("reports/q3.md").exists());
    assert_eq!(
        onto("reports/q3.md").await.tool_error_code(),
        "already_exists"
    );
    assert!(gateway.files.join("reports/q3.md").exists());
    assert_eq!(
        onto("free.md").await.tool_text(),
        "moved `reports/q3.md` to `free.md`"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_never_followed_wherever_they_point() {
    use std::os::unix::fs::symlink;

    let gateway = TestGateway::start().await;
    let token = everything(&gateway);
    std::fs::write(gateway.outside().join("outside.txt"), "outside\n").unwrap();
    symlink(gateway.outside(), gateway.files.join("out")).unwrap();
    symlink(
        gateway.outside().join("outside.txt"),
        gateway.files.join("reports/out.txt"),
    )
    .unwrap();
    symlink(
        "../private/salaries.md",
        gateway.files.join("reports/in.md"),
    )
    .unwrap();
    symlink("private", gateway.files.join("reports_too")).unwrap();
    for path in [
        "out/outside.txt",
        "reports/out.txt",
        "reports/in.md",
        "reports_too/salaries.md",
    ] {
        let read = gateway
            .call(&token, "files.read_file", json!({"path": path}))
            .await;
        assert_eq!(read.tool_error_code(), "symbolic_link", "{path}");
        let write = json!({"path": path, "content": "x"});
        let write = gateway.call(&token, "files.write_file", write).await;
        assert_eq!(write.tool_error_code(), "symbolic_link", "{path}");
        let delete = gateway
            .call(&token, "files.delete_file", json!({"path": path}))
            .await;
        assert_eq!(delete.tool_error_code(), "symbolic_link", "{path}");
        let from = gateway
            .call(&token, "files.move_file", json!({"from": path, "to": "x"}))
            .await;
        assert_eq!(from.tool_error_code(), "symbolic_link", "{path}");
    }
    let list = gateway
        .call(&token, "files.list_directory", json!({"path": "out"}))
        .await;
    assert_eq!(list.tool_error_code(), "symbolic_link");
    let found = gateway
        .call(&token, "files.search", json!({"query": "e"}))
        .await
        .tool_text();
    assert!(!found.contains("outside"), "{found}");
    assert!(!found.contains("in.md:"), "{found}");
    assert_eq!(
        std::fs::read_to_string(gateway.outside().join("outside.txt")).unwrap(),
        "outside\n"
    );
}

#[tokio::test]
async fn a_file_of_1_mib_is_read_and_written_and_one_byte_more_refused() {
    let gateway = TestGateway::start().await;
    let token = everything(&gateway);
    for (length, fits) in [(1_048_576, true), (1_048_577, false)] {
        let content = "a".repeat(length);
        std::fs::write(gateway.files.join("large.txt"), &content).unwrap();
        let read = gateway
            .call(&token, "files.read_file", json!({"path": "large.txt"}))
            .await;
        let write = json!({"path": "copy.txt", "content": content});
        let write = gateway.call(&token, "files.write_file", write).await;
        if fits {
            assert_eq!(read.tool_text().len(), length);
            write.tool_text();
        } else {
            assert_eq!(read.tool_error_code(), "too_large");
            assert_eq!(write.tool_error_code(), "too_large");
        }
    }
}

#[tokio::test]
async fn what_is_no_text_or_no_file_is_not_read() {
    let gateway = TestGateway::start().await;
    let token = everything(&gateway);
    std::fs::write(gateway.files.join("binary"), [0xff, 0xfe]).unwrap();
    for (tool, path, code) in [
        ("files.read_file", "binary", "not_text"),
        ("files.read_file", "reports", "not_a_file"),
        ("files.read_file", "none", "not_found"),
        ("files.read_file", "reports/q3.md/x", "not_a_directory"),
        ("files.list_directory", "reports/q3.md", "not_a_directory"),
        ("files.delete_file", "reports", "not_a_file"),
        ("files.read_file", ".bailiwick-tmp-1-0", "reserved_name"),
    ] {
        let reply = gateway.call(&token, tool, json!({ "path": path })).await;
        assert_eq!(reply.tool_error_code(), code, "{tool} {path}");
    }
}

#[tokio::test]
async fn a_sandbox_that_holds_the_gateways_state_is_refused() {
    let mut gateway = TestGateway::start().await;
    gateway.stop().await;
    let open = |files_root: std::path::PathBuf| {
        Gateway::open(GatewayConfig {
            files_root,
            ..gateway.config()
        })
        .map(drop)
    };
    let above = gateway.data.join("..");
    let link = gateway.files.join("link");
    std::os::unix::fs::symlink(&gateway.data, &link).unwrap();
    let audit = gateway.data.join("audit");
    for bad in [gateway.data.clone(), above, link, audit] {
        let refused = open(bad.clone());
        assert!(
            matches!(refused, Err(OpenError::StateInSandbox { .. })),
            "{bad:?}"
        );
    }
    let beside = gateway.data.join("files");
    std::fs::create_dir(&beside).unwrap();
    open(beside).unwrap();
}
