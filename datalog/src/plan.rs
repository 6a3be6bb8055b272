//! A token's authority, compiled once and decided natively on every call.
//!
//! [`Plan::compile`] takes what a chain says in many places (ends, depths, audiences, grants,
//! limits) to where a decision looks for it; [`Plan::decide`] answers for all resources of a call
//! without building an engine. The meaning stays the Datalog of the token under
//! [`crate::reference::POLICY`]: a differential test holds the two together. The one difference
//! is that the plan is stricter about the types of arguments (profile rules 18 and 19).
//!
//! A plan says nothing of signatures, revocation or holder proofs: those are the verifier's.

mod costs;
mod grants;
mod refused;
pub(crate) mod weight;

use std::{sync::Arc, time::Duration};

use self::{costs::Costs, grants::GrantIndex};
pub use self::{grants::GrantIds, refused::Refused};
use crate::{
    call::Call,
    caveat::Caveat,
    chain::{Chain, ChainBlock},
    exact_call::ExactUse,
    name::{Audience, DelegateName},
    request::Request,
    resource::ResourcePath,
    timestamp::Timestamp,
};

/// How far ahead of this host's clock an issuer's may be (profile rule 4).
pub const ISSUED_AT_LEEWAY: Duration = Duration::from_secs(30);

/// One chain, ready for decisions. Depends on nothing but the chain.
#[derive(Clone, Debug)]
pub struct Plan {
    chain: Chain,
    /// The earliest end, and the block that sets it.
    end: (Timestamp, usize),
    /// The first block that names another audience than the authority block does.
    other_audience: Option<usize>,
    /// The first bound on depth that the chain itself passes: the bound and its block.
    depth_passed: Option<(i64, usize)>,
    costs: Costs,
    grants: Arc<GrantIndex>,
    /// Memory that the chain takes.
    chain_weight: usize,
}

/// A call at one moment, for one verifier.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The moment, in whole seconds UTC.
    pub time: Timestamp,
    /// The audience the verifier guards.
    pub audience: &'a Audience,
    /// The call, with all its resources.
    pub call: &'a Call,
}

/// What allows a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// For each resource, the grant that covers it.
    pub grant_ids: GrantIds,
    /// The exact call this is, where its tool is granted for exact calls alone. Whoever makes it
    /// counts how often it was made: the plan does not know.
    pub exact_use: Option<ExactUse>,
}

impl Plan {
    /// Compiles a chain. Work is linear in what the chain holds.
    #[must_use]
    pub fn compile(chain: Chain) -> Self {
        let grants = Arc::new(GrantIndex::of(chain.authority()));
        let weight = weight::chain(&chain);
        Self::over(chain, grants, weight)
    }

    /// Compiles a chain that descends from this plan's, sharing the index of grants if it does.
    #[must_use]
    pub fn compile_descendant(&self, chain: Chain) -> Self {
        match chain.blocks_beyond(&self.chain) {
            Some(blocks) => {
                let weight = self.chain_weight.saturating_add(weight::blocks(blocks));
                Self::over(chain, Arc::clone(&self.grants), weight)
            }
            None => Self::compile(chain),
        }
    }

    fn over(chain: Chain, grants: Arc<GrantIndex>, chain_weight: usize) -> Self {
        Self {
            end: earliest_end(&chain),
            other_audience: other_audience(&chain),
            depth_passed: depth_passed(&chain),
            costs: Costs::of(&chain),
            grants,
            chain_weight,
            chain,
        }
    }

