//! Messages → typed blocks: everything is recognised, or the token is refused.

use std::{borrow::Cow, sync::Arc};

use biscuit_auth::format::schema::{self, check, op, op_binary};

use super::{Chain, ChainBlock, ChainError, EncodedChain, encoded::EncodedBlock, signed::Proof};
use crate::{
    authority::{
        Authority, FIXED_CHECKS, Grant, PROFILE_VERSION, ProfileError, ToolLimit, check_exact_calls,
    },
    caveat::{Caveat, recognise},
    later_block::LaterBlock,
    limits::{
        MAX_BLOCK_TEXT_BYTES, MAX_CHECKS_PER_BLOCK, MAX_EXACT_CALLS, MAX_GRANTS, MAX_TASK_BYTES,
    },
    name::{
        Access, AgentName, ApplicationId, ApprovalId, Audience, DelegateName, Principal, SessionId,
        Thumbprint, ToolName,
    },
    resource::ResourcePath,
    timestamp::Timestamp,
    wire::{self, PredicateView, Symbols, TermView as Term, WireError},
};

/// Datalog versions that official libraries write (profile rule 13).
const DATALOG_VERSIONS: std::ops::RangeInclusive<u32> = 3..=6;
/// Signature versions (profile rule 13); a third-party block needs the later one.
const LATEST_SIGNATURE_VERSION: u32 = 1;

/// A chain whose blocks so far are inside the profile, and the symbols that they list.
#[derive(Clone, Debug)]
pub(super) struct Shaped {
    chain: Chain,
    symbols: Symbols,
}

impl Shaped {
    pub(super) fn of(encoded: &EncodedChain) -> Result<Self, ChainError> {
        let (first, rest) = encoded
            .blocks
            .split_first()
            .ok_or(ChainError::Malformed("the token has no authority block"))?;
        let mut shaped = Self::authority(encoded.root_key_id, first)?;
        rest.iter().try_for_each(|block| shaped.append(block))?;
        Ok(shaped)
    }

    fn authority(root_key_id: u32, block: &EncodedBlock) -> Result<Self, ChainError> {
        let mut symbols = Symbols::default();
        let authority = Reader::new(0, block, &mut symbols)?.authority()?;
        let chain = Chain {
            authority: Arc::new(authority),
            blocks: Vec::new(),
            root_key_id,
            sealed: false,
            revocation_ids: vec![block.signed.signature],
        };
        Ok(Self { chain, symbols })
    }

    pub(super) fn append(&mut self, block: &EncodedBlock) -> Result<(), ChainError> {
        let index = self.chain.blocks.len().saturating_add(1);
        let reader = Reader::new(index, block, &mut self.symbols)?;
        let content = reader.later()?;
        reader.check_binding(&content, self.chain.holder())?;
        self.chain.blocks.push(Arc::new(ChainBlock {
            content,
            by_holder: block.signed.external.is_some(),
        }));
        self.chain.revocation_ids.push(block.signed.signature);
        Ok(())
    }

    /// The chain as this proof ends it.
    pub(super) fn chain(&self, proof: &Proof) -> Chain {
        Chain {
            sealed: matches!(proof, Proof::Seal(_)),
            ..self.chain.clone()
        }
    }

    /// Blocks so far, the authority block included.
    pub(super) fn block_count(&self) -> usize {
        self.chain.depth().saturating_add(1)
    }

    pub(super) fn weight(&self) -> usize {
        // A pointer and an id for each block, with room for spare capacity.
        let blocks = self.block_count().saturating_add(1).saturating_mul(256);
        self.symbols.weight().saturating_add(blocks)
    }
}

/// One block with the symbols in force for it.
struct Reader<'a> {
    index: usize,
    block: &'a EncodedBlock,
    symbols: Cow<'a, Symbols>,
}

impl<'a> Reader<'a> {
    /// First-party blocks share one growing symbol table; a third-party block has its own.
    fn new(
        index: usize,
        block: &'a EncodedBlock,
        shared: &'a mut Symbols,
    ) -> Result<Self, ChainError> {
        const REPEATED: ChainError = ChainError::Malformed("a symbol is listed twice");
        let symbols = if block.signed.external.is_some() {
            let mut own = Symbols::default();
            own.extend(&block.symbols).ok_or(REPEATED)?;
            Cow::Owned(own)
        } else {
            shared.extend(&block.symbols).ok_or(REPEATED)?;
            Cow::Borrowed(&*shared)
        };
        let reader = Self {
            index,
            block,
            symbols,
        };
        reader.check_envelope()?;
        Ok(reader)
    }

