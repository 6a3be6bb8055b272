//! Bytes that mean a token without being its one encoding, and texts that mean its bytes.

use biscuit_auth::format::schema::{self, check, op, op_unary, term};
use prost::Message;

use crate::{
    case::Case,
    forge::Draft,
    scene::{case, token},
};

/// A block of Datalog version 3 with one check.
const PLAIN: &str = "check if access(\"read\");";

pub(crate) fn narrowed() -> Draft {
    token(&["delegate(\"sub-1\");", PLAIN])
}

pub(crate) fn cases() -> Vec<Case> {
    [outer(), inner(), versions(), symbols()].concat()
}

fn outer() -> Vec<Case> {
    let bytes = narrowed().bytes();
    let (id, rest) = bytes.split_at(2);
    assert_eq!(id, [0x08, 0x01], "the root key id comes first");
    let malformed = |id: &str, bytes: Vec<u8>, why: &str| case(id, "malformed_token", &bytes, why);
    let mut wrong_type = bytes.clone();
    wrong_type[0] = 0x0a;
    vec![
        malformed(
            "bytes-unknown-field",
            [bytes.as_slice(), &[0x78, 0x01]].concat(),
            "A field that the format does not know survives in other readers (rule 14).",
        ),
        malformed(
            "bytes-unknown-message",
            [bytes.as_slice(), &[0x7a, 0x02, 0x61, 0x62]].concat(),
            "Unknown bytes behind the token, which no signature covers (rule 14).",
        ),
        malformed(
            "bytes-trailing-zero",
            [bytes.as_slice(), &[0]].concat(),
            "A zero behind the token is no field (rule 14).",
        ),
        malformed(
            "bytes-twice",
            [bytes.clone(), bytes.clone()].concat(),
            "Protobuf merges two messages one behind the other (rule 14).",
        ),
        malformed(
            "bytes-fields-moved",
            [rest, id].concat(),
            "The key id behind the blocks (rule 14).",
        ),
        malformed(
            "bytes-key-id-twice",
            [id, id, rest].concat(),
            "The last of two key ids would win (rule 14).",
        ),
        malformed(
            "bytes-key-id-first-other",
            [&[0x08, 0x02], id, rest].concat(),
            "Two readers may take different ones of two key ids (rule 14).",
        ),
        malformed(
            "bytes-key-id-long-varint",
            [&[0x08, 0x81, 0x00], rest].concat(),
            "One in two bytes where one byte does (rule 14).",
        ),
        malformed(
            "bytes-key-id-longest-varint",
            [
                &[
                    0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
                ],
                rest,
            ]
            .concat(),
            "One in ten bytes (rule 14).",
        ),
        malformed(
            "bytes-key-id-beyond-32-bits",
            [&[0x08, 0x81, 0x80, 0x80, 0x80, 0x10], rest].concat(),
            "2^32 + 1, which 32 bits cut down to 1 (rule 14).",
        ),
        malformed(
            "bytes-key-id-of-another-type",
            wrong_type,
            "The key id's field with another wire type (rule 14).",
        ),
        malformed(
            "bytes-group",
            [bytes.as_slice(), &[0x7b, 0x7c]].concat(),
            "A group, which protobuf has left behind (rule 14).",
        ),
        malformed(
            "bytes-cut-off",
            bytes[..bytes.len() - 1].to_vec(),
            "One byte is missing at the end (rule 21).",
        ),
        malformed(
            "bytes-only-key-id",
            id.to_vec(),
            "A key id and nothing signed by it (rule 21).",
        ),
        malformed(
            "bytes-length-beyond-end",
            vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f],
            "A length of 4 GiB that nothing follows (rule 21).",
        ),
        malformed("bytes-of-ff", vec![0xff; 64], "No varint ends (rule 21)."),
        malformed(
            "bytes-signature-version-zero",
            {
                let mut message = narrowed().signature_version(None).sign();
                message.blocks[1].version = Some(0);
                message.encode_to_vec()
            },
            "A signature version written out though it is the default (rule 14).",
        ),
        case(
            "bytes-negative-algorithm-name",
            "unsupported_algorithm",
            &{
                let mut message = narrowed().sign();
                message.authority.next_key.algorithm = i32::MIN;
                message
            },
            "An algorithm that is no algorithm (rule 11).",
        ),
    ]
}

