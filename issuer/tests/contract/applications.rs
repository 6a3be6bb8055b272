//! Applications: separate policy surfaces. What an operator and an admin make of each; that nothing
//! of one is seen from another is held by [`across_applications`](crate::across_applications).

use serde_json::{Value, json};

use crate::{
    across_applications::{asked, three},
    harness::{AUDIENCE, World, details},
    oauth_client::{Client, REDIRECT, address, parameter},
};

#[tokio::test]
async fn own_client_of_an_application_is_answered_at_its_redirect_uris_alone() {
    let (world, mut approvers) = three().await;
    let redirects = |uris: &Value| json!({"redirect_uris": uris}).to_string();
    let client = Client {
        id: "billing".to_owned(),
        secret: None,
    };
    let address = address(&client.parameters(Some("tool:files.read_file")));
    assert_eq!(
        approvers[0].get(&address).await.status,
        400,
        "it has none at first"
    );
    let set = world
        .operate("/v1/applications/billing", &redirects(&json!([REDIRECT])))
        .await;
    assert_eq!(set.json()["redirect_uris"], json!([REDIRECT]));
    let form = client
        .asks(&mut approvers[0], Some("tool:files.read_file"))
        .await;
    let mut stranger = approvers[1].clone();
    stranger.cookies.extend(
        approvers[0]
            .cookies
            .iter()
            .filter(|(name, _)| name.contains("authorize"))
            .cloned(),
    );
    assert_eq!(
        stranger.get(&form.path).await.verdict(),
        (404, "request_not_found")
    );
    let decided = form.with("decision", "approve");
    let code = parameter(&client.decided(&mut approvers[0], &decided).await, "code").unwrap();
    assert_eq!(client.redeem(&world, &code).await.status, 200);
    for bad in [json!(["javascript:alert(1)"]), json!(vec![REDIRECT; 11])] {
        let reply = world
            .operate("/v1/applications/billing", &redirects(&bad))
            .await;
        assert_eq!(reply.verdict(), (422, "invalid_application"), "{bad}");
    }
}

#[tokio::test]
async fn auditor_sees_every_application_and_decides_for_none() {
    let (world, mut approvers) = three().await;
    let mut auditor = world.person("olga", &["auditor", "approver"]).await;
    let asked = asked(&world, "billing").await;
    let form = approvers[0].open(&asked).await.with("decision", "approve");
    assert!(
        auditor
            .get("/approvals")
            .await
            .body
            .contains("Work for billing")
    );
    let page = auditor.get(&form.path).await.body;
    assert!(page.contains("id=\"may-not-decide\""), "{page}");
    let csrf = auditor.csrf().await;
    let theirs = form.clone().set("csrf", &csrf);
    for form in [theirs.clone(), theirs.set("decision", "deny")] {
        let reply = auditor.submit(&form).await;
        assert_eq!(reply.verdict(), (403, "not_your_application"));
    }
    let session = approvers[0].approve(&asked).await;
    assert_eq!(
        auditor.get(&format!("/sessions/{session}")).await.status,
        200
    );
    let ended = auditor
        .send(&format!("/sessions/{session}/revoke"), &[])
        .await;
    assert_eq!(ended.verdict(), (403, "not_your_application"));
}

#[tokio::test]
async fn assignment_that_is_taken_back_ends_at_once() {
    let (world, mut approvers) = three().await;
    let asked = asked(&world, "billing").await;
    let form = approvers[0].open(&asked).await.with("decision", "approve");
    let body = json!({"remove_approvers": ["of-billing"]}).to_string();
    assert_eq!(
        world
            .operate("/v1/applications/billing", &body)
            .await
            .status,
        200
    );
    let reply = approvers[0].submit(&form).await;
    assert_eq!(reply.verdict(), (404, "request_not_found"));
    world.assign("billing", "of-billing").await;
    assert_eq!(approvers[0].submit(&form).await.status, 303);
}

