//! Lists and spans of time as people type them into forms about ceilings and applications.

use std::time::Duration;

use bailiwick_datalog::{Access, ResourcePath};

use super::{
    failure::{Failure, Fault},
    fields::Fields,
};
use crate::{
    duration_text,
    people::Ceiling,
    rules::{Rule, RuleError},
    text::visible_line,
    tool_pattern::{MAX_PATTERNS, PatternError, ToolPattern},
};

/// Most resources in one list.
const MAX_RESOURCES: usize = 256;

/// Stands in a form for a list that allows nothing: what is left empty is not limited.
pub(crate) const NOTHING: &str = "(none)";
/// The box of an access list that allows nothing.
pub(crate) const NO_ACCESS: &str = "none";

/// The fields `tools`, `access`, `resources` and `longest`. What is left empty is not limited.
///
/// # Errors
/// [`Failure`] naming what cannot be read.
pub(crate) fn read_ceiling(fields: &mut Fields) -> Result<Ceiling, Failure> {
    let levels = listed(fields.all("access"), NO_ACCESS, |text| {
        let level = text.parse::<Access>();
        level.map_err(|_| invalid("An access level is read, write or destructive."))
    })?;
    let resources = listed(lines(&fields.required("resources")?), NOTHING, path)?;
    let longest = fields.required("longest")?;
    let longest = match longest.trim() {
        "" => None,
        text => Some(span(text)?.as_secs()),
    };
    let resources = within(resources, MAX_RESOURCES)?;
    Ok(Ceiling {
        tools: read_tools(&fields.required("tools")?)?,
        access: levels,
        resources,
        longest_session: longest,
    })
}

/// One pattern a line; `None` when there is none.
///
/// # Errors
/// [`Failure`] naming the line.
pub(crate) fn read_tools(text: &str) -> Result<Option<Vec<ToolPattern>>, Failure> {
    let patterns = listed(lines(text), NOTHING, |line| {
        line.parse()
            .map_err(|error: PatternError| invalid(error.to_string()))
    })?;
    within(patterns, MAX_PATTERNS)
}

/// What a list says: `None` for an empty one, and an empty one for the word that stands for
/// nothing, alone. A form that is sent as it was shown changes nothing.
fn listed<T>(
    texts: Vec<String>,
    nothing: &str,
    read: impl Fn(&str) -> Result<T, Failure>,
) -> Result<Option<Vec<T>>, Failure> {
    match texts.as_slice() {
        [] => Ok(None),
        [only] if only == nothing => Ok(Some(Vec::new())),
        texts => texts
            .iter()
            .map(|text| read(text))
            .collect::<Result<_, _>>()
            .map(Some),
    }
}

/// One rule a line.
///
/// # Errors
/// [`Failure`] naming the line.
pub(crate) fn read_rules(text: &str) -> Result<Vec<Rule>, Failure> {
    let rules: Result<Vec<Rule>, RuleError> = lines(text).iter().map(|t| t.parse()).collect();
    let why = |error: RuleError| super::failure::sentence(&error.to_string());
    rules.map_err(|error| Failure::new(Fault::InvalidRule, why(error)))
}

/// A span of time such as `90s`, `10m` or `1h 30m`, of at least a second.
///
/// # Errors
/// [`Failure`] for anything else.
pub(crate) fn span(text: &str) -> Result<Duration, Failure> {
    let unreadable = || {
        let why = "Write a time such as 90s, 15m or 1h 30m.";
        Failure::new(Fault::InvalidDuration, why)
    };
    let span = duration_text::parse(text).map_err(|_| unreadable())?;
    if span.is_zero() {
        Err(unreadable())
    } else {
        Ok(span)
    }
}

/// The lines that are not empty.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn path(text: &str) -> Result<ResourcePath, Failure> {
    ResourcePath::parse(text).map_err(|error| {
        let why = format!(
            "`{}`: {}",
            visible_line(text),
            visible_line(&error.to_string())
        );
        invalid(why)
    })
}

fn within<T>(list: Option<Vec<T>>, most: usize) -> Result<Option<Vec<T>>, Failure> {
    if list.as_ref().is_some_and(|list| list.len() > most) {
        return Err(invalid(format!("The list has more than {most} lines.")));
    }
    Ok(list)
}

fn invalid(why: impl Into<String>) -> Failure {
    Failure::new(Fault::InvalidCeiling, super::failure::sentence(&why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_do_not_count_and_nothing_is_no_limit() {
        assert_eq!(read_tools(" \r\n\n").unwrap(), None);
        let read = read_tools("files.*\r\n  mail.send \n").unwrap().unwrap();
        let texts: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["files.*", "mail.send"]);
    }

    #[test]
    fn list_of_as_many_lines_as_are_taken_is_read_and_one_more_is_not() {
        let list = |count: usize| vec!["a"; count].join("\n");
        assert!(read_tools(&list(MAX_PATTERNS)).is_ok());
        assert_eq!(
            read_tools(&list(MAX_PATTERNS + 1)).unwrap_err().fault,
            Fault::InvalidCeiling
        );
    }

    #[test]
    fn span_has_a_unit_and_is_not_nothing() {
        assert_eq!(span("1s").unwrap(), Duration::from_secs(1));
        for bad in ["", "0s", "15", "soon"] {
            assert_eq!(
                span(bad).unwrap_err().fault,
                Fault::InvalidDuration,
                "{bad}"
            );
        }
    }
}
