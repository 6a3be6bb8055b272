//! Text that came from an agent, made safe to show to a person.
//!
//! Control, bidirectional and invisible characters can make a page say something other than
//! what is signed. They are replaced by a visible mark *once*, at intake, and the same text
//! is then shown, digested and minted.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Letters that Unicode calls ordinary but that leave no ink.
const BLANK: [char; 8] = [
    '\u{034f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{2800}', '\u{3164}', '\u{ffa0}',
];

/// One line of visible text: every character that is not plainly visible becomes `⟨U+XXXX⟩`,
/// line breaks included.
pub(crate) fn visible_line(text: &str) -> String {
    visible(text, |_| false)
}

/// Visible text that may have line breaks; carriage returns before them are dropped, as
/// browsers add them to every form.
pub(crate) fn visible_paragraphs(text: &str) -> String {
    visible(&text.replace("\r\n", "\n"), |character| character == '\n')
}

/// The first character that nobody sees, or that passes for a space.
pub(crate) fn first_hidden(text: &str) -> Option<char> {
    text.chars().find(|character| is_hidden(*character))
}

/// JSON in one line of visible text, and exactly: every character that is not plainly visible is
/// written as JSON escapes it, so that nothing reads like something else that was sent.
pub(crate) fn visible_json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    let mut shown = String::with_capacity(text.len());
    let mut units = [0; 2];
    for character in text.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

fn visible(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.trim().chars() {
        if keep(character) || !is_hidden(character) {
            shown.push(character);
        } else {
            shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(character)));
        }
    }
    shown
}

fn is_hidden(character: char) -> bool {
    let category = get_general_category(character);
    let hidden = matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    let odd_space = category == GeneralCategory::SpaceSeparator && character != ' ';
    hidden || odd_space || is_variation_selector(character) || BLANK.contains(&character)
}

/// Invisible marks that can carry hidden text on any visible letter.
fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_script_is_kept() {
        for text in [
            "Read the Q3 report",
            "Lies den Bericht – größer",
            "概要を読む",
            "קרא",
            "✓ é",
        ] {
            assert_eq!(visible_line(text), text);
        }
    }

    #[test]
    fn hidden_characters_become_visible_marks() {
        for (text, shown) in [
            ("a\u{202e}b", "a⟨U+202E⟩b"),
            ("a\u{200b}b", "a⟨U+200B⟩b"),
            ("a\0b", "a⟨U+0000⟩b"),
            ("a\u{1b}[2Jb", "a⟨U+001B⟩[2Jb"),
            ("a\u{e0041}b", "a⟨U+E0041⟩b"),
            ("a\u{fe0f}b", "a⟨U+FE0F⟩b"),
            ("a\u{3164}b", "a⟨U+3164⟩b"),
            ("a\u{a0}b", "a⟨U+00A0⟩b"),
            ("a\nb", "a⟨U+000A⟩b"),
        ] {
            assert_eq!(visible_line(text), shown);
        }
    }

    #[test]
    fn first_hidden_character_is_found_and_ordinary_ones_are_not() {
        assert_eq!(first_hidden("files/größer 概要"), None);
        assert_eq!(first_hidden("files/re\u{3164}ad"), Some('\u{3164}'));
    }

    #[test]
    fn paragraphs_keep_line_breaks_and_nothing_else_hidden() {
        assert_eq!(visible_paragraphs("a\r\nb\nc\td\r"), "a\nb\nc⟨U+0009⟩d");
    }

    #[test]
    fn showing_twice_changes_nothing() {
        let once = visible_paragraphs("x\u{202e}\u{0}y\n z");
        assert_eq!(visible_paragraphs(&once), once);
    }
}
