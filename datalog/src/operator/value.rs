//! Values as an evaluation sees them: borrowed from the policy, the token's authority or the call.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    constant::{Constant, Key},
    steps::{EvaluationError, Failure, Steps},
};
use crate::call::{ArgumentValue, Arguments, UrlArgument};

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Integer(i64),
    Text(Cow<'a, str>),
    Date(u64),
    Bytes(&'a [u8]),
    Bool(bool),
    Null,
    Set(Set<'a>),
    Array(Array<'a>),
    Map(Map<'a>),
}

/// A set: one of the policy's, or one computed from such.
#[derive(Clone, Debug)]
pub(super) enum Set<'a> {
    Written(&'a BTreeSet<Constant>),
    /// INVARIANT: ascending, each item once.
    Computed(Vec<&'a Constant>),
}

/// An array, where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Array<'a> {
    Constants(&'a [Constant]),
    Texts(&'a [String]),
    Arguments(&'a [ArgumentValue]),
    /// One member of a map, as closures see it: its key and its value.
    Entry(KeyRef<'a>, Item<'a>),
}

/// A map, where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Map<'a> {
    Constants(&'a [(Key, Constant)]),
    Arguments(&'a Arguments),
    Object(&'a [(String, ArgumentValue)]),
    Url(&'a UrlArgument),
}

/// The key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRef<'a> {
    Integer(i64),
    Text(&'a str),
}

/// A value inside an array or a map, not looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Constant(&'a Constant),
    Argument(&'a ArgumentValue),
    Text(&'a str),
    Integer(i64),
}

impl<'a> Value<'a> {
    pub(super) fn of(constant: &'a Constant) -> Self {
        match constant {
            Constant::Integer(integer) => Self::Integer(*integer),
            Constant::Text(text) => Self::text(text),
            Constant::Date(seconds) => Self::Date(*seconds),
            Constant::Bytes(bytes) => Self::Bytes(bytes),
            Constant::Bool(boolean) => Self::Bool(*boolean),
            Constant::Null => Self::Null,
            Constant::Set(items) => Self::Set(Set::Written(items)),
            Constant::Array(items) => Self::Array(Array::Constants(items)),
            Constant::Map(members) => Self::Map(Map::Constants(members)),
        }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// The name of the value's type, as `.type()` gives it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Integer(_) => "integer",
            Self::Text(_) => "string",
            Self::Date(_) => "date",
            Self::Bytes(_) => "bytes",
            Self::Bool(_) => "bool",
            Self::Null => "null",
            Self::Set(_) => "set",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
        }
    }

    /// Equality of type and value, all the way down.
    pub(super) fn same(&self, other: &Value<'_>, steps: &mut Steps) -> Result<bool, Failure> {
        Ok(match (self, other) {
            (Self::Integer(a), Value::Integer(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => {
                steps.take_for_bytes(a.len().min(b.len()))?;
                a == b
            }
            (Self::Date(a), Value::Date(b)) => a == b,
            (Self::Bytes(a), Value::Bytes(b)) => {
                steps.take_for_bytes(a.len().min(b.len()))?;
                a == b
            }
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Null, Value::Null) => true,
            (Self::Set(a), Value::Set(b)) => {
                steps.take(a.len().min(b.len()))?;
                a.items().eq(b.items())
            }
            (Self::Array(a), Value::Array(b)) => a.same(*b, steps)?,
            (Self::Map(a), Value::Map(b)) => a.same(*b, steps)?,
            _ => false,
        })
    }
}

impl<'a> Item<'a> {
    /// Looks at the value.
    ///
    /// # Errors
    /// [`EvaluationError::Unrepresentable`] for an argument of which nothing can be said.
    pub(super) fn value(self) -> Result<Value<'a>, Failure> {
        Ok(match self {
            Self::Constant(constant) => Value::of(constant),
            Self::Text(text) => Value::text(text),
            Self::Integer(integer) => Value::Integer(integer),
            Self::Argument(argument) => match argument {
                ArgumentValue::String(text) => Value::text(text),
                ArgumentValue::Integer(integer) => Value::Integer(*integer),
                ArgumentValue::Boolean(boolean) => Value::Bool(*boolean),
                ArgumentValue::Array(items) => Value::Array(Array::Arguments(items)),
                ArgumentValue::Object(members) => Value::Map(Map::Object(members)),
                ArgumentValue::Unrepresentable => {
                    return Err(EvaluationError::Unrepresentable.into());
                }
            },
        })
    }
}

impl<'a> Set<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Written(items) => items.len(),
            Self::Computed(items) => items.len(),
        }
    }

    /// The items, ascending.
    pub(super) fn items(&self) -> impl Iterator<Item = &'a Constant> {
        let (written, computed) = match self {
            Self::Written(items) => (Some(items.iter()), None),
            Self::Computed(items) => (None, Some(items.iter().copied())),
        };
        let written = written.into_iter().flatten();
        written.chain(computed.into_iter().flatten())
    }

    /// True when an item has the type and value of `member`.
    pub(super) fn contains(&self, member: &Value<'_>, steps: &mut Steps) -> Result<bool, Failure> {
        for item in self.items() {
            steps.take(1)?;
            if Value::of(item).same(member, steps)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<'a> Array<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Constants(items) => items.len(),
            Self::Texts(items) => items.len(),
            Self::Arguments(items) => items.len(),
            Self::Entry(..) => 2,
        }
    }

    pub(super) fn get(self, index: usize) -> Option<Item<'a>> {
        match (self, index) {
            (Self::Constants(items), _) => items.get(index).map(Item::Constant),
            (Self::Texts(items), _) => items.get(index).map(|text| Item::Text(text)),
            (Self::Arguments(items), _) => items.get(index).map(Item::Argument),
            (Self::Entry(KeyRef::Text(key), _), 0) => Some(Item::Text(key)),
            (Self::Entry(KeyRef::Integer(key), _), 0) => Some(Item::Integer(key)),
            (Self::Entry(_, value), 1) => Some(value),
            (Self::Entry(..), _) => None,
        }
    }

    pub(super) fn items(self) -> impl DoubleEndedIterator<Item = Item<'a>> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }

    pub(super) fn same(self, other: Array<'_>, steps: &mut Steps) -> Result<bool, Failure> {
        Ok(self.len() == other.len() && all_same(self.items(), other.items(), steps)?)
    }

    pub(super) fn starts_with(self, start: Array<'_>, steps: &mut Steps) -> Result<bool, Failure> {
        Ok(self.len() >= start.len() && all_same(self.items(), start.items(), steps)?)
    }

    pub(super) fn ends_with(self, end: Array<'_>, steps: &mut Steps) -> Result<bool, Failure> {
        let (own, last) = (self.items().rev(), end.items().rev());
        Ok(self.len() >= end.len() && all_same(own, last, steps)?)
    }
}

/// Compares two runs of values as far as both go.
fn all_same<'a, 'b>(
    left: impl Iterator<Item = Item<'a>>,
    right: impl Iterator<Item = Item<'b>>,
    steps: &mut Steps,
) -> Result<bool, Failure> {
    for (left, right) in left.zip(right) {
        steps.take(1)?;
        if !left.value()?.same(&right.value()?, steps)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl<'a> Map<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Constants(members) => members.len(),
            Self::Arguments(arguments) => arguments.len(),
            Self::Object(members) => members.len(),
            Self::Url(_) => URL_PARTS.len(),
        }
    }

    pub(super) fn get(
        self,
        key: KeyRef<'_>,
        steps: &mut Steps,
    ) -> Result<Option<Item<'a>>, Failure> {
        Ok(match (self, key) {
            (Self::Constants(members), _) => {
                steps.take(members.len())?;
                let mut members = members.iter();
                members
                    .find(|(own, _)| KeyRef::of(own) == key)
                    .map(|(_, value)| Item::Constant(value))
            }
            (Self::Arguments(arguments), KeyRef::Text(name)) => {
                arguments.get(name).map(Item::Argument)
            }
            (Self::Object(members), KeyRef::Text(name)) => {
                steps.take(members.len())?;
                let mut members = members.iter();
                members
                    .find(|(own, _)| own == name)
                    .map(|(_, value)| Item::Argument(value))
            }
            (Self::Url(url), KeyRef::Text(part)) => url_part(url, part),
            (Self::Arguments(_) | Self::Object(_) | Self::Url(_), KeyRef::Integer(_)) => None,
        })
    }

    /// The members; their order means nothing.
    pub(super) fn members(self) -> impl Iterator<Item = (KeyRef<'a>, Item<'a>)> {
        (0..self.len()).filter_map(move |index| self.member(index))
    }

    fn member(self, index: usize) -> Option<(KeyRef<'a>, Item<'a>)> {
        match self {
            Self::Constants(members) => {
                let (key, value) = members.get(index)?;
                Some((KeyRef::of(key), Item::Constant(value)))
            }
            Self::Arguments(arguments) => {
                let (name, value) = arguments.at(index)?;
                Some((KeyRef::Text(name), Item::Argument(value)))
            }
            Self::Object(members) => {
                let (name, value) = members.get(index)?;
                Some((KeyRef::Text(name), Item::Argument(value)))
            }
            Self::Url(url) => {
                let part = URL_PARTS.get(index)?;
                Some((KeyRef::Text(part), url_part(url, part)?))
            }
        }
    }

    pub(super) fn same(self, other: Map<'_>, steps: &mut Steps) -> Result<bool, Failure> {
        if self.len() != other.len() {
            return Ok(false);
        }
        for (key, value) in self.members() {
            steps.take(1)?;
            let Some(counterpart) = other.get(key, steps)? else {
                return Ok(false);
            };
            if !value.value()?.same(&counterpart.value()?, steps)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<'a> KeyRef<'a> {
    fn of(key: &'a Key) -> Self {
        match key {
            Key::Integer(integer) => Self::Integer(*integer),
            Key::Text(text) => Self::Text(text),
        }
    }
}

/// The parts of a URL argument.
pub(super) const URL_PARTS: [&str; 4] = ["scheme", "host", "port", "path"];

fn url_part<'a>(url: &'a UrlArgument, part: &str) -> Option<Item<'a>> {
    match part {
        "scheme" => Some(Item::Text(&url.scheme)),
        "host" => Some(Item::Text(&url.host)),
        "port" => Some(Item::Integer(i64::from(url.port))),
        "path" => Some(Item::Text(&url.path)),
        _ => None,
    }
}
