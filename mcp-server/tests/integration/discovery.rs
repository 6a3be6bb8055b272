//! What is public: metadata, catalogue, health.

use serde_json::json;

use crate::harness::TestGateway;

#[tokio::test]
async fn both_metadata_documents_name_the_resource_and_its_issuer() {
    let gateway = TestGateway::start().await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let reply = gateway.get(path).await;
        assert_eq!(
            reply.json(),
            json!({
                "resource": gateway.audience(),
                "authorization_servers": [gateway.issuer.url.origin().ascii_serialization()],
                "bearer_methods_supported": ["header"],
                "authorization_details_types_supported": ["mcp_tools"],
                "dpop_signing_alg_values_supported": ["EdDSA"],
                "resource_name": "Bailiwick gateway",
            })
        );
    }
}

#[tokio::test]
async fn the_catalogue_names_each_tool_with_its_access_and_digest() {
    let gateway = TestGateway::start().await;
    let catalogue = gateway.get("/v1/catalogue").await.json();
    assert_eq!(catalogue["audience"], gateway.audience());
    let tools = catalogue["tools"].as_array().unwrap();
    let names: Vec<_> = tools
        .iter()
        .map(|t| (t["name"].as_str().unwrap(), t["access"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            ("files.delete_file", "destructive"),
            ("files.list_directory", "read"),
            ("files.move_file", "write"),
            ("files.read_file", "read"),
            ("files.search", "read"),
            ("files.write_file", "write"),
        ]
    );
    for tool in tools {
        let digest = tool["definition_digest"].as_str().unwrap();
        assert_eq!(digest.strip_prefix("sha256/").unwrap().len(), 64, "{tool}");
        assert_eq!(tool["resource_roots"], json!(["files"]), "{tool}");
        for text in ["title", "description", "resource_hint"] {
            assert!(!tool[text].as_str().unwrap().is_empty(), "{tool}");
        }
    }
}

#[tokio::test]
async fn health_needs_nothing_and_readiness_needs_keys_and_a_fresh_list() {
    let gateway = TestGateway::start_unrefreshed().await;
    assert_eq!(gateway.get("/healthz").await.status, 200);
    assert_eq!(
        gateway.get("/readyz").await.code(),
        (503, "unknown_key".to_owned())
    );
    gateway.refresh().await;
    assert_eq!(gateway.get("/readyz").await.status, 200);
}
