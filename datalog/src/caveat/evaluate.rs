//! Typed evaluation of one caveat.
//!
//! What [`crate::plan`] decides by. The meaning is the Datalog engine's ([`crate::reference`]); a
//! property test and a differential test hold the two together.

use super::{ArgumentConstraint, ArgumentRule, Caveat, HostRule, Scalar, UrlRule};
use crate::{
    call::{ArgumentValue, Call, UrlArgument},
    exact_call::CallDigest,
    request::Request,
};

impl Caveat {
    /// True when `request` meets this caveat. Anything that can't be decided is false.
    pub fn holds(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Expiry {
                at,
                inclusive: true,
            } => request.time <= *at,
            Self::Expiry {
                at,
                inclusive: false,
            } => request.time < *at,
            Self::Tools(names) => names.iter().any(|name| name == request.call.tool.as_str()),
            Self::Access(words) => words
                .iter()
                .any(|word| word == request.call.access.as_str()),
            Self::ResourceUnder(paths) => paths
                .iter()
                .any(|path| request.resource.segments().starts_with(path)),
            Self::Depth(greatest) => i64::try_from(request.depth).is_ok_and(|d| d <= *greatest),
            Self::Audience(audience) => audience == request.audience.as_str(),
            Self::Argument(constraint) => constraint.holds(request.call),
            Self::ClosedWorld(names) => request.call.arguments.iter().all(|(name, value)| {
                *value != ArgumentValue::Unrepresentable && names.iter().any(|n| n == name)
            }),
            Self::ExactCalls(calls) => {
                CallDigest::of(request.call).is_some_and(|call| calls.contains(&call))
            }
        }
    }
}

impl ArgumentConstraint {
    fn holds(&self, call: &Call) -> bool {
        let value = call.arguments.get(&self.name);
        match (&self.rule, value) {
            (_, Some(ArgumentValue::Unrepresentable)) => false,
            (ArgumentRule::Absent, value) => value.is_none(),
            (_, None) => self.optional,
            (ArgumentRule::PathUnder(path), Some(_)) => only(&call.path_arguments, &self.name)
                .is_some_and(|p| p.segments().starts_with(path)),
            (ArgumentRule::Url(rule), Some(_)) => {
                only(&call.url_arguments, &self.name).is_some_and(|url| rule.holds(url))
            }
            (rule, Some(value)) => rule.holds(value),
        }
    }
}

/// The one declared value for `name`; none when the host declared it twice.
fn only<'a, T>(declared: &'a [(String, T)], name: &str) -> Option<&'a T> {
    let mut values = declared
        .iter()
        .filter(|(n, _)| n == name)
        .map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

impl ArgumentRule {
    fn holds(&self, value: &ArgumentValue) -> bool {
        match (self, value) {
            (Self::Exact(wanted), value) => wanted.equals(value),
            (Self::OneOf(wanted), value) => wanted.iter().any(|w| w.equals(value)),
            (Self::Range { min, max }, ArgumentValue::Integer(integer)) => {
                min.is_none_or(|m| *integer >= m) && max.is_none_or(|m| *integer <= m)
            }
            (Self::Prefix(prefix), ArgumentValue::String(text)) => text.starts_with(prefix),
            (Self::Suffix(suffix), ArgumentValue::String(text)) => text.ends_with(suffix),
            (Self::Subset(wanted), ArgumentValue::Array(items)) => items
                .iter()
                .all(|item| wanted.iter().any(|w| w.equals(item))),
            (Self::AnyOf(wanted), ArgumentValue::Array(items)) => items
                .iter()
                .any(|item| wanted.iter().any(|w| w.equals(item))),
            (Self::AllOf(wanted), ArgumentValue::Array(items)) => wanted
                .iter()
                .all(|w| items.iter().any(|item| w.equals(item))),
            (Self::MaxLength(most), ArgumentValue::Array(items)) => at_most(items.len(), *most),
            (Self::Present, _) => true,
            _ => false,
        }
    }
}

impl UrlRule {
    fn holds(&self, url: &UrlArgument) -> bool {
        self.scheme
            .as_ref()
            .is_none_or(|scheme| *scheme == url.scheme)
            && self.host.as_ref().is_none_or(|rule| match rule {
                HostRule::Exact(host) => *host == url.host,
                HostRule::Under(suffix) => url.host.ends_with(suffix),
            })
            && self.port.is_none_or(|port| port == i64::from(url.port))
            && self
                .path_prefix
                .as_ref()
                .is_none_or(|prefix| url.path.starts_with(prefix))
    }
}

impl Scalar {
    fn equals(&self, value: &ArgumentValue) -> bool {
        match (self, value) {
            (Self::String(a), ArgumentValue::String(b)) => a == b,
            (Self::Integer(a), ArgumentValue::Integer(b)) => a == b,
            (Self::Boolean(a), ArgumentValue::Boolean(b)) => a == b,
            _ => false,
        }
    }
}

fn at_most(length: usize, most: i64) -> bool {
    i64::try_from(length).is_ok_and(|length| length <= most)
}
