//! The revocation list on disk: what it keeps, what it refuses, what it survives.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bailiwick_datalog::{RevocationId, Timestamp};
use bailiwick_verifier::{
    revocation::{
        Applied, ApplyError, RevocationStatus, RevocationView, SledRevocations, Snapshot,
        SnapshotRefused, StoreError,
    },
    signed::{self, Domain, PublicKeyHex, SignatureError, SignedDocument},
};
use ed25519_dalek::SigningKey;

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

fn open(dir: &Path) -> SledRevocations {
    SledRevocations::open(dir, MAX, &keys()).unwrap()
}

fn apply(list: &SledRevocations, document: &SignedDocument) -> Applied {
    list.apply(document, &keys(), START).unwrap()
}

fn refusal(error: ApplyError) -> SnapshotRefused {
    match error {
        ApplyError::Refused(reason) => reason,
        ApplyError::Store(error) => panic!("{error}"),
    }
}

fn check(list: &SledRevocations, n: u8) -> RevocationStatus {
    list.check("s", &[id(100), id(n)], START)
}

const REVOKED: RevocationStatus = RevocationStatus::Revoked { block: 1 };
const NEVER_FETCHED: RevocationStatus = RevocationStatus::Stale { age: None };

/// A directory in which a list revoking block 2 and session `gone` was stored.
fn stored() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    apply(&open(dir.path()), &snapshot(5, &[2], &["gone"]));
    dir
}

/// Swaps in the snapshot file of a list that was stored elsewhere.
fn put_snapshot(dir: &Path, document: &SignedDocument) {
    fs::write(dir.join("revocations.snapshot"), document.to_json()).unwrap();
}

fn database(dir: &Path) -> PathBuf {
    dir.join("revocations.sled")
}

fn assert_reopens_with_everything(dir: &Path) {
    let list = open(dir);
    assert_eq!(list.seq(), Some(5));
    assert_eq!(check(&list, 2), REVOKED);
    assert_eq!(
        list.check("gone", &[id(100)], START),
        RevocationStatus::Revoked { block: 0 }
    );
    assert_eq!(check(&list, 3), NEVER_FETCHED);
    assert_eq!(
        refusal(
            list.apply(&snapshot(4, &[], &[]), &keys(), START)
                .unwrap_err()
        ),
        SnapshotRefused::Rollback {
            current: 5,
            offered: 4
        }
    );
    assert_eq!(
        apply(&list, &snapshot(5, &[2], &["gone"])),
        Applied::Refreshed { seq: 5 }
    );
    assert_eq!(check(&list, 3), RevocationStatus::Clear);
}

#[test]
fn a_fresh_directory_opens_stale() {
    let dir = tempfile::tempdir().unwrap();
    let list = open(&dir.path().join("made/for/it"));
    assert_eq!(list.seq(), None);
    assert_eq!(list.age(START), None);
    assert_eq!(check(&list, 2), NEVER_FETCHED);
}

#[test]
fn a_directory_opened_and_never_filled_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    assert_eq!(open(dir.path()).seq(), None);
}

#[test]
fn an_applied_list_clears_and_refuses_until_the_staleness_bound() {
    let dir = stored();
    let list = open(dir.path());
    apply(&list, &snapshot(6, &[2], &[]));
    assert_eq!(list.max_staleness(), MAX);
    let at = |n, now| list.check("s", &[id(n)], now);
    assert_eq!(at(3, START + MAX), RevocationStatus::Clear);
    assert_eq!(
        at(3, START + MAX + NANO),
        RevocationStatus::Stale {
            age: Some(MAX + NANO)
        }
    );
    assert_eq!(
        at(2, START + MAX + NANO),
        RevocationStatus::Revoked { block: 0 }
    );
}

#[test]
fn a_restart_keeps_what_is_revoked_and_clears_nothing() {
    assert_reopens_with_everything(stored().path());
}

#[test]
fn the_same_list_signed_again_later_refreshes_after_a_restart() {
    let dir = stored();
    let list = open(dir.path());
    let again = Snapshot::new(
        5,
        Timestamp::from_unix(1_769_860_800),
        [id(2).prefix()],
        ["gone".to_owned()],
    )
    .sign(&key(1))
    .unwrap();
    assert_eq!(apply(&list, &again), Applied::Refreshed { seq: 5 });
    assert_eq!(check(&list, 3), RevocationStatus::Clear);
}

#[test]
fn a_newer_list_drops_what_it_no_longer_names() {
    let dir = stored();
    let list = open(dir.path());
    assert_eq!(
        apply(&list, &snapshot(6, &[3], &[])),
        Applied::Replaced { seq: 6 }
    );
    assert_eq!(check(&list, 2), RevocationStatus::Clear);
    drop(list);
    let list = open(dir.path());
    assert_eq!(check(&list, 2), NEVER_FETCHED);
    assert_eq!(check(&list, 3), REVOKED);
    assert_eq!(
        list.check("gone", &[id(100)], START),
        RevocationStatus::Stale { age: None }
    );
}

