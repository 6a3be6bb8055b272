//! Other tokens doing the work of Bailiwick's, and Ed25519 back ends.
//!
//! `peer/tenuo/n`: base64url text of a chain of n warrants, each with the same two conditions on
//! arguments and a holder's key of its own → decoded, all signatures, linkage, time, tool and
//! conditions. `check/cold_arguments/n` and `check/warm_arguments/n` of the workspace's bench are
//! the same of ours, and are repeated here. With `_proof`, a proof of possession is verified too.

#![allow(missing_docs, reason = "criterion's macros write undocumented items")]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bailiwick_benches::{NOW, call, chain_on_arguments, header, time_proofs, verifier};
use bailiwick_peers::BACKENDS;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};
use tenuo::{
    Authorizer, ConstraintSet, ConstraintValue, Pattern, Range, SigningKey, Warrant, wire,
};

const TOOL: &str = "files.read_file";
const DEPTHS: [usize; 4] = [1, 2, 4, 8];

/// A chain of warrants, the keys of their holders, and an authorizer that trusts its root.
struct Warrants {
    text: String,
    leaf: Warrant,
    holder: SigningKey,
    authorizer: Authorizer,
    arguments: HashMap<String, ConstraintValue>,
}

impl Warrants {
    fn of(depth: usize) -> Self {
        let keys: Vec<_> = (0..=depth).map(|_| SigningKey::generate()).collect();
        let constraints = || {
            let mut set = ConstraintSet::new();
            set.insert("path", Pattern::new("reports/*").unwrap());
            set.insert("limit", Range::new(Some(1.0), Some(100.0)).unwrap());
            set.set_allow_unknown(true);
            set
        };
        let root = Warrant::builder()
            .capability(TOOL, constraints())
            .holder(keys[1].public_key())
            .ttl(Duration::from_secs(3_600))
            .build(&keys[0])
            .unwrap();
        let mut chain = vec![root];
        for index in 1..depth {
            let next = chain[index - 1]
                .attenuate()
                .capability(TOOL, constraints())
                .holder(keys[index + 1].public_key())
                .build(&keys[index])
                .unwrap();
            chain.push(next);
        }
        let mut authorizer = Authorizer::new();
        authorizer.add_trusted_root(keys[0].public_key());
        let text = |text: &str| ConstraintValue::String(text.to_owned());
        Self {
            leaf: chain.last().unwrap().clone(),
            text: URL_SAFE_NO_PAD.encode(wire::encode_stack(&wire::WarrantStack(chain)).unwrap()),
            holder: keys.into_iter().next_back().unwrap(),
            authorizer,
            arguments: HashMap::from([
                ("path".to_owned(), text("reports/2026/q3.md")),
                ("limit".to_owned(), ConstraintValue::Integer(10)),
                ("format".to_owned(), text("text")),
                ("tail".to_owned(), ConstraintValue::Boolean(false)),
            ]),
        }
    }

    fn decode(&self) -> wire::WarrantStack {
        let bytes = URL_SAFE_NO_PAD.decode(black_box(&self.text)).unwrap();
        wire::decode_stack(&bytes).unwrap()
    }

    fn check(&self) {
        let stack = self.decode();
        let _ = black_box(self.authorizer.verify_chain(&stack.0).unwrap());
        let leaf = stack.leaf().unwrap();
        leaf.check_constraints(TOOL, black_box(&self.arguments))
            .unwrap();
    }

    fn check_with(&self, proof: &tenuo::Signature) {
        let stack = self.decode();
        let checked = self.authorizer.check_chain(
            &stack.0,
            TOOL,
            black_box(&self.arguments),
            Some(proof),
            &[],
        );
        let _ = black_box(checked.unwrap());
    }
}

