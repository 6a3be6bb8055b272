//! The keys that may have minted a token.
//!
//! Owns [`KeySet`]: a strict map from rootKeyId to one Ed25519 key. There is no search through
//! other keys and no default (profile, rule 11). How a key set is fetched and trusted is left to
//! [`crate::trust`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::signed::PublicKeyHex;

/// Whether tokens of a mint key are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Mints new tokens; its tokens are good.
    Active,
    /// Mints no more; its tokens are good until they expire.
    Retired,
    /// Compromised: none of its tokens is good.
    Revoked,
}

impl KeyState {
    /// Whether tokens minted with a key in this state may be accepted.
    #[must_use]
    pub const fn verifies(self) -> bool {
        match self {
            Self::Active | Self::Retired => true,
            Self::Revoked => false,
        }
    }
}

/// A mint key as the key set lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MintKey {
    /// The rootKeyId that tokens carry.
    pub id: u32,
    /// The public key.
    pub public: PublicKeyHex,
    /// Whether its tokens are good.
    pub state: KeyState,
}

/// Why keys do not make a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Two keys have this id.
    #[error("two mint keys have the id `{id}`")]
    DuplicateId {
        /// The id.
        id: u32,
    },
    /// One key is listed under two ids.
    #[error("the mint keys `{first}` and `{second}` are the same key")]
    DuplicateKey {
        /// The lower id.
        first: u32,
        /// The other id.
        second: u32,
    },
}

/// The keys a verifier accepts tokens from, by rootKeyId.
///
/// INVARIANT: each id names one key, and each key has one id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<u32, MintKey>,
}

impl KeySet {
    /// A set of these keys. An empty set accepts no token.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] if an id or a key comes twice.
    pub fn new(keys: impl IntoIterator<Item = MintKey>) -> Result<Self, KeySetError> {
        let mut set = BTreeMap::new();
        for key in keys {
            if set.insert(key.id, key).is_some() {
                return Err(KeySetError::DuplicateId { id: key.id });
            }
        }
        let mut ids = BTreeMap::new();
        for key in set.values() {
            if let Some(first) = ids.insert(key.public.to_bytes(), key.id) {
                return Err(KeySetError::DuplicateKey {
                    first,
                    second: key.id,
                });
            }
        }
        Ok(Self { keys: set })
    }

    /// A set of active keys by id.
    ///
    /// # Errors
    ///
    /// As [`KeySet::new`].
    pub fn from_entries(
        entries: impl IntoIterator<Item = (u32, PublicKeyHex)>,
    ) -> Result<Self, KeySetError> {
        Self::new(entries.into_iter().map(|(id, public)| MintKey {
            id,
            public,
            state: KeyState::Active,
        }))
    }

    /// The key whose tokens carry `id`, if they may be accepted.
    ///
    /// `None` for a revoked key as for an unknown one.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&PublicKeyHex> {
        self.keys
            .get(&id)
            .filter(|key| key.state.verifies())
            .map(|key| &key.public)
    }

    /// All keys by ascending id, revoked ones included.
    pub fn iter(&self) -> impl Iterator<Item = &MintKey> {
        self.keys.values()
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn public(seed: u8) -> PublicKeyHex {
        PublicKeyHex::from(&SigningKey::from_bytes(&[seed; 32]))
    }

    #[test]
    fn a_key_is_found_under_its_own_id_only() {
        let set = KeySet::from_entries([(1, public(1)), (7, public(7))]).unwrap();
        assert_eq!(set.get(1), Some(&public(1)));
        assert_eq!(set.get(7), Some(&public(7)));
        assert_eq!(set.get(0), None);
        assert_eq!(set.get(2), None);
    }

    #[test]
    fn an_empty_set_knows_no_key() {
        assert_eq!(KeySet::default().get(0), None);
    }

    #[test]
    fn active_and_retired_keys_verify_and_revoked_ones_do_not() {
        for (state, found) in [
            (KeyState::Active, true),
            (KeyState::Retired, true),
            (KeyState::Revoked, false),
        ] {
            let set = KeySet::new([MintKey {
                id: 1,
                public: public(1),
                state,
            }])
            .unwrap();
            assert_eq!(set.get(1).is_some(), found, "{state:?}");
        }
    }

    #[test]
    fn an_id_cannot_name_two_keys() {
        assert_eq!(
            KeySet::from_entries([(1, public(1)), (1, public(2))]),
            Err(KeySetError::DuplicateId { id: 1 })
        );
        assert_eq!(
            KeySet::from_entries([(1, public(1)), (1, public(1))]),
            Err(KeySetError::DuplicateId { id: 1 })
        );
    }

    #[test]
    fn a_key_cannot_have_two_ids() {
        assert_eq!(
            KeySet::from_entries([(9, public(1)), (4, public(1))]),
            Err(KeySetError::DuplicateKey {
                first: 4,
                second: 9
            })
        );
    }
}
