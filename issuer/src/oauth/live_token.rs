//! Tokens that come back to the issuer: to be looked at (RFC 7662), given back (RFC 7009) or
//! narrowed (RFC 8693).
//!
//! A token is live when the public verifier accepts it now, its session is in the store and was
//! not ended, and none of its blocks was given back. Everything else about it is not said: to a
//! stranger a forged token, an expired one and one of another application look alike.

use bailiwick_datalog::{Caveat, Chain, Effective, MAX_PATHS_OF_A_GRANT, RevocationId};
use bailiwick_verifier::VerifiedToken;
use serde_json::{Value, json};

use super::client::Client;
use crate::{
    access_request::{ToolScope, exact_call},
    core::{Core, Unavailable},
    people::Actor,
    store::{Change, Revoked, StoreError, StoredSession, revocations},
};

/// Most blocks of one session that may be given back: anybody who holds a token can append as
/// many as they like.
const MAX_REVOKED_BLOCKS: i64 = 128;
/// Of what may be given back below a block, a block made from it may use up one part in so many.
const SHARE: i64 = 4;

/// Most paths that answers list of a token with one grant. One with more grants has fewer for each,
/// and none fewer than people are shown; [`Effective::paths_left_out`] says how many are missing.
const MAX_LISTED_PATHS: usize = 4_096;

/// A token that is live at this moment, with its session.
#[derive(Debug)]
pub(crate) struct LiveToken {
    pub(crate) verified: VerifiedToken,
    pub(crate) session: StoredSession,
    pub(crate) effective: Effective,
}

/// What became of a token that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenBack {
    /// It ended, or was no live token: either way it is none now.
    Done,
    /// Too many blocks of its session were given back.
    TooMany,
}

impl Core {
    /// Looks at a token. `None` for whatever is not live.
    ///
    /// # Errors
    /// [`Unavailable`] when the store does not answer.
    pub(crate) async fn live_token(&self, text: &str) -> Result<Option<LiveToken>, Unavailable> {
        let Some(verified) = self.mint.examine(text, self.clock.now()) else {
            return Ok(None);
        };
        let session = self.store.session(verified.session()).await?;
        let Some(session) = session.filter(|s| s.minted_at.is_some() && s.revoked_at.is_none())
        else {
            return Ok(None);
        };
        let revoked = self.store.revoked_blocks(verified.session()).await?;
        let ids = verified.chain().revocation_ids();
        let given_back = |id: &RevocationId| {
            let bytes = id.as_bytes().as_slice();
            revoked.iter().any(|revoked| revoked == bytes)
        };
        if ids.iter().any(given_back) {
            return Ok(None);
        }
        let effective = effective(verified.chain());
        Ok(Some(LiveToken {
            verified,
            session,
            effective,
        }))
    }

    /// Ends what a token stands for, at the wish of whoever holds it: the session, or of a
    /// narrowed token the last block and what was made from it.
    ///
    /// # Errors
    /// [`Unavailable`]; the token then goes on.
    pub(crate) async fn give_back(&self, text: &str) -> Result<GivenBack, Unavailable> {
        let Some(token) = self.live_token(text).await? else {
            return Ok(GivenBack::Done);
        };
        let session = token.session.id.as_str();
        let [_, line @ ..] = token.verified.chain().revocation_ids() else {
            return Ok(GivenBack::Done);
        };
        let Some(last) = line.last() else {
            self.revoke_session(session, &Actor::Holder).await?;
            return Ok(GivenBack::Done);
        };
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        if !has_room(&mut change, session, line).await? {
            return Ok(GivenBack::TooMany);
        }
        let ends = token.session.expires_at;
        let revoked = revocations::revoke_block(&mut change, session, line, ends, now).await?;
        if let Revoked::Now { seq } = revoked {
            let by = Actor::Holder;
            let fields = json!({"session": session, "block": last.to_hex(), "by": by.name(),
                "seq": seq});
            self.seal(change, now, "block_revoked", fields).await?;
            tracing::info!(session, seq, "block revoked");
        }
        Ok(GivenBack::Done)
    }

    /// What a verifier that is not ours learns of a token (RFC 7662 section 2.2). With a client,
    /// only of tokens of its own application.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn introspect(
        &self,
        text: &str,
        client: Option<&Client>,
    ) -> Result<Value, Unavailable> {
        let token = self.live_token(text).await?.filter(|token| {
            let application = token.verified.application();
            client.is_none_or(|client| client.application.id.as_str() == application)
        });
        Ok(match token {
            Some(token) => token.to_json(self.settings.site.origin()),
            None => json!({"active": false}),
        })
    }
}

