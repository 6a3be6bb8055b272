//! The authority block: what the issuer grants, as facts and fixed checks (profile rules 1–3).
//!
//! [`Authority::to_builder`] writes it, [`crate::chain`] reads it back. Signing is the issuer's.

use std::collections::HashSet;

use biscuit_auth::builder::{BiscuitBuilder, Fact, Predicate, Term, string};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    caveat::Caveat,
    limits::{MAX_CHECKS_PER_BLOCK, MAX_EXACT_CALLS, MAX_GRANTS, MAX_TASK_BYTES},
    name::{
        Access, AgentName, ApplicationId, ApprovalId, Audience, Principal, SessionId, Thumbprint,
        ToolName,
    },
    resource::ResourcePath,
    timestamp::Timestamp,
};

/// The profile version that `bailiwick(1)` names.
pub const PROFILE_VERSION: i64 = 1;
/// Checks that every authority block has: time and audience.
pub(crate) const FIXED_CHECKS: usize = 2;

/// One granted tool on everything at or below one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Names the grant in explanations and audit.
    pub id: String,
    /// The tool.
    pub tool: ToolName,
    /// The access; granted by name, not ordered.
    pub access: Access,
    /// The path at or below which resources are granted.
    pub path: ResourcePath,
}

/// A limit on the calls of one tool, shared by all its grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolLimit {
    /// The tool.
    pub tool: ToolName,
    /// The limit: [`Caveat::Argument`], [`Caveat::ClosedWorld`] or, once for a tool,
    /// [`Caveat::ExactCalls`].
    pub caveat: Caveat,
}

/// What one approved session may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The session.
    pub session: SessionId,
    /// The approval that created it.
    pub approval: ApprovalId,
    /// The application boundary.
    pub application: ApplicationId,
    /// The human on whose behalf.
    pub principal: Principal,
    /// The agent it was approved for.
    pub agent: AgentName,
    /// The task as approved, at most 4,096 bytes. The agent's own words: show it as such.
    pub task: String,
    /// SHA-256 of the canonical approved request.
    pub request_digest: [u8; 32],
    /// The one server it is good for.
    pub audience: Audience,
    /// Not before.
    pub issued_at: Timestamp,
    /// Not at or after.
    pub expires_at: Timestamp,
    /// Most blocks after this one.
    pub max_depth: u32,
    /// Key whose proof of possession every call must carry, if any.
    pub holder: Option<Thumbprint>,
    /// What is granted; none at all may only discover tools and ask for access.
    pub grants: Vec<Grant>,
    /// Limits on the calls of tools.
    pub limits: Vec<ToolLimit>,
}

/// Why a block can't be written in the profile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The task text is longer than 4,096 bytes.
    #[error("task has {length} bytes, more than {MAX_TASK_BYTES}")]
    TaskTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// More grants than a token may hold.
    #[error("{count} grants, more than {MAX_GRANTS}")]
    TooManyGrants {
        /// How many.
        count: usize,
    },
    /// More checks than a block may hold.
    #[error("{count} checks, more than {MAX_CHECKS_PER_BLOCK} in one block")]
    TooManyChecks {
        /// How many, fixed checks included.
        count: usize,
    },
    /// More exact calls than a token may hold.
    #[error("{count} exact calls, more than {MAX_EXACT_CALLS}")]
    TooManyExactCalls {
        /// How many.
        count: usize,
    },
    /// Two lists of exact calls for one tool.
    #[error("`{tool}` has two lists of exact calls")]
    RepeatedExactCalls {
        /// The tool.
        tool: ToolName,
    },
    /// Exact calls in a later block, which cannot hold any.
    #[error("only the authority block lists exact calls")]
    ExactCallsInLaterBlock,
    /// A tool limit that is not about arguments.
    #[error("the limit of `{tool}` is not about its arguments")]
    NotAnArgumentLimit {
        /// The tool.
        tool: ToolName,
    },
    /// A caveat that has no shape in the profile, such as a range without bounds.
    #[error("a caveat has no form in the token profile: {0}")]
    CaveatWithoutForm(String),
    /// The token ends before it begins.
    #[error("expires at {expires_at}, not after it is issued at {issued_at}")]
    EndsBeforeItBegins {
        /// Begin.
        issued_at: Timestamp,
        /// End.
        expires_at: Timestamp,
    },
    /// The library refused to build the block.
    #[error("the block could not be built: {0}")]
    Library(String),
}

