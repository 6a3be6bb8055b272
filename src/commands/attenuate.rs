//! `bailiwick attenuate`: narrow a token for somebody else, offline.

use std::path::PathBuf;
use std::time::Duration;

use bailiwick_datalog::{
    Access, ArgumentConstraint, Caveat, Chain, DelegateName, Effective, LaterBlock, ResourcePath,
    Thumbprint, Timestamp, ToolName,
};
use bailiwick_verifier::Clock as _;
use clap::Args;
use serde::Serialize;

use crate::cli::TokenFileArg;
use crate::clock::SystemClock;
use crate::duration;
use crate::exit::{Exit, Failure};
use crate::output::{Event, Output};
use crate::{narrow, token_file};

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

    /// Bind the new token to the key with this thumbprint (RFC 7638)
    #[arg(long = "to", value_name = "HOLDER")]
    holder: Option<Thumbprint>,

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
    let token = token_file::read(&args.token_file.token_file)?;
    let chain = token.decode()?;
    let now = SystemClock::start().now().utc;
    let block = args.block(&chain, now)?;
    let narrowed = narrow::narrow(&token, &chain, &block, args.seal)?;
    refuse_over(&chain, &narrowed.chain, now)?;
    if let Some(path) = &args.out {
        token_file::write(path, &narrowed.token)?;
    }
    output.emit(&Narrowed {
        token_file: args.out.as_ref(),
        token: args.print_token.then(|| narrowed.token.expose()),
        effective: Effective::of(&narrowed.chain),
    })?;
    Ok(Exit::Done)
}

impl AttenuateArgs {
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
        if caveats.is_empty() && self.delegate.is_none() && self.holder.is_none() && !self.seal {
            return Err(Failure::usage(
                "nothing to narrow; see `bailiwick attenuate --help`",
            ));
        }
        Ok(LaterBlock {
            delegate: self.delegate.clone(),
            holder: self.holder.clone(),
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
    use super::*;
    use crate::fixture;

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