/// Whether the last block of a line may be given back. Each block before it has a share of what
/// the one before that has, so that no holder uses up what those beside it may give back; and
/// blocks of each depth are counted by themselves, so that nobody can keep those above from ending
/// a block by giving back what was made from it.
async fn has_room(
    change: &mut Change,
    session: &str,
    line: &[RevocationId],
) -> Result<bool, StoreError> {
    let depth = line.len();
    if revocations::count_blocks(change, session, depth).await? >= MAX_REVOKED_BLOCKS {
        return Ok(false);
    }
    let before = line.split_last().map_or(line, |(_, before)| before);
    let mut share = MAX_REVOKED_BLOCKS;
    for block in before {
        share = (share / SHARE).max(1);
        if revocations::count_below(change, block, depth).await? >= share {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a chain leaves, with as many paths as answers list.
fn effective(chain: &Chain) -> Effective {
    let grants = chain.authority().grants.len();
    let each = MAX_LISTED_PATHS.checked_div(grants).unwrap_or_default();
    Effective::listing(chain, each.max(MAX_PATHS_OF_A_GRANT))
}

impl LiveToken {
    /// The scope that is left.
    pub(crate) fn scope(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for grant in &self.effective.grants {
            let word = format!("tool:{}", grant.tool);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(" ")
    }

    /// What is left as `authorization_details`, never more than the token allows: where a later
    /// block sets a condition that details cannot say, no tool is named.
    pub(crate) fn authorization_details(&self) -> Value {
        let authority = self.verified.chain().authority();
        let unsaid = self.verified.chain().blocks().iter().any(|block| {
            block.content.caveats.iter().any(|caveat| {
                matches!(
                    caveat,
                    Caveat::Argument(_) | Caveat::ClosedWorld(_) | Caveat::Audience(_)
                )
            })
        });
        let scopes = self.session.granted.tools.iter().filter(|_| !unsaid);
        let left: Vec<ToolScope> = scopes
            .filter_map(|scope| {
                let left = self.effective.grants.iter();
                let resources = left
                    .filter(|grant| {
                        grant.tool == scope.name.as_str() && grant.access == scope.access
                    })
                    .map(|grant| grant.path.clone());
                let narrowed = ToolScope {
                    resources: resources.collect(),
                    ..scope.clone()
                };
                (!narrowed.resources.is_empty()).then_some(narrowed)
            })
            .collect();
        let ends = self.effective.expires_at;
        let tools: Vec<Value> = left
            .iter()
            .map(|one| Value::Object(one.to_json()))
            .collect();
        let mut detail = json!({
            "type": "mcp_tools",
            "locations": [authority.audience.as_str()],
            "task": authority.task,
            "duration": ends.saturating_since(authority.issued_at).as_secs(),
            "tools": tools,
        });
        if let (Some(calls), Some(detail)) = (exact_call::to_json(&left), detail.as_object_mut()) {
            detail.insert("calls".to_owned(), calls);
        }
        json!([detail])
    }

    /// `Bearer`, or `DPoP` for a token that is bound to a key (RFC 9449 section 5).
    pub(crate) fn token_type(&self) -> &'static str {
        match self.effective.holder {
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }

    fn to_json(&self, issuer: &str) -> Value {
        let authority = self.verified.chain().authority();
        let request = &self.session.request.request;
        let mut reply = json!({
            "active": true,
            "scope": self.scope(),
            "authorization_details": self.authorization_details(),
            "conditions": self.effective.conditions,
            "paths_left_out": self.effective.paths_left_out,
            "token_type": self.token_type(),
            "iss": issuer,
            "aud": authority.audience.as_str(),
            "sub": authority.principal.as_str(),
            "agent": authority.agent.as_str(),
            "application": authority.application.as_str(),
            "session": authority.session.as_str(),
            "iat": authority.issued_at.unix(),
            "exp": self.effective.expires_at.unix(),
        });
        let client = request.requester.as_ref().map(|r| r.client_id.as_str());
        if let Some(object) = reply.as_object_mut() {
            object.extend(client.map(|id| ("client_id".to_owned(), json!(id))));
            let holder = self.effective.holder.as_ref();
            object.extend(holder.map(|key| ("cnf".to_owned(), json!({"jkt": key}))));
        }
        reply
    }
}
