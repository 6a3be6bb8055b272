//! Spans of time as people type them: `90s`, `10m`, `1h30m`, `2d`.
//!
//! A bare number is refused, because whoever types `--for 10` may mean seconds
//! or minutes and the difference is somebody's access.

use std::time::Duration;

/// Reads a span of at least one second.
///
/// # Errors
///
/// A sentence naming what is wrong: an empty text, a missing or unknown unit,
/// a unit out of order, or a span that is zero or too long to count.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut seconds: u64 = 0;
    let mut smallest = u64::MAX;
    let mut digits = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit = seconds_in(character)
            .ok_or_else(|| format!("unknown unit `{character}` in `{text}`; use d, h, m or s"))?;
        if unit >= smallest {
            return Err(format!(
                "write the larger unit of `{text}` first, and each once"
            ));
        }
        let count: u64 = digits
            .parse()
            .map_err(|_| format!("`{character}` in `{text}` needs a number"))?;
        seconds = count
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(|| format!("`{text}` is too long"))?;
        smallest = unit;
        digits.clear();
    }
    if !digits.is_empty() {
        return Err(format!(
            "`{text}` needs a unit, such as `{digits}m` for minutes"
        ));
    }
    if seconds == 0 {
        return Err("the span has to be at least one second, such as `10m`".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a span as [`parse`] reads it, exact to the second.
pub(crate) fn format(span: Duration) -> String {
    let mut rest = span.as_secs();
    let mut text = String::new();
    for unit in ['d', 'h', 'm', 's'] {
        let size = seconds_in(unit).unwrap_or(1);
        let count = rest.checked_div(size).unwrap_or(0);
        rest = rest.checked_rem(size).unwrap_or(0);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn seconds_in(unit: char) -> Option<u64> {
    match unit {
        'd' => Some(86_400),
        'h' => Some(3_600),
        'm' => Some(60),
        's' => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("2d"), Ok(Duration::from_secs(172_800)));
    }

    #[test]
    fn anything_ambiguous_is_refused() {
        for text in [
            "",
            "10",
            "m",
            "10x",
            "0m",
            "1m1h",
            "1m1m",
            "-1m",
            "1.5h",
            " 1m",
            "99999999999999999999d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("18446744073709551615d").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for seconds in [1, 59, 60, 61, 3_600, 5_400, 86_400, 90_061] {
            let span = Duration::from_secs(seconds);
            assert_eq!(parse(&format(span)), Ok(span));
        }
        assert_eq!(format(Duration::ZERO), "0s");
    }
}
