//! What may be written is what may be read: the bounds of the profile hold for writers, and
//! chains grow up to the last block that is allowed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bailiwick_datalog::{
    Access, Audience, Authority, CallDigest, Caveat, Chain, ChainError, EncodedChain, Grant,
    LaterBlock, Plan, ProfileError, ResourcePath, Timestamp, ToolLimit, ToolName,
    chain::stem::{Growth, Layout, Stem},
    limits::{MAX_BLOCKS, MAX_CHECKS_PER_BLOCK, MAX_EXACT_CALLS, MAX_GRANTS, MAX_TASK_BYTES},
};
use biscuit_auth::{Biscuit, KeyPair, builder::Algorithm};
use rand::{SeedableRng, rngs::StdRng};

fn key(seed: u64) -> KeyPair {
    KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(seed))
}

fn grant(id: usize) -> Grant {
    Grant {
        id: id.to_string(),
        tool: ToolName::parse("files.read_file").unwrap(),
        access: Access::Read,
        path: ResourcePath::parse("files").unwrap(),
    }
}

fn authority() -> Authority {
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "agent".parse().unwrap(),
        task: "tidy the reports".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 16,
        holder: None,
        grants: vec![grant(1)],
        limits: Vec::new(),
    }
}

fn mint(authority: &Authority) -> Biscuit {
    let builder = authority.to_builder().unwrap().root_key_id(258);
    builder.build(&key(1)).unwrap()
}

fn written(authority: &Authority) -> Result<(), ProfileError> {
    authority.to_builder().map(drop)
}

#[test]
fn the_root_key_that_a_token_names_is_read() {
    let bytes = mint(&authority()).to_vec().unwrap();
    let chain = Chain::decode_unverified(&bytes).unwrap();
    assert_eq!(chain.root_key_id(), 258);
}

#[test]
fn longest_task_is_written_and_one_byte_more_is_not() {
    let with = |length: usize| Authority {
        task: "t".repeat(length),
        ..authority()
    };
    assert_eq!(written(&with(MAX_TASK_BYTES)), Ok(()));
    let length = MAX_TASK_BYTES + 1;
    assert_eq!(
        written(&with(length)),
        Err(ProfileError::TaskTooLong { length })
    );
}

#[test]
fn most_grants_are_written_and_one_more_is_not() {
    let with = |count: usize| Authority {
        grants: (0..count).map(grant).collect(),
        ..authority()
    };
    assert_eq!(written(&with(MAX_GRANTS)), Ok(()));
    let count = MAX_GRANTS + 1;
    assert_eq!(
        written(&with(count)),
        Err(ProfileError::TooManyGrants { count })
    );
}

#[test]
fn most_checks_are_written_and_one_more_is_not() {
    let limit = ToolLimit {
        tool: "files.read_file".parse().unwrap(),
        caveat: Caveat::ClosedWorld(vec!["path".to_owned()]),
    };
    // Two checks of the authority block are fixed.
    let with = |count: usize| Authority {
        limits: vec![limit.clone(); count - 2],
        ..authority()
    };
    let later = |count: usize| {
        let caveats = vec![Caveat::Depth(3); count];
        let block = LaterBlock {
            caveats,
            ..LaterBlock::default()
        };
        block.to_builder().map(drop)
    };
    let count = MAX_CHECKS_PER_BLOCK;
    assert_eq!((written(&with(count)), later(count)), (Ok(()), Ok(())));
    let count = count + 1;
    let error = || Err(ProfileError::TooManyChecks { count });
    assert_eq!((written(&with(count)), later(count)), (error(), error()));
}

fn exact(tool: &str, count: usize) -> ToolLimit {
    let calls = (0..count).map(|n| CallDigest::from_bytes([u8::try_from(n).unwrap(); 32]));
    ToolLimit {
        tool: tool.parse().unwrap(),
        caveat: Caveat::ExactCalls(calls.collect()),
    }
}

