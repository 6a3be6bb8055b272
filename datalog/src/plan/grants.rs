//! The grants of a token, found by tool and access, and the argument limits of each tool.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::Refused;
use crate::{
    authority::Authority,
    call::Call,
    caveat::Caveat,
    exact_call::{CallDigest, ExactUse},
    name::{Access, ToolName},
    resource::ResourcePath,
};

/// For each resource of a call, the id of the grant that covers it.
pub type GrantIds = Arc<[String]>;

/// What the authority block grants. Depends on that block alone, so that all chains which
/// descend from it may share one index.
#[derive(Clone, Debug)]
pub(super) struct GrantIndex {
    /// Ascending by tool and access.
    granted: Vec<Granted>,
    /// Ascending by tool; limits in the order of the block.
    limits: Vec<(ToolName, Vec<Caveat>)>,
}

/// All grants of one tool with one access, in the order of the block.
#[derive(Clone, Debug)]
struct Granted {
    tool: ToolName,
    access: Access,
    paths: Vec<(ResourcePath, GrantIds)>,
}

impl Granted {
    fn order(&self, tool: &ToolName, access: Access) -> Ordering {
        self.tool.cmp(tool).then(self.access.cmp(&access))
    }

    /// The first grant that covers a resource.
    fn covering(&self, resource: &ResourcePath) -> Option<&GrantIds> {
        let mut paths = self.paths.iter();
        paths
            .find(|(path, _)| resource.is_under(path))
            .map(|(_, id)| id)
    }
}

impl GrantIndex {
    pub(super) fn of(authority: &Authority) -> Self {
        let mut by_name: BTreeMap<(&ToolName, Access), Vec<_>> = BTreeMap::new();
        for grant in &authority.grants {
            let path = (grant.path.clone(), Arc::from([grant.id.clone()]));
            let paths = by_name.entry((&grant.tool, grant.access)).or_default();
            paths.push(path);
        }
        let mut limits: BTreeMap<&ToolName, Vec<_>> = BTreeMap::new();
        for limit in &authority.limits {
            let caveats = limits.entry(&limit.tool).or_default();
            caveats.push(limit.caveat.clone());
        }
        let granted = |((tool, access), paths): ((&ToolName, Access), _)| Granted {
            tool: tool.clone(),
            access,
            paths,
        };
        Self {
            granted: by_name.into_iter().map(granted).collect(),
            limits: limits
                .into_iter()
                .map(|(tool, caveats)| (tool.clone(), caveats))
                .collect(),
        }
    }

    /// The limits on the arguments of a tool.
    pub(super) fn limits(&self, tool: &ToolName) -> &[Caveat] {
        self.limits
            .binary_search_by(|(limited, _)| limited.cmp(tool))
            .ok()
            .and_then(|at| self.limits.get(at))
            .map_or(&[], |(_, caveats)| caveats)
    }

    /// Which of the exact calls that its tool is granted for this one is; `None` for a tool that is
    /// granted for any call. The digest is computed for the first kind alone.
    pub(super) fn exact_use<'a>(&self, call: &'a Call) -> Result<Option<ExactUse>, Refused<'a>> {
        let listed = self
            .limits(&call.tool)
            .iter()
            .find_map(|limit| match limit {
                Caveat::ExactCalls(calls) => Some(calls),
                _ => None,
            });
        let Some(listed) = listed else {
            return Ok(None);
        };
        let digest = CallDigest::of(call);
        match digest.and_then(|digest| ExactUse::within(listed, digest)) {
            Some(exact) => Ok(Some(exact)),
            None => Err(Refused::CallNotApproved { tool: &call.tool }),
        }
    }

    /// One grant for each resource, with tool, access and path from the same grant (profile
    /// rules 6 and 7).
    pub(super) fn cover<'a>(&self, call: &'a Call) -> Result<GrantIds, Refused<'a>> {
        let tool = &call.tool;
        let granted = self
            .granted
            .binary_search_by(|entry| entry.order(&call.tool, call.access))
            .ok()
            .and_then(|at| self.granted.get(at))
            .ok_or(Refused::ToolNotGranted {
                tool,
                access: call.access,
            })?;
        let covering = |resource: &'a ResourcePath| {
            granted
                .covering(resource)
                .ok_or(Refused::ResourceNotGranted { tool, resource })
        };
        match call.resources.as_slice() {
            [] => Err(Refused::NoResource { tool }),
            // The usual call allocates nothing.
            [resource] => covering(resource).cloned(),
            resources => {
                let ids = resources.iter().map(covering);
                let ids: Vec<&GrantIds> = ids.collect::<Result<_, _>>()?;
                Ok(ids.into_iter().flat_map(|id| id.iter().cloned()).collect())
            }
        }
    }
}
