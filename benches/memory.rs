//! Memory of a token remembered, of an id revoked, and of one warm check, by a counting allocator.
//!
//! Writes `memory.json` beside criterion's estimates.

#![allow(
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    reason = "a bench fails by panicking"
)]

use std::{alloc::System, path::PathBuf, sync::Arc};

use bailiwick_benches::{
    NOW, call, chain, distinct_chains, header, is_trial, verifier, verifier_revoking,
};
use bailiwick_datalog::RevocationId;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let count = if is_trial() { 10 } else { 5_000 };
    let figures = serde_json::json!({
        "token_of_1_block": remembered(1, count),
        "token_of_8_blocks": remembered(8, count),
        "revoked_id": revoked(if is_trial() { 1_000 } else { 1_000_000 }),
        "allocations_of_a_warm_check_of_1_block": allocations(1),
        "allocations_of_a_warm_check_of_8_blocks": allocations(8),
    });
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let folder = target.join("criterion");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("memory.json"), figures.to_string()).unwrap();
}

/// Bytes held for each of so many tokens that are remembered, stems included.
fn remembered(blocks: usize, count: usize) -> f64 {
    let headers = distinct_chains(blocks, count).unwrap();
    let verifier = verifier().unwrap().with_cache_bytes(8 << 30);
    held_by(count, || {
        for header in &headers {
            verifier.verify_header(header, NOW).unwrap();
        }
    })
}

/// Bytes held for each of so many revoked ids.
fn revoked(count: u32) -> f64 {
    let ids: Vec<_> = (0..count)
        .map(|number| {
            let mut bytes = [5; 64];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            RevocationId::from_bytes(bytes)
        })
        .collect();
    let empty = held_by(1, || verifier().unwrap());
    let full = held_by(1, || verifier_revoking(ids.iter().copied()).unwrap());
    (full - empty) / f64::from(count)
}

/// How often one warm check allocates.
fn allocations(blocks: usize) -> usize {
    let verifier = verifier().unwrap();
    let call = Arc::new(call().unwrap());
    let header = header(&chain(blocks).unwrap()).unwrap();
    let check = || {
        verifier
            .authorize_header(&header, &call, None, NOW)
            .unwrap()
    };
    let _ = check();
    let region = Region::new(ALLOCATOR);
    let permit = check();
    let counted = region.change();
    drop(permit);
    counted.allocations + counted.reallocations
}

/// Bytes allocated and not freed while the answer of a step is alive, for each of so many things.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "byte counts far below 2^52"
)]
fn held_by<R>(count: usize, step: impl FnOnce() -> R) -> f64 {
    let region = Region::new(ALLOCATOR);
    let answer = step();
    let counted = region.change();
    drop(answer);
    let held = counted.bytes_allocated as i64 - counted.bytes_deallocated as i64;
    held as f64 / count as f64
}
