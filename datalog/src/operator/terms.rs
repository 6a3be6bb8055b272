//! Tokens to values and variables: the leaves of the syntax tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    constant::{Constant, Key},
    cursor::{Parsed, Parser},
    lexer::Token,
    problem::Problem,
    syntax::{Span, Term, TermKind},
};

impl Parser<'_> {
    pub(super) fn term(&mut self) -> Parsed<Term> {
        let start = self.here();
        if let Some(&Token::Variable(name)) = self.peek() {
            let span = self.span_from(start, 1);
            self.skip(1);
            return Ok(Term {
                kind: TermKind::Variable(name.to_owned()),
                span,
                items: Vec::new(),
            });
        }
        let mut items = Vec::new();
        let constant = self.constant(&mut items)?;
        Ok(Term {
            kind: TermKind::Constant(constant),
            span: start..self.behind(),
            items,
        })
    }

    /// A ground value; the places of the items of an array are added to `places`.
    fn constant(&mut self, places: &mut Vec<Span>) -> Parsed<Constant> {
        let start = self.here();
        let constant = match self.peek() {
            Some(Token::Text(text)) => Constant::Text(text.clone()),
            Some(Token::Integer(integer)) => Constant::Integer(*integer),
            Some(Token::Date(seconds)) => Constant::Date(*seconds),
            Some(Token::Bytes(bytes)) => Constant::Bytes(bytes.clone()),
            Some(Token::Name("true")) => Constant::Bool(true),
            Some(Token::Name("false")) => Constant::Bool(false),
            Some(Token::Name("null")) => Constant::Null,
            Some(Token::Symbol("-")) => {
                self.skip(1);
                let Some(Token::Integer(integer)) = self.peek() else {
                    return Err(self.expected("a number"));
                };
                // The smallest integer is its own negation.
                Constant::Integer(integer.wrapping_neg())
            }
            Some(Token::Symbol("[")) => {
                self.skip(1);
                return self.deeper(start, |parser| parser.array(places));
            }
            Some(Token::Symbol("{")) => {
                self.skip(1);
                return self.deeper(start, Self::set_or_map);
            }
            Some(Token::Variable(_)) => {
                return Err(self.expected("a value; variables have no place inside a value"));
            }
            _ => return Err(self.expected_value()),
        };
        self.skip(1);
        Ok(constant)
    }

    /// Where a value should stand and a fact does, somebody wants it not to be there.
    fn expected_value(&self) -> Problem {
        let problem = self.expected("a value");
        match (self.peek(), self.peek_at(1)) {
            (Some(Token::Name(_)), Some(Token::Symbol("("))) | (Some(Token::Name("not")), _) => {
                problem.with_help(
                    "facts can't be negated; compare their values, as in `agent($a), $a != \"x\"`",
                )
            }
            _ => problem,
        }
    }

    fn array(&mut self, places: &mut Vec<Span>) -> Parsed<Constant> {
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(Constant::Array(items));
        }
        loop {
            let start = self.here();
            items.push(self.constant(&mut Vec::new())?);
            places.push(start..self.behind());
            if !self.eat(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Constant::Array(items))
    }

    fn set_or_map(&mut self) -> Parsed<Constant> {
        if self.eat(",") {
            self.expect("}")?;
            return Ok(Constant::Set(BTreeSet::new()));
        }
        if self.eat("}") {
            return Ok(Constant::Map(Vec::new()));
        }
        if let (Some(Token::Name(_)), Some(Token::Symbol("}"))) = (self.peek(), self.peek_at(1)) {
            return Err(self.unsupported("a parameter"));
        }
        let start = self.here();
        let first = self.constant(&mut Vec::new())?;
        if self.peek() == Some(&Token::Symbol(":")) {
            return self.map(first, start);
        }
        let mut items = BTreeSet::from([first]);
        while self.eat(",") {
            items.insert(self.constant(&mut Vec::new())?);
        }
        self.expect("}")?;
        Ok(Constant::Set(items))
    }

    fn map(&mut self, first: Constant, start: usize) -> Parsed<Constant> {
        let (mut key, mut start) = (first, start);
        let mut members = BTreeMap::new();
        loop {
            let place = start..self.behind();
            let key_of = match key {
                Constant::Text(text) => Key::Text(text),
                Constant::Integer(integer) => Key::Integer(integer),
                _ => {
                    let message = "maps are keyed with texts or integers";
                    return Err(Problem::new("syntax_error", place, message));
                }
            };
            self.expect(":")?;
            let value = self.constant(&mut Vec::new())?;
            if members.insert(key_of, value).is_some() {
                return Err(Problem::new("syntax_error", place, "the key stands twice"));
            }
            if !self.eat(",") {
                break;
            }
            start = self.here();
            key = self.constant(&mut Vec::new())?;
        }
        self.expect("}")?;
        Ok(Constant::Map(members.into_iter().collect()))
    }
}
