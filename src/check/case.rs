//! One line of a batch, read into a case that can be decided.
//!
//! Every field is required but `holder_proof`, since a missing one would
//! otherwise loosen the decision: no `revoked` is not the same as nothing
//! revoked. Fields nobody knows are passed over, so that a corpus may carry
//! notes. The first field found wrong is the one that is named.

use std::fmt;

use bailiwick_datalog::{Access, Audience, RevocationId, Timestamp, strict_json};
use bailiwick_verifier::holder::HolderProof;
use bailiwick_verifier::keys::KeySet;
use bailiwick_verifier::signed::PublicKeyHex;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Decision, MALFORMED_REQUEST, MALFORMED_TOKEN};

/// What a line turned out to be.
#[derive(Debug)]
pub(crate) enum Line {
    /// White space only.
    Blank,
    /// A case to decide.
    Case(Box<Case>),
    /// A JSON object that is no case, with the answer it gets.
    Refused(Decision),
    /// Not a JSON object: there is no id to answer under.
    NotACase(String),
}

/// A case whose fields are all there and of the right type.
#[derive(Debug)]
pub(crate) struct Case {
    /// Any string or number, echoed with the decision.
    pub(crate) id: Value,
    /// How the token came.
    pub(crate) credential: Credential,
    /// The call to decide.
    pub(crate) call: WantedCall,
    /// The moment of the decision.
    pub(crate) now: Timestamp,
    /// The server that decides.
    pub(crate) audience: Audience,
    /// The keys it trusts.
    pub(crate) keys: KeySet,
    /// What it knows to be revoked.
    pub(crate) revoked: Vec<RevocationId>,
    /// The proof of possession that came with the call.
    pub(crate) proof: Option<HolderProof>,
}

/// How the token came. Not shown: it is a secret.
pub(crate) enum Credential {
    /// Bare, in its text form.
    Token(String),
    /// As the raw value of an `Authorization` header.
    Authorization(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::Authorization(_) => "Authorization(..)",
        })
    }
}

/// The call as it was asked for; its names are not yet canonical.
#[derive(Debug)]
pub(crate) struct WantedCall {
    /// The tool.
    pub(crate) tool: String,
    /// The access that the tool needs.
    pub(crate) access: Access,
    /// What it touches.
    pub(crate) resources: Vec<String>,
    /// Its arguments.
    pub(crate) args: Map<String, Value>,
}

/// Reads one line.
pub(crate) fn read_line(line: &[u8]) -> Line {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Blank;
    }
    match strict_json::parse(line) {
        Ok(Value::Object(fields)) => {
            let id = fields.get("id").cloned().unwrap_or_default();
            match read_case(id.clone(), &fields) {
                Ok(case) => Line::Case(Box::new(case)),
                Err(wrong) => Line::Refused(Decision::deny(id, wrong.code, wrong.explanation)),
            }
        }
        Ok(_) => Line::NotACase("it is JSON, but not an object".to_owned()),
        Err(error) => match lenient_id(line) {
            // An object all the same, only with a key twice or nested too deep.
            Some(id) => Line::Refused(Decision::deny(
                id,
                MALFORMED_REQUEST,
                format!("the case has a {error}"),
            )),
            None => Line::NotACase(format!("it is not a JSON object: {error}")),
        },
    }
}

/// Why a JSON object is no case.
#[derive(Debug)]
struct Wrong {
    code: &'static str,
    explanation: String,
}

impl Wrong {
    fn request(explanation: impl Into<String>) -> Self {
        Self {
            code: MALFORMED_REQUEST,
            explanation: explanation.into(),
        }
    }

    fn token(explanation: impl Into<String>) -> Self {
        Self {
            code: MALFORMED_TOKEN,
            explanation: explanation.into(),
        }
    }
}

