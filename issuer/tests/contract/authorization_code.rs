//! The authorization-code grant: a browser brings the request, a person decides it on the page,
//! the browser takes the code back.

use axum::{
    body::Body,
    http::{Request, header},
};
use bailiwick_verifier::UnverifiedToken;
use serde_json::json;
use url::Url;

use crate::{
    harness::{AUDIENCE, World},
    oauth_client::{
        Client, Parameters, REDIRECT, address, assert_answers_client, parameter, post, with,
    },
};

const READ: &str = "tool:files.read_file";

/// Where the answer to a request goes that is refused at once.
async fn refused(world: &World, parameters: &Parameters) -> Url {
    let reply = world.get(&address(parameters)).await;
    assert_eq!(reply.status, 303, "{parameters:?}: {}", reply.body);
    Url::parse(&reply.location()).unwrap()
}

#[tokio::test]
async fn page_says_where_the_answer_goes() {
    let (world, mut browser) = World::with_approver().await;
    for (redirect, place) in [
        (REDIRECT, "127.0.0.1"),
        ("https://app.example:8443/callback", "app.example"),
        ("com.example.app:/callback", "com.example.app:"),
    ] {
        let metadata = json!({"redirect_uris": [redirect], "token_endpoint_auth_method": "none"});
        let client = Client::register_as(&world, &metadata).await;
        let parameters = with(
            &client.parameters(Some(READ)),
            "redirect_uri",
            Some(redirect),
        );
        let path = browser.get(&address(&parameters)).await.location();
        let page = browser.get(&path).await.body;
        let shown = format!(
            "<dt>Answer goes to</dt><dd id=\"returns-to\"><code class=\"literal\">{place}</code></dd>"
        );
        assert!(page.contains(&shown), "{shown}\n{page}");
    }
    // An agent that polls is sent nowhere.
    let asked = world.asked().await;
    let page = browser.open(&asked).await.page;
    assert!(!page.contains("Answer goes to"), "{page}");
}

#[tokio::test]
async fn client_gets_a_token_for_what_was_approved() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client
        .asks(&mut browser, Some("tool:files.read_file tool:files.search"))
        .await;
    assert!(form.page.contains("Inspector") && form.page.contains(client.known_as()));
    assert!(form.page.contains("Only claimed"));
    let form = form
        .without("tool", "files.search")
        .set("path.files.read_file#0", "files/reports")
        .with("decision", "approve");
    let answer = client.decided(&mut browser, &form).await;
    assert_answers_client(&answer);
    assert_eq!(parameter(&answer, "error"), None);
    let code = parameter(&answer, "code").unwrap();

    let reply = client.redeem(&world, &code).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), "no-store");
    let granted = reply.json();
    assert_eq!(granted["token_type"], "Bearer");
    assert_eq!(granted["scope"], READ);
    assert_eq!(
        granted["authorization_details"][0]["tools"],
        json!([{"name": "files.read_file", "access": "read", "resources": ["files/reports"]}])
    );
    assert!(granted.get("refresh_token").is_none());
    let token = UnverifiedToken::from_text(granted["access_token"].as_str().unwrap());
    assert!(token.is_ok());
}

#[tokio::test]
async fn details_are_asked_for_as_exactly_as_elsewhere() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let details = crate::harness::details();
    let parameters = with(
        &client.parameters(None),
        "authorization_details",
        Some(&details.to_string()),
    );
    let reply = browser.get(&address(&parameters)).await;
    let page = browser.get(&reply.location()).await;
    assert!(page.body.contains("Summarise the Q3 report"));
    let form = crate::harness::ApprovalForm::read(reply.location(), page);
    let answer = client
        .decided(&mut browser, &form.with("decision", "approve"))
        .await;
    let code = parameter(&answer, "code").unwrap();
    let granted = client.redeem(&world, &code).await.json();
    assert_eq!(granted["authorization_details"], details);
}

#[tokio::test]
async fn denied_client_learns_the_reason() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client
        .asks(&mut browser, Some(READ))
        .await
        .with("decision", "deny")
        .with("reason", "not \"today\"");
    let answer = client.decided(&mut browser, &form).await;
    assert_answers_client(&answer);
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(
        parameter(&answer, "error_description").as_deref(),
        Some("not 'today'")
    );
    assert_eq!(parameter(&answer, "code"), None);
}

