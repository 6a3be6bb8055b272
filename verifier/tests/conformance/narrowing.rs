//! The law of attenuation: a token with one more block never allows what the token without it
//! refuses.

use std::cell::Cell;

use bailiwick_datalog::{
    Access, Authority, Call, Caveat, Grant, LaterBlock, ResourcePath, ToolLimit, ToolName,
};
use bailiwick_verifier::{UnverifiedToken, Verifier};
use biscuit_auth::Biscuit;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    strategy,
    support::{append, append_text, at, authority, mint, verifier},
};

/// Inside the few seconds among which the generated expiries lie.
pub(crate) const TIME: u64 = 1_502;

fn tool() -> impl Strategy<Value = ToolName> {
    prop::sample::select(vec!["a", "ab", "files"]).prop_map(|name| ToolName::parse(name).unwrap())
}

fn grant() -> impl Strategy<Value = Grant> {
    let segment = prop::sample::select(vec!["a", "b", "files"]);
    (
        tool(),
        prop::sample::select(Access::ALL.to_vec()),
        prop::collection::vec(segment, 1..3),
    )
        .prop_map(|(tool, access, path)| Grant {
            id: "g".to_owned(),
            tool,
            access,
            path: ResourcePath::from_segments(path).unwrap(),
        })
}

/// Every tool with every access on everything, so that the later blocks decide.
fn all_grants() -> Vec<Grant> {
    let mut grants = Vec::new();
    for tool in ["a", "ab", "files"] {
        for access in Access::ALL {
            for segment in ["a", "b", "files"] {
                grants.push(crate::support::grant("g", tool, access, segment));
            }
        }
    }
    grants
}

pub(crate) fn session() -> impl Strategy<Value = Authority> {
    let limit =
        (tool(), strategy::argument_caveat()).prop_map(|(tool, caveat)| ToolLimit { tool, caveat });
    (
        prop_oneof![prop::collection::vec(grant(), 1..12), Just(all_grants())],
        prop::collection::vec(limit, 0..2),
        2_u32..6,
    )
        .prop_map(|(grants, limits, max_depth)| Authority {
            issued_at: bailiwick_datalog::Timestamp::from_unix(1_000),
            expires_at: bailiwick_datalog::Timestamp::from_unix(2_000),
            max_depth,
            grants,
            limits,
            ..authority()
        })
}

/// A block as our own builder writes it, or as text in any library's hands, hostile ones included.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Typed(Vec<Caveat>),
    Text(String),
}

const HOSTILE: [&str; 14] = [
    "grant(\"h\", \"a\", \"read\", [\"a\"]);",
    "grant(\"h\", \"files\", \"destructive\", [\"files\"]);",
    "max_depth(99);",
    "expires_at(2100-01-01T00:00:00Z);",
    "audience(\"http://127.0.0.1:8401/mcp\");",
    "time(1970-01-01T00:00:01Z);",
    "tool(\"a\");",
    "access(\"read\");",
    "resource([\"a\"]);",
    "args({\"n\": \"a\"});",
    "grant($i, $t, \"write\", $p) <- grant($i, $t, \"read\", $p);",
    "check if true;",
    "check if tool(\"a\") or access(\"read\");",
    "delegate(\"a\");",
];

pub(crate) fn block() -> impl Strategy<Value = Block> {
    let typed = prop::collection::vec(strategy::caveat(), 0..3).prop_map(Block::Typed);
    let text = prop::collection::vec(prop::sample::select(HOSTILE.to_vec()), 1..4)
        .prop_map(|statements| Block::Text(statements.concat()));
    prop_oneof![5 => typed, 1 => text]
}

pub(crate) fn appended(token: &Biscuit, block: &Block) -> Biscuit {
    match block {
        Block::Typed(caveats) => append(
            token,
            &LaterBlock {
                caveats: caveats.clone(),
                ..LaterBlock::default()
            },
        ),
        Block::Text(source) => append_text(token, source),
    }
}

fn allowed(verifier: &Verifier, token: &Biscuit, call: &Call) -> bool {
    UnverifiedToken::from_bytes(token.to_vec().unwrap())
        .and_then(|token| verifier.authorize(&token, call, at(TIME)))
        .is_ok()
}

/// The same cases in every run, so that what they cover is known.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
}

#[test]
fn a_block_never_widens_what_a_token_allows() {
    let (allowed_before, allowed_after, cut_off) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let verifier = verifier();
    let cases = (
        session(),
        prop::collection::vec(block(), 1..5),
        prop::collection::vec(strategy::call(), 1..6),
    );
    let mut runner = runner(250);
    runner
        .run(&cases, |(session, blocks, calls)| {
            let mut token = mint(&session);
            for block in &blocks {
                let narrowed = appended(&token, block);
                for call in &calls {
                    let before = allowed(&verifier, &token, call);
                    let after = allowed(&verifier, &narrowed, call);
                    prop_assert!(before || !after, "{block:?} widened {call:?}");
                    allowed_before.set(allowed_before.get() + usize::from(before));
                    allowed_after.set(allowed_after.get() + usize::from(after));
                    cut_off.set(cut_off.get() + usize::from(before && !after));
                }
                token = narrowed;
            }
            Ok(())
        })
        .unwrap();
    // The law would hold of a verifier that refuses everything, or of blocks that do nothing.
    assert!(allowed_before.get() > 300, "{allowed_before:?}");
    assert!(allowed_after.get() > 100, "{allowed_after:?}");
    assert!(cut_off.get() > 100, "{cut_off:?}");
}

#[test]
fn every_condition_at_once_allows_no_more_than_each_alone() {
    let verifier = verifier();
    let allowed_together = Cell::new(0);
    let cases = (
        session(),
        prop::collection::vec(strategy::caveat(), 2..5),
        strategy::call(),
    );
    let mut runner = runner(200);
    runner
        .run(&cases, |(session, caveats, call)| {
            let token = mint(&session);
            let all = appended(&token, &Block::Typed(caveats.clone()));
            let together = allowed(&verifier, &all, &call);
            let each = caveats.iter().all(|caveat| {
                let alone = appended(&token, &Block::Typed(vec![caveat.clone()]));
                allowed(&verifier, &alone, &call)
            });
            prop_assert_eq!(together, each);
            allowed_together.set(allowed_together.get() + usize::from(together));
            Ok(())
        })
        .unwrap();
    assert!(allowed_together.get() > 5, "{allowed_together:?}");
}
