//! Tokens to a syntax tree, as Biscuit 3.3 reads them.
//!
//! This parser exists for its places in the text: the library's own parser reads every statement
//! too, and [`super::library`] refuses one that the two read differently.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    constant::{Constant, Key},
    lexer::{Lexeme, MAX_NESTING, Token},
    problem::{Problem, did_you_mean},
    syntax::{
        Binary, Expr, ExprKind, Predicate, Query, RuleKind, Span, Statement, StatementKind, Term,
        TermKind, Unary,
    },
};

/// Most operations in one expression: bounds the recursion of everything that reads it.
pub(super) const MAX_OPERATIONS: usize = 128;

type Parsed<T> = Result<T, Problem>;

/// Reads one statement; `end` is where its last token ends.
pub(super) fn statement(lexemes: &[Lexeme<'_>]) -> Parsed<Statement> {
    let span = match (lexemes.first(), lexemes.last()) {
        (Some(first), Some(last)) => first.span.start..last.span.end,
        _ => 0..0,
    };
    let mut parser = Parser {
        lexemes,
        at: 0,
        end: span.end,
        depth: 0,
        operations: 0,
    };
    let kind = parser.statement()?;
    match parser.peek() {
        None => Ok(Statement { kind, span }),
        Some(Token::Name("trusting")) => Err(parser.unsupported("`trusting`")),
        Some(_) => Err(parser.expected("`,` or the end of the statement")),
    }
}

struct Parser<'a> {
    lexemes: &'a [Lexeme<'a>],
    at: usize,
    end: usize,
    depth: usize,
    operations: usize,
}

impl<'a> Parser<'a> {
    fn statement(&mut self) -> Parsed<StatementKind> {
        if let Some(kind) = self.rule_kind()? {
            let queries = self.queries()?;
            return Ok(StatementKind::Rule { kind, queries });
        }
        let head = self.predicate()?;
        if self.eat("<-") {
            let body = self.query()?;
            return Ok(StatementKind::Derivation { head, body });
        }
        if let Some(variable) = head.terms.iter().find(|term| term.variable().is_some()) {
            let message = "a fact holds values, not variables";
            return Err(Problem::new("syntax_error", variable.span.clone(), message)
                .with_help("a rule that derives facts is written `head(…) <- body`"));
        }
        Ok(StatementKind::Fact(head))
    }

    /// The two words that open a rule, if they are there.
    fn rule_kind(&mut self) -> Parsed<Option<RuleKind>> {
        const KINDS: [RuleKind; 5] = [
            RuleKind::AllowIf,
            RuleKind::DenyIf,
            RuleKind::CheckIf,
            RuleKind::CheckAll,
            RuleKind::RejectIf,
        ];
        let (Some(Token::Name(first)), Some(Token::Name(second))) = (self.peek(), self.peek_at(1))
        else {
            // One name and no bracket: a word is missing or misspelt.
            return match (self.peek(), self.peek_at(1)) {
                (Some(Token::Name(_)), Some(Token::Symbol("("))) => Ok(None),
                _ => Err(self.expected("a rule (`deny if …`) or a fact (`name(…)`)")),
            };
        };
        let words = format!("{first} {second}");
        let known = KINDS.into_iter().find(|kind| kind.words() == words);
        match known {
            Some(kind) => {
                self.at = self.at.saturating_add(2);
                Ok(Some(kind))
            }
            None => {
                let span = self.span_from(self.here(), 2);
                let known = KINDS.into_iter().map(RuleKind::words);
                let message = format!("`{words}` opens no rule");
                Err(Problem::new("syntax_error", span, message)
                    .with_help_if(did_you_mean(&words, known)))
            }
        }
    }

    fn queries(&mut self) -> Parsed<Vec<Query>> {
        let mut queries = vec![self.query()?];
        while self.eat_name("or") {
            queries.push(self.query()?);
        }
        Ok(queries)
    }

    fn query(&mut self) -> Parsed<Query> {
        let start = self.here();
        let (mut predicates, mut expressions) = (Vec::new(), Vec::new());
        loop {
            match (self.peek(), self.peek_at(1)) {
                (Some(Token::Name(_)), Some(Token::Symbol("("))) => {
                    predicates.push(self.predicate()?);
                }
                _ => {
                    self.operations = 0;
                    expressions.push(self.expression()?);
                }
            }
            if !self.eat(",") {
                break;
            }
        }
        Ok(Query {
            predicates,
            expressions,
            span: start..self.behind(),
        })
    }

