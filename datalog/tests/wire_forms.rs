//! Checks as a hand can write them on the wire and no library does: a shape is recognised only
//! when every variable stands where it must. Signatures are not looked at here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bailiwick_datalog::{
    Access, Audience, Authority, Caveat, Chain, ChainError, Grant, ResourcePath, Timestamp,
    ToolName,
};
use biscuit_auth::{
    KeyPair,
    builder::{Algorithm, BlockBuilder},
    format::schema::{self, op, term},
};
use prost::Message;
use rand::{SeedableRng, rngs::StdRng};

/// One of each shape that has a variable.
const SHAPES: [&str; 24] = [
    "time($v), $v <= 2030-01-01T00:00:00Z",
    "tool($v), [\"x\"].contains($v)",
    "tool($v), {\"x\"}.contains($v)",
    "access($v), [\"read\"].contains($v)",
    "resource($v), $v.starts_with([\"a\"])",
    "resource($v), $v.starts_with([\"a\"]) || $v.starts_with([\"b\"])",
    "depth($v), $v <= 3",
    "args($v), $v.get(\"n\") == 1",
    "args($v), [1].contains($v.get(\"n\"))",
    "args($v), $v.get(\"n\") >= 1, $v.get(\"n\") <= 9",
    "args($v), $v.get(\"n\").starts_with(\"p\")",
    "args($v), $v.get(\"n\").ends_with(\"s\")",
    "args($v), $v.get(\"n\").all($p -> [1].contains($p))",
    "args($v), $v.get(\"n\").any($p -> [1].contains($p))",
    "args($v), [1].all($p -> $v.get(\"n\").contains($p))",
    "args($v), $v.get(\"n\").length() <= 3",
    "args($v), !$v.contains(\"n\") || $v.get(\"n\") == 1",
    "args($v), !$v.contains(\"n\") || $v.get(\"n\").all($p -> [1].contains($p))",
    "args($v), $v.contains(\"n\")",
    "args($v), !$v.contains(\"n\")",
    "args($v), $v.all($p -> [\"n\"].contains($p.get(0)))",
    "path_arg(\"n\", $v), $v.starts_with([\"a\"])",
    "url_arg(\"n\", $v), $v.get(\"host\") == \"h\"",
    "url_arg(\"n\", $v), $v.get(\"path\").starts_with(\"/\"), $v.get(\"port\") == 1",
];

fn authority() -> Authority {
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "agent".parse().unwrap(),
        task: "tidy the reports".to_owned(),
        request_digest: [7; 32],
        audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
        issued_at: Timestamp::from_unix(1_000),
        expires_at: Timestamp::from_unix(2_000),
        max_depth: 3,
        holder: None,
        grants: vec![Grant {
            id: "g1".to_owned(),
            tool: ToolName::parse("files.read_file").unwrap(),
            access: Access::Read,
            path: ResourcePath::parse("files/reports").unwrap(),
        }],
        limits: Vec::new(),
    }
}

/// A token with one later block, as its messages.
fn token(block: &str) -> (schema::Biscuit, schema::Block) {
    let key = KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(1));
    let builder = authority().to_builder().unwrap().root_key_id(1);
    let token = builder.build(&key).unwrap();
    let block = BlockBuilder::new().code(block).unwrap();
    let bytes = token.append(block).unwrap().to_vec().unwrap();
    let message = schema::Biscuit::decode(bytes.as_slice()).unwrap();
    let block = schema::Block::decode(message.blocks[0].block.as_slice()).unwrap();
    (message, block)
}

fn read(message: &schema::Biscuit, block: &schema::Block) -> Result<Vec<Caveat>, ChainError> {
    let mut message = message.clone();
    message.blocks[0].block = block.encode_to_vec();
    let chain = Chain::decode_unverified(&message.encode_to_vec())?;
    Ok(chain.blocks()[0].content.caveats.clone())
}

/// Every place of a variable in a query: in its predicate, in its operations, and among the
/// parameters of closures.
fn variables(query: &mut schema::Rule) -> Vec<&mut u32> {
    let predicates = query.body.iter_mut().flat_map(|p| &mut p.terms);
    let mut places: Vec<_> = predicates.filter_map(of_term).collect();
    let expressions = query.expressions.iter_mut();
    places.extend(expressions.flat_map(|e| &mut e.ops).flat_map(of_op));
    places
}

fn of_term(term: &mut schema::Term) -> Option<&mut u32> {
    match &mut term.content {
        Some(term::Content::Variable(variable)) => Some(variable),
        _ => None,
    }
}

