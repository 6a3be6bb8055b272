//! Texts that nobody would write: none may panic, overflow the stack or take long.

use bailiwick_datalog::{OperatorPolicy, operator::MAX_POLICY_BYTES};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{policies, scene::Scene};

#[test]
fn hostile_texts_are_refused_without_harm() {
    let long = |part: &str| part.repeat(MAX_POLICY_BYTES / part.len());
    for part in [
        "(",
        "[",
        "{",
        "!",
        "\"",
        "\\",
        "$",
        "/*",
        "//",
        ";",
        "deny if ",
        "deny if true;",
        "1+",
        "a(",
        "a(1),",
        "a(1);",
        "deny if !",
        "{\"a\":",
        "[1,",
        "$x.",
        ".get(",
        "||",
        "-",
        "hex:",
        "2026-01-31T",
        "\u{200b}",
        "ü",
        "deny if a(1) or ",
        "check if {1}.any($x -> ",
        "\0",
        "a($x) <- a($x);",
        "$a.matches(\"",
    ] {
        assert!(OperatorPolicy::load(&long(part)).is_err(), "{part}");
        // Whatever this means, it is read to its end.
        let _ = OperatorPolicy::load(&format!("deny if {}", part.repeat(1_000)));
    }
}

/// Loads a text and, if it is a policy, asks it: natively, by the engine, and why.
fn use_up(source: &str, scene: &Scene) -> bool {
    let Ok(policy) = OperatorPolicy::load(source) else {
        return false;
    };
    scene.ask(|authority, request| {
        let native = policy.decide(authority, request);
        let explanation = policy.explain(authority, request);
        assert_eq!(native.is_ok(), explanation.allowed, "{source}");
        let engine = policy.decide_by_engine(authority, request);
        assert!(native.is_err() || engine.is_ok(), "{source}\n{engine:?}");
    });
    true
}

/// One edit: a piece of text removed, doubled, moved, or one of the language's words put in.
fn edit(rng: &mut StdRng, text: &str) -> String {
    const WORDS: [&str; 38] = [
        "$",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ".",
        "!",
        "-",
        "\"",
        "\\",
        "//",
        "/*",
        "<-",
        "->",
        "||",
        "&&",
        "==",
        "===",
        " or ",
        "0",
        "9223372036854775807",
        "null",
        "true",
        "\n",
        "ü",
        "\u{202e}",
        "check all ",
        "trusting previous",
        ".get(\"n\")",
        ".length()",
        "{,}",
        ".matches(\"^a$\")",
        "hex:00",
        "2026-01-31T12:00:00Z",
    ];
    let mut characters: Vec<char> = text.chars().collect();
    let at = rng.gen_range(0..=characters.len());
    let to = (at + rng.gen_range(0..8)).min(characters.len());
    match rng.gen_range(0..4) {
        0 => drop(characters.drain(at..to)),
        1 => {
            let piece: Vec<char> = characters[at..to].to_vec();
            let place = rng.gen_range(0..=characters.len());
            characters.splice(place..place, piece);
        }
        _ => {
            let word = WORDS.choose(rng).unwrap();
            characters.splice(at..at, word.chars());
        }
    }
    characters.into_iter().collect()
}

#[test]
fn edited_policies_are_read_or_refused_without_harm() {
    let mut rng = StdRng::seed_from_u64(4);
    let scene = Scene::default();
    let (mut tried, mut loaded) = (0, 0);
    while tried < 4_000 {
        let mut text = policies::policy(&mut rng);
        if OperatorPolicy::load(&text).is_err() {
            continue;
        }
        for _ in 0..4 {
            text = edit(&mut rng, &text);
            tried += 1;
            loaded += usize::from(use_up(&text, &scene));
        }
    }
    assert!(loaded * 40 > tried, "{loaded} of {tried} loaded");
}