fn inner() -> Vec<Case> {
    let resigned = |id: &str, change: &dyn Fn(&mut Vec<u8>), why: &str| {
        case(
            id,
            "malformed_token",
            &narrowed().edit_bytes(2, |bytes| change(bytes)),
            why,
        )
    };
    let version = |bytes: &[u8]| {
        bytes
            .windows(2)
            .position(|field| field == [0x18, 0x03])
            .unwrap()
    };
    vec![
        resigned(
            "block-unknown-field",
            &|bytes| bytes.extend([0x78, 0x01]),
            "An unknown field inside what is signed (rule 14).",
        ),
        resigned(
            "block-fields-moved",
            &|bytes| {
                let at = version(bytes);
                bytes.drain(at..at + 2);
                bytes.splice(0..0, [0x18, 0x03]);
            },
            "The version in front of the symbols, signed so (rule 14).",
        ),
        resigned(
            "block-version-twice",
            &|bytes| {
                let at = version(bytes);
                bytes.splice(at..at, [0x18, 0x06]);
            },
            "Version 6 and then version 3 (rule 14).",
        ),
        resigned(
            "block-version-long-varint",
            &|bytes| {
                let at = version(bytes);
                bytes.splice(at + 1..at + 2, [0x83, 0x00]);
            },
            "Three in two bytes (rule 14).",
        ),
        case(
            "block-check-of-nothing",
            "profile_violation",
            &narrowed().edit_bytes(2, |bytes| bytes.extend([0x32, 0x00])),
            "An empty check behind the others, canonical and without a query (rule 17).",
        ),
        resigned(
            "block-of-noise",
            &|bytes| *bytes = (0..64_u8).map(|n| n.wrapping_mul(7)).collect(),
            "Bytes that are no block, signed by their holder (rule 21).",
        ),
        resigned(
            "block-symbol-not-text",
            &|bytes| {
                let at = bytes.len();
                bytes.splice(0..0, [0x0a, 0x02, 0xff, 0xfe]);
                assert!(bytes.len() > at);
            },
            "A symbol that is not UTF-8 (rule 21).",
        ),
        case(
            "block-check-kind-default",
            "malformed_token",
            &narrowed().edit(2, |block| {
                block.checks[0].kind = Some(i32::from(check::Kind::One))
            }),
            "`check if` written out though it is the default (rule 14).",
        ),
        case(
            "block-check-kind-unheard",
            "malformed_token",
            &narrowed().edit(2, |block| block.checks[0].kind = Some(9)),
            "A kind of check that does not exist (rule 21).",
        ),
        case(
            "block-operation-unheard",
            "malformed_token",
            &token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]).edit(1, |block| {
                let ops = &mut block.checks[0].queries[0].expressions[0].ops;
                ops[2].content = Some(op::Content::Unary(schema::OpUnary {
                    kind: 99,
                    ffi_name: None,
                }));
            }),
            "An operation that does not exist (rule 21).",
        ),
        case(
            "block-operation-empty",
            "malformed_token",
            &token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]).edit(1, |block| {
                block.checks[0].queries[0].expressions[0].ops[1].content = None
            }),
            "An operation that says nothing (rule 21).",
        ),
        case(
            "block-negation-of-nothing",
            "profile_violation",
            &token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]).edit(1, |block| {
                let ops = &mut block.checks[0].queries[0].expressions[0].ops;
                ops.truncate(0);
                ops.push(schema::Op {
                    content: Some(op::Content::Unary(schema::OpUnary {
                        kind: i32::from(op_unary::Kind::Negate),
                        ffi_name: None,
                    })),
                });
            }),
            "An operation on an empty stack has no shape of the list (rule 17).",
        ),
        case(
            "block-query-empty",
            "profile_violation",
            &narrowed().edit(2, |block| {
                let query = &mut block.checks[0].queries[0];
                query.body.clear();
                query.expressions.clear();
            }),
            "A query about nothing is always true (rule 17).",
        ),
        case(
            "block-queries-none",
            "profile_violation",
            &narrowed().edit(2, |block| block.checks[0].queries.clear()),
            "A check without a query (rule 17).",
        ),
        case(
            "block-expression-empty",
            "profile_violation",
            &token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]).edit(1, |block| {
                block.checks[0].queries[0].expressions[0].ops.clear()
            }),
            "An expression without operations (rule 17).",
        ),
        case(
            "block-head-with-terms",
            "profile_violation",
            &narrowed().edit(2, |block| {
                let term = block.checks[0].queries[0].body[0].terms[0].clone();
                block.checks[0].queries[0].head.terms.push(term);
            }),
            "A check's query has no head of its own (rule 17).",
        ),
        case(
            "block-variable-without-name",
            "malformed_token",
            &token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]).edit(1, |block| {
                let query = &mut block.checks[0].queries[0];
                query.body[0].terms[0].content = Some(term::Content::Variable(u32::MAX));
                let ops = &mut query.expressions[0].ops;
                ops[0].content = Some(op::Content::Value(schema::Term {
                    content: Some(term::Content::Variable(u32::MAX)),
                }));
            }),
            "A variable whose number stands for no name, which the library looks up and errs (rule 21).",
        ),
        case(
            "block-variable-without-binding",
            "profile_violation",
            &token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]).edit(1, |block| {
                let ops = &mut block.checks[0].queries[0].expressions[0].ops;
                ops[0].content = Some(op::Content::Value(schema::Term {
                    content: Some(term::Content::Variable(5)),
                }));
            }),
            "A variable that the predicate does not bind (rule 17).",
        ),
    ]
}