fn peer_tenuo(c: &mut Criterion) {
    for depth in DEPTHS {
        let warrants = Warrants::of(depth);
        c.bench_function(&format!("peer/tenuo/{depth}"), |b| {
            b.iter(|| warrants.check());
        });
        c.bench_function(&format!("peer/tenuo_proof/{depth}"), |b| {
            b.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                let mut left = iterations;
                while left > 0 {
                    // A proof is good for a time window, so it is made anew now and then.
                    let count = left.min(256);
                    let (holder, arguments) = (&warrants.holder, &warrants.arguments);
                    let proof = warrants.leaf.sign(holder, TOOL, arguments).unwrap();
                    let start = Instant::now();
                    for _ in 0..count {
                        warrants.check_with(&proof);
                    }
                    total += start.elapsed();
                    left -= count;
                }
                total
            });
        });
    }
}

/// The same of ours.
fn ours(c: &mut Criterion) {
    let call = Arc::new(call().unwrap());
    let remembering = verifier().unwrap();
    let forgetful = || Ok(verifier()?.with_cache_bytes(0));
    let forgetting = forgetful().unwrap();
    for depth in DEPTHS {
        let plain = header(&chain_on_arguments(depth, false).unwrap()).unwrap();
        for (name, verifier) in [("cold", &forgetting), ("warm", &remembering)] {
            c.bench_function(&format!("check/{name}_arguments/{depth}"), |b| {
                b.iter(|| {
                    verifier
                        .authorize_header(black_box(&plain), black_box(&call), None, NOW)
                        .unwrap()
                });
            });
        }
        let bound = header(&chain_on_arguments(depth, true).unwrap()).unwrap();
        c.bench_function(&format!("check/cold_arguments_proof/{depth}"), |b| {
            b.iter_custom(|iterations| time_proofs(iterations, &bound, forgetful).unwrap());
        });
        c.bench_function(&format!("check/warm_arguments_proof/{depth}"), |b| {
            b.iter_custom(|iterations| time_proofs(iterations, &bound, verifier).unwrap());
        });
    }
}

/// What a JWT of an ordinary access token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    aud: String,
    exp: u64,
    scope: String,
}

fn peer_jwt(c: &mut Criterion) {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
    let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let claims = Claims {
        sub: "ada".to_owned(),
        aud: "http://127.0.0.1:8401/mcp".to_owned(),
        exp: 4_000_000_000,
        scope: "files.read_file files.list_directory".to_owned(),
    };
    let encoding = EncodingKey::from_ed_der(document.as_ref());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &encoding).unwrap();
    let decoding = DecodingKey::from_ed_der(pair.public_key().as_ref());
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["http://127.0.0.1:8401/mcp"]);
    c.bench_function("peer/jwt", |b| {
        b.iter(|| {
            let token = black_box(token.as_bytes());
            jsonwebtoken::decode::<Claims>(token, &decoding, &validation).unwrap()
        });
    });
}

/// Key bytes, message, signature → verdict; secret → public key; and, into `strictness.json`
/// beside criterion's estimates, what each back end accepts.
fn backends(c: &mut Criterion) {
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let message = [7_u8; 256];
    let (public, signature) = (
        key.verifying_key().to_bytes(),
        key.sign(&message).to_bytes(),
    );
    let mut strictness = serde_json::Map::new();
    for backend in BACKENDS {
        let name = backend.name();
        assert!(backend.verify(&public, &message, &signature), "{name}");
        assert_eq!(backend.public_key(&[3; 32]), public, "{name}");
        c.bench_function(&format!("backend/{name}/verify"), |b| {
            b.iter(|| backend.verify(black_box(&public), black_box(&message), &signature));
        });
        c.bench_function(&format!("backend/{name}/public_key"), |b| {
            b.iter(|| backend.public_key(black_box(&[3; 32])));
        });
        let accepted = serde_json::json!(bailiwick_peers::accepted(backend));
        strictness.insert(name.to_owned(), accepted);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../../target").into(),
        std::path::PathBuf::from,
    );
    let folder = target.join("criterion");
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::Value::from(strictness).to_string();
    std::fs::write(folder.join("strictness.json"), text).unwrap();
}

criterion_group!(benches, peer_tenuo, ours, peer_jwt, backends);
criterion_main!(benches);
