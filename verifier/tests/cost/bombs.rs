//! Tokens that fill 16 KiB with what takes most memory or time for its bytes.

use biscuit_auth::format::schema::{self, op, term};
use serde_json::json;

use crate::{
    case::Case,
    forge::Draft,
    scene::{Presented, case, token},
};

/// The most bytes a token may have.
const TOKEN_BYTES: usize = 16_384;

/// How a block is filled: with so many of something.
type Fill = Box<dyn Fn(&mut schema::Block, usize)>;

/// Every bomb, as large as a token may be, with the usual call and with one that works for it.
pub(crate) fn bombs() -> Vec<Case> {
    let usual = token(&[EXPIRY]);
    let of_parts = parts().into_iter().map(|(name, fill)| {
        let bomb = largest(|count| usual.clone().edit(1, |block| fill(block, count)));
        let verdict = match name {
            // Counted before they are read.
            "checks" => "limit_exceeded",
            "operations" => "malformed_token",
            "symbols" => "allow",
            _ => "profile_violation",
        };
        case(name, verdict, &bomb, "")
    });
    let of_names = NAMES.into_iter().map(|(name, before, after)| {
        let long = "n".repeat(7_000);
        let once = token(&[&format!("check if {before}[\"{long}\"]{after};")]);
        let bomb = largest(|count| {
            let repeat = |block: &mut schema::Block| repeat_list(operations(block), count);
            once.clone().edit(1, repeat)
        });
        case(name, "limit_exceeded", &bomb, "")
    });
    of_parts
        .chain(of_names)
        .chain([many_prefixes()])
        .chain(calls())
        .collect()
}

const EXPIRY: &str = "check if time($t), $t <= 2030-01-01T00:00:00Z;";

/// The draft with most parts that still is a token, filled up to the last byte but a few.
fn largest(make: impl Fn(usize) -> Draft) -> Draft {
    let fits = |count: &usize| make(*count).bytes().len() <= TOKEN_BYTES;
    let (mut least, mut most) = (0, TOKEN_BYTES);
    while most - least > 1 {
        let middle = usize::midpoint(least, most);
        match fits(&middle) {
            true => least = middle,
            false => most = middle,
        }
    }
    let draft = make(least);
    let length = draft.bytes().len();
    assert!(
        (TOKEN_BYTES - 64..=TOKEN_BYTES).contains(&length),
        "{length}"
    );
    draft
}

fn value(content: term::Content) -> schema::Op {
    schema::Op {
        content: Some(op::Content::Value(schema::Term {
            content: Some(content),
        })),
    }
}

fn first_query(block: &mut schema::Block) -> &mut schema::Rule {
    &mut block.checks[0].queries[0]
}

/// Many of each part of the format, as small as it can be written.
fn parts() -> Vec<(&'static str, Fill)> {
    let predicate = || schema::Predicate {
        name: 27,
        terms: Vec::new(),
    };
    let rule = move || schema::Rule {
        head: predicate(),
        body: Vec::new(),
        expressions: Vec::new(),
        scope: Vec::new(),
    };
    let nothing = || schema::Term { content: None };
    let empty_op = || schema::Op { content: None };
    let nested = |leaves: Vec<schema::Op>, depth: usize| {
        (0..depth).fold(leaves, |ops, _| {
            let params = Vec::new();
            let closure = schema::OpClosure { params, ops };
            vec![schema::Op {
                content: Some(op::Content::Closure(closure)),
            }]
        })
    };
    vec![
        (
            "facts",
            Box::new(move |block, n| {
                let fact = schema::Fact {
                    predicate: predicate(),
                };
                block.facts = vec![fact; n];
            }),
        ),
        (
            "rules",
            Box::new(move |block, n| block.rules = vec![rule(); n]),
        ),
        (
            "queries",
            Box::new(move |block, n| block.checks[0].queries = vec![rule(); n]),
        ),
        (
            "checks",
            Box::new(move |block, n| {
                let check = schema::Check {
                    queries: Vec::new(),
                    kind: None,
                };
                block.checks = vec![check; n];
            }),
        ),
        (
            "predicates",
            Box::new(move |block, n| first_query(block).body = vec![predicate(); n]),
        ),
        (
            "terms",
            Box::new(move |block, n| first_query(block).body[0].terms = vec![nothing(); n]),
        ),
        (
            "expressions",
            Box::new(move |block, n| {
                let expression = schema::Expression { ops: Vec::new() };
                first_query(block).expressions = vec![expression; n];
            }),
        ),
        (
            "operations",
            Box::new(move |block, n| {
                first_query(block).expressions[0].ops = vec![empty_op(); n];
            }),
        ),
        (
            "operations-nested",
            Box::new(move |block, n| {
                first_query(block).expressions[0].ops = nested(vec![empty_op(); n], 40);
            }),
        ),
        (
            "list",
            Box::new(move |block, n| {
                let list = term::Content::Array(schema::Array {
                    array: vec![nothing(); n],
                });
                first_query(block).expressions[0].ops[1] = value(list);
            }),
        ),
        (
            "map",
            Box::new(move |block, n| {
                let entry = schema::MapEntry {
                    key: schema::MapKey { content: None },
                    value: nothing(),
                };
                let map = term::Content::Map(schema::Map {
                    entries: vec![entry; n],
                });
                first_query(block).expressions[0].ops[1] = value(map);
            }),
        ),
        (
            "scopes",
            Box::new(move |block, n| {
                block.scope = vec![schema::Scope { content: None }; n];
            }),
        ),
        (
            "keys",
            Box::new(move |block, n| {
                let key = schema::PublicKey {
                    algorithm: 0,
                    key: Vec::new(),
                };
                block.public_keys = vec![key; n];
            }),
        ),
        (
            "symbols",
            Box::new(move |block, n| {
                block.symbols.extend((0..n).map(|n| format!("~{n:x}")));
            }),
        ),
    ]
}

