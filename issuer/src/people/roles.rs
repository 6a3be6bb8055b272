//! Roles: what a person may do at all, whatever the application.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// One role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Manages accounts and applications. Decides nothing.
    Admin,
    /// Sees and decides what concerns the applications they are assigned to.
    Approver,
    /// Reads everything and changes nothing.
    Auditor,
}

impl Role {
    /// Every role, in the order they are written.
    pub(crate) const ALL: [Self; 3] = [Self::Admin, Self::Approver, Self::Auditor];

    /// The word for it, in forms, the API and the record.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No role has that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no role `{0}`; the roles are `admin`, `approver` and `auditor`")]
pub(crate) struct UnknownRole(pub(crate) String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(crate::text::visible_line(text)))
    }
}

/// The roles of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) admin: bool,
    pub(crate) approver: bool,
    pub(crate) auditor: bool,
}

impl Roles {
    /// What the account of the first start gets: it has to manage and to decide.
    pub(crate) const FIRST: Self = Self {
        admin: true,
        approver: true,
        auditor: false,
    };

    /// True with that role.
    pub(crate) fn has(self, role: Role) -> bool {
        match role {
            Role::Admin => self.admin,
            Role::Approver => self.approver,
            Role::Auditor => self.auditor,
        }
    }

    /// True with at least one of these.
    pub(crate) fn any_of(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// True without any.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The words, in a fixed order.
    pub(crate) fn words(self) -> Vec<&'static str> {
        let held = Role::ALL.into_iter().filter(|role| self.has(*role));
        held.map(Role::as_str).collect()
    }

    /// Reads words in any order; a doubled one counts once.
    ///
    /// # Errors
    /// [`UnknownRole`].
    pub(crate) fn read<T: AsRef<str>>(words: &[T]) -> Result<Self, UnknownRole> {
        words.iter().map(|word| word.as_ref().parse()).collect()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(all: I) -> Self {
        let mut roles = Self::default();
        for role in all {
            match role {
                Role::Admin => roles.admin = true,
                Role::Approver => roles.approver = true,
                Role::Auditor => roles.auditor = true,
            }
        }
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_roles_are_read_back() {
        for words in [
            vec![],
            vec!["admin"],
            vec!["approver", "auditor"],
            vec!["admin", "approver", "auditor"],
        ] {
            assert_eq!(Roles::read(&words).unwrap().words(), words);
        }
        assert_eq!(
            Roles::read(&["auditor", "admin"]).unwrap().words(),
            ["admin", "auditor"]
        );
    }

    #[test]
    fn word_that_is_no_role_is_refused() {
        for bad in ["", "Admin", "root", "admin "] {
            assert_eq!(
                Roles::read(&["approver", bad]),
                Err(UnknownRole(bad.trim().to_owned())),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn role_is_held_only_where_it_was_given() {
        let roles = Roles::read(&["approver"]).unwrap();
        assert!(roles.any_of(&[Role::Auditor, Role::Approver]));
        assert!(!roles.any_of(&[Role::Auditor, Role::Admin]));
        assert!(!roles.any_of(&[]));
    }
}
