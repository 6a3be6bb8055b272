//! One authority, one call, one moment, and verifiers for them.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, LaterBlock, ResourcePath, Timestamp, ToolName,
};
use bailiwick_verifier::{
    Evaluation, KeySet, MemoryRevocations, Now, Verifier, VerifierConfig, signed::PublicKeyHex,
};
use biscuit_auth::{
    Biscuit, KeyPair, PrivateKey,
    builder::{Algorithm, BlockBuilder},
    datalog::SymbolTable,
};
use ed25519_dalek::SigningKey;
use serde_json::json;

/// A key of its own for each seed.
pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&[seed; 32], Algorithm::Ed25519).unwrap())
}

/// The seed of the key that the verifiers trust.
pub(crate) const ROOT: u8 = 7;
/// The seed of the next key of every minted token.
pub(crate) const NEXT: u8 = 8;

pub(crate) fn authority() -> Authority {
    let grant = |tool: &str, access| Grant {
        id: tool.to_owned(),
        tool: ToolName::parse(tool).unwrap(),
        access,
        path: ResourcePath::parse("files").unwrap(),
    };
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "scribe".parse().unwrap(),
        task: "sum up".to_owned(),
        request_digest: [9; 32],
        audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 3,
        holder: None,
        grants: vec![
            grant("files.read_file", Access::Read),
            grant("files.write_file", Access::Write),
        ],
        limits: Vec::new(),
    }
}

/// A token of the authority under a root key.
pub(crate) fn mint(authority: &Authority, root: u8) -> Biscuit {
    let builder = authority.to_builder().unwrap().root_key_id(1);
    let symbols = SymbolTable::default();
    builder
        .build_with_key_pair(&key(root), symbols, &key(NEXT))
        .unwrap()
}

/// The token with one block more. All its next keys are the same, which no verifier minds.
pub(crate) fn append(token: &Biscuit, block: BlockBuilder) -> Biscuit {
    token.append_with_keypair(&key(NEXT), block).unwrap()
}

/// Appends blocks that are written by a type.
pub(crate) fn narrow(token: &Biscuit, block: &LaterBlock) -> Biscuit {
    append(token, block.to_builder().unwrap())
}

pub(crate) const NOW: Now = Now {
    utc: Timestamp::from_unix(1_500),
    monotonic: Duration::ZERO,
};

/// The usual call.
pub(crate) static CALL: LazyLock<Arc<Call>> = LazyLock::new(|| {
    let arguments = json!({"n": 5, "path": "files/a", "list": ["a", "b"], "flag": true});
    let call = Call::new(
        ToolName::parse("files.read_file").unwrap(),
        Access::Read,
        vec![ResourcePath::parse("files/reports/q3.md").unwrap()],
        arguments.as_object().unwrap(),
    );
    Arc::new(call.with_path_argument("path", ResourcePath::parse("files/a").unwrap()))
});

fn verifier() -> Verifier {
    let root = PublicKeyHex::from(&SigningKey::from_bytes(&[ROOT; 32]));
    Verifier::new(VerifierConfig {
        audience: authority().audience,
        keys: Arc::new(KeySet::from_entries([(1, root)]).unwrap()),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    })
    .unwrap()
}

/// Remembers what it has seen.
pub(crate) static KNOWING: LazyLock<Verifier> = LazyLock::new(verifier);
/// Sees every token for the first time.
pub(crate) static STRANGER: LazyLock<Verifier> = LazyLock::new(|| verifier().with_cache_bytes(0));
/// Asks the library's engine as well.
pub(crate) static ENGINE: LazyLock<Verifier> = LazyLock::new(|| {
    verifier()
        .with_cache_bytes(0)
        .with_evaluation(Evaluation::Reference)
});
