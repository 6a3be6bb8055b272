//! The decision path and its peers, all in one run so that ratios hold when the machine drifts.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    reason = "a bench fails by panicking, and criterion's macros write undocumented items"
)]

use std::{hint::black_box, sync::Arc, time::Duration};

use bailiwick_benches::{
    BLOCKS, NOW, POLICY, authority, bombs, bound_chain, call, chain, chain_on_arguments, header,
    mint, narrowing, root, time_proofs, verifier,
};
use bailiwick_datalog::{Audience, OperatorPolicy, Request, reference};
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signer, SigningKey};

/// The unit of everything else: one strict Ed25519 verification of a block-sized message, by the
/// library that the Biscuit library uses; and the same by the newer one that the verifier uses.
fn primitive(c: &mut Criterion) {
    let key = SigningKey::from_bytes(&[3; 32]);
    let message = [7_u8; 256];
    let signature = key.sign(&message);
    let public = key.verifying_key();
    c.bench_function("primitive/ed25519_verify_strict", |b| {
        b.iter(|| {
            public
                .verify_strict(black_box(&message), black_box(&signature))
                .unwrap()
        });
    });
    let public = ed25519_dalek_3::VerifyingKey::from_bytes(public.as_bytes()).unwrap();
    let signature = ed25519_dalek_3::Signature::from_bytes(&signature.to_bytes());
    c.bench_function("primitive/ed25519_verify_strict_dalek_3", |b| {
        b.iter(|| {
            public
                .verify_strict(black_box(&message), black_box(&signature))
                .unwrap()
        });
    });
}

/// Header → permit, nothing remembered: every signature, the shape, the plan, the decision.
fn cold(c: &mut Criterion) {
    let verifier = verifier().unwrap().with_cache_bytes(0);
    let call = Arc::new(call().unwrap());
    for blocks in BLOCKS {
        let header = header(&chain(blocks).unwrap()).unwrap();
        c.bench_function(&format!("check/cold/{blocks}"), |b| {
            b.iter(|| {
                verifier
                    .authorize_header(black_box(&header), black_box(&call), None, NOW)
                    .unwrap()
            });
        });
    }
}

/// Header → permit for a token seen before: look-up, key, time, audience, revocation, grants,
/// conditions.
fn warm(c: &mut Criterion) {
    let verifier = verifier().unwrap();
    let call = Arc::new(call().unwrap());
    for blocks in BLOCKS {
        let header = header(&chain(blocks).unwrap()).unwrap();
        verifier.verify_header(&header, NOW).unwrap();
        c.bench_function(&format!("check/warm/{blocks}"), |b| {
            b.iter(|| {
                verifier
                    .authorize_header(black_box(&header), black_box(&call), None, NOW)
                    .unwrap()
            });
        });
    }
}

/// Header → permit for a token never seen that appends one block to one seen before; the number
/// is that of its blocks. Sixteen headers at a time, so that they lie in the processor's cache as
/// one that was just received does; each is remembered, in place of older ones before long.
fn hop(c: &mut Criterion) {
    let call = Arc::new(call().unwrap());
    for blocks in [2, 8, 16] {
        let verifier = verifier().unwrap();
        let parent = chain(blocks - 1).unwrap();
        verifier
            .verify_header(&header(&parent).unwrap(), NOW)
            .unwrap();
        c.bench_function(&format!("check/hop/{blocks}"), |b| {
            b.iter_batched_ref(
                || {
                    let block = narrowing().unwrap().to_builder().unwrap();
                    header(&parent.append(block).unwrap()).unwrap()
                },
                |header| verifier.authorize_header(header, &call, None, NOW).unwrap(),
                BatchSize::NumIterations(16),
            );
        });
    }
}

/// As `cold` and `warm`, for a token bound to a key, each call with a proof of its own.
fn proofs(c: &mut Criterion) {
    let bound = header(&bound_chain(8).unwrap()).unwrap();
    c.bench_function("check/cold_proof/8", |b| {
        let forgetful = || Ok(verifier()?.with_cache_bytes(0));
        b.iter_custom(|iterations| time_proofs(iterations, &bound, forgetful).unwrap());
    });
    c.bench_function("check/warm_proof/8", |b| {
        b.iter_custom(|iterations| time_proofs(iterations, &bound, verifier).unwrap());
    });
}

/// As `warm`, under an operator policy.
fn policy(c: &mut Criterion) {
    let policy = OperatorPolicy::load(POLICY).unwrap();
    let verifier = verifier().unwrap().with_policy(Arc::new(policy));
    let call = Arc::new(call().unwrap());
    let header = header(&chain(8).unwrap()).unwrap();
    c.bench_function("check/warm_policy/8", |b| {
        b.iter(|| {
            verifier
                .authorize_header(black_box(&header), black_box(&call), None, NOW)
                .unwrap()
        });
    });
}