#[tokio::test]
async fn tool_that_an_application_does_not_use_is_refused_when_it_is_asked_for() {
    let (world, mut ada) = World::with_approver().await;
    let tools = json!({"allowed_tools": ["files.read_file", "files.w*"]});
    let body = json!({"application": "x", "allowed_tools": tools["allowed_tools"]}).to_string();
    assert_eq!(
        world.operate("/v1/applications", &body).await.verdict(),
        (400, "malformed_json"),
        "a star stands for whole parts of a name"
    );
    world
        .application("narrow", &json!({"allowed_tools": ["files.read_file"]}))
        .await;
    world
        .application("wide", &json!({"allowed_tools": ["files.*"]}))
        .await;
    let refused = world.ask_as("narrow", &details()).await;
    assert_eq!(
        refused.oauth(),
        (400, "invalid_authorization_details".to_owned())
    );
    assert!(
        refused
            .body
            .contains("`files.write_file` is not among those"),
        "{}",
        refused.body
    );
    assert_eq!(world.ask_as("wide", &details()).await.status, 200);
    assert!(!ada.get("/approvals").await.body.contains("report writer"));
}

#[tokio::test]
async fn tool_that_was_taken_away_meanwhile_is_not_granted() {
    let (world, mut approvers) = three().await;
    let asked = asked(&world, "billing").await;
    let form = approvers[0].open(&asked).await.with("decision", "approve");
    let set = |tools: Value| json!({"allowed_tools": tools}).to_string();
    world
        .operate("/v1/applications/billing", &set(json!(["files.read_file"])))
        .await;
    let reply = approvers[0].submit(&form).await;
    assert_eq!(reply.verdict(), (409, "tool_not_allowed"));
    let page = approvers[0].get(&form.path).await.body;
    assert!(page.contains("data-barred=\"files.write_file\""), "{page}");
    world
        .operate("/v1/applications/billing", &set(Value::Null))
        .await;
    assert_eq!(approvers[0].submit(&form).await.status, 303);
}

#[tokio::test]
async fn sessions_are_as_long_as_their_application_lets_them_be() {
    let (world, _) = World::with_approver().await;
    let limits = json!({"default_duration": 60, "max_duration": 120, "max_depth": 1});
    world.application("brief", &limits).await;
    let mut bob = world.approver("bob", &["brief"]).await;
    let ask = |duration: Value| {
        let mut details = details();
        details[0]["duration"] = duration;
        details
    };
    assert_eq!(world.ask_as("brief", &ask(json!(120))).await.status, 200);
    let refused = world.ask_as("brief", &ask(json!(121))).await;
    assert_eq!(
        refused.oauth(),
        (400, "invalid_authorization_details".to_owned())
    );
    let mut usual = details();
    usual[0].as_object_mut().unwrap().remove("duration");
    let usual = world.ask_as("brief", &usual).await.json();
    bob.approve(&usual).await;
    let token = world.poll_as("brief", &usual).await.json();
    assert_eq!(token["expires_in"], 60);
    let long = world.ask_as("brief", &ask(json!(120))).await.json();
    let shorter = json!({"default_duration": 30, "max_duration": 45}).to_string();
    assert_eq!(
        world
            .operate("/v1/applications/brief", &shorter)
            .await
            .status,
        200
    );
    let form = bob.open(&long).await;
    assert!(
        form.page.contains("You may grant 45 seconds."),
        "{}",
        form.page
    );
    let form = form.set("duration", "2m").with("decision", "approve");
    bob.submit(&form).await;
    assert_eq!(world.poll_as("brief", &long).await.json()["expires_in"], 45);
}