fn read_case(id: Value, fields: &Map<String, Value>) -> Result<Case, Wrong> {
    match id {
        Value::String(_) | Value::Number(_) => {}
        Value::Null => return Err(Wrong::request("the field `id` is missing")),
        _ => {
            return Err(Wrong::request(
                "the field `id` is neither text nor a number",
            ));
        }
    }
    Ok(Case {
        id,
        credential: credential(fields)?,
        call: call(object(fields, "call")?)?,
        now: now(text(fields, "now")?)?,
        audience: Audience::parse(text(fields, "audience")?)
            .map_err(|error| Wrong::request(format!("the field `audience`: {error}")))?,
        keys: keys(object(fields, "keys")?)?,
        revoked: revoked(array(fields, "revoked")?)?,
        proof: proof(fields.get("holder_proof"))?,
    })
}

fn credential(fields: &Map<String, Value>) -> Result<Credential, Wrong> {
    match (fields.get("token"), fields.get("authorization")) {
        (Some(_), Some(_)) => Err(Wrong::token(
            "the case has both `token` and `authorization`; one is needed",
        )),
        (None, None) => Err(Wrong::token(
            "the case has neither `token` nor `authorization`",
        )),
        (Some(Value::String(token)), None) => Ok(Credential::Token(token.clone())),
        (None, Some(Value::String(header))) => Ok(Credential::Authorization(header.clone())),
        (Some(_), None) => Err(Wrong::token("the field `token` is not text")),
        (None, Some(_)) => Err(Wrong::token("the field `authorization` is not text")),
    }
}

fn call(fields: &Map<String, Value>) -> Result<WantedCall, Wrong> {
    let inside = |wrong: Wrong| Wrong::request(format!("in `call`: {}", wrong.explanation));
    let resources = array(fields, "resources")
        .map_err(inside)?
        .iter()
        .map(|resource| resource.as_str().map(str::to_owned))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Wrong::request("in `call`: the field `resources` holds more than texts"))?;
    Ok(WantedCall {
        tool: text(fields, "tool").map_err(inside)?.to_owned(),
        access: text(fields, "access")
            .map_err(inside)?
            .parse()
            .map_err(|error| Wrong::request(format!("in `call`: the field `access`: {error}")))?,
        resources,
        args: object(fields, "args").map_err(inside)?.clone(),
    })
}

fn now(text: &str) -> Result<Timestamp, Wrong> {
    Timestamp::parse_rfc3339(text)
        .map_err(|error| Wrong::request(format!("the field `now`: {error}")))
}

fn keys(fields: &Map<String, Value>) -> Result<KeySet, Wrong> {
    let entries = fields.iter().map(|(id, key)| {
        let wrong = |reason: &dyn fmt::Display| {
            Wrong::request(format!("the field `keys`, entry `{id}`: {reason}"))
        };
        let key = key.as_str().ok_or_else(|| wrong(&"the key is not text"))?;
        let number: u32 = id
            .parse()
            .map_err(|_| wrong(&"the id is not a decimal number"))?;
        if number.to_string() != *id {
            return Err(wrong(&"the id is not written in the shortest way"));
        }
        let key: PublicKeyHex = key.parse().map_err(|error| wrong(&error))?;
        Ok((number, key))
    });
    KeySet::from_entries(entries.collect::<Result<Vec<_>, _>>()?)
        .map_err(|error| Wrong::request(format!("the field `keys`: {error}")))
}

fn revoked(items: &[Value]) -> Result<Vec<RevocationId>, Wrong> {
    items
        .iter()
        .map(|item| {
            let text = item
                .as_str()
                .ok_or_else(|| Wrong::request("the field `revoked` holds more than texts"))?;
            text.parse()
                .map_err(|error| Wrong::request(format!("the field `revoked`: {error}")))
        })
        .collect()
}

