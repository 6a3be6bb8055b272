//! Tokens to a syntax tree, as Biscuit 3.3 reads them.
//!
//! This parser exists for its places in the text: the library's own parser reads every statement
//! too, and [`super::library`] refuses one that the two read differently.

use super::{
    cursor::{Parsed, Parser},
    lexer::{Lexeme, Token},
    problem::{Problem, did_you_mean},
    syntax::{Binary, Expr, ExprKind, Predicate, Query, RuleKind, Statement, StatementKind, Unary},
};

/// Reads one statement.
pub(super) fn statement(lexemes: &[Lexeme<'_>]) -> Parsed<Statement> {
    let span = match (lexemes.first(), lexemes.last()) {
        (Some(first), Some(last)) => first.span.start..last.span.end,
        _ => 0..0,
    };
    let mut parser = Parser::new(lexemes, span.end);
    let kind = parser.statement()?;
    match parser.peek() {
        None => Ok(Statement { kind, span }),
        Some(Token::Name("trusting")) => Err(parser.unsupported("`trusting`")),
        Some(_) => Err(parser.expected("`,` or the end of the statement")),
    }
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
                self.skip(2);
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
                    self.begin_expression();
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
        self.skip(1);
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
        self.skip(1);
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
        self.skip(1);
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
        self.skip(1);
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
}
