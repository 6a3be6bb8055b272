//! The facts that a policy defines itself: ground ones and derived ones.

use std::collections::BTreeMap;

use super::{
    constant::Constant,
    problem::Problem,
    program::{Program, Relation, RelationNumbers},
    syntax::{Predicate, Query, Statement, StatementKind},
    types::Kind,
    vocabulary::Known,
};

/// Every fact that a policy defines, by name.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    arities: BTreeMap<String, usize>,
    numbers: RelationNumbers,
    /// How many ground facts of a name there are.
    ground: BTreeMap<String, usize>,
    /// Types of the values of each fact, where all its definitions write one of the same type.
    kinds: BTreeMap<String, Vec<Kind>>,
}

impl Definitions {
    /// Collects the definitions; one that may not be made becomes a problem.
    pub(super) fn of(statements: &[Statement], problems: &mut Vec<Problem>) -> Self {
        let mut definitions = Self::default();
        for head in statements.iter().filter_map(head) {
            if Known::of(&head.name).is_some() {
                let message = format!(
                    "`{}` is a fact of the token or the request; no policy may define it",
                    head.name
                );
                let span = head.name_span.clone();
                problems.push(Problem::new("reserved_fact", span, message));
                continue;
            }
            let arity = *definitions
                .arities
                .entry(head.name.clone())
                .or_insert(head.terms.len());
            if arity != head.terms.len() {
                problems.push(wrong_arity(head, arity));
            }
            let next = definitions.numbers.len();
            definitions.numbers.entry(head.name.clone()).or_insert(next);
            definitions.add_kinds(head);
        }
        for statement in statements {
            if let StatementKind::Fact(fact) = &statement.kind {
                let count = definitions.ground.entry(fact.name.clone()).or_default();
                *count = count.saturating_add(1);
            }
        }
        definitions
    }

    fn add_kinds(&mut self, head: &Predicate) {
        let kinds = head
            .terms
            .iter()
            .map(|term| term.constant().map_or(Kind::Unknown, Kind::of));
        match self.kinds.get_mut(&head.name) {
            None => {
                self.kinds.insert(head.name.clone(), kinds.collect());
            }
            Some(known) => {
                for (known, kind) in known.iter_mut().zip(kinds) {
                    if *known != kind {
                        *known = Kind::Unknown;
                    }
                }
            }
        }
    }

    /// The type that a value has in every fact of this name.
    pub(super) fn column_kind(&self, name: &str, column: usize) -> Option<Kind> {
        self.kinds.get(name)?.get(column).copied()
    }

    pub(super) fn arity(&self, name: &str) -> Option<usize> {
        self.arities.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.arities.keys().map(String::as_str)
    }

    pub(super) fn numbers(&self) -> &RelationNumbers {
        &self.numbers
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// How many ground facts of this name there are.
    pub(super) fn ground(&self, name: &str) -> usize {
        self.ground.get(name).copied().unwrap_or_default()
    }

    /// A program with the ground facts and nothing else.
    pub(super) fn program(&self, statements: &[Statement]) -> Program {
        let mut relations = vec![Relation::default(); self.numbers.len()];
        for statement in statements {
            let Some(head) = head(statement) else {
                continue;
            };
            let relation = self.number(&head.name).and_then(|at| relations.get_mut(at));
            if let (Some(relation), StatementKind::Fact(_)) = (relation, &statement.kind) {
                let values = head
                    .terms
                    .iter()
                    .filter_map(|term| term.constant().cloned());
                let row: Vec<Constant> = values.collect();
                relation.rows.push(row);
            }
        }
        Program {
            relations,
            ..Program::default()
        }
    }
}

/// What a statement defines.
pub(super) fn head(statement: &Statement) -> Option<&Predicate> {
    match &statement.kind {
        StatementKind::Fact(head) | StatementKind::Derivation { head, .. } => Some(head),
        StatementKind::Rule { .. } => None,
    }
}

/// The bodies of a statement.
pub(super) fn bodies(statement: &Statement) -> &[Query] {
    match &statement.kind {
        StatementKind::Fact(_) => &[],
        StatementKind::Derivation { body, .. } => std::slice::from_ref(body),
        StatementKind::Rule { queries, .. } => queries,
    }
}

pub(super) fn wrong_arity(predicate: &Predicate, arity: usize) -> Problem {
    let values = |count: usize| match count {
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    };
    let message = format!(
        "`{}` has {}, not {}",
        predicate.name,
        values(arity),
        predicate.terms.len()
    );
    Problem::new("wrong_arity", predicate.span.clone(), message)
}
