//! Points in time as the token format knows them: whole seconds since 1970.
//!
//! Owns [`Timestamp`] and its one text form, RFC 3339 in UTC. Reading a clock is left to the
//! hosts: nothing here asks what time it is.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A point in time, in whole seconds since the Unix epoch.
///
/// Any `u64` can stand in a Biscuit date, so any `u64` can stand here too. Years after 9999
/// have no RFC 3339 form; they are shown as `unix:SECONDS`, which the parser does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Why a value is not a [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The text is not an RFC 3339 date and time with an offset.
    #[error("not an RFC 3339 date and time, such as `2026-01-31T12:00:00Z`")]
    NotRfc3339,
    /// The point in time lies before 1970.
    #[error("a time before 1970 has no place in a token")]
    BeforeEpoch,
}

impl Timestamp {
    /// The Unix epoch itself.
    pub const EPOCH: Self = Self(0);

    /// The point in time `seconds` after the Unix epoch.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// Parses an [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6) date and time.
    ///
    /// Any offset is accepted and converted to UTC. A fraction of a second is cut off, so the
    /// result is never later than the text says.
    ///
    /// # Errors
    ///
    /// [`TimestampError::NotRfc3339`] for any other text, [`TimestampError::BeforeEpoch`] for a
    /// time before 1970.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| TimestampError::NotRfc3339)?
            .try_into()
    }

    /// The RFC 3339 form in UTC, with `Z` and without a fraction.
    ///
    /// For a year after 9999, which RFC 3339 cannot write, `unix:SECONDS`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        i64::try_from(self.0)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|date| date.format(&Rfc3339).ok())
            .unwrap_or_else(|| format!("unix:{}", self.0))
    }

    /// This time moved forward by the whole seconds of `duration`; `None` on overflow.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration.as_secs()).map(Self)
    }

    /// This time moved back by the whole seconds of `duration`; `None` before the epoch.
    #[must_use]
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration.as_secs()).map(Self)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl TryFrom<OffsetDateTime> for Timestamp {
    type Error = TimestampError;

    fn try_from(date: OffsetDateTime) -> Result<Self, Self::Error> {
        let seconds = date.to_offset(UtcOffset::UTC).unix_timestamp();
        u64::try_from(seconds)
            .map(Self)
            .map_err(|_| TimestampError::BeforeEpoch)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-31T12:00:00Z.
    const NOON: Timestamp = Timestamp::from_unix(1_769_860_800);

    #[test]
    fn text_form_is_rfc3339_in_utc() {
        assert_eq!(NOON.to_rfc3339(), "2026-01-31T12:00:00Z");
        assert_eq!(NOON.to_string(), "2026-01-31T12:00:00Z");
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn every_offset_names_the_same_point() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31T02:30:00-09:30",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), Ok(NOON), "{text}");
        }
    }

    #[test]
    fn fractions_are_cut_off_never_rounded_up() {
        assert_eq!(
            Timestamp::parse_rfc3339("2026-01-31T12:00:00.999999999Z"),
            Ok(NOON)
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-13-31T12:00:00Z",
            " 2026-01-31T12:00:00Z",
            "1769860800",
            "unix:1769860800",
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text),
                Err(TimestampError::NotRfc3339),
                "{text}"
            );
        }
    }

    #[test]
    fn the_epoch_is_the_first_time_accepted() {
        assert_eq!(
            Timestamp::parse_rfc3339("1970-01-01T00:00:00Z"),
            Ok(Timestamp::EPOCH)
        );
        assert_eq!(
            Timestamp::parse_rfc3339("1969-12-31T23:59:59Z"),
            Err(TimestampError::BeforeEpoch)
        );
    }

    #[test]
    fn years_after_9999_are_shown_in_seconds() {
        let last = Timestamp::from_unix(253_402_300_799);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::parse_rfc3339(&last.to_string()), Ok(last));
        let beyond = Timestamp::from_unix(253_402_300_800);
        assert_eq!(beyond.to_string(), "unix:253402300800");
        assert_eq!(
            Timestamp::from_unix(u64::MAX).to_string(),
            "unix:18446744073709551615"
        );
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(
            NOON.checked_add(second).map(Timestamp::unix),
            Some(1_769_860_801)
        );
        assert_eq!(Timestamp::from_unix(u64::MAX).checked_add(second), None);
        assert_eq!(
            NOON.checked_sub(second).map(Timestamp::unix),
            Some(1_769_860_799)
        );
        assert_eq!(Timestamp::EPOCH.checked_sub(second), None);
        assert_eq!(
            NOON.saturating_since(Timestamp::EPOCH).as_secs(),
            NOON.unix()
        );
        assert_eq!(Timestamp::EPOCH.saturating_since(NOON), Duration::ZERO);
    }

    #[test]
    fn json_form_is_the_text_form() {
        let json = serde_json::to_string(&NOON).unwrap();
        assert_eq!(json, "\"2026-01-31T12:00:00Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), NOON);
        assert!(serde_json::from_str::<Timestamp>("1769860800").is_err());
    }
}
