//! Tokens made to cost time: good signatures over blocks that fill the largest token.
//!
//! Most are written as Datalog by the Biscuit library. What its parser would not survive is put
//! together from messages and signed here, as a holder with malice would.

use bailiwick_datalog::{Access, ArgumentConstraint, ArgumentRule, Call, Caveat, LaterBlock};
use bailiwick_datalog::{ResourcePath, Scalar, ToolName, limits, token_text::MAX_TOKEN_BYTES};
use biscuit_auth::{
    Biscuit,
    builder::BlockBuilder,
    format::schema::{self, op, op_unary, proof, public_key, term},
};
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;

use crate::{Failure, Fixture, authority, mint};

/// A token and the call that it is presented for.
pub struct Bomb {
    /// What it tries.
    pub name: &'static str,
    /// The token's bytes, as many as fit.
    pub token: Vec<u8>,
    /// The call.
    pub call: Call,
    /// The code that it must be refused with; none where it is inside the profile and allowed.
    pub code: Option<&'static str>,
}

/// Every bomb.
///
/// # Errors
/// When a fixture does not build.
pub fn bombs() -> Fixture<Vec<Bomb>> {
    let repeated = |part: &str, count: usize| part.repeat(count);
    Ok(vec![
        written("cross_join", |count| {
            let facts: String = (0..count).map(|n| format!("f({n});")).collect();
            format!("{facts} check if f($a), f($b), f($c), f($d), $a + $b + $c + $d < 0;")
        })?,
        written("regex", |count| {
            let pattern = repeated("(a|b)*", count);
            format!("check if tool($t), $t.matches(\"{pattern}(a+)+$\");")
        })?,
        written("closure", |count| {
            let nested = ", $a.get(\"n\").all($x -> $a.get(\"n\").all($y -> $x == $y))";
            format!("check if args($a){};", repeated(nested, count))
        })?,
        written("facts", |count| {
            (0..count).map(|n| format!("f({n});")).collect()
        })?,
        written("symbols", |count| {
            let names: Vec<String> = (0..count).map(|n| format!("\"s{n}\"")).collect();
            format!("check if tool($t), [{}].contains($t);", names.join(","))
        })?,
        written("rules", |count| {
            repeated("f($a, $c) <- f($a, $b), f($b, $c);", count)
        })?,
        forged("nesting", |count| check_of(negations(count)))?,
        forged("nested_lists", |count| check_of(lists(count)))?,
        full_chain()?,
        long_list()?,
    ])
}

/// A token whose one later block is this Datalog, as long as fits.
fn written(name: &'static str, source: impl Fn(usize) -> String) -> Fixture<Bomb> {
    let parent = mint(&authority()?)?;
    let token = |count: usize| -> Fixture<Vec<u8>> {
        let block = BlockBuilder::new().code(source(count))?;
        Ok(parent.append(block)?.to_vec()?)
    };
    let code = match name {
        "symbols" => "caveat_failed",
        _ => "profile_violation",
    };
    Ok(Bomb {
        name,
        token: token(most_that_fits(&token)?)?,
        call: crate::call()?,
        code: Some(code),
    })
}

/// A token whose one later block is this message, as large as fits.
fn forged(name: &'static str, block: impl Fn(usize) -> schema::Block) -> Fixture<Bomb> {
    let parent = mint(&authority()?)?;
    let token = |count: usize| append(&parent, &block(count));
    Ok(Bomb {
        name,
        token: token(most_that_fits(&token)?)?,
        call: crate::call()?,
        code: Some(match name {
            "nesting" => "profile_violation",
            _ => "malformed_token",
        }),
    })
}

/// Seventeen blocks with as many checks as a block may have or as fit, all of which hold.
fn full_chain() -> Fixture<Bomb> {
    let token = |count: usize| -> Fixture<Vec<u8>> {
        let block = LaterBlock {
            caveats: vec![Caveat::Tools(vec!["files.read_file".to_owned()]); count],
            ..LaterBlock::default()
        };
        let mut token = mint(&authority()?)?;
        for _ in 1..limits::MAX_BLOCKS {
            token = token.append(block.to_builder()?)?;
        }
        Ok(token.to_vec()?)
    };
    let mut counts = (1..=limits::MAX_CHECKS_PER_BLOCK).rev().map(token);
    let fits = |token: &Fixture<Vec<u8>>| {
        let length = token.as_ref().map(Vec::len);
        length.is_ok_and(|length| length <= MAX_TOKEN_BYTES)
    };
    Ok(Bomb {
        name: "full_chain",
        token: counts.find(fits).ok_or("no chain fits")??,
        call: crate::call()?,
        code: None,
    })
}

