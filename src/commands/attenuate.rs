//! `bailiwick attenuate`: narrow a token for somebody else, offline.

use std::path::PathBuf;
use std::time::Duration;

use bailiwick_datalog::{
    Access, ArgumentConstraint, Caveat, Chain, DelegateName, Effective, LaterBlock, ResourcePath,
    Timestamp, ToolName,
};
use bailiwick_verifier::{AttenuationError, Clock as _, HeldToken};
use clap::Args;
use rand::rngs::OsRng;
use serde::Serialize;

use crate::cli::TokenFileArg;
use crate::clock::SystemClock;
use crate::duration;
use crate::exit::{Exit, Failure};
use crate::holder_key::{HolderKeyArg, NextHolder};
use crate::output::{Event, Output};
use crate::token_file::{self, TokenText};

/// Narrow a token for a sub-agent, offline
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick attenuate --delegate reader --tool files.read_file --resource files/reports \\\n      \
    --for 5m --max-depth 0 --out ./reader-token\n  \
    bailiwick attenuate --arg 'path=reports/q3.md' --closed-args --seal --out ./one-file-token\n\n\
    Nobody is asked, because a block can only take away: the new token allows nothing that the\n\
    old one refuses. Constraints are written as for `bailiwick request --arg`.")]
pub(crate) struct AttenuateArgs {
    /// Keep only this tool; may be repeated
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<ToolName>,

    /// Keep only this access; may be repeated
    #[arg(long, value_name = "ACCESS")]
    access: Vec<Access>,

    /// Keep only what is at or below this resource; may be repeated
    #[arg(long = "resource", value_name = "PATH")]
    resources: Vec<ResourcePath>,

    /// Limit an argument of every call; may be repeated
    #[arg(long = "arg", value_name = "NAME=CONSTRAINT")]
    arguments: Vec<String>,

    /// Allow no argument but those named with --arg
    #[arg(long)]
    closed_args: bool,

    /// End the new token after this long
    #[arg(long = "for", value_name = "SPAN", value_parser = duration::parse, conflicts_with = "until")]
    duration: Option<Duration>,

    /// End the new token at this moment (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,

    /// Allow so many further delegations after this one
    #[arg(long, value_name = "N")]
    max_depth: Option<u8>,

    /// Name whoever gets the new token
    #[arg(long, value_name = "NAME")]
    delegate: Option<DelegateName>,

    /// Bind the new token to this key: a thumbprint (RFC 7638), `ed25519/HEX`, or a JWK file
    #[arg(long = "to", value_name = "KEY")]
    next_holder: Option<NextHolder>,

    #[command(flatten)]
    holder_key: HolderKeyArg,

    /// Seal the new token: nobody can narrow it further
    #[arg(long)]
    seal: bool,

    #[command(flatten)]
    token_file: TokenFileArg,

    /// Write the new token to this file
    #[arg(long, value_name = "FILE", required_unless_present = "print_token")]
    out: Option<PathBuf>,

    /// Write the new token to stdout instead of a file
    #[arg(long, conflicts_with = "out")]
    print_token: bool,
}

/// Narrows the token and says what is left.
pub(crate) fn run(args: &AttenuateArgs, output: Output) -> Result<Exit, Failure> {
    let token = token_file::read(&args.token_file.token_file)?.hold()?;
    let now = SystemClock::start().now().utc;
    let block = args.block(token.chain(), now)?;
    let narrowed = args.narrow(&token, &block)?;
    refuse_over(token.chain(), narrowed.chain(), now)?;
    let text = TokenText::new(narrowed.expose_text());
    if let Some(path) = &args.out {
        token_file::write(path, &text)?;
    }
    output.emit(&Narrowed {
        token_file: args.out.as_ref(),
        token: args.print_token.then(|| text.expose()),
        effective: Effective::of(narrowed.chain()),
    })?;
    Ok(Exit::Done)
}

impl AttenuateArgs {
    /// Appends the block, unless it is empty, and seals the result if asked to.
    fn narrow(&self, token: &HeldToken, block: &LaterBlock) -> Result<HeldToken, Failure> {
        let rebinds = block.holder.is_some() && token.chain().holder().is_some();
        let narrowed = match self.holder_key.read()? {
            _ if *block == LaterBlock::default() => token.clone(),
            Some(key) if rebinds => token.hand_over(block, &key, &mut OsRng).map_err(refused)?,
            _ => token.attenuate(block, &mut OsRng).map_err(refused)?,
        };
        match self.seal {
            true => narrowed.seal().map_err(refused),
            false => Ok(narrowed),
        }
    }

