//! A revocation list that lives and dies with the process.
//!
//! For offline checks over a list given by the caller, and for verifiers that can afford to know
//! nothing after a restart until the first fetch.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bailiwick_datalog::RevocationId;

use super::{
    Applied, RevocationStatus, RevocationView, SnapshotRefused,
    list::{Entries, RevocationList, VerifiedSnapshot},
};
use crate::signed::{PublicKeyHex, SignedDocument};

/// A revocation list in memory.
#[derive(Debug)]
pub struct MemoryRevocations {
    list: RevocationList,
    /// Held while a snapshot is compared and applied, so that two cannot cross.
    writing: Mutex<()>,
}

impl MemoryRevocations {
    /// An empty list that is stale until a snapshot is applied and clears nothing more than
    /// `max_staleness` after its last fetch.
    #[must_use]
    pub fn new(max_staleness: Duration) -> Self {
        Self::over(RevocationList::unrefreshed(
            Entries::default(),
            None,
            max_staleness,
        ))
    }

    /// A list of exactly these ids that never grows stale: the caller vouches for it.
    #[must_use]
    pub fn fixed(ids: impl IntoIterator<Item = RevocationId>) -> Self {
        let prefixes = ids.into_iter().map(|id| id.prefix());
        Self::over(RevocationList::fixed(Entries::new(prefixes, [])))
    }

    fn over(list: RevocationList) -> Self {
        Self {
            list,
            writing: Mutex::new(()),
        }
    }

    /// Verifies `document` against `keys` and puts it in place of the list.
    ///
    /// `fetched_at` is the monotonic reading from *before* the fetch was begun: the list is as
    /// old as the question, not as the answer.
    ///
    /// # Errors
    ///
    /// [`SnapshotRefused`]; the list stays as it was.
    pub fn apply(
        &self,
        document: &SignedDocument,
        keys: &[PublicKeyHex],
        fetched_at: Duration,
    ) -> Result<Applied, SnapshotRefused> {
        let offered = VerifiedSnapshot::verify(document, keys)?;
        let seq = offered.version.seq;
        // The lock guards no data of its own, so there is nothing a panic could leave half done.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = match self.list.version() {
            None => true,
            Some(held) => held.is_followed_by(offered.version)?,
        };
        if newer {
            self.list.replace(&offered, fetched_at);
            Ok(Applied::Replaced { seq })
        } else {
            self.list.refresh(fetched_at);
            Ok(Applied::Refreshed { seq })
        }
    }

    /// The sequence number of the snapshot held.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.list.version().map(|version| version.seq)
    }

    /// How old the list may be before it clears nothing.
    #[must_use]
    pub const fn max_staleness(&self) -> Duration {
        self.list.max_staleness()
    }

    /// Time since the last verified fetch began; `None` before the first.
    #[must_use]
    pub fn age(&self, now_monotonic: Duration) -> Option<Duration> {
        self.list.age(now_monotonic)
    }
}