    /// What neither an authority block nor a later one may have.
    fn check_envelope(&self) -> Result<(), ChainError> {
        let content = &self.block.content;
        let forbidden = [
            (!content.rules.is_empty(), "a rule"),
            (!content.scope.is_empty(), "a scope"),
            (!content.public_keys.is_empty(), "a public key"),
            (content.context.is_some(), "a context"),
            (
                self.block.signed.version > LATEST_SIGNATURE_VERSION,
                "an unknown signature version",
            ),
            (
                !content
                    .version
                    .is_some_and(|version| DATALOG_VERSIONS.contains(&version)),
                "a Datalog version other than 3 to 6",
            ),
            (
                content.version < Some(required_version(self.block)),
                "a Datalog version older than what it uses",
            ),
        ];
        if let Some((_, what)) = forbidden.iter().find(|(found, _)| *found) {
            return Err(self.violation(*what));
        }
        self.limit("checks", content.checks.len(), MAX_CHECKS_PER_BLOCK)?;
        // Before any of it is copied out of the symbol table.
        let text = wire::text_bytes(content, &self.symbols);
        self.limit("bytes of text in a block", text, MAX_BLOCK_TEXT_BYTES)
    }

    fn authority(&self) -> Result<Authority, ChainError> {
        let facts = self.facts()?;
        let once = |name: &str| self.once(&facts, name);
        if once("bailiwick")? != &Term::Integer(PROFILE_VERSION) {
            return Err(self.violation("another profile version than 1"));
        }
        let text = |name: &str| match once(name)? {
            Term::Str(text) => Ok((*text).to_owned()),
            _ => Err(self.violation(format!("`{name}` is not a string"))),
        };
        let date = |name: &str| match once(name)? {
            Term::Date(date) => Ok(Timestamp::from_unix(*date)),
            _ => Err(self.violation(format!("`{name}` is not a date"))),
        };
        let task = text("task")?;
        self.limit("bytes of task", task.len(), MAX_TASK_BYTES)?;
        let grants: Vec<_> = facts.iter().filter(|fact| fact.name == "grant").collect();
        self.limit("grants", grants.len(), MAX_GRANTS)?;
        let authority = Authority {
            session: SessionId::from_token(text("session")?),
            approval: ApprovalId::from_token(text("approval")?),
            application: ApplicationId::from_token(text("application")?),
            principal: Principal::from_token(text("principal")?),
            agent: AgentName::from_token(text("agent")?),
            task,
            request_digest: self.digest(once("request_digest")?)?,
            audience: Audience::from_token(text("audience")?),
            issued_at: date("issued_at")?,
            expires_at: date("expires_at")?,
            max_depth: self.depth(once("max_depth")?)?,
            holder: self.holder(&facts)?,
            grants: grants
                .into_iter()
                .map(|fact| self.grant(fact))
                .collect::<Result<_, _>>()?,
            limits: Vec::new(),
        };
        self.only_known(&facts, AUTHORITY_FACTS)?;
        let limits = self.authority_checks(&authority)?;
        Ok(Authority {
            limits,
            ..authority
        })
    }

    /// The two fixed checks, once each, and any number of limits on the calls of tools.
    fn authority_checks(&self, authority: &Authority) -> Result<Vec<ToolLimit>, ChainError> {
        let fixed = [
            Caveat::Expiry {
                at: authority.expires_at,
                inclusive: false,
            },
            Caveat::Audience(authority.audience.as_str().to_owned()),
        ];
        let mut seen = Vec::with_capacity(FIXED_CHECKS);
        let mut limits = Vec::new();
        for message in &self.block.content.checks {
            if message.kind.is_some() {
                return Err(self.violation("an authority check other than `check if`"));
            }
            let queries = self.queries(message)?;
            match queries.as_slice() {
                [query] => match recognise::query(query) {
                    Some(caveat) if fixed.contains(&caveat) && !seen.contains(&caveat) => {
                        seen.push(caveat);
                    }
                    _ => return Err(self.violation("a check the issuer does not write")),
                },
                [other_tool, limit] => {
                    let tool = recognise::excluded_tool(other_tool)
                        .and_then(|tool| ToolName::parse(tool).ok());
                    let caveat = recognise::tool_limit(limit);
                    let (Some(tool), Some(caveat)) = (tool, caveat) else {
                        return Err(self.violation("a check the issuer does not write"));
                    };
                    limits.push(ToolLimit { tool, caveat });
                }
                _ => return Err(self.violation("a check the issuer does not write")),
            }
        }
        if seen.len() != FIXED_CHECKS {
            return Err(self.violation("a fixed check is missing"));
        }
        match check_exact_calls(&limits) {
            Ok(()) => Ok(limits),
            Err(ProfileError::TooManyExactCalls { count }) => Err(ChainError::LimitExceeded {
                what: "exact calls",
                count,
                limit: MAX_EXACT_CALLS,
            }),
            Err(other) => Err(self.violation(other.to_string())),
        }
    }

