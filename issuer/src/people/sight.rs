//! Sight: whose requests and sessions somebody sees.

use bailiwick_datalog::ApplicationId;

use crate::{
    core::{Core, Unavailable},
    store::Account,
};

/// Which applications somebody sees. What is outside does not exist for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of them.
    Everything,
    /// These, by id.
    Applications(Vec<String>),
}

impl Sight {
    /// Whether an application is seen.
    pub(crate) fn covers(&self, application: &ApplicationId) -> bool {
        match self {
            Self::Everything => true,
            Self::Applications(ids) => ids.iter().any(|id| id == application.as_str()),
        }
    }

    /// For SQL: whether everything is seen, and otherwise which ids, as a JSON array.
    pub(crate) fn bounds(&self) -> (bool, String) {
        match self {
            Self::Everything => (true, "[]".to_owned()),
            Self::Applications(ids) => (false, serde_json::json!(ids).to_string()),
        }
    }
}

impl Core {
    /// What an account sees: an auditor everything, anybody else what they decide for, be it for
    /// somebody who is away.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn sight(&self, account: &Account) -> Result<Sight, Unavailable> {
        if account.roles.auditor {
            return Ok(Sight::Everything);
        }
        let now = self.clock.now().utc;
        let ids = self.store.deciding_for(&account.id, now).await?;
        Ok(Sight::Applications(ids))
    }
}
