//! Small damage to the corpus: a bounded number of mutations from a fixed seed, so that every run
//! tries the same ones. Nothing panics, and nothing is allowed that the corpus does not allow.

use std::{collections::BTreeSet, sync::Arc};

use bailiwick_datalog::token_text;
use bailiwick_verifier::{UnverifiedToken, Verifier, holder::ProofVerifier};
use biscuit_auth::format::schema::{self, proof};
use ed25519_dalek::SigningKey;
use prost::Message;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    case::Case,
    cases,
    forge::{Block, key, sign_block},
};

const TOKENS: usize = 20_000;
const HEADERS: usize = 10_000;
const PROOFS: usize = 2_000;
const BLOCKS: usize = 6_000;

/// Bytes that lengths, tags, signs and ends are made of.
const TELLING: [u8; 12] = [
    0x00, 0x01, 0x02, 0x08, 0x0a, 0x12, 0x20, 0x3d, 0x7f, 0x80, 0xfe, 0xff,
];

/// A case whose token text decodes, and the bytes it decodes to.
struct Seed {
    case: Case,
    bytes: Vec<u8>,
    /// Decides again and again, and remembers the sound token.
    verifier: Verifier,
    /// Never sees the sound token.
    stranger: Verifier,
}

impl Seed {
    fn of(case: Case) -> Option<Self> {
        let bytes = token_text::decode(case.token.as_deref()?).ok()?;
        let verifier = || case.verifier(&Arc::new(ProofVerifier::default()));
        let (verifier, stranger) = (verifier(), verifier());
        let seed = Self {
            case,
            bytes,
            verifier,
            stranger,
        };
        // Remembered from here on, if it is good.
        seed.decide(&seed.bytes);
        Some(seed)
    }

    fn text(&self) -> &str {
        self.case.token.as_deref().unwrap_or_default()
    }

    /// The decision about the case's call by another token: from a header by the verifier that
    /// remembers the sound one, and from bytes by the one that does not.
    fn decide(&self, bytes: &[u8]) -> &'static str {
        let token = UnverifiedToken::from_bytes(bytes);
        if self.case.holder_proof.is_some() {
            return token.map_or_else(|denied| denied.code(), |token| self.decide_token(&token));
        }
        let header = format!("Bearer {}", token_text::encode(bytes));
        let verdict = self.case.decide_header(&self.verifier, header.as_bytes());
        if bytes != self.bytes {
            let met = match &token {
                Ok(token) => self.case.decide_token(&self.stranger, token),
                Err(denied) => denied.code(),
            };
            assert_eq!(verdict, met, "{}: a memory decides", self.case.id);
        }
        verdict
    }

    fn decide_token(&self, token: &UnverifiedToken) -> &'static str {
        if self.case.holder_proof.is_some() {
            // A fresh memory, in which the proof was not used yet.
            let verifier = self.case.verifier(&Arc::new(ProofVerifier::default()));
            return self.case.decide_token(&verifier, token);
        }
        self.case.decide_token(&self.verifier, token)
    }
}

fn seeds() -> Vec<Seed> {
    cases().into_iter().filter_map(Seed::of).collect()
}

/// The tokens that some case allows, or would but for a proof used up before.
fn allowed(seeds: &[Seed]) -> BTreeSet<&[u8]> {
    let allowed = seeds.iter().filter(|seed| {
        seed.case.expect.verdict() == "allow" || seed.decide(&seed.bytes) == "allow"
    });
    allowed.map(|seed| seed.bytes.as_slice()).collect()
}

/// A place in `bytes`, or its end.
fn place(bytes: &[u8], rng: &mut StdRng) -> usize {
    rng.gen_range(0..=bytes.len())
}

/// A short stretch of `bytes`.
fn stretch(bytes: &[u8], rng: &mut StdRng) -> std::ops::Range<usize> {
    let start = place(bytes, rng);
    let most = (bytes.len() - start).min(64);
    start..start + rng.gen_range(0..=most)
}

/// One to three small changes; `other` is material to splice in.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut StdRng) {
    for _ in 0..rng.gen_range(1..=3) {
        let at = place(bytes, rng);
        match rng.gen_range(0..8) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.gen_range(0..8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *TELLING.choose(rng).unwrap();
                }
            }
            3 => bytes.insert(at, *TELLING.choose(rng).unwrap()),
            4 => drop(bytes.drain(stretch(bytes, rng))),
            5 => {
                let copy = bytes[stretch(bytes, rng)].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let copy = other[stretch(other, rng)].to_vec();
                let end = (at + copy.len()).min(bytes.len());
                bytes.splice(at..end, copy);
            }
            _ => bytes.truncate(at),
        }
    }
}

#[test]
fn damaged_tokens_are_never_allowed() {
    let seeds = seeds();
    let allowed = allowed(&seeds);
    let mut rng = StdRng::seed_from_u64(1);
    for round in 0..TOKENS {
        let seed = &seeds[round % seeds.len()];
        let mut bytes = seed.bytes.clone();
        mutate(&mut bytes, &seeds.choose(&mut rng).unwrap().bytes, &mut rng);
        let verdict = seed.decide(&bytes);
        let known = allowed.contains(bytes.as_slice());
        assert!(
            verdict != "allow" || known,
            "round {round}, {}",
            seed.case.id
        );
    }
}