    fn predicate(&mut self) -> Parsed<Predicate> {
        let start = self.here();
        let Some(&Token::Name(name)) = self.peek() else {
            return Err(self.expected("the name of a fact"));
        };
        let name_span = self.span_from(start, 1);
        self.at = self.at.saturating_add(1);
        self.expect("(")?;
        let mut terms = vec![self.term()?];
        while self.eat(",") {
            terms.push(self.term()?);
        }
        self.expect(")")?;
        Ok(Predicate {
            name: name.to_owned(),
            name_span,
            terms,
            span: start..self.behind(),
        })
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.left_associative(&[("||", Binary::Or)], |parser| {
            parser.left_associative(&[("&&", Binary::And)], Self::comparison)
        })
    }

    /// Comparisons do not associate.
    fn comparison(&mut self) -> Parsed<Expr> {
        const COMPARISONS: [(&str, Binary); 8] = [
            ("<=", Binary::LessOrEqual),
            (">=", Binary::GreaterOrEqual),
            ("<", Binary::Less),
            (">", Binary::Greater),
            ("===", Binary::StrictEqual),
            ("!==", Binary::StrictNotEqual),
            ("==", Binary::Equal),
            ("!=", Binary::NotEqual),
        ];
        let left = self.bit_xor()?;
        let Some(operator) = self.eat_operator(&COMPARISONS) else {
            return Ok(left);
        };
        let right = self.bit_xor()?;
        self.binary(operator, left, right)
    }

    fn bit_xor(&mut self) -> Parsed<Expr> {
        self.left_associative(&[("^", Binary::BitXor)], |parser| {
            parser.left_associative(&[("|", Binary::BitOr)], |parser| {
                parser.left_associative(&[("&", Binary::BitAnd)], Self::sum)
            })
        })
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let sums = [("+", Binary::Add), ("-", Binary::Subtract)];
        let products = [("*", Binary::Multiply), ("/", Binary::Divide)];
        self.left_associative(&sums, |parser| {
            parser.left_associative(&products, Self::negation)
        })
    }

    /// `!` binds weaker than sums and stronger than comparisons.
    fn negation(&mut self) -> Parsed<Expr> {
        let start = self.here();
        if !self.eat("!") {
            return self.methods();
        }
        self.deeper(start, |parser| {
            let operand = parser.sum()?;
            parser.unary(Unary::Negate, start, operand)
        })
    }

    fn methods(&mut self) -> Parsed<Expr> {
        let mut value = self.value()?;
        while self.eat(".") {
            value = self.method(value)?;
        }
        Ok(value)
    }

    fn method(&mut self, on: Expr) -> Parsed<Expr> {
        const METHODS: [(&str, Binary); 8] = [
            ("contains", Binary::Contains),
            ("starts_with", Binary::StartsWith),
            ("ends_with", Binary::EndsWith),
            ("matches", Binary::Matches),
            ("intersection", Binary::Intersection),
            ("union", Binary::Union),
            ("get", Binary::Get),
            ("try_or", Binary::TryOr),
        ];
        let Some(&Token::Name(name)) = self.peek() else {
            return Err(self.expected("the name of a method"));
        };
        if name.starts_with("extern::") {
            return Err(self.unsupported("an external function"));
        }
        let (start, name_span) = (on.span.start, self.span_from(self.here(), 1));
        self.at = self.at.saturating_add(1);
        let binary = METHODS.iter().find(|(method, _)| *method == name);
        match (name, binary) {
            ("length", _) => self.unary_method(Unary::Length, start, on),
            ("type", _) => self.unary_method(Unary::TypeOf, start, on),
            ("all" | "any", _) => self.quantified(name == "all", on),
            (_, Some((_, operator))) => {
                self.expect("(")?;
                let argument = self.deeper(start, Self::expression)?;
                self.expect(")")?;
                self.binary(*operator, on, argument)
            }
            (_, None) => {
                let known = METHODS.into_iter().map(|(method, _)| method);
                let known = known.chain(["length", "type", "all", "any"]);
                let message = format!("there is no method `{name}`");
                Err(Problem::new("syntax_error", name_span, message)
                    .with_help_if(did_you_mean(name, known)))
            }
        }
    }

    fn unary_method(&mut self, operator: Unary, start: usize, on: Expr) -> Parsed<Expr> {
        self.expect("(")?;
        self.expect(")")?;
        self.unary(operator, start, on)
    }

    fn quantified(&mut self, every: bool, over: Expr) -> Parsed<Expr> {
        let start = over.span.start;
        self.expect("(")?;
        let Some(&Token::Variable(parameter)) = self.peek() else {
            return Err(self.expected("a parameter, as in `$x -> …`"));
        };
        let parameter_span = self.span_from(self.here(), 1);
        self.at = self.at.saturating_add(1);
        self.expect("->")?;
        let body = self.deeper(start, Self::expression)?;
        self.expect(")")?;
        self.count(start)?;
        Ok(Expr {
            kind: ExprKind::Quantified {
                every,
                over: Box::new(over),
                parameter: parameter.to_owned(),
                parameter_span,
                body: Box::new(body),
            },
            span: start..self.behind(),
        })
    }

