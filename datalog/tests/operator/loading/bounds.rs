//! Each bound of a policy: what just fits, and one more.

use super::*;

#[test]
fn sixteen_variables_fit_a_body_and_seventeen_do_not() {
    let body = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("$v{n}")).collect();
        let ones = vec!["1"; count].join(", ");
        format!("f({ones}); deny if f({});", names.join(", "))
    };
    load(&body(16));
    let found = problems(&body(17));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_variables");
    assert_eq!(body(17).get(found[0].span.clone()), Some("$v16"));
}

#[test]
fn sixty_four_regular_expressions_fit_and_one_more_does_not() {
    let policy = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|n| format!("deny if task($t), $t.matches(\"^{n}$\");"))
            .collect();
        rules.join("\n")
    };
    load(&policy(64));
    let found = problems(&policy(65));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_rules");
    assert_eq!(policy(65).get(found[0].span.clone()), Some("\"^64$\""));
}

#[test]
fn sixty_four_conditions_fit_a_body_and_one_more_does_not() {
    let body = |count: usize| {
        let conditions: Vec<String> = (0..count).map(|n| format!("$d != {n}")).collect();
        format!("deny if depth($d), {};", conditions.join(", "))
    };
    load(&body(64));
    let found = problems(&body(65));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_rules");
    assert_eq!(body(65).get(found[0].span.clone()), Some("$d != 64"));
}

#[test]
fn no_more_than_one_hundred_problems_are_reported() {
    let unknown = |count: usize| "deny if x(1);".repeat(count);
    assert_eq!(problems(&unknown(MAX_PROBLEMS - 1)).len(), MAX_PROBLEMS - 1);
    assert_eq!(problems(&unknown(MAX_PROBLEMS)).len(), MAX_PROBLEMS);
    assert_eq!(problems(&unknown(MAX_PROBLEMS + 1)).len(), MAX_PROBLEMS);
}

#[test]
fn as_many_combinations_as_two_grants_have_fit_and_more_do_not() {
    check(&[(
        "deny if grant($i, $t, \"read\", $p), grant($j, $t, \"write\", $p);",
        "deny if grant($i, $t, \"read\", $p), grant($j, $t, \"write\", $p), path_arg($n, $p);",
        "join_too_wide",
        "grant($i, $t, \"read\", $p), grant($j, $t, \"write\", $p), path_arg($n, $p)",
        None,
    )]);
    let facts = |count: usize| {
        let facts: Vec<String> = (0..count).map(|n| format!("f({n});")).collect();
        format!("{} deny if f($x), f($y), $x + $y > 5;", facts.join(""))
    };
    load(&facts(256));
    let found = problems(&facts(257));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "join_too_wide");
    assert_eq!(
        facts(257).get(found[0].span.clone()),
        Some("f($x), f($y), $x + $y > 5")
    );
}

#[test]
fn sixteen_facts_fit_a_body_and_seventeen_do_not() {
    let body = |count: usize| {
        let facts: Vec<String> = (0..count)
            .map(|n| format!("path_arg(\"{n}\", [\"a\"])"))
            .collect();
        facts.join(", ")
    };
    // Facts that may exist more than once multiply; one that exists once does not.
    let unique = |count: usize| vec!["depth($d)"; count].join(", ");
    load(&format!("deny if {}, $d > 1;", unique(16)));
    let found = problems(&format!("deny if {}, $d > 1;", unique(17)));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["join_too_wide"]
    );
    assert_eq!(
        problems(&format!("deny if {};", body(3)))[0].code,
        "join_too_wide"
    );
}

#[test]
fn sixteen_brackets_fit_and_seventeen_do_not() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!(
            "deny if depth($d), {}$d > 1{};",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    load(&nested("(", ")", 16));
    let found = problems(&nested("(", ")", 17));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["too_deep"]
    );
    load(&nested("!(", ")", 8));
    let beside = vec!["($d > 1)"; 20].join(" || ");
    load(&format!("deny if depth($d), {beside};"));
    assert_eq!(problems(&nested("!(", ")", 9))[0].code, "too_deep");
    let found = problems(&nested("((((((((((((((((([[[[{{{{", "", 1_000));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["too_deep"]
    );
}

#[test]
fn one_hundred_and_twenty_eight_operations_fit_an_expression_and_one_more_does_not() {
    // One comparison and so many additions.
    let sum = |count: usize| format!("deny if depth($d), $d{} > 500;", " + 1".repeat(count - 1));
    load(&sum(128));
    let found = problems(&sum(129));
    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["too_deep"]
    );
}

#[test]
fn the_longest_policy_is_loaded_and_one_byte_more_is_refused() {
    let rule = "deny if depth(1);";
    let padded = |length: usize| format!("{rule}{}", "\n".repeat(length - rule.len()));
    load(&padded(MAX_POLICY_BYTES));
    let found = problems(&padded(MAX_POLICY_BYTES + 1));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].span.clone()),
        ("too_large", 0..MAX_POLICY_BYTES + 1)
    );
}

#[test]
fn as_many_rules_as_fit_are_loaded_and_one_more_is_refused() {
    let rules = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|n| format!("deny if agent(\"{n}\");"))
            .collect();
        rules.join("\n")
    };
    load(&rules(MAX_RULES));
    let one_more = rules(MAX_RULES + 1);
    let found = problems(&one_more);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too_many_rules");
    assert_eq!(one_more.get(found[0].span.clone()), Some("agent(\"256\")"));
    let alternatives = rules(MAX_RULES + 1).replace(";\ndeny if", " or");
    assert_eq!(problems(&alternatives)[0].code, "too_many_rules");
}
