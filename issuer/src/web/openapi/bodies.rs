//! What this issuer answers, as described. A test holds the real answers to it, member by member.

#![expect(dead_code, reason = "types that only describe are never made")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::requests::{Access, Ceiling, Decision, Role};

/// A refusal (RFC 9457).
#[derive(ToSchema)]
pub(in crate::web) struct Problem {
    /// `urn:bailiwick:problem:` and the code.
    #[schema(rename = "type")]
    r#type: String,
    /// The kind of problem, in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong here.
    detail: String,
    /// The stable code.
    code: String,
}

/// A refusal of an OAuth endpoint (RFC 6749 section 5.2).
#[derive(ToSchema)]
pub(in crate::web) struct OAuthProblem {
    /// A code of the standards.
    error: String,
    /// What is wrong here.
    error_description: String,
}

/// An OpenAPI document.
#[derive(ToSchema)]
pub(in crate::web) struct Description {
    /// The version of the specification.
    openapi: String,
    /// What is described.
    #[schema(value_type = Object)]
    info: BTreeMap<String, Value>,
    /// Every route with its operations.
    #[schema(value_type = Object)]
    paths: BTreeMap<String, Value>,
    /// What several of them share.
    #[schema(value_type = Object)]
    components: BTreeMap<String, Value>,
}

/// A document with a signature over its very bytes.
#[derive(ToSchema)]
pub(in crate::web) struct SignedDocument {
    /// What is signed, in base64url.
    payload: String,
    /// An Ed25519 signature, in base64url.
    signature: String,
}

/// What was granted, in the form of RFC 9396.
#[derive(ToSchema)]
pub(in crate::web) struct AuthorizationDetail {
    /// `mcp_tools`.
    #[schema(rename = "type")]
    r#type: String,
    /// The servers it is for.
    locations: Vec<String>,
    /// What it is for, in the agent's words.
    task: String,
    /// In seconds.
    duration: u64,
    /// The tools.
    tools: Vec<GrantedTool>,
    /// Exact calls, where tools are granted for these alone.
    #[schema(value_type = Option<Vec<Object>>, nullable = false)]
    calls: Option<Vec<BTreeMap<String, Value>>>,
}

/// A tool within what was granted.
#[derive(ToSchema)]
pub(in crate::web) struct GrantedTool {
    /// Its name.
    name: String,
    /// With which access.
    access: Access,
    /// On which resources, each with everything below.
    #[schema(nullable = false)]
    resources: Option<Vec<String>>,
    /// The limits of its arguments.
    #[schema(value_type = Option<Object>, nullable = false)]
    args: Option<BTreeMap<String, Value>>,
}

/// A session.
#[derive(ToSchema)]
pub(in crate::web) struct Session {
    /// Its id.
    session: String,
    /// The id of the request that was approved.
    approval: String,
    /// The application.
    application: String,
    /// The name that the agent gives itself.
    agent: String,
    /// Who approved it, and on whose behalf it acts.
    principal: String,
    /// What it is for, in the agent's words.
    task: String,
    /// How it stands.
    state: String,
    /// What is left of its time.
    remaining_seconds: u64,
    /// When it was approved.
    #[schema(format = DateTime)]
    approved_at: String,
    /// When its token was collected.
    #[schema(required, format = DateTime)]
    minted_at: Option<String>,
    /// When it is over.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was ended.
    #[schema(required, format = DateTime)]
    revoked_at: Option<String>,
    /// Who ended it.
    #[schema(required)]
    revoked_by: Option<String>,
    /// Calls that went on.
    calls_allowed: u64,
    /// Calls that were refused.
    calls_refused: u64,
    /// What was granted.
    authorization_details: Vec<AuthorizationDetail>,
}

/// A page of a list of sessions.
#[derive(ToSchema)]
pub(in crate::web) struct Sessions {
    /// The latest first.
    sessions: Vec<Session>,
    /// What to send as `after` for the next page.
    #[schema(required)]
    next: Option<String>,
}

/// A session with what was done in it.
#[derive(ToSchema)]
pub(in crate::web) struct SessionInFull {
    /// The session.
    #[schema(inline = false)]
    #[serde(flatten)]
    session: Session,
    /// What was used of what was granted, and what was refused.
    usage: Vec<Usage>,
    /// To whom its token was handed on.
    delegations: Vec<DelegateChain>,
    /// Its last calls.
    calls: Vec<Call>,
}

/// Calls of one tool with one outcome.
#[derive(ToSchema)]
pub(in crate::web) struct Usage {
    /// Which tool.
    tool: String,
    /// With which access.
    #[schema(required)]
    access: Option<String>,
    /// What was decided.
    decision: Decision,
    /// Why they were refused.
    #[schema(required)]
    code: Option<String>,
    /// How many.
    calls: u64,
    /// The first of them.
    #[schema(format = DateTime)]
    first_at: String,
    /// The last of them.
    #[schema(format = DateTime)]
    last_at: String,
}

/// Calls by a token that was handed on.
#[derive(ToSchema)]
pub(in crate::web) struct DelegateChain {
    /// The names of those to whom it was handed on, in order.
    delegates: Vec<String>,
    /// How many calls.
    calls: u64,
    /// The last of them.
    #[schema(format = DateTime)]
    last_at: String,
}

