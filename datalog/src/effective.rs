//! Effective authority: what a token can still do, the intersection of all its blocks.

mod paths;

use std::collections::HashSet;

use serde::Serialize;

use paths::{Left, Paths};

use crate::{
    authority::Grant, caveat::Caveat, chain::Chain, name::Access, resource::ResourcePath,
    timestamp::Timestamp, words::visible,
};

/// Most paths that are listed for one grant of the authority block. A grant and the paths that
/// blocks narrow it to are both written by whoever holds the token, and every grant may be narrowed
/// to every path: without a bound, 16 KiB would unfold to tens of thousands.
pub const MAX_PATHS_OF_A_GRANT: usize = 32;

/// What remains of the authority after every block, as far as it can be said without a call.
/// A statement for people: the decision is always made on the whole chain.
///
/// Making it costs little more than reading the chain, whatever the blocks list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The earliest end that any block sets: the first moment that is refused.
    pub expires_at: Timestamp,
    /// The grants that remain, narrowed: each as one entry for every path that is left of it, up
    /// to a number.
    pub grants: Vec<EffectiveGrant>,
    /// How many paths that are left of grants are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub paths_left_out: usize,
    /// Blocks that may still be appended.
    pub delegations_left: u32,
    /// The key that must prove possession, if any.
    pub holder: Option<String>,
    /// Conditions on audience and arguments that grants do not show, in words.
    pub conditions: Vec<String>,
}

/// A grant as later blocks have left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectiveGrant {
    /// The tool.
    pub tool: String,
    /// The access.
    pub access: Access,
    /// The path at or below which it holds.
    pub path: ResourcePath,
}

impl Effective {
    /// Works out what `chain` can still do.
    pub fn of(chain: &Chain) -> Self {
        Self::listing(chain, MAX_PATHS_OF_A_GRANT)
    }

    /// The same, with at most `most` paths of each grant of the authority block.
    pub fn listing(chain: &Chain, most: usize) -> Self {
        let authority = chain.authority();
        let caveats: Vec<&Caveat> = chain
            .blocks()
            .iter()
            .flat_map(|block| &block.content.caveats)
            .collect();
        let expires_at = caveats
            .iter()
            .filter_map(|caveat| match caveat {
                Caveat::Expiry {
                    at,
                    inclusive: false,
                } => Some(*at),
                Caveat::Expiry {
                    at,
                    inclusive: true,
                } => Some(Timestamp::from_unix(at.unix().saturating_add(1))),
                _ => None,
            })
            .fold(authority.expires_at, Ord::min);
        let (grants, paths_left_out) = grants(&authority.grants, &caveats, most);
        let remaining: HashSet<&str> = grants.iter().map(|grant| grant.tool.as_str()).collect();
        Self {
            expires_at,
            delegations_left: delegations_left(chain, &caveats),
            holder: chain.holder().map(|holder| holder.as_str().to_owned()),
            conditions: authority
                .limits
                .iter()
                .filter(|limit| remaining.contains(limit.tool.as_str()))
                .map(|limit| format!("a call of `{}` {}", limit.tool, limit.caveat.in_words()))
                .chain(caveats.iter().filter_map(|caveat| match caveat {
                    Caveat::Argument(_) | Caveat::ClosedWorld(_) | Caveat::Audience(_) => {
                        Some(format!("every call {}", caveat.in_words()))
                    }
                    _ => None,
                }))
                .collect(),
            grants,
            paths_left_out,
        }
    }

    /// The effective authority as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("ends at {}", self.expires_at)];
        if self.grants.is_empty() {
            lines.push("may call no tool".to_owned());
        }
        lines.extend(self.grants.iter().map(|grant| {
            format!(
                "may call `{}` ({}) on `{}` and below",
                visible(&grant.tool),
                grant.access,
                visible(&grant.path.to_string())
            )
        }));
        if self.paths_left_out > 0 {
            lines.push(format!("and on {} paths more", self.paths_left_out));
        }
        lines.extend(self.conditions.iter().cloned());
        lines.extend(
            self.holder
                .iter()
                .map(|key| format!("every call needs a proof by the key `{key}`")),
        );
        lines.push(match self.delegations_left {
            0 => "can't be delegated further".to_owned(),
            1 => "can be delegated once more".to_owned(),
            n => format!("can be delegated {n} more times"),
        });
        lines
    }
}

