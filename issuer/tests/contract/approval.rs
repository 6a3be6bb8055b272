//! A person sees a request, narrows it, and decides.

use serde_json::json;

use crate::harness::{World, details, tool};

#[tokio::test]
async fn page_shows_everything_the_agent_asks_for() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let page = browser.open(&asked).await.page;
    for shown in [
        "report writer",
        "Bailiwick command line",
        "in the agent's own words",
        "Summarise the Q3 report",
        "Title of files.read_file",
        "files.read_file",
        "read",
        "files.write_file",
        "write",
        "Creates or changes things",
        "files/reports",
        "files/notes",
        "files/out",
        "15 minutes",
        asked["user_code"].as_str().unwrap(),
        "http://127.0.0.1:8401/mcp",
    ] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    let list = browser.get("/approvals").await.body;
    assert!(list.contains("report writer") && list.contains("Summarise the Q3 report"));
}

#[tokio::test]
async fn pressing_enter_in_a_field_does_not_approve() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let page = browser.open(&asked).await.page;
    let (_, form) = page.split_once("id=\"decision\"").unwrap();
    let (_, first_button) = form.split_once("<button").unwrap();
    assert!(
        first_button.starts_with(" type=\"submit\" disabled hidden>"),
        "{first_button}"
    );
}

#[tokio::test]
async fn request_leaves_the_list_once_it_is_decided_or_expired() {
    let (world, mut browser) = World::with_approver().await;
    let first = world.asked().await;
    browser.approve(&first).await;
    let second = world.asked().await;
    let code = second["user_code"].as_str().unwrap();
    let list = browser.get("/approvals").await.body;
    assert!(list.contains(code) && !list.contains(first["user_code"].as_str().unwrap()));
    world.advance(600);
    assert!(!browser.get("/approvals").await.body.contains(code));
}

#[tokio::test]
async fn approver_narrows_tools_resources_and_time() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser
        .open(&asked)
        .await
        .without("tool", "files.write_file")
        .without("resource", "files.read_file#1")
        .set("path.files.read_file#0", "files/reports/q3.md")
        .set("duration", "5m")
        .with("decision", "approve");
    assert_eq!(browser.submit(&form).await.status, 303);
    let granted = world.poll(&asked).await.json();
    assert_eq!(granted["expires_in"], 300);
    assert_eq!(granted["scope"], "tool:files.read_file");
    assert_eq!(granted["authorization_details"][0]["duration"], 300);
    assert_eq!(
        granted["authorization_details"][0]["tools"],
        json!([{"name": "files.read_file", "access": "read", "resources": ["files/reports/q3.md"]}])
    );
}

#[tokio::test]
async fn narrowing_to_nothing_is_refused_and_changes_nothing() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let open = browser.open(&asked).await.with("decision", "approve");
    let no_tool = open
        .clone()
        .without("tool", "files.read_file")
        .without("tool", "files.write_file");
    let no_resource = open
        .clone()
        .without("resource", "files.read_file#0")
        .without("resource", "files.read_file#1")
        .without("resource", "files.write_file#0");
    for form in [no_tool, no_resource] {
        let reply = browser.submit(&form).await;
        assert_eq!(reply.verdict(), (422, "approval_empty"));
        assert!(reply.body.contains("Nothing is left to approve"));
        assert!(
            reply.body.contains(&format!("action=\"{}\"", form.path)),
            "the form again"
        );
    }
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
    assert_eq!(browser.submit(&open).await.status, 303);
}

#[tokio::test]
async fn widening_by_editing_the_form_is_refused_and_changes_nothing() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let open = browser.open(&asked).await.with("decision", "approve");
    let edits = [
        open.clone().with("tool", "files.delete_file"),
        open.clone().with("resource", "files.read_file#2"),
        open.clone().with("resource", "files.delete_file#0"),
        open.clone().with("path.files.read_file#7", "files"),
        open.clone().set("path.files.read_file#0", "files"),
        open.clone()
            .set("path.files.read_file#0", "files/reports-secret"),
        open.clone().set("duration", "901s"),
        open.clone().set("duration", "8h"),
    ];
    for (number, form) in edits.iter().enumerate() {
        let reply = browser.submit(form).await;
        assert_eq!(reply.verdict(), (422, "approval_widened"), "edit {number}");
        assert!(reply.body.contains("more than was asked for"));
    }
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
}

#[tokio::test]
async fn path_with_two_readings_is_refused() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let open = browser.open(&asked).await.with("decision", "approve");
    for path in [
        "files/reports/../../etc/passwd",
        "files/reports/%2e%2e/x",
        "files/reports/\0",
        "files/reports//x",
        "files/reports\\x",
        "files/reports/\u{202e}x",
        "",
    ] {
        let reply = browser
            .submit(&open.clone().set("path.files.read_file#0", path))
            .await;
        assert_eq!(reply.verdict(), (422, "invalid_resource"), "{path:?}");
    }
}

