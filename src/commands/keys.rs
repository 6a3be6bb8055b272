//! `bailiwick keys`: the issuer's key set, verified against the anchor.

use bailiwick_verifier::keys::KeyState;
use clap::Args;
use serde::Serialize;

use crate::cli::IssuerArg;
use crate::exit::{Exit, Failure};
use crate::output::{Event, Output};
use crate::trust::{self, TrustArgs};

/// Show the issuer's key set, verified
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bailiwick keys --issuer https://issuer.example --trust-anchor ed25519/…"
)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    issuer: IssuerArg,

    #[command(flatten)]
    trust: TrustArgs,
}

/// Fetches, verifies and lists the keys.
pub(crate) async fn run(args: KeysArgs, output: Output) -> Result<Exit, Failure> {
    let anchor = args.trust.anchor()?;
    let document = trust::key_set(&args.issuer.issuer, &anchor).await?;
    output.emit(&Keys {
        issuer: document.issuer(),
        seq: document.seq(),
        trust_anchor: anchor.to_string(),
        mint_keys: document
            .key_set()
            .iter()
            .map(|key| Key {
                id: key.id,
                state: key.state,
                public: key.public.to_string(),
            })
            .collect(),
        revocation_keys: document
            .revocation_keys()
            .iter()
            .map(ToString::to_string)
            .collect(),
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Keys<'a> {
    issuer: &'a str,
    seq: u64,
    trust_anchor: String,
    mint_keys: Vec<Key>,
    revocation_keys: Vec<String>,
}

#[derive(Serialize)]
struct Key {
    id: u32,
    state: KeyState,
    public: String,
}

impl Event for Keys<'_> {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn human(&self) -> String {
        let mut lines = vec![
            format!(
                "Key set {} of {}, signed by the trust anchor",
                self.seq, self.issuer
            ),
            format!("  anchor                {}", self.trust_anchor),
        ];
        lines.extend(self.mint_keys.iter().map(|key| {
            let state = match key.state {
                KeyState::Active => "active",
                KeyState::Retired => "retired",
                KeyState::Revoked => "revoked",
            };
            format!("  mint key {:<4} {state:<8}{}", key.id, key.public)
        }));
        lines.extend(
            self.revocation_keys
                .iter()
                .map(|key| format!("  revocation key        {key}")),
        );
        lines.join("\n")
    }
}
