//! An approver narrows by hand and sees what it comes to before anything is decided.

use bailiwick_datalog::{Chain, token_text};
use serde_json::{Value, json};

use crate::harness::{ApprovalForm, Browser, World};

const READ: &str = "files.read_file";
const WRITE: &str = "files.write_file";

async fn opened(browser: &mut Browser, world: &World) -> (Value, ApprovalForm) {
    let asked = world.asked().await;
    let form = browser.open(&asked).await;
    (asked, form)
}

/// Limits for a tool, as a browser sends a text area.
fn limiting(form: ApprovalForm, tool: &str, lines: &str) -> ApprovalForm {
    form.with(&format!("limits.{tool}"), lines)
}

async fn minted(world: &World, asked: &Value) -> (Value, Vec<String>) {
    let reply = world.poll(asked).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = reply.json();
    let bytes = token_text::decode(reply["access_token"].as_str().unwrap()).unwrap();
    let chain = Chain::decode_unverified(&bytes).unwrap();
    let limits = chain.authority().limits.iter();
    let words = limits.map(|limit| format!("{} {}", limit.tool, limit.caveat.in_words()));
    (reply.clone(), words.collect())
}

#[tokio::test]
async fn limits_that_an_approver_adds_are_minted_and_told_to_the_agent() {
    let (world, mut browser) = World::with_approver().await;
    let (asked, form) = opened(&mut browser, &world).await;
    let form = limiting(form, READ, "path=reports/*\r\npath=*.md").with("closed", READ);
    let form = limiting(form, WRITE, "content={\"suffix\":\"end\"}");
    let reply = browser.submit(&form.with("decision", "approve")).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let (reply, limits) = minted(&world, &asked).await;
    let tools = &reply["authorization_details"][0]["tools"];
    let both = json!({"path": [{"prefix": "reports/"}, {"suffix": ".md"}]});
    assert_eq!(tools[0]["args"], both);
    assert_eq!(tools[0]["closed_arguments"], true);
    let content = json!({"content": [{"prefix": "# "}, {"suffix": "end"}]});
    assert_eq!(tools[1]["args"], content);
    assert_eq!(
        limits,
        [
            "files.read_file must have an argument `path` that starts with `reports/`",
            "files.read_file must have an argument `path` that ends with `.md`",
            "files.read_file must have no argument other than `path`",
            "files.write_file must have an argument `content` that starts with `# `",
            "files.write_file must have an argument `content` that ends with `end`",
        ]
    );
}