#[test]
fn damaged_headers_are_allowed_only_with_the_same_token() {
    let seeds = seeds();
    let allowed = allowed(&seeds);
    let mut rng = StdRng::seed_from_u64(2);
    let token_of = |header: &[u8]| {
        let text = std::str::from_utf8(header).ok()?;
        token_text::decode(text.split_once(' ')?.1).ok()
    };
    for round in 0..HEADERS {
        let seed = &seeds[round % seeds.len()];
        let scheme = ["Bearer ", "DPoP "][round % 2];
        let mut header = [scheme.as_bytes(), seed.text().as_bytes()].concat();
        let other = seeds.choose(&mut rng).unwrap().text().as_bytes();
        // Every other time close to the scheme or to the padding, where most is to be got wrong.
        if round % 4 < 2 {
            let end = if round % 4 == 0 { 12 } else { header.len() };
            let mut part = header.split_off(end.saturating_sub(12).min(header.len()));
            let rest = part.split_off(part.len().min(12));
            mutate(&mut part, other, &mut rng);
            header.extend([part, rest].concat());
        } else {
            mutate(&mut header, other, &mut rng);
        }
        let verdict = match UnverifiedToken::from_authorization_header(&header) {
            Ok(token) => seed.decide_token(&token),
            Err(denied) => denied.code(),
        };
        if seed.case.holder_proof.is_none() {
            let met = seed.case.decide_header(&seed.verifier, &header);
            assert_eq!(verdict, met, "round {round}, {}", seed.case.id);
        }
        let known = || token_of(&header).is_some_and(|bytes| allowed.contains(bytes.as_slice()));
        assert!(
            verdict != "allow" || known(),
            "round {round}, {}",
            seed.case.id
        );
    }
}

#[test]
fn damaged_proofs_are_never_allowed() {
    let mut seeds = seeds();
    seeds.retain(|seed| {
        // A proof that nobody asks for is not looked at, however damaged.
        let asked = seed.case.id != "holder-bearer-with-proof";
        asked && seed.case.holder_proof.is_some() && seed.case.expect.verdict() == "allow"
    });
    assert!(seeds.len() > 10);
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..PROOFS {
        let mut case = seeds[round % seeds.len()].case.clone();
        let proof = case.holder_proof.as_mut().unwrap();
        let sound = proof.dpop.clone();
        let other = seeds
            .choose(&mut rng)
            .unwrap()
            .case
            .holder_proof
            .as_ref()
            .unwrap();
        let mut bytes = sound.clone().into_bytes();
        mutate(&mut bytes, other.dpop.as_bytes(), &mut rng);
        proof.dpop = String::from_utf8_lossy(&bytes).into_owned();
        let same = proof.dpop == sound;
        let verdict = case.decide(&Arc::new(ProofVerifier::default()));
        assert!(verdict != "allow" || same, "round {round}, {}", case.id);
    }
}

/// The token with one block more, as its holder can append it; nothing for a sealed one.
fn append(message: &schema::Biscuit, content: Vec<u8>, version: Option<u32>) -> Option<Vec<u8>> {
    let Some(proof::Content::NextSecret(secret)) = &message.proof.content else {
        return None;
    };
    let signer = SigningKey::from_bytes(&secret.as_slice().try_into().ok()?);
    let previous = &message
        .blocks
        .last()
        .unwrap_or(&message.authority)
        .signature;
    let next = key("a mutation's next");
    let block = Block {
        content,
        version,
        external: None,
    };
    let mut message = message.clone();
    let signed = sign_block(&block, &signer, &next, Some(previous.as_slice()));
    message.blocks.push(signed);
    message.proof.content = Some(proof::Content::NextSecret(next.to_bytes().to_vec()));
    Some(message.encode_to_vec())
}

/// The first law, from a holder's hand: whatever a block says, it only narrows.
#[test]
fn blocks_of_any_content_never_widen() {
    let seeds = seeds();
    let mut contents: Vec<Vec<u8>> = seeds
        .iter()
        .filter_map(|seed| schema::Biscuit::decode(seed.bytes.as_slice()).ok())
        .flat_map(|message| message.blocks)
        .map(|block| block.block)
        .filter(|content| content.len() < 4_000)
        .collect();
    contents.sort();
    contents.dedup();
    let open: Vec<(&Seed, schema::Biscuit, bool)> = seeds
        .iter()
        .filter(|seed| seed.case.holder_proof.is_none() && seed.bytes.len() < 8_000)
        .filter_map(|seed| Some((seed, schema::Biscuit::decode(seed.bytes.as_slice()).ok()?)))
        .map(|(seed, message)| {
            // Decided anew: a damaged encoding was repaired by decoding it.
            let allowed = seed.decide(&message.encode_to_vec()) == "allow";
            (seed, message, allowed)
        })
        .collect();
    let mut rng = StdRng::seed_from_u64(4);
    let (mut refused, mut narrowed) = (0, 0);
    for round in 0..BLOCKS {
        let (seed, message, was_allowed) = &open[round % open.len()];
        let mut content = contents.choose(&mut rng).unwrap().clone();
        if round % 3 > 0 {
            mutate(&mut content, contents.choose(&mut rng).unwrap(), &mut rng);
        }
        // What still decodes is written canonically, so that it is looked at more closely.
        if let Ok(block) = schema::Block::decode(content.as_slice()) {
            content = block.encode_to_vec();
        }
        let version = [None, Some(1)][round % 2];
        let Some(bytes) = append(message, content, version) else {
            continue;
        };
        match seed.decide(&bytes) {
            "allow" => {
                assert!(was_allowed, "round {round}, {}", seed.case.id);
                narrowed += 1;
            }
            _ => refused += 1,
        }
    }
    // The mutations reach both answers, or they show nothing.
    assert!(
        narrowed > 20 && refused > 1_000,
        "{narrowed} allowed, {refused} refused"
    );
}
