//! What the gateway makes of bad input: tokens, headers, bodies and paths.
//!
//! Each row differs from a good request in one thing. Each refusal has its
//! code, none is a 500, and the gateway still answers a good request after.

use serde_json::{Value, json};

use crate::harness::agent::{Granted, Wish, call_body, code_of, mcp_post};
use crate::harness::http::{Request, Response};
use crate::harness::service::Bailiwick;
use crate::harness::visitor::Visitor;

/// Servers, and a token for all of `files/reports` with every tool.
struct Scene {
    servers: Bailiwick,
    granted: Granted,
}

impl Scene {
    fn new() -> Self {
        let servers = Bailiwick::up();
        let visitor = Visitor::signs_up(&servers);
        let wish = Wish {
            tools: &[
                "files.list_directory",
                "files.read_file",
                "files.search",
                "files.write_file",
                "files.move_file",
            ],
            resources: &["files/reports"],
            task: "Try every door",
            time: "10m",
        };
        let asked = servers.request(&wish, &[]);
        visitor.approves(&asked);
        let granted = asked.granted();
        Self { servers, granted }
    }

    /// A good request, but for its body.
    fn post(&self) -> Request {
        mcp_post(&self.servers.gateway).bearer(&self.granted.token)
    }

    fn call(&self, tool: &str, arguments: &Value) -> Response {
        self.post().json(&call_body(tool, arguments)).send()
    }

    fn assert_still_serves(&self) {
        let answer = self.call("files.read_file", &json!({ "path": "reports/q3.md" }));
        let answer = answer.expect_status(200).text();
        assert!(!answer.contains("bailiwick/denial"), "{answer}");
    }
}

fn good_call() -> Value {
    call_body("files.read_file", &json!({ "path": "reports/q3.md" }))
}

#[test]
fn every_malformed_token_is_refused_with_its_code() {
    let scene = Scene::new();
    let good = &scene.granted.token;
    let flipped = {
        // One bit in the middle: the text stays good, the signature does not.
        let at = good.len() / 2;
        let other = if good.as_bytes()[at] == b'A' {
            'B'
        } else {
            'A'
        };
        format!("{}{other}{}", &good[..at], &good[at + 1..])
    };
    let rows = [
        ("", "malformed_token"),
        ("x", "malformed_token"),
        ("not base64!", "malformed_token"),
        (&good[..good.len() / 2], "malformed_token"),
        (&"A".repeat(30_000), "token_too_large"),
    ];
    for (token, code) in rows {
        let response = mcp_post(&scene.servers.gateway)
            .bearer(token)
            .json(&good_call())
            .send();
        assert_eq!(
            (response.status, code_of(&response).as_str()),
            (401, code),
            "{token:.40}"
        );
        let challenge = response.header("www-authenticate").unwrap();
        assert!(challenge.contains("resource_metadata="), "{challenge}");
    }
    let response = mcp_post(&scene.servers.gateway)
        .bearer(&flipped)
        .json(&good_call())
        .send();
    let code = code_of(&response);
    assert_eq!(response.status, 401);
    let codes = [
        "bad_signature",
        "malformed_token",
        "unknown_key",
        "unsupported_algorithm",
    ];
    assert!(codes.contains(&code.as_str()), "{code}");
    scene.assert_still_serves();
}

#[test]
fn every_bad_set_of_credentials_is_refused_with_its_code() {
    let scene = Scene::new();
    let token = &scene.granted.token;
    let bare = || mcp_post(&scene.servers.gateway);
    let rows = [
        ("none", bare(), 401),
        ("two headers", bare().bearer(token).bearer(token), 400),
        (
            "another scheme",
            bare().header("Authorization", &format!("Basic {token}")),
            401,
        ),
        ("no scheme", bare().header("Authorization", token), 401),
        (
            "two tokens",
            bare().header("Authorization", &format!("Bearer {token} {token}")),
            401,
        ),
        (
            "a comma",
            bare().header("Authorization", &format!("Bearer {token},Bearer {token}")),
            401,
        ),
    ];
    for (what, request, status) in rows {
        let response = request.json(&good_call()).send();
        assert_eq!(
            (response.status, code_of(&response).as_str()),
            (status, "malformed_token"),
            "{what}"
        );
    }
    let in_query = Request::post(
        &scene.servers.gateway,
        &format!("/mcp?access_token={token}"),
    );
    let response = in_query
        .header("Accept", "application/json")
        .json(&good_call())
        .send();
    assert_eq!(
        response.status, 401,
        "a token in the address does not count"
    );
    scene.assert_still_serves();
}

