//! Argument constraints in JSON (`authorization_details`) and on the command line.

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{ArgumentConstraint, ArgumentRule, HostRule, Scalar, UrlRule};
use crate::resource::ResourcePath;

/// Most values in one constraint.
const MAX_VALUES: usize = 256;
/// Longest argument name, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Why a text or JSON value is not an argument constraint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("constraint on `{name}`: {what}")]
pub struct ConstraintError {
    /// The argument.
    pub name: String,
    /// What is wrong.
    pub what: String,
}

impl ArgumentConstraint {
    /// Reads the rule of argument `name`: an object with exactly one of `exact`, `one_of`, `min`
    /// and/or `max`, `prefix`, `suffix`, `subset`, `any_of`, `all_of`, `max_length`, `present`,
    /// `absent`, `under`, `url`, and optionally `"optional": true`.
    ///
    /// # Errors
    /// [`ConstraintError`] for any other shape: unknown members are refused, never skipped.
    pub fn from_json(name: &str, rule: &Value) -> Result<Self, ConstraintError> {
        let fail = |what: String| ConstraintError {
            name: name.to_owned(),
            what,
        };
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(fail(format!(
                "an argument name has 1 to {MAX_NAME_BYTES} bytes"
            )));
        }
        let Value::Object(members) = rule else {
            return Err(fail("expected an object".to_owned()));
        };
        let mut members = members.clone();
        let optional = match members.remove("optional") {
            None => false,
            Some(Value::Bool(optional)) => optional,
            Some(_) => return Err(fail("`optional` is true or false".to_owned())),
        };
        let constraint = Self {
            name: name.to_owned(),
            rule: rule_from_json(&members).map_err(fail)?,
            optional,
        };
        super::Caveat::Argument(constraint.clone())
            .check_form()
            .map_err(|error| fail(error.to_string()))?;
        Ok(constraint)
    }

    /// The rule as JSON; [`ArgumentConstraint::from_json`] reads it back to the same value.
    pub fn rule_to_json(&self) -> Value {
        let mut members = rule_to_json(&self.rule);
        if self.optional {
            members.insert("optional".to_owned(), Value::Bool(true));
        }
        Value::Object(members)
    }

    /// Reads the command-line form `NAME=TEXT` (`NAME?=TEXT` when optional): `{…}` is the JSON
    /// rule; `1..10`, `..10`, `1..` a range; `a|b` one of; `pre*` a prefix; `*suf` a suffix;
    /// anything else an exact integer, `true`, `false` or string.
    ///
    /// # Errors
    /// [`ConstraintError`] without `=`, or with a rule that can't be read.
    pub fn parse_cli(text: &str) -> Result<Self, ConstraintError> {
        let (name, rule) = text.split_once('=').ok_or_else(|| ConstraintError {
            name: text.to_owned(),
            what: "expected NAME=CONSTRAINT".to_owned(),
        })?;
        let (name, optional) = name
            .strip_suffix('?')
            .map_or((name, false), |name| (name, true));
        let fail = |what: String| ConstraintError {
            name: name.to_owned(),
            what,
        };
        let mut rule = if rule.starts_with('{') {
            crate::strict_json::parse(rule.as_bytes()).map_err(|error| fail(error.to_string()))?
        } else {
            Value::Object(rule_to_json(&rule_from_text(rule)))
        };
        if let (true, Value::Object(members)) = (optional, &mut rule) {
            members.insert("optional".to_owned(), Value::Bool(true));
        }
        Self::from_json(name, &rule)
    }
}

fn rule_from_text(text: &str) -> ArgumentRule {
    if let Some((min, max)) = text.split_once("..") {
        let bound = |text: &str| (!text.is_empty()).then(|| text.parse::<i64>()).transpose();
        if let (Ok(min), Ok(max)) = (bound(min), bound(max))
            && (min.is_some() || max.is_some())
        {
            return ArgumentRule::Range { min, max };
        }
    }
    if text.contains('|') {
        return ArgumentRule::OneOf(text.split('|').map(scalar_from_text).collect());
    }
    if let Some(suffix) = text.strip_prefix('*').filter(|rest| !rest.is_empty()) {
        return ArgumentRule::Suffix(suffix.to_owned());
    }
    if let Some(prefix) = text.strip_suffix('*').filter(|rest| !rest.is_empty()) {
        return ArgumentRule::Prefix(prefix.to_owned());
    }
    ArgumentRule::Exact(scalar_from_text(text))
}

