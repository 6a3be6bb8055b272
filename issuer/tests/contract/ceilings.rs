//! Ceilings: what one approver may grant, shown beforehand and held when it counts.

use serde_json::{Value, json};

use crate::harness::{ApprovalForm, Browser, Reply, World, details};

/// A world in which `bob` decides for the default application, under this ceiling.
async fn under(ceiling: &Value) -> (World, Browser, Browser) {
    let (world, ada) = World::with_approver().await;
    let bob = world.approver("bob", &["default"]).await;
    world.limit("bob", ceiling).await;
    (world, ada, bob)
}

/// What a form says once everything is ticked, whatever the page suggested.
fn all_ticked(form: ApprovalForm) -> ApprovalForm {
    let mut form = form;
    form.fields
        .retain(|(name, _)| name != "tool" && name != "resource");
    for (name, value) in [
        ("tool", "files.read_file"),
        ("tool", "files.write_file"),
        ("resource", "files.read_file#0"),
        ("resource", "files.read_file#1"),
        ("resource", "files.write_file#0"),
    ] {
        form = form.with(name, value);
    }
    form.set("duration", "15m").with("decision", "approve")
}

fn refused(reply: &Reply, naming: &[&str]) {
    assert_eq!(reply.verdict(), (403, "beyond_ceiling"), "{}", reply.body);
    for words in naming {
        assert!(reply.body.contains(words), "{words}\n{}", reply.body);
    }
}

#[tokio::test]
async fn approver_without_a_ceiling_grants_what_was_asked() {
    let (world, _) = World::with_approver().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let asked = world.asked().await;
    let form = bob.open(&asked).await;
    assert!(!form.page.contains("You may grant"), "{}", form.page);
    assert_eq!(
        bob.submit(&form.with("decision", "approve")).await.status,
        303
    );
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn ceiling_at_just_what_was_asked_lets_it_through_and_one_step_less_does_not() {
    let exact = json!({
        "tools": ["files.read_file", "files.write_file"],
        "access": ["read", "write"],
        "resources": ["files/reports", "files/notes", "files/out"],
        "longest_session": 900,
    });
    let (world, _ada, mut bob) = under(&exact).await;
    for (part, less, naming) in [
        (
            "tools",
            json!(["files.read_file", "files.write"]),
            "the tool `files.write_file`",
        ),
        (
            "access",
            json!(["read", "destructive"]),
            "`write` access of `files.write_file`",
        ),
        (
            "resources",
            json!(["files/reports/2026", "files/notes", "files/out"]),
            "`files.read_file` on `files/reports`",
        ),
        (
            "longest_session",
            json!(899),
            "more than 14 minutes 59 seconds",
        ),
    ] {
        let mut ceiling = exact.clone();
        ceiling[part] = less;
        world.limit("bob", &ceiling).await;
        let asked = world.asked().await;
        let form = all_ticked(bob.open(&asked).await);
        refused(&bob.submit(&form).await, &[naming]);
        assert_eq!(world.poll(&asked).await.oauth().1, "authorization_pending");
        world.limit("bob", &exact).await;
        assert_eq!(bob.submit(&form).await.status, 303, "{part}");
    }
}

#[tokio::test]
async fn refusal_names_everything_that_is_beyond() {
    let (world, _ada, mut bob) = under(&json!({"access": [], "longest_session": 60})).await;
    let asked = world.asked().await;
    let form = all_ticked(bob.open(&asked).await);
    refused(
        &bob.submit(&form).await,
        &[
            "`read` access of `files.read_file`",
            "`write` access of `files.write_file`",
            "1 minute",
        ],
    );
}

#[tokio::test]
async fn page_says_beforehand_what_cannot_be_granted_and_starts_from_what_can() {
    let ceiling = json!({
        "access": ["read"],
        "resources": ["files/reports/2026", "files/notes"],
        "longest_session": 300,
    });
    let (world, mut ada, mut bob) = under(&ceiling).await;
    let asked = world.asked().await;
    let form = bob.open(&asked).await;
    let page = &form.page;
    assert!(
        page.contains("You may not grant `write` access of `files.write_file`."),
        "{page}"
    );
    assert!(
        page.contains("You may grant only what is under files/reports/2026."),
        "{page}"
    );
    assert!(page.contains("You may grant 5 minutes."), "{page}");
    let sent: Vec<&str> = form
        .fields
        .iter()
        .filter(|(name, _)| name == "tool" || name == "resource")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(sent, ["files.read_file", "files.read_file#1"]);

    // Narrowed by hand to what is within, it goes through.
    let form = form
        .with("resource", "files.read_file#0")
        .set("path.files.read_file#0", "files/reports/2026/q3")
        .with("decision", "approve");
    let other = ada.open(&asked).await.page;
    assert!(
        !other.contains("You may grant"),
        "another approver has no such limits: {other}"
    );
    assert_eq!(bob.submit(&form).await.status, 303);
    let granted = world.poll(&asked).await.json();
    assert_eq!(granted["expires_in"], 300);
    assert_eq!(
        granted["authorization_details"][0]["tools"],
        json!([{
            "name": "files.read_file",
            "access": "read",
            "resources": ["files/reports/2026/q3", "files/notes"],
        }])
    );
}

#[tokio::test]
async fn ceiling_counts_as_it_is_when_the_decision_comes_in() {
    let (world, mut ada) = World::with_approver().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let asked = world.asked().await;
    let form = bob.open(&asked).await.with("decision", "approve");
    world.limit("bob", &json!({"tools": ["mail.*"]})).await;
    refused(&bob.submit(&form).await, &["the tool `files.read_file`"]);
    // Somebody who may decides instead.
    ada.approve(&asked).await;
    assert_eq!(world.poll(&asked).await.status, 200);
}

#[tokio::test]
async fn denying_needs_no_ceiling() {
    let (world, _ada, mut bob) = under(&json!({"tools": []})).await;
    let asked = world.asked().await;
    let form = bob.open(&asked).await.with("decision", "deny");
    assert_eq!(bob.submit(&form).await.status, 303);
    assert_eq!(world.poll(&asked).await.oauth().1, "access_denied");
}

#[tokio::test]
async fn admin_sets_a_ceiling_by_hand_and_takes_it_back() {
    let (world, mut ada) = World::with_approver().await;
    world.approver("bob", &["default"]).await;
    let fields = [
        ("tools", "files.*\r\n"),
        ("access", "read"),
        ("resources", "files/reports\r\nfiles/notes"),
        ("longest", "1h 30m"),
    ];
    assert_eq!(ada.send("/accounts/bob/ceiling", &fields).await.status, 303);
    let operator = world.bearer("operator.token");
    let shown = world.get_as("/v1/accounts/bob", &operator).await.json();
    let expected = json!({
        "tools": ["files.*"],
        "access": ["read"],
        "resources": ["files/reports", "files/notes"],
        "longest_session": 5400,
    });
    assert_eq!(shown["ceiling"], expected);
    let page = ada.get("/accounts/bob").await.body;
    assert!(page.contains("for 1h 30m at most"), "{page}");

    let nothing = [("tools", ""), ("resources", ""), ("longest", "")];
    assert_eq!(
        ada.send("/accounts/bob/ceiling", &nothing).await.status,
        303
    );
    let shown = world.get_as("/v1/accounts/bob", &operator).await.json();
    assert_eq!(shown["ceiling"], json!({}));
    let events: Vec<Value> = world
        .record()
        .into_iter()
        .filter(|(event, _)| event == "account_ceiling_set")
        .map(|(_, fields)| fields)
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["before"], expected);
    assert_eq!(events[1]["by"], "ada");
}

