//! Tokens and calls that the benches share.
//!
//! A chain of `n` blocks is an authority block with two grants and, after it, `n - 1` blocks of
//! three checks each (tool, resource, expiry), as a delegating agent would write them.

use std::{sync::Arc, time::Duration};

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Caveat, Grant, LaterBlock, ResourcePath, Timestamp, ToolName,
};
use bailiwick_verifier::{
    KeySet, MemoryRevocations, Now, Verifier, VerifierConfig, signed::PublicKeyHex,
};
use biscuit_auth::{Biscuit, KeyPair, builder::Algorithm};
use rand::{SeedableRng, rngs::StdRng};

/// Chain lengths, in blocks, that each question is asked for.
pub const BLOCKS: [usize; 5] = [1, 2, 4, 8, 16];
/// The moment of every bench.
pub const NOW: Now = Now {
    utc: Timestamp::from_unix(1_500),
    monotonic: Duration::ZERO,
};

const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";

/// A result, or the message of what went wrong: fixtures must build.
pub type Fixture<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The mint key, always the same.
pub fn root() -> KeyPair {
    KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(7))
}

/// A verifier that accepts [`root`] and has nothing revoked.
///
/// # Errors
/// When a fixture does not build.
pub fn verifier() -> Fixture<Verifier> {
    let bytes: [u8; 32] = root()
        .public()
        .to_bytes()
        .try_into()
        .map_err(|_| "key length")?;
    Ok(Verifier::new(VerifierConfig {
        audience: Audience::parse(AUDIENCE)?,
        keys: Arc::new(KeySet::from_entries([(
            1,
            PublicKeyHex::from_bytes(&bytes)?,
        )])?),
        revocations: Arc::new(MemoryRevocations::fixed([])),
    })?)
}

/// What an approved session grants.
///
/// # Errors
/// When a fixture does not build.
pub fn authority() -> Fixture<Authority> {
    let grant = |tool: &str, access: Access| -> Fixture<Grant> {
        Ok(Grant {
            id: format!("grant-{tool}"),
            tool: ToolName::parse(tool)?,
            access,
            path: ResourcePath::parse("files/reports")?,
        })
    };
    Ok(Authority {
        session: "session-1".parse()?,
        approval: "approval-1".parse()?,
        application: "default".parse()?,
        principal: "ada".parse()?,
        agent: "report-agent".parse()?,
        task: "summarise the quarterly reports".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse(AUDIENCE)?,
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 16,
        holder: None,
        grants: vec![
            grant("files.read_file", Access::Read)?,
            grant("files.list_directory", Access::Read)?,
        ],
        limits: Vec::new(),
    })
}

/// The block that a delegating agent appends.
///
/// # Errors
/// When a fixture does not build.
pub fn narrowing() -> Fixture<LaterBlock> {
    let path = ["files", "reports", "2026"].map(str::to_owned).to_vec();
    Ok(LaterBlock {
        delegate: Some("sub-agent".parse()?),
        holder: None,
        caveats: vec![
            Caveat::Tools(vec!["files.read_file".to_owned()]),
            Caveat::ResourceUnder(vec![path]),
            Caveat::Expiry {
                at: Timestamp::from_unix(1_900),
                inclusive: false,
            },
        ],
    })
}

/// Mints the authority block alone.
///
/// # Errors
/// When a fixture does not build.
pub fn mint(authority: &Authority) -> Fixture<Biscuit> {
    Ok(authority.to_builder()?.root_key_id(1).build(&root())?)
}

/// A token of so many blocks.
///
/// # Errors
/// When a fixture does not build.
pub fn chain(blocks: usize) -> Fixture<Biscuit> {
    (1..blocks).try_fold(mint(&authority()?)?, |token, _| {
        Ok(token.append(narrowing()?.to_builder()?)?)
    })
}

/// The value of the `Authorization` header that carries a token.
///
/// # Errors
/// When a fixture does not build.
pub fn header(token: &Biscuit) -> Fixture<Vec<u8>> {
    let text = bailiwick_datalog::token_text::encode(&token.to_vec()?);
    Ok(format!("Bearer {text}").into_bytes())
}

/// A call that every chain allows: one resource, four arguments.
///
/// # Errors
/// When a fixture does not build.
pub fn call() -> Fixture<Call> {
    let arguments = serde_json::json!({
        "path": "reports/2026/q3.md", "limit": 10, "format": "text", "tail": false
    });
    let empty = serde_json::Map::new();
    Ok(Call::new(
        ToolName::parse("files.read_file")?,
        Access::Read,
        vec![ResourcePath::parse("files/reports/2026/q3.md")?],
        arguments.as_object().unwrap_or(&empty),
    ))
}
