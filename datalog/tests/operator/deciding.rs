//! What a policy decides: each kind of rule, each fact, each operator.

use bailiwick_datalog::{
    Access,
    operator::{PolicyRefused, RuleKind, RuleRef, RuleResult},
};
use serde_json::json;

use crate::scene::{NOON, Scene, load, path};

fn rule(line: usize, text: &str) -> RuleRef {
    RuleRef {
        line,
        text: text.into(),
    }
}

#[test]
fn a_deny_that_matches_refuses_and_names_its_line_and_text() {
    let source = "// nights\ndeny if tool(\"files.read_file\");\n";
    assert_eq!(
        Scene::default().decide(&load(source)),
        Err(PolicyRefused::DeniedByRule(rule(
            2,
            "deny if tool(\"files.read_file\")"
        )))
    );
    assert!(Scene::default().allows("deny if tool(\"files.write_file\");"));
}

#[test]
fn without_an_allow_the_rest_is_left_to_the_token_and_with_one_it_is_refused() {
    let scene = Scene::default();
    assert!(scene.allows("deny if access(\"write\");"));
    assert_eq!(
        scene.decide(&load("allow if access(\"write\");")),
        Err(PolicyRefused::NothingAllowed)
    );
    assert!(scene.allows("allow if access(\"read\");"));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let scene = Scene::default();
    assert!(scene.allows("allow if access(\"read\"); deny if agent(\"agent-7\");"));
    assert!(!scene.allows("deny if agent(\"agent-7\"); allow if access(\"read\");"));
}

#[test]
fn every_check_must_hold_even_where_a_rule_allows() {
    let scene = Scene::default();
    let allow = "allow if access(\"read\");";
    assert!(scene.allows(&format!("check if agent(\"agent-7\"); {allow}")));
    assert_eq!(
        scene.decide(&load(&format!("check if agent(\"agent-8\"); {allow}"))),
        Err(PolicyRefused::CheckFailed(rule(
            1,
            "check if agent(\"agent-8\")"
        )))
    );
}

#[test]
fn check_all_wants_every_fact_and_at_least_one() {
    let scene = Scene::default();
    assert!(scene.allows("check all grant($id, $tool, $access, $path), $path.length() == 2;"));
    assert!(!scene.allows("check all grant($id, $tool, $access, $path), $access == \"read\";"));
    let mut without = Scene::default();
    without.authority.grants.clear();
    assert!(!without.allows("check all grant($id, $tool, $access, $path), $path.length() == 2;"));
}

#[test]
fn reject_refuses_what_matches() {
    let scene = Scene::default();
    assert!(!scene.allows("reject if agent(\"agent-7\");"));
    assert!(scene.allows("reject if agent(\"agent-8\");"));
}

#[test]
fn alternatives_of_other_rules_need_one_match() {
    let scene = Scene::default();
    assert!(!scene.allows("deny if agent(\"agent-8\") or access(\"read\");"));
    assert!(scene.allows("deny if agent(\"agent-8\") or access(\"write\");"));
    assert!(scene.allows("check if agent(\"agent-8\") or access(\"read\");"));
}

#[test]
fn every_fact_is_there_with_its_value() {
    let scene = Scene::default();
    for fact in [
        "bailiwick(1)",
        "session(\"s-1\")",
        "approval(\"a-1\")",
        "application(\"reports\")",
        "principal(\"ada\")",
        "agent(\"agent-7\")",
        "task(\"tidy the reports\")",
        "request_digest(hex:0707070707070707070707070707070707070707070707070707070707070707)",
        "audience(\"http://127.0.0.1:8401/mcp\")",
        "issued_at(2026-01-31T11:50:00Z)",
        "expires_at(2026-01-31T12:10:00Z)",
        "max_depth(3)",
        "grant(\"g1\", \"files.read_file\", \"read\", [\"files\", \"hr\"])",
        "grant($id, \"files.read_file\", \"write\", [\"files\", \"reports\"])",
        "time(2026-01-31T12:00:00Z)",
        "time_of_day(720)",
        "weekday(\"saturday\")",
        "request_audience(\"http://127.0.0.1:8401/mcp\")",
        "tool(\"files.read_file\")",
        "access(\"read\")",
        "resource([\"files\", \"hr\", \"q3.md\"])",
        "args({\"path\": \"q3.md\", \"limit\": 10, \"tags\": [\"a\", \"b\"], \"deep\": {\"x\": 1}})",
        "depth(1)",
        "path_arg(\"path\", [\"files\", \"hr\", \"q3.md\"])",
        "url_arg(\"url\", {\"scheme\": \"https\", \"host\": \"api.example.com\", \"port\": 443, \
         \"path\": \"/v1\"})",
    ] {
        assert!(scene.allows(&format!("check if {fact};")), "{fact}");
        assert!(!scene.allows(&format!("deny if {fact};")), "{fact}");
    }
    assert!(!scene.allows("check if holder($key), $key.length() == 43;"));
}

