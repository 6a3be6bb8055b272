//! Names that look like other names: letters of one alphabet that pass for those of another.
//!
//! Nothing is refused for it, since names of any script are good names; a person who decides is
//! told. What cannot be seen at all is [`crate::text`]'s. Two names of the same script that look
//! alike, `l` and `I` for one, are not found.

use unicode_security::{
    confusable_detection::skeleton,
    restriction_level::{RestrictionLevel, RestrictionLevelDetection as _},
};

/// A word as long as that is no name; it is looked at no further.
const MAX_WORD_CHARS: usize = 256;

/// What to tell of a name; nothing for most.
pub(crate) fn warning(name: &str) -> Option<String> {
    let words = name.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_ascii())
        .map(|word| word.chars().take(MAX_WORD_CHARS).collect::<String>())
        .find_map(|word| of_word(&word))
}

fn of_word(word: &str) -> Option<String> {
    let looks: String = skeleton(word).collect();
    if looks.is_ascii() {
        return Some(format!(
            "`{word}` looks like `{looks}`, but is written in other letters."
        ));
    }
    // Latin beside Chinese, Japanese, Korean and most others is usual; beside Cyrillic or Greek
    // it is how names are forged (Unicode Technical Standard 39, section 5.2).
    let mixed = word.detect_restriction_level() > RestrictionLevel::ModeratelyRestrictive;
    mixed.then(|| format!("`{word}` mixes letters of several alphabets that look alike."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_names_of_any_script_pass() {
        for name in [
            "reporter-7",
            "größer",
            "概要を読む agent",
            "отчёты/2026",
            "קרא את הדוחות",
            "İstanbul Işık",
            "Q3 報告",
            "",
        ] {
            assert_eq!(warning(name), None, "{name}");
        }
    }

    #[test]
    fn name_written_in_letters_of_another_alphabet_is_told() {
        for (name, like) in [
            ("раураӏ", "paypal"),
            ("files/ѕаlеѕ", "sales"),
            ("ｂａｉｌ", "bail"),
            ("𝗯𝗮𝗶𝗹", "bail"),
            ("bаiliwick", "bailiwick"),
        ] {
            let told = warning(name).unwrap_or_default();
            assert!(
                told.contains(&format!("looks like `{like}`")),
                "{name}: {told}"
            );
        }
    }

    #[test]
    fn word_of_mixed_alphabets_is_told() {
        let told = warning("agent жpaylod").unwrap_or_default();
        assert!(told.contains("several alphabets"), "{told}");
    }
}