#[test]
fn a_newer_list_is_whole_in_the_database_alone() {
    let dir = stored();
    apply(&open(dir.path()), &snapshot(6, &[3], &[]));
    fs::remove_file(dir.path().join("revocations.snapshot")).unwrap();
    let list = open(dir.path());
    assert_eq!(list.seq(), Some(6));
    assert_eq!(check(&list, 3), REVOKED);
    assert_eq!(check(&list, 2), NEVER_FETCHED);
}

#[test]
fn a_second_opener_is_told_that_the_list_is_in_use() {
    let dir = stored();
    let first = open(dir.path());
    assert!(matches!(
        SledRevocations::open(dir.path(), MAX, &keys()),
        Err(StoreError::InUse { dir: named }) if named == dir.path()
    ));
    drop(first);
    open(dir.path());
}

#[test]
fn sequence_numbers_never_go_backwards() {
    let dir = stored();
    let list = open(dir.path());
    for (seq, ids, reason) in [
        (
            4,
            [2].as_slice(),
            SnapshotRefused::Rollback {
                current: 5,
                offered: 4,
            },
        ),
        (5, &[], SnapshotRefused::Conflict { seq: 5 }),
    ] {
        let error = list
            .apply(&snapshot(seq, ids, &["gone"]), &keys(), START)
            .unwrap_err();
        assert_eq!(refusal(error), reason);
        assert_eq!(check(&list, 2), REVOKED);
        assert_eq!(check(&list, 3), NEVER_FETCHED);
    }
}

#[test]
fn lists_of_another_key_or_domain_or_with_a_flipped_byte_are_refused() {
    let dir = stored();
    let list = open(dir.path());
    let good = snapshot(6, &[], &[]);
    let payload = good.dangerous_unverified_payload();
    let flipped = good
        .to_json()
        .replacen("\"payload\":\"e", "\"payload\":\"f", 1);
    assert_ne!(flipped, good.to_json());
    for bad in [
        signed::sign(Domain::Revocations, payload, &key(2)),
        signed::sign(Domain::KeySet, payload, &key(1)),
        SignedDocument::from_json(flipped.as_bytes()).unwrap(),
    ] {
        assert_eq!(
            refusal(list.apply(&bad, &keys(), START).unwrap_err()),
            SnapshotRefused::Signature(SignatureError::BadSignature {
                domain: Domain::Revocations
            })
        );
    }
    assert_eq!(check(&list, 2), REVOKED);
    assert_eq!(check(&list, 3), NEVER_FETCHED);
    apply(&list, &good);
    assert_eq!(check(&list, 2), RevocationStatus::Clear);
}

#[test]
fn a_deleted_database_is_rebuilt_from_the_snapshot() {
    let dir = stored();
    fs::remove_dir_all(database(dir.path())).unwrap();
    drop(open(dir.path()));
    fs::remove_file(dir.path().join("revocations.snapshot")).unwrap();
    assert_reopens_with_everything(dir.path());
}

#[test]
fn a_database_cut_short_loses_to_the_snapshot() {
    for keep in [0, 1, 100, 4_096] {
        let dir = stored();
        let db = database(dir.path()).join("db");
        let file = fs::OpenOptions::new().write(true).open(&db).unwrap();
        file.set_len(keep).unwrap();
        drop(file);
        assert_reopens_with_everything(dir.path());
    }
}

#[test]
fn a_database_of_other_bytes_loses_to_the_snapshot() {
    for name in ["db", "conf"] {
        let dir = stored();
        let file = database(dir.path()).join(name);
        let length = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
        assert_reopens_with_everything(dir.path());
    }
}

#[test]
fn a_database_with_an_emptied_configuration_loses_to_the_snapshot() {
    let dir = stored();
    fs::write(database(dir.path()).join("conf"), "").unwrap();
    assert_reopens_with_everything(dir.path());
}

#[test]
fn a_database_that_the_system_cannot_open_is_no_damaged_one() {
    let dir = stored();
    fs::remove_dir_all(database(dir.path())).unwrap();
    fs::write(database(dir.path()), "in the way").unwrap();
    assert!(matches!(
        SledRevocations::open(dir.path(), MAX, &keys()),
        Err(StoreError::Io { action: "open", .. })
    ));
    assert_eq!(fs::read(database(dir.path())).unwrap(), b"in the way");
}

#[test]
fn an_older_database_loses_to_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    apply(&open(dir.path()), &snapshot(4, &[3], &[]));
    put_snapshot(dir.path(), &snapshot(5, &[2], &["gone"]));
    assert_reopens_with_everything(dir.path());
}

#[test]
fn of_two_lists_with_one_number_the_signed_file_counts() {
    let dir = tempfile::tempdir().unwrap();
    apply(&open(dir.path()), &snapshot(5, &[3], &[]));
    put_snapshot(dir.path(), &snapshot(5, &[2], &["gone"]));
    assert_reopens_with_everything(dir.path());
}