/// One long name in a list that is then filled with it as often as there is room: the name is
/// written once. Each bomb with what stands before and after its list.
const NAMES: [(&str, &str, &str); 7] = [
    ("name-tools", "tool($t), ", ".contains($t)"),
    ("name-access", "access($a), ", ".contains($a)"),
    ("name-one-of", "args($a), ", ".contains($a.get(\"n\"))"),
    (
        "name-all-of",
        "args($a), ",
        ".all($x -> $a.get(\"n\").contains($x))",
    ),
    (
        "name-subset",
        "args($a), $a.get(\"n\").all($x -> ",
        ".contains($x))",
    ),
    (
        "name-closed",
        "args($a), $a.all($kv -> ",
        ".contains($kv.get(0)))",
    ),
    ("name-path", "path_arg(\"n\", $p), $p.starts_with(", ")"),
];

fn operations(block: &mut schema::Block) -> &mut Vec<schema::Op> {
    &mut first_query(block).expressions[0].ops
}

/// Fills the first list among the operations with its first item.
fn repeat_list(ops: &mut [schema::Op], count: usize) {
    for op in ops {
        match &mut op.content {
            Some(op::Content::Value(schema::Term {
                content: Some(term::Content::Array(list)),
            })) => {
                list.array = vec![list.array[0].clone(); count];
                return;
            }
            Some(op::Content::Closure(closure)) => repeat_list(&mut closure.ops, count),
            _ => {}
        }
    }
}

/// As many alternatives as there is room for, each a path with the same long name.
fn many_prefixes() -> Case {
    let one = format!("$r.starts_with([\"{}\"])", "n".repeat(7_000));
    let two = token(&[&format!("check if resource($r), {one} || {one};")]);
    let bomb = largest(|count| {
        two.clone().edit(1, |block| {
            let ops = operations(block);
            let link = ops.split_off(3);
            ops.extend(vec![link; count].concat());
        })
    });
    case("name-resource", "limit_exceeded", &bomb, "")
}

/// Small tokens before calls that ask for many comparisons of long texts.
fn calls() -> Vec<Case> {
    let long = "n".repeat(4_000);
    let names = vec![format!("\"{long}n\""); 12].join(",");
    let subset = format!("check if args($a), $a.get(\"n\").any($x -> [{names}].contains($x));");
    let items = vec![format!("{long}m"); 500];
    let prefix = format!("$r.starts_with([\"{}n\"])", &long[..3_999]);
    let under = format!("check if resource($r), {};", vec![prefix; 16].join(" || "));
    let resource = format!("{}m", &long[..3_999]);
    let granted = crate::scene::authority_with(&format!(
        "grant(\"g\", \"files.read_file\", \"read\", [\"{resource}\"])"
    ));
    let closed = format!("check if args($a), $a.all($kv -> [{names}].contains($kv.get(0)));");
    let arguments: serde_json::Map<_, _> = (0..400)
        .map(|n| (format!("{}{n:03}", &long[..3_998]), json!(n)))
        .collect();
    vec![
        case("call-subset", "limit_exceeded", &token(&[&subset]), "").args(json!({ "n": items })),
        case(
            "call-resources",
            "limit_exceeded",
            &Draft::of(&granted, &[under.as_str(); 2]),
            "",
        )
        .resources(&[resource.as_str(); 64]),
        case("call-closed", "limit_exceeded", &token(&[&closed]), "").args(json!(arguments)),
    ]
}

/// The same token with a broken last signature, as anyone can write it.
pub(crate) fn unsigned(bomb: &Case) -> Case {
    let mut bytes = bailiwick_datalog::token_text::decode(bomb.token.as_deref().unwrap()).unwrap();
    // The proof, a secret of 32 bytes, ends the token.
    *bytes.last_mut().unwrap() ^= 1;
    let verdict = match bomb.id.as_str() {
        // Costs more than a signature to encode again, so it is refused before.
        "operations-nested" => "profile_violation",
        _ => "bad_signature",
    };
    Case {
        id: format!("{}-unsigned", bomb.id),
        token: Some(bytes.presented()),
        expect: crate::case::Expect::of(verdict),
        ..bomb.clone()
    }
}