#[test]
fn most_exact_calls_are_written_and_one_more_is_not() {
    let with = |counts: [usize; 2]| Authority {
        limits: vec![exact("files.a", counts[0]), exact("files.b", counts[1])],
        ..authority()
    };
    assert_eq!(written(&with([1, MAX_EXACT_CALLS - 1])), Ok(()));
    let count = MAX_EXACT_CALLS + 1;
    assert_eq!(
        written(&with([1, MAX_EXACT_CALLS])),
        Err(ProfileError::TooManyExactCalls { count })
    );
}

#[test]
fn exact_calls_are_written_once_for_a_tool_and_not_without_any() {
    let with = |limits: Vec<ToolLimit>| Authority {
        limits,
        ..authority()
    };
    let tool = ToolName::parse("files.a").unwrap();
    let both = |other| vec![exact("files.a", 1), exact(other, 1)];
    assert_eq!(written(&with(both("files.b"))), Ok(()));
    assert_eq!(
        written(&with(both("files.a"))),
        Err(ProfileError::RepeatedExactCalls { tool })
    );
    assert!(matches!(
        written(&with(vec![exact("files.a", 0)])),
        Err(ProfileError::CaveatWithoutForm(_))
    ));
}

#[test]
fn a_later_block_lists_no_exact_calls() {
    let block = LaterBlock {
        caveats: vec![exact("files.a", 1).caveat],
        ..LaterBlock::default()
    };
    assert_eq!(
        block.to_builder().map(drop),
        Err(ProfileError::ExactCallsInLaterBlock)
    );
}

/// A token of so many blocks.
fn chain_of(blocks: usize) -> Vec<u8> {
    let block = || LaterBlock::default().to_builder().unwrap();
    let token = (1..blocks).fold(mint(&authority()), |token, _| {
        token.append(block()).unwrap()
    });
    token.to_vec().unwrap()
}

#[test]
fn a_stem_grows_to_the_last_block_that_is_allowed() {
    for (blocks, expected) in [(MAX_BLOCKS, true), (MAX_BLOCKS + 1, false)] {
        let parent = chain_of(blocks - 1);
        let stem = Stem::of(&EncodedChain::decode(&parent).unwrap()).unwrap();
        let bytes = chain_of(blocks);
        let last = Layout::of(&bytes).unwrap().last_block.unwrap();
        let growth = Growth::decode(&bytes[last..]).unwrap();
        let grown = stem.grow(&growth).map(|stem| stem.chain(growth.proof()));
        match grown {
            Ok(chain) => assert_eq!((chain.depth(), expected), (blocks - 1, true)),
            Err(error) => {
                let limit = MAX_BLOCKS;
                let count = limit + 1;
                let what = "blocks";
                let limit = ChainError::LimitExceeded { what, count, limit };
                assert_eq!((error, expected), (limit, false));
            }
        }
    }
}

#[test]
fn a_chain_that_does_not_descend_is_compiled_with_its_own_grants() {
    let plan = |authority: &Authority| {
        let chain = Chain::decode_unverified(&mint(authority).to_vec().unwrap());
        Plan::compile(chain.unwrap())
    };
    let other = Authority {
        grants: Vec::new(),
        ..authority()
    };
    let (granting, bare) = (plan(&authority()), plan(&other));
    let compiled = granting.compile_descendant(bare.chain().clone());
    let call = bailiwick_datalog::Call::new(
        ToolName::parse("files.read_file").unwrap(),
        Access::Read,
        vec![ResourcePath::parse("files/a").unwrap()],
        &serde_json::Map::new(),
    );
    let question = bailiwick_datalog::plan::Question {
        time: Timestamp::from_unix(1_500),
        audience: &other.audience,
        call: &call,
    };
    assert!(granting.decide(&question).is_ok());
    assert!(compiled.decide(&question).is_err());
}

#[test]
fn a_proof_does_not_show_its_secret() {
    let bytes = mint(&authority()).to_vec().unwrap();
    let chain = EncodedChain::decode(&bytes).unwrap();
    assert_eq!(format!("{:?}", chain.proof()), "NextSecret(..)");
    let sealed = mint(&authority()).seal().unwrap().to_vec().unwrap();
    let chain = EncodedChain::decode(&sealed).unwrap();
    assert_eq!(format!("{:?}", chain.proof()), "Seal(..)");
}
