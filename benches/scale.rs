//! What numbers do to a warm check: of threads, of tokens remembered, of ids revoked.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, and criterion's macros write undocumented items"
)]

use std::{
    hint::black_box,
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use bailiwick_benches::{NOW, call, chain, header, is_trial, tokens, verifier, verifier_revoking};
use bailiwick_datalog::{Call, RevocationId};
use bailiwick_verifier::Verifier;
use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signer, SigningKey};

/// Tokens that each thread goes through.
const TOKENS_OF_A_THREAD: usize = 64;

/// Checks by one shared verifier, of tokens that each thread has for its own, or of one that all
/// have. The time is that of one check with all threads at work: half, if two do twice as much.
fn threads(c: &mut Criterion) {
    let call = Arc::new(call().unwrap());
    let tokens = tokens(2 * TOKENS_OF_A_THREAD).unwrap();
    let verifier = knowing(&tokens);
    for threads in [1, 2] {
        for (name, each) in [("threads", TOKENS_OF_A_THREAD), ("threads_one_token", 0)] {
            c.bench_function(&format!("scale/{name}/{threads}"), |b| {
                b.iter_custom(|iterations| {
                    let shares = (0..threads).map(|thread| {
                        let own = tokens.get(thread * each..(thread + 1) * each);
                        own.filter(|own| !own.is_empty())
                            .unwrap_or_else(|| tokens.get(..1).unwrap())
                    });
                    together(&verifier, &call, &shares.collect::<Vec<_>>(), iterations)
                });
            });
        }
    }
}

/// Work that shares nothing, so that what the machine itself makes of two threads is known: its
/// cores may be two halves of one, or somebody else's as well.
fn machine(c: &mut Criterion) {
    let message = [7_u8; 256];
    for threads in [1, 2] {
        c.bench_function(&format!("scale/machine/{threads}"), |b| {
            b.iter_custom(|iterations| {
                let work = |count: usize| {
                    let key = SigningKey::from_bytes(&[3; 32]);
                    let (public, signature) = (key.verifying_key(), key.sign(&message));
                    for _ in 0..count {
                        let verified = public.verify_strict(black_box(&message), &signature);
                        black_box(verified).unwrap();
                    }
                };
                at_once(threads, iterations, |_, count| work(count))
            });
        });
    }
}

/// How long so many checks take, shared out among threads that begin together.
fn together(
    verifier: &Verifier,
    call: &Arc<Call>,
    shares: &[&[Vec<u8>]],
    iterations: u64,
) -> Duration {
    let calls: Vec<_> = shares.iter().map(|_| Arc::new(Call::clone(call))).collect();
    at_once(shares.len(), iterations, |thread, count| {
        let call = calls.get(thread).unwrap();
        for header in shares.get(thread).unwrap().iter().cycle().take(count) {
            let permit = verifier.authorize_header(header, call, None, NOW);
            let _ = black_box(permit.unwrap());
        }
    })
}

/// How long threads take that begin together and share so many pieces of work out.
fn at_once(threads: usize, iterations: u64, work: impl Fn(usize, usize) + Sync) -> Duration {
    let barrier = Barrier::new(threads + 1);
    let count = usize::try_from(iterations).unwrap().div_ceil(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(thread, count);
                })
            })
            .collect();
        let start = Instant::now();
        barrier.wait();
        for thread in running {
            thread.join().unwrap();
        }
        start.elapsed()
    })
}

/// A check while 1 or 100,000 tokens are remembered: of one token again and again, and of all in
/// turn, when each is long gone from the processor's caches.
fn remembered(c: &mut Criterion) {
    let call = Arc::new(call().unwrap());
    let many = if is_trial() { 100 } else { 100_000 };
    for (name, count) in [("1", 1), ("100000", many)] {
        let tokens = tokens(count).unwrap();
        let verifier = knowing(&tokens);
        let last = tokens.last().unwrap();
        let check = |header: &[u8]| {
            let permit = verifier.authorize_header(header, &call, None, NOW);
            let _ = black_box(permit.unwrap());
        };
        c.bench_function(&format!("scale/remembered/{name}"), |b| {
            b.iter(|| check(black_box(last)));
        });
        let mut turns = tokens.iter().cycle();
        c.bench_function(&format!("scale/remembered_in_turn/{name}"), |b| {
            b.iter(|| check(turns.next().unwrap()));
        });
    }
}

/// A check of a token of eight blocks while nothing, one id or 1,000,000 ids are revoked.
fn revoked(c: &mut Criterion) {
    let call = Arc::new(call().unwrap());
    let header = header(&chain(8).unwrap()).unwrap();
    let many = if is_trial() { 1_000 } else { 1_000_000 };
    for (name, count) in [("0", 0), ("1", 1), ("1000000", many)] {
        let ids = (0..count).map(|number: u32| {
            let mut bytes = [5; 64];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            RevocationId::from_bytes(bytes)
        });
        let verifier = verifier_revoking(ids).unwrap();
        c.bench_function(&format!("scale/revoked/{name}"), |b| {
            b.iter(|| {
                verifier
                    .authorize_header(black_box(&header), &call, None, NOW)
                    .unwrap()
            });
        });
    }
}

/// A verifier that remembers all of these, and has room for them.
fn knowing(headers: &[Vec<u8>]) -> Verifier {
    let verifier = verifier().unwrap().with_cache_bytes(8 << 30);
    for header in headers {
        verifier.verify_header(header, NOW).unwrap();
    }
    verifier
}

criterion_group!(benches, machine, threads, remembered, revoked);
criterion_main!(benches);