fn scalar_from_text(text: &str) -> Scalar {
    match (text, text.parse::<i64>()) {
        ("true", _) => Scalar::Boolean(true),
        ("false", _) => Scalar::Boolean(false),
        (_, Ok(integer)) => Scalar::Integer(integer),
        _ => Scalar::String(text.to_owned()),
    }
}

fn rule_from_json(members: &Map<String, Value>) -> Result<ArgumentRule, String> {
    if let Some((min, max)) = range_members(members) {
        return Ok(ArgumentRule::Range {
            min: integer(min)?,
            max: integer(max)?,
        });
    }
    let mut only = members.iter();
    let (Some((key, value)), None) = (only.next(), only.next()) else {
        return Err("expected exactly one rule".to_owned());
    };
    match key.as_str() {
        "exact" => scalar(value).map(ArgumentRule::Exact),
        "one_of" => scalars(value).map(ArgumentRule::OneOf),
        "prefix" => text(value).map(ArgumentRule::Prefix),
        "suffix" => text(value).map(ArgumentRule::Suffix),
        "subset" => scalars(value).map(ArgumentRule::Subset),
        "any_of" => scalars(value).map(ArgumentRule::AnyOf),
        "all_of" => scalars(value).map(ArgumentRule::AllOf),
        "max_length" => integer(Some(value))?
            .filter(|most| *most >= 0)
            .map(ArgumentRule::MaxLength)
            .ok_or_else(|| "`max_length` is not negative".to_owned()),
        "present" => only_true(value).map(|()| ArgumentRule::Present),
        "absent" => only_true(value).map(|()| ArgumentRule::Absent),
        "under" => {
            let path = ResourcePath::parse(&text(value)?).map_err(|error| error.to_string())?;
            Ok(ArgumentRule::PathUnder(path.segments().to_vec()))
        }
        "url" => url_from_json(value).map(ArgumentRule::Url),
        other => Err(format!("unknown rule `{}`", crate::words::visible(other))),
    }
}

/// The two bounds, when the object has nothing but bounds.
fn range_members(members: &Map<String, Value>) -> Option<(Option<&Value>, Option<&Value>)> {
    let only_bounds = members.keys().all(|key| key == "min" || key == "max");
    (only_bounds && !members.is_empty()).then(|| (members.get("min"), members.get("max")))
}

fn url_from_json(value: &Value) -> Result<UrlRule, String> {
    let Value::Object(members) = value else {
        return Err("`url` is an object".to_owned());
    };
    let mut rule = UrlRule::default();
    for (key, value) in members {
        match key.as_str() {
            "scheme" => rule.scheme = Some(text(value)?),
            "host" => {
                let host = text(value)?;
                rule.host = Some(if host.starts_with('.') {
                    HostRule::Under(host)
                } else {
                    HostRule::Exact(host)
                });
            }
            "port" => rule.port = integer(Some(value))?,
            "path" => rule.path_prefix = Some(text(value)?),
            other => {
                return Err(format!(
                    "unknown URL part `{}`",
                    crate::words::visible(other)
                ));
            }
        }
    }
    Ok(rule)
}

fn rule_to_json(rule: &ArgumentRule) -> Map<String, Value> {
    let value = match rule {
        ArgumentRule::Exact(value) => json!({ "exact": value }),
        ArgumentRule::OneOf(values) => json!({ "one_of": values }),
        ArgumentRule::Range { min, max } => {
            let bounds = [("min", min), ("max", max)];
            bounds
                .into_iter()
                .filter_map(|(key, bound)| bound.map(|b| (key.to_owned(), Value::from(b))))
                .collect::<Map<_, _>>()
                .into()
        }
        ArgumentRule::Prefix(text) => json!({ "prefix": text }),
        ArgumentRule::Suffix(text) => json!({ "suffix": text }),
        ArgumentRule::Subset(values) => json!({ "subset": values }),
        ArgumentRule::AnyOf(values) => json!({ "any_of": values }),
        ArgumentRule::AllOf(values) => json!({ "all_of": values }),
        ArgumentRule::MaxLength(most) => json!({ "max_length": most }),
        ArgumentRule::Present => json!({ "present": true }),
        ArgumentRule::Absent => json!({ "absent": true }),
        ArgumentRule::PathUnder(path) => json!({ "under": path.join("/") }),
        ArgumentRule::Url(rule) => json!({ "url": url_to_json(rule) }),
    };
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn url_to_json(rule: &UrlRule) -> Map<String, Value> {
    let host = rule.host.as_ref().map(|host| match host {
        HostRule::Exact(text) | HostRule::Under(text) => Value::from(text.as_str()),
    });
    let parts = [
        ("scheme", rule.scheme.as_deref().map(Value::from)),
        ("host", host),
        ("port", rule.port.map(Value::from)),
        ("path", rule.path_prefix.as_deref().map(Value::from)),
    ];
    parts
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err("expected a string".to_owned()),
    }
}