#[tokio::test]
async fn wrong_requests_are_answered_with_the_standards_errors() {
    let (world, _) = World::with_approver().await;
    let client = Client::register(&world).await;
    let good = client.parameters(Some(READ));
    let mut doubled = good.clone();
    doubled.push(("resource".to_owned(), AUDIENCE.to_owned()));
    for (parameters, error) in [
        (with(&good, "response_type", None), "invalid_request"),
        (
            with(&good, "response_type", Some("token")),
            "unsupported_response_type",
        ),
        (
            with(&good, "response_mode", Some("fragment")),
            "invalid_request",
        ),
        (with(&good, "code_challenge", None), "invalid_request"),
        (
            with(&good, "code_challenge", Some("short")),
            "invalid_request",
        ),
        (
            with(&good, "code_challenge_method", None),
            "invalid_request",
        ),
        (
            with(&good, "code_challenge_method", Some("plain")),
            "invalid_request",
        ),
        (with(&good, "resource", None), "invalid_target"),
        (
            with(&good, "resource", Some("http://other/mcp")),
            "invalid_target",
        ),
        (
            with(&good, "resource", Some("http://127.0.0.1:8401/mcp/")),
            "invalid_target",
        ),
        (with(&good, "scope", Some("openid")), "invalid_scope"),
        (
            with(&good, "scope", Some("tool:files.nonsense")),
            "invalid_scope",
        ),
        (with(&good, "scope", Some("tool:FILES")), "invalid_scope"),
        (
            with(&good, "authorization_details", Some("[]")),
            "invalid_authorization_details",
        ),
        (
            with(&good, "request", Some("e30.e30.")),
            "request_not_supported",
        ),
        (
            with(&good, "request_uri", Some("https://x/")),
            "request_uri_not_supported",
        ),
        (doubled, "invalid_request"),
    ] {
        let answer = refused(&world, &parameters).await;
        assert_answers_client(&answer);
        assert_eq!(
            parameter(&answer, "error").as_deref(),
            Some(error),
            "{answer}"
        );
        assert!(parameter(&answer, "error_description").is_some());
    }
}

#[tokio::test]
async fn nobody_is_redirected_before_client_and_place_are_known_to_belong_together() {
    let (world, _) = World::with_approver().await;
    let client = Client::register(&world).await;
    let good = client.parameters(Some(READ));
    let long = "s".repeat(1_025);
    let mut doubled = good.clone();
    doubled.push(("redirect_uri".to_owned(), REDIRECT.to_owned()));
    for (parameters, verdict) in [
        (with(&good, "client_id", None), (400, "malformed_form")),
        (
            with(&good, "client_id", Some("stranger")),
            (400, "unknown_client"),
        ),
        (
            with(&good, "client_id", Some("bailiwick-cli")),
            (400, "wrong_redirect_uri"),
        ),
        (with(&good, "redirect_uri", None), (400, "malformed_form")),
        (doubled, (400, "malformed_form")),
        (
            with(&good, "state", Some(&long)),
            (400, "malformed_address"),
        ),
    ] {
        let reply = world.get(&address(&parameters)).await;
        assert_eq!(reply.verdict(), verdict, "{}", reply.body);
        assert_eq!(reply.location(), "");
        assert!(reply.header("content-type").starts_with("text/html"));
    }
    let longest = with(&good, "state", Some(&"s".repeat(1_024)));
    assert_eq!(world.get(&address(&longest)).await.status, 303);
}

/// Places that look like the registered one to somebody who compares less than every byte.
const LOOK_ALIKES: [&str; 60] = [
    "",
    "/",
    "//evil.example/callback",
    "///evil.example/callback",
    "\\\\evil.example\\callback",
    "/\\evil.example/callback",
    "callback",
    "http://127.0.0.1:7777",
    "http://127.0.0.1:7777/",
    "http://127.0.0.1:7777/Callback",
    "http://127.0.0.1:7777/callback/",
    "http://127.0.0.1:7777/callback/../evil",
    "http://127.0.0.1:7777/callback/..",
    "http://127.0.0.1:7777/./callback",
    "http://127.0.0.1:7777//callback",
    "http://127.0.0.1:7777/%63allback",
    "http://127.0.0.1:7777/callback%00",
    "http://127.0.0.1:7777/callback%2f..%2fevil",
    "http://127.0.0.1:7777/callback;x",
    "http://127.0.0.1:7777/callback?",
    "http://127.0.0.1:7777/callback?x=1",
    "http://127.0.0.1:7777/callback#",
    "http://127.0.0.1:7777/callback#x",
    "http://127.0.0.1:7777/callback ",
    " http://127.0.0.1:7777/callback",
    "http://127.0.0.1:7777/callback\n",
    "http://127.0.0.1:7777/call\tback",
    "http://127.0.0.1:7777\\callback",
    "http://127.0.0.1:7777\\@evil.example/callback",
    "http://127.0.0.1:7777@evil.example/callback",
    "http://evil.example@127.0.0.1:7777/callback",
    "http://evil.example:80@127.0.0.1:7777/callback",
    "http://127.0.0.1:7777.evil.example/callback",
    "http://127.0.0.1.evil.example:7777/callback",
    "http://127.0.0.1:7777:80/callback",
    "http://127.0.0.1:/callback",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:65536/callback",
    "http://127.0.0.1:+80/callback",
    "http://127.0.0.1:80a/callback",
    "http://127.0.0.2:7777/callback",
    "http://127.1:7777/callback",
    "http://0x7f000001:7777/callback",
    "http://2130706433:7777/callback",
    "http://0177.0.0.1:7777/callback",
    "http://0.0.0.0:7777/callback",
    "http://[::1]:7777/callback",
    "http://[::ffff:127.0.0.1]:7777/callback",
    "http://localhost:7777/callback",
    "http://LOCALHOST:7777/callback",
    "https://127.0.0.1:7777/callback",
    "HTTP://127.0.0.1:7777/callback",
    "http:127.0.0.1:7777/callback",
    "http:///127.0.0.1:7777/callback",
    "ftp://127.0.0.1:7777/callback",
    "javascript:alert(1)//http://127.0.0.1:7777/callback",
    "data:text/html,http://127.0.0.1:7777/callback",
    "file:///callback",
    "https://evil.example/?http://127.0.0.1:7777/callback",
    "http://evil.example/callback",
];