impl Authority {
    /// Writes the authority block. The caller adds the root key id and signs.
    ///
    /// # Errors
    /// [`ProfileError`] when a limit of the profile is passed or a part has no form in it.
    pub fn to_builder(&self) -> Result<BiscuitBuilder, ProfileError> {
        self.check()?;
        let facts = self.facts();
        let builder = facts
            .into_iter()
            .try_fold(BiscuitBuilder::new(), BiscuitBuilder::fact);
        let checks = [
            Caveat::Expiry {
                at: self.expires_at,
                inclusive: false,
            }
            .to_check(),
            Caveat::Audience(self.audience.as_str().to_owned()).to_check(),
        ]
        .into_iter()
        .chain(
            self.limits
                .iter()
                .map(|limit| limit.caveat.to_check_for_tool(limit.tool.as_str())),
        );
        builder
            .and_then(|builder| checks.into_iter().try_fold(builder, BiscuitBuilder::check))
            .map_err(|error| ProfileError::Library(error.to_string()))
    }

    fn check(&self) -> Result<(), ProfileError> {
        if self.task.len() > MAX_TASK_BYTES {
            return Err(ProfileError::TaskTooLong {
                length: self.task.len(),
            });
        }
        if self.grants.len() > MAX_GRANTS {
            return Err(ProfileError::TooManyGrants {
                count: self.grants.len(),
            });
        }
        let count = self.limits.len().saturating_add(FIXED_CHECKS);
        if count > MAX_CHECKS_PER_BLOCK {
            return Err(ProfileError::TooManyChecks { count });
        }
        if self.expires_at <= self.issued_at {
            return Err(ProfileError::EndsBeforeItBegins {
                issued_at: self.issued_at,
                expires_at: self.expires_at,
            });
        }
        for limit in &self.limits {
            if !limit.caveat.is_tool_limit() {
                return Err(ProfileError::NotAnArgumentLimit {
                    tool: limit.tool.clone(),
                });
            }
            limit.caveat.check_form()?;
        }
        check_exact_calls(&self.limits)
    }

    /// The facts of the authority block, as the engine takes them.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let text = |name: &str, value: &str| fact(name, vec![string(value)]);
        let mut facts = vec![
            fact("bailiwick", vec![Term::Integer(PROFILE_VERSION)]),
            text("session", self.session.as_str()),
            text("approval", self.approval.as_str()),
            text("application", self.application.as_str()),
            text("principal", self.principal.as_str()),
            text("agent", self.agent.as_str()),
            text("task", &self.task),
            fact(
                "request_digest",
                vec![Term::Bytes(self.request_digest.to_vec())],
            ),
            text("audience", self.audience.as_str()),
            fact("issued_at", vec![Term::Date(self.issued_at.unix())]),
            fact("expires_at", vec![Term::Date(self.expires_at.unix())]),
            fact("max_depth", vec![Term::Integer(i64::from(self.max_depth))]),
        ];
        facts.extend(
            self.holder
                .iter()
                .map(|holder| text("holder", holder.as_str())),
        );
        facts.extend(self.grants.iter().map(|grant| {
            fact(
                "grant",
                vec![
                    string(&grant.id),
                    string(grant.tool.as_str()),
                    string(grant.access.as_str()),
                    path_term(&grant.path),
                ],
            )
        }));
        facts
    }
}

/// Whether the exact calls are few enough, and each tool has one list of them at most.
pub(crate) fn check_exact_calls(limits: &[ToolLimit]) -> Result<(), ProfileError> {
    let lists = || {
        limits.iter().filter_map(|limit| match &limit.caveat {
            Caveat::ExactCalls(calls) => Some((&limit.tool, calls.len())),
            _ => None,
        })
    };
    let count = lists().map(|(_, calls)| calls).sum();
    if count > MAX_EXACT_CALLS {
        return Err(ProfileError::TooManyExactCalls { count });
    }
    let mut seen = HashSet::new();
    match lists().find(|(tool, _)| !seen.insert(*tool)) {
        Some((tool, _)) => Err(ProfileError::RepeatedExactCalls { tool: tool.clone() }),
        None => Ok(()),
    }
}

pub(crate) fn path_term(path: &ResourcePath) -> Term {
    Term::Array(
        path.segments()
            .iter()
            .map(|segment| string(segment))
            .collect(),
    )
}

pub(crate) fn fact(name: &str, terms: Vec<Term>) -> Fact {
    Fact {
        predicate: Predicate {
            name: name.to_owned(),
            terms,
        },
        parameters: None,
    }
}