#[test]
fn every_bad_body_is_refused_with_its_code() {
    let scene = Scene::new();
    let doubled_argument = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"files.read_file",
        "arguments":{"path":"reports/q3.md","path":"notes/meeting.md"}}}"#;
    let doubled_name = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"files.read_file",
        "name":"files.delete_file","arguments":{"path":"reports/q3.md"}}}"#;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let rows: [(&str, Vec<u8>, u16, &str); 9] = [
        ("empty", Vec::new(), 400, "malformed_request"),
        ("not JSON", b"{".to_vec(), 400, "malformed_request"),
        (
            "not UTF-8",
            b"{\"jsonrpc\":\"\xff\"}".to_vec(),
            400,
            "malformed_request",
        ),
        (
            "trailing",
            format!("{} x", good_call()).into_bytes(),
            400,
            "malformed_request",
        ),
        (
            "doubled argument",
            doubled_argument.into(),
            400,
            "malformed_request",
        ),
        (
            "doubled name",
            doubled_name.into(),
            400,
            "malformed_request",
        ),
        (
            "a batch",
            format!("[{}]", good_call()).into_bytes(),
            400,
            "malformed_request",
        ),
        ("deep", deep.into_bytes(), 400, "malformed_request"),
        (
            "too large",
            vec![b' '; 4 * 1024 * 1024 + 1],
            413,
            "body_too_large",
        ),
    ];
    for (what, body, status, code) in rows {
        let response = scene.post().raw("application/json", body).send();
        assert_eq!(
            (response.status, code_of(&response).as_str()),
            (status, code),
            "{what}"
        );
    }
    let form = scene.post().form(&[("path", "x")]).send();
    assert_eq!(
        (form.status, code_of(&form).as_str()),
        (415, "unsupported_media_type")
    );
    scene.assert_still_serves();
}

#[test]
fn unmapped_methods_and_foreign_pages_go_no_further() {
    let scene = Scene::new();
    let method = |name: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": name });
    for name in [
        "resources/read",
        "completion/complete",
        "tools/call/",
        "TOOLS/CALL",
        "",
    ] {
        let response = scene.post().json(&method(name)).send();
        assert_eq!(code_of(&response), "unknown_method", "{name}");
    }
    let get = Request::get(&scene.servers.gateway, "/mcp")
        .bearer(&scene.granted.token)
        .send();
    assert_eq!(get.status, 405);
    let page = scene
        .post()
        .header("Origin", "https://elsewhere.example")
        .json(&good_call())
        .send();
    assert_eq!(
        (page.status, code_of(&page).as_str()),
        (403, "origin_not_allowed")
    );
    let lie = scene
        .post()
        .header("Mcp-Name", "files.search")
        .json(&good_call())
        .send();
    assert_eq!(
        (lie.status, code_of(&lie).as_str()),
        (400, "header_mismatch")
    );
    scene.assert_still_serves();
}

