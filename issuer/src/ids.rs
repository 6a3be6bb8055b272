//! Identifiers the issuer makes up: request and session ids, and the code a person types.

use crate::entropy::Entropy;

/// Consonants without the ones that look alike (RFC 8628 section 6.1): no vowels, so no
/// words; eight of twenty letters are 34.5 bits.
const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LETTERS: usize = 8;

/// A fresh id such as `ses_3f…`: a prefix that says what it names and 128 random bits.
pub(crate) fn fresh_id(prefix: &str, entropy: &Entropy) -> String {
    format!("{prefix}_{}", hex::encode(entropy.bytes::<16>()))
}

/// The code that ties a browser to an agent's request: `XXXX-XXXX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserCode(String);

impl UserCode {
    /// Draws a code; each letter is equally likely.
    pub(crate) fn generate(entropy: &Entropy) -> Self {
        let mut letters = String::new();
        while letters.len() < USER_CODE_LETTERS {
            let [byte] = entropy.bytes::<1>();
            // 240 is the greatest multiple of 20 in a byte; above it the draw would be skewed.
            if let Some(letter) = USER_CODE_ALPHABET.get(usize::from(byte) % 20)
                && byte < 240
            {
                letters.push(char::from(*letter));
            }
        }
        Self(letters)
    }

    /// Reads a code as typed: case, spaces and dashes do not matter. `None` when it cannot
    /// be a code.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let letters: String = typed
            .chars()
            .filter(|c| !matches!(c, ' ' | '-'))
            .map(|c| c.to_ascii_uppercase())
            .take(USER_CODE_LETTERS + 1)
            .collect();
        let known = letters.bytes().all(|b| USER_CODE_ALPHABET.contains(&b));
        (known && letters.len() == USER_CODE_LETTERS).then_some(Self(letters))
    }

    /// The letters alone, as stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The letters as shown.
    pub(crate) fn grouped(&self) -> String {
        let (first, second) = self
            .0
            .split_at_checked(USER_CODE_LETTERS / 2)
            .unwrap_or_default();
        format!("{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn user_code_carries_at_least_34_bits() {
        let letters: BTreeSet<u8> = USER_CODE_ALPHABET.iter().copied().collect();
        assert_eq!(letters.len(), USER_CODE_ALPHABET.len(), "none is twice");
        let length = u32::try_from(USER_CODE_LETTERS).unwrap();
        assert!(letters.len().pow(length) >= 1 << 34);
    }

    #[test]
    fn user_code_is_read_back_however_it_is_typed() {
        let code = UserCode::generate(&Entropy::dangerous_seeded(7));
        let shown = code.grouped();
        assert_eq!(shown.len(), 9);
        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', " "),
            format!(" {shown}"),
        ] {
            assert_eq!(UserCode::parse(&typed), Some(code.clone()), "{typed}");
        }
    }

    #[test]
    fn text_that_cannot_be_a_code_is_none() {
        for bad in [
            "",
            "BCDF-BCD",
            "BCDF-BCDFG",
            "AAAA-AAAA",
            "BCDF-BCD1",
            "BCDF_BCDF",
        ] {
            assert_eq!(UserCode::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_letter_of_the_alphabet_is_drawn() {
        let entropy = Entropy::dangerous_seeded(3);
        let drawn: String = (0..200).map(|_| UserCode::generate(&entropy).0).collect();
        assert!(
            USER_CODE_ALPHABET
                .iter()
                .all(|l| drawn.contains(char::from(*l)))
        );
    }

    #[test]
    fn fresh_ids_differ() {
        let entropy = Entropy::dangerous_seeded(3);
        assert_ne!(fresh_id("ses", &entropy), fresh_id("ses", &entropy));
    }
}
