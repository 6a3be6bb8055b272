//! People: accounts with their roles, how they come in, and their signed-in browsers.
//!
//! What is decided about requests is [`crate::approval`]'s.

pub(crate) mod accounts;
pub(crate) mod attempt;
pub(crate) mod authority;
pub(crate) mod ceiling;
pub(crate) mod delegations;
pub(crate) mod identity;
pub(crate) mod provider;
pub(crate) mod roles;
pub(crate) mod setup;
pub(crate) mod sight;
pub(crate) mod sign_in;
pub(crate) mod user_name;

use bailiwick_datalog::Principal;

pub(crate) use accounts::AccountError;
pub(crate) use authority::{Authority, AuthorityError, authorities, authority};
pub(crate) use ceiling::{Beyond, Ceiling};
pub(crate) use delegations::DelegationError;
pub(crate) use roles::{Role, Roles};
pub(crate) use setup::{Setup, SetupError};
pub(crate) use sight::Sight;
pub(crate) use sign_in::{Before, SignInError, SignedInBrowser};
pub(crate) use user_name::MAX_USER_NAME_BYTES;

use crate::store::Account;

/// Who changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A signed-in person.
    Person(Principal),
    /// Whoever holds the operator's token.
    Operator,
    /// Nobody: an authorization code came a second time.
    CodeReuse,
    /// Whoever holds the session's own token.
    Holder,
}

impl Actor {
    /// Refuses a person who would give themselves a way in that takes somebody else's word.
    ///
    /// # Errors
    /// [`AccountError::Own`].
    pub(crate) fn is_another_than(&self, account: &Account) -> Result<(), AccountError> {
        match self {
            Self::Person(name) if *name == account.user_name => Err(AccountError::Own),
            _ => Ok(()),
        }
    }

    /// The name in the record. No account can be called `operator`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Person(name) => name.as_str(),
            Self::Operator => user_name::OPERATOR,
            // The names of accounts have no spaces.
            Self::CodeReuse => "reuse of its code",
            Self::Holder => "its holder",
        }
    }
}
