//! The reference for those who write policies: its examples are loaded from the document itself
//! and decide what it says, and its tables are those of the code.

use bailiwick_datalog::{
    Access, OperatorPolicy,
    operator::{PROBLEM_CODES, WARNING_CODES},
};
use serde_json::json;

use crate::scene::{NOON, Scene, call, load, path};

const DOCUMENT: &str = include_str!("../../OPERATOR_POLICY.md");

/// The examples, in their order.
fn examples() -> Vec<OperatorPolicy> {
    let blocks = DOCUMENT.split("```datalog\n").skip(1);
    let policies: Vec<_> = blocks
        .map(|block| load(block.split("```").next().unwrap()))
        .collect();
    for policy in &policies {
        assert_eq!(policy.warnings(), []);
    }
    assert_eq!(policies.len(), 3);
    policies
}

fn allows(policy: &OperatorPolicy, scene: &Scene) -> bool {
    scene.decide(policy).is_ok()
}

#[test]
fn office_hours_keep_changes_out_of_nights_and_destruction_out_of_weekends() {
    let policy = &examples()[0];
    let at = |access, time| {
        let mut scene = Scene::default();
        scene.call.access = access;
        scene.time = time;
        allows(policy, &scene)
    };
    let (eight, hour) = (NOON - 4 * 3_600, 3_600);
    let monday = 2 * 24 * hour;
    assert!(at(Access::Write, eight));
    assert!(!at(Access::Write, eight - 1));
    assert!(at(Access::Write, eight + 10 * hour - 1));
    assert!(!at(Access::Write, eight + 10 * hour));
    assert!(at(Access::Read, eight - hour));
    assert!(!at(Access::Destructive, eight));
    assert!(at(Access::Destructive, eight + monday));
}

#[test]
fn classified_paths_are_open_to_cleared_applications_only() {
    let policy = &examples()[1];
    let on = |application: &str, resource: &str, depth| {
        let mut scene = Scene::default();
        scene.authority.application = application.parse().unwrap();
        scene.call.resources = vec![path(resource)];
        scene.depth = depth;
        allows(policy, &scene)
    };
    assert!(on("anybody", "files/reports/a", 2));
    assert!(!on("anybody", "files/hr/a", 0));
    assert!(on("hr-desk", "files/hr/a", 1));
    assert!(!on("hr-desk", "files/board/a", 0));
    assert!(on("board-office", "files/board/a", 0));
    assert!(!on("board-office", "files/board/a", 1));
}

#[test]
fn a_closed_list_with_limits_allows_what_it_names() {
    let policy = &examples()[2];
    let pay = |application: &str, amount: serde_json::Value, url: &str| {
        let mut scene = Scene {
            call: call(json!({"amount": amount})).with_url_argument(
                "callback",
                bailiwick_datalog::UrlArgument::parse(url).unwrap(),
            ),
            ..Scene::default()
        };
        scene.call.tool = "payments.transfer".parse().unwrap();
        scene.authority.application = application.parse().unwrap();
        scene
    };
    let good = "https://pay.example.com/done";
    assert!(allows(policy, &pay("billing", json!(1_000), good)));
    assert!(!allows(policy, &pay("billing", json!(1_001), good)));
    assert!(!allows(policy, &pay("reports", json!(1_000), good)));
    assert!(!allows(
        policy,
        &pay("billing", json!(1_000), "https://evil-example.com/")
    ));
    assert!(
        pay("billing", json!(999.5), good)
            .decide_natively(policy)
            .is_err()
    );
    let mut without = pay("billing", json!(1), good);
    without.call.arguments = call(json!({})).arguments;
    assert!(!allows(policy, &without));

    assert!(allows(policy, &Scene::default()));
    let mut other = Scene::default();
    other.call.tool = "files.write_file".parse().unwrap();
    assert!(!allows(policy, &other));
    let mut trial = Scene::default();
    trial.authority.agent = "trial-12".parse().unwrap();
    assert!(allows(policy, &trial));
    trial.call.access = Access::Write;
    assert!(!allows(policy, &trial));
}

#[test]
fn the_tables_of_codes_are_those_of_the_code() {
    let section = |heading: &str| {
        let rows = DOCUMENT.split(heading).nth(1).unwrap().lines().skip(2);
        let rows = rows.take_while(|row| row.starts_with('|'));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    let written = |codes: &[(&str, &str)]| {
        let rows = codes
            .iter()
            .map(|(code, text)| format!("| `{code}` | {text} |"));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(section("| code | problem |"), written(&PROBLEM_CODES));
    assert_eq!(section("| code | warning |"), written(&WARNING_CODES));
}

#[test]
fn every_fact_of_the_document_can_be_read() {
    let rows = DOCUMENT
        .split("| fact | type | what it is |")
        .nth(1)
        .unwrap();
    let rows = rows.lines().skip(2).take_while(|row| row.starts_with('|'));
    let mut count = 0;
    for cell in rows.map(|row| row.split('|').nth(1).unwrap()) {
        for fact in cell.split('`').skip(1).step_by(2) {
            load(&format!("deny if {fact}, depth(5);"));
            count += 1;
        }
    }
    assert_eq!(count, 25);
}