    fn value(&mut self) -> Parsed<Expr> {
        let start = self.here();
        if self.eat("(") {
            return self.deeper(start, |parser| {
                let inside = parser.expression()?;
                parser.expect(")")?;
                parser.unary(Unary::Parens, start, inside)
            });
        }
        let term = self.term()?;
        let span = term.span.clone();
        Ok(Expr {
            kind: ExprKind::Value(term),
            span,
        })
    }

    fn term(&mut self) -> Parsed<Term> {
        let start = self.here();
        if let Some(&Token::Variable(name)) = self.peek() {
            let span = self.span_from(start, 1);
            self.at = self.at.saturating_add(1);
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
                self.at = self.at.saturating_add(1);
                let Some(Token::Integer(integer)) = self.peek() else {
                    return Err(self.expected("a number"));
                };
                // The smallest integer is its own negation.
                Constant::Integer(integer.wrapping_neg())
            }
            Some(Token::Symbol("[")) => {
                self.at = self.at.saturating_add(1);
                return self.deeper(start, |parser| parser.array(places));
            }
            Some(Token::Symbol("{")) => {
                self.at = self.at.saturating_add(1);
                return self.deeper(start, Self::set_or_map);
            }
            Some(Token::Variable(_)) => {
                return Err(self.expected("a value; variables have no place inside a value"));
            }
            _ => return Err(self.expected("a value")),
        };
        self.at = self.at.saturating_add(1);
        Ok(constant)
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

    fn left_associative(
        &mut self,
        operators: &[(&str, Binary)],
        operand: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        let mut left = operand(self)?;
        while let Some(operator) = self.eat_operator(operators) {
            let right = operand(self)?;
            left = self.binary(operator, left, right)?;
        }
        Ok(left)
    }

    fn eat_operator(&mut self, operators: &[(&str, Binary)]) -> Option<Binary> {
        let Some(Token::Symbol(symbol)) = self.peek() else {
            return None;
        };
        let (_, operator) = operators.iter().find(|(known, _)| known == symbol)?;
        self.at = self.at.saturating_add(1);
        Some(*operator)
    }

    fn binary(&mut self, operator: Binary, left: Expr, right: Expr) -> Parsed<Expr> {
        let start = left.span.start;
        self.count(start)?;
        Ok(Expr {
            kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)),
            span: start..self.behind(),
        })
    }

    fn unary(&mut self, operator: Unary, start: usize, operand: Expr) -> Parsed<Expr> {
        self.count(start)?;
        Ok(Expr {
            kind: ExprKind::Unary(operator, Box::new(operand)),
            span: start..self.behind(),
        })
    }

    fn count(&mut self, start: usize) -> Parsed<()> {
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

    fn deeper<T>(
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

    fn peek(&self) -> Option<&'a Token<'a>> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<&'a Token<'a>> {
        let at = self.at.checked_add(ahead)?;
        self.lexemes.get(at).map(|lexeme| &lexeme.token)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at = self.at.saturating_add(usize::from(there));
        there
    }

    fn eat_name(&mut self, name: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Name(found)) if *found == name);
        self.at = self.at.saturating_add(usize::from(there));
        there
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        match self.eat(symbol) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{symbol}`"))),
        }
    }

    /// Where the next token begins; behind the last one, the end of the statement.
    fn here(&self) -> usize {
        let next = self.lexemes.get(self.at);
        next.map_or(self.end, |lexeme| lexeme.span.start)
    }

    /// Where the token before the next one ends.
    fn behind(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.lexemes.get(at));
        last.map_or(0, |lexeme| lexeme.span.end)
    }

    /// The place of so many tokens from the next one, which begins at `start`.
    fn span_from(&self, start: usize, tokens: usize) -> Span {
        let last = self.at.saturating_add(tokens).saturating_sub(1);
        let end = self.lexemes.get(last).map_or(self.end, |l| l.span.end);
        start..end.max(start)
    }

    fn expected(&self, what: &str) -> Problem {
        let span = self.span_from(self.here(), 1);
        Problem::new("syntax_error", span, format!("expected {what}"))
    }

    fn unsupported(&self, what: &str) -> Problem {
        let span = self.span_from(self.here(), 1);
        let message = format!("{what} has no place in an operator policy");
        Problem::new("unsupported", span, message)
    }
}