impl Chain {
    /// Whether one grant and every block leave this tool, with this access, on everything at or
    /// below a path. Conditions on arguments are a matter of the call.
    pub fn leaves(&self, tool: &str, access: Access, path: &ResourcePath) -> bool {
        let granted = self.authority().grants.iter().any(|grant| {
            grant.tool.as_str() == tool && grant.access == access && path.is_under(&grant.path)
        });
        let mut caveats = self.blocks().iter().flat_map(|b| &b.content.caveats);
        granted
            && caveats.all(|caveat| match caveat {
                Caveat::Tools(names) => names.iter().any(|name| name == tool),
                Caveat::Access(words) => words.iter().any(|word| word == access.as_str()),
                Caveat::ResourceUnder(tops) => {
                    tops.iter().any(|top| path.segments().starts_with(top))
                }
                Caveat::Expiry { .. }
                | Caveat::Depth(_)
                | Caveat::Audience(_)
                | Caveat::Argument(_)
                | Caveat::ClosedWorld(_)
                | Caveat::ExactCalls(_) => true,
            })
    }
}

/// The grants that the caveats leave, and how many paths of them are not listed.
fn grants(granted: &[Grant], caveats: &[&Caveat], most: usize) -> (Vec<EffectiveGrant>, usize) {
    let tools: Vec<HashSet<&str>> = caveats.iter().filter_map(|c| one_of(c, tools)).collect();
    let access: Vec<HashSet<&str>> = caveats.iter().filter_map(|c| one_of(c, access)).collect();
    let paths = Paths::left_by(caveats.iter().copied());
    let (mut left, mut left_out) = (Vec::new(), 0_usize);
    for grant in granted {
        let remains = tools
            .iter()
            .all(|names| names.contains(grant.tool.as_str()))
            && access
                .iter()
                .all(|words| words.contains(grant.access.as_str()));
        if !remains {
            continue;
        }
        let narrowed = |path: ResourcePath| EffectiveGrant {
            tool: grant.tool.as_str().to_owned(),
            access: grant.access,
            path,
        };
        match paths.of(grant.path.segments()) {
            Left::Whole => left.push(narrowed(grant.path.clone())),
            Left::Under(deeper) => {
                let listed = deeper.iter().take(most);
                let listed = listed.filter_map(|path| ResourcePath::from_segments(*path).ok());
                left.extend(listed.map(narrowed));
                let more = deeper.len().saturating_sub(most);
                left_out = left_out.saturating_add(more);
            }
        }
    }
    (left, left_out)
}

fn one_of(caveat: &Caveat, list: fn(&Caveat) -> Option<&[String]>) -> Option<HashSet<&str>> {
    list(caveat).map(|words| words.iter().map(String::as_str).collect())
}

fn tools(caveat: &Caveat) -> Option<&[String]> {
    match caveat {
        Caveat::Tools(names) => Some(names),
        _ => None,
    }
}

fn access(caveat: &Caveat) -> Option<&[String]> {
    match caveat {
        Caveat::Access(words) => Some(words),
        _ => None,
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn delegations_left(chain: &Chain, caveats: &[&Caveat]) -> u32 {
    if chain.is_sealed() {
        return 0;
    }
    let allowed = caveats
        .iter()
        .filter_map(|caveat| match caveat {
            Caveat::Depth(most) => Some(u32::try_from((*most).max(0)).unwrap_or(u32::MAX)),
            _ => None,
        })
        .fold(chain.authority().max_depth, Ord::min);
    let limit = u32::try_from(crate::limits::MAX_BLOCKS.saturating_sub(1)).unwrap_or(u32::MAX);
    allowed
        .min(limit)
        .saturating_sub(u32::try_from(chain.depth()).unwrap_or(u32::MAX))
}
