//! Operator policies in the decision: they take away and never give, on every way to a permit.

use std::sync::Arc;

use bailiwick_datalog::{
    Call, LaterBlock, OperatorPolicy, Request, Timestamp,
    operator::{MAX_STEPS, Steps},
};
use bailiwick_verifier::{Denied, Evaluation, UnverifiedToken, Verifier};
use biscuit_auth::Biscuit;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::{
    policies,
    support::{
        AUDIENCE, NOW, append, append_text, arguments, at, authority, call, call_on, code, mint,
        verifier,
    },
};

fn policy(source: &str) -> Arc<OperatorPolicy> {
    match OperatorPolicy::load(source) {
        Ok(policy) => Arc::new(policy),
        Err(errors) => panic!("{source}\n{errors}"),
    }
}

fn unverified(token: &Biscuit) -> UnverifiedToken {
    UnverifiedToken::from_bytes(token.to_vec().unwrap()).unwrap()
}

/// The verdict on a call by every way to a permit, which all agree.
fn verdict_of(verifier: &Verifier, token: &Biscuit, call: &Call) -> Result<(), Denied> {
    let presented = unverified(token);
    let header = format!("Bearer {}", presented.expose_text());
    let shared = Arc::new(call.clone());
    let decisions = [
        verifier.authorize(&presented, call, at(NOW)),
        verifier.authorize_header(header.as_bytes(), &shared, None, at(NOW)),
        verifier.authorize_header(header.as_bytes(), &shared, None, at(NOW)),
    ];
    let mut decisions: Vec<Result<(), Denied>> = decisions
        .into_iter()
        .map(|decision| decision.map(|_| ()))
        .collect();
    if let Ok(verified) = verifier.verify(&presented, at(NOW)) {
        let again = verifier.authorize_verified(&verified, call, None, at(NOW));
        decisions.push(again.map(|_| ()));
    }
    for decision in &decisions {
        assert_eq!(decision, &decisions[0]);
    }
    decisions.swap_remove(0)
}

fn verdict(source: &str) -> Result<(), Denied> {
    let token = mint(&authority());
    let decide = |evaluation| {
        let verifier = verifier().with_evaluation(evaluation);
        let verifier = verifier.with_policy(policy(source));
        verdict_of(&verifier, &token, &call())
    };
    let compiled = decide(Evaluation::Compiled);
    assert_eq!(compiled, decide(Evaluation::Reference));
    compiled
}

#[test]
fn a_permit_is_refused_where_one_thing_differs_from_what_the_policy_leaves_allowed() {
    for (allowing, refusing) in [
        (
            "deny if agent(\"scribbler\");",
            "deny if agent(\"scribe\");",
        ),
        (
            "check if application(\"default\");",
            "check if application(\"other\");",
        ),
        (
            "allow if resource($r), $r.starts_with([\"files\", \"reports\"]);",
            "allow if resource($r), $r.starts_with([\"files\", \"private\"]);",
        ),
        (
            "deny if time($t), $t < 2026-01-31T12:01:00Z;",
            "deny if time($t), $t <= 2026-01-31T12:01:00Z;",
        ),
        (
            "deny if args($a), $a.get(\"path\") == \"reports/q4.md\";",
            "deny if args($a), $a.get(\"path\") == \"reports/q3.md\";",
        ),
        (
            "reject if depth($d), $d > 0;",
            "reject if depth($d), $d >= 0, $d < 2;",
        ),
        (
            "check if args($a), $a.get(\"path\").length() > 3;",
            "check if args($a), $a.get(\"path\") > 3 || true;",
        ),
    ] {
        assert_eq!(verdict(allowing), Ok(()), "{allowing}");
        let refused = verdict(refusing).unwrap_err();
        assert_eq!(refused.code(), "policy_denied", "{refusing}");
    }
}

#[test]
fn the_refusal_names_the_line_and_the_text_of_the_policy() {
    let source = "// office hours\n\ndeny if\n  agent(\"scribe\"),\n  tool(\"files.read_file\");";
    assert_eq!(
        verdict(source).unwrap_err().explanation(),
        "refused by policy: line 3: `deny if agent(\"scribe\"), tool(\"files.read_file\")`"
    );
    assert_eq!(
        verdict("allow if agent(\"other\");")
            .unwrap_err()
            .explanation(),
        "refused by policy: no `allow if` of the policy matches"
    );
}

#[test]
fn another_policy_is_in_force_for_the_next_call_of_a_token_that_is_known() {
    let verifier = verifier();
    let (token, call) = (mint(&authority()), call());
    let code = |verifier: &Verifier| {
        let decision = verdict_of(verifier, &token, &call);
        decision.map_or_else(|denied| denied.code(), |()| "allow")
    };
    assert_eq!(code(&verifier), "allow");
    verifier.replace_policy(Some(policy("deny if agent(\"scribe\");")));
    assert_eq!(code(&verifier), "policy_denied");
    verifier.replace_policy(Some(policy("deny if agent(\"other\");")));
    assert_eq!(code(&verifier), "allow");
    verifier.replace_policy(Some(policy("deny if agent(\"scribe\");")));
    assert!(verifier.operator_policy().is_some());
    verifier.replace_policy(None);
    assert_eq!(code(&verifier), "allow");
    assert!(verifier.operator_policy().is_none());
}

