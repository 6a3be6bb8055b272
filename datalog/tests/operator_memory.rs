//! What a decision by an operator policy allocates: nothing, unless facts are derived or computed.
//!
//! A test binary of its own, with one test: the counts are those of the whole process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "operator/scene.rs"]
#[allow(dead_code, reason = "written for the tests of decisions")]
mod scene;

use std::alloc::System;

use scene::{Scene, load};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn rules_over_facts_that_are_there_decide_without_allocating() {
    let scene = Scene::default();
    for source in [
        "deny if agent(\"other\"), tool(\"files.read_file\");",
        "deny if time_of_day($m), $m < 480; deny if weekday($d), {\"sunday\"}.contains($d);",
        "allow if resource($r), grant($g, $t, \"read\", $p), tool($t), $r.starts_with($p);",
        "check if args($a), $a.get(\"limit\") <= 10, $a.get(\"tags\").all($x -> $x != \"c\");",
        "check if url_arg($n, $u), $u.get(\"host\").ends_with(\".example.com\");",
        "check all path_arg($n, $p), $p.starts_with([\"files\"]), $p.length() > 1;",
        "classification([\"files\", \"hr\"], \"open\"); classification([\"keys\"], \"secret\"); \
         deny if classification($p, \"secret\"), resource($r), $r.starts_with($p);",
        "deny if task($t), $t.matches(\"^secret.*$\");",
    ] {
        let policy = load(source);
        // A regular expression makes room for itself at its first use.
        assert_eq!(scene.decide_natively(&policy), Ok(()), "{source}");
        let region = Region::new(ALLOCATOR);
        let decision = scene.decide_natively(&policy);
        let change = region.change();
        assert_eq!(decision, Ok(()));
        assert_eq!(change.allocations + change.reallocations, 0, "{source}");
    }
    let derived = load(
        "near($p) <- resource($r), grant($g, $t, $a, $p), $r.starts_with($p); check if near($p);",
    );
    let region = Region::new(ALLOCATOR);
    assert_eq!(scene.decide_natively(&derived), Ok(()));
    assert!(region.change().allocations > 0, "the count counts");
}
