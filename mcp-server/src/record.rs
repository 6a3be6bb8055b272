//! What goes on the record about a call: the audit line that must be durable, and the report to
//! the issuer that may get lost. Arguments appear as a digest only.

use bailiwick_datalog::{Access, Chain, ResourcePath, Timestamp};
use bailiwick_verifier::{VerifiedToken, keys::MintKeyName, single_use::RecordedUse};
use serde_json::{Map, Value, json};

use crate::{
    audit::{AuditLog, NotRecorded},
    call::PermittedCall,
    decision::Refused,
    issuer::report::{CallReport, Decision, Reporter},
};

/// A decision on a call.
const DECIDED: &str = "call_decided";
/// A token of the issuer's that was refused before the request was read.
const TOKEN_REFUSED: &str = "token_refused";
/// What came of a call that was allowed.
const ENDED: &str = "call_ended";

/// The record can be written again; what was refused meanwhile is not in it.
const RESUMED: &str = "audit_resumed";

/// Writes decisions and outcomes.
pub(crate) struct Recorder {
    audit: AuditLog,
    reporter: Reporter,
    /// SHA-256 of the operator policy that every decision is made under, if there is one.
    policy: Option<[u8; 32]>,
}

/// What an outcome refers to.
pub(crate) struct Summary(Value);

impl Recorder {
    /// Writes to these two what is decided under this operator policy.
    pub(crate) fn new(audit: AuditLog, reporter: Reporter, policy: Option<[u8; 32]>) -> Self {
        Self {
            audit,
            reporter,
            policy,
        }
    }

    /// Records a call that may now be executed.
    ///
    /// # Errors
    /// [`NotRecorded`]: it must not be executed.
    pub(crate) async fn allowed(
        &self,
        caller: &VerifiedToken,
        call: &PermittedCall,
        at: Timestamp,
    ) -> Result<(), NotRecorded> {
        let permit = call.permit();
        let line = Line {
            tool: permit.call().tool.as_str(),
            access: Some(permit.call().access),
            resources: &permit.call().resources,
            arguments_digest: call.arguments_digest(),
            code: None,
            grants: permit.grant_ids(),
            counted: permit.recorded_use(),
        };
        self.decided(caller, line, at).await
    }

    /// Records a call that goes no further.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub(crate) async fn refused(
        &self,
        caller: &VerifiedToken,
        refused: &Refused,
    ) -> Result<(), NotRecorded> {
        let line = Line {
            tool: &refused.tool,
            access: refused.access,
            resources: &refused.resources,
            arguments_digest: &refused.arguments_digest,
            code: Some(refused.code),
            grants: &[],
            counted: None,
        };
        self.decided(caller, line, refused.at).await
    }

    /// Records that a token which the issuer minted is not, or no longer, good; and the mint key,
    /// where the token was verified before it was refused.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub(crate) async fn token_refused(
        &self,
        chain: &Chain,
        key: Option<MintKeyName>,
        code: &'static str,
        at: Timestamp,
    ) -> Result<(), NotRecorded> {
        let mut fields = bearer(chain);
        fields.insert("key".to_owned(), json!(key));
        fields.insert("code".to_owned(), json!(code));
        self.audit
            .record(at, TOKEN_REFUSED, Value::Object(fields))
            .await
            .map(drop)
    }

    /// Whether the audit record can be written, as far as the last attempt shows. After one that
    /// failed another is made: calls may not come until this says that they can be recorded.
    pub(crate) async fn is_writing(&self, at: Timestamp) -> bool {
        !self.audit.is_failing() || self.audit.record(at, RESUMED, json!({})).await.is_ok()
    }

    /// What the outcome of a call will refer to.
    pub(crate) fn summary(&self, caller: &VerifiedToken, call: &PermittedCall) -> Summary {
        Summary(json!({
            "session": caller.session(),
            "tool": call.permit().call().tool,
            "arguments_sha256": hex::encode(call.arguments_digest()),
        }))
    }

    /// Records what came of a call: done, or the code of its failure.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub(crate) async fn outcome(
        &self,
        summary: Summary,
        failure: Option<&'static str>,
        at: Timestamp,
    ) -> Result<(), NotRecorded> {
        let Summary(mut fields) = summary;
        if let Some(fields) = fields.as_object_mut() {
            let outcome = if failure.is_some() { "failed" } else { "done" };
            fields.insert("outcome".to_owned(), json!(outcome));
            fields.insert("code".to_owned(), json!(failure));
        }
        self.audit.record(at, ENDED, fields).await.map(drop)
    }

    async fn decided(
        &self,
        caller: &VerifiedToken,
        line: Line<'_>,
        at: Timestamp,
    ) -> Result<(), NotRecorded> {
        let decision = if line.code.is_some() {
            Decision::Deny
        } else {
            Decision::Allow
        };
        let mut fields = bearer(caller.chain());
        let particulars = [
            ("key", json!(caller.key())),
            ("tool", json!(line.tool)),
            ("access", json!(line.access)),
            ("resources", json!(line.resources)),
            (
                "arguments_sha256",
                json!(hex::encode(line.arguments_digest)),
            ),
            ("decision", json!(decision)),
            ("code", json!(line.code)),
            ("grants", json!(line.grants)),
            ("exact_call", json!(line.counted.map(exact_call))),
            ("policy_sha256", json!(self.policy.map(hex::encode))),
        ];
        fields.extend(particulars.map(|(name, value)| (name.to_owned(), value)));
        let recorded = self
            .audit
            .record(at, DECIDED, Value::Object(fields))
            .await?;
        tracing::info!(
            session = %caller.session(),
            key = %caller.key(),
            tool = line.tool,
            code = line.code.unwrap_or("ok"),
            "call decided"
        );
        self.reporter.offer(CallReport {
            id: recorded.hash,
            session: caller.session().to_string(),
            agent: caller.agent().to_string(),
            delegates: caller.chain().delegates().map(str::to_owned).collect(),
            tool: line.tool.to_owned(),
            access: line.access,
            resources: line.resources.to_vec(),
            decision,
            code: line.code,
            at,
        });
        Ok(())
    }
}

struct Line<'a> {
    tool: &'a str,
    access: Option<Access>,
    resources: &'a [ResourcePath],
    arguments_digest: &'a [u8; 32],
    code: Option<&'static str>,
    grants: &'a [String],
    counted: Option<&'a RecordedUse>,
}

/// Which of the approved uses of an exact call this one is.
fn exact_call(counted: &RecordedUse) -> Value {
    json!({"sha256": counted.call, "nth": counted.nth, "of": counted.times})
}

/// Who presented a token: its session and agent, the names it passed through, and the id of its
/// last block, which names this very token among its relatives.
fn bearer(chain: &Chain) -> Map<String, Value> {
    let delegates: Vec<&str> = chain.delegates().collect();
    let token = chain.revocation_ids().last().map(ToString::to_string);
    let members = [
        ("session", json!(chain.authority().session)),
        ("agent", json!(chain.authority().agent)),
        ("delegates", json!(delegates)),
        ("token", json!(token)),
    ];
    members
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}
