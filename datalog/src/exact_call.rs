//! One exact call: the name it goes by, and how often a token allows it.
//!
//! A call that was approved with its very arguments is known by the SHA-256 of its canonical JSON
//! (profile, rule 24), and by nothing else: a changed argument is another call. Counting how often
//! one was made is left to the host that makes it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    call::{Call, canonical_call_digest},
    name::ToolName,
};

/// SHA-256 of the canonical JSON of one call: its tool and its arguments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallDigest([u8; 32]);

/// A text that is not a [`CallDigest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the digest of a call is written as 64 lower-case hex digits")]
pub struct CallDigestError;

/// How often a token allows one exact call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactUse {
    /// The call.
    pub call: CallDigest,
    /// How many times it may be made in the whole session; at least once.
    pub times: u32,
}

impl CallDigest {
    /// The digest of a call with these arguments. `None` where they have no canonical form: such a
    /// call cannot be told from another, so it is none that was approved.
    #[must_use]
    pub fn new(tool: &ToolName, arguments: &Map<String, Value>) -> Option<Self> {
        canonical_call_digest(tool, arguments).map(Self)
    }

    /// The digest of a call, if it has one.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        Self::new(&call.tool, call.arguments.json())
    }

    /// The digest made of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ExactUse {
    /// How often a list of exact calls names this one; `None` where it does not.
    pub(crate) fn within(listed: &[CallDigest], call: CallDigest) -> Option<Self> {
        let times = listed.iter().filter(|digest| **digest == call).count();
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        (times > 0).then_some(Self { call, times })
    }
}

impl fmt::Display for CallDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CallDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallDigest({self})")
    }
}

impl FromStr for CallDigest {
    type Err = CallDigestError;

    fn from_str(text: &str) -> Result<Self, CallDigestError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CallDigestError)?;
        // One spelling only.
        if hex::encode(bytes) == text {
            Ok(Self(bytes))
        } else {
            Err(CallDigestError)
        }
    }
}

impl Serialize for CallDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(tool: &str, arguments: &Value) -> CallDigest {
        CallDigest::new(&tool.parse().unwrap(), arguments.as_object().unwrap()).unwrap()
    }

    #[test]
    fn calls_that_differ_in_one_thing_have_different_digests() {
        let call = digest("files.write_file", &json!({"path": "a", "n": 1}));
        assert_eq!(
            call,
            digest("files.write_file", &json!({"n": 1, "path": "a"}))
        );
        for (tool, arguments) in [
            ("files.write_files", json!({"path": "a", "n": 1})),
            ("files.write_file", json!({"path": "b", "n": 1})),
            ("files.write_file", json!({"path": "a", "n": "1"})),
            ("files.write_file", json!({"path": "a"})),
            ("files.write_file", json!({"path": "a", "n": 1, "m": null})),
        ] {
            assert_ne!(call, digest(tool, &arguments), "{tool} {arguments}");
        }
    }

    #[test]
    fn a_digest_is_written_in_one_way() {
        let call = digest("t", &json!({}));
        let text = call.to_string();
        assert_eq!(text.parse(), Ok(call));
        assert_eq!(format!("{call:?}"), format!("CallDigest({text})"));
        for bad in [
            "",
            text.strip_prefix(char::is_alphanumeric).unwrap(),
            &text.to_uppercase(),
            &format!("{text}00"),
            &text.replacen(char::is_alphanumeric, "g", 1),
        ] {
            assert_eq!(bad.parse::<CallDigest>(), Err(CallDigestError), "{bad}");
        }
    }

    #[test]
    fn a_call_may_be_made_as_often_as_it_is_listed() {
        let [one, two, other] = [1, 2, 3].map(|n| CallDigest::from_bytes([n; 32]));
        let listed = [one, two, one];
        let times = |call| ExactUse::within(&listed, call).map(|exact| exact.times);
        assert_eq!(
            (times(one), times(two), times(other)),
            (Some(2), Some(1), None)
        );
    }
}