    /// The chain that was compiled.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// About how many bytes of memory the plan takes; not less than it does.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.chain_weight.saturating_add(self.costs.weight())
    }

    /// The earliest end that any block sets: the first moment that is refused.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.end.0
    }

    /// The authority block's bounds and every later expiry (profile rule 4).
    ///
    /// # Errors
    /// [`Refused::Expired`], [`Refused::NotYetValid`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), Refused<'_>> {
        let (expires_at, block) = self.end;
        if now >= expires_at {
            return Err(Refused::Expired {
                now,
                expires_at,
                block,
            });
        }
        let issued_at = self.chain.authority().issued_at;
        if issued_at > now.checked_add(ISSUED_AT_LEEWAY).unwrap_or(now) {
            return Err(Refused::NotYetValid { now, issued_at });
        }
        Ok(())
    }

    /// The audience of the authority block and of every later one (profile rule 5).
    ///
    /// # Errors
    /// [`Refused::WrongAudience`].
    pub fn check_audience(&self, audience: &Audience) -> Result<(), Refused<'_>> {
        if self.chain.authority().audience != *audience {
            return Err(Refused::WrongAudience { block: 0 });
        }
        match self.other_audience {
            Some(block) => Err(Refused::WrongAudience { block }),
            None => Ok(()),
        }
    }

    /// Every bound on the number of blocks (profile rule 9).
    ///
    /// # Errors
    /// [`Refused::DepthExceeded`].
    pub fn check_depth(&self) -> Result<(), Refused<'_>> {
        match self.depth_passed {
            Some((most, block)) => Err(Refused::DepthExceeded {
                depth: self.chain.depth(),
                most,
                block,
            }),
            None => Ok(()),
        }
    }

    /// Decides a call on all its resources: time, audience, depth, the bounds on its cost, one
    /// grant for each resource, and every condition. The first condition that fails is named, in
    /// the order of resources and blocks; that a call is one of the exact calls its tool is granted
    /// for is asked last, for it costs a digest.
    ///
    /// # Errors
    /// [`Refused`]; only `Ok` allows.
    pub fn decide<'a>(&'a self, question: &Question<'a>) -> Result<Allowed, Refused<'a>> {
        self.check_time(question.time)?;
        self.check_audience(question.audience)?;
        self.check_depth()?;
        self.costs.check(question.call)?;
        let grant_ids = self.grants.cover(question.call)?;
        let mut resources = question.call.resources.iter();
        if let Some(first) = resources.next() {
            let at_once = |caveat: &Caveat| !matches!(caveat, Caveat::ExactCalls(_));
            self.check_conditions(question, first, at_once)?;
        }
        // Every other condition has been met already: it does not depend on the resource.
        let of_resources = |caveat: &Caveat| matches!(caveat, Caveat::ResourceUnder(_));
        resources
            .try_for_each(|resource| self.check_conditions(question, resource, of_resources))?;
        Ok(Allowed {
            grant_ids,
            exact_use: self.grants.exact_use(question.call)?,
        })
    }

    /// Finds the first condition among those selected that does not hold for one resource.
    fn check_conditions(
        &self,
        question: &Question<'_>,
        resource: &ResourcePath,
        selected: impl Fn(&Caveat) -> bool,
    ) -> Result<(), Refused<'_>> {
        let request = Request {
            time: question.time,
            audience: question.audience,
            depth: self.chain.depth(),
            call: question.call,
            resource,
        };
        let limits = self.grants.limits(&question.call.tool);
        conditions(&self.chain, limits)
            .find(|(_, _, caveat)| selected(caveat) && !caveat.holds(&request))
            .map_or(Ok(()), |(block, delegate, caveat)| {
                Err(Refused::CaveatFailed {
                    block,
                    delegate,
                    caveat,
                })
            })
    }
}

/// The limits of one tool and then the conditions of later blocks, each with its block.
fn conditions<'a>(
    chain: &'a Chain,
    limits: &'a [Caveat],
) -> impl Iterator<Item = (usize, Option<&'a DelegateName>, &'a Caveat)> {
    let of_block = |(index, block): (usize, &'a Arc<ChainBlock>)| {
        let delegate = block.content.delegate.as_ref();
        let caveats = block.content.caveats.iter();
        caveats.map(move |caveat| (index.saturating_add(1), delegate, caveat))
    };
    let blocks = chain.blocks().iter().enumerate();
    let limits = limits.iter().map(|caveat| (0, None, caveat));
    limits.chain(blocks.flat_map(of_block))
}

/// The conditions of later blocks, each with its block's number.
fn caveats(chain: &Chain) -> impl Iterator<Item = (usize, &Caveat)> {
    conditions(chain, &[]).map(|(block, _, caveat)| (block, caveat))
}

fn earliest_end(chain: &Chain) -> (Timestamp, usize) {
    caveats(chain)
        .filter_map(|(block, caveat)| match caveat {
            Caveat::Expiry {
                at,
                inclusive: true,
            } => Some((Timestamp::from_unix(at.unix().saturating_add(1)), block)),
            Caveat::Expiry {
                at,
                inclusive: false,
            } => Some((*at, block)),
            _ => None,
        })
        .fold((chain.authority().expires_at, 0), Ord::min)
}

fn other_audience(chain: &Chain) -> Option<usize> {
    let granted = chain.authority().audience.as_str();
    caveats(chain)
        .find(|(_, caveat)| matches!(caveat, Caveat::Audience(named) if named != granted))
        .map(|(block, _)| block)
}

fn depth_passed(chain: &Chain) -> Option<(i64, usize)> {
    let depth = i64::try_from(chain.depth()).unwrap_or(i64::MAX);
    let bounds = caveats(chain).filter_map(|(block, caveat)| match caveat {
        Caveat::Depth(most) => Some((*most, block)),
        _ => None,
    });
    std::iter::once((i64::from(chain.authority().max_depth), 0))
        .chain(bounds)
        .find(|(most, _)| depth > *most)
}
