//! One session and one call of it, and the ways in which tests change them.

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, OperatorPolicy, Request, ResourcePath, Timestamp,
    ToolName, UrlArgument,
    operator::{PolicyRefused, Problem, Steps},
};
use serde_json::{Value, json};

pub(crate) const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
/// Saturday 2026-01-31, 12:00 UTC.
pub(crate) const NOON: u64 = 1_769_860_800;

pub(crate) fn load(source: &str) -> OperatorPolicy {
    match OperatorPolicy::load(source) {
        Ok(policy) => policy,
        Err(errors) => panic!("{source}\n{errors}"),
    }
}

pub(crate) fn problems(source: &str) -> Vec<Problem> {
    match OperatorPolicy::load(source) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().to_vec(),
    }
}

/// What a policy is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) authority: Authority,
    pub(crate) call: Call,
    pub(crate) time: u64,
    pub(crate) depth: usize,
}

impl Default for Scene {
    fn default() -> Self {
        let grant = |id: &str, access, path: &str| Grant {
            id: id.to_owned(),
            tool: "files.read_file".parse().unwrap(),
            access,
            path: path.parse().unwrap(),
        };
        Self {
            authority: Authority {
                session: "s-1".parse().unwrap(),
                approval: "a-1".parse().unwrap(),
                application: "reports".parse().unwrap(),
                principal: "ada".parse().unwrap(),
                agent: "agent-7".parse().unwrap(),
                task: "tidy the reports".to_owned(),
                request_digest: [7; 32],
                audience: Audience::parse(AUDIENCE).unwrap(),
                issued_at: Timestamp::from_unix(NOON - 600),
                expires_at: Timestamp::from_unix(NOON + 600),
                max_depth: 3,
                holder: None,
                grants: vec![
                    grant("g1", Access::Read, "files/hr"),
                    grant("g2", Access::Write, "files/reports"),
                ],
                limits: Vec::new(),
            },
            call: call(json!({"path": "q3.md", "limit": 10, "tags": ["a", "b"], "deep": {"x": 1}}))
                .with_path_argument("path", path("files/hr/q3.md"))
                .with_url_argument(
                    "url",
                    UrlArgument::parse("https://api.example.com/v1").unwrap(),
                ),
            time: NOON,
            depth: 1,
        }
    }
}

pub(crate) fn path(text: &str) -> ResourcePath {
    ResourcePath::parse(text).unwrap()
}

pub(crate) fn call(arguments: Value) -> Call {
    Call::new(
        ToolName::parse("files.read_file").unwrap(),
        Access::Read,
        vec![path("files/hr/q3.md")],
        arguments.as_object().unwrap(),
    )
}

impl Scene {
    pub(crate) fn with_arguments(arguments: Value) -> Self {
        Self {
            call: call(arguments),
            ..Self::default()
        }
    }

    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Authority, &Request<'_>) -> T) -> T {
        let request = Request {
            time: Timestamp::from_unix(self.time),
            audience: &self.authority.audience,
            depth: self.depth,
            call: &self.call,
            resource: &self.call.resources[0],
        };
        ask(&self.authority, &request)
    }

    /// The native answer, after asserting that the engine has the same.
    pub(crate) fn decide(&self, policy: &OperatorPolicy) -> Result<(), PolicyRefused> {
        self.ask(|authority, request| {
            let native = policy.decide(authority, request);
            let engine = policy.decide_by_engine(authority, request);
            match (&native, &engine) {
                (
                    Err(PolicyRefused::EvaluationFailed { .. }),
                    Err(PolicyRefused::EvaluationFailed { .. }),
                ) => {}
                _ => assert_eq!(native, engine, "{}", policy.source()),
            }
            native
        })
    }

    pub(crate) fn decide_natively(&self, policy: &OperatorPolicy) -> Result<(), PolicyRefused> {
        self.ask(|authority, request| policy.decide(authority, request))
    }

    pub(crate) fn decide_within(
        &self,
        policy: &OperatorPolicy,
        steps: u64,
    ) -> Result<u64, PolicyRefused> {
        let mut steps = Steps::of(steps);
        self.ask(|authority, request| policy.decide_within(authority, request, &mut steps))?;
        Ok(steps.taken())
    }

    pub(crate) fn allows(&self, source: &str) -> bool {
        self.decide(&load(source)).is_ok()
    }
}
