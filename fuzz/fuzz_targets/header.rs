//! Fuzz target: the value of an `Authorization` header → a decision.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../verifier/tests/fuzz/bodies/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod bodies;

fuzz_target!(|data: &[u8]| {
    bodies::header::run(data);
});
