//! Regular expressions of a policy: written out, valid, of bounded size, and anchored at both
//! ends. The engine reads an invalid one as "does not match", which a `!` turns into "allowed";
//! and one without anchors matches inside any text an attacker chooses.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Look;

use super::{
    constant::Constant,
    problem::Problem,
    syntax::{Expr, Term},
};
use crate::words::visible;

/// Most memory that one compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 256 * 1024;

/// Compiles the pattern of a `.matches(…)`.
///
/// # Errors
/// `dynamic_regex`, `invalid_regex` or `unanchored_regex`.
pub(super) fn compile(pattern: &Expr) -> Result<Regex, Problem> {
    let span = pattern.span.clone();
    let Some(Constant::Text(text)) = pattern.term().and_then(Term::constant) else {
        let message = "a regular expression must be written out in the policy";
        return Err(Problem::new("dynamic_regex", span, message));
    };
    let invalid = |reason: String| {
        let message = format!("not a regular expression: {}", visible(&reason));
        Problem::new("invalid_regex", span.clone(), message)
    };
    let parsed = regex_syntax::parse(text).map_err(|error| invalid(reason(&error)))?;
    let looks = parsed.properties();
    if !looks.look_set_prefix().contains(Look::Start)
        || !looks.look_set_suffix().contains(Look::End)
    {
        let message = "the regular expression also matches inside other text";
        return Err(Problem::new("unanchored_regex", span, message).with_help(anchored(text)));
    }
    RegexBuilder::new(text)
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|error| invalid(error.to_string()))
}

/// True when a `.` of a valid pattern leaves out line breaks, and nobody said that it should.
pub(super) fn stops_at_line_breaks(text: &str) -> bool {
    let with_all = regex_syntax::ParserBuilder::new()
        .dot_matches_new_line(true)
        .build()
        .parse(text);
    match (regex_syntax::parse(text), with_all) {
        (Ok(plain), Ok(with_all)) => plain != with_all,
        _ => false,
    }
}

/// The kind of error alone: the library's message shows the pattern over several lines.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "it can't be read".to_owned(),
    }
}

fn anchored(text: &str) -> String {
    let inner = text.strip_prefix('^').unwrap_or(text);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let inner = visible(&inner.replace('\\', "\\\\").replace('"', "\\\""));
    let whole = match inner.contains('|') {
        true => format!("write \"^(?:{inner})$\""),
        false => format!("write \"^{inner}$\""),
    };
    // Whoever wrote no anchor at all may want what stands anywhere.
    match text.starts_with('^') || text.ends_with('$') || text.starts_with("(?") {
        true => whole,
        false => format!("{whole}, or \"(?s)^.*(?:{inner}).*$\" to find it anywhere"),
    }
}
