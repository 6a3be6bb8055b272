//! The laws beside that of attenuation, on generated sessions, blocks and calls: deny in every
//! gap, nothing but the inputs decides, one encoding, names to the byte, and that a revoked block
//! takes its descendants with it and nothing else.

use std::{cell::Cell, sync::Arc, time::Duration};

use bailiwick_datalog::{Access, Call, RevocationId, ToolName};
use bailiwick_verifier::{
    Denied, Evaluation, KeySet, MemoryRevocations, Now, Permit, RevocationStatus, RevocationView,
    UnverifiedToken, Verifier, signed::PublicKeyHex,
};
use biscuit_auth::Biscuit;
use proptest::prelude::*;

use crate::{
    narrowing::{Block, TIME, appended, block, runner, session},
    strategy,
    support::{at, code, key_set, mint, signing_key, verifier, verifier_with},
};

fn bytes(token: &Biscuit) -> Vec<u8> {
    token.to_vec().unwrap()
}

fn decide(verifier: &Verifier, token: &[u8], call: &Call) -> Result<Permit, Denied> {
    let token = UnverifiedToken::from_bytes(token)?;
    verifier.authorize(&token, call, at(TIME))
}

/// What a decision comes to: the grants that cover the call, or why not.
fn outcome(decision: Result<Permit, Denied>) -> Result<Vec<String>, Denied> {
    decision.map(|permit| permit.grant_ids().to_vec())
}

fn chain(session: &bailiwick_datalog::Authority, blocks: &[Block]) -> Vec<Biscuit> {
    let mut tokens = vec![mint(session)];
    for block in blocks {
        let token = appended(&tokens[tokens.len() - 1], block);
        tokens.push(token);
    }
    tokens
}

/// A list that is too old to say anything.
struct StaleList;

impl RevocationView for StaleList {
    fn check(&self, _: &str, _: &[RevocationId], age: Duration) -> RevocationStatus {
        RevocationStatus::Stale { age: Some(age) }
    }
}

#[test]
fn whatever_is_allowed_is_denied_once_a_gap_opens() {
    let allowed = Cell::new(0);
    let unknown = verifier_with(KeySet::default(), Arc::new(MemoryRevocations::fixed([])));
    let stale = verifier_with(key_set(), Arc::new(StaleList));
    let stranger = PublicKeyHex::from(&signing_key(8));
    let other_key = verifier_with(
        KeySet::from_entries([(1, stranger)]).unwrap(),
        Arc::new(MemoryRevocations::fixed([])),
    );
    let good = verifier();
    let cases = (
        session(),
        prop::collection::vec(block(), 0..3),
        strategy::call(),
    );
    let check = |(session, blocks, call): (_, Vec<Block>, Call)| {
        let tokens = chain(&session, &blocks);
        let token = bytes(&tokens[tokens.len() - 1]);
        if decide(&good, &token, &call).is_err() {
            return Ok(());
        }
        allowed.set(allowed.get() + 1);
        let refused = |verifier: &Verifier, call: &Call| code(&decide(verifier, &token, call));
        prop_assert_eq!(refused(&unknown, &call), "unknown_key");
        prop_assert_eq!(refused(&stale, &call), "revocation_stale");
        prop_assert_eq!(refused(&other_key, &call), "bad_signature");
        let nothing = Call {
            resources: Vec::new(),
            ..call.clone()
        };
        prop_assert_eq!(refused(&good, &nothing), "resource_not_granted");
        let text = UnverifiedToken::from_bytes(token.clone()).unwrap();
        for (time, expected) in [(2_000, "expired"), (969, "not_yet_valid")] {
            prop_assert_eq!(code(&good.authorize(&text, &call, at(time))), expected);
        }
        Ok(())
    };
    runner(300).run(&cases, check).unwrap();
    assert!(allowed.get() > 40, "{allowed:?}");
}