#[test]
fn facts_of_one_rule_belong_together() {
    let scene = Scene::default();
    let source = "check if access($a), resource($r), grant($id, $t, $a, $p), $r.starts_with($p);";
    assert!(scene.allows(source));
    let mut write = Scene::default();
    write.call.access = Access::Write;
    assert!(!write.allows(source));
}

#[test]
fn classified_resources_are_closed_to_other_applications() {
    let source = r#"
        classification(["files", "hr"], "confidential");
        classification(["files", "public"], "open");
        deny if
            classification($path, "confidential"),
            resource($resource), $resource.starts_with($path),
            application($app), $app != "hr-desk";
    "#;
    let scene = Scene::default();
    assert!(!scene.allows(source));
    let mut hr = Scene::default();
    hr.authority.application = "hr-desk".parse().unwrap();
    assert!(hr.allows(source));
    let mut open = Scene::default();
    open.call.resources = vec![path("files/public/a")];
    assert!(open.allows(source));
}

#[test]
fn derived_facts_are_there_whatever_the_order_of_the_rules() {
    let source = r#"
        deny if forbidden($r), resource($r);
        forbidden($r) <- secret($p), resource($r), $r.starts_with($p);
        secret($p) <- classification($p, "confidential");
        secret($p) <- classification($p, "secret");
        classification(["files", "hr"], "confidential");
        classification(["files", "keys"], "secret");
    "#;
    assert!(!Scene::default().allows(source));
    let mut open = Scene::default();
    open.call.resources = vec![path("files/reports/a")];
    assert!(open.allows(source));
}

#[test]
fn an_error_refuses_even_where_another_combination_matches() {
    let policy = load("v(1); v(\"a\"); check if v($x), $x < 2;");
    for _ in 0..20 {
        assert!(matches!(
            Scene::default().decide_natively(&policy),
            Err(PolicyRefused::EvaluationFailed { rule: Some(rule), .. }) if rule.line == 1
        ));
    }
    assert!(Scene::default().allows("v(1); v(3); check if v($x), $x < 2;"));
}

#[test]
fn looking_at_an_argument_of_which_nothing_can_be_said_refuses() {
    let policy = load("deny if args($a), $a.get(\"amount\") == 1000;");
    let with = |amount| Scene::with_arguments(json!({"amount": amount}));
    assert!(with(json!(999)).decide(&policy).is_ok());
    assert!(with(json!(1000)).decide(&policy).is_err());
    for unclear in [json!(1000.0), json!(null), json!(u64::MAX), json!([0.5])] {
        assert!(matches!(
            with(unclear).decide_natively(&policy),
            Err(PolicyRefused::EvaluationFailed { .. })
        ));
    }
    let other = Scene::with_arguments(json!({"other": 0.5}));
    assert!(other.decide(&policy).is_ok());
}

#[test]
fn as_many_steps_as_it_takes_are_enough_and_one_fewer_is_not() {
    let scene = Scene::default();
    let policy = load(
        "deny if grant($id, $t, $a, $p), grant($other, $t, $a, $q), $id != $other; \
         allow if time_of_day($m), $m >= 480, $m < 1080;",
    );
    let taken = scene.decide_within(&policy, 1_000).unwrap();
    assert_eq!(scene.decide_within(&policy, taken), Ok(taken));
    assert_eq!(
        scene.decide_within(&policy, taken - 1),
        Err(PolicyRefused::BudgetExhausted { limit: taken - 1 })
    );
}

/// Steps that a policy takes on the usual call.
fn taken(scene: &Scene, source: &str) -> u64 {
    scene.decide_within(&load(source), 100_000).unwrap()
}