/// A list as long as a block can hold, to be compared with one as long as a call can have.
fn long_list() -> Fixture<Bomb> {
    let parent = mint(&authority()?)?;
    let token = |count: usize| -> Fixture<Vec<u8>> {
        let values = (0..i64::try_from(count)?).map(Scalar::Integer).collect();
        let block = LaterBlock {
            caveats: vec![Caveat::Argument(ArgumentConstraint {
                name: "list".to_owned(),
                rule: ArgumentRule::Subset(values),
                optional: false,
            })],
            ..LaterBlock::default()
        };
        Ok(parent.append(block.to_builder()?)?.to_vec()?)
    };
    let arguments = serde_json::json!({ "limit": 1, "list": vec![0; 50_000] });
    let empty = serde_json::Map::new();
    Ok(Bomb {
        name: "long_list",
        token: token(most_that_fits(&token)?)?,
        call: Call::new(
            ToolName::parse("files.read_file")?,
            Access::Read,
            vec![ResourcePath::parse("files/reports/q3.md")?],
            arguments.as_object().unwrap_or(&empty),
        ),
        code: Some("limit_exceeded"),
    })
}

/// The greatest count whose token is not larger than a token may be.
fn most_that_fits(token: &impl Fn(usize) -> Fixture<Vec<u8>>) -> Fixture<usize> {
    let fitting = |count: usize| Ok::<_, Failure>(token(count)?.len() <= MAX_TOKEN_BYTES);
    let (mut fits, mut too_many) = (1_usize, 2_usize);
    while fitting(too_many)? {
        (fits, too_many) = (too_many, too_many.saturating_mul(2));
    }
    while fits.saturating_add(1) < too_many {
        let middle = fits.midpoint(too_many);
        match fitting(middle)? {
            true => fits = middle,
            false => too_many = middle,
        }
    }
    Ok(fits)
}

/// A check of one expression.
fn check_of(ops: Vec<schema::Op>) -> schema::Block {
    let head = schema::Predicate {
        name: 27,
        terms: Vec::new(),
    };
    let query = schema::Rule {
        head,
        body: Vec::new(),
        expressions: vec![schema::Expression { ops }],
        scope: Vec::new(),
    };
    schema::Block {
        version: Some(6),
        checks: vec![schema::Check {
            queries: vec![query],
            kind: None,
        }],
        ..schema::Block::default()
    }
}

fn negations(count: usize) -> Vec<schema::Op> {
    let value = term::Content::Bool(true);
    let value = op::Content::Value(schema::Term {
        content: Some(value),
    });
    let negate = op::Content::Unary(schema::OpUnary {
        kind: i32::from(op_unary::Kind::Negate),
        ffi_name: None,
    });
    std::iter::once(value)
        .chain(std::iter::repeat_n(negate, count))
        .map(|content| schema::Op {
            content: Some(content),
        })
        .collect()
}

fn lists(depth: usize) -> Vec<schema::Op> {
    let innermost = schema::Term {
        content: Some(term::Content::Bool(true)),
    };
    let nested = (0..depth).fold(innermost, |inner, _| schema::Term {
        content: Some(term::Content::Array(schema::Array { array: vec![inner] })),
    });
    vec![schema::Op {
        content: Some(op::Content::Value(nested)),
    }]
}

/// Appends a block whatever it says, with a signature of version 1.
fn append(parent: &Biscuit, block: &schema::Block) -> Fixture<Vec<u8>> {
    let mut token = schema::Biscuit::decode(parent.to_vec()?.as_slice())?;
    let Some(proof::Content::NextSecret(secret)) = &token.proof.content else {
        return Err("the parent is sealed".into());
    };
    let secret: [u8; 32] = secret.as_slice().try_into()?;
    let next = SigningKey::from_bytes(&[9; 32]);
    let payload = block.encode_to_vec();
    let next_key = next.verifying_key().to_bytes();
    let signed = [
        b"\0BLOCK\0\0VERSION\0".as_slice(),
        &1_u32.to_le_bytes(),
        b"\0PAYLOAD\0",
        &payload,
        b"\0ALGORITHM\0",
        &[0; 4],
        b"\0NEXTKEY\0",
        &next_key,
        b"\0PREVSIG\0",
        &token.authority.signature,
    ]
    .concat();
    let signature = SigningKey::from_bytes(&secret).sign(&signed);
    token.blocks.push(schema::SignedBlock {
        block: payload,
        next_key: schema::PublicKey {
            algorithm: i32::from(public_key::Algorithm::Ed25519),
            key: next_key.to_vec(),
        },
        signature: signature.to_bytes().to_vec(),
        external_signature: None,
        version: Some(1),
    });
    token.proof.content = Some(proof::Content::NextSecret(next.to_bytes().to_vec()));
    Ok(token.encode_to_vec())
}
