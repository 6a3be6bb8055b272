//! No input of at most 16 KiB takes more than 8 MiB, and the work for it is bounded by its bytes.

use std::{fs, sync::Arc};

use allocation_counter::{AllocationInfo, measure};
use bailiwick_datalog::{
    EncodedChain, Plan,
    chain::stem::{Growth, Layout, Stem},
    token_text,
};
use bailiwick_verifier::{Evaluation, UnverifiedToken, Verifier, holder::ProofVerifier};
use biscuit_auth::format::schema;
use proptest::prelude::*;
use prost::Message;

use crate::{
    bombs::{bombs, unsigned},
    case::Case,
    forge::Draft,
    scene::{authority_replacing, case},
};

/// Most bytes that may be allocated at one time.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// Most allocations for each byte of a token: what the format's smallest parts take.
const MOST_ALLOCATIONS_PER_BYTE: u64 = 2;
/// Allocations that do not grow with the token.
const FIXED_ALLOCATIONS: u64 = 200;

fn corpus() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/cases");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap()
    };
    fs::read_dir(folder).unwrap().map(read).collect()
}

fn verifier(case: &Case) -> Verifier {
    case.verifier(&Arc::new(ProofVerifier::default()))
}

/// The verdict by a verifier that has not seen the token, and what it cost, the explanation of a
/// refusal included.
fn cold(case: &Case) -> (&'static str, AllocationInfo) {
    let verifier = verifier(case);
    let header = case.header_value();
    let (call, now) = (case.canonical_call(), case.now());
    let call = call.map(Arc::new);
    let mut verdict = "";
    let cost = measure(|| {
        let decided = match &call {
            Ok(call) => {
                let proof = case.holder_proof.as_ref();
                let permit = verifier.authorize_header(header.as_bytes(), call, proof, now);
                permit.map(drop)
            }
            Err(_) => verifier.verify_header(header.as_bytes(), now).map(drop),
        };
        verdict = decided.map_or_else(
            |denied| {
                drop(denied.explanation());
                denied.code()
            },
            |()| "allow",
        );
    });
    (verdict, cost)
}

fn assert_bounded(id: &str, bytes: usize, cost: &AllocationInfo) {
    let bytes = u64::try_from(bytes).unwrap();
    assert!(cost.bytes_max <= MOST_BYTES, "{id}: {cost:?}");
    let most = bytes * MOST_ALLOCATIONS_PER_BYTE + FIXED_ALLOCATIONS;
    assert!(cost.count_total <= most, "{id}: {cost:?} for {bytes} bytes");
}

#[test]
fn no_case_of_the_corpus_takes_more_than_8_mib() {
    let cases = corpus();
    assert!(cases.len() > 800);
    for case in cases {
        let header = case.header_value();
        assert_bounded(&case.id, header.len(), &cold(&case).1);
    }
}

#[test]
fn no_token_made_to_cost_memory_takes_more_than_8_mib() {
    for bomb in bombs() {
        for case in [unsigned(&bomb), bomb] {
            let (verdict, cost) = cold(&case);
            assert_bounded(&case.id, case.header_value().len(), &cost);
            assert_eq!(verdict, case.expect.verdict(), "{}", case.id);
        }
    }
}

/// The index of the grants is the larger part of a plan with many, and is not built twice.
#[test]
fn a_plan_of_a_descendant_shares_the_index_of_the_grants() {
    let grants: String = (0..100)
        .map(|n| format!("grant(\"g{n}\", \"tool-{n}\", \"read\", [\"files\", \"{n}\"]);"))
        .collect();
    let authority = crate::scene::authority() + &grants;
    let bytes = |later: &[&str]| crate::forge::Draft::of(&authority, later).bytes();
    let parent = bytes(&[]);
    let stem = Stem::of(&EncodedChain::decode(&parent).unwrap()).unwrap();
    let child = bytes(&["check if access(\"read\");"]);
    let growth = Growth::decode(&child[Layout::of(&child).unwrap().last_block.unwrap()..]);
    let growth = growth.unwrap();
    let parent = Plan::compile(stem.chain(growth.proof()));
    let chain = stem.grow(&growth).unwrap().chain(growth.proof());
    let mut kept = Vec::new();
    let mut taken = |compile: &dyn Fn() -> Plan| {
        kept.reserve(1);
        measure(|| kept.push(compile())).bytes_current
    };
    let shared = taken(&|| parent.compile_descendant(chain.clone()));
    let own = taken(&|| Plan::compile(chain.clone()));
    assert!(shared * 4 < own, "{shared} of {own} bytes");
    let weight = i64::try_from(parent.weight()).unwrap();
    assert!(own <= weight, "{own} bytes, weighed {weight}");
}