#[test]
fn two_verifiers_agree_whatever_they_saw_before_and_however_they_evaluate() {
    let (allowed, refused) = (Cell::new(0), Cell::new(0));
    // One sees everything, parents first and last; others see only this token, once or twice.
    let (knowing, elsewhere) = (verifier(), verifier());
    let cases = (
        session(),
        prop::collection::vec(block(), 0..4),
        prop::collection::vec(strategy::call(), 1..4),
        any::<bool>(),
    );
    let check = |(session, blocks, calls, backwards): (_, Vec<Block>, Vec<Call>, bool)| {
        let mut tokens = chain(&session, &blocks);
        if backwards {
            tokens.reverse();
        }
        for token in tokens.iter().map(bytes) {
            for call in &calls {
                let first = outcome(decide(&knowing, &token, call));
                let cold = outcome(decide(&verifier().with_cache_bytes(0), &token, call));
                prop_assert_eq!(&first, &cold);
                prop_assert_eq!(&first, &outcome(decide(&knowing, &token, call)));
                prop_assert_eq!(&first, &outcome(decide(&elsewhere, &token, call)));
                let engine = verifier().with_evaluation(Evaluation::Reference);
                let meant = outcome(decide(&engine, &token, call));
                prop_assert_eq!(first.is_ok(), meant.is_ok(), "{:?} {:?}", first, meant);
                let count = if first.is_ok() { &allowed } else { &refused };
                count.set(count.get() + 1);
            }
        }
        Ok(())
    };
    runner(120).run(&cases, check).unwrap();
    assert!(
        allowed.get() > 50 && refused.get() > 50,
        "{allowed:?} {refused:?}"
    );
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let good = verifier();
    let cases = (
        session(),
        prop::collection::vec(block(), 0..3),
        any::<prop::sample::Index>(),
        0..8_u32,
        any::<bool>(),
    );
    let check = |(session, blocks, place, bit, sealed): (_, Vec<Block>, _, u32, bool)| {
        let tokens = chain(&session, &blocks);
        let token = &tokens[tokens.len() - 1];
        let mut bytes = match sealed {
            true => token.seal().unwrap().to_vec().unwrap(),
            false => bytes(token),
        };
        let place: prop::sample::Index = place;
        let at_byte = place.index(bytes.len());
        bytes[at_byte] ^= 1 << bit;
        let verified = UnverifiedToken::from_bytes(bytes)
            .and_then(|token| good.verify(&token, at(TIME)).map(drop));
        prop_assert!(verified.is_err(), "byte {at_byte}, bit {bit}");
        Ok(())
    };
    runner(800).run(&cases, check).unwrap();
}

#[test]
fn names_that_differ_in_one_byte_are_other_names() {
    let allowed = Cell::new(0);
    let good = verifier();
    let cases = (session(), strategy::call(), any::<prop::sample::Index>());
    let check = |(session, call, place): (_, Call, prop::sample::Index)| {
        let token = bytes(&mint(&session));
        if decide(&good, &token, &call).is_err() {
            return Ok(());
        }
        allowed.set(allowed.get() + 1);
        let longer = format!("{}{}", call.tool, place.index(10));
        let other_tool = Call {
            tool: ToolName::parse(longer).unwrap(),
            ..call.clone()
        };
        let of = |call: &Call| code(&decide(&good, &token, call));
        prop_assert_eq!(of(&other_tool), "tool_not_granted");
        let granted = |access: Access| {
            let mut grants = session.grants.iter();
            grants.any(|grant| grant.tool == call.tool && grant.access == access)
        };
        for access in Access::ALL {
            if !granted(access) {
                let other = Call {
                    access,
                    ..call.clone()
                };
                prop_assert_eq!(of(&other), "tool_not_granted");
            }
        }
        Ok(())
    };
    runner(400).run(&cases, check).unwrap();
    assert!(allowed.get() > 60, "{allowed:?}");
}

/// A tree of tokens: each node is a block appended to an earlier one.
#[test]
fn a_revoked_block_takes_its_descendants_with_it_and_nothing_else() {
    let cases = (
        prop::collection::vec(any::<prop::sample::Index>(), 1..10),
        any::<prop::sample::Index>(),
    );
    let (taken, spared) = (Cell::new(0), Cell::new(0));
    let check = |(parents, target): (Vec<prop::sample::Index>, prop::sample::Index)| {
        let mut session = crate::support::authority();
        session.max_depth = 16;
        // Each token with the nodes that its blocks are.
        let mut tree = vec![(mint(&session), vec![0])];
        for (number, parent) in parents.iter().enumerate() {
            let (token, path) = &tree[parent.index(tree.len())];
            let child = appended(token, &Block::Typed(Vec::new()));
            let path = [path.as_slice(), &[number + 1]].concat();
            tree.push((child, path));
        }
        let target = target.index(tree.len());
        let read = |token: &Biscuit| UnverifiedToken::from_bytes(bytes(token)).unwrap();
        let now = at(crate::support::NOW);
        let ids = verifier().verify(&read(&tree[target].0), now).unwrap();
        let id = *ids.chain().revocation_ids().last().unwrap();
        let revoking = verifier_with(key_set(), Arc::new(MemoryRevocations::fixed([id])));
        for (token, path) in &tree {
            let verdict = verdict(&revoking, &read(token), now);
            let expected = path.contains(&target).then_some("revoked");
            prop_assert_eq!(verdict, expected, "{:?} under {}", path, target);
            let count = if expected.is_some() { &taken } else { &spared };
            count.set(count.get() + 1);
        }
        Ok(())
    };
    runner(60).run(&cases, check).unwrap();
    assert!(
        taken.get() > 50 && spared.get() > 50,
        "{taken:?} {spared:?}"
    );
}

/// The code of the refusal, if there is one.
fn verdict(verifier: &Verifier, token: &UnverifiedToken, now: Now) -> Option<&'static str> {
    verifier
        .verify(token, now)
        .err()
        .map(|denied| denied.code())
}
