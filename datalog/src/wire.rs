//! Decoded blocks, read as the Biscuit format defines them, without an evaluator.
//!
//! Turns the protobuf messages of one block into borrowed views in which symbols are resolved.
//! Knows the wire format and nothing of the profile. What has no view (maps, nested lists,
//! closures inside closures) becomes [`TermView::Other`] or no view at all, which the profile
//! then refuses. Work and memory are linear in the block's bytes.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use biscuit_auth::format::schema::{self, op, op_binary, op_unary, term};

use crate::{plan::weight, varint};

/// Symbols that every token has without listing them (Biscuit specification, symbol table).
const DEFAULT_SYMBOLS: [&str; 28] = [
    "read",
    "write",
    "resource",
    "operation",
    "right",
    "time",
    "role",
    "owner",
    "tenant",
    "namespace",
    "user",
    "team",
    "service",
    "admin",
    "email",
    "group",
    "member",
    "ip_address",
    "client",
    "client_ip",
    "domain",
    "path",
    "version",
    "cluster",
    "node",
    "hostname",
    "nonce",
    "query",
];
/// Index of the first symbol that a token lists itself.
const SYMBOL_OFFSET: u64 = 1_024;

/// The symbols that one block lists, in two allocations however many there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct SymbolList {
    /// The texts, one after the other.
    texts: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl SymbolList {
    /// Takes the symbols off the front of a block, where writers put them, and gives what follows.
    /// `None` for what cannot be read, a text that is not UTF-8 for one. Says nothing of symbols
    /// further behind: no writer puts any there.
    pub(crate) fn take(block: &[u8]) -> Option<(Self, &[u8])> {
        let (mut texts, mut ends) = (Vec::new(), Vec::new());
        let mut rest = block;
        while let Some(symbol) = rest.strip_prefix(&[SYMBOL_KEY]) {
            let (length, after) = varint::read(symbol)?;
            let (text, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
            texts.extend_from_slice(text);
            ends.push(texts.len());
            rest = after;
        }
        // All of it is text, and each symbol begins and ends between two characters.
        let texts = String::from_utf8(texts).ok()?;
        let whole = ends.iter().all(|end| texts.is_char_boundary(*end));
        whole.then_some((Self { texts, ends }, rest))
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let places = starts.zip(&self.ends);
        places.filter_map(|(start, end)| self.texts.get(*start..*end))
    }
}

/// The key of the field that lists symbols: number 1, length-delimited.
const SYMBOL_KEY: u8 = 0x0a;

/// The symbols in force for one block: the defaults, then what earlier first-party blocks and the
/// block itself list.
///
/// In three allocations however many there are: a table is copied for each block that a token grows
/// by, and a hostile block lists thousands.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    /// The texts of all listed symbols, one after the other.
    texts: String,
    /// Where each ends.
    ends: Vec<usize>,
    /// The hashes of all symbols, defaults included, under a secret of the process, sorted: two
    /// that are the same are two symbols that may be.
    hashes: Vec<u64>,
    hasher: RandomState,
}

impl Default for Symbols {
    fn default() -> Self {
        let hasher = RandomState::new();
        let mut hashes: Vec<u64> = DEFAULT_SYMBOLS.map(|s| hasher.hash_one(s)).into();
        hashes.sort_unstable();
        Self {
            texts: String::new(),
            ends: Vec::new(),
            hashes,
            hasher,
        }
    }
}

impl Symbols {
    /// Adds a block's own symbols. `None` when one of them is already known, which the format
    /// forbids; the table is then of no use.
    pub(crate) fn extend(&mut self, symbols: &SymbolList) -> Option<()> {
        if symbols.ends.is_empty() {
            return Some(());
        }
        self.ends.reserve(symbols.ends.len());
        self.hashes.reserve(symbols.ends.len());
        self.texts.reserve(symbols.texts.len());
        for symbol in symbols.iter() {
            self.texts.push_str(symbol);
            self.ends.push(self.texts.len());
            self.hashes.push(self.hasher.hash_one(symbol));
        }
        self.hashes.sort_unstable();
        let mut neighbours = self.hashes.iter().zip(self.hashes.iter().skip(1));
        let suspicious = neighbours.any(|(one, two)| one == two);
        (!suspicious || self.all_differ()).then_some(())
    }

    /// True when no symbol is there twice.
    fn all_differ(&self) -> bool {
        let mut seen = HashSet::from(DEFAULT_SYMBOLS.map(Some));
        (0..self.ends.len()).all(|own| seen.insert(self.listed(own)))
    }