impl RevocationView for MemoryRevocations {
    fn check(
        &self,
        session: &str,
        ids: &[RevocationId],
        now_monotonic: Duration,
    ) -> RevocationStatus {
        self.list.check(session, ids, now_monotonic)
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_datalog::Timestamp;
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{
        revocation::Snapshot,
        signed::{self, Domain, SignatureError},
    };

    const MAX: Duration = Duration::from_secs(30);
    const NANO: Duration = Duration::from_nanos(1);
    const START: Duration = Duration::from_secs(1_000);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn keys() -> Vec<PublicKeyHex> {
        vec![PublicKeyHex::from(&key(1))]
    }

    fn id(n: u8) -> RevocationId {
        RevocationId::from_bytes([n; 64])
    }

    fn snapshot(seq: u64, ids: &[u8], sessions: &[&str]) -> SignedDocument {
        Snapshot::new(
            seq,
            Timestamp::EPOCH,
            ids.iter().map(|n| id(*n).prefix()),
            sessions.iter().map(ToString::to_string),
        )
        .sign(&key(1))
        .unwrap()
    }

    fn check(list: &MemoryRevocations, at: Duration) -> RevocationStatus {
        list.check("s", &[id(1), id(2)], at)
    }

    #[test]
    fn a_new_list_is_stale_until_its_first_snapshot() {
        let list = MemoryRevocations::new(MAX);
        assert_eq!(check(&list, START), RevocationStatus::Stale { age: None });
        assert_eq!(list.seq(), None);
        assert_eq!(
            list.apply(&snapshot(0, &[], &[]), &keys(), START),
            Ok(Applied::Replaced { seq: 0 })
        );
        assert_eq!(check(&list, START), RevocationStatus::Clear);
        assert_eq!(list.seq(), Some(0));
    }

    #[test]
    fn staleness_bound_is_inclusive() {
        let list = MemoryRevocations::new(MAX);
        assert_eq!(list.max_staleness(), MAX);
        list.apply(&snapshot(1, &[], &[]), &keys(), START).unwrap();
        assert_eq!(check(&list, START + MAX), RevocationStatus::Clear);
        assert_eq!(
            check(&list, START + MAX + NANO),
            RevocationStatus::Stale {
                age: Some(MAX + NANO)
            }
        );
    }

    #[test]
    fn a_reading_from_before_the_fetch_is_no_younger_than_its_distance() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(1, &[], &[]), &keys(), START).unwrap();
        assert_eq!(check(&list, START - MAX), RevocationStatus::Clear);
        assert_eq!(
            check(&list, START - MAX - NANO),
            RevocationStatus::Stale {
                age: Some(MAX + NANO)
            }
        );
    }

    #[test]
    fn any_listed_block_is_found_and_named() {
        for (listed, status) in [
            (1, RevocationStatus::Revoked { block: 0 }),
            (2, RevocationStatus::Revoked { block: 1 }),
            (3, RevocationStatus::Clear),
        ] {
            let list = MemoryRevocations::new(MAX);
            list.apply(&snapshot(1, &[9, listed], &[]), &keys(), START)
                .unwrap();
            assert_eq!(check(&list, START), status);
        }
    }

    #[test]
    fn a_listed_session_revokes_the_whole_token() {
        for (listed, status) in [
            ("s", RevocationStatus::Revoked { block: 0 }),
            ("S", RevocationStatus::Clear),
        ] {
            let list = MemoryRevocations::new(MAX);
            list.apply(&snapshot(1, &[], &[listed]), &keys(), START)
                .unwrap();
            assert_eq!(check(&list, START), status);
        }
    }

    #[test]
    fn a_match_wins_over_staleness() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(1, &[2], &[]), &keys(), START).unwrap();
        assert_eq!(
            check(&list, START + MAX + NANO),
            RevocationStatus::Revoked { block: 1 }
        );
    }

    #[test]
    fn the_same_list_again_refreshes() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(1, &[2], &[]), &keys(), START).unwrap();
        assert_eq!(
            list.apply(&snapshot(1, &[2], &[]), &keys(), START + MAX),
            Ok(Applied::Refreshed { seq: 1 })
        );
        assert_eq!(list.age(START + MAX + NANO), Some(NANO));
    }

    #[test]
    fn the_same_list_signed_again_later_refreshes() {
        let list = MemoryRevocations::new(MAX);
        let at = |unix| {
            Snapshot::new(1, Timestamp::from_unix(unix), [id(2).prefix()], [])
                .sign(&key(1))
                .unwrap()
        };
        list.apply(&at(1), &keys(), START).unwrap();
        assert_eq!(
            list.apply(&at(2), &keys(), START + MAX),
            Ok(Applied::Refreshed { seq: 1 })
        );
        assert_eq!(list.age(START + MAX), Some(Duration::ZERO));
    }

    #[test]
    fn a_fetch_that_ends_late_does_not_make_the_list_older() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(1, &[], &[]), &keys(), START).unwrap();
        list.apply(&snapshot(1, &[], &[]), &keys(), START - NANO)
            .unwrap();
        assert_eq!(list.age(START), Some(Duration::ZERO));
    }

    #[test]
    fn sequence_numbers_never_go_backwards() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(2, &[2], &[]), &keys(), START).unwrap();
        assert_eq!(
            list.apply(&snapshot(1, &[], &[]), &keys(), START + MAX),
            Err(SnapshotRefused::Rollback {
                current: 2,
                offered: 1
            })
        );
        assert_eq!(check(&list, START), RevocationStatus::Revoked { block: 1 });
        assert_eq!(
            list.age(START + MAX),
            Some(MAX),
            "a refusal refreshes nothing"
        );
    }

    #[test]
    fn one_sequence_number_cannot_mean_two_lists() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(2, &[2], &["t"]), &keys(), START)
            .unwrap();
        for (ids, sessions) in [
            (&[][..], &["t"][..]),
            (&[2], &[]),
            (&[2], &["u"]),
            (&[2, 3], &["t"]),
            (&[2], &["t", "u"]),
        ] {
            assert_eq!(
                list.apply(&snapshot(2, ids, sessions), &keys(), START),
                Err(SnapshotRefused::Conflict { seq: 2 })
            );
        }
        assert_eq!(check(&list, START), RevocationStatus::Revoked { block: 1 });
    }

    #[test]
    fn a_newer_list_replaces_the_old_one_whole() {
        let list = MemoryRevocations::new(MAX);
        list.apply(&snapshot(1, &[2], &["s"]), &keys(), START)
            .unwrap();
        assert_eq!(
            list.apply(&snapshot(2, &[], &[]), &keys(), START),
            Ok(Applied::Replaced { seq: 2 })
        );
        assert_eq!(check(&list, START), RevocationStatus::Clear);
    }

    #[test]
    fn lists_of_another_key_or_domain_are_refused() {
        let bad = SnapshotRefused::Signature(SignatureError::BadSignature {
            domain: Domain::Revocations,
        });
        let list = MemoryRevocations::new(MAX);
        let good = snapshot(1, &[], &[]);
        let payload = good.dangerous_unverified_payload();
        let other_key = signed::sign(Domain::Revocations, payload, &key(2));
        assert_eq!(list.apply(&other_key, &keys(), START), Err(bad));
        let other_domain = signed::sign(Domain::KeySet, payload, &key(1));
        assert_eq!(list.apply(&other_domain, &keys(), START), Err(bad));
        assert_eq!(
            list.apply(&good, &[], START),
            Err(SnapshotRefused::Signature(SignatureError::NoKey))
        );
        assert_eq!(check(&list, START), RevocationStatus::Stale { age: None });
    }

    #[test]
    fn signed_text_that_is_no_snapshot_is_malformed() {
        let list = MemoryRevocations::new(MAX);
        let document = signed::sign(Domain::Revocations, b"{}", &key(1));
        assert_eq!(
            list.apply(&document, &keys(), START),
            Err(SnapshotRefused::Malformed)
        );
    }

    #[test]
    fn a_fixed_list_never_grows_stale() {
        let list = MemoryRevocations::fixed([id(1)]);
        assert_eq!(
            list.check("s", &[id(1)], Duration::MAX),
            RevocationStatus::Revoked { block: 0 }
        );
        assert_eq!(
            list.check("s", &[id(2)], Duration::MAX),
            RevocationStatus::Clear
        );
    }
}
