//! The `WWW-Authenticate` header of a refused token (RFC 9110 section 11.6.1).
//!
//! Reads the parameters of the first challenge, leniently: a header that makes
//! no sense has none.

use std::iter::Peekable;
use std::str::Chars;

/// The parameters of one challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Reads a header value.
    pub(crate) fn read(header: &str) -> Self {
        let parameters = header
            .trim_start()
            .split_once(' ')
            .map_or("", |(_scheme, rest)| rest);
        let mut characters = parameters.chars().peekable();
        let mut challenge = Self::default();
        while let Some((name, value)) = next_parameter(&mut characters) {
            challenge
                .parameters
                .push((name.to_ascii_lowercase(), value));
        }
        challenge
    }

    /// The value of a parameter; the first if there are several.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

fn next_parameter(characters: &mut Peekable<Chars<'_>>) -> Option<(String, String)> {
    while characters
        .next_if(|c| c.is_ascii_whitespace() || *c == ',')
        .is_some()
    {}
    let mut name = String::new();
    while let Some(character) =
        characters.next_if(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
    {
        name.push(character);
    }
    characters.next_if_eq(&'=')?;
    let value = if characters.next_if_eq(&'"').is_some() {
        quoted(characters)?
    } else {
        bare(characters)
    };
    (!name.is_empty()).then_some((name, value))
}

/// A quoted string after its opening quote; `None` if it never closes.
fn quoted(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut value = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

fn bare(characters: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(character) = characters.next_if(|c| !c.is_ascii_whitespace() && *c != ',') {
        value.push(character);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_parameters_are_read() {
        let challenge = Challenge::read(
            r#"Bearer resource_metadata="http://h/x", error=invalid_token,Error_Description="say \"no\", twice""#,
        );
        assert_eq!(challenge.parameter("resource_metadata"), Some("http://h/x"));
        assert_eq!(challenge.parameter("error"), Some("invalid_token"));
        assert_eq!(
            challenge.parameter("error_description"),
            Some("say \"no\", twice")
        );
        assert_eq!(challenge.parameter("scope"), None);
    }

    #[test]
    fn what_makes_no_sense_has_no_parameters() {
        for header in [
            "",
            "Bearer",
            "Bearer =",
            "Bearer a",
            "Bearer a=\"open",
            "Bearer ,,,",
            "Bearer =\"x\"",
        ] {
            assert_eq!(Challenge::read(header), Challenge::default(), "{header}");
        }
    }
}
