//! Names that appear in tokens and requests, each a type of its own.
//!
//! A name becomes a typed value once, at the edge, through `parse`; serde goes through
//! the same door. Nothing here normalises: two names are equal when their bytes are
//! (law 5 of the profile). Resources have their own module, [`crate::resource`].

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use unicode_general_category::{GeneralCategory, get_general_category};

/// Longest identifier, in bytes. Generous for UUIDs, e-mail addresses and SPIFFE ids.
pub const MAX_ID_BYTES: usize = 256;
/// Longest tool name, in bytes (profile, law 5).
pub const MAX_TOOL_NAME_BYTES: usize = 64;

/// Why a text is not a name of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name was expected.
        what: &'static str,
    },
    /// The text is longer than its bound.
    #[error("{what} has {length} bytes, more than {limit}")]
    TooLong {
        /// Which kind of name was expected.
        what: &'static str,
        /// Length of the text in bytes.
        length: usize,
        /// Greatest length allowed.
        limit: usize,
    },
    /// The text is shorter than names of its kind are.
    #[error("{what} has only {length} bytes")]
    TooShort {
        /// Which kind of name was expected.
        what: &'static str,
        /// Length of the text in bytes.
        length: usize,
    },
    /// The text holds a character that the name may not have.
    #[error("{what} holds the character {character:?}, which is not allowed there")]
    Character {
        /// Which kind of name was expected.
        what: &'static str,
        /// The first offending character.
        character: char,
    },
    /// The text is not one of the few words allowed.
    #[error("access is `read`, `write` or `destructive`, not `{0}`")]
    Access(String),
}

/// True for control (Cc) and format (Cf) characters: invisible, reordering or line-breaking
/// text that has no place in a name.
pub fn is_control_or_format(character: char) -> bool {
    matches!(
        get_general_category(character),
        GeneralCategory::Control | GeneralCategory::Format
    )
}

/// The name of a tool: 1–64 bytes of `[a-z0-9_.-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolName(String);

impl ToolName {
    /// Reads a tool name.
    ///
    /// # Errors
    /// [`NameError`] when the text is empty, too long or holds another character.
    pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        bounded("tool name", &text, MAX_TOOL_NAME_BYTES)?;
        match text
            .chars()
            .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-'))
        {
            Some(character) => Err(NameError::Character {
                what: "tool name",
                character,
            }),
            None => Ok(Self(text)),
        }
    }

    /// The name as it stands in tokens and requests.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a tool does to a resource. Not ordered: `write` does not imply `read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Looks, changes nothing.
    Read,
    /// Creates or changes.
    Write,
    /// Removes or overwrites beyond recall.
    Destructive,
}

impl Access {
    /// Every access level.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];

    /// The word in tokens and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

impl FromStr for Access {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|access| access.as_str() == text)
            .ok_or_else(|| NameError::Access(text.to_owned()))
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1–256 bytes without control or format characters, byte-exact.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads the text.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, too long or holds a control or format character.
            pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                plain($what, &text, MAX_ID_BYTES)?;
                Ok(Self(text))
            }
        }

        text_access!($name);

        impl $name {
            /// Takes a text out of a token whose signature vouches for it, whatever it holds.
            /// Show it to people through [`crate::words::visible`] only.
            #[allow(dead_code, reason = "not every kind of name is read from tokens")]
            pub(crate) fn from_token(text: String) -> Self {
                Self(text)
            }

            /// The text as it stands in tokens and requests.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! text_access {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

text_access!(ToolName);

text_id!(
    /// Canonical URI of the one MCP server a token is good for (RFC 8707), compared byte for
    /// byte. That it *is* the URI of a server is for the hosts' configuration to check.
    Audience, "audience");
text_id!(
    /// One approved session: the life of one token and all its descendants.
    SessionId, "session id");
text_id!(
    /// The approval that created a session.
    ApprovalId, "approval id");
text_id!(
    /// The application boundary a session belongs to.
    ApplicationId, "application id");
text_id!(
    /// The human on whose behalf a session runs.
    Principal, "principal");
text_id!(
    /// The agent a session was approved for.
    AgentName, "agent name");
text_id!(
    /// A sub-agent named in a later block.
    DelegateName, "delegate name");

/// RFC 7638 SHA-256 thumbprint of a holder's public key: 43 characters of unpadded base64url.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint(String);

impl Thumbprint {
    /// Reads a thumbprint.
    ///
    /// # Errors
    /// [`NameError`] when the text does not have 43 base64url characters.
    pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
        const LENGTH: usize = 43;
        let text = text.into();
        bounded("holder thumbprint", &text, LENGTH)?;
        if text.len() < LENGTH {
            return Err(NameError::TooShort {
                what: "holder thumbprint",
                length: text.len(),
            });
        }
        match text
            .chars()
            .find(|c| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_'))
        {
            Some(character) => Err(NameError::Character {
                what: "holder thumbprint",
                character,
            }),
            None => Ok(Self(text)),
        }
    }

    /// The thumbprint of an Ed25519 public key as a JWK (RFC 8037, RFC 7638 section 3).
    #[must_use]
    pub fn of_ed25519(public_key: &[u8; 32]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public_key);
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(members)))
    }

    /// The thumbprint's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_access!(Thumbprint);