#[tokio::test]
async fn browser_is_sent_to_none_of_sixty_places_that_look_alike() {
    let (world, _) = World::with_approver().await;
    let client = Client::register(&world).await;
    let good = client.parameters(Some(READ));
    for place in LOOK_ALIKES {
        let reply = world
            .get(&address(&with(&good, "redirect_uri", Some(place))))
            .await;
        assert_eq!(reply.verdict(), (400, "wrong_redirect_uri"), "{place:?}");
        assert_eq!(reply.location(), "", "{place:?}");
    }
    let other_port = with(
        &good,
        "redirect_uri",
        Some("http://127.0.0.1:1234/callback"),
    );
    let reply = world.get(&address(&other_port)).await;
    assert_eq!(reply.status, 303, "loopback ports are free");
}

#[tokio::test]
async fn code_is_good_for_exactly_what_it_was_issued_for() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let other = Client::register(&world).await;
    let code = client.code(&mut browser, READ).await;
    let good = client.redemption(&code);
    let wrong_verifier = "eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for (fields, status, error) in [
        (
            with(&good, "code", Some(&"A".repeat(43))),
            400,
            "invalid_grant",
        ),
        (
            with(&good, "code_verifier", Some(wrong_verifier)),
            400,
            "invalid_grant",
        ),
        (with(&good, "code_verifier", None), 400, "invalid_request"),
        (
            with(
                &good,
                "redirect_uri",
                Some("http://127.0.0.1:7778/callback"),
            ),
            400,
            "invalid_grant",
        ),
        (with(&good, "redirect_uri", None), 400, "invalid_request"),
        (
            with(&good, "client_id", Some(&other.id)),
            400,
            "invalid_grant",
        ),
        (
            with(&good, "client_id", Some("bailiwick-cli")),
            400,
            "invalid_grant",
        ),
        (
            with(&good, "client_id", Some("stranger")),
            401,
            "invalid_client",
        ),
        (
            with(&good, "resource", Some("http://other/mcp")),
            400,
            "invalid_target",
        ),
        (
            with(&good, "client_secret", Some("x")),
            401,
            "invalid_client",
        ),
    ] {
        let reply = post(&world, "/oauth/token", &fields).await;
        assert_eq!(reply.oauth(), (status, error.to_owned()), "{fields:?}");
    }
    let record = std::fs::read_to_string(world.file("audit/issuer.jsonl")).unwrap();
    let refusals = record.matches("\"code_refused\"").count();
    assert_eq!(
        refusals, 4,
        "those who had the code and could not redeem it"
    );
    let device = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", &client.id),
        ("device_code", &code),
    ];
    let reply = world.post_form("/oauth/token", &device).await;
    assert_eq!(reply.oauth(), (400, "invalid_grant".to_owned()));
    let reply = post(&world, "/oauth/token", &good).await;
    assert_eq!(reply.status, 200, "no refusal used it up: {}", reply.body);
}

#[tokio::test]
async fn code_lasts_a_minute() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let code = client.code(&mut browser, READ).await;
    world.advance(59);
    assert_eq!(client.redeem(&world, &code).await.status, 200);
    let code = client.code(&mut browser, READ).await;
    world.advance(60);
    let late = client.redeem(&world, &code).await;
    assert_eq!(late.oauth(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn code_that_comes_twice_ends_the_session() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let code = client.code(&mut browser, READ).await;
    let session = client.redeem(&world, &code).await.json()["session"].clone();
    let path = format!("/v1/sessions/{}", session.as_str().unwrap());
    let operator = world.bearer("operator.token");
    assert_eq!(
        world.get_as(&path, &operator).await.json()["state"],
        "active"
    );
    let again = client.redeem(&world, &code).await;
    assert_eq!(again.oauth(), (400, "invalid_grant".to_owned()));
    let ended = world.get_as(&path, &operator).await.json();
    assert_eq!(ended["state"], "revoked");
    assert_eq!(ended["revoked_by"], "reuse of its code");
}

#[tokio::test]
async fn code_is_given_once() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut browser, Some(READ)).await;
    let form = form.with("decision", "approve");
    client.decided(&mut browser, &form).await;
    let again = browser.get(&format!("{}/return", form.path)).await;
    assert_eq!(
        again.location(),
        form.path,
        "to the page, not to the client"
    );
    assert!(
        browser
            .get(&form.path)
            .await
            .body
            .contains("id=\"approved\"")
    );
}

