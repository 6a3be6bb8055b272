//! The fuzz targets' functions, driven over the committed seeds and a bounded number of
//! mutations of them, the same in every run.
//!
//! The functions are in [`bodies`]; `fuzz/` drives the same ones with libFuzzer. After a change
//! to what the seeds are made of, write them anew with
//!
//! ```text
//! BAILIWICK_WRITE_SEEDS=1 cargo test -p bailiwick-verifier --test fuzz seeds_are
//! ```
//!
//! and for a long run by hand
//!
//! ```text
//! BAILIWICK_FUZZ_ROUNDS=10000000 BAILIWICK_FUZZ_SEED=7 cargo test --release -p bailiwick-verifier --test fuzz driven
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod bodies;
mod mutation;
mod seeds;

use std::fmt::Write as _;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Mutations of each target in an ordinary run.
const ROUNDS: usize = 2_000;

/// Shows the input that made a body panic.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex = self.1.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            eprintln!("target {} with {hex}", self.0);
        }
    }
}

fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

/// Runs a body over the seeds of a target and mutations of them. Both answers must be met, or the
/// seeds show nothing.
fn drive(target: &str, body: fn(&[u8]) -> bool) {
    let seeds = seeds::committed(target);
    let run = |input: &[u8]| {
        let _shown = Shown(target, input);
        body(input)
    };
    let accepted = seeds.iter().filter(|seed| run(seed)).count();
    assert!(accepted > 0, "no seed of {target} is accepted");
    assert!(accepted < seeds.len(), "no seed of {target} is refused");
    let seed = u64::try_from(number("BAILIWICK_FUZZ_SEED", 1)).unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut counts = [0_usize; 2];
    for _ in 0..number("BAILIWICK_FUZZ_ROUNDS", ROUNDS) {
        let mut input = seeds.choose(&mut rng).unwrap().clone();
        let other = seeds.choose(&mut rng).unwrap();
        mutation::mutate(&mut input, other, &mut rng);
        counts[usize::from(run(&input))] += 1;
    }
    eprintln!("{target}: {} refused, {} accepted", counts[0], counts[1]);
}

#[test]
fn headers_are_driven() {
    drive("header", bodies::header::run);
}

#[test]
fn blocks_are_driven() {
    drive("block", bodies::block::run);
}

#[test]
fn constraints_are_driven() {
    drive("constraint", bodies::constraint::run);
}

#[test]
fn resources_are_driven() {
    drive("resource", bodies::resource::run);
}

#[test]
fn policies_are_driven() {
    drive("policy", bodies::policy::run);
}

#[test]
fn every_driven_function_has_a_target_and_seeds() {
    let names = |folder: &str, ending: &str| -> Vec<String> {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.trim_end_matches(ending).to_owned())
            .collect();
        names.sort();
        names
    };
    let mut bodies = names("tests/fuzz/bodies", ".rs");
    bodies.retain(|name| name != "mod" && name != "scene");
    assert_eq!(names("../fuzz/fuzz_targets", ".rs"), bodies);
    assert_eq!(names("tests/fuzz/seeds", ""), bodies);
}
