//! Where words go: results on stdout, everything else on stderr.
//!
//! With `--json`, stdout carries one JSON object per line and nothing else, a
//! failure included; people get the same facts as text. Nothing in this module
//! decides what is said, only where and how.

use std::io::{self, IsTerminal as _, Write};

use bailiwick_datalog::name::is_control_or_format;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::Failure;

/// The code of the failure that nobody reads stdout any more.
pub(crate) const OUTPUT_CLOSED: &str = "output_closed";

/// Something a command has to say.
pub(crate) trait Event: Serialize {
    /// The name of the event in its JSON form.
    fn name(&self) -> &'static str;

    /// The same facts for a person, without a closing line break.
    fn human(&self) -> String;

    /// Whether the text for people belongs on stderr: it is news about the
    /// work, not the result that somebody may want to pipe onwards.
    fn is_progress(&self) -> bool {
        false
    }
}

/// The two streams and the choice between text and JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or with `json` one object per line.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program is listening.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Says one thing.
    ///
    /// # Errors
    ///
    /// `output_closed` when nobody reads stdout any more.
    pub(crate) fn emit(self, event: &impl Event) -> Result<(), Failure> {
        if self.json {
            return self.line(&json_line(event)?);
        }
        let text = event.human();
        if event.is_progress() {
            self.note(&text);
            return Ok(());
        }
        if io::stdout().is_terminal() {
            return self.line(&harmless(&text));
        }
        self.line(&text)
    }

    /// Writes text for people to stderr; with `--json` too, since that stream
    /// is never parsed. A closed stderr is no reason to stop.
    pub(crate) fn note(self, text: &str) {
        self.to_stderr(&harmless(text));
    }

    fn to_stderr(self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{text}");
    }

    /// Reports why the command ends early.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            // A closed stdout leaves the exit code to tell the story.
            let _ = self.line(&failure_line(failure));
            return;
        }
        self.to_stderr(render_failure(failure).trim_end());
    }

    fn line(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .map_err(|error| {
                Failure::new(
                    OUTPUT_CLOSED,
                    format!("cannot write to standard output: {error}"),
                )
            })
    }
}

fn json_line(event: &impl Event) -> Result<String, Failure> {
    let unserialisable = |error| {
        Failure::new(
            "internal",
            format!("cannot write `{}` as JSON: {error}", event.name()),
        )
    };
    let mut object = Map::new();
    object.insert("event".to_owned(), Value::from(event.name()));
    if let Value::Object(fields) = serde_json::to_value(event).map_err(unserialisable)? {
        object.extend(fields);
    }
    serde_json::to_string(&object).map_err(unserialisable)
}

fn failure_line(failure: &Failure) -> String {
    serde_json::json!({
        "event": "error",
        "code": failure.code(),
        "message": failure.message(),
        "hint": failure.advice(),
    })
    .to_string()
}

/// Text from servers, agents and files, made harmless to a terminal: what
/// would move its cursor, colour or reorder its text is shown escaped.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let layout = matches!(character, '\n' | '\t');
        if is_control_or_format(character) && !layout {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Lines are not wrapped: a hint often holds a command to copy.
fn render_failure(failure: &Failure) -> String {
    let failure = &failure.with_texts(harmless);
    let handler = miette::MietteHandlerOpts::new()
        .wrap_lines(false)
        .break_words(false)
        .terminal_links(false)
        .build();
    format!("{:?}", Rendered { handler, failure })
}

struct Rendered<'a> {
    handler: miette::MietteHandler,
    failure: &'a Failure,
}

impl std::fmt::Debug for Rendered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        miette::ReportHandler::debug(&self.handler, self.failure, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Counted {
        count: u32,
    }

    impl Event for Counted {
        fn name(&self) -> &'static str {
            "counted"
        }
        fn human(&self) -> String {
            format!("{} counted", self.count)
        }
    }

    #[test]
    fn a_json_line_opens_with_the_name_of_the_event() {
        assert_eq!(
            json_line(&Counted { count: 2 }).unwrap(),
            r#"{"event":"counted","count":2}"#
        );
    }

    #[test]
    fn a_failure_is_one_json_object_with_code_message_and_hint() {
        let failure = Failure::new("unknown_tool", "no tool `x`").hint("run `bailiwick tools`");
        assert_eq!(
            failure_line(&failure),
            r#"{"event":"error","code":"unknown_tool","message":"no tool `x`","hint":"run `bailiwick tools`"}"#
        );
    }

    #[test]
    fn text_from_elsewhere_cannot_drive_a_terminal() {
        let failure = Failure::new("denied", "no\u{1b}[2J").hint("try\u{202e}again");
        let text = render_failure(&failure);
        assert!(
            text.contains("no\\u{1b}[2J") && text.contains("try\\u{202e}again"),
            "{text}"
        );
        assert_eq!(harmless("a\tb\nc \u{fc}"), "a\tb\nc \u{fc}");
    }

    #[test]
    fn a_failure_for_people_holds_its_code_its_sentence_and_its_hint_unwrapped() {
        let hint = format!(
            "run `bailiwick request {}`",
            "--tool files.read_file ".repeat(12)
        );
        let text = render_failure(&Failure::new("tool_not_granted", "no grant").hint(hint.clone()));
        assert!(
            text.contains("tool_not_granted") && text.contains("no grant"),
            "{text}"
        );
        assert!(text.contains(&hint), "{text}");
    }
}
