//! The adversarial corpus: every way we know to cheat the verifier, as data.
//!
//! Each file of `cases/` is one line of `bailiwick check --jsonl` with what must come of it and
//! why. The modules here make those files, tokens and all, from fixed keys; a test holds that they
//! still make the same ones. After a change to them, write the files anew with
//!
//! ```text
//! BAILIWICK_WRITE_CORPUS=1 cargo test -p bailiwick-verifier --test corpus files_are
//! ```
//!
//! and read the difference: a file that changes without need is a promise broken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod agreement;
mod arguments;
mod authority;
mod blocks;
mod bombs;
mod bounds;
mod case;
mod chain;
mod encoding;
mod exact_calls;
mod forge;
mod hand_over;
mod holder;
mod locations;
mod memory;
mod mutations;
mod names;
mod presentation;
mod revocation;
mod scene;
mod signatures;
mod sound;
mod sound_arguments;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

use bailiwick_verifier::{Denied, holder::ProofVerifier};

use crate::case::Case;

/// Fewer cases than this, or fewer of them allowed than a third, are no corpus.
const FEWEST: usize = 150;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/cases"))
}

/// Every case the modules make, by id.
fn generated() -> BTreeMap<String, Case> {
    let all = [
        sound::cases(),
        sound_arguments::cases(),
        chain::cases(),
        signatures::cases(),
        encoding::cases(),
        presentation::cases(),
        authority::cases(),
        bounds::cases(),
        blocks::cases(),
        bombs::cases(),
        exact_calls::cases(),
        arguments::cases(),
        locations::cases(),
        names::cases(),
        revocation::cases(),
        holder::cases(),
        hand_over::cases(),
    ]
    .concat();
    let count = all.len();
    let cases: BTreeMap<_, _> = all
        .into_iter()
        .map(|case| (case.id.clone(), case))
        .collect();
    assert_eq!(cases.len(), count, "ids are unique");
    cases
}

fn file_text(case: &Case) -> String {
    serde_json::to_string_pretty(case).unwrap() + "\n"
}

/// The committed files, by name without ending.
fn committed() -> BTreeMap<String, String> {
    fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            assert!(
                path.extension().is_some_and(|end| end == "json"),
                "{path:?}"
            );
            let id = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (id, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The committed cases, in the order of their ids.
fn cases() -> Vec<Case> {
    let read = |(id, text): (String, String)| {
        let case: Case =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(case.id, id, "a case bears the name of its file");
        case
    };
    committed().into_iter().map(read).collect()
}

#[test]
fn files_are_those_that_the_modules_make() {
    let made: BTreeMap<String, String> = generated()
        .into_iter()
        .map(|(id, case)| (id, file_text(&case)))
        .collect();
    if std::env::var_os("BAILIWICK_WRITE_CORPUS").is_some() {
        fs::remove_dir_all(folder()).unwrap();
        fs::create_dir(folder()).unwrap();
        for (id, text) in &made {
            fs::write(folder().join(format!("{id}.json")), text).unwrap();
        }
    }
    let kept = committed();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&made), names(&kept));
    let differing: Vec<_> = made
        .iter()
        .filter(|(id, text)| kept[*id] != **text)
        .map(|(id, _)| id)
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn every_case_is_decided_as_its_file_says() {
    // One memory of proofs for all, as in one run of `bailiwick check --jsonl`.
    let proofs = Arc::new(ProofVerifier::default());
    let mut visited = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases() {
        if let Some(before) = &case.after {
            assert!(visited.contains(before), "{} comes after {before}", case.id);
        }
        let (met, expected) = (case.decide(&proofs), case.expect.verdict());
        if met != expected {
            wrong.push(format!("{}: {met}, expected {expected}", case.id));
        }
        visited.insert(case.id);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(visited, committed().into_keys().collect());
}

#[test]
fn engine_of_the_library_decides_every_case_alike() {
    let proofs = Arc::new(ProofVerifier::default());
    for case in cases() {
        let met = case.decide_by_the_engine(&proofs);
        assert_eq!(met, case.expect.verdict(), "{}", case.id);
    }
}

#[test]
fn corpus_is_large_and_a_third_of_it_is_allowed() {
    let cases = cases();
    let allowed = cases
        .iter()
        .filter(|case| case.expect.verdict() == "allow")
        .count();
    assert!(cases.len() >= FEWEST, "{} cases", cases.len());
    assert!(
        allowed * 3 >= cases.len(),
        "{allowed} of {} allowed",
        cases.len()
    );
}

#[test]
fn every_case_says_why_and_names_a_rule() {
    for case in cases() {
        let sentence = case.why.ends_with('.') && case.why.contains("(rule");
        assert!(sentence, "{}: {}", case.id, case.why);
    }
}

#[test]
fn every_code_of_an_offline_decision_is_met() {
    // Not to be had from a token, a call and a fixed list of revocations.
    let elsewhere = ["revocation_stale", "policy_denied", "budget_exhausted"];
    let met: BTreeSet<String> = cases()
        .iter()
        .map(|case| case.expect.verdict().to_owned())
        .collect();
    for code in Denied::ALL_CODES {
        assert_eq!(met.contains(code), !elsewhere.contains(&code), "{code}");
    }
}
