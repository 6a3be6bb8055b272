//! A call that an operator policy is tried on: as little of it stated as matters.
//!
//! A policy sees the authority block of a token and one request. A case states the request, and of
//! the authority what the policy looks at; the rest is filled in with what any approved session
//! has, and with the one grant that covers the call. A token may stand in for all of the authority:
//! its signatures are not verified, for nothing is decided by it.

use bailiwick_datalog::call::UrlArgument;
use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, ResourcePath, Timestamp, ToolName, strict_json,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::token_file::TokenText;

/// The longest case that is read.
pub(crate) const MAX_CASE_BYTES: usize = 4 * 1024 * 1024;

/// The audience of a case that names none.
const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
/// How long before the moment of the case its session was issued, and how long after it ends.
const HALF_A_SESSION: u64 = 450;

/// A call, the authority it is made with, the moment, and what is expected of the policy.
#[derive(Clone, Debug)]
pub(crate) struct PolicyCase {
    /// What to call it when it fails.
    pub(crate) name: Option<String>,
    /// What the policy should say.
    pub(crate) expect: Option<Verdict>,
    /// The line of the rule that should decide.
    pub(crate) line: Option<usize>,
    /// The authority block.
    pub(crate) authority: Authority,
    /// The call.
    pub(crate) call: Call,
    /// The moment.
    pub(crate) now: Timestamp,
    /// Delegations of the token so far.
    pub(crate) depth: usize,
}

/// What a policy says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It leaves the call to the token.
    Allow,
    /// It refuses.
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    name: Option<String>,
    expect: Option<Verdict>,
    line: Option<usize>,
    token: Option<String>,
    #[serde(default)]
    authority: Option<StatedAuthority>,
    call: StatedCall,
    now: String,
    #[serde(default)]
    depth: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedAuthority {
    session: Option<String>,
    approval: Option<String>,
    application: Option<String>,
    principal: Option<String>,
    agent: Option<String>,
    task: Option<String>,
    audience: Option<String>,
    issued_at: Option<String>,
    expires_at: Option<String>,
    max_depth: Option<u32>,
    holder: Option<String>,
    grants: Option<Vec<StatedGrant>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedGrant {
    id: String,
    tool: ToolName,
    access: Access,
    path: ResourcePath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatedCall {
    tool: ToolName,
    access: Access,
    resources: Vec<ResourcePath>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    path_args: Vec<String>,
    #[serde(default)]
    url_args: Vec<String>,
}

impl PolicyCase {
    /// Reads a case from JSON.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let value = strict_json::parse(text).map_err(|error| error.to_string())?;
        let stated: Stated = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let now = moment("now", &stated.now)?;
        let call = stated.call.read()?;
        let (authority, depth) = match (stated.token, stated.authority) {
            (Some(_), Some(_)) => {
                return Err("it has `token` and `authority`; one of them says it all".to_owned());
            }
            (Some(token), None) => of_token(&token, stated.depth)?,
            (None, authority) => (
                authority.unwrap_or_default().read(&call, now)?,
                stated.depth.unwrap_or(0),
            ),
        };
        Ok(Self {
            name: stated.name,
            expect: stated.expect,
            line: stated.line,
            authority,
            call,
            now,
            depth,
        })
    }
}

fn of_token(text: &str, depth: Option<usize>) -> Result<(Authority, usize), String> {
    let chain = TokenText::new(text).decode();
    let chain = chain.map_err(|failure| failure.message().to_owned())?;
    let depth = depth.unwrap_or(chain.depth());
    Ok((chain.authority().clone(), depth))
}

impl StatedCall {
    fn read(self) -> Result<Call, String> {
        if self.resources.is_empty() {
            return Err("`call.resources` is empty: a call names at least one".to_owned());
        }
        let text = |name: &str| {
            let value = self.args.get(name).and_then(Value::as_str);
            value.ok_or_else(|| format!("`call.args` has no text `{name}`"))
        };
        let mut call = Call::new(self.tool, self.access, self.resources, &self.args);
        for name in &self.path_args {
            let path = ResourcePath::parse(text(name)?)
                .map_err(|error| format!("the path argument `{name}`: {error}"))?;
            call = call.with_path_argument(name, path);
        }
        for name in &self.url_args {
            let url = UrlArgument::parse(text(name)?).ok_or_else(|| {
                format!("the URL argument `{name}` is none, or can be read in two ways")
            })?;
            call = call.with_url_argument(name, url);
        }
        Ok(call)
    }
}

impl StatedAuthority {
    fn read(self, call: &Call, now: Timestamp) -> Result<Authority, String> {
        let issued_at = match self.issued_at {
            Some(text) => moment("authority.issued_at", &text)?,
            None => Timestamp::from_unix(now.unix().saturating_sub(HALF_A_SESSION)),
        };
        let expires_at = match self.expires_at {
            Some(text) => moment("authority.expires_at", &text)?,
            None => Timestamp::from_unix(now.unix().saturating_add(HALF_A_SESSION)),
        };
        let audience = self.audience.as_deref().unwrap_or(AUDIENCE);
        Ok(Authority {
            session: named("session", self.session, "session-1")?,
            approval: named("approval", self.approval, "approval-1")?,
            application: named("application", self.application, "default")?,
            principal: named("principal", self.principal, "principal")?,
            agent: named("agent", self.agent, "agent")?,
            task: self.task.unwrap_or_else(|| "a task".to_owned()),
            request_digest: [0; 32],
            audience: Audience::parse(audience)
                .map_err(|error| format!("`authority.audience`: {error}"))?,
            issued_at,
            expires_at,
            max_depth: self.max_depth.unwrap_or(3),
            holder: self
                .holder
                .map(|holder| named("holder", Some(holder), ""))
                .transpose()?,
            grants: self.grants.map_or_else(
                || grants_for(call),
                |grants| grants.into_iter().map(Grant::from).collect(),
            ),
            limits: Vec::new(),
        })
    }
}

impl From<StatedGrant> for Grant {
    fn from(stated: StatedGrant) -> Self {
        Self {
            id: stated.id,
            tool: stated.tool,
            access: stated.access,
            path: stated.path,
        }
    }
}

/// The grants without which the policy would not be asked.
fn grants_for(call: &Call) -> Vec<Grant> {
    let grant = |(index, path): (usize, &ResourcePath)| Grant {
        id: format!("grant-{}", index.saturating_add(1)),
        tool: call.tool.clone(),
        access: call.access,
        path: path.clone(),
    };
    call.resources.iter().enumerate().map(grant).collect()
}

fn named<T: std::str::FromStr>(
    field: &str,
    stated: Option<String>,
    otherwise: &str,
) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    let text = stated.as_deref().unwrap_or(otherwise);
    text.parse()
        .map_err(|error| format!("`authority.{field}`: {error}"))
}

