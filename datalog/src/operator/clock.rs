//! What Datalog can't compute from a date: the minute of the day and the day of the week, both in
//! UTC.

use crate::timestamp::Timestamp;

/// Days of the week, from the one on which 1970 began.
pub(super) const WEEKDAYS: [&str; 7] = [
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
];

/// Minutes in a day; the minute of a day is below.
pub(super) const MINUTES_PER_DAY: i64 = 1_440;

const SECONDS_PER_MINUTE: u64 = 60;
const SECONDS_PER_DAY: u64 = 86_400;

/// Whole minutes since midnight UTC: 0 to 1439.
pub(super) fn minute_of_day(time: Timestamp) -> i64 {
    let minute = time.unix() % SECONDS_PER_DAY / SECONDS_PER_MINUTE;
    // Below 1440, whatever the time.
    i64::try_from(minute).unwrap_or_default()
}

/// The day of the week in UTC.
pub(super) fn weekday(time: Timestamp) -> &'static str {
    let days = time.unix() / SECONDS_PER_DAY % 7;
    let index = usize::try_from(days).unwrap_or_default();
    WEEKDAYS.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_of_the_day_turns_at_midnight_utc() {
        let minute = |text: &str| minute_of_day(Timestamp::parse_rfc3339(text).unwrap());
        assert_eq!(minute("2026-01-31T00:00:00Z"), 0);
        assert_eq!(minute("2026-01-31T00:00:59Z"), 0);
        assert_eq!(minute("2026-01-31T00:01:00Z"), 1);
        assert_eq!(minute("2026-01-31T23:59:59Z"), 1_439);
        assert_eq!(minute("2026-02-01T00:30:00+01:00"), 1_410);
        assert!(minute_of_day(Timestamp::from_unix(u64::MAX)) < MINUTES_PER_DAY);
    }

    #[test]
    fn the_day_of_the_week_is_that_of_utc() {
        let day = |text: &str| weekday(Timestamp::parse_rfc3339(text).unwrap());
        assert_eq!(day("1970-01-01T00:00:00Z"), "thursday");
        assert_eq!(day("2026-01-31T23:59:59Z"), "saturday");
        assert_eq!(day("2026-02-01T00:00:00Z"), "sunday");
        assert_eq!(day("2026-02-01T00:30:00+01:00"), "saturday");
        assert_eq!(day("2024-02-29T12:00:00Z"), "thursday");
        assert!(WEEKDAYS.contains(&weekday(Timestamp::from_unix(u64::MAX))));
    }
}
