//! Ground values as a policy writes them.

use std::collections::BTreeSet;

use biscuit_auth::builder::{MapKey, Term};

/// A value without variables. Ordered only so that it can stand in sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Constant {
    Integer(i64),
    Text(String),
    /// Seconds since 1970.
    Date(u64),
    Bytes(Vec<u8>),
    Bool(bool),
    Null,
    Set(BTreeSet<Constant>),
    Array(Vec<Constant>),
    /// INVARIANT: ascending by key, each key once.
    Map(Vec<(Key, Constant)>),
}

/// What a map is keyed with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Integer(i64),
    Text(String),
}

impl Constant {
    /// The value as the Biscuit library writes it.
    pub(super) fn to_term(&self) -> Term {
        match self {
            Self::Integer(integer) => Term::Integer(*integer),
            Self::Text(text) => Term::Str(text.clone()),
            Self::Date(seconds) => Term::Date(*seconds),
            Self::Bytes(bytes) => Term::Bytes(bytes.clone()),
            Self::Bool(boolean) => Term::Bool(*boolean),
            Self::Null => Term::Null,
            Self::Set(items) => Term::Set(items.iter().map(Self::to_term).collect()),
            Self::Array(items) => Term::Array(items.iter().map(Self::to_term).collect()),
            Self::Map(members) => Term::Map(
                members
                    .iter()
                    .map(|(key, value)| (key.to_key(), value.to_term()))
                    .collect(),
            ),
        }
    }
}

impl Key {
    fn to_key(&self) -> MapKey {
        match self {
            Self::Integer(integer) => MapKey::Integer(*integer),
            Self::Text(text) => MapKey::Str(text.clone()),
        }
    }
}
