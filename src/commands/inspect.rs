//! `bailiwick inspect`: what a token allows, block by block.

use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_datalog::words::visible;
use bailiwick_datalog::{Chain, ChainBlock, Effective};
use bailiwick_verifier::keys::KeySet;
use bailiwick_verifier::revocation::{DEFAULT_MAX_STALENESS, MemoryRevocations};
use bailiwick_verifier::signed::PublicKeyHex;
use bailiwick_verifier::{Clock as _, Now, UnverifiedToken, Verifier, VerifierConfig};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use crate::cli::{TokenFileArg, http_url};
use crate::clock::SystemClock;
use crate::exit::{Exit, Failure};
use crate::output::{Event, Output};
use crate::token_file::{self, TokenText};
use crate::trust::{self, TrustArgs};

/// Show what a token allows, block by block
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick inspect\n  \
    bailiwick inspect ./reader-token --issuer http://127.0.0.1:8400\n\n\
    Without --issuer or --keys nothing is verified: the token says what it says, and anybody may\n\
    have written it. With --issuer revocations are looked up as well.")]
pub(crate) struct InspectArgs {
    /// The file of the token, instead of --token-file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Verify with the keys and revocations of this issuer
    #[arg(long, value_name = "URL", value_parser = http_url, conflicts_with = "keys")]
    issuer: Option<Url>,

    /// Verify with this key, offline; may be repeated
    #[arg(long, value_name = "ID=ed25519/HEX", value_parser = key)]
    keys: Vec<(u32, PublicKeyHex)>,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    token_file: TokenFileArg,
}

/// Shows the token, and verifies it if there is something to verify it with.
pub(crate) async fn run(args: InspectArgs, output: Output) -> Result<Exit, Failure> {
    let token = token_file::read(args.file.as_ref().unwrap_or(&args.token_file.token_file))?;
    let chain = token.decode()?;
    let clock = SystemClock::start();
    let now = clock.now();
    let standing = match evidence(&args, now).await? {
        None => Standing::NotVerified,
        Some(evidence) => verify(&token, &chain, evidence, clock.now())?,
    };
    let refused = matches!(standing, Standing::Refused { .. });
    output.emit(&Inspected {
        chain: &chain,
        standing,
        effective: Effective::of(&chain),
    })?;
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

/// What a token is verified with.
struct Evidence {
    keys: KeySet,
    revocations: MemoryRevocations,
    revocations_known: bool,
}

async fn evidence(args: &InspectArgs, now: Now) -> Result<Option<Evidence>, Failure> {
    if !args.keys.is_empty() {
        let keys = KeySet::from_entries(args.keys.iter().copied())
            .map_err(|error| Failure::usage(format!("`--keys`: {error}")))?;
        let revocations = MemoryRevocations::fixed([]);
        return Ok(Some(Evidence {
            keys,
            revocations,
            revocations_known: false,
        }));
    }
    let Some(issuer) = &args.issuer else {
        return Ok(None);
    };
    let document = trust::key_set(issuer, &args.trust.anchor()?).await?;
    let revocations = MemoryRevocations::new(DEFAULT_MAX_STALENESS);
    let list = trust::signed_document(issuer, "v1/revocations").await?;
    revocations
        .apply(&list, document.revocation_keys(), now.monotonic)
        .map_err(|error| {
            Failure::new(
                "untrusted_revocations",
                format!("the revocations of {issuer} are not trusted: {error}"),
            )
        })?;
    Ok(Some(Evidence {
        keys: document.key_set().clone(),
        revocations,
        revocations_known: true,
    }))
}

/// What is known about the token beyond what it says.
enum Standing {
    NotVerified,
    Good {
        revocations_known: bool,
    },
    Refused {
        code: &'static str,
        explanation: String,
    },
}

/// Verifies for the audience that the token itself names: whether that is the
/// right one is known to its server alone.
fn verify(
    token: &TokenText,
    chain: &Chain,
    evidence: Evidence,
    now: Now,
) -> Result<Standing, Failure> {
    let verifier = Verifier::new(VerifierConfig {
        audience: chain.authority().audience.clone(),
        keys: Arc::new(evidence.keys),
        revocations: Arc::new(evidence.revocations),
    })
    .map_err(|reason| Failure::new("internal", reason))?;
    let verified = UnverifiedToken::from_text(token.expose())
        .and_then(|token| verifier.verify(&token, now).map(drop));
    Ok(match verified {
        Ok(()) => Standing::Good {
            revocations_known: evidence.revocations_known,
        },
        Err(denied) => Standing::Refused {
            code: denied.code(),
            explanation: denied.explanation(),
        },
    })
}

struct Inspected<'a> {
    chain: &'a Chain,
    standing: Standing,
    effective: Effective,
}

impl Serialize for Inspected<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({
            "root_key_id": self.chain.root_key_id(),
            "sealed": self.chain.is_sealed(),
            "verified": self.standing.to_json(),
            "blocks": self.blocks().iter().map(Block::to_json).collect::<Vec<_>>(),
            "effective": self.effective,
        })
        .serialize(serializer)
    }
}

