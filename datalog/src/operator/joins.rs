//! How much a rule body may combine, and in which order facts are derived.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    definitions::{Definitions, bodies},
    problem::Problem,
    program::{Derivation, Source},
    syntax::{Query, Statement, StatementKind},
    vocabulary::{Count, Known},
};

/// Most facts in one rule body.
const MAX_FACTS_PER_BODY: usize = 16;
/// Most combinations of facts that one rule body may stand for: every pair of grants, or some
/// tens of thousands of the operator's own facts.
pub(super) const MAX_COMBINATIONS: usize = 65_536;

/// Refuses bodies that combine too much, and facts that are derived from themselves.
pub(super) fn check(
    statements: &[Statement],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let mut sizes = Sizes {
        statements,
        definitions,
        known: BTreeMap::new(),
    };
    let rests = rests(statements);
    for statement in statements {
        if let StatementKind::Derivation { head, .. } = &statement.kind
            && Known::of(&head.name).is_none()
            && rests_on_itself(&rests, &head.name)
        {
            let message = format!("`{}` is derived from itself", head.name);
            problems.push(Problem::new(
                "recursive_rule",
                statement.span.clone(),
                message,
            ));
        }
        for query in bodies(statement) {
            if query.predicates.len() > MAX_FACTS_PER_BODY {
                let message = format!("more than {MAX_FACTS_PER_BODY} facts in one rule body");
                problems.push(Problem::new("join_too_wide", query.span.clone(), message));
            } else if let Some(combinations) = sizes.combinations(query, &mut Vec::new())
                && combinations > MAX_COMBINATIONS
            {
                let message = format!(
                    "up to {combinations} combinations of facts, more than {MAX_COMBINATIONS}"
                );
                problems.push(Problem::new("join_too_wide", query.span.clone(), message));
            }
        }
    }
}

/// For each derived fact, the derived facts that its rules read.
type Rests<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn rests(statements: &[Statement]) -> Rests<'_> {
    let mut rests = Rests::new();
    let derivations = || {
        statements
            .iter()
            .filter_map(|statement| match &statement.kind {
                StatementKind::Derivation { head, body } => Some((head.name.as_str(), body)),
                _ => None,
            })
    };
    for (head, _) in derivations() {
        rests.insert(head, BTreeSet::new());
    }
    for (head, body) in derivations() {
        let read = body
            .predicates
            .iter()
            .map(|predicate| predicate.name.as_str());
        let read: Vec<&str> = read.filter(|name| rests.contains_key(name)).collect();
        rests.entry(head).or_default().extend(read);
    }
    rests
}

/// True when a fact is derived, by way of whatever other facts, from facts of its own name.
fn rests_on_itself(rests: &Rests<'_>, name: &str) -> bool {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut next = vec![name];
    while let Some(read) = next.pop().and_then(|current| rests.get(current)) {
        for other in read {
            if *other == name {
                return true;
            }
            if reached.insert(other) {
                next.push(other);
            }
        }
    }
    false
}

/// The most facts that there can be of a name.
struct Sizes<'a> {
    statements: &'a [Statement],
    definitions: &'a Definitions,
    known: BTreeMap<&'a str, Option<usize>>,
}

impl<'a> Sizes<'a> {
    /// `None` for a fact that is derived from itself. `path` are the facts that led here; it is
    /// no longer than there are rules.
    fn of(&mut self, name: &'a str, path: &mut Vec<&'a str>) -> Option<usize> {
        if let Some(size) = self.known.get(name) {
            return *size;
        }
        if path.contains(&name) {
            return None;
        }
        path.push(name);
        let mut size = Some(self.definitions.ground(name));
        for statement in self.statements {
            if let StatementKind::Derivation { head, body } = &statement.kind
                && head.name == name
            {
                let derived = self.combinations(body, path);
                size = size.zip(derived).map(|(a, b)| a.saturating_add(b));
            }
        }
        path.pop();
        self.known.insert(name, size);
        size
    }

    fn combinations(&mut self, query: &'a Query, path: &mut Vec<&'a str>) -> Option<usize> {
        let mut product = 1_usize;
        for predicate in &query.predicates {
            let size = match Known::of(&predicate.name).map(Known::count) {
                Some(Count::One) => 1,
                Some(Count::AtMost(most)) => most,
                None => self.of(&predicate.name, path)?,
            };
            product = product.saturating_mul(size);
        }
        Some(product)
    }
}

/// Derivations in an order in which each stands after all that it rests on. The relation of a
/// derivation is complete only when all its rules ran, so whole relations are ordered.
pub(super) fn in_order(
    mut derivations: Vec<Derivation>,
    definitions: &Definitions,
) -> Vec<Derivation> {
    let mut done = vec![true; definitions.numbers().len()];
    for derivation in &derivations {
        if let Some(done) = done.get_mut(derivation.relation) {
            *done = false;
        }
    }
    let mut ordered = Vec::new();
    while !derivations.is_empty() {
        let ready = |derivation: &Derivation| {
            derivation.body.atoms.iter().all(|atom| match atom.source {
                Source::Known(_) => true,
                Source::Operator(relation) => done.get(relation).copied().unwrap_or(false),
            })
        };
        let blocked: Vec<usize> = derivations
            .iter()
            .filter(|derivation| !ready(derivation))
            .map(|derivation| derivation.relation)
            .collect();
        let before = derivations.len();
        let (now, later): (Vec<_>, Vec<_>) = derivations
            .into_iter()
            .partition(|derivation| !blocked.contains(&derivation.relation));
        for derivation in &now {
            if let Some(done) = done.get_mut(derivation.relation) {
                *done = true;
            }
        }
        ordered.extend(now);
        derivations = later;
        // A cycle was refused before; never loop on one.
        if derivations.len() == before {
            ordered.append(&mut derivations);
        }
    }
    ordered
}