#[tokio::test]
async fn ceiling_that_allows_nothing_is_shown_so_and_stays_so_when_its_form_is_saved() {
    let nothing = json!({"tools": [], "access": [], "resources": []});
    let (world, mut ada, _bob) = under(&nothing).await;
    let page = ada.get("/accounts/bob").await.body;
    assert!(page.contains("value=\"none\" checked"), "{page}");
    assert_eq!(page.matches(">(none)").count(), 4, "{page}");
    let fields = [
        ("tools", "(none)\n"),
        ("access", "none"),
        ("resources", "(none)\n"),
        ("longest", "1h"),
    ];
    assert_eq!(ada.send("/accounts/bob/ceiling", &fields).await.status, 303);
    let operator = world.bearer("operator.token");
    let shown = world.get_as("/v1/accounts/bob", &operator).await.json();
    let mut expected = nothing;
    expected["longest_session"] = json!(3_600);
    assert_eq!(shown["ceiling"], expected);
    let mixed = [
        ("tools", "(none)\nfiles.*"),
        ("resources", ""),
        ("longest", ""),
    ];
    let refused = ada.send("/accounts/bob/ceiling", &mixed).await;
    assert_eq!(refused.verdict(), (422, "invalid_ceiling"));
}

#[tokio::test]
async fn ceiling_that_cannot_be_read_is_refused_and_changes_nothing() {
    let (world, mut ada, _bob) = under(&json!({"tools": ["files.*"]})).await;
    for (field, value, verdict) in [
        ("tools", "*", (422, "invalid_ceiling")),
        ("access", "all", (422, "invalid_ceiling")),
        ("resources", "files/../etc", (422, "invalid_ceiling")),
        ("longest", "soon", (422, "invalid_duration")),
        ("colour", "red", (400, "malformed_form")),
    ] {
        let mut fields = vec![("tools", ""), ("resources", ""), ("longest", "")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let reply = ada.send("/accounts/bob/ceiling", &fields).await;
        assert_eq!(reply.verdict(), verdict, "{field}");
    }
    for bad in [
        r#"{"tools":["*"]}"#,
        r#"{"tool":["a"]}"#,
        r#"{"longest_session":"1h"}"#,
        "[]",
    ] {
        let reply = world.operate("/v1/accounts/bob/ceiling", bad).await;
        assert_eq!(reply.verdict(), (400, "malformed_json"), "{bad}");
    }
    let operator = world.bearer("operator.token");
    let shown = world.get_as("/v1/accounts/bob", &operator).await.json();
    assert_eq!(shown["ceiling"], json!({"tools": ["files.*"]}));
    assert_eq!(world.ask(&details()).await.status, 200);
}
