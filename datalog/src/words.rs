//! Text from tokens and requests, made safe to show.

use crate::name::is_control_or_format;

/// Longest excerpt of foreign text in a message, in characters.
const MAX_SHOWN: usize = 200;

/// Foreign text for people: control and format characters (line breaks, ANSI escapes, bidi and
/// zero-width characters) escaped as `\u{…}`, backticks too, and cut after 200 characters.
/// Does not escape HTML; templates do.
pub fn visible(text: &str) -> String {
    // Most texts need nothing of this.
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'`';
    if text.len() <= MAX_SHOWN && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN));
    for (count, character) in text.chars().enumerate() {
        if count == MAX_SHOWN {
            shown.push('…');
            break;
        }
        if is_control_or_format(character) || matches!(character, '`' | '\u{2028}' | '\u{2029}') {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_shown_escaped_and_cut() {
        assert_eq!(visible("plain ü text"), "plain ü text");
        assert_eq!(visible("a\r\n\u{1b}[31m"), "a\\u{d}\\u{a}\\u{1b}[31m");
        assert_eq!(
            visible("x\u{202e}y\u{2028}`"),
            "x\\u{202e}y\\u{2028}\\u{60}"
        );
        assert_eq!(visible(&"a".repeat(200)), "a".repeat(200));
        assert_eq!(visible(&"a".repeat(201)), format!("{}…", "a".repeat(200)));
    }
}