#[tokio::test]
async fn removing_an_application_ends_its_sessions_and_requests_and_no_others() {
    let (world, mut approvers) = three().await;
    let mut sessions = Vec::new();
    for (mine, application) in ["billing", "research"].iter().enumerate() {
        let asked = asked(&world, application).await;
        sessions.push(approvers[mine].approve(&asked).await);
        assert_eq!(world.poll_as(application, &asked).await.status, 200);
    }
    let waiting = asked(&world, "billing").await;
    let form = approvers[0]
        .open(&waiting)
        .await
        .with("decision", "approve");
    let elsewhere = asked(&world, "research").await;
    let removed = world.operate("/v1/applications/billing/remove", "").await;
    assert_eq!(
        removed.json(),
        json!({"application": "billing", "sessions_revoked": 1, "requests_denied": 1})
    );

    let listed = world.get("/v1/revocations").await.body;
    let signed: Value = serde_json::from_str(&listed).unwrap();
    assert!(signed.to_string().len() > 10);
    let operator = world.bearer("operator.token");
    let states = world.get_as("/v1/sessions", &operator).await.json();
    for session in states["sessions"].as_array().unwrap() {
        let ended = session["session"] == json!(sessions[0]);
        let state = if ended { "revoked" } else { "active" };
        assert_eq!(session["state"], state, "{session}");
    }
    assert_eq!(
        approvers[0].submit(&form).await.verdict(),
        (409, "already_denied")
    );
    assert_eq!(
        world.ask_as("billing", &details()).await.oauth(),
        (401, "invalid_client".to_owned())
    );
    assert_eq!(
        approvers[1].open(&elsewhere).await.path.len(),
        form.path.len()
    );
    assert_eq!(
        world
            .get_as("/v1/applications/billing", &operator)
            .await
            .verdict(),
        (404, "application_not_found")
    );
    let again = json!({"application": "billing"}).to_string();
    assert_eq!(
        world.operate("/v1/applications", &again).await.verdict(),
        (409, "application_exists")
    );
    let mut record = world.record();
    record.retain(|(event, _)| event != "request_refused");
    let (event, fields) = record.pop().unwrap();
    assert_eq!(event, "sessions_revoked");
    assert_eq!(fields["sessions"], json!([sessions[0]]));
    let (event, fields) = record.pop().unwrap();
    assert_eq!(event, "application_removed");
    let denied = fields["requests"].as_array().unwrap();
    assert!(
        denied
            .iter()
            .all(|id| id.as_str().unwrap().starts_with("apr_")),
        "{fields}"
    );
}

#[tokio::test]
async fn admin_makes_changes_and_removes_an_application_by_hand() {
    let (world, mut ada) = World::with_approver().await;
    let added = ada
        .send("/applications", &[("id", "desk"), ("name", "Help desk")])
        .await;
    assert_eq!(added.location(), "/applications/desk");
    let page = ada.get("/applications").await.body;
    assert!(
        page.contains("Help desk") && page.contains("nobody decides for it"),
        "{page}"
    );
    let fields = [
        ("name", "Help desk, Bonn"),
        ("default_duration", "10m"),
        ("max_duration", "1h"),
        ("max_depth", "2"),
        ("tools", "files.read_file\r\nfiles.search\r\n"),
        ("rules", ""),
        ("redirect_uris", "https://desk.example/callback\r\n"),
        ("approver", "ada"),
    ];
    assert_eq!(
        ada.send("/applications/desk", &fields).await.location(),
        "/applications/desk"
    );
    let operator = world.bearer("operator.token");
    assert_eq!(
        world
            .get_as("/v1/applications/desk", &operator)
            .await
            .json(),
        json!({
            "application": "desk",
            "name": "Help desk, Bonn",
            "default_duration": 600,
            "max_duration": 3600,
            "max_depth": 2,
            "allowed_tools": ["files.read_file", "files.search"],
            "rules": [],
            "client_id": "desk",
            "redirect_uris": ["https://desk.example/callback"],
            "approvers": ["ada"],
        })
    );
    let page = ada.get("/applications/desk").await.body;
    assert!(page.contains("value=\"ada\" checked"), "{page}");
    let asked = json!([{"type": "mcp_tools", "locations": [AUDIENCE], "task": "t",
        "tools": [{"name": "files.search", "resources": ["files"]}]}]);
    let asked = world.ask_as("desk", &asked).await.json();
    assert!(ada.open(&asked).await.page.contains("Help desk, Bonn"));
    assert_eq!(
        ada.send("/applications/desk/remove", &[]).await.location(),
        "/applications"
    );
    assert_eq!(
        ada.get("/applications/desk").await.verdict(),
        (404, "application_not_found")
    );
    assert!(!ada.get("/applications").await.body.contains("Help desk"));
}