fn proof(field: Option<&Value>) -> Result<Option<HolderProof>, Wrong> {
    let fields = match field {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(Wrong::request("the field `holder_proof` is not an object")),
    };
    let inside = |wrong: Wrong| Wrong::request(format!("in `holder_proof`: {}", wrong.explanation));
    Ok(Some(HolderProof {
        dpop: text(fields, "dpop").map_err(inside)?.to_owned(),
        method: text(fields, "method").map_err(inside)?.to_owned(),
        url: text(fields, "url").map_err(inside)?.to_owned(),
    }))
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Wrong> {
    fields
        .get(name)
        .ok_or_else(|| Wrong::request(format!("the field `{name}` is missing")))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Wrong> {
    field(fields, name)?
        .as_str()
        .ok_or_else(|| Wrong::request(format!("the field `{name}` is not text")))
}

fn object<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Wrong> {
    field(fields, name)?
        .as_object()
        .ok_or_else(|| Wrong::request(format!("the field `{name}` is not an object")))
}

fn array<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Wrong> {
    field(fields, name)?
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| Wrong::request(format!("the field `{name}` is not an array")))
}

/// The id of an object that the strict reader refused, so that its owner gets
/// an answer. Everything else in it is passed over without recursion.
fn lenient_id(line: &[u8]) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let id = reader.deserialize_map(IdOnly).ok()?;
    reader.end().ok()?;
    Some(id)
}

struct IdOnly;

impl<'de> Visitor<'de> for IdOnly {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut id = Value::Null;
        while let Some(name) = fields.next_key::<String>()? {
            if name == "id" {
                id = fields.next_value()?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "id": "c1",
            "token": "En0K",
            "call": {"tool": "files.read_file", "access": "read", "resources": ["files/a"], "args": {"path": "a"}},
            "now": "2026-01-01T00:00:00+01:00",
            "audience": "http://127.0.0.1:8401/mcp",
            "keys": {"1": "ed25519/d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
            "revoked": ["ab".repeat(64)],
        })
    }

    fn read(case: &Value) -> Line {
        read_line(case.to_string().as_bytes())
    }

    fn refused(case: &Value) -> (Value, &'static str, String) {
        match read(case) {
            Line::Refused(decision) => (decision.id, decision.code.unwrap(), decision.explanation),
            other => panic!("{other:?} for {case}"),
        }
    }

    fn with(path: &[&str], value: Value) -> Value {
        let mut case = good();
        let mut place = &mut case;
        for name in path {
            place = &mut place[*name];
        }
        *place = value;
        case
    }

    fn without(parent: &[&str], name: &str) -> Value {
        let mut case = good();
        let mut place = &mut case;
        for step in parent {
            place = &mut place[*step];
        }
        place.as_object_mut().unwrap().remove(name);
        case
    }

    #[test]
    fn a_whole_case_is_read() {
        let Line::Case(case) = read(&good()) else {
            panic!("refused")
        };
        assert_eq!(case.id, "c1");
        assert_eq!(case.now.to_rfc3339(), "2025-12-31T23:00:00Z");
        assert_eq!(case.call.resources, ["files/a"]);
        assert!(case.proof.is_none());
    }

    #[test]
    fn notes_beside_the_fields_are_passed_over() {
        assert!(matches!(
            read(&with(&["comment"], json!({"any": [1]}))),
            Line::Case(_)
        ));
    }

    #[test]
    fn each_missing_field_is_named_under_the_id_of_the_case() {
        for name in ["call", "now", "audience", "keys", "revoked"] {
            let (id, code, explanation) = refused(&without(&[], name));
            assert_eq!((id, code), (json!("c1"), MALFORMED_REQUEST));
            assert_eq!(explanation, format!("the field `{name}` is missing"));
        }
        for name in ["tool", "access", "resources", "args"] {
            let (_, code, explanation) = refused(&without(&["call"], name));
            assert_eq!(code, MALFORMED_REQUEST);
            assert_eq!(
                explanation,
                format!("in `call`: the field `{name}` is missing")
            );
        }
    }

