//! What a ledger remembers: the uses of live sessions, and from when to when it knows them all.

use std::collections::HashMap;

use bailiwick_datalog::{CallDigest, Timestamp};
use bailiwick_verifier::single_use::Claim;
use serde::{Deserialize, Serialize};

use super::NotCounted;

/// One use of one exact call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Use {
    pub(super) session: String,
    pub(super) call: CallDigest,
    /// Which of the session's uses of the call, from 1.
    pub(super) nth: u32,
    /// When the session ends.
    pub(super) until: Timestamp,
}

/// What a ledger can answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    /// Every use since then is known, but for those dropped.
    pub(super) since: Timestamp,
    /// The latest end of a session whose uses were dropped. A clock that ran ahead for a while may
    /// have ended sessions that are live again: what they used is not known any more.
    pub(super) dropped_until: Timestamp,
}

/// Uses in memory.
#[derive(Debug)]
pub(super) struct Uses {
    reach: Reach,
    most: usize,
    sessions: HashMap<String, Session>,
    count: usize,
}

#[derive(Debug)]
struct Session {
    until: Timestamp,
    calls: HashMap<CallDigest, u32>,
}

impl Uses {
    pub(super) fn new(reach: Reach, most: usize) -> Self {
        Self {
            reach,
            most,
            sessions: HashMap::new(),
            count: 0,
        }
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Answers for nothing from before this moment: something that was recorded is lost.
    pub(super) fn know_only_since(&mut self, moment: Timestamp) {
        self.reach.since = self.reach.since.max(moment);
    }

    /// How many uses are remembered.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The use that a claim would be, beside those that are about to be recorded.
    ///
    /// # Errors
    /// [`NotCounted`].
    pub(super) fn next(&self, claim: &Claim, fresh: &[Use]) -> Result<Use, NotCounted> {
        if claim.issued_at < self.reach.since || claim.until <= self.reach.dropped_until {
            return Err(NotCounted::Unknown);
        }
        let pending = fresh
            .iter()
            .filter(|one| one.session == claim.session && one.call == claim.call)
            .count();
        let pending = u32::try_from(pending).unwrap_or(u32::MAX);
        let used = self
            .used(&claim.session, claim.call)
            .saturating_add(pending);
        if used >= claim.times {
            return Err(NotCounted::UsedUp);
        }
        if self.count.saturating_add(fresh.len()) >= self.most {
            return Err(NotCounted::NotRecorded);
        }
        Ok(Use {
            session: claim.session.clone(),
            call: claim.call,
            nth: used.saturating_add(1),
            until: claim.until,
        })
    }

    /// Remembers a use; `false` for one that does not follow on the one before it.
    #[must_use]
    pub(super) fn add(&mut self, one: Use) -> bool {
        let session = self.sessions.entry(one.session).or_insert(Session {
            until: one.until,
            calls: HashMap::new(),
        });
        session.until = session.until.max(one.until);
        let used = session.calls.entry(one.call).or_default();
        if used.checked_add(1) != Some(one.nth) {
            return false;
        }
        *used = one.nth;
        self.count = self.count.saturating_add(1);
        true
    }

    /// Forgets the sessions that are over.
    pub(super) fn drop_ended(&mut self, now: Timestamp) {
        let reach = &mut self.reach;
        self.sessions.retain(|_, session| {
            let live = session.until > now;
            if !live {
                reach.dropped_until = reach.dropped_until.max(session.until);
            }
            live
        });
        let calls = self.sessions.values().flat_map(|one| one.calls.values());
        let count = calls.fold(0_u64, |sum, used| sum.saturating_add(u64::from(*used)));
        self.count = usize::try_from(count).unwrap_or(usize::MAX);
    }

    /// Every use that is remembered, those of one call in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Use> {
        self.sessions.iter().flat_map(|(name, session)| {
            session.calls.iter().flat_map(move |(call, used)| {
                (1..=*used).map(move |nth| Use {
                    session: name.clone(),
                    call: *call,
                    nth,
                    until: session.until,
                })
            })
        })
    }

    fn used(&self, session: &str, call: CallDigest) -> u32 {
        let session = self.sessions.get(session);
        session
            .and_then(|session| session.calls.get(&call))
            .copied()
            .unwrap_or(0)
    }
}
