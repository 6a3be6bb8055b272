//! Canonical bytes: whether a message that decodes would be written back as the very same bytes.
//!
//! Owns profile rule 11 for everything inside a token. Writing a message anew to find out costs its
//! size once for every level of it; this walks the bytes once, knows nothing of what they mean and
//! allocates nothing. The tables below are the format's own (`schema.proto` of the specification),
//! and the tests hold them to the messages of the Biscuit library: what is canonical here is what
//! decoding and encoding there gives back.
//!
//! It is asked of bytes that the library decodes, and leaves to that what decoding finds out: that
//! texts are UTF-8, and that messages end where they should.

use crate::varint;

/// A message of the format: its fields by number, the first being 1.
pub(super) struct Message(&'static [Field]);

/// How often a field may be there.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Required,
    Optional,
    Repeated,
    /// It is there alone.
    OneOf,
    /// There is no field of this number.
    Never,
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Uint32,
    /// A number of 64 bits, signed or not: every varint stands for one.
    Number,
    /// An enumeration: a signed number of 32 bits.
    Enumeration,
    /// Bytes or a text.
    Bytes,
    Message(&'static Message),
}

struct Field(Rule, Kind);

use Kind::{Bool, Bytes, Enumeration, Number, Uint32};
use Rule::{Never, OneOf, Optional, Repeated, Required};

pub(super) static BISCUIT: Message = Message(&[
    Field(Optional, Uint32),
    Field(Required, Kind::Message(&SIGNED_BLOCK)),
    Field(Repeated, Kind::Message(&SIGNED_BLOCK)),
    Field(Required, Kind::Message(&PROOF)),
]);
/// What a token has from its last block on.
pub(super) static TAIL: Message = Message(&[
    Field(Never, Bytes),
    Field(Never, Bytes),
    Field(Required, Kind::Message(&SIGNED_BLOCK)),
    Field(Required, Kind::Message(&PROOF)),
]);
static SIGNED_BLOCK: Message = Message(&[
    Field(Required, Bytes),
    Field(Required, Kind::Message(&PUBLIC_KEY)),
    Field(Required, Bytes),
    Field(Optional, Kind::Message(&EXTERNAL_SIGNATURE)),
    Field(Optional, Uint32),
]);
static EXTERNAL_SIGNATURE: Message = Message(&[
    Field(Required, Bytes),
    Field(Required, Kind::Message(&PUBLIC_KEY)),
]);
static PUBLIC_KEY: Message = Message(&[Field(Required, Enumeration), Field(Required, Bytes)]);
static PROOF: Message = Message(&[Field(OneOf, Bytes), Field(OneOf, Bytes)]);
pub(super) static BLOCK: Message = Message(&[
    Field(Repeated, Bytes),
    Field(Optional, Bytes),
    Field(Optional, Uint32),
    Field(Repeated, Kind::Message(&FACT)),
    Field(Repeated, Kind::Message(&RULE)),
    Field(Repeated, Kind::Message(&CHECK)),
    Field(Repeated, Kind::Message(&SCOPE)),
    Field(Repeated, Kind::Message(&PUBLIC_KEY)),
]);
static SCOPE: Message = Message(&[Field(OneOf, Enumeration), Field(OneOf, Number)]);
static FACT: Message = Message(&[Field(Required, Kind::Message(&PREDICATE))]);
static RULE: Message = Message(&[
    Field(Required, Kind::Message(&PREDICATE)),
    Field(Repeated, Kind::Message(&PREDICATE)),
    Field(Repeated, Kind::Message(&EXPRESSION)),
    Field(Repeated, Kind::Message(&SCOPE)),
]);
static CHECK: Message = Message(&[
    Field(Repeated, Kind::Message(&RULE)),
    Field(Optional, Enumeration),
]);
static PREDICATE: Message = Message(&[
    Field(Required, Number),
    Field(Repeated, Kind::Message(&TERM)),
]);
static TERM: Message = Message(&[
    Field(OneOf, Uint32),
    Field(OneOf, Number),
    Field(OneOf, Number),
    Field(OneOf, Number),
    Field(OneOf, Bytes),
    Field(OneOf, Bool),
    Field(OneOf, Kind::Message(&TERMS)),
    Field(OneOf, Kind::Message(&EMPTY)),
    Field(OneOf, Kind::Message(&TERMS)),
    Field(OneOf, Kind::Message(&MAP)),
]);
/// A set or an array.
static TERMS: Message = Message(&[Field(Repeated, Kind::Message(&TERM))]);
static EMPTY: Message = Message(&[]);
static MAP: Message = Message(&[Field(Repeated, Kind::Message(&MAP_ENTRY))]);
static MAP_ENTRY: Message = Message(&[
    Field(Required, Kind::Message(&MAP_KEY)),
    Field(Required, Kind::Message(&TERM)),
]);
static MAP_KEY: Message = Message(&[Field(OneOf, Number), Field(OneOf, Number)]);
static EXPRESSION: Message = Message(&[Field(Repeated, Kind::Message(&OP))]);
static OP: Message = Message(&[
    Field(OneOf, Kind::Message(&TERM)),
    Field(OneOf, Kind::Message(&OPERATOR)),
    Field(OneOf, Kind::Message(&OPERATOR)),
    Field(OneOf, Kind::Message(&CLOSURE)),
]);
/// A unary or a binary operator.
static OPERATOR: Message = Message(&[Field(Required, Enumeration), Field(Optional, Number)]);
static CLOSURE: Message = Message(&[Field(Repeated, Uint32), Field(Repeated, Kind::Message(&OP))]);

/// Levels of messages in messages that are followed: as many as the library decodes.
const MAX_LEVELS: u32 = 101;

/// Protobuf wire types.
const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

impl Message {
    /// True when `bytes`, which decode to this message, are what it is written as.
    pub(super) fn is_canonical(&self, bytes: &[u8]) -> bool {
        self.walk(bytes, MAX_LEVELS).is_some()
    }

    /// `None` at the first thing that would be written otherwise.
    fn walk(&self, mut bytes: &[u8], levels: u32) -> Option<()> {
        let levels = levels.checked_sub(1)?;
        let mut last = 0_u8;
        let mut seen = 0_u32;
        while let Some((&key, rest)) = bytes.split_first() {
            // Numbers are below sixteen, so a key is one byte; a longer one is not ours.
            let number = key >> 3;
            let Field(rule, kind) = self.0.get(usize::from(number).checked_sub(1)?)?;
            let in_order = match rule {
                Repeated => number >= last,
                Required | Optional => number > last,
                OneOf => last == 0,
                Never => false,
            };
            if !in_order {
                return None;
            }
            last = number;
            seen |= 1_u32.checked_shl(number.into())?;
            bytes = kind.skip(key & 0b111, rest, levels)?;
        }
        self.required(seen).then_some(())
    }

    /// True when every required field is among those seen, each a bit.
    fn required(&self, seen: u32) -> bool {
        let fields = self.0.iter().zip(1_u32..);
        let mut required = fields.filter(|(Field(rule, _), _)| *rule == Required);
        required.all(|(_, number)| seen.checked_shr(number).is_some_and(|bits| bits & 1 == 1))
    }
}

impl Kind {
    /// What follows a value of this kind, if that is written as it would be.
    fn skip(self, wire_type: u8, bytes: &[u8], levels: u32) -> Option<&[u8]> {
        let length_delimited = matches!(self, Bytes | Self::Message(_));
        let expected = if length_delimited {
            LENGTH_DELIMITED
        } else {
            VARINT
        };
        if wire_type != expected {
            return None;
        }
        let (number, rest) = varint::read(bytes)?;
        match self {
            Bool => (number <= 1).then_some(rest),
            Uint32 => u32::try_from(number).is_ok().then_some(rest),
            Number => Some(rest),
            Enumeration => is_signed_32(number).then_some(rest),
            Bytes => Some(rest.split_at_checked(usize::try_from(number).ok()?)?.1),
            Self::Message(message) => {
                let (inner, rest) = rest.split_at_checked(usize::try_from(number).ok()?)?;
                message.walk(inner, levels)?;
                Some(rest)
            }
        }
    }
}

/// True for what a signed number of 32 bits is written as: its sign goes on to the 64th bit.
fn is_signed_32(number: u64) -> bool {
    i32::try_from(number.cast_signed()).is_ok()
}

#[cfg(test)]
mod tests {
    use biscuit_auth::format::schema;
    use proptest::prelude::*;

    use super::*;

    /// How a generated message departs from what its writer would have written, if it does.
    #[derive(Clone, Copy, Debug)]
    struct Departure {
        /// Before so many more decisions nothing is done.
        after: u32,
        what: u8,
    }

    /// Writes messages after the tables, most of them as a writer would.
    struct Writer {
        choices: Vec<u8>,
        departure: Option<Departure>,
    }

    impl Writer {
        fn choose(&mut self, below: u8) -> u8 {
            self.choices.pop().unwrap_or(0) % below
        }

        /// Whether to depart here, in this one of eight ways.
        fn departs(&mut self, what: u8) -> bool {
            match &mut self.departure {
                Some(departure) if departure.what == what => {
                    if departure.after == 0 {
                        self.departure = None;
                        return true;
                    }
                    departure.after -= 1;
                    false
                }
                _ => false,
            }
        }

        fn message(&mut self, message: &Message, levels: u32, out: &mut Vec<u8>) {
            let mut fields = Vec::new();
            let alone = usize::from(self.choose(16)) % message.0.len().max(1);
            for (index, Field(rule, kind)) in message.0.iter().enumerate() {
                let count = match rule {
                    Required => u8::from(!self.departs(0)),
                    Optional => self.choose(2),
                    Repeated => self.choose(4),
                    OneOf => u8::from(index == alone || self.departs(1)),
                    Never => 0,
                };
                let again = u8::from(count > 0 && self.departs(2));
                for _ in 0..count + again {
                    fields.push((index, kind));
                }
            }
            if self.departs(3) {
                fields.reverse();
            }
            for (index, kind) in fields {
                let key = u64::try_from(index + 1).unwrap() << 3;
                self.field(key, *kind, levels, out);
            }
            if self.departs(4) {
                out.extend([0x58, 1]);
            }
        }

        fn field(&mut self, key: u64, kind: Kind, levels: u32, out: &mut Vec<u8>) {
            let small = self.choose(3).into();
            match kind {
                Bool => self.value(key, small % 2, out),
                Uint32 => {
                    let value = [small, 300, u32::MAX.into()][self.choice(3)];
                    self.value(key, value, out);
                }
                Number => {
                    let value = [small, 1_024, u64::MAX][self.choice(3)];
                    self.value(key, value, out);
                }
                Enumeration => {
                    let negative = (-1_i64).cast_unsigned();
                    let value = [small, 1_024, negative][self.choice(3)];
                    self.value(key, value, out);
                }
                Bytes => {
                    let text = vec![b'a'; [0, 3, 200][self.choice(3)]];
                    self.delimited(key, &text, out);
                }
                Kind::Message(message) => {
                    let mut inner = Vec::new();
                    // Without choices left only what must be there is written; deep down not even
                    // that, so that this ends.
                    if levels > 0 {
                        self.message(message, levels - 1, &mut inner);
                    }
                    self.delimited(key, &inner, out);
                }
            }
        }

        fn choice(&mut self, below: u8) -> usize {
            self.choose(below).into()
        }

        fn value(&mut self, key: u64, value: u64, out: &mut Vec<u8>) {
            self.varint(key, out);
            // Beyond what the field's type holds: cut off when it is read.
            let value = if self.departs(5) {
                value | 1 << 40
            } else {
                value
            };
            self.varint(value, out);
        }

        fn delimited(&mut self, key: u64, bytes: &[u8], out: &mut Vec<u8>) {
            self.varint(key | 2, out);
            self.varint(u64::try_from(bytes.len()).unwrap(), out);
            out.extend(bytes);
        }

        fn varint(&mut self, mut value: u64, out: &mut Vec<u8>) {
            let longer = self.departs(6);
            loop {
                let byte = u8::try_from(value & 0x7f).unwrap();
                value >>= 7;
                if value == 0 {
                    if longer {
                        out.extend([byte | 0x80, 0]);
                    } else {
                        out.push(byte);
                    }
                    return;
                }
                out.push(byte | 0x80);
            }
        }
    }

    fn written(message: &'static Message) -> impl Strategy<Value = Vec<u8>> {
        let departure = (0_u32..40, 0_u8..7).prop_map(|(after, what)| Departure { after, what });
        let departure = prop::option::of(departure);
        let choices = prop::collection::vec(any::<u8>(), 0..200);
        (
            departure,
            choices,
            any::<prop::sample::Index>(),
            any::<Option<u8>>(),
        )
            .prop_map(move |(departure, choices, at, byte)| {
                let mut writer = Writer { choices, departure };
                let mut out = Vec::new();
                writer.message(message, 12, &mut out);
                // Now and then any byte anywhere.
                if let (Some(byte), false) = (byte, out.is_empty()) {
                    let at = at.index(out.len());
                    out[at] = byte;
                }
                out
            })
    }

    /// What decoding and encoding by the library says; nothing of what does not decode.
    fn by_library<M: prost::Message + Default>(bytes: &[u8]) -> Option<bool> {
        M::decode(bytes)
            .ok()
            .map(|message| message.encode_to_vec() == bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8_192, ..ProptestConfig::default() })]

        #[test]
        fn a_block_is_canonical_if_the_library_writes_it_so(bytes in written(&BLOCK)) {
            if let Some(canonical) = by_library::<schema::Block>(&bytes) {
                prop_assert_eq!(BLOCK.is_canonical(&bytes), canonical);
            }
        }

        #[test]
        fn a_token_is_canonical_if_the_library_writes_it_so(bytes in written(&BISCUIT)) {
            if let Some(canonical) = by_library::<schema::Biscuit>(&bytes) {
                prop_assert_eq!(BISCUIT.is_canonical(&bytes), canonical);
            }
        }
    }

    #[test]
    fn what_is_generated_is_canonical_and_not_and_reaches_every_message() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut found = [0_u32; 3];
        for _ in 0..4_096 {
            let bytes = written(&BLOCK).new_tree(&mut runner).unwrap();
            let bytes = proptest::strategy::ValueTree::current(&bytes);
            match by_library::<schema::Block>(&bytes) {
                None => found[0] += 1,
                Some(false) => found[1] += 1,
                Some(true) => found[2] += 1,
            }
        }
        assert!(found.iter().all(|count| *count > 200), "{found:?}");
    }

    #[test]
    fn as_many_levels_are_followed_as_the_library_decodes() {
        let term = |set: &[u8]| delimited(7, set);
        let set = |term: &[u8]| delimited(1, term);
        let (mut bytes, mut canonical) = (Vec::new(), 0);
        for _ in 0..60 {
            let by_library = by_library::<schema::TermSet>(&bytes).unwrap_or(false);
            assert_eq!(TERMS.is_canonical(&bytes), by_library);
            canonical += u32::from(by_library);
            bytes = set(&term(&bytes));
        }
        assert_eq!(canonical, 51);
    }

    fn delimited(field: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer {
            choices: Vec::new(),
            departure: None,
        };
        writer.delimited(field << 3, bytes, &mut out);
        out
    }
}
