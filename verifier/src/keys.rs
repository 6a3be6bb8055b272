//! The keys that may have minted a token.
//!
//! Owns [`KeySet`]: a strict map from rootKeyId to one Ed25519 key. There is no search through
//! other keys and no default (profile, rule 11). How a key set is fetched and trusted is left to
//! [`crate::trust`].
//!
//! # Rotation
//!
//! Two keys are active side by side while verifiers learn of the new one; then the old one is
//! retired, and its `not_after` set to when the last of its tokens ends. A key that was stolen can
//! date its tokens as it likes, so no verifier can tell a thief's from the issuer's by `issued_at`
//! alone. That is why the window holds a token's whole life: once `not_after` is past, nothing that
//! the key ever signed or will sign is good. Before that, only [`KeyState::Revoked`] helps.

use std::{collections::BTreeMap, fmt};

use bailiwick_datalog::Timestamp;
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
    /// Nothing that says to be issued before this is good. A verifier too old to know of windows
    /// refuses the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Nothing that says to be issued at this moment or later, or to end after it, is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

impl MintKey {
    /// A key that mints, without a window.
    #[must_use]
    pub const fn active(id: u32, public: PublicKeyHex) -> Self {
        Self {
            id,
            public,
            state: KeyState::Active,
            not_before: None,
            not_after: None,
        }
    }

    /// Whether the life of a token, as its authority block says it, lies in the key's window.
    #[must_use]
    pub fn covers(&self, issued_at: Timestamp, expires_at: Timestamp) -> bool {
        self.not_before.is_none_or(|first| first <= issued_at)
            && self
                .not_after
                .is_none_or(|end| issued_at < end && expires_at <= end)
    }
}

/// The mint key that verified a token, as records name it: its id in the key set and the beginning
/// of the key itself, enough to tell the keys of one issuer apart over the years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "MintKeyNameText")]
pub struct MintKeyName {
    id: u32,
    public: PublicKeyHex,
}

/// Hex digits of the key that a record shows.
const SHOWN_DIGITS: usize = 16;

#[derive(Serialize)]
struct MintKeyNameText {
    id: u32,
    public: String,
}

impl MintKeyName {
    pub(crate) const fn new(id: u32, public: PublicKeyHex) -> Self {
        Self { id, public }
    }

    /// The rootKeyId under which the key set lists it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The whole public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKeyHex {
        &self.public
    }

    /// `ed25519/` and the first 16 hex digits of the key.
    #[must_use]
    pub fn prefix(&self) -> String {
        let shown = PublicKeyHex::PREFIX.len().saturating_add(SHOWN_DIGITS);
        self.public.to_string().chars().take(shown).collect()
    }
}

impl From<MintKeyName> for MintKeyNameText {
    fn from(name: MintKeyName) -> Self {
        Self {
            id: name.id,
            public: name.prefix(),
        }
    }
}

impl fmt::Display for MintKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.prefix())
    }
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
    /// A key's window ends before it begins, or as it does.
    #[error("the window of the mint key `{id}` is empty")]
    EmptyWindow {
        /// The id.
        id: u32,
    },
}

/// The keys a verifier accepts tokens from, by rootKeyId.
///
/// INVARIANT: each id names one key, each key has one id, and no window is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<u32, MintKey>,
}

impl KeySet {
    /// A set of these keys. An empty set accepts no token.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] if an id or a key comes twice, or a window is empty.
    pub fn new(keys: impl IntoIterator<Item = MintKey>) -> Result<Self, KeySetError> {
        let mut set = BTreeMap::new();
        for key in keys {
            let window = (key.not_before, key.not_after);
            if matches!(window, (Some(first), Some(end)) if first >= end) {
                return Err(KeySetError::EmptyWindow { id: key.id });
            }
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
        let entries = entries.into_iter();
        Self::new(entries.map(|(id, public)| MintKey::active(id, public)))
    }

    /// The key whose tokens carry `id`, if they may be accepted. Whether a token lies in the key's
    /// window is asked of [`KeySet::accepts`].
    ///
    /// `None` for a revoked key as for an unknown one.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&PublicKeyHex> {
        self.usable(id).map(|key| &key.public)
    }

    /// Whether `public` is the key of `id` and may have minted a token of this life.
    #[must_use]
    pub fn accepts(
        &self,
        id: u32,
        public: &PublicKeyHex,
        issued_at: Timestamp,
        expires_at: Timestamp,
    ) -> bool {
        self.usable(id)
            .is_some_and(|key| key.public == *public && key.covers(issued_at, expires_at))
    }

    fn usable(&self, id: u32) -> Option<&MintKey> {
        self.keys.get(&id).filter(|key| key.state.verifies())
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

    fn at(unix: u64) -> Timestamp {
        Timestamp::from_unix(unix)
    }

    fn windowed(not_before: Option<u64>, not_after: Option<u64>) -> MintKey {
        MintKey {
            not_before: not_before.map(at),
            not_after: not_after.map(at),
            ..MintKey::active(1, public(1))
        }
    }

    #[test]
    fn a_window_holds_the_whole_life_of_a_token() {
        let both = windowed(Some(100), Some(200));
        for (key, issued, expires, covered) in [
            (both, 100, 200, true),
            (both, 99, 200, false),
            (both, 100, 201, false),
            (both, 199, 200, true),
            (both, 200, 200, false),
            (both, 200, 150, false),
            (windowed(Some(100), None), 100, u64::MAX, true),
            (windowed(Some(100), None), 99, 100, false),
            (windowed(None, Some(200)), 0, 200, true),
            (windowed(None, Some(200)), 0, 201, false),
            (windowed(None, None), 0, u64::MAX, true),
        ] {
            let (issued, expires) = (at(issued), at(expires));
            assert_eq!(key.covers(issued, expires), covered, "{key:?} {issued}");
            let set = KeySet::new([key]).unwrap();
            assert_eq!(set.accepts(1, &public(1), issued, expires), covered);
            assert!(!set.accepts(1, &public(2), issued, expires));
            assert!(!set.accepts(2, &public(1), issued, expires));
        }
    }

    #[test]
    fn a_window_has_room_in_it() {
        assert!(KeySet::new([windowed(Some(100), Some(101))]).is_ok());
        for end in [99, 100] {
            assert_eq!(
                KeySet::new([windowed(Some(100), Some(end))]),
                Err(KeySetError::EmptyWindow { id: 1 })
            );
        }
    }

    #[test]
    fn a_record_names_a_key_by_id_and_beginning() {
        let name = MintKeyName::new(7, public(1));
        let whole = public(1).to_string();
        assert_eq!(name.prefix().len(), "ed25519/".len() + 16);
        assert!(whole.starts_with(&name.prefix()));
        assert_eq!(name.to_string(), format!("7 {}", name.prefix()));
        assert_eq!(
            serde_json::to_value(name).unwrap(),
            serde_json::json!({"id": 7, "public": name.prefix()})
        );
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
            let key = MintKey {
                state,
                ..MintKey::active(1, public(1))
            };
            let set = KeySet::new([key]).unwrap();
            assert_eq!(set.get(1).is_some(), found, "{state:?}");
            let (begin, end) = (at(1), at(2));
            assert_eq!(set.accepts(1, &public(1), begin, end), found, "{state:?}");
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