    fn block(&self, chain: &Chain, now: Timestamp) -> Result<LaterBlock, Failure> {
        let mut caveats = Vec::new();
        if let Some(at) = self.end(now)? {
            caveats.push(Caveat::Expiry {
                at,
                inclusive: false,
            });
        }
        if !self.tools.is_empty() {
            caveats.push(Caveat::Tools(
                self.tools.iter().map(ToString::to_string).collect(),
            ));
        }
        if !self.access.is_empty() {
            caveats.push(Caveat::Access(
                self.access.iter().map(ToString::to_string).collect(),
            ));
        }
        if !self.resources.is_empty() {
            let paths = self.resources.iter().map(|path| path.segments().to_vec());
            caveats.push(Caveat::ResourceUnder(paths.collect()));
        }
        if let Some(further) = self.max_depth {
            caveats.push(Caveat::Depth(depth_after(chain, further)?));
        }
        caveats.extend(self.argument_caveats()?);
        if caveats.is_empty() && self.delegate.is_none() && self.next_holder.is_none() && !self.seal
        {
            return Err(Failure::usage(
                "nothing to narrow; see `bailiwick attenuate --help`",
            ));
        }
        Ok(LaterBlock {
            delegate: self.delegate.clone(),
            holder: self
                .next_holder
                .as_ref()
                .map(NextHolder::thumbprint)
                .transpose()?,
            caveats,
        })
    }

    fn end(&self, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        match (self.until, self.duration) {
            (Some(until), _) => Ok(Some(until)),
            (None, Some(span)) => match now.checked_add(span) {
                Some(end) => Ok(Some(end)),
                None => Err(Failure::usage("`--for` is too long")),
            },
            (None, None) => Ok(None),
        }
    }

    fn argument_caveats(&self) -> Result<Vec<Caveat>, Failure> {
        let limits = self.arguments.iter().map(|typed| {
            ArgumentConstraint::parse_cli(typed)
                .map_err(|error| Failure::usage(format!("`--arg {typed}`: {error}")))
        });
        let limits = limits.collect::<Result<Vec<_>, _>>()?;
        let names = limits.iter().map(|limit| limit.name.clone()).collect();
        let closed = self.closed_args.then_some(Caveat::ClosedWorld(names));
        Ok(limits
            .into_iter()
            .map(Caveat::Argument)
            .chain(closed)
            .collect())
    }
}

fn refused(error: AttenuationError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    match error {
        AttenuationError::HolderBound { .. } => {
            failure.hint("name the file of that key with `--holder-key`")
        }
        AttenuationError::NeverValid { .. } => Failure::usage(error.to_string()),
        _ => failure,
    }
}

/// Refuses a token that is over before it is handed on.
fn refuse_over(old: &Chain, new: &Chain, now: Timestamp) -> Result<(), Failure> {
    let (old, new) = (Effective::of(old).expires_at, Effective::of(new).expires_at);
    if old <= now {
        return Err(
            Failure::new("expired", format!("the access ended at {old}"))
                .hint("ask for a new token with `bailiwick request`")
                .ending(Exit::ApprovalNeeded),
        );
    }
    if new <= now {
        return Err(Failure::usage(format!(
            "the new token would have ended at {new}"
        )));
    }
    Ok(())
}

/// The depth that leaves room for `further` blocks after the new one.
fn depth_after(chain: &Chain, further: u8) -> Result<i64, Failure> {
    i64::try_from(chain.depth())
        .ok()
        .and_then(|depth| depth.checked_add(1)?.checked_add(i64::from(further)))
        .ok_or_else(|| Failure::usage("`--max-depth` is too large"))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct Narrowed<'a> {
    token_file: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    effective: Effective,
}

