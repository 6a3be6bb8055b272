//! Facts in rule bodies: known by name, with the right number of values, each of a type and of a
//! form that the fact can have.

use super::{
    clock,
    constant::Constant,
    definitions::{Definitions, bodies, wrong_arity},
    problem::{MAX_PROBLEMS, Problem, did_you_mean},
    syntax::{Predicate, Span, Statement, Term},
    types::{Kind, words},
    vocabulary::{Domain, Known},
};
use crate::{
    name::{Access, Thumbprint, ToolName},
    resource::ResourcePath,
    timestamp::Timestamp,
    words::visible,
};

/// Bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

pub(super) fn check(
    statements: &[Statement],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let predicates = statements
        .iter()
        .flat_map(bodies)
        .flat_map(|query| &query.predicates);
    for predicate in predicates {
        if problems.len() >= MAX_PROBLEMS {
            return;
        }
        match Known::of(&predicate.name) {
            Some(known) => check_known(known, predicate, problems),
            None => match definitions.arity(&predicate.name) {
                Some(arity) if arity == predicate.terms.len() => {}
                Some(arity) => problems.push(wrong_arity(predicate, arity)),
                None => problems.push(unknown(predicate, definitions)),
            },
        }
    }
}

fn unknown(predicate: &Predicate, definitions: &Definitions) -> Problem {
    let known: Vec<&str> = Known::ALL.into_iter().map(Known::name).collect();
    let help = did_you_mean(&predicate.name, definitions.names().chain(known));
    let message = format!("there is no fact `{}`", visible(&predicate.name));
    Problem::new("unknown_fact", predicate.name_span.clone(), message).with_help_if(help)
}

fn check_known(known: Known, predicate: &Predicate, problems: &mut Vec<Problem>) {
    let columns = known.columns();
    if columns.len() != predicate.terms.len() {
        problems.push(wrong_arity(predicate, columns.len()));
        return;
    }
    for (domain, term) in columns.iter().zip(&predicate.terms) {
        if let Some(constant) = term.constant() {
            problems.extend(domain.check(constant, term).err());
        }
    }
}

impl Domain {
    /// What a value of this kind is, in words.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::UpTo(_) => "an integer",
            Self::Text => "a text",
            Self::ToolName => "the name of a tool",
            Self::Access => "an access",
            Self::Weekday => "a day of the week",
            Self::Date => "a date",
            Self::Digest => "bytes",
            Self::Thumbprint => "the thumbprint of a key",
            Self::Path => "a list of segments",
            Self::Arguments | Self::Url => "a map",
            Self::Scheme => "the scheme of a URL",
            Self::Host => "the host of a URL",
            Self::Segment => "a segment",
        }
    }

    /// Checks that a fact can have a value.
    ///
    /// # Errors
    /// `wrong_type`, `impossible_value`.
    pub(super) fn check(self, constant: &Constant, term: &Term) -> Result<(), Problem> {
        match (self, constant) {
            (Self::UpTo(most), Constant::Integer(integer)) => match (0..=most).contains(integer) {
                true => Ok(()),
                false => Err(impossible(&term.span, format!("it is from 0 to {most}"))),
            },
            (Self::Text, Constant::Text(_))
            | (Self::Date, Constant::Date(_))
            | (Self::Arguments | Self::Url, Constant::Map(_)) => Ok(()),
            (Self::Digest, Constant::Bytes(bytes)) => match bytes.len() {
                DIGEST_BYTES => Ok(()),
                length => {
                    let message = format!("it has {DIGEST_BYTES} bytes, not {length}");
                    Err(impossible(&term.span, message))
                }
            },
            (Self::Thumbprint, Constant::Text(text)) => Thumbprint::parse(text.as_str())
                .map(|_| ())
                .map_err(|error| impossible(&term.span, visible(&error.to_string()))),
            (Self::ToolName, Constant::Text(name)) => tool(name, &term.span),
            (Self::Access, Constant::Text(word)) => {
                let words = Access::ALL.map(Access::as_str);
                one_of(word, &words, &term.span)
            }
            (Self::Weekday, Constant::Text(word)) => one_of(word, &clock::WEEKDAYS, &term.span),
            (Self::Path, Constant::Array(segments)) => path(segments, term),
            (Self::Segment, Constant::Text(_)) => {
                path(std::slice::from_ref(constant), &without_items(term))
            }
            (Self::Segment, Constant::Null) => Ok(()),
            (Self::Host, Constant::Text(text)) => {
                let edge = |c: char| c == '.';
                match text.is_empty() || text.starts_with(edge) || text.ends_with(edge) {
                    true => Err(impossible(&term.span, "no host begins or ends like this")),
                    false => host(text, &term.span),
                }
            }
            (Self::Scheme, Constant::Text(text)) => scheme(text, &term.span),
            _ => Err(self.wrong_type(constant, term)),
        }
    }

    /// Checks that a value of this kind can begin with, end with or contain something.
    ///
    /// # Errors
    /// `wrong_type`, `impossible_value`.
    pub(super) fn check_part(self, constant: &Constant, term: &Term) -> Result<(), Problem> {
        match (self, constant) {
            (Self::Path, Constant::Array(segments)) if !segments.is_empty() => path(segments, term),
            (Self::Path, Constant::Array(_)) => Ok(()),
            (Self::Path, _) => Self::Segment.check(constant, term),
            (Self::ToolName, Constant::Text(text)) if !text.is_empty() => tool(text, &term.span),
            (Self::Host, Constant::Text(text)) => host(text, &term.span),
            (Self::Scheme, Constant::Text(text)) if !text.is_empty() => scheme(text, &term.span),
            _ => Ok(()),
        }
    }

    fn wrong_type(self, constant: &Constant, term: &Term) -> Problem {
        let message = format!(
            "this is {}, not {}",
            words(Kind::of(constant)),
            self.in_words()
        );
        let help = match (self, constant) {
            (Self::Path, Constant::Text(text)) => Some(format!("write {}", as_segments(text))),
            (Self::Date, Constant::Text(text)) if Timestamp::parse_rfc3339(text).is_ok() => {
                Some("write the date without quotes".to_owned())
            }
            (Self::UpTo(_), Constant::Text(text)) if text.parse::<i64>().is_ok() => {
                Some("write the number without quotes".to_owned())
            }
            _ => None,
        };
        Problem::new("wrong_type", term.span.clone(), message).with_help_if(help)
    }
}