#[tokio::test]
async fn time_that_cannot_be_read_is_refused() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let open = browser.open(&asked).await.with("decision", "approve");
    for time in ["", "0s", "soon", "15", "-1m", "1e3s"] {
        let reply = browser.submit(&open.clone().set("duration", time)).await;
        assert_eq!(reply.verdict(), (422, "invalid_duration"), "{time:?}");
    }
}

#[tokio::test]
async fn approval_of_another_digest_than_the_stored_one_is_refused() {
    let (world, mut browser) = World::with_approver().await;
    let (asked, other) = (
        world.asked().await,
        world
            .ask(&{
                let mut other = details();
                other[0]["task"] = json!("Something else");
                other
            })
            .await
            .json(),
    );
    let other = browser.open(&other).await;
    let digest = &other
        .fields
        .iter()
        .find(|(n, _)| n == "request_digest")
        .unwrap()
        .1;
    let open = browser.open(&asked).await.with("decision", "approve");
    let reply = browser
        .submit(&open.clone().set("request_digest", digest))
        .await;
    assert_eq!(reply.verdict(), (409, "request_changed"));
    for bad in ["", "00", "zz"] {
        let reply = browser
            .submit(&open.clone().set("request_digest", bad))
            .await;
        assert_eq!(reply.verdict(), (400, "malformed_form"));
    }
    assert_eq!(browser.submit(&open).await.status, 303);
}

#[tokio::test]
async fn approving_twice_is_a_conflict() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await.with("decision", "approve");
    assert_eq!(browser.submit(&form).await.status, 303);
    assert_eq!(
        browser.submit(&form).await.verdict(),
        (409, "already_approved")
    );
    let deny = browser_denies(&form);
    assert_eq!(
        browser.submit(&deny).await.verdict(),
        (409, "already_approved")
    );
    assert_eq!(world.poll(&asked).await.status, 200);
}

fn browser_denies(form: &crate::harness::ApprovalForm) -> crate::harness::ApprovalForm {
    form.clone().set("decision", "deny")
}

#[tokio::test]
async fn approving_after_a_denial_is_a_conflict() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await.with("decision", "approve");
    assert_eq!(browser.submit(&browser_denies(&form)).await.status, 303);
    assert_eq!(
        browser.submit(&form).await.verdict(),
        (409, "already_denied")
    );
    assert_eq!(world.poll(&asked).await.oauth().1, "access_denied");
    let page = browser.get(&form.path).await;
    assert!(page.body.contains("<h1>Denied</h1>"));
}

#[tokio::test]
async fn approving_an_expired_request_is_too_late() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await.with("decision", "approve");
    world.advance(600);
    assert_eq!(
        browser.submit(&form).await.verdict(),
        (410, "request_expired")
    );
    assert_eq!(
        browser.get(&form.path).await.verdict(),
        (410, "request_expired")
    );
    assert_eq!(world.poll(&asked).await.oauth().1, "expired_token");
}

#[tokio::test]
async fn last_second_is_still_in_time() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await.with("decision", "approve");
    world.advance(599);
    assert_eq!(browser.submit(&form).await.status, 303);
}

#[tokio::test]
async fn unknown_request_is_not_found() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let mut form = browser.open(&asked).await.with("decision", "approve");
    form.path = format!("/approvals/apr_{}", "0".repeat(32));
    assert_eq!(
        browser.submit(&form).await.verdict(),
        (404, "request_not_found")
    );
    assert_eq!(
        browser.get(&form.path).await.verdict(),
        (404, "request_not_found")
    );
}

#[tokio::test]
async fn decision_that_is_neither_yes_nor_no_is_refused() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let open = browser.open(&asked).await;
    for form in [
        open.clone(),
        open.clone().with("decision", "maybe"),
        open.clone()
            .with("decision", "approve")
            .with("decision", "deny"),
        open.clone().with("decision", "approve").with("args", "{}"),
        open.clone()
            .with("decision", "approve")
            .with("resource", "files.read_file"),
        open.clone()
            .with("decision", "approve")
            .with("path.files.read_file#0", "files/reports"),
    ] {
        assert_eq!(
            browser.submit(&form).await.verdict(),
            (400, "malformed_form")
        );
    }
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
}

#[tokio::test]
async fn two_thousand_characters_of_instructions_are_taken_and_one_more_is_not() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let open = browser.open(&asked).await.with("decision", "approve");
    let reply = browser
        .submit(&open.clone().with("instructions", &"x".repeat(2_001)))
        .await;
    assert_eq!(reply.verdict(), (422, "text_too_long"));
    assert_eq!(
        browser
            .submit(&open.with("instructions", &"x".repeat(2_000)))
            .await
            .status,
        303
    );
}

