//! `bailiwick keys`: the issuer's key set, verified against the anchor.

use bailiwick_datalog::Timestamp;
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
                not_before: key.not_before,
                not_after: key.not_after,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
}

impl Key {
    /// The window, as the end of a line.
    fn window(&self) -> String {
        let part = |word: &str, at: Option<Timestamp>| at.map(|at| format!(" {word} {at}"));
        let from = part("from", self.not_before).unwrap_or_default();
        from + &part("until", self.not_after).unwrap_or_default()
    }
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
            let window = key.window();
            format!("  mint key {:<4} {state:<8}{}{window}", key.id, key.public)
        }));
        lines.extend(
            self.revocation_keys
                .iter()
                .map(|key| format!("  revocation key        {key}")),
        );
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_shown_where_there_is_one() {
        let key = |not_before: Option<u64>, not_after: Option<u64>| Key {
            id: 1,
            state: KeyState::Retired,
            public: "ed25519/00".to_owned(),
            not_before: not_before.map(Timestamp::from_unix),
            not_after: not_after.map(Timestamp::from_unix),
        };
        assert_eq!(key(None, None).window(), "");
        assert_eq!(
            key(Some(0), Some(60)).window(),
            " from 1970-01-01T00:00:00Z until 1970-01-01T00:01:00Z"
        );
        assert_eq!(key(None, Some(60)).window(), " until 1970-01-01T00:01:00Z");
        let keys = Keys {
            issuer: "http://issuer",
            seq: 1,
            trust_anchor: String::new(),
            mint_keys: vec![key(None, Some(60))],
            revocation_keys: Vec::new(),
        };
        assert!(keys.human().contains("ed25519/00 until 1970"));
    }
}
