//! From one pinned key to everything a verifier believes.
//!
//! Owns [`TrustAnchor`], the only thing a verifier is configured with, and [`KeySetDocument`],
//! which the anchor signs and which names the mint and revocation keys. Fetching and persisting
//! documents is left to the hosts.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use crate::{
    keys::{KeySet, KeySetError, MintKey},
    signed::{self, Domain, PublicKeyError, PublicKeyHex, SignatureError, SignedDocument},
};

/// Most mint keys a document may list: decades of monthly rotation.
pub const MAX_MINT_KEYS: usize = 256;

/// Most revocation keys a document may list; each costs a signature check on a bad list.
pub const MAX_REVOCATION_KEYS: usize = 8;

/// The version of [`KeySetDocument`] written and accepted.
const VERSION: u32 = 1;

/// The issuer's anchor key, pinned by configuration: `ed25519/` and 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustAnchor(PublicKeyHex);

/// What the anchor vouches for: the keys that mint tokens and the keys that sign revocations.
///
/// INVARIANT: mint keys make a [`KeySet`]; there is at least one revocation key; no key serves
/// two purposes; both lists are within their bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeySetText", into = "KeySetText")]
pub struct KeySetDocument {
    seq: u64,
    issuer: String,
    keys: KeySet,
    revocation_keys: Vec<PublicKeyHex>,
}

/// The JSON form of [`KeySetDocument`]; read from text, its rules are yet to be checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySetText {
    version: u32,
    seq: u64,
    issuer: String,
    mint_keys: Vec<MintKey>,
    revocation_keys: Vec<PublicKeyHex>,
}

/// Why a key set document cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetDocumentError {
    /// Another version than 1.
    #[error("key set version `{version}` is not known, only 1 is")]
    Version {
        /// The version found.
        version: u32,
    },
    /// Its mint keys clash.
    #[error(transparent)]
    MintKeys(#[from] KeySetError),
    /// It names no revocation key, so revocations could never be learnt.
    #[error("the key set names no revocation key")]
    NoRevocationKey,
    /// A key is listed twice among the revocation keys, or for minting and for revocation.
    #[error("the key `{key}` is listed for two purposes or twice")]
    KeyReused {
        /// The key.
        key: Box<PublicKeyHex>,
    },
    /// A list is too long.
    #[error("the key set lists {actual} keys of one kind, more than the {limit} accepted")]
    TooManyKeys {
        /// How many there are.
        actual: usize,
        /// [`MAX_MINT_KEYS`] or [`MAX_REVOCATION_KEYS`].
        limit: usize,
    },
}

/// Why a signed document does not become the verifier's key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It is not signed by the anchor.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The anchor signed something that is not a key set document.
    #[error("the signed payload is not a key set document")]
    Malformed,
    /// It is older than the one in use.
    #[error("the key set has sequence number {offered}, older than {current} which is in use")]
    Rollback {
        /// The sequence number in use.
        current: u64,
        /// The one offered.
        offered: u64,
    },
    /// It has the sequence number of the one in use and says something else.
    #[error("two different key sets have the sequence number {seq}")]
    Conflict {
        /// The sequence number of both.
        seq: u64,
    },
    /// It claims a key for another purpose that is the anchor itself.
    #[error("the key set lists the anchor key, which may sign nothing but key sets")]
    AnchorReused,
}

