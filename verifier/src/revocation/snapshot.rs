//! The revocation list as the issuer publishes it.
//!
//! Owns [`Snapshot`], its JSON form and its signature. Whether one follows another is decided in
//! [`super::list`].

use bailiwick_datalog::Timestamp;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::signed::{self, Domain, MAX_DOCUMENT_BYTES, SignedDocument};

/// The version of [`Snapshot`] written and accepted.
const VERSION: u32 = 1;

/// Everything revoked and not yet expired, at one sequence number.
///
/// INVARIANT: `ids` and `sessions` are in strictly ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SnapshotText", into = "SnapshotText")]
pub struct Snapshot {
    seq: u64,
    issued_at: Timestamp,
    ids: Vec<[u8; 16]>,
    sessions: Vec<String>,
}

/// The JSON form of [`Snapshot`]; read from text, its rules are yet to be checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotText {
    version: u32,
    seq: u64,
    issued_at: Timestamp,
    ids: Vec<Prefix>,
    sessions: Vec<String>,
}

/// A prefix whose JSON form is 32 lower-case hex digits.
struct Prefix([u8; 16]);

/// Why a snapshot cannot be read or published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another version than 1.
    #[error("revocation list version `{version}` is not known, only 1 is")]
    Version {
        /// The version found.
        version: u32,
    },
    /// The ids or sessions are out of order or repeated.
    #[error("the `{list}` of a revocation list must be in ascending order, without repetition")]
    Unsorted {
        /// Which list.
        list: &'static str,
    },
    /// The signed document would be larger than a verifier accepts.
    #[error("the signed revocation list has {actual} bytes, more than the {limit} accepted")]
    TooLarge {
        /// Its size in bytes.
        actual: usize,
        /// [`MAX_DOCUMENT_BYTES`].
        limit: usize,
    },
    /// The list has no JSON form.
    #[error("the revocation list cannot be written as JSON")]
    Unwritable,
}

impl Snapshot {
    /// A list of these prefixes ([`RevocationId::prefix`](bailiwick_datalog::RevocationId::prefix))
    /// and session ids, put in order.
    #[must_use]
    pub fn new(
        seq: u64,
        issued_at: Timestamp,
        ids: impl IntoIterator<Item = [u8; 16]>,
        sessions: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut sessions: Vec<_> = sessions.into_iter().collect();
        sessions.sort_unstable();
        sessions.dedup();
        Self {
            seq,
            issued_at,
            ids,
            sessions,
        }
    }

    /// Signs the list with the issuer's revocation key.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::TooLarge`] if no verifier would accept it. Publishing the last list that
    /// fitted would hide revocations: the caller has to raise the alarm.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedDocument, SnapshotError> {
        let payload = serde_json::to_vec(self).map_err(|_| SnapshotError::Unwritable)?;
        let document = signed::sign(Domain::Revocations, &payload, key);
        let actual = document.to_json().len();
        if actual > MAX_DOCUMENT_BYTES {
            return Err(SnapshotError::TooLarge {
                actual,
                limit: MAX_DOCUMENT_BYTES,
            });
        }
        Ok(document)
    }

    /// The sequence number; a later list has a higher one.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// When the issuer made the list, by its own clock. Informative: freshness is measured from
    /// the fetch.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// SHA-256 prefixes of revoked ids, ascending.
    #[must_use]
    pub fn ids(&self) -> &[[u8; 16]] {
        &self.ids
    }

    /// Revoked sessions, ascending.
    #[must_use]
    pub fn sessions(&self) -> &[String] {
        &self.sessions
    }
}

impl TryFrom<SnapshotText> for Snapshot {
    type Error = SnapshotError;

    fn try_from(text: SnapshotText) -> Result<Self, Self::Error> {
        if text.version != VERSION {
            return Err(SnapshotError::Version {
                version: text.version,
            });
        }
        let ids: Vec<[u8; 16]> = text.ids.into_iter().map(|Prefix(bytes)| bytes).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(SnapshotError::Unsorted { list: "ids" });
        }
        if !text.sessions.is_sorted_by(|a, b| a < b) {
            return Err(SnapshotError::Unsorted { list: "sessions" });
        }
        Ok(Self {
            seq: text.seq,
            issued_at: text.issued_at,
            ids,
            sessions: text.sessions,
        })
    }
}

impl From<Snapshot> for SnapshotText {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            version: VERSION,
            seq: snapshot.seq,
            issued_at: snapshot.issued_at,
            ids: snapshot.ids.into_iter().map(Prefix).collect(),
            sessions: snapshot.sessions,
        }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix(1_769_860_800);

    fn snapshot() -> Snapshot {
        Snapshot::new(
            4,
            AT,
            [[2; 16], [1; 16], [2; 16]],
            ["b", "a", "b"].map(String::from),
        )
    }

    #[test]
    fn building_sorts_and_removes_repetitions() {
        assert_eq!(snapshot().ids(), [[1; 16], [2; 16]]);
        assert_eq!(snapshot().sessions(), ["a", "b"]);
    }

    #[test]
    fn json_form_is_the_published_one() {
        let json = serde_json::to_string(&snapshot()).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"version":1,"seq":4,"issued_at":"2026-01-31T12:00:00Z","#,
                r#""ids":["01010101010101010101010101010101","02020202020202020202020202020202"],"#,
                r#""sessions":["a","b"]}"#
            )
        );
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot());
    }

    #[test]
    fn other_texts_are_refused() {
        let good = serde_json::to_string(&snapshot()).unwrap();
        for (from, to) in [
            (r#""version":1"#, r#""version":2"#),
            (r#""version":1"#, r#""version":1,"more":1"#),
            (r#""seq":4"#, r#""seq":4,"seq":4"#),
            (r#""seq":4"#, r#""seq":4.0"#),
            (r#""seq":4,"#, ""),
            (r#"["a","b"]"#, r#"["b","a"]"#),
            (r#"["a","b"]"#, r#"["a","a"]"#),
            ("0101010101010101010101", "0101"),
            (
                "01010101010101010101010101010101",
                "02020202020202020202020202020202",
            ),
            (
                "01010101010101010101010101010101",
                "03030303030303030303030303030303",
            ),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(serde_json::from_str::<Snapshot>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_that_no_verifier_would_accept_is_not_signed() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let count = u64::try_from(MAX_DOCUMENT_BYTES / 46).unwrap();
        let ids = (0..count).map(|n| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&n.to_be_bytes());
            id
        });
        assert!(matches!(
            Snapshot::new(1, AT, ids, []).sign(&key),
            Err(SnapshotError::TooLarge { actual, limit }) if actual > limit
        ));
        assert!(snapshot().sign(&key).is_ok());
    }
}
