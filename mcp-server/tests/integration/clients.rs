//! Clients as they come: the revisions of the protocol, and the MCP library's own client.

use rmcp::{
    ServiceExt,
    model::{CallToolRequestParams, ClientConfig},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

use crate::harness::{Reply, TestGateway, request};

#[tokio::test]
async fn the_librarys_client_lists_and_calls() {
    let gateway = TestGateway::start().await;
    let config = StreamableHttpClientTransportConfig::with_uri(gateway.audience())
        .auth_header(gateway.reading_token());
    let transport = StreamableHttpClientTransport::from_config(config);
    let client = ClientConfig::default().serve(transport).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), 6);
    let arguments = json!({"path": "reports/q3.md"})
        .as_object()
        .unwrap()
        .clone();
    let call = CallToolRequestParams::new("files.read_file").with_arguments(arguments.clone());
    let read = client.call_tool(call).await.unwrap();
    assert_eq!(read.is_error, Some(false));
    let call = CallToolRequestParams::new("files.delete_file").with_arguments(arguments);
    let denied = client.call_tool(call).await.unwrap();
    assert_eq!(denied.is_error, Some(true));
    assert_eq!(
        denied.meta.unwrap()["bailiwick/denial"]["code"],
        "tool_not_granted"
    );
    client.cancel().await.unwrap();
}

fn stateless_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

async fn stateless(
    gateway: &TestGateway,
    token: &str,
    mut message: Value,
    name: Option<&str>,
) -> Reply {
    message["params"]["_meta"] = stateless_meta();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client
        .post(gateway.url.join("/mcp").unwrap())
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", message["method"].as_str().unwrap());
    if let Some(name) = name {
        request = request.header("mcp-name", name);
    }
    Reply::to(request.body(message.to_string())).await
}

#[tokio::test]
async fn a_stateless_client_discovers_lists_and_calls() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let discovered = stateless(&gateway, &token, request("server/discover"), None)
        .await
        .result();
    let versions = discovered["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    let list = stateless(&gateway, &token, request("tools/list"), None)
        .await
        .result();
    assert_eq!(list["tools"].as_array().unwrap().len(), 6);
    assert_eq!(list["cacheScope"], "private");
    assert_eq!(list["resultType"], "complete");
    let call = crate::harness::call("files.read_file", json!({"path": "reports/q3.md"}));
    let read = stateless(&gateway, &token, call, Some("files.read_file")).await;
    assert_eq!(read.tool_text(), "# Q3\nRevenue grew.\n");
    let call = crate::harness::call("files.delete_file", json!({"path": "reports/q3.md"}));
    let denied = stateless(&gateway, &token, call, Some("files.delete_file")).await;
    assert_eq!(denied.denial_code(), "tool_not_granted");
    let unknown = stateless(&gateway, &token, request("prompts/list"), None).await;
    assert_eq!(unknown.code(), (404, "unknown_method".to_owned()));
}

#[tokio::test]
async fn an_older_client_shakes_hands_without_a_session() {
    let gateway = TestGateway::start().await;
    let token = gateway.reading_token();
    let initialize = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        },
    });
    let reply = gateway.send(&token, &initialize).await;
    assert_eq!(reply.result()["protocolVersion"], "2025-11-25");
    assert!(reply.headers.get("mcp-session-id").is_none());
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(gateway.send(&token, &initialized).await.status, 202);
    assert_eq!(
        gateway.send(&token, &request("ping")).await.result(),
        json!({})
    );
}
