//! Reading the JSON arguments of a tool call: every argument is asked for by name, and whatever
//! was not asked for is refused.

use std::collections::BTreeSet;

use bailiwick_datalog::{ResourceError, words::visible};
use serde_json::{Map, Value};
use thiserror::Error;

/// Why the arguments of a call don't fit its tool.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ArgumentError {
    /// An argument that the tool needs is not there.
    #[error("argument `{name}` is missing")]
    Missing {
        /// The argument.
        name: &'static str,
    },
    /// An argument that must be text is something else.
    #[error("argument `{name}` must be a string")]
    NotText {
        /// The argument.
        name: &'static str,
    },
    /// An argument that must not be empty is.
    #[error("argument `{name}` must not be empty")]
    Empty {
        /// The argument.
        name: &'static str,
    },
    /// An argument has too many characters.
    #[error("argument `{name}` has {length} characters, more than {limit}")]
    TooLong {
        /// The argument.
        name: &'static str,
        /// Its length.
        length: usize,
        /// The most allowed.
        limit: usize,
    },
    /// An argument that the tool does not have.
    #[error("the tool has no argument `{}`", visible(name))]
    Unknown {
        /// The argument, as the caller wrote it.
        name: String,
    },
    /// A path that could be read in two ways; it names no resource and is granted to nobody.
    #[error("argument `{name}` is not a plain path: {reason}")]
    Path {
        /// The argument.
        name: &'static str,
        /// What is wrong with it.
        reason: ResourceError,
    },
}

/// Takes arguments out of a JSON object and notices what was left.
pub(crate) struct ArgumentReader<'a> {
    arguments: &'a Map<String, Value>,
    read: BTreeSet<&'static str>,
}

impl<'a> ArgumentReader<'a> {
    /// Starts with nothing read.
    pub(crate) fn new(arguments: &'a Map<String, Value>) -> Self {
        Self {
            arguments,
            read: BTreeSet::new(),
        }
    }

    /// A string argument that may be absent. An explicit null is not absent.
    ///
    /// # Errors
    /// [`ArgumentError::NotText`].
    pub(crate) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<&'a str>, ArgumentError> {
        self.read.insert(name);
        match self.arguments.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ArgumentError::NotText { name }),
        }
    }

    /// A string argument that must be there.
    ///
    /// # Errors
    /// [`ArgumentError::Missing`], [`ArgumentError::NotText`].
    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<&'a str, ArgumentError> {
        self.optional_text(name)?
            .ok_or(ArgumentError::Missing { name })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ArgumentError::Unknown`] for the first argument that was never asked for.
    pub(crate) fn finish(self) -> Result<(), ArgumentError> {
        match self
            .arguments
            .keys()
            .find(|name| !self.read.contains(name.as_str()))
        {
            Some(name) => Err(ArgumentError::Unknown { name: name.clone() }),
            None => Ok(()),
        }
    }
}