impl Event for Inspected<'_> {
    fn name(&self) -> &'static str {
        "token"
    }

    fn human(&self) -> String {
        let mut lines = vec![self.standing.in_words(self.chain.root_key_id())];
        for block in self.blocks() {
            lines.push(format!("Block {}, {}", block.number, block.by));
            lines.extend(block.says.iter().map(|line| format!("  {line}")));
            lines.push(format!("  revocation id {}", block.revocation_id));
        }
        if self.chain.is_sealed() {
            lines.push("Sealed: nobody can add a block".to_owned());
        }
        lines.push("Effective authority".to_owned());
        lines.extend(
            self.effective
                .lines()
                .iter()
                .map(|line| format!("  {line}")),
        );
        lines.join("\n")
    }
}

/// One block in words.
struct Block {
    number: usize,
    by: String,
    says: Vec<String>,
    revocation_id: String,
}

impl Block {
    fn to_json(&self) -> Value {
        json!({
            "block": self.number,
            "by": self.by,
            "says": self.says,
            "revocation_id": self.revocation_id,
        })
    }
}

impl Inspected<'_> {
    fn blocks(&self) -> Vec<Block> {
        let authority = ("by the issuer".to_owned(), authority_in_words(self.chain));
        let later = self
            .chain
            .blocks()
            .iter()
            .map(|block| (author(block), block_in_words(block)));
        std::iter::once(authority)
            .chain(later)
            .zip(self.chain.revocation_ids())
            .enumerate()
            .map(|(number, ((by, says), id))| Block {
                number,
                by,
                says,
                revocation_id: id.to_hex(),
            })
            .collect()
    }
}

impl Standing {
    fn in_words(&self, root_key_id: u32) -> String {
        match self {
            Self::NotVerified => format!(
                "Signature NOT verified: says it was signed with key {root_key_id}, which anybody can"
            ),
            Self::Good {
                revocations_known: true,
            } => {
                format!("Verified: signed with key {root_key_id}, good now and not revoked")
            }
            Self::Good {
                revocations_known: false,
            } => format!(
                "Verified: signed with key {root_key_id} and good now; revocations NOT looked up"
            ),
            Self::Refused { code, explanation } => format!("Refused ({code}): {explanation}"),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::NotVerified => json!({"signature": "not_verified"}),
            Self::Good { revocations_known } => {
                json!({"signature": "verified", "revocations_checked": revocations_known})
            }
            Self::Refused { code, explanation } => {
                json!({"signature": "refused", "code": code, "explanation": explanation})
            }
        }
    }
}

fn authority_in_words(chain: &Chain) -> Vec<String> {
    let authority = chain.authority();
    let mut lines = vec![
        format!("session {}", visible(authority.session.as_str())),
        format!(
            "approval {} for application {}",
            visible(authority.approval.as_str()),
            visible(authority.application.as_str())
        ),
        format!(
            "agent `{}` on behalf of `{}`",
            visible(authority.agent.as_str()),
            visible(authority.principal.as_str())
        ),
        format!("task: {}", visible(&authority.task)),
        format!("for {}", visible(authority.audience.as_str())),
        format!(
            "from {} until {}",
            authority.issued_at, authority.expires_at
        ),
    ];
    lines.extend(authority.grants.iter().map(|grant| {
        format!(
            "may call `{}` ({}) on `{}` and below",
            grant.tool,
            grant.access,
            visible(&grant.path.to_string())
        )
    }));
    lines.extend(
        authority
            .limits
            .iter()
            .map(|limit| format!("a call of `{}` {}", limit.tool, limit.caveat.in_words())),
    );
    lines.extend(
        authority
            .holder
            .iter()
            .map(|holder| format!("bound to the key {holder}")),
    );
    lines.push(format!("may be delegated {} deep", authority.max_depth));
    lines
}

fn author(block: &ChainBlock) -> String {
    let by = if block.by_holder {
        "signed by the holder"
    } else {
        "by whoever held the token"
    };
    match &block.content.delegate {
        Some(delegate) => format!("{by}, for `{}`", visible(delegate.as_str())),
        None => by.to_owned(),
    }
}

fn block_in_words(block: &ChainBlock) -> Vec<String> {
    let caveats = block
        .content
        .caveats
        .iter()
        .map(|caveat| format!("every call {}", caveat.in_words()));
    let holder = block
        .content
        .holder
        .iter()
        .map(|holder| format!("bound to the key {holder}"));
    caveats.chain(holder).collect()
}

fn key(text: &str) -> Result<(u32, PublicKeyHex), String> {
    let (id, key) = text
        .split_once('=')
        .ok_or("it is not of the form ID=ed25519/HEX")?;
    let id = id.parse().map_err(|_| format!("`{id}` is not a key id"))?;
    Ok((
        id,
        key.parse()
            .map_err(|error: bailiwick_verifier::signed::PublicKeyError| error.to_string())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_and_a_public_key() {
        let good = "1=ed25519/d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key(good).unwrap().0, 1);
        for text in ["", "1", "x=ed25519/00", "1=ed25519/00", "-1=x"] {
            assert!(key(text).is_err(), "{text}");
        }
    }
}