    #[test]
    fn each_field_of_another_type_is_named() {
        for (path, value) in [
            (vec!["call"], json!([])),
            (vec!["call", "tool"], json!(1)),
            (vec!["call", "access"], json!("admin")),
            (vec!["call", "access"], json!("Read")),
            (vec!["call", "resources"], json!("files/a")),
            (vec!["call", "resources"], json!([1])),
            (vec!["call", "args"], json!([])),
            (vec!["now"], json!(1_767_225_600)),
            (vec!["now"], json!("yesterday")),
            (vec!["audience"], json!("")),
            (vec!["keys"], json!([])),
            (vec!["keys", "1"], json!(1)),
            (vec!["keys", "1"], json!("p256/00")),
            (vec!["keys", "one"], good()["keys"]["1"].clone()),
            (vec!["keys", "01"], good()["keys"]["1"].clone()),
            (vec!["keys", "4294967296"], good()["keys"]["1"].clone()),
            (vec!["revoked"], json!({})),
            (vec!["revoked"], json!([7])),
            (vec!["revoked"], json!(["abcd"])),
            (vec!["holder_proof"], json!("jwt")),
            (
                vec!["holder_proof"],
                json!({"dpop": "a.b.c", "method": "POST"}),
            ),
        ] {
            let (id, code, explanation) = refused(&with(&path, value));
            assert_eq!((id, code), (json!("c1"), MALFORMED_REQUEST), "{path:?}");
            let named = path
                .iter()
                .any(|name| explanation.contains(&format!("`{name}`")));
            assert!(named, "{path:?}: {explanation}");
        }
    }

    #[test]
    fn a_case_carries_its_token_in_exactly_one_way() {
        let mut both = good();
        both["authorization"] = json!("Bearer En0K");
        let neither = without(&[], "token");
        let mistyped = with(&["token"], json!(7));
        for case in [both, neither, mistyped] {
            assert_eq!(refused(&case).1, MALFORMED_TOKEN);
        }
    }

    #[test]
    fn an_id_is_text_or_a_number() {
        assert!(matches!(read(&with(&["id"], json!(1.5))), Line::Case(_)));
        for id in [json!(null), json!(true), json!({"a": 1})] {
            let (echoed, code, _) = refused(&with(&["id"], id.clone()));
            assert_eq!((echoed, code), (id, MALFORMED_REQUEST));
        }
        assert_eq!(refused(&without(&[], "id")).0, Value::Null);
    }

    #[test]
    fn a_key_twice_is_named_under_the_id_of_the_case() {
        let line = good()
            .to_string()
            .replacen("{\"tool\"", "{\"args\":{},\"tool\"", 1);
        match read_line(line.as_bytes()) {
            Line::Refused(decision) => {
                assert_eq!(decision.id, "c1");
                assert_eq!(decision.code, Some(MALFORMED_REQUEST));
                assert!(
                    decision.explanation.contains("`args`"),
                    "{}",
                    decision.explanation
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_case_nested_too_deep_is_answered_under_its_id() {
        for depth in [100, 100_000] {
            let line = format!(
                r#"{{"id":3,"call":{}{}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            );
            match read_line(line.as_bytes()) {
                Line::Refused(decision) => assert_eq!(decision.id, 3),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_object_has_no_id_to_answer_under() {
        for line in [
            &b"{"[..],
            b"[]",
            b"7",
            b"{\"id\":1} x",
            b"\xff",
            b"\xef\xbb\xbf{\"id\":1}",
        ] {
            assert!(matches!(read_line(line), Line::NotACase(_)), "{line:?}");
        }
        assert!(matches!(read_line(b" \t\r"), Line::Blank));
    }

    #[test]
    fn the_token_is_not_shown_when_a_case_is() {
        let Line::Case(case) = read(&good()) else {
            panic!("refused")
        };
        assert!(!format!("{case:?}").contains("En0K"));
    }
}