#[test]
fn a_step_is_a_fact_an_operation_an_item_or_sixty_four_bytes() {
    let scene = Scene::default();
    let facts: String = (10..110).map(|n| format!("f({n}); ")).collect();
    assert_eq!(
        taken(&scene, &format!("{facts} deny if depth($d), f($d);")),
        101
    );
    assert_eq!(taken(&scene, "deny if depth($d), $d > 5, $d > 6;"), 2);
    assert_eq!(taken(&scene, "check if depth($d), $d > 0, $d < 6;"), 3);
    let tags = "check if args($a), $a.get(\"tags\").all($x -> $x != \"c\");";
    assert_eq!(taken(&scene, tags), 1 + 2 + 2 * 2);
    let long = |length: usize| {
        let mut scene = Scene::default();
        scene.authority.task = "a".repeat(length);
        scene
    };
    let search = "deny if task($t), $t.contains(\"b\");";
    assert_eq!(taken(&long(63), search), 2);
    assert_eq!(taken(&long(64), search), 3);
    assert_eq!(taken(&long(4_096), search), 66);
    let expression = "deny if task($t), $t.matches(\"^b+$\");";
    assert_eq!(taken(&long(1_000), expression), 1_002);
    let same = "deny if task($t), $t == $t + \"b\";";
    assert_eq!(taken(&long(640), same), 3 + 10 + 10);
}

#[test]
fn without_conditions_the_first_combination_is_enough() {
    assert_eq!(
        taken(&Scene::default(), "check if grant($i, $t, $a, $p);"),
        1
    );
    // Facts that exist once come first, wherever they stand.
    assert_eq!(
        taken(
            &Scene::default(),
            "deny if grant($i, $t, $a, $p), access(\"write\");"
        ),
        1
    );
    let conditional = "check if grant($i, $t, $a, $p), $p.length() > 0;";
    assert_eq!(taken(&Scene::default(), conditional), 2 + 2 * 2);
}

#[test]
fn a_fact_that_is_derived_twice_is_there_once() {
    let mut scene = Scene::default();
    let once = "one($t) <- grant($i, $t, $a, $p); check all one($t), $t.length() > 1;";
    let two = taken(&scene, once);
    let grant = scene.authority.grants[0].clone();
    scene.authority.grants.push(grant);
    // One more fact to try, and one more row to compare with.
    assert_eq!(taken(&scene, once), two + 2);
}

#[test]
fn no_fallback_saves_a_spent_budget() {
    let policy = load("check if args($a), ($a.get(\"tags\").all($x -> $x != \"c\")).try_or(true);");
    let scene = Scene::default();
    let taken = scene.decide_within(&policy, 1_000).unwrap();
    assert!(taken > 5);
    for steps in 0..taken {
        assert_eq!(
            scene.decide_within(&policy, steps),
            Err(PolicyRefused::BudgetExhausted { limit: steps })
        );
    }
}

#[test]
fn times_and_days_are_those_of_utc() {
    let office = "allow if time_of_day($m), $m >= 480, $m < 1080, weekday($d), \
                  !{\"saturday\", \"sunday\"}.contains($d);";
    let at = |time| Scene {
        time,
        ..Scene::default()
    };
    assert!(!at(NOON).allows(office));
    assert!(at(NOON + 2 * 86_400).allows(office));
    assert!(!at(NOON + 2 * 86_400 + 6 * 3_600).allows(office));
    assert!(at(NOON + 2 * 86_400 + 6 * 3_600 - 1).allows(office));
}

