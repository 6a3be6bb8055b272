//! What a decision costs, counted before it is made (profile rule 22).

use super::{Refused, caveats, weight};
use crate::{
    call::{ArgumentValue, Call, MAX_RESOURCES},
    caveat::{ArgumentConstraint, ArgumentRule, Caveat},
    chain::Chain,
    limits::{MAX_ARGUMENTS, MAX_LIST_COMPARISONS},
};

/// How many comparisons a chain asks of a call, as far as it is known without one.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    /// Conditions that cost one comparison whatever the call.
    simple: usize,
    /// Names in all closed worlds: each is compared with each argument.
    closed_names: usize,
    /// Conditions on a list: the argument, and how many values each item is compared with.
    lists: Vec<(String, usize)>,
}

impl Costs {
    pub(super) fn of(chain: &Chain) -> Self {
        let limits = chain.authority().limits.iter().map(|limit| &limit.caveat);
        limits
            .chain(caveats(chain).map(|(_, caveat)| caveat))
            .fold(Self::default(), Self::plus)
    }

    fn plus(mut self, caveat: &Caveat) -> Self {
        match caveat {
            Caveat::ClosedWorld(names) => {
                self.closed_names = self.closed_names.saturating_add(names.len());
            }
            Caveat::Argument(ArgumentConstraint {
                name,
                rule:
                    ArgumentRule::Subset(values)
                    | ArgumentRule::AnyOf(values)
                    | ArgumentRule::AllOf(values),
                ..
            }) => self.lists.push((name.clone(), values.len())),
            _ => self.simple = self.simple.saturating_add(1),
        }
        self
    }

    pub(super) fn weight(&self) -> usize {
        let lists = self.lists.iter().map(|(name, _)| weight::text(name));
        lists.fold(0, usize::saturating_add)
    }

    /// Comparisons of list items that a decision on `call` may need.
    fn comparisons(&self, call: &Call) -> usize {
        let closed = self.closed_names.saturating_mul(call.arguments.len());
        let lists = self
            .lists
            .iter()
            .map(|(name, values)| match call.arguments.get(name) {
                Some(ArgumentValue::Array(items)) => values.saturating_mul(items.len()),
                _ => *values,
            });
        lists.fold(self.simple.saturating_add(closed), usize::saturating_add)
    }

    /// Refuses a call that asks for too much, before anything is compared.
    pub(super) fn check(&self, call: &Call) -> Result<(), Refused<'static>> {
        let bound = |what, count, limit| match count > limit {
            true => Err(Refused::LimitExceeded { what, count, limit }),
            false => Ok(()),
        };
        bound("resources of one call", call.resources.len(), MAX_RESOURCES)?;
        bound("arguments of one call", call.arguments.len(), MAX_ARGUMENTS)?;
        bound(
            "comparisons of list items",
            self.comparisons(call),
            MAX_LIST_COMPARISONS,
        )
    }
}
