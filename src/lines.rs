//! Lines of a stream, with a bound on how much of one is kept.

use std::io::{self, BufRead, Read as _};

/// Whether a line was read or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineLength {
    /// It was read whole.
    Fits,
    /// It is over the limit and was passed over.
    TooLong,
}

/// Reads the next line of at most `limit` bytes into `line`, without its
/// break. `None` at the end of the stream.
///
/// # Errors
///
/// Those of the stream.
pub(crate) fn next_line(
    from: &mut impl BufRead,
    line: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Option<LineLength>> {
    line.clear();
    let with_break = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    if from.by_ref().take(with_break).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(LineLength::Fits));
    }
    if line.len() <= limit {
        return Ok(Some(LineLength::Fits));
    }
    skip_line(from)?;
    // The buffer grew to the limit; the next lines are likely to be short.
    *line = Vec::new();
    Ok(Some(LineLength::TooLong))
}

fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let waiting = from.fill_buf()?;
        if waiting.is_empty() {
            return Ok(());
        }
        let (length, found) = match waiting.iter().position(|byte| *byte == b'\n') {
            Some(position) => (position.saturating_add(1), true),
            None => (waiting.len(), false),
        };
        from.consume(length);
        if found {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut text: &[u8], limit: usize) -> Vec<(LineLength, String)> {
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while let Some(length) = next_line(&mut text, &mut line, limit).unwrap() {
            lines.push((length, String::from_utf8(line.clone()).unwrap()));
        }
        lines
    }

    #[test]
    fn a_line_of_the_limit_is_kept_and_a_longer_one_passed_over() {
        let fits = |text: &str| (LineLength::Fits, text.to_owned());
        let too_long = (LineLength::TooLong, String::new());
        assert_eq!(
            all(b"abc\n\nabcd\nabcdefgh\nxyz", 3),
            [
                fits("abc"),
                fits(""),
                too_long.clone(),
                too_long.clone(),
                fits("xyz")
            ]
        );
        assert_eq!(all(b"abcd", 3), [too_long]);
        assert_eq!(all(b"", 3), []);
    }
}
