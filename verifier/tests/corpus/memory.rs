//! What a verifier remembers of one token never helps another: the whole corpus before the same
//! verifier, again and again, in other orders and under changing keys.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bailiwick_datalog::{RevocationId, Timestamp};
use bailiwick_verifier::{
    KeySet, RevocationStatus, RevocationView, Verifier, holder::ProofVerifier,
};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    case::Case,
    cases,
    forge::key,
    scene::{AUDIENCE, key_text},
};

/// Cases by what a verifier is made of: its keys, its audience and what is revoked.
fn by_verifier(cases: Vec<Case>) -> Vec<(Verifier, Vec<Case>)> {
    let mut groups: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in cases {
        let made_of = (
            case.keys.clone(),
            case.audience.clone(),
            case.revoked.clone(),
        );
        groups.entry(made_of).or_default().push(case);
    }
    let proofs = Arc::new(ProofVerifier::default());
    groups
        .into_values()
        .map(|cases| (cases[0].verifier(&proofs), cases))
        .collect()
}

fn decide(verifier: &Verifier, case: &Case) -> &'static str {
    match case.unverified() {
        Ok(token) => case.decide_token(verifier, &token),
        Err(denied) => denied.code(),
    }
}

fn decide_header(verifier: &Verifier, case: &Case) -> &'static str {
    case.decide_header(verifier, case.header_value().as_bytes())
}

#[test]
fn a_verifier_that_has_seen_the_corpus_decides_it_alike() {
    for first in [decide, decide_header] {
        let groups = by_verifier(cases());
        let largest = groups.iter().map(|(_, cases)| cases.len()).max();
        assert!(largest > Some(500), "{largest:?} cases before one verifier");
        for (verifier, cases) in &groups {
            for case in cases {
                let met = first(verifier, case);
                assert_eq!(met, case.expect.verdict(), "{}", case.id);
            }
        }
        let mut rng = StdRng::seed_from_u64(5);
        for (verifier, mut cases) in groups {
            // A proof is good once, whatever the verifier remembers of the token.
            cases.retain(|case| case.holder_proof.is_none());
            for again in [decide, decide_header] {
                cases.shuffle(&mut rng);
                for case in &cases {
                    let met = again(&verifier, case);
                    assert_eq!(met, case.expect.verdict(), "{} again", case.id);
                }
            }
        }
    }
}

#[test]
fn a_token_seen_under_one_key_set_is_not_believed_under_another() {
    let usual = KeySet::from_entries([(1, key_text(&key("root")).parse().unwrap())]).unwrap();
    let other = KeySet::from_entries([(1, key_text(&key("other root")).parse().unwrap())]).unwrap();
    let (usual, other, none) = (Arc::new(usual), Arc::new(other), KeySet::from_entries([]));
    let none = Arc::new(none.unwrap());
    let mut sound = cases();
    sound.retain(|case| {
        let plain = case.holder_proof.is_none() && case.audience == AUDIENCE;
        plain && case.keys.len() == 1 && case.keys.contains_key("1") && case.revoked.is_empty()
    });
    let verifier = sound[0].verifier(&Arc::new(ProofVerifier::default()));
    for case in sound.iter().filter(|case| case.expect.verdict() == "allow") {
        for (keys, expected) in [
            (&usual, "allow"),
            (&other, "bad_signature"),
            (&none, "unknown_key"),
            (&usual, "allow"),
        ] {
            verifier.replace_keys(Arc::clone(keys));
            assert_eq!(decide_header(&verifier, case), expected, "{}", case.id);
            assert_eq!(decide(&verifier, case), expected, "{}", case.id);
        }
    }
}

/// Revokes the last block of every token while it is on.
#[derive(Default)]
struct Switch(AtomicBool);

impl RevocationView for Switch {
    fn check(&self, _session: &str, ids: &[RevocationId], _now: Duration) -> RevocationStatus {
        if self.0.load(Ordering::Relaxed) {
            RevocationStatus::Revoked {
                block: ids.len() - 1,
            }
        } else {
            RevocationStatus::Clear
        }
    }
}

/// A token verified before is decided anew, with the keys, the time and the revocations of now.
#[test]
fn a_verified_token_is_held_to_what_changed_since() {
    let mut decided = 0;
    for case in cases() {
        let sound = case.expect.verdict() == "allow" && case.holder_proof.is_none();
        let (true, Ok(token)) = (sound, case.unverified()) else {
            continue;
        };
        let switch = Arc::new(Switch::default());
        let verifier = case.verifier_with(Arc::<Switch>::clone(&switch));
        let verified = verifier.verify(&token, case.now()).unwrap();
        let call = case.canonical_call().unwrap();
        let code = |now| {
            let decision = verifier.authorization_verified(&verified, &call, None, now);
            decision.map_or_else(|denied| denied.code(), |_| "allow")
        };
        assert_eq!(code(case.now()), "allow", "{}", case.id);
        let mut late = case.now();
        late.utc = Timestamp::parse_rfc3339("2030-01-01T00:00:00Z").unwrap();
        assert_eq!(code(late), "expired", "{}", case.id);
        switch.0.store(true, Ordering::Relaxed);
        assert_eq!(code(case.now()), "revoked", "{}", case.id);
        assert_eq!(decide(&verifier, &case), "revoked", "{}", case.id);
        switch.0.store(false, Ordering::Relaxed);
        assert_eq!(code(case.now()), "allow", "{}", case.id);
        verifier.replace_keys(Arc::new(KeySet::from_entries([]).unwrap()));
        assert_eq!(code(case.now()), "unknown_key", "{}", case.id);
        decided += 1;
    }
    assert!(decided > 200, "{decided}");
}