impl Event for Narrowed<'_> {
    fn name(&self) -> &'static str {
        "attenuated"
    }

    fn human(&self) -> String {
        if let Some(token) = self.token {
            return token.to_owned();
        }
        let mut lines = vec!["The new token".to_owned()];
        lines.extend(
            self.effective
                .lines()
                .iter()
                .map(|line| format!("  {line}")),
        );
        if let Some(file) = self.token_file {
            lines.push(format!("It is in {}", file.display()));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_verifier::holder::HolderKey;
    use clap::Parser as _;

    use super::*;
    use crate::fixture;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        attenuate: AttenuateArgs,
    }

    fn key(seed: u8) -> HolderKey {
        HolderKey::from_secret(&[seed; 32])
    }

    /// A token that is bound to this key, if any, narrowed by these options.
    fn narrowed(holder: Option<u8>, options: &[&str]) -> Result<HeldToken, Failure> {
        let authority = bailiwick_datalog::Authority {
            holder: holder.map(|seed| key(seed).thumbprint()),
            ..fixture::authority()
        };
        let token = fixture::text_of(&fixture::mint(&authority)).hold().unwrap();
        let line = [&["attenuate", "--print-token"], options].concat();
        let args = Line::try_parse_from(line).unwrap().attenuate;
        let block = args.block(token.chain(), fixture::ISSUED_AT)?;
        args.narrow(&token, &block)
    }

    fn code(narrowed: Result<HeldToken, Failure>) -> String {
        narrowed.unwrap_err().code().to_owned()
    }

    #[test]
    fn a_block_and_a_seal_are_added_as_asked() {
        let both = narrowed(None, &["--tool", "files.read_file", "--seal"]).unwrap();
        assert_eq!((both.chain().depth(), both.chain().is_sealed()), (1, true));
        let sealed = narrowed(None, &["--seal"]).unwrap();
        assert_eq!(
            (sealed.chain().depth(), sealed.chain().is_sealed()),
            (0, true)
        );
        let open = narrowed(None, &["--delegate", "sub"]).unwrap();
        assert_eq!((open.chain().depth(), open.chain().is_sealed()), (1, false));
        assert_eq!(code(narrowed(None, &[])), "usage");
    }

    #[test]
    fn a_bound_token_is_bound_again_with_its_holders_key_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = |seed: u8| {
            let path = directory.path().join(seed.to_string());
            std::fs::write(&path, key(seed).expose_jwk()).unwrap();
            path.display().to_string()
        };
        let (own, other) = (file(1), file(2));
        let next = key(3).thumbprint();
        let to = ["--to", next.as_str()];
        let with = |key| [&to[..], &["--holder-key", key]].concat();

        let handed = narrowed(Some(1), &with(&own)).unwrap();
        assert_eq!(handed.chain().holder(), Some(&next));
        assert!(handed.chain().blocks()[0].by_holder);
        assert_eq!(code(narrowed(Some(1), &with(&other))), "wrong_holder_key");
        let missing = narrowed(Some(1), &to).unwrap_err();
        assert_eq!(missing.code(), "holder_already_bound");
        assert!(missing.advice().unwrap().contains("--holder-key"));

        // Where nobody is bound, any block binds, and no key is asked for.
        for options in [to.to_vec(), with(&own)] {
            let bound = narrowed(None, &options).unwrap();
            assert_eq!(bound.chain().holder(), Some(&next));
            assert!(!bound.chain().blocks()[0].by_holder);
        }
    }

    #[test]
    fn an_end_before_the_beginning_is_a_usage_error() {
        let until = ["--until", "2000-01-01T00:00:00Z"];
        assert_eq!(narrowed(None, &until).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_token_that_is_over_is_neither_narrowed_nor_made() {
        let mut authority = fixture::authority();
        let of = |authority: &_| {
            fixture::text_of(&fixture::mint(authority))
                .decode()
                .unwrap()
        };
        let long = of(&authority);
        let now = fixture::ISSUED_AT
            .checked_add(Duration::from_secs(60))
            .unwrap();
        authority.expires_at = now;
        let over = of(&authority);
        assert!(refuse_over(&long, &long, now).is_ok());
        assert_eq!(
            refuse_over(&long, &over, now).unwrap_err().exit(),
            Exit::Usage
        );
        assert_eq!(
            refuse_over(&over, &over, now).unwrap_err().exit(),
            Exit::ApprovalNeeded
        );
    }

    #[test]
    fn a_moment_is_rfc_3339() {
        assert!(moment("2026-01-01T00:00:00Z").is_ok());
        assert!(moment("tomorrow").is_err());
    }
}