    /// About how many bytes of memory the table takes; not less than it does.
    pub(crate) fn weight(&self) -> usize {
        // Capacities, at most twice what is used.
        let ends = self.ends.len().saturating_mul(size_of::<usize>());
        let hashes = self.hashes.len().saturating_mul(size_of::<u64>());
        let used = self.texts.len().saturating_add(ends).saturating_add(hashes);
        used.saturating_mul(2).saturating_add(weight::text(""))
    }

    pub(crate) fn resolve(&self, index: u64) -> Option<&str> {
        match index.checked_sub(SYMBOL_OFFSET) {
            Some(own) => self.listed(usize::try_from(own).ok()?),
            None => DEFAULT_SYMBOLS.get(usize::try_from(index).ok()?).copied(),
        }
    }

    fn listed(&self, own: usize) -> Option<&str> {
        let end = *self.ends.get(own)?;
        let start = match own.checked_sub(1) {
            Some(previous) => *self.ends.get(previous)?,
            None => 0,
        };
        self.texts.get(start..end)
    }
}

/// A term with its symbols resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TermView<'a> {
    Variable(u32),
    Integer(i64),
    Str(&'a str),
    Date(u64),
    Bytes(&'a [u8]),
    Bool(bool),
    Set(Vec<TermView<'a>>),
    Array(Vec<TermView<'a>>),
    /// Null, a map, a list in a list, or a term without content.
    Other,
}

/// A predicate with its symbols resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PredicateView<'a> {
    pub(crate) name: &'a str,
    pub(crate) terms: Vec<TermView<'a>>,
}

/// One operation of an expression, in the postfix order of the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OpView<'a> {
    Value(TermView<'a>),
    Unary(op_unary::Kind),
    Binary(op_binary::Kind),
    /// A closure that holds no closure with parameters of its own.
    Closure(Vec<u32>, Vec<OpView<'a>>),
}

/// One query of a check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryView<'a> {
    pub(crate) body: Vec<PredicateView<'a>>,
    pub(crate) expressions: Vec<Vec<OpView<'a>>>,
}

/// Why a message has no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    /// A symbol index that no table in force has, or an enumeration value the format lacks.
    Undefined,
    /// Something the format has and the profile never allows.
    Unsupported(&'static str),
}

pub(crate) fn predicate<'a>(
    message: &'a schema::Predicate,
    symbols: &'a Symbols,
) -> Result<PredicateView<'a>, WireError> {
    Ok(PredicateView {
        name: symbols.resolve(message.name).ok_or(WireError::Undefined)?,
        terms: message
            .terms
            .iter()
            .map(|message| term_view(message, symbols))
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn query<'a>(
    message: &'a schema::Rule,
    symbols: &'a Symbols,
) -> Result<QueryView<'a>, WireError> {
    if !message.scope.is_empty() {
        return Err(WireError::Unsupported("a scope"));
    }
    if !predicate(&message.head, symbols)?.terms.is_empty() {
        return Err(WireError::Unsupported("a query with a head"));
    }
    Ok(QueryView {
        body: message
            .body
            .iter()
            .map(|message| predicate(message, symbols))
            .collect::<Result<_, _>>()?,
        expressions: message
            .expressions
            .iter()
            .map(|expression| ops_view(&expression.ops, symbols, Inside::Expression))
            .collect::<Result<_, _>>()?,
    })
}

/// True when terms or closures of a block are nested deeper than any view is: a list in a list, or
/// a closure in a closure in a closure. Stops at the first, so nothing is followed deeper.
pub(crate) fn is_nested_beyond_views(block: &schema::Block) -> bool {
    let facts = block.facts.iter().map(|fact| &fact.predicate);
    let queries = || block.checks.iter().flat_map(|check| &check.queries);
    let rules = || block.rules.iter().chain(queries());
    let heads = rules().map(|rule| &rule.head);
    let bodies = rules().flat_map(|rule| &rule.body);
    let mut terms = facts.chain(heads).chain(bodies).flat_map(|p| &p.terms);
    let expressions = rules().flat_map(|rule| &rule.expressions);
    let mut ops = expressions.flat_map(|expression| &expression.ops);
    terms.any(|term| is_deeper(term, LISTS)) || ops.any(|op| is_deeper_op(op, CLOSURES))
}

/// Lists hold no lists.
const LISTS: usize = 1;
/// A closure without parameters holds one with parameters (see [`Inside`]).
const CLOSURES: usize = 2;

fn is_deeper(message: &schema::Term, levels: usize) -> bool {
    let Some(inner) = levels.checked_sub(1) else {
        return matches!(
            &message.content,
            Some(term::Content::Set(_) | term::Content::Array(_) | term::Content::Map(_))
        );
    };
    match &message.content {
        Some(term::Content::Set(set)) => set.set.iter().any(|term| is_deeper(term, inner)),
        Some(term::Content::Array(list)) => list.array.iter().any(|term| is_deeper(term, inner)),
        Some(term::Content::Map(map)) => {
            let mut values = map.entries.iter().map(|entry| &entry.value);
            values.any(|term| is_deeper(term, inner))
        }
        _ => false,
    }
}

fn is_deeper_op(message: &schema::Op, levels: usize) -> bool {
    match &message.content {
        Some(op::Content::Value(term)) => is_deeper(term, LISTS),
        Some(op::Content::Closure(closure)) => match levels.checked_sub(1) {
            None => true,
            Some(inner) => closure.ops.iter().any(|op| is_deeper_op(op, inner)),
        },
        Some(op::Content::Unary(_) | op::Content::Binary(_)) | None => false,
    }
}

/// Bytes of all strings that the facts and checks of a block stand for, each counted as often as
/// it is used. Symbols that are not defined count nothing.
pub(crate) fn text_bytes(block: &schema::Block, symbols: &Symbols) -> usize {
    let facts = block.facts.iter().map(|fact| &fact.predicate);
    let queries = || block.checks.iter().flat_map(|check| &check.queries);
    let predicates = facts.chain(queries().flat_map(|query| &query.body));
    let terms = predicates.flat_map(|predicate| &predicate.terms);
    let expressions = queries().flat_map(|query| &query.expressions);
    let ops = expressions.flat_map(|expression| &expression.ops);
    sum(terms
        .map(|term| term_bytes(term, symbols))
        .chain(ops.map(|op| op_bytes(op, symbols))))
}

fn term_bytes(message: &schema::Term, symbols: &Symbols) -> usize {
    let flat = |terms: &[schema::Term]| sum(terms.iter().map(|term| string_bytes(term, symbols)));
    match &message.content {
        Some(term::Content::Set(set)) => flat(&set.set),
        Some(term::Content::Array(array)) => flat(&array.array),
        _ => string_bytes(message, symbols),
    }
}

fn string_bytes(message: &schema::Term, symbols: &Symbols) -> usize {
    match &message.content {
        Some(term::Content::String(index)) => symbols.resolve(*index).map_or(0, str::len),
        _ => 0,
    }
}

/// Recurses as deep as decoding does, which is bounded.
fn op_bytes(message: &schema::Op, symbols: &Symbols) -> usize {
    match &message.content {
        Some(op::Content::Value(term)) => term_bytes(term, symbols),
        Some(op::Content::Closure(closure)) => {
            sum(closure.ops.iter().map(|op| op_bytes(op, symbols)))
        }
        Some(op::Content::Unary(_) | op::Content::Binary(_)) | None => 0,
    }
}

fn sum(bytes: impl Iterator<Item = usize>) -> usize {
    bytes.fold(0, usize::saturating_add)
}

fn term_view<'a>(
    message: &'a schema::Term,
    symbols: &'a Symbols,
) -> Result<TermView<'a>, WireError> {
    let flat = |terms: &'a [schema::Term]| {
        terms
            .iter()
            .map(|term| flat_term(term, symbols))
            .collect::<Result<Vec<_>, _>>()
    };
    match &message.content {
        Some(term::Content::Set(set)) => Ok(TermView::Set(flat(&set.set)?)),
        Some(term::Content::Array(array)) => Ok(TermView::Array(flat(&array.array)?)),
        _ => flat_term(message, symbols),
    }
}