    fn later(&self) -> Result<LaterBlock, ChainError> {
        self.only_later_facts()?;
        let facts = self.facts()?;
        let delegate = match self.at_most_once(&facts, "delegate")? {
            None => None,
            Some(Term::Str(name)) => Some(DelegateName::from_token((*name).to_owned())),
            Some(_) => return Err(self.violation("`delegate` is not a string")),
        };
        let caveats = self
            .block
            .content
            .checks
            .iter()
            .map(|message| self.later_check(message))
            .collect::<Result<_, _>>()?;
        Ok(LaterBlock {
            delegate,
            holder: self.holder(&facts)?,
            caveats,
        })
    }

    fn later_check(&self, message: &schema::Check) -> Result<Caveat, ChainError> {
        let kind = message
            .kind
            .map_or(Some(check::Kind::One), check::Kind::from_i32);
        match kind {
            Some(check::Kind::One | check::Kind::All) => {}
            Some(check::Kind::Reject) => return Err(self.violation("`reject if`")),
            None => return Err(ChainError::Malformed("an unknown kind of check")),
        }
        match self.queries(message)?.as_slice() {
            [query] => recognise::query(query)
                .ok_or_else(|| self.violation("a check outside the closed list")),
            _ => Err(self.violation("a check without exactly one query")),
        }
    }

    /// Who may name the next holder (profile rule 16).
    fn check_binding(
        &self,
        content: &LaterBlock,
        current: Option<&Thumbprint>,
    ) -> Result<(), ChainError> {
        let key = self
            .block
            .signed
            .external
            .as_ref()
            .map(|external| &external.key);
        match (key, &content.holder, current) {
            (None, None, _) | (None, Some(_), None) => Ok(()),
            (None, Some(_), Some(_)) => {
                Err(self.violation("a holder already bound is replaced without its signature"))
            }
            (Some(key), Some(_), Some(current))
                if self.block.signed.version == LATEST_SIGNATURE_VERSION
                    && Thumbprint::of_ed25519(key) == *current =>
            {
                Ok(())
            }
            (Some(_), _, _) => Err(self.violation("a third-party block that is not the holder's")),
        }
    }