#[test]
fn operators_have_the_engines_meaning() {
    let scene = Scene::default();
    for condition in [
        "1 + 2 * 3 == 7, 7 - 2 - 1 == 4, 7 / 2 == 3, -7 / 2 == -3",
        "6 & 3 == 2, 6 | 3 == 7, 6 ^ 3 == 5",
        "\"ab\" + \"c\" == \"abc\", \"abc\".length() == 3, \"ü\".length() == 2",
        "\"abc\".contains(\"b\"), \"abc\".starts_with(\"ab\"), \"abc\".ends_with(\"bc\")",
        "\"abc\".matches(\"^[a-c]+$\"), !\"abcd\".matches(\"^[a-c]+$\")",
        "[1, 2, 3].contains(2), ![1, 2].contains([\"1\"].get(0)), [1, 2].starts_with([1])",
        "![1].starts_with([1, 2]), ![2].ends_with([1, 2]), [1].starts_with([]), [1] != [1, 2]",
        "{\"a\": 1} != {\"a\": 1, \"b\": 2}, {\"a\": 1} != {\"a\": 2}, {\"a\": 1} != {\"b\": 1}",
        "[1, 2].ends_with([2]), ![1, 2].ends_with([1, 1, 2]), [7, 8].get(1) == 8",
        "[7].get(1) == null, [7].get(-1) == null, {\"a\": 1}.get(\"a\") == 1",
        "{\"a\": 1}.get(\"b\") == null, {\"a\": 1}.contains(\"a\"), !{\"a\": 1}.contains(1)",
        "{1, 2}.contains({1}), {1, 2}.union({3}).length() == 3",
        "{1, 2}.intersection({2, 3}) == {2}, {1, 2} == {2, 1}, {1, 2}.contains(1)",
        "[1, 2].all($x -> $x > 0), ![1, 2].all($x -> $x > 1), [1, 2].any($x -> $x > 1)",
        "{\"a\", \"b\"}.any($x -> $x == \"a\"), {\"a\": 1}.all($kv -> $kv.get(1) == 1)",
        "1 == 1, 1 != 2, 1 != [\"1\"].get(0), !(1 == [\"1\"].get(0)), null == null, 1 !== 2, 1 === 1",
        "1.type() == \"integer\", \"a\".type() == \"string\", [1].type() == \"array\"",
        "true || 1 / 0 == 1, !(false && 1 / 0 == 1), (1 / 0).try_or(5) == 5",
        "2026-01-31T12:00:00Z < 2026-01-31T12:00:01Z",
        "2026-01-31T13:00:00+01:00 == 2026-01-31T12:00:00Z",
        "hex:00ff == hex:00FF, hex:00ff.length() == 2",
        "\"a\\\"b\\\\c\\nd\".length() == 7",
        "9223372036854775807 > -9223372036854775808",
    ] {
        let source = format!("check if depth($d), {condition};");
        assert!(scene.allows(&source), "{condition}");
    }
}

#[test]
fn errors_of_every_kind_refuse() {
    let scene = Scene::default();
    for condition in [
        "$d + 9223372036854775807 > 0",
        "$d - 2 - 9223372036854775807 - 1 < 0",
        "9223372036854775807 * ($d + 1) > 0",
        "1 / ($d - 1) == 0",
        "[\"a\"].get(0) < $d",
        "[\"a\"].get(0) === $d",
        "{1}.contains([null].get($d - 1))",
        "{1}.contains([[1]].get($d - 1))",
        "[5].get($d - 1).all($x -> true)",
        "[[5]].get($d - 1).all($x -> [5].get(0))",
    ] {
        let policy = load(&format!("check if depth($d), {condition};"));
        assert!(
            matches!(
                scene.decide(&policy),
                Err(PolicyRefused::EvaluationFailed { .. })
            ),
            "{condition}"
        );
    }
}

#[test]
fn an_explanation_says_what_every_rule_says_and_which_one_decides() {
    let policy = load(
        "check if agent(\"agent-7\");\n\
         deny if access(\"write\");\n\
         deny if access(\"read\");\n\
         allow if tool(\"files.read_file\");",
    );
    let explanation = Scene::default().ask(|authority, request| policy.explain(authority, request));
    assert!(!explanation.allowed);
    assert_eq!(explanation.decided_by, Some(3));
    assert_eq!(explanation.reason, "line 3: `deny if access(\"read\")`");
    let rules: Vec<_> = explanation
        .rules
        .iter()
        .map(|outcome| {
            (
                outcome.kind,
                outcome.rule.line,
                &outcome.result,
                outcome.decided,
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            (RuleKind::CheckIf, 1, &RuleResult::Held, false),
            (RuleKind::DenyIf, 2, &RuleResult::NotMatched, false),
            (RuleKind::DenyIf, 3, &RuleResult::Matched, true),
            (RuleKind::AllowIf, 4, &RuleResult::Matched, false),
        ]
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["rules"][2]["text"], "deny if access(\"read\")");
    assert_eq!(json["rules"][2]["result"], "matched");
}

#[test]
fn a_policy_is_known_by_its_text() {
    let (one, other) = (load("deny if depth(4);"), load("deny if depth(5);"));
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one, load("deny if depth(4);"));
    assert_eq!(one.rules().count(), 1);
}
