//! Blocks written by a Biscuit library in another language: each narrowing is
//! enforced with its code, and nothing that a block says ever widens.

use serde_json::{Value, json};

use crate::harness::agent::{Granted, Wish, narrow, narrow_each, outcome};
use crate::harness::service::Bailiwick;
use crate::harness::visitor::Visitor;

struct Scene {
    servers: Bailiwick,
    granted: Granted,
    root: String,
}

impl Scene {
    fn new() -> Self {
        let servers = Bailiwick::up();
        let wish = Wish {
            tools: &["files.list_directory", "files.read_file"],
            resources: &["files/reports"],
            task: "Read the reports",
            time: "10m",
        };
        let asked = servers.request(&wish, &[]);
        Visitor::signs_up(&servers).approves(&asked);
        let (granted, root) = (asked.granted(), servers.mint_key());
        Self {
            servers,
            granted,
            root,
        }
    }

    fn read(&self, token: &str, path: &str) -> String {
        self.call(token, "files.read_file", &json!({ "path": path }))
    }

    fn call(&self, token: &str, tool: &str, arguments: &Value) -> String {
        outcome(&self.servers.gateway, token, tool, arguments)
    }
}

#[test]
fn every_kind_of_narrowing_holds() {
    let scene = Scene::new();
    // Each block, and what becomes of reading q3.md, reading q4-draft.md and
    // listing the folder.
    let rows = [
        (r#"delegate("anyone");"#, ["allowed"; 3]),
        (
            r#"check if tool("files.read_file");"#,
            ["allowed", "allowed", "caveat_failed"],
        ),
        (
            r#"check if tool($t), ["files.list_directory", "files.search"].contains($t);"#,
            ["caveat_failed", "caveat_failed", "allowed"],
        ),
        (r#"check if access("read");"#, ["allowed"; 3]),
        (r#"check if access("write");"#, ["caveat_failed"; 3]),
        (
            r#"check if resource($r), $r.starts_with(["files", "reports", "q3.md"]);"#,
            ["allowed", "caveat_failed", "caveat_failed"],
        ),
        (
            r#"check all resource($r), $r.starts_with(["files", "reports"]);"#,
            ["allowed"; 3],
        ),
        (
            r#"check if args($a), $a.get("path") == "reports/q3.md";"#,
            ["allowed", "caveat_failed", "caveat_failed"],
        ),
        (
            r#"check if args($a), $a.get("path").ends_with(".md");"#,
            ["allowed", "allowed", "caveat_failed"],
        ),
        (
            r#"check if args($a), ["reports", "reports/q3.md"].contains($a.get("path"));"#,
            ["allowed", "caveat_failed", "allowed"],
        ),
        (
            r#"check if path_arg("path", $p), $p.starts_with(["reports", "q3.md"]);"#,
            ["allowed", "caveat_failed", "caveat_failed"],
        ),
        (
            r#"check if args($a), $a.all($kv -> ["path"].contains($kv.get(0)));"#,
            ["allowed"; 3],
        ),
        (
            r#"check if args($a), !$a.contains("path");"#,
            ["caveat_failed"; 3],
        ),
        (
            "check if time($t), $t < 2000-01-01T00:00:00Z;",
            ["expired"; 3],
        ),
        (
            "check if time($t), $t < 2100-01-01T00:00:00Z;",
            ["allowed"; 3],
        ),
        ("check if depth($d), $d <= 1;", ["allowed"; 3]),
        ("check if depth($d), $d <= 0;", ["depth_exceeded"; 3]),
        (
            r#"check if request_audience("http://elsewhere.example/mcp");"#,
            ["wrong_audience"; 3],
        ),
    ];
    let blocks = rows.map(|(block, _)| block);
    let tokens = narrow_each(&scene.granted.token, &scene.root, &blocks);
    for ((block, expected), token) in rows.into_iter().zip(tokens) {
        let met = [
            scene.read(&token, "reports/q3.md"),
            scene.read(&token, "reports/q4-draft.md"),
            scene.call(
                &token,
                "files.list_directory",
                &json!({ "path": "reports" }),
            ),
        ];
        assert_eq!(met, expected, "{block}");
    }
}

#[test]
fn nothing_that_a_block_says_widens() {
    let scene = Scene::new();
    let blocks = [
        r#"grant("g9", "files.delete_file", "destructive", ["files"]);"#,
        r#"grant("g9", "files.read_file", "read", ["files"]);"#,
        "expires_at(2100-01-01T00:00:00Z);",
        "time(2000-01-01T00:00:00Z);",
        "max_depth(9);",
        "depth(0);",
        r#"tool("files.delete_file");"#,
        r#"session("another");"#,
        r#"grant($g, $t, "destructive", ["files"]) <- grant($g, $t, $a, $p);"#,
        r#"reject if tool("files.read_file");"#,
        r#"check if tool("files.read_file") or tool("files.delete_file");"#,
        r#"check if tool($t), $t.matches("files[.].*");"#,
        r#"check if tool("files.read_file") trusting previous;"#,
        r#"check if session("x");"#,
        r#"delegate("one"); delegate("two");"#,
        "check if true;",
    ];
    let tokens = narrow_each(&scene.granted.token, &scene.root, &blocks);
    for (block, token) in blocks.iter().zip(&tokens) {
        // Not narrowed in some other way, but refused: nobody has to work out
        // what such a block might mean.
        assert_eq!(
            scene.read(token, "reports/q3.md"),
            "profile_violation",
            "{block}"
        );
        let delete = scene.call(
            token,
            "files.delete_file",
            &json!({ "path": "reports/q3.md" }),
        );
        assert_eq!(delete, "profile_violation", "{block}");
    }
    assert!(scene.servers.data_dir.join("files/reports/q3.md").exists());
    assert_eq!(scene.read(&scene.granted.token, "reports/q3.md"), "allowed");
}

#[test]
fn depth_ends_where_the_approval_said() {
    let scene = Scene::new();
    let mut token = scene.granted.token.clone();
    for hop in 1..=3 {
        token = narrow(&token, &scene.root, &format!(r#"delegate("hop-{hop}");"#));
        assert_eq!(scene.read(&token, "reports/q3.md"), "allowed", "hop {hop}");
    }
    let fourth = narrow(&token, &scene.root, r#"delegate("hop-4");"#);
    assert_eq!(scene.read(&fourth, "reports/q3.md"), "depth_exceeded");
}

#[test]
fn our_own_command_narrows_as_other_libraries_do() {
    let scene = Scene::new();
    let from = scene.granted.token_file.to_str().unwrap();
    let narrowed = scene.servers.folder.arg("narrowed");
    let arguments = [
        "attenuate",
        "--token-file",
        from,
        "--out",
        &narrowed,
        "--delegate",
        "reader",
        "--tool",
        "files.read_file",
        "--resource",
        "files/reports/q3.md",
        "--for",
        "5m",
        "--max-depth",
        "0",
    ];
    scene.servers.run(&arguments).expect_code(0);
    let token = std::fs::read_to_string(&narrowed)
        .unwrap()
        .trim()
        .to_owned();
    assert_eq!(scene.read(&token, "reports/q3.md"), "allowed");
    assert_eq!(scene.read(&token, "reports/q4-draft.md"), "caveat_failed");
    let further = narrow(&token, &scene.root, r#"delegate("nobody");"#);
    assert_eq!(scene.read(&further, "reports/q3.md"), "depth_exceeded");
}