fn bounded(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong {
            what,
            length: text.len(),
            limit,
        });
    }
    Ok(())
}

fn plain(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    bounded(what, text, limit)?;
    match text.chars().find(|c| is_control_or_format(*c)) {
        Some(character) => Err(NameError::Character { what, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_name_of_64_bytes_is_read_and_of_65_refused() {
        assert!(ToolName::parse("a".repeat(64)).is_ok());
        assert_eq!(
            ToolName::parse("a".repeat(65)),
            Err(NameError::TooLong {
                what: "tool name",
                length: 65,
                limit: 64
            })
        );
    }

    #[test]
    fn tool_name_refuses_every_other_character() {
        assert!(ToolName::parse("files.read_file-2").is_ok());
        for bad in [
            "Files.read",
            "files read",
            "files/read",
            "f\u{0456}les",
            "a\u{200b}",
        ] {
            assert!(
                matches!(ToolName::parse(bad), Err(NameError::Character { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn ids_refuse_control_and_format_characters() {
        assert!(AgentName::parse("agent ü 7").is_ok());
        for bad in ["a\n", "a\u{202e}b", "a\u{200d}b", "a\0"] {
            assert!(
                matches!(AgentName::parse(bad), Err(NameError::Character { .. })),
                "{bad:?}"
            );
        }
        assert!(AgentName::parse("x".repeat(256)).is_ok());
        assert!(AgentName::parse("x".repeat(257)).is_err());
    }

    #[test]
    fn audience_is_kept_byte_for_byte() {
        assert_eq!(
            Audience::parse("HTTP://Example.com:80/mcp").map(String::from),
            Ok("HTTP://Example.com:80/mcp".to_owned())
        );
        assert!(Audience::parse("http://a/\u{200b}").is_err());
    }

    #[test]
    fn serde_goes_through_the_same_door() {
        assert!(serde_json::from_str::<ToolName>("\"files.read\"").is_ok());
        assert!(serde_json::from_str::<ToolName>("\"Files\"").is_err());
        assert!(serde_json::from_str::<Access>("\"destructive\"").is_ok());
        assert!(serde_json::from_str::<Access>("\"Read\"").is_err());
    }

    #[test]
    fn thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        let x = URL_SAFE_NO_PAD
            .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .unwrap();
        let thumbprint = Thumbprint::of_ed25519(&x.try_into().unwrap());
        assert_eq!(
            thumbprint.as_str(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn thumbprint_has_exactly_43_characters() {
        assert!(Thumbprint::parse("A".repeat(43)).is_ok());
        assert!(Thumbprint::parse("A".repeat(42)).is_err());
        assert!(Thumbprint::parse("A".repeat(44)).is_err());
        assert!(Thumbprint::parse(format!("{}=", "A".repeat(42))).is_err());
    }
}
