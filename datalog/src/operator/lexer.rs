//! Text to tokens, each with its place, cut into statements at `;`.

use crate::{timestamp::Timestamp, words::visible};

use super::{problem::Problem, syntax::Span};

/// Deepest nesting of brackets. The library's parser is a recursive descent: nothing deeper may
/// reach it.
pub(super) const MAX_NESTING: usize = 16;

/// Everything that is neither a name nor a value; a longer one stands before its own prefix.
const SYMBOLS: [&str; 30] = [
    "<-", "->", "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/",
    "&", "|", "^", "!", "(", ")", "[", "]", "{", "}", ",", ":", ";", ".",
];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    Variable(&'a str),
    Integer(i64),
    Text(String),
    Date(u64),
    Bytes(Vec<u8>),
    Symbol(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token<'a>,
    pub(super) span: Span,
}

/// The tokens of one statement, without its `;`; at least one.
pub(super) type Lexemes<'a> = Vec<Lexeme<'a>>;

/// Cuts a text into statements. What can't be read, and the statement it stands in, becomes a
/// problem; reading goes on at the next `;`.
pub(super) fn statements<'a>(source: &'a str, problems: &mut Vec<Problem>) -> Vec<Lexemes<'a>> {
    let mut lexer = Lexer { source, at: 0 };
    let mut statements = Vec::new();
    let mut current: Lexemes<'a> = Vec::new();
    let mut broken = false;
    loop {
        let before = lexer.at;
        match lexer.next() {
            Ok(Some(Lexeme {
                token: Token::Symbol(";"),
                span,
            })) => {
                match (broken, current.is_empty()) {
                    (true, _) => current.clear(),
                    (false, true) => {
                        problems.push(Problem::new("syntax_error", span, "an empty statement"));
                    }
                    (false, false) => statements.push(std::mem::take(&mut current)),
                }
                broken = false;
            }
            Ok(Some(lexeme)) => current.push(lexeme),
            Ok(None) => break,
            Err(Stop::Comment(span)) if current.is_empty() => lexer.at = span.end,
            Err(Stop::Comment(span)) => {
                lexer.at = span.end;
                problems.push(
                    Problem::new("syntax_error", span, "a comment inside a statement")
                        .with_help("comments may stand only between statements"),
                );
                broken = true;
            }
            Err(Stop::Problem(problem)) => {
                lexer.at = lexer.at.max(problem.span.end).max(before.saturating_add(1));
                lexer.align();
                problems.push(problem);
                broken = true;
            }
        }
    }
    // A file that was cut off may have lost the end of its last statement, and with it conditions.
    if let (Some(last), false) = (current.last(), broken) {
        let message = "the last statement does not end with `;`";
        problems.push(Problem::new("syntax_error", last.span.clone(), message));
    }
    statements.retain(|lexemes| match too_deep(lexemes) {
        Some(problem) => {
            problems.push(problem);
            false
        }
        None => true,
    });
    statements
}

fn too_deep(lexemes: &Lexemes<'_>) -> Option<Problem> {
    let mut depth = 0_usize;
    for lexeme in lexemes {
        match lexeme.token {
            Token::Symbol("(" | "[" | "{") => depth = depth.saturating_add(1),
            Token::Symbol(")" | "]" | "}") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} brackets inside one another");
            return Some(Problem::new("too_deep", lexeme.span.clone(), message));
        }
    }
    None
}

enum Stop {
    Comment(Span),
    Problem(Problem),
}

