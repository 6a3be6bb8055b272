//! JSON from strangers: read once, with nothing left to interpretation.
//!
//! `serde_json` keeps the last of two equal keys; another reader may keep the first. A value
//! that is authorized must be the value that is executed, so a doubled key is refused here.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// The text is not JSON, holds a key twice, is nested too deep or has trailing text.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct StrictJsonError(#[from] serde_json::Error);

impl StrictJsonError {
    /// True when the text was JSON but with a key twice in one object.
    pub fn is_duplicate_key(&self) -> bool {
        self.0.to_string().starts_with(DUPLICATE_KEY)
    }
}

const DUPLICATE_KEY: &str = "duplicate key";

/// Reads one JSON value and nothing after it.
///
/// # Errors
/// [`StrictJsonError`] for invalid JSON, a key twice in one object (the key is named),
/// more than [`MAX_DEPTH`] levels, or text after the value.
pub fn parse(text: &[u8]) -> Result<Value, StrictJsonError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(E::custom(format_args!(
                "nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if members.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{DUPLICATE_KEY} `{key}`")));
            }
            let value = access.next_value_seed(inner)?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_serde_json_reads_them() {
        let text = br#"{"a":[1,-2,2.5,true,null,"x"],"b":{"c":18446744073709551615}}"#;
        assert_eq!(
            parse(text).unwrap(),
            json!({"a":[1,-2,2.5,true,null,"x"],"b":{"c":18446744073709551615_u64}})
        );
    }

    #[test]
    fn a_key_twice_is_refused_at_every_level() {
        assert!(parse(br#"{"a":1,"b":2}"#).is_ok());
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"[{"x":{"a":1,"a":2}}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert!(error.is_duplicate_key(), "{bad}: {error}");
            assert!(error.to_string().contains("`a`"), "{error}");
        }
    }

    #[test]
    fn nesting_of_64_levels_is_read_and_of_65_refused() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(64).as_bytes()).is_ok());
        let error = parse(nested(65).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("deeper than 64"), "{error}");
        assert!(!error.is_duplicate_key());
    }

    #[test]
    fn text_after_the_value_is_refused() {
        assert!(parse(b"1 ").is_ok());
        assert!(parse(b"1 2").is_err());
        assert!(parse(b"").is_err());
        assert!(parse(b"{\"a\":\xff}").is_err());
    }
}
