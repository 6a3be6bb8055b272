//! One tool call, as it is authorized: tool, access, resources and typed arguments.
//!
//! Hosts build a [`Call`] from a request once and execute that same value. What an argument
//! names (a path, a URL) is the host's catalogue to say; this module only types the values.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    name::{Access, ToolName},
    resource::ResourcePath,
};

/// Most resources one call may touch.
pub const MAX_RESOURCES: usize = 64;

/// A call to authorize. Every resource must be granted, all constraints must hold for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tool called.
    pub tool: ToolName,
    /// What the call does, as the catalogue declares it (never as the caller claims).
    pub access: Access,
    /// What the call touches; a call that names none is refused.
    pub resources: Vec<ResourcePath>,
    /// The arguments, typed for constraints.
    pub arguments: Arguments,
    /// Arguments that the catalogue declares to be paths and that parsed without ambiguity.
    pub path_arguments: Vec<(String, ResourcePath)>,
    /// Arguments that the catalogue declares to be URLs and that parsed without ambiguity.
    pub url_arguments: Vec<(String, UrlArgument)>,
}

impl Call {
    /// A call with no declared path or URL arguments.
    pub fn new(
        tool: ToolName,
        access: Access,
        resources: Vec<ResourcePath>,
        arguments: &Map<String, Value>,
    ) -> Self {
        Self {
            tool,
            access,
            resources,
            arguments: Arguments::from_json(arguments),
            path_arguments: Vec::new(),
            url_arguments: Vec::new(),
        }
    }

    /// Declares that the argument `name` is the path `path`.
    #[must_use]
    pub fn with_path_argument(mut self, name: impl Into<String>, path: ResourcePath) -> Self {
        self.path_arguments.push((name.into(), path));
        self
    }

    /// Declares that the argument `name` is the URL `url`.
    #[must_use]
    pub fn with_url_argument(mut self, name: impl Into<String>, url: UrlArgument) -> Self {
        self.url_arguments.push((name.into(), url));
        self
    }
}

/// A call's arguments: the JSON to execute and, beside it, the typed values that constraints see.
/// Both come from one parse, so what is executed is what was authorized.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    json: Map<String, Value>,
    /// INVARIANT: ascending by name, each name once.
    typed: Vec<(String, ArgumentValue)>,
}

impl Arguments {
    /// Types a JSON object. Never fails: what constraints can't express becomes
    /// [`ArgumentValue::Unrepresentable`], present but failing every constraint on it.
    pub fn from_json(object: &Map<String, Value>) -> Self {
        let mut typed: Vec<_> = object
            .iter()
            .map(|(name, value)| (name.clone(), ArgumentValue::from_json(value)))
            .collect();
        typed.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self {
            json: object.clone(),
            typed,
        }
    }

    /// The arguments as JSON.
    pub fn json(&self) -> &Map<String, Value> {
        &self.json
    }

    /// How many arguments the call has.
    pub fn len(&self) -> usize {
        self.typed.len()
    }

    /// True for a call without arguments.
    pub fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// The value of an argument, if the call has it.
    pub fn get(&self, name: &str) -> Option<&ArgumentValue> {
        let found = self
            .typed
            .binary_search_by(|(candidate, _)| candidate.as_str().cmp(name));
        let (_, value) = self.typed.get(found.ok()?)?;
        Some(value)
    }

    /// The argument at a place in the order of names.
    pub(crate) fn at(&self, index: usize) -> Option<(&str, &ArgumentValue)> {
        let (name, value) = self.typed.get(index)?;
        Some((name, value))
    }

    /// Names and values, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ArgumentValue)> {
        self.typed
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

/// A typed argument value (profile, rule 18).
#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentValue {
    /// A JSON string.
    String(String),
    /// A JSON integer within i64.
    Integer(i64),
    /// A JSON boolean.
    Boolean(bool),
    /// A JSON array of representable values.
    Array(Vec<ArgumentValue>),
    /// A JSON object of representable values.
    Object(Vec<(String, ArgumentValue)>),
    /// A float, an integer outside i64, null, or an array or object that holds one: the
    /// argument is present, and every constraint that mentions it fails.
    Unrepresentable,
}

