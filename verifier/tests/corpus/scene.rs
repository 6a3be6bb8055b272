//! The session that the cases are about, and short ways to write a case of it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE};
use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::{Value, json};

use crate::{
    case::{Case, Declared, Expect, Wanted},
    forge::{Draft, key},
};

pub(crate) const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
pub(crate) const ISSUED_AT: &str = "2026-01-31T12:00:00Z";
pub(crate) const NOW: &str = "2026-01-31T12:01:00Z";
/// [`NOW`] in seconds since 1970.
pub(crate) const NOW_UNIX: u64 = 1_769_860_860;
pub(crate) const EXPIRES_AT: &str = "2026-01-31T12:15:00Z";

/// The usual authority block, one statement a line: reading under `files/reports`, writing drafts
/// below it, searching `drive`, three delegations.
pub(crate) fn statements() -> Vec<String> {
    [
        "bailiwick(1)",
        "session(\"s-1\")",
        "approval(\"a-1\")",
        "application(\"default\")",
        "principal(\"ada\")",
        "agent(\"scribe\")",
        "task(\"sum up the reports\")",
        &format!("request_digest(hex:{})", "09".repeat(32)),
        &format!("audience(\"{AUDIENCE}\")"),
        &format!("issued_at({ISSUED_AT})"),
        &format!("expires_at({EXPIRES_AT})"),
        "max_depth(3)",
        "grant(\"g1\", \"files.read_file\", \"read\", [\"files\", \"reports\"])",
        "grant(\"g2\", \"files.write_file\", \"write\", [\"files\", \"reports\", \"drafts\"])",
        "grant(\"g3\", \"drive.search\", \"read\", [\"drive\"])",
        &format!("check if time($t), $t < {EXPIRES_AT}"),
        &format!("check if request_audience(\"{AUDIENCE}\")"),
    ]
    .map(str::to_owned)
    .to_vec()
}

pub(crate) fn source(statements: &[String]) -> String {
    statements.join(";\n") + ";"
}

pub(crate) fn authority() -> String {
    source(&statements())
}

/// The usual authority block with one statement more.
pub(crate) fn authority_with(statement: &str) -> String {
    let mut all = statements();
    all.push(statement.to_owned());
    source(&all)
}

/// The usual authority block with `replacement` for the statement that begins with `start`; an
/// empty one leaves it out.
pub(crate) fn authority_replacing(start: &str, replacement: &str) -> String {
    let mut all = statements();
    let at = all.iter().position(|text| text.starts_with(start)).unwrap();
    if replacement.is_empty() {
        all.remove(at);
    } else {
        replacement.clone_into(&mut all[at]);
    }
    source(&all)
}

/// The usual token, narrowed by these blocks.
pub(crate) fn token(later: &[&str]) -> Draft {
    Draft::of(&authority(), later)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

pub(crate) fn key_text(key: &SigningKey) -> String {
    format!("ed25519/{}", hex::encode(key.verifying_key().to_bytes()))
}

/// The text of a token in any of the ways a case may come by one.
pub(crate) trait Presented {
    fn presented(&self) -> String;
}

impl Presented for Draft {
    fn presented(&self) -> String {
        text(&self.bytes())
    }
}

impl Presented for biscuit_auth::format::schema::Biscuit {
    fn presented(&self) -> String {
        text(&self.encode_to_vec())
    }
}

impl Presented for Vec<u8> {
    fn presented(&self) -> String {
        text(self)
    }
}

impl Presented for String {
    fn presented(&self) -> String {
        self.clone()
    }
}

/// A case about the call that the usual token allows.
pub(crate) fn case(id: &str, verdict: &str, token: &impl Presented, why: &str) -> Case {
    Case {
        id: id.to_owned(),
        why: why.to_owned(),
        expect: Expect::of(verdict),
        expect_without_catalogue: None,
        after: None,
        call: Wanted {
            tool: "files.read_file".to_owned(),
            access: "read".to_owned(),
            resources: vec!["files/reports/q3.md".to_owned()],
            args: object(json!({"path": "reports/q3.md"})),
        },
        now: NOW.to_owned(),
        audience: AUDIENCE.to_owned(),
        keys: BTreeMap::from([("1".to_owned(), key_text(&key("root")))]),
        revoked: Vec::new(),
        declares: BTreeMap::new(),
        holder_proof: None,
        token: Some(token.presented()),
        authorization: None,
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is not an object"),
    }
}

impl Case {
    /// Presents the token in a header instead.
    pub(crate) fn header(mut self, value: impl Into<String>) -> Self {
        self.token = None;
        self.authorization = Some(value.into());
        self
    }

    pub(crate) fn tool(mut self, tool: &str, access: &str) -> Self {
        tool.clone_into(&mut self.call.tool);
        access.clone_into(&mut self.call.access);
        self
    }

    pub(crate) fn resources(mut self, resources: &[&str]) -> Self {
        self.call.resources = resources.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    pub(crate) fn args(mut self, args: Value) -> Self {
        self.call.args = object(args);
        self
    }

    pub(crate) fn at(mut self, now: &str) -> Self {
        now.clone_into(&mut self.now);
        self
    }

    pub(crate) fn audience(mut self, audience: &str) -> Self {
        audience.clone_into(&mut self.audience);
        self
    }

    pub(crate) fn keys(mut self, keys: &[(&str, &SigningKey)]) -> Self {
        self.keys = keys
            .iter()
            .map(|(id, key)| ((*id).to_owned(), key_text(key)))
            .collect();
        self
    }

    pub(crate) fn revoked(mut self, ids: &[&[u8]]) -> Self {
        self.revoked = ids.iter().map(hex::encode).collect();
        self
    }

    /// Declares an argument, which nobody does for `check --jsonl`.
    pub(crate) fn declares(mut self, name: &str, as_what: Declared) -> Self {
        self.declares.insert(name.to_owned(), as_what);
        if self.expect.verdict() == "allow" {
            self.expect_without_catalogue = Some(Expect::of("caveat_failed"));
        }
        self
    }
}