/// A plan keeps the names of list arguments beside the conditions themselves.
#[test]
fn names_of_list_arguments_are_weighed_as_often_as_they_are_kept() {
    let name = "n".repeat(2_000);
    let check = format!("check if args($a), $a.get(\"{name}\").all($x -> [1].contains($x));");
    let bytes = crate::scene::token(&[check.repeat(16).as_str()]).bytes();
    let chain = EncodedChain::decode(&bytes).unwrap();
    let mut kept = None;
    let taken = measure(|| kept = Some(Plan::compile(chain.check_shape().unwrap())));
    let weight = i64::try_from(kept.unwrap().weight()).unwrap();
    let least = i64::try_from(2 * 16 * name.len()).unwrap();
    assert!(taken.bytes_current >= least, "{taken:?}");
    assert!(taken.bytes_current <= weight, "{taken:?}, weighed {weight}");
}

/// A cache that counts in bytes holds no more than it was given only if weights are upper bounds.
#[test]
fn plans_and_stems_take_no_more_than_they_weigh() {
    let mut weighed = 0;
    for case in corpus() {
        let Some(bytes) = case
            .token
            .as_deref()
            .and_then(|t| token_text::decode(t).ok())
        else {
            continue;
        };
        let Ok(chain) = EncodedChain::decode(&bytes) else {
            continue;
        };
        let Ok(stem) = Stem::of(&chain) else {
            continue;
        };
        let mut kept = None;
        let taken = measure(|| kept = Some(Plan::compile(chain.check_shape().unwrap())));
        let plan = kept.unwrap();
        let weight = i64::try_from(plan.weight()).unwrap();
        assert!(taken.bytes_current <= weight, "{}: {taken:?}", case.id);
        let mut kept = None;
        let taken = measure(|| kept = Some(Stem::of(&chain).unwrap()));
        let weight = i64::try_from(stem.weight() + plan.weight()).unwrap();
        assert!(taken.bytes_current <= weight, "{}: {taken:?}", case.id);
        assert!(stem.weight() >= symbol_bytes(&bytes), "{}", case.id);
        weighed += 1;
    }
    assert!(weighed > 300, "{weighed}");
}

/// The headers of tokens of so many sessions, narrowed by one block.
fn sessions(count: usize, later: &str) -> Vec<String> {
    let header = |n: usize| {
        let authority = authority_replacing("session(", &format!("session(\"s-{n}\")"));
        let draft = Draft::of(&authority, &[later]).salted(&n.to_string());
        case("session", "allow", &draft, "").header_value()
    };
    (0..count).map(header).collect()
}

/// Whether a verifier that has seen all these tokens holds no more bytes than it may, though not
/// much less.
fn assert_remembers_within(room: usize, evaluation: Evaluation, headers: &[String]) {
    let case = case("session", "allow", &crate::scene::token(&[]), "");
    let verifier = verifier(&case).with_evaluation(evaluation);
    let (verifier, now) = (verifier.with_cache_bytes(room), case.now());
    let held = measure(|| {
        for header in headers {
            assert!(verifier.verify_header(header.as_bytes(), now).is_ok());
        }
    });
    let held = usize::try_from(held.bytes_current).unwrap();
    assert!((room / 8..=room).contains(&held), "{held} of {room}");
}

#[test]
fn a_verifier_remembers_no_more_bytes_than_it_was_given() {
    let headers = sessions(600, "check if access(\"read\");");
    assert_remembers_within(1024 * 1024, Evaluation::Compiled, &headers);
}

/// The library keeps the bytes of a block more than once.
#[test]
fn what_is_kept_for_the_engine_is_charged_too() {
    let fill = "x".repeat(15_000);
    let check = format!("check if tool($t), [\"files.read_file\", \"{fill}\"].contains($t);");
    let headers = sessions(200, &check);
    assert_remembers_within(12 * 1024 * 1024, Evaluation::Reference, &headers);
}

/// Bytes of the symbols that first-party blocks list: a stem keeps them for the next block.
fn symbol_bytes(token: &[u8]) -> usize {
    let message = schema::Biscuit::decode(token).unwrap();
    let own = message.blocks.into_iter();
    let own = own.filter(|block| block.external_signature.is_none());
    std::iter::once(message.authority)
        .chain(own)
        .map(|block| schema::Block::decode(block.block.as_slice()).unwrap())
        .flat_map(|block| block.symbols)
        .map(|symbol| symbol.len())
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_take_more_than_8_mib(bytes in proptest::collection::vec(any::<u8>(), 0..16_384)) {
        let cost = measure(|| drop(UnverifiedToken::from_bytes(bytes.clone())));
        assert_bounded("bytes", bytes.len(), &cost);
        let cost = measure(|| drop(UnverifiedToken::from_authorization_header(&bytes)));
        assert_bounded("header", bytes.len(), &cost);
    }

    /// Tags and lengths of the format, in any order.
    #[test]
    fn no_soup_of_fields_takes_more_than_8_mib(
        choices in proptest::collection::vec(any::<u8>(), 0..8_192),
    ) {
        const TAGS: [u8; 4] = [0x0a, 0x12, 0x1a, 0x22];
        let field = |choice: &u8| [TAGS[usize::from(choice % 4)], choice / 64];
        let bytes: Vec<u8> = choices.iter().flat_map(field).collect();
        let cost = measure(|| drop(UnverifiedToken::from_bytes(bytes.clone())));
        assert_bounded("fields", bytes.len(), &cost);
    }
}
