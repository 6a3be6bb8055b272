//! Sight: whose requests and sessions somebody sees.

use crate::store::Account;

/// Which applications a person sees. What is outside does not exist for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of them.
    Everything,
    /// Those that the account with this id decides for.
    Assigned(String),
}

impl Sight {
    /// What an account sees: an auditor everything, anybody else what they decide for.
    pub(crate) fn of(account: &Account) -> Self {
        if account.roles.auditor {
            Self::Everything
        } else {
            Self::Assigned(account.id.clone())
        }
    }

    /// For SQL: whether everything is seen, and otherwise by whom.
    pub(crate) fn bounds(&self) -> (bool, &str) {
        match self {
            Self::Everything => (true, ""),
            Self::Assigned(account) => (false, account),
        }
    }
}
