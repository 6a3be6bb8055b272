//! The place of the parser among the tokens of one statement, and how deep it is in them.

use super::{
    lexer::{Lexeme, MAX_NESTING, Token},
    problem::Problem,
    syntax::Span,
};

/// Most operations in one expression: bounds the recursion of everything that reads it.
const MAX_OPERATIONS: usize = 128;

pub(super) type Parsed<T> = Result<T, Problem>;

/// Reads tokens from the first to the last. Statements and expressions are read in
/// [`super::parser`], values in [`super::terms`].
pub(super) struct Parser<'a> {
    lexemes: &'a [Lexeme<'a>],
    /// The next token.
    at: usize,
    /// Where the last token ends in the text.
    end: usize,
    depth: usize,
    operations: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(lexemes: &'a [Lexeme<'a>], end: usize) -> Self {
        Self {
            lexemes,
            at: 0,
            end,
            depth: 0,
            operations: 0,
        }
    }

    /// Counts operations from here.
    pub(super) fn begin_expression(&mut self) {
        self.operations = 0;
    }

    pub(super) fn count(&mut self, start: usize) -> Parsed<()> {
        self.operations = self.operations.saturating_add(1);
        match self.operations > MAX_OPERATIONS {
            true => Err(Problem::new(
                "too_deep",
                start..self.behind(),
                format!("more than {MAX_OPERATIONS} operations in one expression"),
            )),
            false => Ok(()),
        }
    }

    pub(super) fn deeper<T>(
        &mut self,
        start: usize,
        inside: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} brackets and negations in one another");
            return Err(Problem::new("too_deep", start..self.behind(), message));
        }
        let inside = inside(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(inside)
    }

    /// Goes on behind so many tokens.
    pub(super) fn skip(&mut self, tokens: usize) {
        self.at = self.at.saturating_add(tokens);
    }

    pub(super) fn peek(&self) -> Option<&'a Token<'a>> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<&'a Token<'a>> {
        let at = self.at.checked_add(ahead)?;
        self.lexemes.get(at).map(|lexeme| &lexeme.token)
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at = self.at.saturating_add(usize::from(there));
        there
    }

    pub(super) fn eat_name(&mut self, name: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Name(found)) if *found == name);
        self.at = self.at.saturating_add(usize::from(there));
        there
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        match self.eat(symbol) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{symbol}`"))),
        }
    }

    /// Where the next token begins; behind the last one, the end of the statement.
    pub(super) fn here(&self) -> usize {
        let next = self.lexemes.get(self.at);
        next.map_or(self.end, |lexeme| lexeme.span.start)
    }

    /// Where the token before the next one ends.
    pub(super) fn behind(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.lexemes.get(at));
        last.map_or(0, |lexeme| lexeme.span.end)
    }

    /// The place of so many tokens from the next one, which begins at `start`.
    pub(super) fn span_from(&self, start: usize, tokens: usize) -> Span {
        let last = self.at.saturating_add(tokens).saturating_sub(1);
        let end = self.lexemes.get(last).map_or(self.end, |l| l.span.end);
        start..end.max(start)
    }

    pub(super) fn expected(&self, what: &str) -> Problem {
        let span = self.span_from(self.here(), 1);
        Problem::new("syntax_error", span, format!("expected {what}"))
    }

    pub(super) fn unsupported(&self, what: &str) -> Problem {
        let span = self.span_from(self.here(), 1);
        let message = format!("{what} has no place in an operator policy");
        Problem::new("unsupported", span, message)
    }
}
