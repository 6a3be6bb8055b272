//! Fuzz target: the bytes of a block, signed by a holder → the shape check.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../verifier/tests/fuzz/bodies/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod bodies;

fuzz_target!(|data: &[u8]| {
    bodies::block::run(data);
});
