//! What clients find out about the authorization server.

use serde_json::json;

use crate::harness::{ORIGIN, World};

#[tokio::test]
async fn metadata_names_what_this_server_does() {
    let world = World::new().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = world.get(path).await.json();
    assert_eq!(metadata["issuer"], ORIGIN, "byte for byte");
    for (name, path) in [
        ("authorization_endpoint", "/oauth/authorize"),
        ("token_endpoint", "/oauth/token"),
        (
            "device_authorization_endpoint",
            "/oauth/device_authorization",
        ),
        ("registration_endpoint", "/oauth/register"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("introspection_endpoint", "/oauth/introspect"),
        ("service_documentation", "/api"),
    ] {
        assert_eq!(metadata[name], format!("{ORIGIN}{path}"));
    }
    for (name, value) in [
        ("response_types_supported", json!(["code"])),
        ("client_id_metadata_document_supported", json!(true)),
        ("code_challenge_methods_supported", json!(["S256"])),
        (
            "authorization_response_iss_parameter_supported",
            json!(true),
        ),
        (
            "authorization_details_types_supported",
            json!(["mcp_tools"]),
        ),
        (
            "grant_types_supported",
            json!([
                "authorization_code",
                "urn:ietf:params:oauth:grant-type:device_code",
                "urn:ietf:params:oauth:grant-type:token-exchange"
            ]),
        ),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }
    assert!(
        metadata.get("scopes_supported").is_none(),
        "clients that find it ask for everything"
    );
}