    fn facts(&self) -> Result<Vec<PredicateView<'_>>, ChainError> {
        self.block
            .content
            .facts
            .iter()
            .map(|fact| wire::predicate(&fact.predicate, &self.symbols))
            .collect::<Result<_, _>>()
            .map_err(|error| self.wire_error(error))
    }

    fn queries<'b>(
        &'b self,
        message: &'b schema::Check,
    ) -> Result<Vec<wire::QueryView<'b>>, ChainError> {
        message
            .queries
            .iter()
            .map(|query| wire::query(query, &self.symbols))
            .collect::<Result<_, _>>()
            .map_err(|error| self.wire_error(error))
    }

    /// Refuses the first fact that a later block may not have, before any is read further.
    fn only_later_facts(&self) -> Result<(), ChainError> {
        let facts = self.block.content.facts.iter();
        let mut names = facts.map(|fact| self.symbols.resolve(fact.predicate.name));
        match names.find(|name| !name.is_some_and(|name| LATER_FACTS.contains(&name))) {
            None => Ok(()),
            Some(None) => Err(self.wire_error(WireError::Undefined)),
            Some(Some(name)) => {
                Err(self.violation(format!("the fact `{}`", crate::words::visible(name))))
            }
        }
    }

    fn only_known(&self, facts: &[PredicateView<'_>], known: &[&str]) -> Result<(), ChainError> {
        match facts.iter().find(|fact| !known.contains(&fact.name)) {
            Some(fact) => {
                Err(self.violation(format!("the fact `{}`", crate::words::visible(fact.name))))
            }
            None => Ok(()),
        }
    }

    fn once<'b, 'c>(
        &self,
        facts: &'b [PredicateView<'c>],
        name: &str,
    ) -> Result<&'b Term<'c>, ChainError> {
        self.at_most_once(facts, name)?
            .ok_or_else(|| self.violation(format!("`{name}` is missing")))
    }

    fn at_most_once<'b, 'c>(
        &self,
        facts: &'b [PredicateView<'c>],
        name: &str,
    ) -> Result<Option<&'b Term<'c>>, ChainError> {
        let mut found = facts.iter().filter(|fact| fact.name == name);
        let first = match found.next().map(|fact| fact.terms.as_slice()) {
            None => return Ok(None),
            Some([term]) => term,
            Some(_) => return Err(self.violation(format!("`{name}` does not have one term"))),
        };
        match found.next() {
            None => Ok(Some(first)),
            Some(_) => Err(self.violation(format!("`{name}` is there twice"))),
        }
    }

    fn holder(&self, facts: &[PredicateView<'_>]) -> Result<Option<Thumbprint>, ChainError> {
        match self.at_most_once(facts, "holder")? {
            None => Ok(None),
            Some(Term::Str(text)) => Thumbprint::parse(*text)
                .map(Some)
                .map_err(|error| self.violation(error.to_string())),
            Some(_) => Err(self.violation("`holder` is not a string")),
        }
    }

    fn grant(&self, fact: &PredicateView<'_>) -> Result<Grant, ChainError> {
        let [
            Term::Str(id),
            Term::Str(tool),
            Term::Str(access),
            Term::Array(segments),
        ] = fact.terms.as_slice()
        else {
            return Err(self.violation("a grant that is not (id, tool, access, [segments])"));
        };
        let segments: Option<Vec<&str>> = segments
            .iter()
            .map(|segment| match segment {
                Term::Str(segment) => Some(*segment),
                _ => None,
            })
            .collect();
        let bad = |error: &dyn std::fmt::Display| self.violation(format!("a grant: {error}"));
        Ok(Grant {
            id: (*id).to_owned(),
            tool: ToolName::parse(*tool).map_err(|error| bad(&error))?,
            access: access.parse::<Access>().map_err(|error| bad(&error))?,
            path: ResourcePath::from_segments(
                segments.ok_or_else(|| self.violation("a grant whose path is not of strings"))?,
            )
            .map_err(|error| bad(&error))?,
        })
    }

    fn digest(&self, term: &Term<'_>) -> Result<[u8; 32], ChainError> {
        match term {
            Term::Bytes(bytes) => <[u8; 32]>::try_from(*bytes).ok(),
            _ => None,
        }
        .ok_or_else(|| self.violation("`request_digest` does not have 32 bytes"))
    }

    fn depth(&self, term: &Term<'_>) -> Result<u32, ChainError> {
        match term {
            Term::Integer(depth) => u32::try_from(*depth).ok(),
            _ => None,
        }
        .ok_or_else(|| self.violation("`max_depth` is not a number of blocks"))
    }

    fn limit(&self, what: &'static str, count: usize, limit: usize) -> Result<(), ChainError> {
        if count > limit {
            return Err(ChainError::LimitExceeded { what, count, limit });
        }
        Ok(())
    }

    fn wire_error(&self, error: WireError) -> ChainError {
        match error {
            WireError::Undefined => ChainError::Malformed("a symbol or operation is not defined"),
            WireError::Unsupported(what) => self.violation(what),
        }
    }

    fn violation(&self, what: impl Into<String>) -> ChainError {
        ChainError::Profile {
            block: self.index,
            what: what.into(),
        }
    }
}

/// The least Datalog version that has what a block uses, as the specification introduces it:
/// `check all` with 4, third-party signatures with 5, closures and the operators that take them
/// and `==` between different types with 6. Writers declare at least this; the library refuses a
/// block that declares less only when it is evaluated.
fn required_version(block: &EncodedBlock) -> u32 {
    let checks = &block.content.checks;
    let expressions = checks
        .iter()
        .flat_map(|check| &check.queries)
        .flat_map(|query| &query.expressions);
    let mut ops = expressions.flat_map(|expression| &expression.ops);
    if ops.any(is_of_version_6) {
        6
    } else if block.signed.external.is_some() {
        5
    } else if checks.iter().any(|check| check.kind == Some(CHECK_ALL)) {
        4
    } else {
        3
    }
}

/// `check all` on the wire.
#[expect(
    clippy::as_conversions,
    reason = "the discriminant of a generated enumeration"
)]
const CHECK_ALL: i32 = check::Kind::All as i32;

fn is_of_version_6(message: &schema::Op) -> bool {
    match &message.content {
        Some(op::Content::Closure(_)) => true,
        Some(op::Content::Binary(binary)) => matches!(
            op_binary::Kind::from_i32(binary.kind),
            Some(
                op_binary::Kind::HeterogeneousEqual
                    | op_binary::Kind::LazyOr
                    | op_binary::Kind::All
                    | op_binary::Kind::Any
            )
        ),
        Some(op::Content::Value(_) | op::Content::Unary(_)) | None => false,
    }
}

const AUTHORITY_FACTS: &[&str] = &[
    "bailiwick",
    "session",
    "approval",
    "application",
    "principal",
    "agent",
    "task",
    "request_digest",
    "audience",
    "issued_at",
    "expires_at",
    "max_depth",
    "grant",
    "holder",
];
const LATER_FACTS: &[&str] = &["delegate", "holder"];