fn impossible(span: &Span, message: impl Into<String>) -> Problem {
    Problem::new("impossible_value", span.clone(), message)
}

fn tool(name: &str, span: &Span) -> Result<(), Problem> {
    let Err(error) = ToolName::parse(name) else {
        return Ok(());
    };
    let lower = name.to_ascii_lowercase();
    let help = ToolName::parse(lower.as_str()).is_ok();
    let help = help.then(|| format!("did you mean `{lower}`?"));
    Err(impossible(span, visible(&error.to_string())).with_help_if(help))
}

fn one_of(word: &str, words: &[&str], span: &Span) -> Result<(), Problem> {
    if words.contains(&word) {
        return Ok(());
    }
    let lower = word.to_ascii_lowercase();
    let help = match words.contains(&&*lower) {
        true => Some(format!("did you mean `{lower}`?")),
        false => did_you_mean(&lower, words.iter().copied()),
    };
    let message = format!("`{}` is none of `{}`", visible(word), words.join("`, `"));
    Err(impossible(span, message).with_help_if(help))
}

fn without_items(term: &Term) -> Term {
    Term {
        items: Vec::new(),
        ..term.clone()
    }
}

/// Hosts are in lower case and in the ASCII form of international names.
fn host(text: &str, span: &Span) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    lower_case(text, span, plain, "a host is `[a-z0-9._-]`")
}

fn scheme(text: &str, span: &Span) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c);
    lower_case(text, span, plain, "a scheme is `[a-z0-9+.-]`, without `:`")
}

fn lower_case(
    text: &str,
    span: &Span,
    plain: impl Fn(char) -> bool,
    message: &str,
) -> Result<(), Problem> {
    if text.chars().all(&plain) {
        return Ok(());
    }
    let lower = text.to_ascii_lowercase();
    let help = lower.chars().all(&plain);
    let help = help.then(|| format!("did you mean `{lower}`?"));
    Err(impossible(span, message).with_help_if(help))
}

fn path(segments: &[Constant], term: &Term) -> Result<(), Problem> {
    let place = |index: usize| term.items.get(index).unwrap_or(&term.span).clone();
    let mut texts = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let Constant::Text(text) = segment else {
            let message = format!("a segment is a text, not {}", words(Kind::of(segment)));
            return Err(Problem::new("wrong_type", place(index), message));
        };
        if let Err(error) = ResourcePath::from_segments([text.as_str()]) {
            let help = match text.contains('/') {
                true => Some(format!("write {}", as_segments(text))),
                false => None,
            };
            return Err(impossible(&place(index), visible(&error.to_string())).with_help_if(help));
        }
        texts.push(text.as_str());
    }
    ResourcePath::from_segments(texts)
        .map(|_| ())
        .map_err(|error| impossible(&term.span, visible(&error.to_string())))
}

/// A resource text as the list of segments that it stands for.
pub(super) fn as_segments(text: &str) -> String {
    let segments: Vec<String> = text
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| format!("\"{}\"", visible(segment)))
        .collect();
    format!("[{}]", segments.join(","))
}
