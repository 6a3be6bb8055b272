//! Text from agents is shown, never obeyed.

use serde_json::json;

use crate::harness::{World, details, tool};

const MARKUP: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"' onclick='x";

#[tokio::test]
async fn markup_in_a_task_is_shown_as_text() {
    let (world, mut browser) = World::with_approver().await;
    let mut details = details();
    details[0]["task"] = json!(MARKUP);
    let asked = world.ask(&details).await.json();
    let page = browser.open(&asked).await.page;
    let list = browser.get("/approvals").await.body;
    let session = browser.approve(&asked).await;
    let sessions = browser.get("/sessions").await.body;
    let one = browser.get(&format!("/sessions/{session}")).await.body;
    for page in [page, list, sessions, one] {
        let page = page.replace("<script src=\"/assets/", "");
        assert!(
            !page.contains("<script") && !page.contains("<img src=x"),
            "{page}"
        );
        assert!(!page.contains("' onclick="), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    }
}

#[tokio::test]
async fn markup_in_names_resources_and_limits_is_shown_as_text() {
    let (world, mut browser) = World::with_approver().await;
    let details = json!([{
        "type": "mcp_tools",
        "task": "t",
        "tools": [{
            "name": "files.read_file",
            "resources": ["files/\"><script>alert(1)<"],
            "args": {"<b>": {"exact": "<script>alert(2)</script>"}},
        }],
    }]);
    let reply = world
        .post_form(
            "/oauth/device_authorization",
            &[
                ("client_id", "bailiwick-cli"),
                ("agent_name", "<script>alert(3)</script>"),
                ("authorization_details", &details.to_string()),
            ],
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let asked = reply.json();
    let page = browser.open(&asked).await.page;
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    assert_eq!(
        page.matches("alert(").count(),
        page.matches("script&#62;alert(").count()
    );
    browser.approve(&asked).await;
    let granted = world.poll(&asked).await.json();
    assert_eq!(
        granted["authorization_details"][0]["tools"][0]["resources"],
        json!(["files/\"><script>alert(1)<"])
    );
}

#[tokio::test]
async fn hidden_characters_in_a_task_become_visible_and_are_minted_as_shown() {
    let (world, mut browser) = World::with_approver().await;
    let mut details = details();
    details[0]["task"] = json!("Read \u{202e}gpj.exe\u{2066}\u{200b} now\u{7}\nand go");
    let asked = world.ask(&details).await.json();
    let page = browser.open(&asked).await.page;
    let shown = "Read ⟨U+202E⟩gpj.exe⟨U+2066⟩⟨U+200B⟩ now⟨U+0007⟩\nand go";
    assert!(page.contains(shown), "{page}");
    for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{7}'] {
        assert!(!page.contains(hidden));
    }
    browser.approve(&asked).await;
    let granted = world.poll(&asked).await.json();
    assert_eq!(granted["authorization_details"][0]["task"], shown);
}

#[tokio::test]
async fn hostile_catalogue_is_shown_as_text() {
    let (world, mut browser) = World::with_approver().await;
    let mut hostile = tool("files.read_file", "read");
    hostile["title"] = json!("Harmless\u{202e}</code><script>");
    hostile["description"] = json!(MARKUP);
    let catalogue = json!({"audience": crate::harness::AUDIENCE, "tools": [hostile]});
    world.gateway.answers(Ok(catalogue));
    let details = json!([{"type": "mcp_tools", "task": "t",
        "tools": [{"name": "files.read_file", "resources": ["files"]}]}]);
    let asked = world.ask(&details).await.json();
    let page = browser.open(&asked).await.page;
    assert!(
        !page.contains("<script") && !page.contains('\u{202e}'),
        "{page}"
    );
    assert!(page.contains("Harmless⟨U+202E⟩"), "{page}");
}

#[tokio::test]
async fn markup_in_codes_reasons_and_user_names_is_shown_as_text() {
    let (world, mut browser) = World::with_approver().await;
    let page = browser.get("/approve?user_code=%3Cscript%3E").await;
    assert_eq!(page.status, 404);
    assert!(!page.body.contains("<script"));
    let asked = world.asked().await;
    let form = browser
        .open(&asked)
        .await
        .with("decision", "deny")
        .with("reason", MARKUP);
    let reply = browser.submit(&form).await;
    let page = browser.get(&reply.location()).await.body;
    assert!(
        !page.contains("<script") && page.contains("&#60;script"),
        "{page}"
    );
    let mut visitor = world.browser();
    let csrf = visitor.get("/sign-in").await.hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("user_name", MARKUP),
        ("password", "x"),
    ];
    let page = visitor.post("/sign-in", &fields).await.body;
    assert!(
        !page.contains("<script") && page.contains("&#60;script"),
        "{page}"
    );
    let csrf = browser.get("/approvals").await.hidden("csrf");
    let fields = [("csrf", csrf.as_str()), ("<script>", "x")];
    let page = browser.post("/sign-out", &fields).await;
    assert_eq!(page.verdict(), (400, "malformed_form"));
    assert!(!page.body.contains("<script>"), "{}", page.body);
}

#[tokio::test]
async fn long_limit_is_shown_whole() {
    let (world, mut browser) = World::with_approver().await;
    let mut details = details();
    let long = format!("{}the end", "x".repeat(400));
    details[0]["tools"][1]["args"]["content"] = json!({"prefix": long});
    let asked = world.ask(&details).await.json();
    let page = browser.open(&asked).await.page;
    assert!(page.contains(&long), "{page}");
}

#[tokio::test]
async fn names_that_a_page_cannot_show_are_refused() {
    let (world, _) = World::with_approver().await;
    let ask = async |agent: &str, resource: &str| {
        let mut details = details();
        details[0]["tools"][0]["resources"] = json!([resource]);
        let fields = [
            ("client_id", "bailiwick-cli"),
            ("agent_name", agent),
            ("authorization_details", &details.to_string()),
        ];
        world
            .post_form("/oauth/device_authorization", &fields)
            .await
    };
    assert_eq!(ask("größer 7", "files/概要").await.status, 200);
    for unseen in ["\u{3164}", "\u{2800}", "\u{a0}", "\u{fe0f}", "\u{e000}"] {
        let code = format!("U+{:04X}", u32::from(unseen.chars().next().unwrap()));
        let agent = ask(&format!("a{unseen}b"), "files").await;
        assert_eq!(agent.status, 400);
        assert_eq!(agent.json()["error"], "invalid_request");
        assert!(agent.body.contains(&code), "{}", agent.body);
        let resource = ask("a", &format!("files/a{unseen}b")).await;
        assert_eq!(resource.status, 400);
        assert_eq!(resource.json()["error"], "invalid_authorization_details");
        assert!(resource.body.contains(&code), "{}", resource.body);
    }
}
