//! What is written is read back, and the typed reading of a caveat agrees with its Datalog.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod strategy;

use bailiwick_datalog::{
    Access, Audience, Authority, Caveat, Chain, Grant, LaterBlock, Request, ResourcePath,
    Timestamp, ToolLimit, ToolName, reference,
};
use biscuit_auth::{Biscuit, KeyPair, builder::Algorithm};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

fn key() -> KeyPair {
    KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(1))
}

fn mint(authority: &Authority) -> Biscuit {
    authority
        .to_builder()
        .unwrap()
        .root_key_id(1)
        .build(&key())
        .unwrap()
}

fn authority() -> Authority {
    let id = |text: &str| text.to_owned();
    Authority {
        session: id("s-1").parse().unwrap(),
        approval: id("a-1").parse().unwrap(),
        application: id("default").parse().unwrap(),
        principal: id("ada").parse().unwrap(),
        agent: id("agent").parse().unwrap(),
        task: "tidy the reports".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 3,
        holder: None,
        grants: vec![Grant {
            id: "g1".to_owned(),
            tool: ToolName::parse("files.read_file").unwrap(),
            access: bailiwick_datalog::Access::Read,
            path: ResourcePath::parse("files/reports").unwrap(),
        }],
        limits: Vec::new(),
    }
}

fn append(token: &Biscuit, block: &LaterBlock) -> Biscuit {
    token.append(block.to_builder().unwrap()).unwrap()
}