fn of_op(op: &mut schema::Op) -> Vec<&mut u32> {
    match &mut op.content {
        Some(op::Content::Value(term)) => of_term(term).into_iter().collect(),
        Some(op::Content::Closure(closure)) => {
            let params = closure.params.iter_mut();
            params
                .chain(closure.ops.iter_mut().flat_map(of_op))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn query(block: &mut schema::Block) -> &mut schema::Rule {
    &mut block.checks[0].queries[0]
}

fn assert_outside_the_profile(answer: &Result<Vec<Caveat>, ChainError>, what: &str) {
    assert!(
        matches!(answer, Err(ChainError::Profile { block: 1, .. })),
        "{what}: {answer:?}"
    );
}

/// "query", a symbol that every token has and no shape uses as a variable.
const OTHER: u32 = 27;

#[test]
fn a_variable_that_stands_alone_makes_no_shape() {
    for shape in SHAPES {
        let (message, block) = token(&format!("check if {shape};"));
        assert_eq!(read(&message, &block).unwrap().len(), 1, "{shape}");
        let places = variables(query(&mut block.clone())).len();
        assert!(places >= 2, "{shape}");
        for place in 0..places {
            let mut block = block.clone();
            *variables(query(&mut block))[place] = OTHER;
            let what = format!("{shape}, variable {place}");
            assert_outside_the_profile(&read(&message, &block), &what);
        }
    }
}

#[test]
fn names_of_variables_do_not_matter() {
    for shape in SHAPES {
        let (message, mut block) = token(&format!("check if {shape};"));
        let caveats = read(&message, &block).unwrap();
        let first = *variables(query(&mut block))[0];
        for variable in variables(query(&mut block)) {
            if *variable == first {
                *variable = OTHER;
            }
        }
        assert_eq!(read(&message, &block).unwrap(), caveats, "{shape}");
    }
}

#[test]
fn a_parameter_does_not_hide_the_variable_of_the_query() {
    let mut closures = 0;
    for shape in SHAPES.iter().filter(|shape| shape.contains("$p")) {
        let (message, mut block) = token(&format!("check if {shape};"));
        let outer = *variables(query(&mut block))[0];
        for variable in variables(query(&mut block)) {
            *variable = outer;
        }
        assert_outside_the_profile(&read(&message, &block), shape);
        closures += 1;
    }
    assert_eq!(closures, 5);
}

#[test]
fn conditions_beside_a_shape_make_it_none() {
    for check in [
        "request_audience(\"http://127.0.0.1:8401/mcp\"), true",
        "tool(\"x\"), true",
        "access(\"read\"), true",
        "tool($v), [\"x\"].contains($v), true",
        "time($v), $v <= 2030-01-01T00:00:00Z, true",
        "depth($v), $v <= 3, true",
        "args($v), $v.get(\"n\") >= 1, $v.get(\"m\") <= 9",
        "args($v), $v.get(\"n\") >= 1, !$v.contains(\"n\") || $v.get(\"n\") <= 9",
        "args($v), !$v.contains(\"n\") || $v.get(\"n\") >= 1, $v.get(\"n\") <= 9",
        "args($v), !$v.contains(\"n\") || $v.get(\"m\") == 1",
        "args($v), $v.get(\"n\") <= 9, $v.get(\"n\") >= 1",
        "args($v), $v.get(\"n\") >= 1, $v.get(\"n\") >= 1",
        "args($v), $v.get(\"n\") == 1, true",
        "args($v)",
        "resource($v)",
        "url_arg(\"n\", $v)",
        "url_arg(\"n\", $v), $v.get(\"host\").ends_with(\"h\")",
        "url_arg(\"n\", $v), $v.get(\"host\") == \"h\", $v.get(\"host\") == \"h\"",
    ] {
        let (message, block) = token(&format!("check if {check};"));
        assert_outside_the_profile(&read(&message, &block), check);
    }
}

#[test]
fn a_limit_of_a_tool_excludes_the_tool_that_its_variable_is() {
    let limits = vec![bailiwick_datalog::ToolLimit {
        tool: "files.read_file".parse().unwrap(),
        caveat: Caveat::ClosedWorld(vec!["path".to_owned()]),
    }];
    let key = KeyPair::new_with_rng(Algorithm::Ed25519, &mut StdRng::seed_from_u64(1));
    let limited = Authority {
        limits,
        ..authority()
    };
    let builder = limited.to_builder().unwrap().root_key_id(1);
    let bytes = builder.build(&key).unwrap().to_vec().unwrap();
    let message = schema::Biscuit::decode(bytes.as_slice()).unwrap();
    let block = schema::Block::decode(message.authority.block.as_slice()).unwrap();
    let (at, _) = block
        .checks
        .iter()
        .enumerate()
        .find(|(_, check)| check.queries.len() == 2)
        .unwrap();
    let places = variables(&mut block.clone().checks[at].queries[0]).len();
    assert_eq!(places, 2);
    for place in 0..places {
        let (mut message, mut block) = (message.clone(), block.clone());
        *variables(&mut block.checks[at].queries[0])[place] = OTHER;
        message.authority.block = block.encode_to_vec();
        let read = Chain::decode_unverified(&message.encode_to_vec());
        assert!(
            matches!(read, Err(ChainError::Profile { block: 0, .. })),
            "{read:?}"
        );
    }
}