#[tokio::test]
async fn code_is_found_however_it_is_typed_and_guessing_is_slowed_down() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let code = asked["user_code"]
        .as_str()
        .unwrap()
        .to_lowercase()
        .replace('-', "");
    let path = format!("/approve?user_code={code}");
    assert_eq!(browser.get(&path).await.status, 303);
    for _ in 0..5 {
        let reply = browser.get("/approve?user_code=BCDF-GHJK").await;
        assert_eq!(reply.status, 404);
        assert!(reply.body.contains("unknown_user_code"));
    }
    assert_eq!(
        browser.get(&path).await.verdict(),
        (429, "too_many_attempts")
    );
    world.advance(10);
    assert_eq!(browser.get(&path).await.status, 303);
    assert_eq!(browser.get("/approve").await.status, 200);
}

#[tokio::test]
async fn right_codes_make_no_room_for_wrong_ones_and_one_guesser_does_not_stop_others() {
    let (world, mut browser) = World::with_approver().await;
    let mut other = world.approver("bob", &["default"]).await;
    let asked = world.asked().await;
    let code = asked["user_code"].as_str().unwrap();
    let (right, wrong) = (
        format!("/approve?user_code={code}"),
        "/approve?user_code=BCDF-GHJK",
    );
    for _ in 0..4 {
        assert_eq!(browser.get(wrong).await.status, 404);
    }
    for _ in 0..20 {
        assert_eq!(browser.get(&right).await.status, 303);
    }
    assert_eq!(browser.get(wrong).await.status, 404, "the fifth wrong one");
    for path in [wrong, &right] {
        assert_eq!(
            browser.get(path).await.verdict(),
            (429, "too_many_attempts")
        );
    }
    assert_eq!(other.get(&right).await.status, 303);
}

#[tokio::test]
async fn many_guessers_together_guess_no_faster_than_sixty_codes_in_ten_minutes() {
    let (world, _) = World::with_approver().await;
    let wrong = "/approve?user_code=BCDF-GHJK";
    for guesser in 0..12 {
        let mut guesser = world
            .approver(&format!("guesser-{guesser}"), &["default"])
            .await;
        for _ in 0..5 {
            assert_eq!(guesser.get(wrong).await.status, 404);
        }
    }
    let mut honest = world.approver("honest", &["default"]).await;
    let right = async || {
        let asked = world.asked().await;
        format!(
            "/approve?user_code={}",
            asked["user_code"].as_str().unwrap()
        )
    };
    for _ in 0..5 {
        let reply = honest.get(&right().await).await;
        assert_eq!(reply.verdict(), (429, "too_many_attempts"));
        assert_eq!(
            reply.header("retry-after"),
            "601",
            "the first second after it"
        );
    }
    world.advance(599);
    let reply = honest.get(&right().await).await;
    assert_eq!(reply.verdict(), (429, "too_many_attempts"));
    assert_eq!(reply.header("retry-after"), "2");
    world.advance(1);
    // What was not looked at counts for nobody: five of their own are left.
    for _ in 0..4 {
        assert_eq!(honest.get(wrong).await.status, 404);
    }
    assert_eq!(honest.get(&right().await).await.status, 303);
    assert_eq!(honest.get(wrong).await.status, 404, "the fifth");
    assert_eq!(honest.get(wrong).await.status, 429, "the sixth");
}

#[tokio::test]
async fn code_is_found_while_its_request_waits_and_not_afterwards() {
    let (world, mut browser) = World::with_approver().await;
    let decided = world.asked().await;
    let form = browser.open(&decided).await;
    assert_eq!(
        browser
            .submit(&form.with("decision", "approve"))
            .await
            .status,
        303
    );
    let late = world.asked().await;
    let find = async |browser: &mut crate::harness::Browser, asked: &serde_json::Value| {
        let code = asked["user_code"].as_str().unwrap();
        browser
            .get(&format!("/approve?user_code={code}"))
            .await
            .status
    };
    assert_eq!(find(&mut browser, &decided).await, 404);
    world.advance(599);
    assert_eq!(find(&mut browser, &late).await, 303);
    world.advance(1);
    assert_eq!(find(&mut browser, &late).await, 404);
}

#[tokio::test]
async fn what_was_shown_is_what_is_minted_even_if_the_catalogue_changes_meanwhile() {
    let (world, mut browser) = World::with_approver().await;
    let asked = world.asked().await;
    let form = browser.open(&asked).await;
    let mut changed = tool("files.read_file", "destructive");
    changed["description"] = json!("Quite another thing");
    world.gateway.answers(Ok(
        json!({"audience": crate::harness::AUDIENCE, "tools": [changed]}),
    ));
    world.advance(60);
    let page = browser.get(&form.path).await.body;
    assert_eq!(page.replace("9 minutes", "10 minutes"), form.page);
    browser.submit(&form.with("decision", "approve")).await;
    assert_eq!(
        world.poll(&asked).await.json()["authorization_details"],
        details()
    );
}