#[tokio::test]
async fn what_would_be_granted_is_shown_before_and_decides_nothing() {
    let (world, mut browser) = World::with_approver().await;
    let (asked, form) = opened(&mut browser, &world).await;
    let form = limiting(form, READ, "path=reports/*")
        .without("tool", WRITE)
        .set("path.files.read_file#0", "files/reports/2026")
        .set("duration", "10m")
        .with("instructions", "Only the <b>new</b> ones");
    let page = browser
        .submit(&form.clone().with("decision", "check"))
        .await;
    assert_eq!((page.status.as_u16(), page.code()), (200, ""));
    let (_, effect) = page.body.split_once("id=\"effect\"").unwrap();
    for shown in [
        "on files/reports/2026, files/notes instead of files/reports, files/notes",
        "must have an argument `path` that starts with `reports/`",
        "not granted",
        "For 10 minutes instead of 15 minutes",
        "Only the &#60;b&#62;new&#60;/b&#62; ones",
    ] {
        assert!(effect.contains(shown), "{shown}: {effect}");
    }
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
    // The page comes back as it was filled in, and approving it grants just that.
    let again = ApprovalForm::read(form.path.clone(), page.clone());
    assert!(
        again.page.contains("path=reports/*</textarea>"),
        "{}",
        again.page
    );
    let again = limiting(again, READ, "path=reports/*").with("decision", "approve");
    world.advance(10);
    assert_eq!(browser.submit(&again).await.status, 303);
    let details = minted(&world, &asked).await.0["authorization_details"][0].clone();
    assert_eq!(details["duration"], 600);
    let resources = json!(["files/reports/2026", "files/notes"]);
    assert_eq!(details["tools"][0]["resources"], resources);
    assert_eq!(details["tools"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn text_that_is_no_limit_is_named_at_its_field_and_nothing_is_lost() {
    let (world, mut browser) = World::with_approver().await;
    let (asked, form) = opened(&mut browser, &world).await;
    let form = limiting(form, READ, "path=reports/*\nn={\u{202e}<b>")
        .without("resource", "files.read_file#1")
        .set("duration", "7m")
        .with("instructions", "kept words");
    for button in ["check", "approve"] {
        let page = browser.submit(&form.clone().with("decision", button)).await;
        assert_eq!(page.verdict(), (422, "invalid_limit"), "{}", page.body);
        let body = &page.body;
        assert!(body.contains("id=\"problem\""), "{body}");
        assert!(body.contains("aria-invalid=\"true\""), "{body}");
        assert!(!body.contains("<b>"), "{body}");
        assert!(body.contains("kept words</textarea>"), "{body}");
        let again = ApprovalForm::read(form.path.clone(), page);
        let has =
            |name: &str, value: &str| again.fields.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("duration", "7m") && has("tool", WRITE));
        assert!(has("resource", "files.read_file#0") && !has("resource", "files.read_file#1"));
    }
    assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
}

#[tokio::test]
async fn choices_that_cannot_be_granted_come_back_filled_in() {
    let (world, mut browser) = World::with_approver().await;
    let (_, form) = opened(&mut browser, &world).await;
    let wrong = [
        (form.clone().set("duration", "soon"), "invalid_duration"),
        (
            form.clone().set("path.files.read_file#0", "files/../x"),
            "invalid_resource",
        ),
        (
            form.clone().set("path.files.read_file#0", "private"),
            "approval_widened",
        ),
        (
            form.clone().with("limits.files.search", "n=1"),
            "approval_widened",
        ),
        (
            form.clone().with("closed", "files.search"),
            "approval_widened",
        ),
    ];
    for (form, code) in wrong {
        let page = browser.submit(&form.with("decision", "check")).await;
        assert_eq!(page.verdict(), (422, code));
        assert!(page.body.contains("id=\"decision\""), "{}", page.body);
    }
    let twice = form
        .with("limits.files.read_file", "n=1")
        .with("limits.files.read_file", "n=2");
    let page = browser.submit(&twice.with("decision", "check")).await;
    assert_eq!(page.verdict(), (400, "malformed_form"));
}

#[tokio::test]
async fn as_many_limits_as_fit_a_token_are_granted_and_one_more_is_not() {
    let (world, mut browser) = World::with_approver().await;
    let (_, form) = opened(&mut browser, &world).await;
    // A block holds 32 checks; two are fixed and one limit was asked for.
    let lines = |count: usize| {
        let lines = (0..count).map(|n| format!("n{n}=1"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let with = |count| limiting(form.clone(), READ, &lines(count)).with("decision", "check");
    assert_eq!(browser.submit(&with(29)).await.status, 200);
    let more = browser.submit(&with(30)).await;
    assert_eq!(more.verdict(), (422, "approval_too_large"));
}

#[tokio::test]
async fn the_second_approver_starts_from_the_limits_of_the_first() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.approver("bob", &["default"]).await;
    crate::deciding::rules(&world, &["two-approvers access=write"]).await;
    let (asked, form) = opened(&mut ada, &world).await;
    let form = limiting(form, READ, "path=reports/*").with("decision", "approve");
    assert_eq!(ada.submit(&form).await.status, 303);
    let form = bob.open(&asked).await;
    let kept = "path={&#34;prefix&#34;:&#34;reports/&#34;}</textarea>";
    assert!(form.page.contains(kept), "{}", form.page);
    let without = form.clone().with("decision", "approve");
    assert_eq!(
        bob.submit(&without).await.verdict(),
        (422, "approval_widened")
    );
    let with = limiting(form, READ, "path={\"prefix\":\"reports/\"}\nn=1");
    assert_eq!(
        bob.submit(&with.with("decision", "approve")).await.status,
        303
    );
    assert_eq!(minted(&world, &asked).await.1.len(), 3);
}