fn flat_term<'a>(
    message: &'a schema::Term,
    symbols: &'a Symbols,
) -> Result<TermView<'a>, WireError> {
    Ok(match &message.content {
        Some(term::Content::Variable(index)) => TermView::Variable(variable(*index, symbols)?),
        Some(term::Content::Integer(integer)) => TermView::Integer(*integer),
        Some(term::Content::String(index)) => {
            TermView::Str(symbols.resolve(*index).ok_or(WireError::Undefined)?)
        }
        Some(term::Content::Date(date)) => TermView::Date(*date),
        Some(term::Content::Bytes(bytes)) => TermView::Bytes(bytes),
        Some(term::Content::Bool(boolean)) => TermView::Bool(*boolean),
        Some(
            term::Content::Set(_)
            | term::Content::Array(_)
            | term::Content::Map(_)
            | term::Content::Null(_),
        )
        | None => TermView::Other,
    })
}

/// Where operations stand. Closures without parameters are the right-hand sides of lazy
/// operators and may nest one level; a closure with parameters is allowed once.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Expression,
    Lazy,
    Closure,
}

fn ops_view<'a>(
    messages: &'a [schema::Op],
    symbols: &'a Symbols,
    inside: Inside,
) -> Result<Vec<OpView<'a>>, WireError> {
    messages
        .iter()
        .map(|message| match &message.content {
            Some(op::Content::Value(term)) => Ok(OpView::Value(term_view(term, symbols)?)),
            Some(op::Content::Unary(unary)) => unary_view(unary),
            Some(op::Content::Binary(binary)) => binary_view(binary),
            Some(op::Content::Closure(closure)) => closure_view(closure, symbols, inside),
            None => Err(WireError::Undefined),
        })
        .collect()
}

