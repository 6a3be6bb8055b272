//! Tokens for the unit tests of this binary: one authority, minted with a key
//! that is the same in every run.

use bailiwick_datalog::{
    Access, AgentName, ApplicationId, ApprovalId, Audience, Authority, Grant, Principal,
    ResourcePath, SessionId, Timestamp, ToolName, token_text,
};
use biscuit_auth::builder::Algorithm;
use biscuit_auth::{Biscuit, KeyPair, PrivateKey};

use crate::token_file::TokenText;

/// The audience of the tokens.
pub(crate) const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
/// When they begin.
pub(crate) const ISSUED_AT: Timestamp = Timestamp::from_unix(1_767_225_600);
/// When they end.
pub(crate) const EXPIRES_AT: Timestamp = Timestamp::from_unix(1_767_226_200);

/// The mint key.
pub(crate) fn root() -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&[7; 32], Algorithm::Ed25519).unwrap())
}

/// The mint key as `check --jsonl` and `inspect --keys` take it.
pub(crate) fn root_public() -> String {
    format!("ed25519/{}", root().public().to_bytes_hex())
}

/// What the tokens grant: reading under `files/reports`, two blocks deep.
pub(crate) fn authority() -> Authority {
    Authority {
        session: SessionId::parse("ses_1").unwrap(),
        approval: ApprovalId::parse("apr_1").unwrap(),
        application: ApplicationId::parse("default").unwrap(),
        principal: Principal::parse("ada").unwrap(),
        agent: AgentName::parse("agent").unwrap(),
        task: "read the reports".to_owned(),
        request_digest: [0; 32],
        audience: Audience::parse(AUDIENCE).unwrap(),
        issued_at: ISSUED_AT,
        expires_at: EXPIRES_AT,
        max_depth: 2,
        holder: None,
        grants: vec![Grant {
            id: "g1".to_owned(),
            tool: ToolName::parse("files.read_file").unwrap(),
            access: Access::Read,
            path: ResourcePath::parse("files/reports").unwrap(),
        }],
        limits: Vec::new(),
    }
}

/// Mints a token of that authority.
pub(crate) fn mint(authority: &Authority) -> Biscuit {
    authority
        .to_builder()
        .unwrap()
        .root_key_id(1)
        .build(&root())
        .unwrap()
}

/// A token in its text form.
pub(crate) fn text_of(token: &Biscuit) -> TokenText {
    TokenText::new(token_text::encode(&token.to_vec().unwrap()))
}