#[tokio::test]
async fn application_that_makes_no_sense_is_refused() {
    let (world, mut ada) = World::with_approver().await;
    world.application("desk", &json!({})).await;
    world.person("olga", &["auditor"]).await;
    let week = 7 * 24 * 60 * 60;
    for (body, verdict) in [
        (json!({"application": "desk"}), (409, "application_exists")),
        (
            json!({"application": "default"}),
            (409, "application_exists"),
        ),
        (json!({"application": ""}), (422, "invalid_application")),
        (json!({}), (422, "invalid_application")),
        (json!({"application": "Desk"}), (422, "invalid_application")),
        (json!({"application": ".."}), (422, "invalid_application")),
        (json!({"application": "a/b"}), (422, "invalid_application")),
        (
            json!({"application": "a".repeat(65)}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "name": ""}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "name": "x".repeat(81)}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "default_duration": 0}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "max_duration": 899}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "max_duration": week + 1}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "max_depth": 17}),
            (422, "invalid_application"),
        ),
        (
            json!({"application": "n", "add_approvers": ["nobody"]}),
            (422, "invalid_role"),
        ),
        (
            json!({"application": "n", "add_approvers": ["olga"]}),
            (422, "invalid_role"),
        ),
        (
            json!({"application": "n", "client": "x"}),
            (400, "malformed_json"),
        ),
    ] {
        let reply = world.operate("/v1/applications", &body.to_string()).await;
        assert_eq!(reply.verdict(), verdict, "{body}");
    }
    for (body, verdict) in [
        (
            json!({"application": "other"}),
            (422, "invalid_application"),
        ),
        (json!({"max_duration": 60}), (422, "invalid_application")),
    ] {
        let reply = world
            .operate("/v1/applications/desk", &body.to_string())
            .await;
        assert_eq!(reply.verdict(), verdict, "{body}");
    }
    let edges = json!({
        "application": "a".repeat(64),
        "name": "x".repeat(80),
        "max_duration": week,
        "max_depth": 16,
        "allowed_tools": vec!["files.*"; 256],
    });
    let reply = world.operate("/v1/applications", &edges.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let over = json!({"allowed_tools": vec!["files.*"; 257]}).to_string();
    assert_eq!(
        world
            .operate("/v1/applications/desk", &over)
            .await
            .verdict(),
        (422, "invalid_application")
    );
    let missing = ada.send("/applications/none/remove", &[]).await;
    assert_eq!(missing.verdict(), (404, "application_not_found"));
}

#[tokio::test]
async fn applications_need_the_operators_token() {
    let (world, _) = World::with_approver().await;
    let gateway = world.bearer("gateway.token");
    for path in ["/v1/applications", "/v1/applications/default"] {
        assert_eq!(
            world.get(path).await.verdict(),
            (401, "missing_credentials"),
            "{path}"
        );
        let reply = world.get_as(path, &gateway).await;
        assert_eq!(reply.verdict(), (401, "bad_credentials"), "{path}");
    }
    for path in ["", "/default", "/default/remove"] {
        let reply = world
            .post_json(&format!("/v1/applications{path}"), &gateway, "{}")
            .await;
        assert_eq!(reply.verdict(), (401, "bad_credentials"), "{path}");
    }
}