fn unary_view(message: &schema::OpUnary) -> Result<OpView<'_>, WireError> {
    if message.ffi_name.is_some() {
        return Err(WireError::Unsupported("an extern call"));
    }
    op_unary::Kind::from_i32(message.kind)
        .map(OpView::Unary)
        .ok_or(WireError::Undefined)
}

fn binary_view(message: &schema::OpBinary) -> Result<OpView<'_>, WireError> {
    if message.ffi_name.is_some() {
        return Err(WireError::Unsupported("an extern call"));
    }
    op_binary::Kind::from_i32(message.kind)
        .map(OpView::Binary)
        .ok_or(WireError::Undefined)
}

fn closure_view<'a>(
    message: &'a schema::OpClosure,
    symbols: &'a Symbols,
    inside: Inside,
) -> Result<OpView<'a>, WireError> {
    let within = match (inside, message.params.is_empty()) {
        (Inside::Expression, true) => Inside::Lazy,
        (Inside::Expression | Inside::Lazy, false) => Inside::Closure,
        (Inside::Lazy, true) | (Inside::Closure, _) => {
            return Err(WireError::Unsupported("a closure inside a closure"));
        }
    };
    let params = message.params.iter();
    Ok(OpView::Closure(
        params
            .map(|index| variable(*index, symbols))
            .collect::<Result<_, _>>()?,
        ops_view(&message.ops, symbols, within)?,
    ))
}

/// A variable, which must have a name although nothing depends on it: the library looks it up.
fn variable(index: u32, symbols: &Symbols) -> Result<u32, WireError> {
    match symbols.resolve(u64::from(index)) {
        Some(_) => Ok(index),
        None => Err(WireError::Undefined),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn default_symbols_are_those_of_the_library() {
        // The library's own table answers an insertion of a default with its fixed index.
        let mut table = biscuit_auth::datalog::SymbolTable::new();
        for (index, symbol) in DEFAULT_SYMBOLS.iter().enumerate() {
            assert_eq!(usize::try_from(table.insert(symbol)), Ok(index), "{symbol}");
        }
        assert_eq!(table.insert("one more"), SYMBOL_OFFSET);
    }

    fn list(symbols: &[&str]) -> SymbolList {
        let block = schema::Block {
            symbols: symbols.iter().map(ToString::to_string).collect(),
            version: Some(3),
            ..schema::Block::default()
        };
        let bytes = block.encode_to_vec();
        let (list, rest) = SymbolList::take(&bytes).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), symbols);
        assert_eq!(rest, [0x18, 3]);
        list
    }

    #[test]
    fn symbols_of_a_block_are_taken_whole_or_not_at_all() {
        list(&[]);
        list(&["", "a", "", "ü€😀", "x"]);
        for bad in [
            &[0x0a][..],
            &[0x0a, 2, b'a'],
            &[0x0a, 0x81, 0, b'a'],
            // One character cut in two, and one byte that is none.
            &[0x0a, 1, 0xc3, 0x0a, 1, 0xbc],
            &[0x0a, 1, 0xff],
        ] {
            assert!(SymbolList::take(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_symbol_listed_twice_is_refused() {
        let mut symbols = Symbols::default();
        assert!(symbols.extend(&list(&["a", "b"])).is_some());
        assert_eq!(symbols.resolve(1_025), Some("b"));
        assert_eq!(symbols.resolve(1_026), None);
        assert_eq!(symbols.resolve(28), None);
        assert_eq!(symbols.resolve(27), Some("query"));
        assert!(symbols.extend(&list(&["a"])).is_none());
        assert!(symbols.extend(&list(&["read"])).is_none());
        assert!(symbols.extend(&list(&["c", "c"])).is_none());
    }
}
