//! Later blocks: how anyone who holds a token narrows it (profile rules 15–17).

use biscuit_auth::builder::{BlockBuilder, string};

use crate::{
    authority::{ProfileError, fact},
    caveat::Caveat,
    limits::MAX_CHECKS_PER_BLOCK,
    name::{DelegateName, Thumbprint},
};

/// A block after the authority block: conditions, and the names of who holds the token next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaterBlock {
    /// The sub-agent that the token is narrowed for. A label, not a credential.
    pub delegate: Option<DelegateName>,
    /// The key that must prove possession from here on.
    pub holder: Option<Thumbprint>,
    /// The conditions.
    pub caveats: Vec<Caveat>,
}

impl LaterBlock {
    /// Writes the block with one check for each caveat.
    ///
    /// # Errors
    /// [`ProfileError`] for more than 32 caveats, or one without a form in a later block.
    pub fn to_builder(&self) -> Result<BlockBuilder, ProfileError> {
        if self.caveats.len() > MAX_CHECKS_PER_BLOCK {
            return Err(ProfileError::TooManyChecks {
                count: self.caveats.len(),
            });
        }
        let exact = |caveat: &Caveat| matches!(caveat, Caveat::ExactCalls(_));
        if self.caveats.iter().any(exact) {
            return Err(ProfileError::ExactCallsInLaterBlock);
        }
        self.caveats.iter().try_for_each(Caveat::check_form)?;
        let facts = [
            self.delegate
                .as_ref()
                .map(|name| fact("delegate", vec![string(name.as_str())])),
            self.holder
                .as_ref()
                .map(|key| fact("holder", vec![string(key.as_str())])),
        ];
        facts
            .into_iter()
            .flatten()
            .try_fold(BlockBuilder::new(), BlockBuilder::fact)
            .and_then(|builder| {
                self.caveats
                    .iter()
                    .map(Caveat::to_check)
                    .try_fold(builder, BlockBuilder::check)
            })
            .map_err(|error| ProfileError::Library(error.to_string()))
    }
}