#[test]
fn authority_reads_back_as_written() {
    let authority = authority();
    let chain = Chain::decode_unverified(&mint(&authority).to_vec().unwrap()).unwrap();
    assert_eq!(chain.authority(), &authority);
    assert_eq!(
        (chain.depth(), chain.root_key_id(), chain.is_sealed()),
        (0, 1, false)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_caveat_reads_back_from_its_check(caveats in prop::collection::vec(strategy::caveat(), 0..8)) {
        let block = LaterBlock { delegate: Some("sub".parse().unwrap()), holder: None, caveats };
        let token = append(&mint(&authority()), &block);
        let chain = Chain::decode_unverified(&token.to_vec().unwrap()).unwrap();
        prop_assert_eq!(&chain.blocks()[0].content, &block);
    }

    #[test]
    fn every_argument_limit_reads_back(caveat in strategy::argument_caveat()) {
        let limit = ToolLimit { tool: "files.read_file".parse().unwrap(), caveat };
        let authority = Authority { limits: vec![limit], ..authority() };
        let chain = Chain::decode_unverified(&mint(&authority).to_vec().unwrap()).unwrap();
        prop_assert_eq!(chain.authority(), &authority);
    }

    #[test]
    fn every_list_of_exact_calls_reads_back(caveat in strategy::exact_calls("files.read_file")) {
        let limit = ToolLimit { tool: "files.read_file".parse().unwrap(), caveat };
        let authority = Authority { limits: vec![limit], ..authority() };
        let chain = Chain::decode_unverified(&mint(&authority).to_vec().unwrap()).unwrap();
        prop_assert_eq!(chain.authority(), &authority);
    }

    #[test]
    fn a_caveat_that_holds_typed_holds_in_datalog(
        caveat in strategy::caveat(),
        call in strategy::call(),
        time in 1_500_u64..1_505,
    ) {
        let (typed, datalog) = both(&caveat, &call, time);
        prop_assert!(!typed || datalog, "typed allows what Datalog refuses: {caveat:?} {call:?}");
        // Typed is stricter only where a value has another type than the constraint (rule 18).
        if datalog && !typed {
            prop_assert!(matches!(caveat, Caveat::Argument(_) | Caveat::ClosedWorld(_)), "{caveat:?} {call:?}");
        }
    }
}

/// The caveat's typed answer and the engine's, for a call that the grant covers.
fn both(caveat: &Caveat, call: &bailiwick_datalog::Call, time: u64) -> (bool, bool) {
    let resource = &call.resources[0];
    let authority = Authority {
        grants: vec![Grant {
            id: "g".to_owned(),
            tool: call.tool.clone(),
            access: call.access,
            path: resource.clone(),
        }],
        ..authority()
    };
    let block = LaterBlock {
        caveats: vec![caveat.clone()],
        ..LaterBlock::default()
    };
    let token = append(&mint(&authority), &block);
    let request = Request {
        time: Timestamp::from_unix(time),
        audience: &authority.audience,
        depth: 1,
        call,
        resource,
    };
    let engine = reference::Policy::load()
        .unwrap()
        .evaluate(&token, &request);
    (caveat.holds(&request), engine.is_ok())
}

#[test]
fn effective_authority_is_what_every_block_leaves() {
    let words = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let limit = |tool: &str| ToolLimit {
        tool: tool.parse().unwrap(),
        caveat: Caveat::ClosedWorld(words(&["path"])),
    };
    let write = Grant {
        id: "g2".to_owned(),
        tool: ToolName::parse("files.write_file").unwrap(),
        access: bailiwick_datalog::Access::Write,
        path: ResourcePath::parse("files").unwrap(),
    };
    let mut authority = Authority {
        limits: vec![limit("files.read_file"), limit("files.write_file")],
        ..authority()
    };
    authority.grants.push(write);
    let block = LaterBlock {
        caveats: vec![
            Caveat::Access(words(&["read"])),
            Caveat::ResourceUnder(vec![
                words(&["files"]),
                words(&["files", "reports", "2026"]),
            ]),
            Caveat::Expiry {
                at: Timestamp::from_unix(1_700),
                inclusive: true,
            },
            Caveat::Depth(2),
        ],
        ..LaterBlock::default()
    };
    let token = append(&mint(&authority), &block);
    let chain = Chain::decode_unverified(&token.to_vec().unwrap()).unwrap();
    let effective = bailiwick_datalog::Effective::of(&chain);
    assert_eq!(effective.expires_at, Timestamp::from_unix(1_701));
    assert_eq!(effective.delegations_left, 1);
    let left: Vec<_> = effective
        .grants
        .iter()
        .map(|grant| format!("{} {}", grant.tool, grant.path))
        .collect();
    assert_eq!(left, ["files.read_file files/reports"]);
    assert_eq!(
        effective.conditions,
        ["a call of `files.read_file` must have no argument other than `path`"]
    );
}

#[test]
fn of_what_blocks_leave_of_a_grant_at_most_thirty_two_paths_are_listed() {
    let numbered = |number: usize| ["files", "reports", &number.to_string()].map(str::to_owned);
    for (count, listed, left_out) in [(32, 32, 0), (33, 32, 1)] {
        let list = (0..count).map(|number| numbered(number).to_vec()).collect();
        let block = LaterBlock {
            caveats: vec![Caveat::ResourceUnder(list)],
            ..LaterBlock::default()
        };
        let token = append(&mint(&authority()), &block);
        let chain = Chain::decode_unverified(&token.to_vec().unwrap()).unwrap();
        let effective = bailiwick_datalog::Effective::of(&chain);
        assert_eq!(effective.grants.len(), listed);
        assert_eq!(effective.paths_left_out, left_out);
        let said = effective
            .lines()
            .contains(&format!("and on {left_out} paths more"));
        assert_eq!(said, left_out > 0);
        let json = serde_json::to_value(&effective).unwrap();
        assert_eq!(json.get("paths_left_out").is_some(), left_out > 0);
    }
}

#[test]
fn tool_is_left_where_one_grant_and_every_block_leave_it_however_many_paths_they_list() {
    let path = |text: &str| ResourcePath::parse(text).unwrap();
    let numbered = |number: usize| ["files", "reports", &number.to_string()].map(str::to_owned);
    let list: Vec<Vec<String>> = (0..33).map(|number| numbered(number).to_vec()).collect();
    let block = LaterBlock {
        caveats: vec![
            Caveat::ResourceUnder(list),
            Caveat::Tools(vec!["files.read_file".to_owned()]),
            Caveat::Access(vec!["read".to_owned()]),
        ],
        ..LaterBlock::default()
    };
    let token = append(&mint(&authority()), &block);
    let chain = Chain::decode_unverified(&token.to_vec().unwrap()).unwrap();
    // The last one in the order in which paths are listed.
    let last = path("files/reports/9");
    let shown = bailiwick_datalog::Effective::of(&chain);
    assert!(shown.grants.iter().all(|grant| grant.path != last));
    let all = bailiwick_datalog::Effective::listing(&chain, 33);
    assert_eq!((all.grants.len(), all.paths_left_out), (33, 0));
    assert!(chain.leaves("files.read_file", Access::Read, &last));
    assert!(chain.leaves(
        "files.read_file",
        Access::Read,
        &path("files/reports/9/deep")
    ));
    for (tool, access, other) in [
        ("files.search", Access::Read, "files/reports/9"),
        ("files.read_file", Access::Write, "files/reports/9"),
        ("files.read_file", Access::Read, "files/reports/33"),
        ("files.read_file", Access::Read, "files/reports"),
        ("files.read_file", Access::Read, "files/reports/90"),
    ] {
        assert!(
            !chain.leaves(tool, access, &path(other)),
            "{tool} {access} {other}"
        );
    }

    // Without a block as well: every part of one grant has to fit.
    let granted = mint(&authority());
    let chain = Chain::decode_unverified(&granted.to_vec().unwrap()).unwrap();
    for (tool, access, other, left) in [
        ("files.read_file", Access::Read, "files/reports", true),
        ("files.search", Access::Read, "files/reports", false),
        ("files.read_file", Access::Write, "files/reports", false),
        ("files.read_file", Access::Read, "other", false),
    ] {
        assert_eq!(
            chain.leaves(tool, access, &path(other)),
            left,
            "{tool} {access} {other}"
        );
    }
}