impl ArgumentValue {
    fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Unrepresentable,
            Value::Bool(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => number.as_i64().map_or(Self::Unrepresentable, Self::Integer),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::from_json).collect();
                if items.contains(&Self::Unrepresentable) {
                    return Self::Unrepresentable;
                }
                Self::Array(items)
            }
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from_json(value)))
                    .collect();
                if members
                    .iter()
                    .any(|(_, value)| *value == Self::Unrepresentable)
                {
                    return Self::Unrepresentable;
                }
                Self::Object(members)
            }
        }
    }
}

/// A URL argument, parsed by the host without ambiguity (no user, no IP literal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlArgument {
    /// Lower-case scheme without `:`.
    pub scheme: String,
    /// Lower-case ASCII host name.
    pub host: String,
    /// Port, explicit or the scheme's default.
    pub port: u16,
    /// Path with its leading `/`.
    pub path: String,
}

impl UrlArgument {
    /// Parses a URL, or answers `None` where two readers could disagree: user or password, an IP
    /// literal, no host, an empty or trailing-dot host, white space, backslash, control
    /// characters, percent-encoding or dot segments in the path, or any text that the parser
    /// would have to change (so the text executed is the text authorized).
    pub fn parse(text: &str) -> Option<Self> {
        let ambiguous = |c: char| {
            c.is_whitespace()
                || matches!(c, '\\' | '%' | '@')
                || crate::name::is_control_or_format(c)
        };
        if text.chars().any(ambiguous) {
            return None;
        }
        let url = url::Url::parse(text).ok()?;
        let url::Host::Domain(host) = url.host()? else {
            return None;
        };
        let without_root_path = url.as_str().trim_end_matches('/');
        if url.as_str() != text && without_root_path != text.trim_end_matches('/') {
            return None;
        }
        // The parser leaves the host of a scheme that it does not know as it is written: in upper
        // case, or an IP literal.
        if url::Host::parse(host) != Ok(url::Host::Domain(host.to_owned())) {
            return None;
        }
        if host.is_empty() || host.ends_with('.') || host.starts_with('.') {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: host.to_owned(),
            port: url.port_or_known_default()?,
            path: url.path().to_owned(),
        })
    }
}

/// SHA-256 over the RFC 8785 canonical JSON of `{"tool":…,"arguments":…}` (profile, rule 24).
///
/// Identifies one exact call. `None` when the arguments have no canonical form: RFC 8785 writes
/// numbers as doubles, so two integers beyond ±2^53 could share one text.
pub fn canonical_call_digest(tool: &ToolName, arguments: &Map<String, Value>) -> Option<[u8; 32]> {
    if !arguments.values().all(has_exact_integers) {
        return None;
    }
    let call = serde_json::json!({ "tool": tool.as_str(), "arguments": arguments });
    let canonical = serde_json_canonicalizer::to_vec(&call).ok()?;
    Some(Sha256::digest(canonical).into())
}

/// Largest integer up to which every integer is a double (RFC 7493, section 2.2).
const MAX_EXACT_INTEGER: u64 = (1 << 53) - 1;
/// The same as a double.
const MAX_EXACT_REAL: f64 = 9_007_199_254_740_991.0;
/// From here on RFC 8785 writes an exponent.
const WRITTEN_WITH_EXPONENT: f64 = 1e21;

