//! What programs send, as described. Handlers read it into types of their own, more strictly than
//! this can say.

#![expect(dead_code, reason = "types that only describe are never made")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// A new account.
#[derive(ToSchema)]
pub(in crate::web) struct NewAccount {
    /// Lower-case letters, digits and `._-`.
    #[schema(example = "grace", min_length = 1, max_length = 64)]
    user_name: String,
    /// Of `admin`, `approver`, `auditor`.
    #[schema(min_items = 1)]
    roles: Vec<Role>,
}

/// What an account is there for.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::web) enum Role {
    /// Manages accounts and applications.
    Admin,
    /// Decides requests.
    Approver,
    /// Sees everything and decides nothing.
    Auditor,
}

/// The roles that an account is to have.
#[derive(ToSchema)]
pub(in crate::web) struct WantedRoles {
    /// All of them.
    #[schema(min_items = 1)]
    roles: Vec<Role>,
}

/// What an approver may grant at most. What is not named is not limited.
#[derive(ToSchema)]
pub(in crate::web) struct Ceiling {
    /// Tools by name, or by the beginning of their names and `*`.
    #[schema(nullable = false)]
    tools: Option<Vec<String>>,
    /// Access levels.
    #[schema(nullable = false)]
    access: Option<Vec<Access>>,
    /// Resources, each with everything below.
    #[schema(nullable = false)]
    resources: Option<Vec<String>>,
    /// The longest session, in seconds.
    #[schema(nullable = false)]
    longest_session: Option<u64>,
}

/// What a tool does with a resource.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::web) enum Access {
    /// Looks.
    Read,
    /// Changes.
    Write,
    /// Takes away.
    Destructive,
}

/// The workload that an account belongs to.
#[derive(ToSchema)]
pub(in crate::web) struct Workload {
    /// Its identity as proved, such as a SPIFFE id; `null` for none.
    #[schema(required)]
    workload_identity: Option<String>,
}

/// Who decides for somebody who is away.
#[derive(ToSchema)]
pub(in crate::web) struct Delegate {
    /// User name of another approver.
    to: String,
    /// When it begins.
    #[schema(format = DateTime)]
    starts_at: String,
    /// When it is over.
    #[schema(format = DateTime)]
    ends_at: String,
}

/// What an application is to be; what is not there stays as it is.
#[derive(ToSchema)]
pub(in crate::web) struct ApplicationWish {
    /// The id of a new one.
    application: Option<String>,
    /// The name that pages show.
    name: Option<String>,
    /// In seconds.
    default_duration: Option<u64>,
    /// In seconds.
    max_duration: Option<u64>,
    /// How often a token may be handed on.
    max_depth: Option<u32>,
    /// Tools by name, or by the beginning of their names and `*`; `null` is every tool.
    allowed_tools: Option<Vec<String>>,
    /// What it demands beyond one approver's word, a line each.
    rules: Option<Vec<String>>,
    /// Where answers to its own client may go.
    redirect_uris: Option<Vec<String>>,
    /// User names of approvers to add.
    #[schema(nullable = false)]
    add_approvers: Option<Vec<String>>,
    /// User names of approvers to take away.
    #[schema(nullable = false)]
    remove_approvers: Option<Vec<String>>,
}

/// An OAuth client as an operator describes it.
#[derive(ToSchema)]
pub(in crate::web) struct NewClient {
    /// Of which application.
    application: String,
    /// The name that pages show.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Where its answers may go; not needed by clients that use the device grant.
    #[schema(nullable = false, max_items = 10)]
    redirect_uris: Option<Vec<String>>,
    /// How it proves who it is.
    auth_method: AuthMethod,
    /// The public keys of `private_key_jwt`, a JWK set.
    #[schema(value_type = Option<Object>)]
    jwks: Option<BTreeMap<String, Value>>,
    /// The identity of `spiffe_jwt`.
    spiffe_id: Option<String>,
}

/// How a client proves who it is.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(in crate::web) enum AuthMethod {
    /// It does not.
    None,
    /// By a secret in a header.
    ClientSecretBasic,
    /// By a secret in the body.
    ClientSecretPost,
    /// By a JWT of its own key.
    PrivateKeyJwt,
    /// By a JWT-SVID.
    SpiffeJwt,
}

/// Which sessions are to end: one, or all live ones of an agent, an application, or both.
#[derive(ToSchema)]
pub(in crate::web) struct WantedRevocation {
    /// The id of one.
    session: Option<String>,
    /// The name that an agent gives itself.
    agent: Option<String>,
    /// The id of an application.
    application: Option<String>,
}

/// What a gateway decided lately.
#[derive(ToSchema)]
pub(in crate::web) struct CallReports {
    /// At most a thousand.
    #[schema(max_items = 1000)]
    calls: Vec<CallReport>,
}

/// One decision.
#[derive(ToSchema)]
pub(in crate::web) struct CallReport {
    /// Unique; lets a gateway send a report again.
    id: Option<String>,
    /// Which session's token was presented.
    session: String,
    /// Which tool was called.
    tool: String,
    /// With which access.
    access: Option<Access>,
    /// On which resources.
    #[schema(nullable = false)]
    resources: Option<Vec<String>>,
    /// The names of those to whom the token was handed on.
    #[schema(nullable = false)]
    delegates: Option<Vec<String>>,
    /// What was decided.
    decision: Decision,
    /// Why it was refused.
    code: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

/// What was decided about a call.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::web) enum Decision {
    /// It went on.
    Allow,
    /// It was refused.
    Deny,
}
