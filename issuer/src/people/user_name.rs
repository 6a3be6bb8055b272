//! User names: plain enough that no two can be mistaken for each other.

use bailiwick_datalog::{NameError, Principal};
use thiserror::Error;

/// Longest user name, in bytes.
pub(crate) const MAX_USER_NAME_BYTES: usize = 64;
/// Stands in the record for whoever holds the operator's token.
pub(super) const OPERATOR: &str = "operator";

/// Why a user name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UserNameError {
    /// Empty, or longer than 64 bytes.
    #[error("the user name needs 1 to {MAX_USER_NAME_BYTES} characters")]
    Length,
    /// A character that could be mistaken for another.
    #[error("the user name may have the letters a to z, digits, `.`, `_`, `@`, `+` and `-`")]
    Character,
    /// The name stands for something else.
    #[error("the user name `{OPERATOR}` stands for the command line")]
    Reserved,
    /// Not a name a token could carry.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Reads a user name as typed. Capital letters are taken as small ones, at set-up and at
/// sign-in alike.
///
/// # Errors
/// [`UserNameError`].
pub(crate) fn parse_user_name(typed: &str) -> Result<Principal, UserNameError> {
    let name = typed.trim().to_ascii_lowercase();
    if name.is_empty() || name.len() > MAX_USER_NAME_BYTES {
        return Err(UserNameError::Length);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
    if !name.chars().all(plain) {
        return Err(UserNameError::Character);
    }
    if name == OPERATOR {
        return Err(UserNameError::Reserved);
    }
    Ok(Principal::parse(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_name_is_read_without_regard_to_case() {
        assert_eq!(
            parse_user_name(" Ada.L@example.com ").unwrap().as_str(),
            "ada.l@example.com"
        );
    }

    #[test]
    fn user_name_that_could_deceive_is_refused() {
        assert_eq!(parse_user_name(""), Err(UserNameError::Length));
        assert!(parse_user_name(&"a".repeat(64)).is_ok());
        assert_eq!(parse_user_name(&"a".repeat(65)), Err(UserNameError::Length));
        for bad in ["ad a", "аda", "ada\u{202e}", "ada/", "ada<b>"] {
            assert_eq!(parse_user_name(bad), Err(UserNameError::Character), "{bad}");
        }
        assert_eq!(parse_user_name("Operator"), Err(UserNameError::Reserved));
        assert!(parse_user_name("operators").is_ok());
    }
}
