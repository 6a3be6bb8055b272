//! What the gate takes from the network: sources, bodies, messages, headers.

use reqwest::header;
use serde_json::{Value, json};

use crate::harness::{Reply, TestGateway, call, request};

const MAX_BODY: usize = 4 * 1_048_576;

fn list() -> Value {
    request("tools/list")
}

#[tokio::test]
async fn a_foreign_host_is_refused_and_a_loopback_name_is_not() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let port = gateway.url.port().unwrap();
    let with_host =
        |host: String| Reply::to(gateway.post(&token, &list()).header(header::HOST, host));
    assert_eq!(with_host(format!("localhost:{port}")).await.status, 200);
    for host in [
        format!("evil.example:{port}"),
        "localhost".to_owned(),
        format!("localhost:{}", port - 1),
    ] {
        assert_eq!(
            with_host(host.clone()).await.code(),
            (403, "host_not_allowed".to_owned()),
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_and_the_own_is_not() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let with_origin =
        |origin: String| Reply::to(gateway.post(&token, &list()).header(header::ORIGIN, origin));
    let own = gateway.url.origin().ascii_serialization();
    assert_eq!(with_origin(own).await.status, 200);
    for origin in ["http://evil.example", "null", "http://localhost"] {
        let reply = with_origin(origin.to_owned()).await;
        assert_eq!(
            reply.code(),
            (403, "origin_not_allowed".to_owned()),
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_body_of_4_mib_is_read_and_one_byte_more_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let padded = |length: usize| {
        let message = list().to_string();
        let padding = " ".repeat(length - message.len());
        let request = gateway
            .post_without_token(format!("{message}{padding}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        Reply::to(request)
    };
    assert_eq!(padded(MAX_BODY).await.status, 200);
    assert_eq!(
        padded(MAX_BODY + 1).await.code(),
        (413, "body_too_large".to_owned())
    );
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_too() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let chunks = (0..5).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_048_576]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let request = gateway
        .post_without_token(body)
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(
        Reply::to(request).await.code(),
        (413, "body_too_large".to_owned())
    );
}

#[tokio::test]
async fn a_key_twice_is_refused_wherever_it_is() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let body = |arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"files.read_file","arguments":{arguments}}}}}"#
        )
    };
    let send = |body: String| {
        let authorization = format!("Bearer {token}");
        Reply::to(
            gateway
                .post_without_token(body)
                .header(header::AUTHORIZATION, authorization),
        )
    };
    let once = send(body(r#"{"path":"reports/q3.md"}"#)).await;
    assert_eq!(once.tool_text(), "# Q3\nRevenue grew.\n");
    for twice in [
        body(r#"{"path":"reports/q3.md","path":"reports/q3.md"}"#),
        body(r#"{"path":"reports/q3.md","\u0070ath":"private/salaries.md"}"#),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#.to_owned(),
    ] {
        let reply = send(twice.clone()).await;
        assert_eq!(
            reply.code(),
            (400, "malformed_request".to_owned()),
            "{twice}"
        );
        assert!(
            reply.json()["error"]["message"]
                .as_str()
                .unwrap()
                .contains("duplicate key")
        );
    }
}

#[tokio::test]
async fn batches_answers_and_text_that_is_no_message_are_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    assert_eq!(gateway.send(&token, &list()).await.status, 200);
    for bad in [
        json!([list()]),
        json!([]),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": null, "method": "tools/list"}),
        json!({"id": 1, "method": "tools/list"}),
        json!("tools/list"),
    ] {
        let reply = gateway.send(&token, &bad).await;
        assert_eq!(reply.code(), (400, "malformed_request".to_owned()), "{bad}");
    }
    for text in ["", "{", "{} {}", "\u{feff}{}"] {
        let request = gateway
            .post_without_token(text)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        assert_eq!(
            Reply::to(request).await.code(),
            (400, "malformed_request".to_owned())
        );
    }
}

#[tokio::test]
async fn an_unmapped_method_is_refused_as_its_revision_expects() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    for method in [
        "prompts/list",
        "resources/read",
        "sampling/createMessage",
        "x",
    ] {
        let legacy = gateway.send(&token, &request(method)).await;
        assert_eq!(
            legacy.code(),
            (200, "unknown_method".to_owned()),
            "{method}"
        );
        assert_eq!(legacy.json()["error"]["code"], -32_601);
        assert_eq!(legacy.json()["id"], 1);
        let stateless = gateway
            .post(&token, &request(method))
            .header("mcp-protocol-version", "2026-07-28");
        // Two versions are no version.
        assert_eq!(
            Reply::to(stateless).await.code(),
            (400, "malformed_request".to_owned())
        );
    }
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/unheard_of"});
    assert_eq!(
        gateway.send(&token, &notification).await.code(),
        (400, "unknown_method".to_owned())
    );
}

#[tokio::test]
async fn a_header_that_contradicts_the_body_is_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let message = call("files.read_file", json!({"path": "reports/q3.md"}));
    let with = |method: &'static str, name: &'static str| {
        let request = gateway.post(&token, &message).header("mcp-method", method);
        Reply::to(request.header("mcp-name", name))
    };
    let honest = with("tools/call", "files.read_file").await;
    assert_eq!(honest.tool_text(), "# Q3\nRevenue grew.\n");
    for (method, name) in [
        ("tools/call", "files.list_directory"),
        ("tools/list", "files.read_file"),
    ] {
        let reply = with(method, name).await;
        assert_eq!(
            reply.code(),
            (400, "header_mismatch".to_owned()),
            "{method} {name}"
        );
        assert_eq!(reply.json()["error"]["code"], -32_020);
    }
    let twice = gateway
        .post(&token, &message)
        .header("mcp-name", "files.read_file")
        .header("mcp-name", "files.read_file");
    assert_eq!(
        Reply::to(twice).await.code(),
        (400, "header_mismatch".to_owned())
    );
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(gateway.url.join("/mcp").unwrap())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header(header::CONTENT_TYPE, "text/plain")
        .body(list().to_string());
    assert_eq!(
        Reply::to(request).await.code(),
        (415, "unsupported_media_type".to_owned())
    );
}

