//! Effective authority: what a token can still do, the intersection of all its blocks.

use serde::Serialize;

use crate::{
    authority::Grant, caveat::Caveat, chain::Chain, name::Access, resource::ResourcePath,
    timestamp::Timestamp, words::visible,
};

/// What remains of the authority after every block, as far as it can be said without a call.
/// A statement for people: the decision is always made on the whole chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The earliest end that any block sets: the first moment that is refused.
    pub expires_at: Timestamp,
    /// The grants that remain, narrowed.
    pub grants: Vec<EffectiveGrant>,
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
        let grants = grants(&authority.grants, &caveats);
        let remains = |tool: &str| grants.iter().any(|grant| grant.tool == tool);
        Self {
            expires_at,
            delegations_left: delegations_left(chain, &caveats),
            holder: chain.holder().map(|holder| holder.as_str().to_owned()),
            conditions: authority
                .limits
                .iter()
                .filter(|limit| remains(limit.tool.as_str()))
                .map(|limit| format!("a call of `{}` {}", limit.tool, limit.caveat.in_words()))
                .chain(caveats.iter().filter_map(|caveat| match caveat {
                    Caveat::Argument(_) | Caveat::ClosedWorld(_) | Caveat::Audience(_) => {
                        Some(format!("every call {}", caveat.in_words()))
                    }
                    _ => None,
                }))
                .collect(),
            grants,
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

fn grants(granted: &[Grant], caveats: &[&Caveat]) -> Vec<EffectiveGrant> {
    granted
        .iter()
        .filter(|grant| {
            caveats.iter().all(|caveat| match caveat {
                Caveat::Tools(names) => names.iter().any(|name| name == grant.tool.as_str()),
                Caveat::Access(words) => words.iter().any(|word| word == grant.access.as_str()),
                _ => true,
            })
        })
        .flat_map(|grant| {
            let paths =
                caveats
                    .iter()
                    .fold(vec![grant.path.clone()], |paths, caveat| match caveat {
                        Caveat::ResourceUnder(allowed) => intersect(&paths, allowed),
                        _ => paths,
                    });
            paths.into_iter().map(|path| EffectiveGrant {
                tool: grant.tool.as_str().to_owned(),
                access: grant.access,
                path,
            })
        })
        .collect()
}

/// The deeper of each pair of paths of which one holds the other, without those that another of
/// the result holds already.
fn intersect(paths: &[ResourcePath], allowed: &[Vec<String>]) -> Vec<ResourcePath> {
    let mut narrowed: Vec<ResourcePath> = paths
        .iter()
        .flat_map(|path| {
            allowed.iter().filter_map(|other| {
                if path.segments().starts_with(other) {
                    return Some(path.clone());
                }
                other
                    .starts_with(path.segments())
                    .then(|| ResourcePath::from_segments(other.iter().cloned()).ok())
                    .flatten()
            })
        })
        .collect();
    narrowed.sort();
    // A path sorts before everything below it, so what holds it is kept already.
    narrowed.into_iter().fold(Vec::new(), |mut kept, path| {
        if !kept.iter().any(|ancestor| path.is_under(ancestor)) {
            kept.push(path);
        }
        kept
    })
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
