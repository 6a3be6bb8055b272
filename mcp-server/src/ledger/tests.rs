use std::{fs, io::Write as _, path::PathBuf};

use bailiwick_datalog::CallDigest;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_000);
const LATER: Timestamp = Timestamp::from_unix(2_000);

struct Scene {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calls.ledger");
        Self { _dir: dir, path }
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.path, NOW).unwrap()
    }

    /// Opens the ledger anew, counts once, and lets go of it.
    async fn count(&self, claim: &Claim) -> Result<u32, NotCounted> {
        self.open().count(claim.clone(), NOW).await
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn damaged_line(&self) -> Option<usize> {
        match Ledger::open(&self.path, NOW) {
            Ok(_) => None,
            Err(LedgerOpenError::Damaged { line, .. }) => Some(line),
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn claim(session: &str, call: u8, times: u32) -> Claim {
    Claim {
        session: session.to_owned(),
        call: CallDigest::from_bytes([call; 32]),
        times,
        issued_at: NOW,
        until: LATER,
    }
}

#[tokio::test]
async fn a_call_is_made_as_often_as_it_was_approved_across_restarts() {
    let scene = Scene::new();
    let twice = claim("s-1", 1, 2);
    assert_eq!(scene.count(&twice).await, Ok(1));
    assert_eq!(scene.count(&twice).await, Ok(2));
    for _ in 0..2 {
        assert_eq!(scene.count(&twice).await, Err(NotCounted::UsedUp));
    }
    assert_eq!(
        scene.count(&claim("s-1", 2, 1)).await,
        Ok(1),
        "another call"
    );
    assert_eq!(
        scene.count(&claim("s-2", 1, 1)).await,
        Ok(1),
        "another session"
    );
}

#[tokio::test]
async fn of_a_hundred_at_once_one_is_counted() {
    let scene = Scene::new();
    let ledger = scene.open();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.count(claim("s-1", 1, 1), NOW).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(1)).count(), 1);
    let refused = answers.iter().filter(|a| **a == Err(NotCounted::UsedUp));
    assert_eq!(refused.count(), 99);
}

#[tokio::test]
async fn a_line_that_is_not_as_it_was_written_closes_the_ledger() {
    let scene = Scene::new();
    for call in 1..4 {
        scene.count(&claim("s-1", call, 1)).await.unwrap();
    }
    let whole = scene.bytes();
    let last_break = whole.len() - 1;
    for at in 0..last_break {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&scene.path, bytes).unwrap();
        let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        assert_eq!(scene.damaged_line(), Some(line), "byte {at}");
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let without_the_second = [lines[0], lines[2], lines[3]].concat();
    let exchanged = [lines[0], lines[2], lines[1], lines[3]].concat();
    let doubled = [lines[0], lines[1], lines[1]].concat();
    for (bytes, line) in [
        (without_the_second, 2),
        (exchanged, 2),
        (doubled, 3),
        (lines[1..].concat(), 1),
        (b"\n".to_vec(), 1),
        (Vec::new(), 1),
    ] {
        fs::write(&scene.path, bytes).unwrap();
        assert_eq!(scene.damaged_line(), Some(line));
    }
}

#[tokio::test]
async fn a_torn_end_forgets_nothing() {
    let scene = Scene::new();
    scene.count(&claim("s-1", 1, 1)).await.unwrap();
    let before = scene.bytes().len();
    scene.count(&claim("s-1", 2, 1)).await.unwrap();
    let whole = scene.bytes();
    for length in before + 1..whole.len() {
        fs::write(&scene.path, &whole[..length]).unwrap();
        // All but the line break: the use is there. Less: nobody knows.
        let expected = match length + 1 == whole.len() {
            true => NotCounted::UsedUp,
            false => NotCounted::Unknown,
        };
        assert_eq!(
            scene.count(&claim("s-1", 2, 1)).await,
            Err(expected),
            "{length}"
        );
    }
    let known = scene.open().count(claim("s-1", 1, 1), NOW).await;
    assert_eq!(known, Err(NotCounted::UsedUp));
    // Sessions from after the damage are counted again.
    let issued = |after: u64| Claim {
        issued_at: Timestamp::from_unix(NOW.unix() + after),
        ..claim("s-2", 1, 1)
    };
    let fresh = issued(31);
    fs::write(&scene.path, &whole[..before + 9]).unwrap();
    assert_eq!(
        scene.count(&issued(30)).await,
        Err(NotCounted::Unknown),
        "the issuer's clock may be ahead"
    );
    assert_eq!(
        scene.count(&claim("s-3", 1, 1)).await,
        Err(NotCounted::Unknown)
    );
    assert_eq!(scene.count(&fresh).await, Ok(1));
    assert_eq!(scene.count(&fresh).await, Err(NotCounted::UsedUp));
}

#[tokio::test]
async fn a_ledger_that_is_gone_answers_for_no_session_from_before() {
    let scene = Scene::new();
    scene.count(&claim("s-1", 1, 1)).await.unwrap();
    fs::remove_file(&scene.path).unwrap();
    let moment = Timestamp::from_unix(NOW.unix() + 1);
    let ledger = Ledger::open(&scene.path, moment).unwrap();
    let again = ledger.count(claim("s-1", 1, 1), moment).await;
    assert_eq!(again, Err(NotCounted::Unknown));
    let fresh = Claim {
        issued_at: moment,
        ..claim("s-2", 1, 1)
    };
    assert_eq!(ledger.count(fresh, moment).await, Ok(1));
}

#[tokio::test]
async fn what_is_over_is_dropped_and_not_answered_for_when_the_clock_goes_back() {
    let scene = Scene::new();
    scene.count(&claim("s-1", 1, 1)).await.unwrap();
    let longer = Claim {
        until: Timestamp::from_unix(LATER.unix() + 1),
        ..claim("s-2", 1, 1)
    };
    scene.count(&longer).await.unwrap();
    let before = scene.bytes().len();
    drop(Ledger::open(&scene.path, LATER).unwrap());
    assert!(
        scene.bytes().len() < before,
        "the session that is over is dropped"
    );
    assert_eq!(
        scene.count(&claim("s-1", 1, 1)).await,
        Err(NotCounted::Unknown)
    );
    assert_eq!(scene.count(&longer).await, Err(NotCounted::UsedUp));
}

#[tokio::test]
async fn most_uses_are_remembered_and_one_more_is_refused_until_there_is_room() {
    let scene = Scene::new();
    let ledger = Ledger::bounded(&scene.path, NOW, 3).unwrap();
    for call in 1..=3 {
        assert_eq!(ledger.count(claim("s-1", call, 1), NOW).await, Ok(1));
    }
    let more = |until| Claim {
        until,
        ..claim("s-2", 1, 1)
    };
    let end = Timestamp::from_unix(LATER.unix() + 9);
    let full = ledger.count(more(end), NOW).await;
    assert_eq!(full, Err(NotCounted::NotRecorded));
    assert_eq!(ledger.count(more(end), LATER).await, Ok(1));
    assert_eq!(
        ledger.count(more(end), LATER).await,
        Err(NotCounted::UsedUp)
    );
}

#[tokio::test]
async fn a_use_that_cannot_be_written_is_refused_and_the_next_is_tried_anew() {
    let scene = Scene::new();
    let file = LedgerFile::open(&scene.path, NOW, MAX_USES).unwrap();
    let job = |call| {
        let (done, _answer) = oneshot::channel();
        let (claim, now) = (claim("s-1", call, 1), NOW);
        Count { claim, now, done }
    };
    let whole = scene.bytes();
    // A handle that cannot be written stands for a disk that is full.
    let mut broken = file.with_handle(fs::File::open(&scene.path).unwrap());
    let (answers, failure) = settle(&mut broken, &[job(1), job(1)]);
    assert!(failure.is_err());
    let refused = [Err(NotCounted::NotRecorded), Err(NotCounted::UsedUp)];
    assert_eq!(answers, refused);
    assert_eq!(scene.bytes(), whole);
    let handle = fs::File::options().read(true).write(true).open(&scene.path);
    let mut mended = broken.with_handle(handle.unwrap());
    assert_eq!(settle(&mut mended, &[job(1)]).0, [Ok(1)]);
}

#[tokio::test]
async fn a_file_that_could_not_be_written_anew_is_read_again_and_goes_on() {
    let scene = Scene::new();
    let mut file = LedgerFile::open(&scene.path, NOW, 2).unwrap();
    let job = |session, until, now| {
        let (done, _answer) = oneshot::channel();
        let claim = Claim {
            until,
            ..claim(session, 1, 1)
        };
        Count { claim, now, done }
    };
    let end = Timestamp::from_unix(LATER.unix() + 9);
    assert_eq!(settle(&mut file, &[job("s-1", LATER, NOW)]).0, [Ok(1)]);
    assert_eq!(settle(&mut file, &[job("s-2", end, NOW)]).0, [Ok(1)]);
    // Without its folder the file cannot be replaced, as on a disk that is full.
    let folder = scene.path.parent().unwrap();
    let away = folder.with_extension("away");
    fs::rename(folder, &away).unwrap();
    for _ in 0..2 {
        let (answers, failure) = settle(&mut file, &[job("s-3", end, LATER)]);
        assert!(failure.is_err());
        assert_eq!(answers, [Err(NotCounted::NotRecorded)]);
    }
    fs::rename(&away, folder).unwrap();
    let again = [job("s-2", end, LATER), job("s-3", end, LATER)];
    let (answers, failure) = settle(&mut file, &again);
    assert!(failure.is_ok(), "{failure:?}");
    assert_eq!(answers, [Err(NotCounted::UsedUp), Ok(1)]);
}

#[tokio::test]
async fn half_a_line_of_a_write_that_failed_costs_no_session_its_calls() {
    let scene = Scene::new();
    assert_eq!(scene.count(&claim("s-1", 1, 2)).await, Ok(1));
    let mut file = LedgerFile::open(&scene.path, NOW, MAX_USES).unwrap();
    // As a disk leaves it that had room for a part only.
    let mut disk = fs::File::options().append(true).open(&scene.path).unwrap();
    disk.write_all(b"0123456789").unwrap();
    let folder = scene.path.parent().unwrap();
    let away = folder.with_extension("away");
    fs::rename(folder, &away).unwrap();
    assert!(file.write_anew(NOW).is_err());
    fs::rename(&away, folder).unwrap();
    let (done, _answer) = oneshot::channel();
    let (claim, now) = (claim("s-1", 1, 2), NOW);
    let (answers, written) = settle(&mut file, &[Count { claim, now, done }]);
    assert!(written.is_ok(), "{written:?}");
    assert_eq!(answers, [Ok(2)]);
}

#[tokio::test]
async fn a_ledger_that_can_be_written_again_is_found_so_without_a_call() {
    let scene = Scene::new();
    let ledger = scene.open();
    assert_eq!(ledger.count(claim("s-1", 1, 1), NOW).await, Ok(1));
    assert!(!ledger.is_failing(NOW));
    let folder = scene.path.parent().unwrap();
    let away = folder.with_extension("away");
    fs::rename(folder, &away).unwrap();
    ledger.health.failing.store(true, Ordering::Relaxed);
    // While the file cannot be replaced, it stays failing however often one asks; a claim that is
    // refused comes after whatever was tried before it.
    for _ in 0..3 {
        assert!(ledger.is_failing(NOW));
        let answer = ledger.count(claim("s-1", 2, 1), NOW).await;
        assert_eq!(answer, Err(NotCounted::NotRecorded));
    }
    assert!(ledger.is_failing(NOW));
    fs::rename(&away, folder).unwrap();
    while ledger.is_failing(NOW) {
        tokio::task::yield_now().await;
    }
    assert_eq!(ledger.count(claim("s-1", 2, 1), NOW).await, Ok(1));
    assert_eq!(
        ledger.count(claim("s-1", 1, 1), NOW).await,
        Err(NotCounted::UsedUp)
    );
}