/// Two conditions on arguments a block: the work that the peers' bench compares.
fn arguments(c: &mut Criterion) {
    let call = Arc::new(call().unwrap());
    let (forgetful, remembering) = (verifier().unwrap().with_cache_bytes(0), verifier().unwrap());
    for blocks in [1, 2, 4, 8] {
        let header = header(&chain_on_arguments(blocks, false).unwrap()).unwrap();
        for (name, verifier) in [("cold", &forgetful), ("warm", &remembering)] {
            c.bench_function(&format!("check/{name}_arguments/{blocks}"), |b| {
                b.iter(|| {
                    verifier
                        .authorize_header(black_box(&header), black_box(&call), None, NOW)
                        .unwrap()
                });
            });
        }
    }
}

/// Tokens made to cost time, before a verifier that has not seen them.
fn hostile(c: &mut Criterion) {
    let verifier = verifier().unwrap().with_cache_bytes(0);
    for bomb in bombs::bombs().unwrap() {
        let text = bailiwick_datalog::token_text::encode(&bomb.token);
        let header = format!("Bearer {text}").into_bytes();
        let call = Arc::new(bomb.call);
        let decide = || verifier.authorize_header(black_box(&header), &call, None, NOW);
        let code = decide().err().map(|denied| denied.code());
        assert_eq!(code, bomb.code, "{}", bomb.name);
        c.bench_function(&format!("hostile/{}", bomb.name), |b| b.iter(decide));
    }
}

/// A token verified before and held by its host → permit.
fn held(c: &mut Criterion) {
    let (verifier, call) = (verifier().unwrap(), call().unwrap());
    for blocks in [1, 8] {
        let header = header(&chain(blocks).unwrap()).unwrap();
        let token = verifier.verify_header(&header, NOW).unwrap();
        c.bench_function(&format!("check/held/{blocks}"), |b| {
            b.iter(|| {
                verifier
                    .authorize_verified(&token, black_box(&call), None, NOW)
                    .unwrap()
            });
        });
    }
}

/// The engine alone: request facts in, policy and checks run.
fn datalog(c: &mut Criterion) {
    let policy = reference::Policy::load().unwrap();
    let call = call().unwrap();
    let audience = Audience::parse("http://127.0.0.1:8401/mcp").unwrap();
    for blocks in BLOCKS {
        let token = chain(blocks).unwrap();
        let request = Request {
            time: NOW.utc,
            audience: &audience,
            depth: blocks - 1,
            call: &call,
            resource: call.resources.first().unwrap(),
        };
        c.bench_function(&format!("datalog/evaluate/{blocks}"), |b| {
            b.iter(|| {
                policy
                    .evaluate(black_box(&token), black_box(&request))
                    .unwrap()
            });
        });
    }
}

/// What the issuer and a delegating agent do.
fn writing(c: &mut Criterion) {
    let authority = authority().unwrap();
    c.bench_function("mint", |b| {
        b.iter(|| mint(black_box(&authority)).unwrap().to_vec().unwrap())
    });
    for blocks in [1, 8] {
        let token = chain(blocks).unwrap();
        c.bench_with_input(BenchmarkId::new("attenuate", blocks), &token, |b, token| {
            b.iter(|| {
                let block = narrowing().unwrap().to_builder().unwrap();
                token.append(block).unwrap().to_vec().unwrap()
            });
        });
    }
}

/// The bare library doing the same work without the profile: parse, verify, authorize. Its
/// authorizer, facts included, is built once and cloned, so no Datalog text is parsed per call.
fn peer_biscuit_auth(c: &mut Criterion) {
    let key = root().public();
    for blocks in BLOCKS {
        let bytes = chain(blocks).unwrap().to_vec().unwrap();
        let authorizer = bare_authorizer(blocks - 1);
        c.bench_function(&format!("peer/biscuit_auth/{blocks}"), |b| {
            b.iter(|| {
                let token = Biscuit::from(black_box(bytes.as_slice()), key).unwrap();
                authorizer
                    .clone()
                    .build(&token)
                    .unwrap()
                    .authorize()
                    .unwrap()
            });
        });
    }
}

fn bare_authorizer(depth: usize) -> AuthorizerBuilder {
    let facts = format!(
        r#"time(1970-01-01T00:25:00Z);
           request_audience("http://127.0.0.1:8401/mcp");
           tool("files.read_file"); access("read");
           resource(["files", "reports", "2026", "q3.md"]);
           args({{"path": "reports/2026/q3.md", "limit": 10, "format": "text", "tail": false}}); depth({depth});"#
    );
    AuthorizerBuilder::new()
        .code(reference::POLICY)
        .unwrap()
        .code(facts)
        .unwrap()
        .set_limits(AuthorizerLimits {
            max_facts: 4_096,
            max_iterations: 8,
            max_time: Duration::from_secs(60),
        })
}

criterion_group!(
    benches,
    primitive,
    cold,
    warm,
    hop,
    proofs,
    policy,
    arguments,
    hostile,
    held,
    datalog,
    writing,
    peer_biscuit_auth
);
criterion_main!(benches);