fn versions() -> Vec<Case> {
    let declared = |source: &str, version: Option<u32>| {
        token(&[source]).edit(1, |block| block.version = version)
    };
    let all = "check all access(\"read\");";
    let exact = "check if args($a), $a.get(\"path\") == \"reports/q3.md\";";
    let later = |id: &str, source: &str, version, verdict: &str, why: &str| {
        case(id, verdict, &declared(source, version), why)
    };
    vec![
        later(
            "version-3",
            PLAIN,
            Some(3),
            "allow",
            "The oldest version that libraries write (rule 13).",
        ),
        later(
            "version-4-for-3",
            PLAIN,
            Some(4),
            "allow",
            "A newer version than needed (rule 13).",
        ),
        later(
            "version-5-for-3",
            PLAIN,
            Some(5),
            "allow",
            "A newer version than needed (rule 13).",
        ),
        later(
            "version-6-for-3",
            PLAIN,
            Some(6),
            "allow",
            "The newest version, as some libraries always write (rule 13).",
        ),
        later(
            "version-2",
            PLAIN,
            Some(2),
            "profile_violation",
            "Older than any library writes (rule 13).",
        ),
        later(
            "version-7",
            PLAIN,
            Some(7),
            "profile_violation",
            "Newer than any library writes (rule 13).",
        ),
        later(
            "version-greatest",
            PLAIN,
            Some(u32::MAX),
            "profile_violation",
            "Newer than any library writes (rule 13).",
        ),
        later(
            "version-missing",
            PLAIN,
            None,
            "profile_violation",
            "A block says its version (rule 13).",
        ),
        later(
            "version-3-with-check-all",
            all,
            Some(3),
            "profile_violation",
            "`check all` came with version 4, so version 3 can't hold it (rule 13).",
        ),
        later(
            "version-4-with-check-all",
            all,
            Some(4),
            "allow",
            "`check all` came with version 4 (rule 13).",
        ),
        later(
            "version-5-with-exact-argument",
            exact,
            Some(5),
            "profile_violation",
            "`==` between types came with version 6 (rule 13).",
        ),
        later(
            "version-6-with-exact-argument",
            exact,
            Some(6),
            "allow",
            "`==` between types came with version 6 (rule 13).",
        ),
    ]
}

fn symbols() -> Vec<Case> {
    let with = |id: &str, verdict: &str, change: &dyn Fn(&mut schema::Block), why: &str| {
        case(id, verdict, &narrowed().edit(2, |block| change(block)), why)
    };
    vec![
        with(
            "symbol-unused",
            "allow",
            &|block| block.symbols.push("nobody says this".to_owned()),
            "Symbols that nothing uses are fine (rule 13).",
        ),
        with(
            "symbol-empty-text",
            "allow",
            &|block| block.symbols.push(String::new()),
            "An empty symbol that nothing uses (rule 13).",
        ),
        with(
            "symbol-of-the-authority-again",
            "malformed_token",
            &|block| block.symbols.push("s-1".to_owned()),
            "A symbol of an earlier block listed again gives one text two numbers (rule 21).",
        ),
        with(
            "symbol-twice",
            "malformed_token",
            &|block| block.symbols.extend(["x".to_owned(), "x".to_owned()]),
            "A symbol twice in one block (rule 21).",
        ),
        with(
            "symbol-of-the-format-again",
            "malformed_token",
            &|block| block.symbols.push("read".to_owned()),
            "A symbol that every token has without listing it (rule 21).",
        ),
        with(
            "symbol-undefined",
            "malformed_token",
            &|block| block.checks[0].queries[0].body[0].name = 5_000,
            "A number that no table in force has (rule 21).",
        ),
        with(
            "symbol-reserved-range",
            "malformed_token",
            &|block| block.checks[0].queries[0].body[0].name = 28,
            "A number between the format's own symbols and the token's (rule 21).",
        ),
        with(
            "symbol-greatest",
            "malformed_token",
            &|block| block.checks[0].queries[0].body[0].name = u64::MAX,
            "The greatest number, which overflows when counted up (rule 21).",
        ),
        case(
            "symbol-of-a-later-block",
            "malformed_token",
            &token(&[PLAIN, "delegate(\"sub-9\");"]).edit(1, |block| {
                block.checks[0].queries[0].body[0].terms[0].content =
                    Some(term::Content::String(1_024 + 90));
            }),
            "A block can't speak with symbols that come after it (rule 21).",
        ),
    ]
}
