//! Exact calls: what an approval of one call with its very arguments comes to, before the effect.
//!
//! The verifier says that a call *is* one of those approved, and how often the session may make it.
//! That it was not made before, only the host that makes it can know. So it gets no [`Permit`] for
//! such a call but a [`SingleUse`], which gives the permit up once the use is on durable record.

use bailiwick_datalog::{Call, CallDigest, ExactUse, Timestamp};

use crate::{denied::Denied, permit::Permit};

/// What a verifier says of a call that a token allows.
#[derive(Debug)]
#[must_use = "an authorization that is dropped authorized nothing"]
pub enum Authorization {
    /// It may be made, and made again.
    Free(Permit),
    /// It may be made as often as it was approved; the use has to be on record first.
    Once(SingleUse),
}

/// A call that a token allows a counted number of times.
#[derive(Debug)]
#[must_use = "a use that is not recorded authorizes nothing"]
pub struct SingleUse {
    permit: Permit,
    claim: Claim,
}

/// One more use of one exact call, to be put on record before it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The session: uses are counted in it, whatever token of it is presented.
    pub session: String,
    /// The call.
    pub call: CallDigest,
    /// How many times the session may make it.
    pub times: u32,
    /// When the session was issued: no use of it is older.
    pub issued_at: Timestamp,
    /// When the session ends, and with it the need to remember.
    pub until: Timestamp,
}

/// A use that is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedUse {
    /// The call.
    pub call: CallDigest,
    /// Which of its uses this is, from 1.
    pub nth: u32,
    /// How many there may be.
    pub times: u32,
}

impl Authorization {
    pub(crate) fn of(permit: Permit, exact: Option<ExactUse>) -> Self {
        match exact {
            None => Self::Free(permit),
            Some(exact) => {
                let claim = Claim {
                    session: permit.session().to_owned(),
                    call: exact.call,
                    times: exact.times,
                    issued_at: permit.session_span().0,
                    until: permit.session_span().1,
                };
                Self::Once(SingleUse { permit, claim })
            }
        }
    }

    /// The permit, where nothing has to be recorded first.
    ///
    /// # Errors
    /// [`Denied::PolicyDenied`] for a call whose uses have to be counted.
    pub fn without_record(self) -> Result<Permit, Denied> {
        match self {
            Self::Free(permit) => Ok(permit),
            Self::Once(_) => Err(Denied::PolicyDenied {
                what:
                    "the call was approved to be made a counted number of times, and this server \
                       keeps no record of the calls that were made"
                        .to_owned(),
            }),
        }
    }
}

impl SingleUse {
    /// What has to be on record before the call is made.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The call that may be made.
    #[must_use]
    pub fn call(&self) -> &Call {
        self.permit.call()
    }

    /// When the access ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.permit.expires_at()
    }

    /// For each resource of the call, the grant that covers it.
    #[must_use]
    pub fn grant_ids(&self) -> &[String] {
        self.permit.grant_ids()
    }

    /// Gives the permit up. `record` puts the claim on durable record, or finds it there, and says
    /// which use it is.
    ///
    /// # Errors
    /// What `record` says; the call must not be made then.
    pub fn record<E>(self, record: impl FnOnce(&Claim) -> Result<u32, E>) -> Result<Permit, E> {
        let nth = record(&self.claim)?;
        Ok(self.permit.with_use(RecordedUse {
            call: self.claim.call,
            nth,
            times: self.claim.times,
        }))
    }
}

impl Claim {
    /// The refusal of a use beyond the last.
    #[must_use]
    pub fn used_up(&self) -> Denied {
        let what = match self.times {
            1 => "it was approved to be made once, and was made".to_owned(),
            times => format!("it was approved to be made {times} times, and was made as often"),
        };
        Denied::ApprovalRequired { what }
    }
}
