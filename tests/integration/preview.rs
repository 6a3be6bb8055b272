//! What the approval page says would be granted, beside what is granted then.

use serde_json::{Value, json};

use crate::harness::agent::{Wish, outcome};
use crate::harness::pages::Approver;
use crate::harness::service::Bailiwick;

const READ: &str = "files.read_file";
const LIMITS: &str = "textarea[name='limits.files.read_file']";

#[tokio::test(flavor = "multi_thread")]
async fn preview_decides_nothing_and_says_what_approving_then_grants() {
    let servers = Bailiwick::up();
    let approver = Approver::signs_up(&servers).await;
    let wish = Wish {
        tools: &[READ, "files.list_directory"],
        resources: &["files/reports"],
        task: "Read the reports",
        time: "20m",
    };
    let asked = servers.request(&wish, &[]);
    let page = approver.opens(&asked).await;
    let browser = approver.browser();
    page.removes_tool("files.list_directory").await;
    page.shortens_to("5m").await;
    let further = format!("fieldset[data-tool='{READ}'] details.further summary");
    browser.click(&further).await;
    browser.fill(LIMITS, "path=reports/q3*").await;
    browser.click("#check").await;

    let effect = browser.find("#effect").await.text().await.unwrap();
    for words in [
        "not granted",
        "less than asked for",
        "reports/q3",
        "5 minutes instead of 20 minutes",
    ] {
        assert!(effect.contains(words), "{words}: {effect}");
    }
    // What was filled in is still there, and nothing was decided.
    let kept = browser.find(LIMITS).await.prop("value").await.unwrap();
    assert_eq!(kept.as_deref(), Some("path=reports/q3*"));
    let list = format!("{}/approvals", servers.issuer);
    browser.reloads_until(&list, &["Read the reports"]).await;

    let page = approver.opens(&asked).await;
    page.removes_tool("files.list_directory").await;
    page.shortens_to("5m").await;
    browser.click(&further).await;
    browser.fill(LIMITS, "path=reports/q3*").await;
    browser.click("#check").await;
    browser.find("#effect").await;
    browser.click("#approve").await;
    browser.find("#approved").await;
    let granted = asked.granted();
    let tools: Vec<&Value> = granted.details["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(tools, [READ]);
    let read = |path: &str| {
        outcome(
            &servers.gateway,
            &granted.token,
            READ,
            &json!({ "path": path }),
        )
    };
    assert_eq!(read("reports/q3.md"), "allowed");
    assert_eq!(read("reports/q4-draft.md"), "caveat_failed");
    assert_eq!(approver.complaints(), Vec::<String>::new());
}