fn moment(field: &str, text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|error| format!("`{field}`: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{authority, mint, text_of};

    fn least() -> Value {
        json!({
            "call": {"tool": "files.read_file", "access": "read", "resources": ["files/a"]},
            "now": "2026-01-05T12:00:00Z",
        })
    }

    fn read(case: &Value) -> Result<PolicyCase, String> {
        PolicyCase::read(case.to_string().as_bytes())
    }

    #[test]
    fn what_a_case_leaves_out_is_an_ordinary_session_that_grants_the_call() {
        let case = read(&least()).unwrap();
        assert_eq!(case.authority.application.as_str(), "default");
        assert_eq!(case.authority.grants.len(), 1);
        assert_eq!(case.authority.grants[0].path, case.call.resources[0]);
        assert!(case.authority.issued_at < case.now && case.now < case.authority.expires_at);
        assert_eq!(case.depth, 0);
    }

    #[test]
    fn what_a_case_states_is_taken() {
        let mut stated = least();
        stated["name"] = json!("night");
        stated["expect"] = json!("deny");
        stated["line"] = json!(3);
        stated["depth"] = json!(2);
        stated["authority"] = json!({"application": "crm", "agent": "a-7", "grants": []});
        stated["call"]["args"] = json!({"path": "a", "url": "https://h.example/x"});
        stated["call"]["path_args"] = json!(["path"]);
        stated["call"]["url_args"] = json!(["url"]);
        let case = read(&stated).unwrap();
        assert_eq!(case.expect, Some(Verdict::Deny));
        assert_eq!((case.line, case.depth), (Some(3), 2));
        assert_eq!(case.authority.agent.as_str(), "a-7");
        assert!(case.authority.grants.is_empty());
        assert_eq!(case.call.path_arguments.len(), 1);
        assert_eq!(case.call.url_arguments.len(), 1);
    }

    #[test]
    fn a_token_stands_in_for_the_authority() {
        let mut stated = least();
        stated["token"] = json!(text_of(&mint(&authority())).expose());
        assert_eq!(read(&stated).unwrap().authority, authority());
        stated["authority"] = json!({});
        assert!(read(&stated).unwrap_err().contains("`token`"));
    }

    #[test]
    fn a_case_that_differs_in_one_thing_is_refused_and_says_which() {
        let edits: [(&str, Value); 8] = [
            ("/now", json!("noon")),
            ("/now", json!(1)),
            ("/call/tool", json!("Files.read")),
            ("/call/access", json!("admin")),
            ("/call/resources", json!([])),
            ("/call/resources", json!(["../a"])),
            ("/call", json!({})),
            ("/call/resources", json!("files/a")),
        ];
        for (pointer, value) in edits {
            let mut case = least();
            *case.pointer_mut(pointer).unwrap() = value.clone();
            assert!(read(&case).is_err(), "{pointer} {value}");
        }
        for (name, value) in [
            ("unknown", json!(1)),
            ("expect", json!("refuse")),
            ("authority", json!({"unknown": 1})),
            ("authority", json!({"agent": ""})),
            ("authority", json!({"expires_at": "never"})),
            ("token", json!("abc")),
        ] {
            let mut case = least();
            case[name] = value.clone();
            assert!(read(&case).is_err(), "{name} {value}");
        }
        let mut case = least();
        case["call"]["path_args"] = json!(["path"]);
        assert!(read(&case).unwrap_err().contains("`path`"));
    }

    #[test]
    fn a_name_twice_is_refused() {
        let text = least()
            .to_string()
            .replacen('{', "{\"depth\":1,\"depth\":2,", 1);
        assert!(
            PolicyCase::read(text.as_bytes())
                .unwrap_err()
                .contains("depth")
        );
    }
}
