//! The facts that every policy can read: their names, the types of their values, and how many of
//! each there can be.

use super::{
    clock,
    value::{Array, Map, Value},
};
use crate::{
    authority::{Authority, PROFILE_VERSION},
    limits::MAX_GRANTS,
    request::Request,
};

/// A fact of the token's authority, of the request, or of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Known {
    Bailiwick,
    Session,
    Approval,
    Application,
    Principal,
    Agent,
    Task,
    RequestDigest,
    Audience,
    IssuedAt,
    ExpiresAt,
    MaxDepth,
    Holder,
    Grant,
    Time,
    TimeOfDay,
    Weekday,
    RequestAudience,
    Tool,
    Access,
    Resource,
    Args,
    Depth,
    PathArg,
    UrlArg,
}

/// What a value of a fact can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// An integer from 0 up to and including this one.
    UpTo(i64),
    Text,
    ToolName,
    Access,
    Weekday,
    Date,
    /// 32 bytes.
    Digest,
    /// The text of a key's thumbprint.
    Thumbprint,
    /// Segments of a resource.
    Path,
    /// The arguments of a call: a map of anything.
    Arguments,
    /// The parts of a URL.
    Url,
    /// The scheme of a URL.
    Scheme,
    /// The host of a URL.
    Host,
    /// One segment of a resource, or null behind the last one.
    Segment,
}

/// How many facts of a name there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    One,
    AtMost(usize),
}

/// How many declared path or URL arguments a join is planned for. More of them are evaluated too,
/// within the budget of steps.
const PLANNED_ARGUMENTS: usize = 64;

use Domain::{
    Access, Arguments, Date, Digest, Path, Text, Thumbprint, ToolName, UpTo, Url, Weekday,
};

impl Known {
    pub(super) const ALL: [Self; 25] = [
        Self::Bailiwick,
        Self::Session,
        Self::Approval,
        Self::Application,
        Self::Principal,
        Self::Agent,
        Self::Task,
        Self::RequestDigest,
        Self::Audience,
        Self::IssuedAt,
        Self::ExpiresAt,
        Self::MaxDepth,
        Self::Holder,
        Self::Grant,
        Self::Time,
        Self::TimeOfDay,
        Self::Weekday,
        Self::RequestAudience,
        Self::Tool,
        Self::Access,
        Self::Resource,
        Self::Args,
        Self::Depth,
        Self::PathArg,
        Self::UrlArg,
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        self.description().0
    }

    pub(super) fn columns(self) -> &'static [Domain] {
        self.description().1
    }

    pub(super) fn count(self) -> Count {
        self.description().2
    }

    pub(super) fn is_unique(self) -> bool {
        self.count() == Count::One
    }

    fn description(self) -> (&'static str, &'static [Domain], Count) {
        use Count::{AtMost, One};
        match self {
            Self::Bailiwick => ("bailiwick", &[UpTo(PROFILE_VERSION)], One),
            Self::Session => ("session", &[Text], One),
            Self::Approval => ("approval", &[Text], One),
            Self::Application => ("application", &[Text], One),
            Self::Principal => ("principal", &[Text], One),
            Self::Agent => ("agent", &[Text], One),
            Self::Task => ("task", &[Text], One),
            Self::RequestDigest => ("request_digest", &[Digest], One),
            Self::Audience => ("audience", &[Text], One),
            Self::IssuedAt => ("issued_at", &[Date], One),
            Self::ExpiresAt => ("expires_at", &[Date], One),
            Self::MaxDepth => ("max_depth", &[UpTo(i64::MAX)], One),
            Self::Holder => ("holder", &[Thumbprint], AtMost(1)),
            Self::Grant => ("grant", &[Text, ToolName, Access, Path], AtMost(MAX_GRANTS)),
            Self::Time => ("time", &[Date], One),
            Self::TimeOfDay => ("time_of_day", &[UpTo(clock::MINUTES_PER_DAY - 1)], One),
            Self::Weekday => ("weekday", &[Weekday], One),
            Self::RequestAudience => ("request_audience", &[Text], One),
            Self::Tool => ("tool", &[ToolName], One),
            Self::Access => ("access", &[Access], One),
            Self::Resource => ("resource", &[Path], One),
            Self::Args => ("args", &[Arguments], One),
            Self::Depth => ("depth", &[UpTo(i64::MAX)], One),
            Self::PathArg => ("path_arg", &[Text, Path], AtMost(PLANNED_ARGUMENTS)),
            Self::UrlArg => ("url_arg", &[Text, Url], AtMost(PLANNED_ARGUMENTS)),
        }
    }

    /// How many facts of this name there are in one evaluation.
    pub(super) fn rows(self, authority: &Authority, request: &Request<'_>) -> usize {
        match self {
            Self::Grant => authority.grants.len(),
            Self::Holder => usize::from(authority.holder.is_some()),
            Self::PathArg => request.call.path_arguments.len(),
            Self::UrlArg => request.call.url_arguments.len(),
            _ => 1,
        }
    }

    /// One value of one fact.
    pub(super) fn cell<'a>(
        self,
        authority: &'a Authority,
        request: &Request<'a>,
        row: usize,
        column: usize,
    ) -> Option<Value<'a>> {
        let call = request.call;
        Some(match self {
            Self::Bailiwick => Value::Integer(PROFILE_VERSION),
            Self::Session => Value::text(authority.session.as_str()),
            Self::Approval => Value::text(authority.approval.as_str()),
            Self::Application => Value::text(authority.application.as_str()),
            Self::Principal => Value::text(authority.principal.as_str()),
            Self::Agent => Value::text(authority.agent.as_str()),
            Self::Task => Value::text(&authority.task),
            Self::RequestDigest => Value::Bytes(&authority.request_digest),
            Self::Audience => Value::text(authority.audience.as_str()),
            Self::IssuedAt => Value::Date(authority.issued_at.unix()),
            Self::ExpiresAt => Value::Date(authority.expires_at.unix()),
            Self::MaxDepth => Value::Integer(i64::from(authority.max_depth)),
            Self::Holder => Value::text(authority.holder.as_ref()?.as_str()),
            Self::Grant => {
                let grant = authority.grants.get(row)?;
                match column {
                    0 => Value::text(&grant.id),
                    1 => Value::text(grant.tool.as_str()),
                    2 => Value::text(grant.access.as_str()),
                    _ => Value::Array(Array::Texts(grant.path.segments())),
                }
            }
            Self::Time => Value::Date(request.time.unix()),
            Self::TimeOfDay => Value::Integer(clock::minute_of_day(request.time)),
            Self::Weekday => Value::text(clock::weekday(request.time)),
            Self::RequestAudience => Value::text(request.audience.as_str()),
            Self::Tool => Value::text(call.tool.as_str()),
            Self::Access => Value::text(call.access.as_str()),
            Self::Resource => Value::Array(Array::Texts(request.resource.segments())),
            Self::Args => Value::Map(Map::Arguments(&call.arguments)),
            Self::Depth => Value::Integer(i64::try_from(request.depth).unwrap_or(i64::MAX)),
            Self::PathArg => {
                let (name, path) = call.path_arguments.get(row)?;
                match column {
                    0 => Value::text(name),
                    _ => Value::Array(Array::Texts(path.segments())),
                }
            }
            Self::UrlArg => {
                let (name, url) = call.url_arguments.get(row)?;
                match column {
                    0 => Value::text(name),
                    _ => Value::Map(Map::Url(url)),
                }
            }
        })
    }
}
