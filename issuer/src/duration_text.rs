//! Durations as people write them: `90s`, `15m`, `1h 30m`.

use std::time::Duration;

use thiserror::Error;

/// Longest text looked at.
const MAX_TEXT_BYTES: usize = 32;

/// The text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("write a time such as `90s`, `15m` or `1h 30m`")]
pub(crate) struct DurationTextError;

/// Reads hours, minutes and seconds, each at most once and in that order.
///
/// # Errors
/// [`DurationTextError`] for anything else, a bare number included: it has no unit.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationTextError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(DurationTextError);
    }
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    let mut found = false;
    for (unit, factor) in [('h', 3_600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else {
            continue;
        };
        let number = number.trim();
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DurationTextError);
        }
        let count: u64 = number.parse().map_err(|_| DurationTextError)?;
        let part = count.checked_mul(factor).ok_or(DurationTextError)?;
        seconds = seconds.checked_add(part).ok_or(DurationTextError)?;
        rest = after.trim_start();
        found = true;
    }
    if found && rest.is_empty() {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(DurationTextError)
    }
}

/// Writes whole seconds so that [`parse`] reads them back.
pub(crate) fn format(duration: Duration) -> String {
    let total = duration.as_secs();
    let parts = [
        (total / 3_600, 'h'),
        (total / 60 % 60, 'm'),
        (total % 60, 's'),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if words.is_empty() {
        "0s".to_owned()
    } else {
        words.join(" ")
    }
}

/// Writes whole seconds in words: `1 hour 30 minutes`.
pub(crate) fn in_words(duration: Duration) -> String {
    let total = duration.as_secs();
    let parts = [
        (total / 3_600, "hour"),
        (total / 60 % 60, "minute"),
        (total % 60, "second"),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() {
        "0 seconds".to_owned()
    } else {
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_hours_minutes_and_seconds() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("1h 30m", 5_400),
            ("1h30m5s", 5_405),
            (" 2h ", 7_200),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "15",
            "m",
            "-5m",
            "1.5h",
            "5m 1h",
            "5m5m",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
            "５m",
            "+5m",
            "1h 5",
        ] {
            assert_eq!(parse(bad), Err(DurationTextError), "{bad}");
        }
    }

    #[test]
    fn format_and_parse_are_inverse() {
        for seconds in [0, 1, 59, 60, 61, 899, 900, 3_600, 3_661, 28_800] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse(&format(duration)), Ok(duration));
        }
        assert_eq!(
            in_words(Duration::from_secs(5_401)),
            "1 hour 30 minutes 1 second"
        );
    }
}