struct Lexer<'a> {
    source: &'a str,
    /// INVARIANT: a character boundary.
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Moves on to the next character boundary.
    fn align(&mut self) {
        while self.at < self.source.len() && !self.source.is_char_boundary(self.at) {
            self.at = self.at.saturating_add(1);
        }
        self.at = self.at.min(self.source.len());
    }

    fn next(&mut self) -> Result<Option<Lexeme<'a>>, Stop> {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(blank);
        self.at = self
            .at
            .saturating_add(rest.len().saturating_sub(trimmed.len()));
        let Some(first) = trimmed.chars().next() else {
            return Ok(None);
        };
        self.comment(trimmed)?;
        let token = match first {
            '"' => self.text(trimmed),
            '$' => self.variable(trimmed),
            '0'..='9' => self.number(trimmed),
            'a'..='z' | 'A'..='Z' | '_' => self.name(trimmed),
            _ => self.symbol(trimmed),
        };
        let (token, length) = token.map_err(Stop::Problem)?;
        let start = self.at;
        self.at = self.at.saturating_add(length);
        let span = start..self.at;
        Ok(Some(Lexeme { token, span }))
    }

    fn comment(&self, text: &str) -> Result<(), Stop> {
        let length = if text.starts_with("//") {
            text.find(['\r', '\n']).unwrap_or(text.len())
        } else if text.starts_with("/*") {
            text.find("*/")
                .map(|at| at.saturating_add(2))
                .ok_or_else(|| {
                    let message = "a comment that is never closed";
                    Stop::Problem(self.problem(text.len(), message).with_help("write `*/`"))
                })?
        } else {
            return Ok(());
        };
        Err(Stop::Comment(self.span(length)))
    }

    fn span(&self, length: usize) -> Span {
        self.at..self.at.saturating_add(length)
    }

    fn problem(&self, length: usize, message: impl Into<String>) -> Problem {
        Problem::new("syntax_error", self.span(length), message)
    }

    /// A text in quotes. Its escapes are `\"`, `\\` and `\n`.
    fn text(&mut self, from: &str) -> Result<(Token<'a>, usize), Problem> {
        let mut text = String::new();
        let mut unknown_escape = None;
        let mut characters = from.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    let length = at.saturating_add(1);
                    let Some(problem) = unknown_escape else {
                        return Ok((Token::Text(text), length));
                    };
                    // Reading goes on behind the text.
                    self.at = self.at.saturating_add(length);
                    return Err(problem);
                }
                '\\' => match characters.next() {
                    Some((_, quoted @ ('"' | '\\'))) => text.push(quoted),
                    Some((_, 'n')) => text.push('\n'),
                    _ => {
                        let message = "an unknown escape; known are `\\\"`, `\\\\` and `\\n`";
                        let start = self.at.saturating_add(at);
                        let span = start..start.saturating_add(1);
                        let problem = Problem::new("syntax_error", span, message);
                        unknown_escape.get_or_insert(problem);
                    }
                },
                other => text.push(other),
            }
        }
        Err(self.problem(from.len(), "a text whose quotes are never closed"))
    }

    fn variable(&self, from: &'a str) -> Result<(Token<'a>, usize), Problem> {
        let name = word(from.strip_prefix('$').unwrap_or_default());
        match name.is_empty() {
            true => Err(self.problem(1, "`$` without the name of a variable")),
            false => Ok((Token::Variable(name), name.len().saturating_add(1))),
        }
    }

    fn name(&self, from: &'a str) -> Result<(Token<'a>, usize), Problem> {
        if let Some(digits) = from.strip_prefix("hex:") {
            let length = digits
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(digits.len());
            let digits = digits.get(..length).unwrap_or_default();
            let whole = length.saturating_add("hex:".len());
            return hex::decode(digits)
                .map(|bytes| (Token::Bytes(bytes), whole))
                .map_err(|_| self.problem(whole, "bytes have two hexadecimal digits each"));
        }
        let name = word(from);
        Ok((Token::Name(name), name.len()))
    }

    /// An integer without its sign, or an RFC 3339 date.
    fn number(&self, from: &str) -> Result<(Token<'a>, usize), Problem> {
        let digits = from
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(from.len());
        let date_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | ':' | '.');
        let is_date = digits == 4 && from.get(7..8) == Some("-") && from.get(10..11) == Some("T");
        if is_date {
            let long = from.find(|c| !date_like(c)).unwrap_or(from.len());
            let text = from.get(..long).unwrap_or_default();
            return Timestamp::parse_rfc3339(text)
                .map(|date| (Token::Date(date.unix()), long))
                .map_err(|problem| self.problem(long, problem.to_string()));
        }
        let text = from.get(..digits).unwrap_or_default();
        // The one integer whose digits alone do not fit: its sign is in front.
        if text == "9223372036854775808"
            && self
                .source
                .get(..self.at)
                .unwrap_or_default()
                .ends_with('-')
        {
            return Ok((Token::Integer(i64::MIN), digits));
        }
        text.parse()
            .map(|integer| (Token::Integer(integer), digits))
            .map_err(|_| self.problem(digits, "integers have 64 bits"))
    }

    fn symbol(&self, from: &str) -> Result<(Token<'a>, usize), Problem> {
        SYMBOLS
            .into_iter()
            .find(|symbol| from.starts_with(symbol))
            .map(|symbol| (Token::Symbol(symbol), symbol.len()))
            .ok_or_else(|| {
                let character = from.chars().next().unwrap_or_default();
                let shown = visible(&character.to_string());
                self.problem(
                    character.len_utf8(),
                    format!("`{shown}` has no place outside quotes"),
                )
            })
    }
}

fn word(text: &str) -> &str {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    text.get(..length).unwrap_or_default()
}