#[cfg(unix)]
#[test]
fn copies_that_agree_are_not_written_again() {
    use std::os::unix::fs::MetadataExt;

    let dir = stored();
    let written = || {
        let path = dir.path().join("revocations.snapshot");
        fs::metadata(path).unwrap().ino()
    };
    let before = written();
    let list = open(dir.path());
    assert_eq!(written(), before);
    apply(&list, &snapshot(5, &[2], &["gone"]));
    assert_eq!(written(), before);
    apply(&list, &snapshot(6, &[2], &["gone"]));
    assert_ne!(written(), before);
}

#[test]
fn an_older_or_missing_or_damaged_snapshot_loses_to_the_database() {
    let other_key = signed::sign(
        Domain::Revocations,
        snapshot(9, &[], &[]).dangerous_unverified_payload(),
        &key(2),
    );
    let good = snapshot(5, &[2], &["gone"]).to_json();
    for content in [
        Some(snapshot(4, &[3], &[]).to_json()),
        Some(other_key.to_json()),
        Some(good.split_at(good.len() / 2).0.to_owned()),
        Some(String::new()),
        None,
    ] {
        let dir = stored();
        let file = dir.path().join("revocations.snapshot");
        match &content {
            Some(content) => fs::write(&file, content).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert_reopens_with_everything(dir.path());
        // The refresh at the end of the line above mended the file.
        assert_eq!(fs::read_to_string(&file).unwrap(), good);
        fs::remove_dir_all(database(dir.path())).unwrap();
        assert_reopens_with_everything(dir.path());
    }
}

#[test]
fn with_neither_copy_whole_the_list_does_not_open() {
    for break_snapshot in [
        |file: &Path| fs::write(file, "{").unwrap(),
        |file: &Path| fs::remove_file(file).unwrap(),
    ] {
        let dir = stored();
        fs::remove_dir_all(database(dir.path())).unwrap();
        break_snapshot(&dir.path().join("revocations.snapshot"));
        for _ in 0..2 {
            assert!(matches!(
                SledRevocations::open(dir.path(), MAX, &keys()),
                Err(StoreError::Lost { dir: named }) if named == dir.path()
            ));
        }
    }
}

#[test]
fn a_snapshot_counts_only_under_a_key_that_is_given() {
    let dir = stored();
    let other = vec![PublicKeyHex::from(&key(2))];
    for keys in [vec![], other.clone()] {
        let list = SledRevocations::open(dir.path(), MAX, &keys).unwrap();
        assert_eq!(check(&list, 2), REVOKED, "the database is whole");
    }
    fs::remove_dir_all(database(dir.path())).unwrap();
    for keys in [vec![], other] {
        assert!(matches!(
            SledRevocations::open(dir.path(), MAX, &keys),
            Err(StoreError::Lost { .. })
        ));
    }
    assert_reopens_with_everything(dir.path());
}

#[test]
fn a_list_that_cannot_be_stored_refuses_but_does_not_refresh() {
    let dir = stored();
    let list = open(dir.path());
    apply(&list, &snapshot(5, &[2], &["gone"]));
    // A directory in the place of the temporary file makes the write fail.
    let obstacle = dir.path().join("revocations.snapshot.tmp");
    fs::create_dir(&obstacle).unwrap();
    let newer = snapshot(6, &[3], &[]);
    let later = START + MAX;
    assert!(matches!(
        list.apply(&newer, &keys(), later),
        Err(ApplyError::Store(StoreError::Io { .. }))
    ));
    assert_eq!(list.seq(), Some(5));
    assert_eq!(list.age(later), Some(MAX));
    assert_eq!(check(&list, 2), REVOKED, "it names what it named");
    assert_eq!(check(&list, 3), REVOKED, "and what could not be stored");
    assert_eq!(
        refusal(
            list.apply(&snapshot(5, &[2], &["gone"]), &keys(), later)
                .unwrap_err()
        ),
        SnapshotRefused::Rollback {
            current: 6,
            offered: 5
        },
        "what was admitted once is not taken back"
    );

    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(
        list.apply(&newer, &keys(), later).unwrap(),
        Applied::Replaced { seq: 6 }
    );
    assert_eq!(check(&list, 2), RevocationStatus::Clear);
    drop(list);
    assert_eq!(open(dir.path()).seq(), Some(6));
}

#[test]
fn large_lists_are_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0_u32..20_000)
        .map(|n| {
            let mut bytes = [0; 64];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            RevocationId::from_bytes(bytes)
        })
        .collect();
    let prefixes = ids.iter().map(RevocationId::prefix);
    let document = Snapshot::new(1, Timestamp::EPOCH, prefixes, [])
        .sign(&key(1))
        .unwrap();
    apply(&open(dir.path()), &document);
    fs::remove_file(dir.path().join("revocations.snapshot")).unwrap();
    let list = open(dir.path());
    assert_eq!(list.seq(), Some(1));
    for revoked in ids {
        assert_eq!(
            list.check("s", &[revoked], START),
            RevocationStatus::Revoked { block: 0 }
        );
    }
}

#[cfg(unix)]
#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("gateway");
    apply(&open(&dir), &snapshot(1, &[2], &[]));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("revocations.snapshot")), 0o600);
    assert_eq!(mode(&dir.join("revocations.lock")), 0o600);
}
