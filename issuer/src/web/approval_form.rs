//! The form on which a request is decided, as it comes back from a browser.
//!
//! Nothing in it is trusted: what may be granted is [`crate::narrowing`]'s to say.

use std::collections::BTreeSet;

use super::{
    failure::{Failure, Fault},
    fields::{FieldError, Fields},
};
use crate::{
    access_request::RequestDigest,
    narrowing::{Choice, ResourceKey},
    text::visible_line,
};

/// The form, read.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) shown: RequestDigest,
    pub(crate) behalf: Option<String>,
    /// The answer of a passkey, as sent.
    pub(crate) touch: Option<String>,
    pub(crate) verdict: Verdict,
    pub(crate) draft: Draft,
}

/// Which button was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Deny,
    /// Nothing is decided yet: what would the choice come to?
    Check,
}

/// What somebody filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) choice: Choice,
    pub(crate) instructions: String,
    pub(crate) reason: String,
}

impl Decision {
    /// Reads every field of the form.
    ///
    /// # Errors
    /// [`Failure`] for a form that is not one of ours.
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let digest = fields.required("request_digest")?;
        let shown = RequestDigest::parse(&digest)
            .ok_or_else(|| malformed("`request_digest` is not a digest."))?;
        let verdict = match fields.required("decision")?.as_str() {
            "approve" => Verdict::Approve,
            "deny" => Verdict::Deny,
            "check" => Verdict::Check,
            _ => {
                let why = "`decision` is none of `approve`, `deny` and `check`.";
                return Err(malformed(why));
            }
        };
        let draft = Draft {
            choice: read_choice(&mut fields)?,
            instructions: fields.optional("instructions")?.unwrap_or_default(),
            reason: fields.optional("reason")?.unwrap_or_default(),
        };
        let behalf = fields.required("on_behalf_of")?;
        let behalf = (!behalf.is_empty()).then_some(behalf);
        let touch = fields.optional("passkey")?;
        fields.finish()?;
        Ok(Self {
            shown,
            behalf,
            touch,
            verdict,
            draft,
        })
    }
}

fn read_choice(fields: &mut Fields) -> Result<Choice, Failure> {
    let key = |text: &str| {
        ResourceKey::parse(text)
            .ok_or_else(|| malformed("A resource or call of the form has no number."))
    };
    let keys = |texts: Vec<String>| -> Result<BTreeSet<ResourceKey>, Failure> {
        texts.iter().map(|text| key(text)).collect()
    };
    let mut choice = Choice {
        tools: fields.all("tool").into_iter().collect(),
        resources: keys(fields.all("resource"))?,
        calls: keys(fields.all("call"))?,
        closed: fields.all("closed").into_iter().collect(),
        ..Choice::default()
    };
    for (text, path) in fields.prefixed("path.") {
        if choice.paths.insert(key(&text)?, path).is_some() {
            return Err(FieldError::Repeated(visible_line(&text)).into());
        }
    }
    for (tool, limits) in fields.prefixed("limits.") {
        let repeated = visible_line(&tool);
        if choice.limits.insert(tool, limits).is_some() {
            return Err(FieldError::Repeated(repeated).into());
        }
    }
    choice.duration = fields.optional("duration")?.unwrap_or_default();
    Ok(choice)
}

fn malformed(why: &str) -> Failure {
    Failure::new(Fault::MalformedForm, why)
}