/// One call.
#[derive(ToSchema)]
pub(in crate::web) struct Call {
    /// When.
    #[schema(format = DateTime)]
    time: String,
    /// Which tool.
    tool: String,
    /// With which access.
    #[schema(required)]
    access: Option<String>,
    /// On which resources.
    resources: Vec<String>,
    /// The names of those to whom the token was handed on.
    delegates: Vec<String>,
    /// What was decided.
    decision: Decision,
    /// Why it was refused.
    #[schema(required)]
    code: Option<String>,
}

/// What was ended.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::web) enum Revoked {
    /// One session.
    One(RevokedSession),
    /// All of an agent, an application, or both.
    All(RevokedSessions),
}

/// A session that was ended.
#[derive(ToSchema)]
pub(in crate::web) struct RevokedSession {
    /// Its id.
    session: String,
    /// The number of the revocation list from which on it is on it.
    seq: u64,
    /// Whether it had been ended before.
    already_revoked: bool,
}

/// Sessions that were ended together.
#[derive(ToSchema)]
pub(in crate::web) struct RevokedSessions {
    /// How many.
    sessions_revoked: u64,
    /// The number of the revocation list from which on they are on it; `null` where there were
    /// none.
    #[schema(required)]
    seq: Option<u64>,
}

/// An account.
#[derive(ToSchema)]
pub(in crate::web) struct Account {
    /// Its id.
    account: String,
    /// The name to sign in with.
    user_name: String,
    /// What it is there for.
    roles: Vec<Role>,
    /// What its owner may grant at most.
    ceiling: Ceiling,
    /// The workload that it belongs to.
    #[schema(required)]
    workload_identity: Option<String>,
    /// `invited`, `active` or `disabled`.
    state: String,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Every account.
#[derive(ToSchema)]
pub(in crate::web) struct Accounts {
    /// By user name.
    accounts: Vec<Account>,
}

/// An account with the link by which its owner comes in.
#[derive(ToSchema)]
pub(in crate::web) struct InvitedAccount {
    /// The account.
    #[serde(flatten)]
    account: Account,
    /// Works once.
    set_up_link: String,
    /// And no longer than this.
    #[schema(format = DateTime)]
    link_expires_at: String,
}

/// A delegation.
#[derive(ToSchema)]
pub(in crate::web) struct Delegation {
    /// Its id.
    delegation: String,
    /// Who is away.
    from: String,
    /// Who decides.
    to: String,
    /// When it begins.
    #[schema(format = DateTime)]
    starts_at: String,
    /// When it is over.
    #[schema(format = DateTime)]
    ends_at: String,
}

/// A passkey.
#[derive(ToSchema)]
pub(in crate::web) struct Passkey {
    /// Its id.
    passkey: String,
    /// What its owner calls it.
    name: String,
    /// When it was added.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it signed in or confirmed something last.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
}

/// The passkeys of an account.
#[derive(ToSchema)]
pub(in crate::web) struct Passkeys {
    /// Whose.
    user_name: String,
    /// Oldest first.
    passkeys: Vec<Passkey>,
    /// Until when a first one may be added, where there is none and somebody has allowed it.
    #[schema(required, format = DateTime)]
    first_until: Option<String>,
}

/// That a first passkey may be added.
#[derive(ToSchema)]
pub(in crate::web) struct PasskeyAllowed {
    /// By whom.
    user_name: String,
    /// Until when.
    #[schema(format = DateTime)]
    first_until: String,
}

/// An account that was signed out.
#[derive(ToSchema)]
pub(in crate::web) struct SignedOut {
    /// Whose.
    user_name: String,
    /// In how many browsers.
    browsers: u64,
}

/// An application.
#[derive(ToSchema)]
pub(in crate::web) struct Application {
    /// Its id.
    application: String,
    /// The name that pages show.
    name: String,
    /// In seconds.
    default_duration: u64,
    /// In seconds.
    max_duration: u64,
    /// How often a token may be handed on.
    max_depth: u32,
    /// `null` is every tool.
    #[schema(required)]
    allowed_tools: Option<Vec<String>>,
    /// What it demands beyond one approver's word.
    rules: Vec<String>,
    /// User names of those who decide.
    approvers: Vec<String>,
    /// The client that came with it.
    client_id: String,
    /// Where answers to that client may go.
    redirect_uris: Vec<String>,
}

/// Every application.
#[derive(ToSchema)]
pub(in crate::web) struct Applications {
    /// By id.
    applications: Vec<Application>,
}

/// An application that was removed.
#[derive(ToSchema)]
pub(in crate::web) struct RemovedApplication {
    /// Its id.
    application: String,
    /// How many sessions ended with it.
    sessions_revoked: u64,
    /// How many requests were denied with it.
    requests_denied: u64,
}

/// An OAuth client.
#[derive(ToSchema)]
pub(in crate::web) struct Client {
    /// Its id.
    client_id: String,
    /// Of which application.
    application: String,
    /// The name that pages show.
    name: String,
    /// Where its answers may go.
    redirect_uris: Vec<String>,
    /// How it proves who it is: `none`, `secret`, `private_key_jwt` or `spiffe_jwt`.
    proof: String,
}

/// The clients that an operator registered.
#[derive(ToSchema)]
pub(in crate::web) struct Clients {
    /// By id.
    clients: Vec<Client>,
}

/// A client as registered.
#[derive(ToSchema)]
pub(in crate::web) struct RegisteredClient {
    /// Its id.
    client_id: String,
    /// Its secret, if it has one: said here and never again.
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

/// How many reports were taken.
#[derive(ToSchema)]
pub(in crate::web) struct Recorded {
    /// All of the batch.
    recorded: u64,
}
