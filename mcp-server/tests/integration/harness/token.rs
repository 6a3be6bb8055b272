//! Tokens, minted with the stand-in's key exactly as an issuer mints them.

use bailiwick_datalog::{
    Access, AgentName, ApplicationId, ApprovalId, Audience, Authority, Grant, LaterBlock,
    Principal, ResourcePath, SessionId, Thumbprint, Timestamp, ToolLimit, ToolName, token_text,
};
use biscuit_auth::Biscuit;

use super::{START, StandIn, issuer::MINT_KEY_ID};

/// What a token says. Starts as one that may read everything for an hour.
pub(crate) struct TokenSpec {
    pub(crate) audience: String,
    pub(crate) session: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) issued_at: Timestamp,
    pub(crate) max_depth: u32,
    pub(crate) grants: Vec<Grant>,
    pub(crate) limits: Vec<ToolLimit>,
    pub(crate) blocks: Vec<LaterBlock>,
    pub(crate) key: biscuit_auth::KeyPair,
    pub(crate) key_id: u32,
    pub(crate) holder: Option<Thumbprint>,
}

/// A grant of one tool on one resource.
pub(crate) fn grant(tool: &str, access: Access, path: &str) -> Grant {
    Grant {
        id: format!("{tool}:{path}"),
        tool: ToolName::parse(tool).unwrap(),
        access,
        path: ResourcePath::parse(path).unwrap(),
    }
}

impl TokenSpec {
    /// A token for `audience` that may list, read and search below `files`.
    pub(crate) fn reading(audience: &str) -> Self {
        let grants = ["files.list_directory", "files.read_file", "files.search"]
            .map(|tool| grant(tool, Access::Read, "files"))
            .to_vec();
        Self {
            audience: audience.to_owned(),
            session: "ses-1".to_owned(),
            expires_at: Timestamp::from_unix(START.unix() + 3_600),
            issued_at: START,
            max_depth: 3,
            grants,
            limits: Vec::new(),
            blocks: Vec::new(),
            key: StandIn::mint_key(),
            key_id: MINT_KEY_ID,
            holder: None,
        }
    }

    /// The same with these grants.
    pub(crate) fn granting(audience: &str, grants: impl Into<Vec<Grant>>) -> Self {
        Self {
            grants: grants.into(),
            ..Self::reading(audience)
        }
    }

    /// The token's text.
    pub(crate) fn mint(&self) -> String {
        let authority = Authority {
            session: SessionId::parse(self.session.as_str()).unwrap(),
            approval: ApprovalId::parse("apr-1").unwrap(),
            application: ApplicationId::parse("default").unwrap(),
            principal: Principal::parse("ada").unwrap(),
            agent: AgentName::parse("report-writer").unwrap(),
            task: "summarise the quarter".to_owned(),
            request_digest: [7; 32],
            audience: Audience::parse(self.audience.as_str()).unwrap(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            max_depth: self.max_depth,
            holder: self.holder.clone(),
            grants: self.grants.clone(),
            limits: self.limits.clone(),
        };
        let mut token: Biscuit = authority
            .to_builder()
            .unwrap()
            .root_key_id(self.key_id)
            .build(&self.key)
            .unwrap();
        for block in &self.blocks {
            token = token.append(block.to_builder().unwrap()).unwrap();
        }
        token_text::encode(&token.to_vec().unwrap())
    }
}