fn integer(value: Option<&Value>) -> Result<Option<i64>, String> {
    value
        .map(|value| {
            value
                .as_i64()
                .ok_or_else(|| "expected an integer within i64".to_owned())
        })
        .transpose()
}

fn scalar(value: &Value) -> Result<Scalar, String> {
    match value {
        Value::String(text) => Ok(Scalar::String(text.clone())),
        Value::Bool(boolean) => Ok(Scalar::Boolean(*boolean)),
        Value::Number(number) => number
            .as_i64()
            .map(Scalar::Integer)
            .ok_or_else(|| "expected an integer within i64".to_owned()),
        _ => Err("expected a string, an integer or a boolean".to_owned()),
    }
}

fn scalars(value: &Value) -> Result<Vec<Scalar>, String> {
    let Value::Array(items) = value else {
        return Err("expected a list".to_owned());
    };
    if items.len() > MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} values"));
    }
    items.iter().map(scalar).collect()
}

fn only_true(value: &Value) -> Result<(), String> {
    (*value == Value::Bool(true))
        .then_some(())
        .ok_or_else(|| "expected true".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_back_from_its_json() {
        for rule in [
            json!({"exact": "a"}),
            json!({"exact": 5}),
            json!({"exact": true}),
            json!({"one_of": ["a", 1, false]}),
            json!({"min": -1, "max": 9}),
            json!({"min": 0}),
            json!({"max": 0}),
            json!({"prefix": "p", "optional": true}),
            json!({"suffix": "s"}),
            json!({"subset": ["a"]}),
            json!({"any_of": ["a"]}),
            json!({"all_of": ["a"]}),
            json!({"max_length": 0}),
            json!({"present": true}),
            json!({"absent": true}),
            json!({"under": "a/b"}),
            json!({"url": {"scheme": "https", "host": ".h", "port": 443, "path": "/p"}}),
        ] {
            let constraint = ArgumentConstraint::from_json("n", &rule).unwrap();
            assert_eq!(constraint.rule_to_json(), rule);
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for rule in [
            json!({}),
            json!([]),
            json!({"exact": 1.5}),
            json!({"exact": null}),
            json!({"exact": 1, "prefix": "a"}),
            json!({"min": 1, "exact": 1}),
            json!({"min": "1"}),
            json!({"max_length": -1}),
            json!({"present": false}),
            json!({"present": true, "optional": true}),
            json!({"under": "a/../b"}),
            json!({"url": {}}),
            json!({"url": {"user": "x"}}),
            json!({"regex": ".*"}),
            json!({"exact": 1, "optional": 1}),
            json!({"one_of": "a"}),
            json!({"exact": 9_223_372_036_854_775_808_u64}),
        ] {
            assert!(ArgumentConstraint::from_json("n", &rule).is_err(), "{rule}");
        }
        let values = |n: usize| json!({"one_of": vec![1; n]});
        assert!(ArgumentConstraint::from_json("n", &values(MAX_VALUES)).is_ok());
        assert!(ArgumentConstraint::from_json("n", &values(MAX_VALUES + 1)).is_err());
    }

    #[test]
    fn command_line_forms_are_read() {
        let read = |text: &str| ArgumentConstraint::parse_cli(text).unwrap().rule_to_json();
        assert_eq!(read("n=abc"), json!({"exact": "abc"}));
        assert_eq!(read("n=5"), json!({"exact": 5}));
        assert_eq!(read("n=true"), json!({"exact": true}));
        assert_eq!(read("n=1..10"), json!({"min": 1, "max": 10}));
        assert_eq!(read("n=..10"), json!({"max": 10}));
        assert_eq!(read("n=a|2"), json!({"one_of": ["a", 2]}));
        assert_eq!(read("n=pre*"), json!({"prefix": "pre"}));
        assert_eq!(read("n=*suf"), json!({"suffix": "suf"}));
        assert_eq!(read("n?=a"), json!({"exact": "a", "optional": true}));
        assert_eq!(read(r#"n={"subset":["a"]}"#), json!({"subset": ["a"]}));
        assert_eq!(read("n=a..b"), json!({"exact": "a..b"}));
        assert_eq!(read("n=a=b"), json!({"exact": "a=b"}));
        assert!(ArgumentConstraint::parse_cli("n").is_err());
        assert!(ArgumentConstraint::parse_cli(r#"n={"exact":1,"exact":2}"#).is_err());
    }
}
