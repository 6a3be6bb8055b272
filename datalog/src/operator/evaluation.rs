//! A compiled policy, run on one request. Nothing is built for it: facts are read where they lie,
//! and only derived facts take memory.
//!
//! Every combination of facts is looked at, so the answer does not depend on their order: an
//! error in one of them is an error, even if another one matches.

use super::{
    constant::Constant,
    expression::{MAX_VARIABLES, Slots},
    program::{Atom, Column, CompiledRule, Derivation, Join, Program, Source},
    refused::RuleRef,
    steps::{Failure, Steps},
    syntax::RuleKind,
    value::Value,
};
use crate::{authority::Authority, request::Request};

/// The facts of one evaluation.
pub(super) struct World<'a> {
    program: &'a Program,
    authority: &'a Authority,
    request: &'a Request<'a>,
    /// Derived facts, by the number of their relation; empty where nothing is derived.
    derived: Vec<Vec<Vec<Value<'a>>>>,
}

/// How a join is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Is there a combination of which every condition holds?
    Exists,
    /// Are there combinations, and do the conditions hold for each?
    All,
}

impl<'a> World<'a> {
    /// Derives what the policy derives.
    ///
    /// # Errors
    /// The rule whose evaluation came to no answer, and why.
    pub(super) fn new(
        program: &'a Program,
        authority: &'a Authority,
        request: &'a Request<'a>,
        steps: &mut Steps,
    ) -> Result<Self, (&'a RuleRef, Failure)> {
        let mut world = Self {
            program,
            authority,
            request,
            derived: Vec::new(),
        };
        if !program.derivations.is_empty() {
            world.derived.resize_with(program.relations.len(), Vec::new);
        }
        for derivation in &program.derivations {
            let rows = world.derive(derivation, steps);
            let rows = rows.map_err(|failure| (&derivation.rule, failure))?;
            if let Some(relation) = world.derived.get_mut(derivation.relation) {
                relation.extend(rows);
            }
        }
        Ok(world)
    }

    /// True when the rule's body matches, for `allow if` and `deny if`; when it holds, for checks.
    pub(super) fn answers(
        &self,
        rule: &'a CompiledRule,
        slots: &mut Slots<'a>,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        let (reading, wanted) = match rule.kind {
            RuleKind::AllowIf | RuleKind::DenyIf | RuleKind::CheckIf => (Reading::Exists, true),
            RuleKind::CheckAll => (Reading::All, true),
            // As the engine reads it: one alternative that does not match is enough.
            RuleKind::RejectIf => (Reading::Exists, false),
        };
        for alternative in &rule.alternatives {
            if self.reads(alternative, reading, slots, steps)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn reads(
        &self,
        join: &'a Join,
        reading: Reading,
        slots: &mut Slots<'a>,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        let (mut found, mut any, mut every) = (false, false, true);
        self.combine(&join.atoms, slots, steps, &mut |slots, steps| {
            let holds = conditions_hold(join, slots, steps)?;
            found = true;
            any |= holds;
            every &= holds;
            // Without conditions, nothing can go wrong in the other combinations.
            Ok(match join.conditions.is_empty() {
                true => Flow::Enough,
                false => Flow::More,
            })
        })?;
        Ok(match reading {
            Reading::Exists => any,
            Reading::All => found && every,
        })
    }

    fn derive(
        &self,
        derivation: &'a Derivation,
        steps: &mut Steps,
    ) -> Result<Vec<Vec<Value<'a>>>, Failure> {
        let mut rows: Vec<Vec<Value<'a>>> = Vec::new();
        let body = &derivation.body;
        self.combine(&body.atoms, &mut empty(), steps, &mut |slots, steps| {
            if conditions_hold(body, slots, steps)? {
                let values = derivation.head.iter().filter_map(|column| match column {
                    Column::Constant(constant) => Some(Value::of(constant)),
                    Column::Bind(slot) | Column::Bound(slot) => slots.get(*slot)?.clone(),
                });
                let row: Vec<_> = values.collect();
                if !is_among(&rows, &row, steps)? {
                    rows.push(row);
                }
            }
            Ok(Flow::More)
        })?;
        Ok(rows)
    }

    /// Calls `found` with every combination of facts that fits the atoms, until it has enough.
    fn combine(
        &self,
        atoms: &'a [Atom],
        slots: &mut Slots<'a>,
        steps: &mut Steps,
        found: &mut dyn FnMut(&mut Slots<'a>, &mut Steps) -> Result<Flow, Failure>,
    ) -> Result<Flow, Failure> {
        let Some((atom, rest)) = atoms.split_first() else {
            return found(slots, steps);
        };
        for row in 0..self.rows(atom.source) {
            steps.take(1)?;
            if self.fits(atom, row, slots, steps)?
                && self.combine(rest, slots, steps, found)? == Flow::Enough
            {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    /// True when one fact fits an atom; binds the variables that have no value yet.
    fn fits(
        &self,
        atom: &'a Atom,
        row: usize,
        slots: &mut Slots<'a>,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        for (index, column) in atom.columns.iter().enumerate() {
            let Some(value) = self.cell(atom.source, row, index) else {
                return Ok(false);
            };
            let fits = match column {
                Column::Constant(constant) => Value::of(constant).same(&value, steps)?,
                Column::Bind(slot) => {
                    if let Some(place) = slots.get_mut(*slot) {
                        *place = Some(value);
                    }
                    true
                }
                Column::Bound(slot) => match slots.get(*slot) {
                    Some(Some(bound)) => bound.same(&value, steps)?,
                    _ => false,
                },
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn rows(&self, source: Source) -> usize {
        match source {
            Source::Known(known) => known.rows(self.authority, self.request),
            Source::Operator(relation) => {
                let derived = self.derived.get(relation).map_or(0, Vec::len);
                self.ground(relation).len().saturating_add(derived)
            }
        }
    }

    fn cell(&self, source: Source, row: usize, column: usize) -> Option<Value<'a>> {
        match source {
            Source::Known(known) => known.cell(self.authority, self.request, row, column),
            Source::Operator(relation) => {
                let ground = self.ground(relation);
                match row.checked_sub(ground.len()) {
                    None => ground.get(row)?.get(column).map(Value::of),
                    Some(derived) => {
                        let row = self.derived.get(relation)?.get(derived)?;
                        row.get(column).cloned()
                    }
                }
            }
        }
    }

    fn ground(&self, relation: usize) -> &'a [Vec<Constant>] {
        let relation = self.program.relations.get(relation);
        relation.map_or(&[], |relation| &relation.rows)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    More,
    Enough,
}

/// No values yet. One set of slots does for all rules: a body fills a slot before it reads it.
pub(super) fn empty<'a>() -> Slots<'a> {
    [const { None }; MAX_VARIABLES]
}

/// The conditions in their order; one that does not hold ends it, as in the engine.
fn conditions_hold<'a>(
    join: &'a Join,
    slots: &mut Slots<'a>,
    steps: &mut Steps,
) -> Result<bool, Failure> {
    for condition in &join.conditions {
        if !condition.holds(slots, steps)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_among(
    rows: &[Vec<Value<'_>>],
    row: &[Value<'_>],
    steps: &mut Steps,
) -> Result<bool, Failure> {
    for known in rows {
        let mut same = known.len() == row.len();
        for (left, right) in known.iter().zip(row) {
            steps.take(1)?;
            same = same && left.same(right, steps)?;
        }
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}
