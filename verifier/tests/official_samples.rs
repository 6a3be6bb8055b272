//! The samples that the Biscuit project publishes, read from the dependency's own directory.
//!
//! Not one of them is a token of the profile: none names its root key, and none states a session.
//! So each is decided twice, as published and with the root key's id put into the outer message,
//! which no signature covers; the second decision says what the verifier makes of the token itself.
//! `official_samples.json` says which refusal is right and why. A sample that is not listed, one
//! that is listed and not there, and any other decision, above all an allow, fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use bailiwick_datalog::{Access, Audience, Call, ResourcePath, Timestamp, ToolName};
use bailiwick_verifier::{
    KeySet, MemoryRevocations, Now, UnverifiedToken, Verifier, VerifierConfig, signed::PublicKeyHex,
};
use biscuit_auth::{Algorithm, Biscuit, PublicKey, error, format::schema};
use prost::Message;
use serde::Deserialize;
use serde_json::{Map, Value};

const ROOT_KEY_ID: u32 = 1;

/// How many samples the pinned release ships. Another release is to be looked at by a person.
const SAMPLES: usize = 38;

/// What is expected of one sample.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// The code of the sample as published.
    published: String,
    /// The code once the outer message names the root key.
    named: String,
    /// Part of the second decision's explanation.
    says: String,
    /// Why, by the rules of the token profile.
    why: String,
}

/// The samples as the library ships them.
struct Samples {
    folder: PathBuf,
    root: [u8; 32],
    /// File names, as `samples.json` lists them.
    listed: BTreeSet<String>,
}

impl Samples {
    fn read() -> Self {
        let folder = library_folder().join("samples");
        let index = fs::read(folder.join("samples.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let root = hex::decode(index["root_public_key"].as_str().unwrap()).unwrap();
        let cases = index["testcases"].as_array().unwrap();
        Self {
            folder,
            root: root.try_into().unwrap(),
            listed: cases
                .iter()
                .map(|case| case["filename"].as_str().unwrap().to_owned())
                .collect(),
        }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    fn verifier(&self) -> Verifier {
        let root: PublicKeyHex = format!("ed25519/{}", hex::encode(self.root))
            .parse()
            .unwrap();
        Verifier::new(VerifierConfig {
            audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
            keys: Arc::new(KeySet::from_entries([(ROOT_KEY_ID, root)]).unwrap()),
            revocations: Arc::new(MemoryRevocations::fixed([])),
        })
        .unwrap()
    }
}

/// Where cargo keeps the sources of the library this crate is built with.
fn library_folder() -> PathBuf {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &host()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {complaint}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let library: Vec<&Value> = packages
        .iter()
        .filter(|package| package["name"] == "biscuit-auth")
        .collect();
    assert_eq!(library.len(), 1, "one version of the library");
    let manifest = Path::new(library[0]["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().to_owned()
}

/// This machine's platform: what other platforms need may not have been downloaded.
fn host() -> String {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host")
        .to_owned()
}

fn expectations() -> BTreeMap<String, Expected> {
    serde_json::from_str(include_str!("official_samples.json")).unwrap()
}

fn call() -> Call {
    Call::new(
        ToolName::parse("files.read_file").unwrap(),
        Access::Read,
        vec![ResourcePath::parse("file1").unwrap()],
        &Map::new(),
    )
}

/// The code and its explanation.
fn decide(verifier: &Verifier, bytes: &[u8]) -> (&'static str, String) {
    let now = Now {
        utc: Timestamp::from_unix(1_600_000_000),
        monotonic: Duration::ZERO,
    };
    let decision = UnverifiedToken::from_bytes(bytes)
        .and_then(|token| verifier.authorize(&token, &call(), now));
    match decision {
        Ok(_) => ("allow", String::new()),
        Err(denied) => (denied.code(), denied.explanation()),
    }
}

/// The token with its root key named, where the outer message can be read at all.
fn with_root_key_id(bytes: &[u8]) -> Vec<u8> {
    match schema::Biscuit::decode(bytes) {
        Ok(mut message) => {
            message.root_key_id = Some(ROOT_KEY_ID);
            message.encode_to_vec()
        }
        Err(_) => bytes.to_vec(),
    }
}

#[test]
fn every_official_sample_is_decided_as_listed() {
    let samples = Samples::read();
    let expected = expectations();
    let verifier = samples.verifier();
    assert_eq!(samples.listed.len(), SAMPLES);
    for name in expected.keys() {
        assert!(samples.listed.contains(name), "{name} is listed, not there");
    }
    let mut wrong = Vec::new();
    for name in &samples.listed {
        let bytes = samples.bytes(name);
        let (published, _) = decide(&verifier, &bytes);
        let (named, says) = decide(&verifier, &with_root_key_id(&bytes));
        let met = format!("{published}, then {named}: {says}");
        match expected.get(name) {
            Some(expected) => {
                assert!(expected.why.ends_with('.'), "{name}: a sentence says why");
                let same = expected.published == published
                    && expected.named == named
                    && says.contains(&expected.says);
                if !same {
                    wrong.push(format!("{name}: {met}; expected {expected:?}"));
                }
            }
            None => wrong.push(format!("{name}: {met}; not listed")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_beside_the_index_is_in_the_index() {
    let samples = Samples::read();
    let files: BTreeSet<String> = fs::read_dir(&samples.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".bc"))
        .collect();
    assert_eq!(files, samples.listed);
}

/// No signature is called broken that the library takes, and none is taken that it calls broken.
#[test]
fn a_broken_signature_is_one_for_the_library_too() {
    let samples = Samples::read();
    let root = PublicKey::from_bytes(&samples.root, Algorithm::Ed25519).unwrap();
    let verifier = samples.verifier();
    for name in &samples.listed {
        let bytes = with_root_key_id(&samples.bytes(name));
        let broken = matches!(
            Biscuit::from(&bytes, root),
            Err(error::Token::Format(
                error::Format::Signature(_)
                    | error::Format::SealedSignature
                    | error::Format::InvalidSignatureSize(_)
                    | error::Format::BlockSignatureDeserializationError(_)
            ))
        );
        let code = decide(&verifier, &bytes).0;
        // Bytes that are no block, and other algorithms, are refused before any signature is.
        let before = ["malformed_token", "unsupported_algorithm"].contains(&code);
        let agree = broken == (code == "bad_signature") || (broken && before);
        assert!(
            agree,
            "{name}: {code}, and the library says broken: {broken}"
        );
    }
}