fn has_exact_integers(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(integer), _) => integer <= MAX_EXACT_INTEGER,
            (None, Some(integer)) => integer.unsigned_abs() <= MAX_EXACT_INTEGER,
            // RFC 8785 writes one without a fraction as an integer, unless it is very large: read
            // back, it would be one.
            (None, None) => number.as_f64().is_some_and(|real| {
                let exact = real.abs() <= MAX_EXACT_REAL;
                real.fract() != 0.0 || exact || real.abs() >= WRITTEN_WITH_EXPONENT
            }),
        },
        Value::Array(items) => items.iter().all(has_exact_integers),
        Value::Object(members) => members.values().all(has_exact_integers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_a_canonical_form_as_far_as_doubles_count_and_no_further() {
        let tool = ToolName::parse("t").unwrap();
        let digest = |number: &str| {
            let value: Value = serde_json::from_str(&format!("{{\"n\":[{number}]}}")).unwrap();
            canonical_call_digest(&tool, value.as_object().unwrap())
        };
        for good in [
            "9007199254740991",
            "-9007199254740991",
            "9007199254740991.0",
            "0.5",
            "1e-7",
            "1e15",
            "1e21",
            "1e300",
        ] {
            assert!(digest(good).is_some(), "{good}");
        }
        for bad in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740992.0",
            "-9007199254740992.0",
            "1e16",
            "-999999999999999900000",
            "1e20",
        ] {
            assert_eq!(digest(bad), None, "{bad}");
        }
    }

    fn arguments(value: Value) -> Arguments {
        Arguments::from_json(value.as_object().unwrap())
    }

    #[test]
    fn integers_within_i64_are_typed_and_other_numbers_unrepresentable() {
        let typed = arguments(json!({
            "min": i64::MIN, "max": i64::MAX, "over": 9_223_372_036_854_775_808_u64,
            "float": 5.0, "exponent": 1e1, "null": null
        }));
        assert_eq!(typed.get("min"), Some(&ArgumentValue::Integer(i64::MIN)));
        assert_eq!(typed.get("max"), Some(&ArgumentValue::Integer(i64::MAX)));
        for name in ["over", "float", "exponent", "null"] {
            assert_eq!(
                typed.get(name),
                Some(&ArgumentValue::Unrepresentable),
                "{name}"
            );
        }
    }

    #[test]
    fn an_unrepresentable_value_inside_spoils_its_whole_argument() {
        let typed = arguments(json!({"good": [1, {"a": "b"}], "bad": [1, {"a": 0.5}]}));
        assert!(matches!(typed.get("good"), Some(ArgumentValue::Array(_))));
        assert_eq!(typed.get("bad"), Some(&ArgumentValue::Unrepresentable));
        assert_eq!(typed.get("missing"), None);
    }

    #[test]
    fn urls_with_a_second_reading_are_not_parsed() {
        let url = UrlArgument::parse("https://api.example.com/v1/a").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str()),
            ("api.example.com", 443, "/v1/a")
        );
        assert!(UrlArgument::parse("https://api.example.com").is_some());
        assert!(UrlArgument::parse("other://api.example.com:443/").is_some());
        for bad in [
            "https://user@h.example/",
            "https://h.example\\@evil.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://h.example./",
            "https://H.example/",
            "other://H.example:443/",
            "other://127.0.0.1:443/",
            "other://0x7f.1:443/",
            "https://h.example/a/../b",
            "https://h.example/%2e%2e",
            " https://h.example/",
            "https://h.exam\tple/",
            "https:///h.example/",
            "mailto:a@b",
            "h.example/a",
            "https://h\u{ff0e}example/",
        ] {
            assert_eq!(UrlArgument::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn call_digest_does_not_depend_on_member_order() {
        let tool = ToolName::parse("files.read_file").unwrap();
        let one = json!({"a": 1, "b": [true]});
        let other: Value = serde_json::from_str(r#"{"b":[true],"a":1}"#).unwrap();
        let changed = json!({"a": 2, "b": [true]});
        let digest = |v: &Value| canonical_call_digest(&tool, v.as_object().unwrap()).unwrap();
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&changed));
    }

    #[test]
    fn integers_that_could_share_a_canonical_text_have_no_digest() {
        let tool = ToolName::parse("t").unwrap();
        let digest = |n: Value| {
            let arguments = json!({"a": [{"n": n}]});
            canonical_call_digest(&tool, arguments.as_object().unwrap())
        };
        let last = 9_007_199_254_740_991_i64;
        assert!(digest(json!(last)).is_some());
        assert!(digest(json!(-last)).is_some());
        assert_eq!(digest(json!(last + 1)), None);
        assert_eq!(digest(json!(-last - 1)), None);
        assert_eq!(digest(json!(u64::MAX)), None);
        assert!(digest(json!(1e300)).is_some());
    }
}