#[tokio::test]
async fn get_and_delete_are_not_offered_to_a_good_token() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for method in [
        reqwest::Method::GET,
        reqwest::Method::DELETE,
        reqwest::Method::OPTIONS,
    ] {
        let request = client.request(method.clone(), gateway.url.join("/mcp").unwrap());
        let bare = Reply::to(request.try_clone().unwrap()).await;
        assert_eq!(bare.code(), (401, "malformed_token".to_owned()), "{method}");
        let reply =
            Reply::to(request.header(header::AUTHORIZATION, format!("Bearer {token}"))).await;
        assert_eq!(
            reply.code(),
            (405, "method_not_allowed".to_owned()),
            "{method}"
        );
        assert_eq!(reply.headers[header::ALLOW], "POST");
    }
}

#[tokio::test]
async fn a_body_with_many_values_is_refused_whatever_its_size() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    // The message itself, its four members and the list are six values.
    let with = |values: usize| {
        let mut message = list();
        message["params"] = json!({ "cursors": vec![0; values - 6] });
        message
    };
    assert_eq!(gateway.send(&token, &with(65_536)).await.status, 200);
    let reply = gateway.send(&token, &with(65_537)).await;
    assert_eq!(reply.code(), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn a_token_that_ends_while_the_body_arrives_is_refused() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let text = call("files.read_file", json!({"path": "reports/q3.md"})).to_string();
    let (send, chunks) = tokio::sync::mpsc::channel::<String>(1);
    let body = futures_util::stream::unfold(chunks, async |mut chunks| {
        let chunk = chunks.recv().await?;
        Some((Ok::<_, std::io::Error>(chunk), chunks))
    });
    let request = gateway
        .post_without_token(reqwest::Body::wrap_stream(Box::pin(body)))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let reply = tokio::spawn(Reply::to(request));
    let (first, rest) = text.split_at(10);
    send.send(first.to_owned()).await.unwrap();
    gateway.clock.advance(std::time::Duration::from_secs(3_600));
    send.send(rest.to_owned()).await.unwrap();
    drop(send);
    assert_eq!(reply.await.unwrap().code(), (401, "expired".to_owned()));
}

#[tokio::test]
async fn what_the_library_refuses_has_a_code_too() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    for (name, value, status) in [
        ("mcp-protocol-version", "1999-01-01", 400),
        ("accept", "text/html", 406),
    ] {
        let (client, request) = gateway.post(&token, &list()).build_split();
        let mut request = request.unwrap();
        let value = value.parse().unwrap();
        request.headers_mut().insert(name, value);
        let reply = Reply::to(reqwest::RequestBuilder::from_parts(client, request)).await;
        assert_eq!(reply.code(), (status, "malformed_request".to_owned()));
        assert_eq!(
            reply.headers["content-type"], "application/problem+json",
            "{reply:?}"
        );
    }
}
