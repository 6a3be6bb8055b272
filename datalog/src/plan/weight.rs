//! About how much memory a plan takes: for caches that count in bytes.
//!
//! Each text is charged its bytes and what a `String` and its allocation add, each thing more
//! than its size; rounded up throughout, so that a cache holds no more than it was given.

use std::sync::Arc;

use crate::{
    authority::{Authority, Grant},
    caveat::{ArgumentConstraint, ArgumentRule, Caveat, Scalar},
    chain::{Chain, ChainBlock},
    exact_call::CallDigest,
};

/// A `String` (24 bytes) and the bookkeeping and rounding of its allocation.
const TEXT: usize = 56;
/// A caveat or a grant without its texts, with room for a vector's spare capacity.
const ITEM: usize = 256;
/// A block, a chain or an authority without what it holds.
const BASE: usize = 512;

pub(crate) fn chain(chain: &Chain) -> usize {
    let blocks = blocks(chain.blocks());
    blocks
        .saturating_add(authority(chain.authority()))
        .saturating_add(BASE)
}

pub(crate) fn blocks(blocks: &[Arc<ChainBlock>]) -> usize {
    sum(blocks.iter().map(|block| {
        let names = [
            block.content.delegate.as_ref().map(|name| name.as_str()),
            block.content.holder.as_ref().map(|name| name.as_str()),
        ];
        let names = names.into_iter().flatten().map(text);
        let caveats = block.content.caveats.iter().map(caveat);
        sum(names.chain(caveats)).saturating_add(BASE)
    }))
}

/// The authority and the index of its grants, which repeats them.
fn authority(authority: &Authority) -> usize {
    let texts = [
        authority.session.as_str(),
        authority.approval.as_str(),
        authority.application.as_str(),
        authority.principal.as_str(),
        authority.agent.as_str(),
        authority.audience.as_str(),
        &authority.task,
    ];
    let grants = authority.grants.iter().map(grant);
    let limits = authority
        .limits
        .iter()
        .map(|limit| text(limit.tool.as_str()).saturating_add(caveat(&limit.caveat)));
    let repeated = sum(grants.chain(limits)).saturating_mul(2);
    sum(texts.into_iter().map(text))
        .saturating_add(repeated)
        .saturating_add(BASE)
}

fn grant(grant: &Grant) -> usize {
    let path = grant.path.segments().iter().map(String::as_str);
    let texts = path.chain([grant.id.as_str(), grant.tool.as_str()]);
    sum(texts.map(text)).saturating_add(ITEM)
}

fn caveat(caveat: &Caveat) -> usize {
    let content = match caveat {
        Caveat::Expiry { .. } | Caveat::Depth(_) => 0,
        Caveat::Tools(names) | Caveat::Access(names) | Caveat::ClosedWorld(names) => texts(names),
        Caveat::ResourceUnder(paths) => {
            sum(paths.iter().map(|path| texts(path).saturating_add(TEXT)))
        }
        Caveat::Audience(audience) => text(audience),
        Caveat::Argument(constraint) => argument(constraint),
        Caveat::ExactCalls(calls) => calls.len().saturating_mul(size_of::<CallDigest>()),
    };
    content.saturating_add(ITEM)
}

fn argument(constraint: &ArgumentConstraint) -> usize {
    let rule = match &constraint.rule {
        ArgumentRule::Exact(value) => scalar(value),
        ArgumentRule::OneOf(values)
        | ArgumentRule::Subset(values)
        | ArgumentRule::AnyOf(values)
        | ArgumentRule::AllOf(values) => sum(values.iter().map(scalar)),
        ArgumentRule::Prefix(affix) | ArgumentRule::Suffix(affix) => text(affix),
        ArgumentRule::PathUnder(path) => texts(path),
        ArgumentRule::Url(rule) => {
            let host = rule.host.as_ref().map(|host| match host {
                crate::caveat::HostRule::Exact(host) | crate::caveat::HostRule::Under(host) => host,
            });
            let parts = [rule.scheme.as_ref(), host, rule.path_prefix.as_ref()];
            sum(parts.into_iter().flatten().map(|part| text(part)))
        }
        ArgumentRule::Range { .. }
        | ArgumentRule::MaxLength(_)
        | ArgumentRule::Present
        | ArgumentRule::Absent => 0,
    };
    rule.saturating_add(text(&constraint.name))
}

fn scalar(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::String(value) => text(value),
        Scalar::Integer(_) | Scalar::Boolean(_) => TEXT,
    }
}

fn texts(texts: &[String]) -> usize {
    sum(texts.iter().map(|one| text(one)))
}

pub(crate) fn text(text: &str) -> usize {
    text.len().saturating_add(TEXT)
}

fn sum(weights: impl Iterator<Item = usize>) -> usize {
    weights.fold(0, usize::saturating_add)
}
