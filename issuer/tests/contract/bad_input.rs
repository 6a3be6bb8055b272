//! What agents and programs may send, and how each mistake is named.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

use crate::harness::{AUDIENCE, World, details, form};

/// The usual request with one thing changed.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut details = details();
    change(&mut details[0]);
    details
}

#[tokio::test]
async fn details_that_cannot_be_granted_are_refused_by_name() {
    let (world, _) = World::with_approver().await;
    let invalid = "invalid_authorization_details";
    for (details, error, words) in [
        (json!([]), invalid, "found 0"),
        (json!([details()[0], details()[0]]), invalid, "found 2"),
        (json!({}), invalid, "expected a sequence"),
        (with(|d| d["type"] = json!("payment")), invalid, "`payment`"),
        (with(|d| d["actions"] = json!(["read"])), invalid, "actions"),
        (
            with(|d| d["locations"] = json!(["http://other/mcp"])),
            "invalid_target",
            "http://other/mcp",
        ),
        (
            with(|d| d["locations"] = json!([])),
            "invalid_target",
            AUDIENCE,
        ),
        (
            with(|d| d["locations"] = json!([AUDIENCE, AUDIENCE])),
            "invalid_target",
            AUDIENCE,
        ),
        (
            with(|d| d["task"] = json!(" \n ")),
            invalid,
            "`task` is empty",
        ),
        (
            with(|d| d["task"] = json!("x".repeat(4_097))),
            invalid,
            "4097 bytes",
        ),
        (
            with(|d| d["duration"] = json!(0)),
            invalid,
            "between 1 and 28800",
        ),
        (
            with(|d| d["duration"] = json!(28_801)),
            invalid,
            "between 1 and 28800",
        ),
        (with(|d| d["duration"] = json!(-5)), invalid, "-5"),
        (with(|d| d["duration"] = json!("15m")), invalid, "15m"),
        (
            with(|d| d["tools"] = json!([])),
            invalid,
            "at least one tool",
        ),
        (
            with(|d| d["tools"][0]["name"] = json!("files.unknown")),
            invalid,
            "`files.unknown`",
        ),
        (
            with(|d| d["tools"][0]["name"] = json!("Files.Read")),
            invalid,
            "tool name",
        ),
        (
            with(|d| d["tools"][0]["name"] = json!("files.write_file")),
            invalid,
            "named twice",
        ),
        (
            with(|d| d["tools"][0]["access"] = json!("write")),
            invalid,
            "has access `read`, not `write`",
        ),
        (
            with(|d| d["tools"][0]["access"] = json!("admin")),
            invalid,
            "admin",
        ),
        (
            with(|d| d["tools"][0]["resources"] = json!([])),
            invalid,
            "at least one resource",
        ),
        (
            with(|d| d["tools"][0]["resources"] = json!(["files", "files"])),
            invalid,
            "named twice",
        ),
        (
            with(|d| d["tools"][0]["resources"] = json!(["files/../x"])),
            invalid,
            "`files/../x`",
        ),
        (
            with(|d| d["tools"][0]["resources"] = json!(["files/%2e%2e"])),
            invalid,
            "`files/%2e%2e`",
        ),
        (
            with(|d| d["tools"][0]["resources"] = json!(["files/\0"])),
            invalid,
            "⟨U+0000⟩",
        ),
        (
            with(|d| d["tools"][0]["resources"] = json!(["/files"])),
            invalid,
            "`/files`",
        ),
        (
            with(|d| d["tools"][0]["args"] = json!({"q": {"matches": ".*"}})),
            invalid,
            "argument `q`",
        ),
        (
            with(|d| d["tools"][0]["args"] = json!({"q": 5})),
            invalid,
            "argument `q`",
        ),
        (
            with(|d| d["tools"][0]["extra"] = json!(1)),
            invalid,
            "extra",
        ),
    ] {
        let reply = world.ask(&details).await;
        assert_eq!(reply.oauth(), (400, error.to_owned()), "{details}");
        let description = reply.json()["error_description"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(description.contains(words), "{words} in {description}");
    }
}

#[tokio::test]
async fn bounds_are_inclusive() {
    let (world, _) = World::with_approver().await;
    for good in [
        with(|d| d["task"] = json!("x".repeat(4_096))),
        with(|d| d["duration"] = json!(28_800)),
        with(|d| d["duration"] = json!(1)),
        with(|d| drop(d.as_object_mut().unwrap().remove("duration"))),
        with(|d| drop(d.as_object_mut().unwrap().remove("locations"))),
        with(|d| drop(d["tools"][0].as_object_mut().unwrap().remove("access"))),
    ] {
        assert_eq!(world.ask(&good).await.status, 200, "{good}");
    }
}

#[tokio::test]
async fn duplicate_keys_are_refused_at_any_depth() {
    let (world, _) = World::with_approver().await;
    let text = details().to_string();
    for (once, twice) in [
        ("\"duration\":900", "\"duration\":1,\"duration\":900"),
        (
            "\"name\":\"files.read_file\"",
            "\"name\":\"files.search\",\"name\":\"files.read_file\"",
        ),
        ("\"prefix\":\"# \"", "\"prefix\":\"\",\"prefix\":\"# \""),
    ] {
        let doubled = text.replace(once, twice);
        assert_ne!(doubled, text);
        let reply = world
            .post_form(
                "/oauth/device_authorization",
                &[
                    ("client_id", "bailiwick-cli"),
                    ("authorization_details", &doubled),
                ],
            )
            .await;
        assert_eq!(
            reply.oauth(),
            (400, "invalid_authorization_details".to_owned()),
            "{doubled}"
        );
        assert!(reply.body.contains("duplicate"), "{}", reply.body);
    }
}

#[tokio::test]
async fn request_that_fits_no_token_is_refused_before_anybody_reads_it() {
    let (world, mut browser) = World::with_approver().await;
    let many: Vec<String> = (0..257).map(|n| format!("files/{n}")).collect();
    let long: Vec<String> = ('a'..='t')
        .map(|letter| format!("files/{}", letter.to_string().repeat(1_000)))
        .collect();
    for resources in [many, long] {
        let reply = world
            .ask(&with(|d| d["tools"][0]["resources"] = json!(resources)))
            .await;
        assert_eq!(
            reply.oauth(),
            (400, "invalid_authorization_details".to_owned())
        );
    }
    assert!(
        browser
            .get("/approvals")
            .await
            .body
            .contains("Nothing is waiting")
    );
}

#[tokio::test]
async fn parameters_are_checked() {
    let (world, _) = World::with_approver().await;
    let details = details().to_string();
    let details = ("authorization_details", details.as_str());
    let client = ("client_id", "bailiwick-cli");
    for (fields, status, error) in [
        (vec![details], 400, "invalid_request"),
        (vec![client], 400, "invalid_request"),
        (vec![client, client, details], 400, "invalid_request"),
        (vec![client, details, details], 400, "invalid_request"),
        (
            vec![("client_id", "stranger"), details],
            401,
            "invalid_client",
        ),
        (
            vec![client, details, ("resource", "http://other/mcp")],
            400,
            "invalid_target",
        ),
        (
            vec![client, details, ("agent_name", "")],
            400,
            "invalid_request",
        ),
        (
            vec![client, details, ("agent_name", "a\u{202e}b")],
            400,
            "invalid_request",
        ),
        (
            vec![client, details, ("holder", "short")],
            400,
            "invalid_request",
        ),
    ] {
        let reply = world
            .post_form("/oauth/device_authorization", &fields)
            .await;
        assert_eq!(reply.oauth(), (status, error.to_owned()), "{fields:?}");
    }
    let good = [
        client,
        details,
        ("resource", AUDIENCE),
        ("holder", &"A".repeat(43)),
        ("other", "1"),
    ];
    assert_eq!(
        world
            .post_form("/oauth/device_authorization", &good)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn token_requests_are_checked() {
    let (world, _) = World::with_approver().await;
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let client = ("client_id", "bailiwick-cli");
    let code = ("device_code", "A");
    for (fields, status, error) in [
        (vec![], 400, "invalid_request"),
        (
            vec![("grant_type", "refresh_token"), client, code],
            400,
            "unsupported_grant_type",
        ),
        (vec![grant, code], 400, "invalid_request"),
        (vec![grant, client], 400, "invalid_request"),
        (vec![grant, client, code, code], 400, "invalid_request"),
        (
            vec![grant, ("client_id", "stranger"), code],
            401,
            "invalid_client",
        ),
        (vec![grant, client, code], 400, "invalid_grant"),
    ] {
        let reply = world.post_form("/oauth/token", &fields).await;
        assert_eq!(reply.oauth(), (status, error.to_owned()), "{fields:?}");
    }
}

#[tokio::test]
async fn hundred_requests_may_wait_and_one_more_may_not() {
    let (world, mut browser) = World::with_approver().await;
    let first = world.asked().await;
    for _ in 1..100 {
        world.asked().await;
    }
    let reply = world.ask(&details()).await;
    assert_eq!(reply.oauth(), (429, "temporarily_unavailable".to_owned()));
    browser.approve(&first).await;
    assert_eq!(world.ask(&details()).await.status, 200);
}

#[tokio::test]
async fn bodies_over_the_limit_or_of_another_type_are_refused() {
    let (world, mut browser) = World::with_approver().await;
    let big = "x".repeat(64 * 1024);
    let reply = world
        .post_form(
            "/oauth/device_authorization",
            &[("authorization_details", &big)],
        )
        .await;
    assert_eq!(reply.oauth(), (413, "invalid_request".to_owned()));
    let csrf = browser.get("/approvals").await.hidden("csrf");
    let reply = browser
        .post("/sign-out", &[("csrf", &csrf), ("x", &big)])
        .await;
    assert_eq!(reply.verdict(), (413, "body_too_large"));
    let json = Request::post("/oauth/token")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        world.send(json).await.oauth(),
        (415, "invalid_request".to_owned())
    );
}

#[tokio::test]
async fn operator_calls_need_exactly_one_right_token() {
    let (world, _) = World::with_approver().await;
    let operator = world.bearer("operator.token");
    assert_eq!(world.get_as("/v1/sessions", &operator).await.status, 200);
    assert_eq!(
        world.get("/v1/sessions").await.verdict(),
        (401, "missing_credentials")
    );
    assert_eq!(
        world.get_as("/v1/sessions", "Bearer x").await.verdict(),
        (401, "bad_credentials")
    );
    let gateway = world.bearer("gateway.token");
    assert_eq!(
        world.get_as("/v1/sessions", &gateway).await.verdict(),
        (401, "bad_credentials")
    );
    for malformed in [
        "Basic x",
        "bearer x",
        &operator.replace("Bearer ", "Bearer  "),
    ] {
        let reply = world.get_as("/v1/sessions", malformed).await;
        assert!(
            matches!(reply.code(), "malformed_credentials" | "bad_credentials"),
            "{malformed}"
        );
    }
    let two = Request::get("/v1/sessions")
        .header(header::AUTHORIZATION, &operator)
        .header(header::AUTHORIZATION, &operator)
        .body(Body::empty())
        .unwrap();
    let reply = world.send(two).await;
    assert_eq!(reply.verdict(), (400, "malformed_credentials"));
    assert_eq!(reply.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn revocation_requests_are_checked() {
    let (world, _) = World::with_approver().await;
    let operator = world.bearer("operator.token");
    for (body, verdict) in [
        ("", (400, "malformed_json")),
        ("{}", (400, "malformed_json")),
        ("[]", (400, "malformed_json")),
        (r#"{"session":"a","session":"b"}"#, (400, "malformed_json")),
        (r#"{"session":"a","all":true}"#, (400, "malformed_json")),
        (r#"{"session":7}"#, (400, "malformed_json")),
        (r#"{"session":"ses_unknown"}"#, (404, "session_not_found")),
    ] {
        let reply = world.post_json("/v1/revocations", &operator, body).await;
        assert_eq!(reply.verdict(), verdict, "{body}");
        assert_eq!(reply.json()["code"], verdict.1);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named_in_the_callers_language() {
    let (world, mut browser) = World::with_approver().await;
    let page = browser.get("/nowhere").await;
    assert_eq!(page.verdict(), (404, "not_found"));
    assert!(page.header("content-type").starts_with("text/html"));
    let problem = world.get("/v1/nowhere").await;
    assert_eq!(problem.verdict(), (404, "not_found"));
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(
        world.get("/oauth/token").await.verdict(),
        (405, "method_not_allowed")
    );
    assert_eq!(
        world.post_form("/approvals", &[]).await.verdict(),
        (405, "method_not_allowed")
    );
    assert_eq!(
        browser.get("/sessions/%00").await.verdict(),
        (404, "session_not_found")
    );
    assert_eq!(browser.get("/approvals/%ff").await.status, 400);
}

#[tokio::test]
async fn web_pages_of_other_sites_cannot_ask_for_access() {
    let (world, _) = World::with_approver().await;
    let own = "http://127.0.0.1:8400";
    for (name, value, status) in [
        ("origin", own, 200),
        ("origin", "http://evil.example", 403),
        ("origin", "http://127.0.0.1:8401", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "none", 200),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "cross-site", 403),
        // Sent by programs too, and says nothing of a page.
        ("sec-fetch-mode", "cors", 200),
    ] {
        let details = details().to_string();
        let mut ask = form(
            "/oauth/device_authorization",
            &[
                ("client_id", "bailiwick-cli"),
                ("authorization_details", &details),
            ],
        );
        let name = axum::http::HeaderName::from_static(name);
        ask.headers_mut().insert(name, value.parse().unwrap());
        let reply = world.send(ask).await;
        assert_eq!(reply.status, status, "{value}");
        if status == 403 {
            assert_eq!(reply.oauth(), (403, "wrong_origin".to_owned()));
        }
    }
    // Two origins are not made good by one of them.
    let mut ask = form("/oauth/device_authorization", &[]);
    for origin in [own, "http://evil.example"] {
        ask.headers_mut().append("origin", origin.parse().unwrap());
    }
    let reply = world.send(ask).await;
    assert_eq!(reply.oauth(), (403, "wrong_origin".to_owned()));
}

#[tokio::test]
async fn addresses_that_cannot_be_read_are_refused_with_a_code() {
    let (world, mut browser) = World::with_approver().await;
    for path in [
        "/approvals/%ff",
        "/sessions/%ff",
        "/setup/%ff",
        "/approve?user_code=A&user_code=B",
        "/sign-in?next=/a&next=/b",
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.verdict(), (400, "malformed_address"), "{path}");
    }
    let operator = world.bearer("operator.token");
    let reply = world.get_as("/v1/sessions/%ff", &operator).await;
    assert_eq!(reply.verdict(), (400, "malformed_address"));
}