impl TrustAnchor {
    /// The anchor with this public key.
    #[must_use]
    pub const fn new(key: PublicKeyHex) -> Self {
        Self(key)
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKeyHex {
        &self.0
    }

    /// Decides whether `document` becomes the key set in place of `current`.
    ///
    /// Proves that the anchor signed it and that it is not older than `current`: an equal sequence
    /// number is accepted for equal content only. It does not prove that it is the latest.
    ///
    /// # Errors
    ///
    /// [`TrustError`]; the caller then keeps `current`.
    pub fn accept(
        &self,
        document: &SignedDocument,
        current: Option<&KeySetDocument>,
    ) -> Result<KeySetDocument, TrustError> {
        let payload = document.verify(Domain::KeySet, &self.0)?;
        let offered: KeySetDocument =
            serde_json::from_slice(payload).map_err(|_| TrustError::Malformed)?;
        if offered.uses(&self.0) {
            return Err(TrustError::AnchorReused);
        }
        if let Some(current) = current {
            if offered.seq < current.seq {
                return Err(TrustError::Rollback {
                    current: current.seq,
                    offered: offered.seq,
                });
            }
            if offered.seq == current.seq && offered != *current {
                return Err(TrustError::Conflict { seq: offered.seq });
            }
        }
        Ok(offered)
    }
}

impl fmt::Display for TrustAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TrustAnchor {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl KeySetDocument {
    /// A document with these keys.
    ///
    /// # Errors
    ///
    /// [`KeySetDocumentError`] for keys that clash, repeat, or are too many or too few.
    pub fn new(
        seq: u64,
        issuer: impl Into<String>,
        mint_keys: Vec<MintKey>,
        revocation_keys: Vec<PublicKeyHex>,
    ) -> Result<Self, KeySetDocumentError> {
        KeySetText {
            version: VERSION,
            seq,
            issuer: issuer.into(),
            mint_keys,
            revocation_keys,
        }
        .try_into()
    }

    /// Signs the document with the anchor's secret key.
    ///
    /// # Errors
    ///
    /// [`serde_json::Error`] if it has no JSON form, which cannot happen to a built document.
    pub fn sign(&self, anchor: &SigningKey) -> Result<SignedDocument, serde_json::Error> {
        let payload = serde_json::to_vec(self)?;
        Ok(signed::sign(Domain::KeySet, &payload, anchor))
    }

    /// The sequence number; a later document has a higher one.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The issuer's public URL, as it calls itself.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The mint keys, as the map a verifier looks tokens up in.
    #[must_use]
    pub const fn key_set(&self) -> &KeySet {
        &self.keys
    }

    /// The keys that may sign a revocation snapshot.
    #[must_use]
    pub fn revocation_keys(&self) -> &[PublicKeyHex] {
        &self.revocation_keys
    }

    fn uses(&self, key: &PublicKeyHex) -> bool {
        self.revocation_keys.contains(key) || self.keys.iter().any(|mint| mint.public == *key)
    }
}

impl TryFrom<KeySetText> for KeySetDocument {
    type Error = KeySetDocumentError;

