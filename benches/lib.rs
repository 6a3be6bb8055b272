//! Tokens and calls that the benches share.
//!
//! A chain of `n` blocks is an authority block with two grants and three checks (the two fixed
//! ones and one on an argument) and, after it, `n - 1` blocks of three checks each (tool,
//! resource, expiry), as a delegating agent would write them.

pub mod bombs;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Caveat, Grant, LaterBlock, ResourcePath, RevocationId,
    Timestamp, ToolName,
    authority::ToolLimit,
    canonical_call_digest,
    caveat::{ArgumentConstraint, ArgumentRule},
};
use bailiwick_verifier::{
    KeySet, MemoryRevocations, Now, Verifier, VerifierConfig,
    holder::{HolderKey, HolderProof, ProofRequest},
    signed::PublicKeyHex,
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
pub type Fixture<T> = Result<T, Failure>;
/// What went wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The mint key, always the same.
pub fn root() -> KeyPair {
    KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(7))
}

/// A verifier that accepts [`root`] and has nothing revoked.
///
/// # Errors
/// When a fixture does not build.
pub fn verifier() -> Fixture<Verifier> {
    verifier_revoking([])
}

/// As [`verifier`], with these ids revoked.
///
/// # Errors
/// When a fixture does not build.
pub fn verifier_revoking(ids: impl IntoIterator<Item = RevocationId>) -> Fixture<Verifier> {
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
        revocations: Arc::new(MemoryRevocations::fixed(ids)),
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
        limits: vec![ToolLimit {
            tool: ToolName::parse("files.read_file")?,
            caveat: at_most_a_hundred(),
        }],
    })
}

/// The argument `limit` is at most 100.
fn at_most_a_hundred() -> Caveat {
    Caveat::Argument(ArgumentConstraint {
        name: "limit".to_owned(),
        rule: ArgumentRule::Range {
            min: Some(1),
            max: Some(100),
        },
        optional: false,
    })
}

/// The argument `path` starts with `reports/`.
fn below_reports() -> Caveat {
    Caveat::Argument(ArgumentConstraint {
        name: "path".to_owned(),
        rule: ArgumentRule::Prefix("reports/".to_owned()),
        optional: false,
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

/// So many headers, each with a token of so many blocks of its own.
///
/// # Errors
/// When a fixture does not build.
pub fn distinct_chains(blocks: usize, count: usize) -> Fixture<Vec<Vec<u8>>> {
    let one = |_| header(&chain(blocks)?);
    (0..count).map(one).collect()
}

/// So many headers, each with a token of one block of its own, made on two threads.
///
/// # Errors
/// When a fixture does not build.
pub fn tokens(count: usize) -> Fixture<Vec<Vec<u8>>> {
    let half = count / 2;
    std::thread::scope(|scope| {
        let first = scope.spawn(move || distinct_chains(1, half));
        let mut rest = distinct_chains(1, count.saturating_sub(half))?;
        rest.extend(first.join().map_err(|_| "a thread panicked")??);
        Ok(rest)
    })
}

/// True when benches are only to be run once to see that they run: `cargo bench -- --test`.
#[must_use]
pub fn is_trial() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// A token of so many blocks that is bound to [`holder`].
///
/// # Errors
/// When a fixture does not build.
pub fn bound_chain(blocks: usize) -> Fixture<Biscuit> {
    let authority = Authority {
        holder: Some(holder().thumbprint()),
        ..authority()?
    };
    (1..blocks).try_fold(mint(&authority)?, |token, _| {
        Ok(token.append(narrowing()?.to_builder()?)?)
    })
}

/// An operator policy of six rules over facts of its own, which every call of the benches passes.
pub const POLICY: &str = r#"
classification(["files", "hr"], "confidential");
classification(["files", "board"], "secret");
cleared("hr-desk", "confidential");
touched($level) <- classification($path, $level), resource($r), $r.starts_with($path);
deny if access($a), $a != "read", weekday($d), ["saturday", "sunday"].contains($d);
deny if access("destructive"), time_of_day($m), $m >= 1080;
deny if touched("secret"), depth($d), $d > 0;
deny if agent($a), $a.matches("^trial-[0-9]+$"), access($x), $x != "read";
check if resource($r), !$r.starts_with(["files", "hr"])
  or touched($level), cleared($app, $level), application($app);
"#;

/// A token of so many blocks, each with the same two conditions on arguments and nothing else: the
/// work that is compared with another kind of token. Bound to [`holder`], if that is asked for.
///
/// # Errors
/// When a fixture does not build.
pub fn chain_on_arguments(blocks: usize, bound: bool) -> Fixture<Biscuit> {
    let tool = ToolName::parse("files.read_file")?;
    let limit = |caveat| ToolLimit {
        tool: tool.clone(),
        caveat,
    };
    let authority = Authority {
        holder: bound.then(|| holder().thumbprint()),
        limits: vec![limit(below_reports()), limit(at_most_a_hundred())],
        ..authority()?
    };
    let block = LaterBlock {
        caveats: vec![below_reports(), at_most_a_hundred()],
        ..LaterBlock::default()
    };
    (1..blocks).try_fold(mint(&authority)?, |token, _| {
        Ok(token.append(block.to_builder()?)?)
    })
}

/// The key that tokens are bound to.
#[must_use]
pub fn holder() -> HolderKey {
    HolderKey::from_secret(&[11; 32])
}

/// A proof of [`holder`] for a call by the token in a header; each number makes another.
///
/// # Errors
/// When a fixture does not build.
pub fn proof(header: &[u8], call: &Call, number: u64) -> Fixture<HolderProof> {
    let text = std::str::from_utf8(header)?.trim_start_matches("Bearer ");
    let digest = canonical_call_digest(&call.tool, call.arguments.json());
    Ok(holder().create_proof(&ProofRequest {
        method: "POST",
        url: AUDIENCE,
        token_text: text,
        call_digest: &digest.ok_or("the call has no canonical form")?,
        issued_at: NOW.utc,
        id: &format!("proof-{number}"),
    }))
}

/// How long so many calls with a proof take: each proof is good once, and a verifier remembers it,
/// so both are made anew every few hundred calls, outside the time that is measured.
///
/// # Errors
/// When a fixture does not build or a call is refused.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn time_proofs(
    iterations: u64,
    header: &[u8],
    verifier: impl Fn() -> Fixture<Verifier>,
) -> Fixture<Duration> {
    const CALLS_OF_ONE_VERIFIER: u64 = 256;
    let call = Arc::new(call()?);
    let mut total = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let count = left.min(CALLS_OF_ONE_VERIFIER);
        let proofs = (0..count).map(|number| proof(header, &call, number));
        let proofs = proofs.collect::<Fixture<Vec<_>>>()?;
        let verifier = verifier()?;
        verifier
            .verify_header(header, NOW)
            .map_err(|denied| denied.explanation())?;
        let start = Instant::now();
        for proof in &proofs {
            let permit = verifier.authorize_header(header, &call, Some(proof), NOW);
            let _ = std::hint::black_box(permit.map_err(|denied| denied.explanation())?);
        }
        total = total.saturating_add(start.elapsed());
        left = left.saturating_sub(count);
    }
    Ok(total)
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