#[tokio::test]
async fn request_is_decided_only_in_the_browser_in_which_it_began() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut browser, Some(READ)).await;
    let form = form.with("decision", "approve");
    let mut victim = browser.clone();
    victim
        .cookies
        .retain(|(name, _)| name != "bailiwick_authorize");
    let refusal = (403, "other_browser");
    assert_eq!(victim.get(&form.path).await.verdict(), refusal);
    assert_eq!(victim.submit(&form).await.verdict(), refusal);
    let back = format!("{}/return", form.path);
    assert_eq!(victim.get(&back).await.verdict(), refusal);
    let list = victim.get("/approvals").await;
    assert!(!list.body.contains("Inspector"), "it is not listed either");
    assert_eq!(browser.get(&back).await.location(), form.path, "still open");
    let answer = client.decided(&mut browser, &form).await;
    assert!(parameter(&answer, "code").is_some());
}

#[tokio::test]
async fn request_that_nobody_decides_ends_with_a_refusal() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut browser, Some(READ)).await;
    world.advance(600);
    let reply = browser
        .submit(&form.clone().with("decision", "approve"))
        .await;
    assert_eq!(reply.verdict(), (410, "request_expired"));
    let reply = browser.get(&format!("{}/return", form.path)).await;
    let answer = Url::parse(&reply.location()).unwrap();
    assert_answers_client(&answer);
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("access_denied")
    );
}

#[tokio::test]
async fn page_lets_its_form_lead_to_the_client_and_nowhere_else() {
    let (world, mut browser) = World::with_approver().await;
    let client = Client::register(&world).await;
    let form = client.asks(&mut browser, Some(READ)).await;
    let page = browser.get(&form.path).await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.ends_with("form-action 'self' http://127.0.0.1:7777"),
        "{policy}"
    );
    let list = browser.get("/approvals").await;
    let policy = list.header("content-security-policy");
    let mut parts = policy.split("; ");
    let part = parts.find(|part| part.starts_with("form-action"));
    assert_eq!(part, Some("form-action 'self'"), "{policy}");
}

#[tokio::test]
async fn framed_or_fetched_request_is_refused() {
    let (world, _) = World::with_approver().await;
    let client = Client::register(&world).await;
    let address = address(&client.parameters(Some(READ)));
    let to = async |dest: &str| {
        let request = Request::get(&address).header("sec-fetch-dest", dest);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    for dest in ["iframe", "image", "empty", "script", "embed"] {
        assert_eq!(to(dest).await.verdict(), (403, "not_opened"), "{dest}");
    }
    assert_eq!(to("document").await.status, 303);
}

#[tokio::test]
async fn client_with_a_secret_has_to_send_it_in_one_way() {
    let (world, mut browser) = World::with_approver().await;
    let metadata = json!({"redirect_uris": [REDIRECT]});
    let client = Client::register_as(&world, &metadata).await;
    let code = client.code(&mut browser, READ).await;
    let good = client.redemption(&code);
    let secret = client.secret.clone().unwrap();
    for (fields, status, error) in [
        (with(&good, "client_secret", None), 401, "invalid_client"),
        (
            with(&good, "client_secret", Some("x")),
            401,
            "invalid_client",
        ),
    ] {
        let reply = post(&world, "/oauth/token", &fields).await;
        assert_eq!(reply.oauth(), (status, error.to_owned()), "{fields:?}");
        assert!(reply.header("www-authenticate").starts_with("Basic"));
    }
    let basic = async |fields: &Parameters, id: &str| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let pair = STANDARD.encode(format!("{id}:{secret}"));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
        let mut request = crate::harness::form("/oauth/token", &fields);
        let value = format!("Basic {pair}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        world.send(request).await
    };
    let reply = basic(&good, &client.id).await;
    assert_eq!(
        reply.oauth(),
        (400, "invalid_request".to_owned()),
        "both ways"
    );
    let bare = with(&good, "client_secret", None);
    let reply = basic(&bare, "bailiwick-cli").await;
    assert_eq!(
        reply.oauth(),
        (400, "invalid_request".to_owned()),
        "two clients"
    );
    let reply = basic(&with(&bare, "client_id", None), &client.id).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}