#[test]
fn every_resource_of_a_call_is_asked_about() {
    let source = "deny if resource([\"files\", \"reports\", \"secret.md\"]);";
    let verifier = verifier().with_policy(policy(source));
    let token = mint(&authority());
    let on = |resources: &[&str]| verdict_of(&verifier, &token, &call_on(resources, &arguments()));
    assert_eq!(on(&["files/reports/a.md", "files/reports/b.md"]), Ok(()));
    for resources in [
        ["files/reports/secret.md", "files/reports/b.md"],
        ["files/reports/a.md", "files/reports/secret.md"],
    ] {
        assert_eq!(on(&resources).unwrap_err().code(), "policy_denied");
    }
}

#[test]
fn the_resources_of_a_call_share_one_budget() {
    let policy = policy("deny if args($a), $a.get(\"list\").any($x -> $x == 1);");
    let (token, authority) = (mint(&authority()), authority());
    let list = vec![0; usize::try_from(MAX_STEPS / 40).unwrap()];
    let arguments = json!({"path": "q3.md", "list": list});
    let call = |count: usize| {
        let resources = vec!["files/reports/q3.md"; count];
        call_on(&resources, arguments.as_object().unwrap())
    };
    let one = call(1);
    let mut steps = Steps::default();
    let request = Request {
        time: Timestamp::from_unix(NOW),
        audience: &authority.audience,
        depth: 0,
        call: &one,
        resource: &one.resources[0],
    };
    policy
        .decide_within(&authority, &request, &mut steps)
        .unwrap();
    let most = usize::try_from(MAX_STEPS / steps.taken()).unwrap();
    assert!((2..60).contains(&most), "{most}");
    let verifier = verifier().with_policy(policy);
    assert_eq!(verdict_of(&verifier, &token, &call(most)), Ok(()));
    let refused = verdict_of(&verifier, &token, &call(most + 1)).unwrap_err();
    assert_eq!(refused.code(), "budget_exhausted");
    assert_eq!(
        refused.explanation(),
        format!("the budget is used up: the policy took more than {MAX_STEPS} steps")
    );
}

#[test]
fn a_token_is_verified_without_asking_the_policy() {
    let verifier = verifier().with_policy(policy("deny if true;"));
    let token = unverified(&mint(&authority()));
    assert!(verifier.verify(&token, at(NOW)).is_ok());
    assert_eq!(
        code(&verifier.authorize(&token, &call(), at(NOW))),
        "policy_denied"
    );
}

#[test]
fn how_far_a_token_was_passed_on_is_known_to_the_policy() {
    let verifier = verifier().with_policy(policy("deny if depth($d), $d > 1;"));
    let one = append(&mint(&authority()), &LaterBlock::default());
    let two = append(&one, &LaterBlock::default());
    assert_eq!(verdict_of(&verifier, &one, &call()), Ok(()));
    let refused = verdict_of(&verifier, &two, &call()).unwrap_err();
    assert_eq!(refused.code(), "policy_denied");
}

/// Tokens and calls of which some are allowed and others refused for every kind of reason.
fn cases() -> Vec<(Biscuit, Call)> {
    let token = mint(&authority());
    let mut elsewhere = authority();
    elsewhere.audience = "http://other.example/mcp".parse().unwrap();
    let tokens = [
        token.clone(),
        mint(&elsewhere),
        append_text(&token, "check if tool(\"files.write_file\");"),
        append_text(&token, "check if time($t), $t < 2020-01-01T00:00:00Z;"),
        append_text(&token, "check if depth($d), $d <= 0;"),
        append_text(&token, "tool(\"files.write_file\");"),
        append_text(
            &token,
            "check if resource($r), $r.starts_with([\"files\"]);",
        ),
    ];
    let calls = [
        call(),
        call_on(&["files/private/a"], &arguments()),
        call_on(&["files/reports/a", "files/reports/b"], &arguments()),
    ];
    let pairs = tokens
        .iter()
        .flat_map(|token| calls.iter().map(|call| (token.clone(), call.clone())));
    pairs.collect()
}

#[test]
fn a_policy_never_allows_what_the_token_does_not() {
    assert_eq!(authority().audience.as_str(), AUDIENCE);
    let mut rng = StdRng::seed_from_u64(3);
    let mut policies = vec![policy("allow if true;")];
    while policies.len() < 40 {
        let generated = OperatorPolicy::load(&policies::policy(&mut rng));
        policies.extend(generated.ok().map(Arc::new));
    }
    let cases = cases();
    let (mut allowed, mut refused) = (0, 0);
    let plain = verifier();
    let with_policy = verifier();
    for (token, call) in &cases {
        let without = verdict_of(&plain, token, call);
        for policy in &policies {
            with_policy.replace_policy(Some(Arc::clone(policy)));
            let with = verdict_of(&with_policy, token, call);
            match (&without, &with) {
                (Ok(()), Ok(())) => allowed += 1,
                (Ok(()), Err(denied)) => {
                    assert_eq!(denied.code(), "policy_denied");
                    refused += 1;
                }
                // Refused for its own reason: the policy is not even asked.
                (Err(own), _) => assert_eq!(with.as_ref(), Err(own)),
            }
        }
    }
    assert!(allowed > 10 && refused > 10, "{allowed} {refused}");
}