    fn try_from(text: KeySetText) -> Result<Self, Self::Error> {
        if text.version != VERSION {
            return Err(KeySetDocumentError::Version {
                version: text.version,
            });
        }
        for (actual, limit) in [
            (text.mint_keys.len(), MAX_MINT_KEYS),
            (text.revocation_keys.len(), MAX_REVOCATION_KEYS),
        ] {
            if actual > limit {
                return Err(KeySetDocumentError::TooManyKeys { actual, limit });
            }
        }
        if text.revocation_keys.is_empty() {
            return Err(KeySetDocumentError::NoRevocationKey);
        }
        let keys = KeySet::new(text.mint_keys)?;
        let mut used: BTreeSet<[u8; 32]> = keys.iter().map(|key| key.public.to_bytes()).collect();
        for key in &text.revocation_keys {
            if !used.insert(key.to_bytes()) {
                return Err(KeySetDocumentError::KeyReused {
                    key: Box::new(*key),
                });
            }
        }
        Ok(Self {
            seq: text.seq,
            issuer: text.issuer,
            keys,
            revocation_keys: text.revocation_keys,
        })
    }
}

impl From<KeySetDocument> for KeySetText {
    fn from(document: KeySetDocument) -> Self {
        Self {
            version: VERSION,
            seq: document.seq,
            issuer: document.issuer,
            mint_keys: document.keys.iter().copied().collect(),
            revocation_keys: document.revocation_keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_datalog::Timestamp;

    use super::*;
    use crate::keys::KeyState;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn public(seed: u8) -> PublicKeyHex {
        PublicKeyHex::from(&key(seed))
    }

    fn mint(id: u32, seed: u8) -> MintKey {
        MintKey::active(id, public(seed))
    }

    const ANCHOR: u8 = 100;

    fn anchor() -> TrustAnchor {
        TrustAnchor::new(public(ANCHOR))
    }

    fn document(seq: u64) -> KeySetDocument {
        KeySetDocument::new(seq, "http://issuer", vec![mint(1, 1)], vec![public(50)]).unwrap()
    }

    fn signed(document: &KeySetDocument) -> SignedDocument {
        document.sign(&key(ANCHOR)).unwrap()
    }

    fn signed_text(payload: &str) -> SignedDocument {
        signed::sign(Domain::KeySet, payload.as_bytes(), &key(ANCHOR))
    }

    #[test]
    fn a_document_signed_by_the_anchor_is_accepted() {
        let accepted = anchor().accept(&signed(&document(3)), None).unwrap();
        assert_eq!(accepted, document(3));
        assert_eq!(accepted.seq(), 3);
        assert_eq!(accepted.issuer(), "http://issuer");
        assert_eq!(accepted.key_set().get(1), Some(&public(1)));
        assert_eq!(accepted.revocation_keys(), [public(50)]);
    }

    #[test]
    fn a_document_signed_by_another_key_is_refused() {
        let other = document(3).sign(&key(101)).unwrap();
        assert_eq!(
            anchor().accept(&other, None),
            Err(TrustError::Signature(SignatureError::BadSignature {
                domain: Domain::KeySet
            }))
        );
    }

    #[test]
    fn a_document_signed_for_another_domain_is_refused() {
        let payload = serde_json::to_vec(&document(3)).unwrap();
        let other = signed::sign(Domain::Revocations, &payload, &key(ANCHOR));
        assert_eq!(
            anchor().accept(&other, None),
            Err(TrustError::Signature(SignatureError::BadSignature {
                domain: Domain::KeySet
            }))
        );
    }

    #[test]
    fn sequence_numbers_never_go_backwards() {
        let current = document(3);
        for (seq, verdict) in [
            (4, Ok(document(4))),
            (3, Ok(document(3))),
            (
                2,
                Err(TrustError::Rollback {
                    current: 3,
                    offered: 2,
                }),
            ),
        ] {
            assert_eq!(
                anchor().accept(&signed(&document(seq)), Some(&current)),
                verdict
            );
        }
    }

    #[test]
    fn one_sequence_number_cannot_mean_two_documents() {
        let other =
            KeySetDocument::new(3, "http://issuer", vec![mint(1, 2)], vec![public(50)]).unwrap();
        assert_eq!(
            anchor().accept(&signed(&other), Some(&document(3))),
            Err(TrustError::Conflict { seq: 3 })
        );
    }

    #[test]
    fn the_anchor_key_serves_no_other_purpose() {
        let minting = KeySetDocument::new(1, "i", vec![mint(1, ANCHOR)], vec![public(50)]).unwrap();
        let revoking = KeySetDocument::new(1, "i", vec![mint(1, 1)], vec![public(ANCHOR)]).unwrap();
        for document in [minting, revoking] {
            assert_eq!(
                anchor().accept(&signed(&document), None),
                Err(TrustError::AnchorReused)
            );
        }
    }

    #[test]
    fn keys_that_clash_or_repeat_make_no_document() {
        for (mint_keys, revocation_keys, error) in [
            (
                vec![mint(1, 1), mint(1, 2)],
                vec![public(50)],
                KeySetDocumentError::MintKeys(KeySetError::DuplicateId { id: 1 }),
            ),
            (
                vec![mint(1, 1)],
                vec![],
                KeySetDocumentError::NoRevocationKey,
            ),
            (
                vec![mint(1, 1)],
                vec![public(1)],
                KeySetDocumentError::KeyReused {
                    key: Box::new(public(1)),
                },
            ),
            (
                vec![mint(1, 1)],
                vec![public(50), public(50)],
                KeySetDocumentError::KeyReused {
                    key: Box::new(public(50)),
                },
            ),
        ] {
            assert_eq!(
                KeySetDocument::new(1, "i", mint_keys, revocation_keys),
                Err(error)
            );
        }
    }

    #[test]
    fn lists_are_bounded() {
        let revocation = |count: usize| (50..).map(public).take(count).collect();
        assert!(KeySetDocument::new(1, "i", vec![], revocation(MAX_REVOCATION_KEYS)).is_ok());
        assert_eq!(
            KeySetDocument::new(1, "i", vec![], revocation(MAX_REVOCATION_KEYS + 1)),
            Err(KeySetDocumentError::TooManyKeys {
                actual: MAX_REVOCATION_KEYS + 1,
                limit: MAX_REVOCATION_KEYS,
            })
        );
        let minting = |count: usize| -> Vec<MintKey> {
            (0_u32..)
                .take(count)
                .map(|n| {
                    let mut seed = [0; 32];
                    seed[..4].copy_from_slice(&n.to_le_bytes());
                    let public = PublicKeyHex::from(&SigningKey::from_bytes(&seed));
                    MintKey {
                        state: KeyState::Retired,
                        ..MintKey::active(n, public)
                    }
                })
                .collect()
        };
        assert!(KeySetDocument::new(1, "i", minting(MAX_MINT_KEYS), revocation(1)).is_ok());
        assert_eq!(
            KeySetDocument::new(1, "i", minting(MAX_MINT_KEYS + 1), revocation(1)),
            Err(KeySetDocumentError::TooManyKeys {
                actual: MAX_MINT_KEYS + 1,
                limit: MAX_MINT_KEYS,
            })
        );
    }

    #[test]
    fn json_form_is_the_published_one() {
        let expected = format!(
            concat!(
                r#"{{"version":1,"seq":3,"issuer":"http://issuer","#,
                r#""mint_keys":[{{"id":1,"public":"{}","state":"active"}}],"#,
                r#""revocation_keys":["{}"]}}"#
            ),
            public(1),
            public(50)
        );
        assert_eq!(serde_json::to_string(&document(3)).unwrap(), expected);
        assert_eq!(
            anchor().accept(&signed_text(&expected), None),
            Ok(document(3))
        );
    }

    #[test]
    fn windows_of_keys_travel_in_the_document_and_may_be_left_out() {
        let plain = serde_json::to_string(&document(3)).unwrap();
        let windowed = |window: &str| {
            plain.replace(
                "\"state\":\"active\"",
                &format!("\"state\":\"active\",{window}"),
            )
        };
        let (first, end) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let text = windowed(&format!(r#""not_before":"{first}","not_after":"{end}""#));
        let accepted = anchor().accept(&signed_text(&text), None).unwrap();
        let key = accepted.key_set().iter().next().copied().unwrap();
        assert_eq!(
            (key.not_before, key.not_after),
            (
                Some(Timestamp::parse_rfc3339(first).unwrap()),
                Some(Timestamp::parse_rfc3339(end).unwrap())
            )
        );
        assert_eq!(serde_json::to_string(&accepted).unwrap(), text);
        assert_ne!(accepted, document(3));
        for bad in [
            format!(r#""not_before":"{end}","not_after":"{first}""#),
            format!(r#""not_before":"{first}","not_after":"{first}""#),
            r#""not_after":1800000000"#.to_owned(),
            r#""not_after":"tomorrow""#.to_owned(),
            r#""not_later":"2027-01-01T00:00:00Z""#.to_owned(),
        ] {
            assert_eq!(
                anchor().accept(&signed_text(&windowed(&bad)), None),
                Err(TrustError::Malformed),
                "{bad}"
            );
        }
    }

    #[test]
    fn signed_text_of_another_shape_is_malformed() {
        let good = serde_json::to_string(&document(3)).unwrap();
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"version\":1", "\"version\":1,\"version\":1"),
            ("\"version\":1,", ""),
            ("\"version\":1", "\"version\":1,\"more\":true"),
            ("\"state\":\"active\"", "\"state\":\"trusted\""),
            ("\"seq\":3", "\"seq\":-3"),
            ("ed25519/", "secp256r1/"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert_eq!(
                anchor().accept(&signed_text(&bad), None),
                Err(TrustError::Malformed),
                "{bad}"
            );
        }
    }

    #[test]
    fn anchors_have_the_text_form_of_their_key() {
        let text = anchor().to_string();
        assert_eq!(text, public(ANCHOR).to_string());
        assert_eq!(text.parse(), Ok(anchor()));
        assert_eq!(
            "ed25519/00".parse::<TrustAnchor>(),
            Err(PublicKeyError::NotHex)
        );
    }
}