#[test]
fn no_path_leads_out_of_the_grant_or_the_sandbox() {
    let scene = Scene::new();
    let outside = scene.servers.folder.join("outside.txt");
    std::fs::write(&outside, "not yours").unwrap();
    let paths = [
        "..",
        "../outside.txt",
        "reports/../notes/meeting.md",
        "reports/..",
        "reports/./q3.md",
        "reports//q3.md",
        "/etc/passwd",
        "reports/",
        "%2e%2e/outside.txt",
        "reports/%2e%2e/notes/meeting.md",
        "reports/q3.md%00.txt",
        "reports/q3.md\u{0}",
        "reports\\q3.md",
        "reports/\u{202e}q3.md",
        "reports/q3.md\u{200b}",
        "notes/meeting.md",
        "",
    ];
    for path in paths {
        let response = scene.call("files.read_file", &json!({ "path": path }));
        let code = code_of(&response);
        assert_eq!(
            (response.status, code.as_str()),
            (200, "resource_not_granted"),
            "{path:?}"
        );
        assert!(!response.text().contains("not yours"), "{path:?}");
    }
    for value in [
        json!(null),
        json!(7),
        json!(["reports/q3.md"]),
        json!({ "path": "reports/q3.md" }),
    ] {
        let response = scene.call("files.read_file", &json!({ "path": value }));
        let met = (response.status, code_of(&response));
        assert_eq!(met, (200, "invalid_arguments".to_owned()), "{value}");
    }
    // Both ends of a move are resources of the call.
    for (from, to) in [
        ("reports/q3.md", "notes/q3.md"),
        ("notes/meeting.md", "reports/meeting.md"),
    ] {
        let response = scene.call("files.move_file", &json!({ "from": from, "to": to }));
        assert_eq!(code_of(&response), "resource_not_granted", "{from} to {to}");
    }
    assert!(
        scene
            .servers
            .folder
            .join("data/files/reports/q3.md")
            .exists(),
        "nothing moved"
    );
    scene.assert_still_serves();
}

#[test]
fn a_symbolic_link_does_not_lead_out_of_the_sandbox() {
    let scene = Scene::new();
    let outside = scene.servers.folder.join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret.txt"), "not yours").unwrap();
    let reports = scene.servers.data_dir.join("files/reports");
    std::os::unix::fs::symlink(&outside, reports.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret.txt"), reports.join("file")).unwrap();
    for path in ["reports/link/secret.txt", "reports/file"] {
        let response = scene.call("files.read_file", &json!({ "path": path }));
        assert_eq!(response.status, 200);
        let text = response.text();
        assert!(
            !text.contains("not yours") && text.contains("isError"),
            "{path}: {text}"
        );
    }
    scene.assert_still_serves();
}

#[test]
fn unknown_tools_are_refused_and_say_so() {
    let scene = Scene::new();
    for tool in [
        "files.format_disk",
        "FILES.READ_FILE",
        "files.read_file ",
        "files.read_file\u{0}",
        "",
    ] {
        let response = scene.call(tool, &json!({ "path": "reports/q3.md" }));
        let met = (response.status, code_of(&response));
        assert_eq!(met, (200, "unknown_tool".to_owned()), "{tool:?}");
    }
    let ungranted = scene.call("files.delete_file", &json!({ "path": "reports/q3.md" }));
    assert_eq!(code_of(&ungranted), "tool_not_granted");
    assert!(
        scene
            .servers
            .folder
            .join("data/files/reports/q3.md")
            .exists()
    );
    scene.assert_still_serves();
}

#[test]
fn metadata_leads_a_client_without_a_token_to_the_issuer() {
    let servers = Bailiwick::up();
    let refused = mcp_post(&servers.gateway)
        .json(&good_call())
        .send()
        .expect_status(401);
    let challenge = refused.header("www-authenticate").unwrap();
    let (_, rest) = challenge.split_once("resource_metadata=\"").unwrap();
    let address = rest.split('"').next().unwrap();
    let path = address
        .strip_prefix(&servers.gateway)
        .expect("on the gateway itself");
    let metadata = Request::get(&servers.gateway, path)
        .send()
        .expect_status(200)
        .json();
    assert_eq!(metadata["resource"], servers.mcp());
    let issuer = metadata["authorization_servers"][0]
        .as_str()
        .unwrap()
        .trim_end_matches('/');
    assert_eq!(issuer, servers.issuer);
    let path = "/.well-known/oauth-authorization-server";
    let metadata = Request::get(&servers.issuer, path)
        .send()
        .expect_status(200)
        .json();
    for member in ["device_authorization_endpoint", "token_endpoint"] {
        assert!(
            metadata[member]
                .as_str()
                .unwrap()
                .starts_with(&servers.issuer),
            "{metadata}"
        );
    }
}
