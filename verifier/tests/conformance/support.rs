//! One session, one call it allows, and the tools to make tokens that no builder would write.

use std::{sync::Arc, time::Duration};

use bailiwick_datalog::{
    Access, Audience, Authority, Call, Grant, LaterBlock, ResourcePath, Timestamp, ToolName,
};
use bailiwick_verifier::{
    Denied, Evaluation, KeySet, MemoryRevocations, Now, Permit, RevocationView, UnverifiedToken,
    Verifier, VerifierConfig, signed::PublicKeyHex,
};
use biscuit_auth::{
    Biscuit, KeyPair, PrivateKey,
    builder::{Algorithm, BlockBuilder},
    error,
    format::schema::{self, proof, public_key},
};
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;
use serde_json::{Map, Value, json};

pub(crate) const AUDIENCE: &str = "http://127.0.0.1:8401/mcp";
pub(crate) const ROOT_KEY_ID: u32 = 1;
pub(crate) const ISSUED_AT: u64 = 1_769_860_800;
pub(crate) const NOW: u64 = ISSUED_AT + 60;
pub(crate) const EXPIRES_AT: u64 = ISSUED_AT + 900;

pub(crate) fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The same key as the library holds it.
pub(crate) fn key_pair(seed: u8) -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&[seed; 32], Algorithm::Ed25519).unwrap())
}

const ROOT_SEED: u8 = 7;

pub(crate) fn root() -> KeyPair {
    key_pair(ROOT_SEED)
}

pub(crate) fn grant(id: &str, tool: &str, access: Access, path: &str) -> Grant {
    Grant {
        id: id.to_owned(),
        tool: ToolName::parse(tool).unwrap(),
        access,
        path: ResourcePath::parse(path).unwrap(),
    }
}

/// A session that may read files under `files/reports`, delegated three times at most.
pub(crate) fn authority() -> Authority {
    Authority {
        session: "s-1".parse().unwrap(),
        approval: "a-1".parse().unwrap(),
        application: "default".parse().unwrap(),
        principal: "ada".parse().unwrap(),
        agent: "scribe".parse().unwrap(),
        task: "sum up the reports".to_owned(),
        request_digest: [9; 32],
        audience: Audience::parse(AUDIENCE).unwrap(),
        issued_at: Timestamp::from_unix(ISSUED_AT),
        expires_at: Timestamp::from_unix(EXPIRES_AT),
        max_depth: 16,
        holder: None,
        grants: vec![grant("g", "files.read_file", Access::Read, "files/reports")],
        limits: Vec::new(),
    }
}

pub(crate) fn mint(authority: &Authority) -> Biscuit {
    authority
        .to_builder()
        .unwrap()
        .root_key_id(ROOT_KEY_ID)
        .build(&root())
        .unwrap()
}

pub(crate) fn append(token: &Biscuit, block: &LaterBlock) -> Biscuit {
    token.append(block.to_builder().unwrap()).unwrap()
}

/// Appends a block written as Datalog, as any Biscuit library would.
pub(crate) fn append_text(token: &Biscuit, source: &str) -> Biscuit {
    token
        .append(BlockBuilder::new().code(source).unwrap())
        .unwrap()
}

pub(crate) fn arguments() -> Map<String, Value> {
    json!({"path": "reports/q3.md"})
        .as_object()
        .unwrap()
        .clone()
}

pub(crate) fn call_on(resources: &[&str], arguments: &Map<String, Value>) -> Call {
    Call::new(
        ToolName::parse("files.read_file").unwrap(),
        Access::Read,
        resources
            .iter()
            .map(|path| ResourcePath::parse(path).unwrap())
            .collect(),
        arguments,
    )
}

/// The call that [`authority`] allows.
pub(crate) fn call() -> Call {
    call_on(&["files/reports/q3.md"], &arguments())
}

pub(crate) fn at(unix: u64) -> Now {
    Now {
        utc: Timestamp::from_unix(unix),
        monotonic: Duration::ZERO,
    }
}

pub(crate) fn key_set() -> KeySet {
    let root = PublicKeyHex::from(&signing_key(ROOT_SEED));
    KeySet::from_entries([(ROOT_KEY_ID, root)]).unwrap()
}

pub(crate) fn verifier_with(keys: KeySet, revocations: Arc<dyn RevocationView>) -> Verifier {
    Verifier::new(VerifierConfig {
        audience: Audience::parse(AUDIENCE).unwrap(),
        keys: Arc::new(keys),
        revocations,
    })
    .unwrap()
}

pub(crate) fn verifier() -> Verifier {
    verifier_with(key_set(), Arc::new(MemoryRevocations::fixed([])))
}

thread_local! {
    /// Decides on every token of a test, and so remembers some of them, or their parents.
    static REMEMBERING: Verifier = verifier();
}

/// The decision, which both ways of evaluating must reach, with and without a memory.
pub(crate) fn decide_call(bytes: &[u8], call: &Call) -> Result<Permit, Denied> {
    let token = UnverifiedToken::from_bytes(bytes)?;
    let decision = verifier().authorize(&token, call, at(NOW));
    agrees_with_the_library(bytes, &decision);
    let ids = |decision: &Result<Permit, Denied>| {
        let permit = decision.as_ref().map_err(Denied::clone);
        permit.map(|permit| permit.grant_ids().to_vec())
    };
    let warm = REMEMBERING.with(|verifier| {
        let header = format!("Bearer {}", token.expose_text());
        verifier.authorize_header(header.as_bytes(), &Arc::new(call.clone()), None, at(NOW))
    });
    assert_eq!(
        ids(&decision),
        ids(&warm),
        "remembering changes the decision"
    );
    if matches!(decision, Err(Denied::BadSignature)) {
        return decision;
    }
    let reference = verifier().with_evaluation(Evaluation::Reference);
    let meant = reference.authorize(&token, call, at(NOW));
    assert_eq!(ids(&decision), ids(&meant));
    decision
}

/// Our verdict on a token's signatures is the library's.
fn agrees_with_the_library(bytes: &[u8], decision: &Result<Permit, Denied>) {
    if matches!(decision, Err(Denied::UnknownKey { .. })) {
        return;
    }
    let library = Biscuit::from(bytes, root().public());
    let broken = matches!(
        library,
        Err(error::Token::Format(
            error::Format::Signature(_)
                | error::Format::SealedSignature
                | error::Format::InvalidSignatureSize(_)
        ))
    );
    let code = code(decision);
    assert_eq!(broken, code == "bad_signature", "{code}: {library:?}");
    assert!(code != "allow" || library.is_ok(), "{library:?}");
}

pub(crate) fn decide(bytes: &[u8]) -> Result<Permit, Denied> {
    decide_call(bytes, &call())
}

/// `allow`, or the code of the refusal.
pub(crate) fn code(decision: &Result<Permit, Denied>) -> &'static str {
    decision.as_ref().map_or_else(Denied::code, |_| "allow")
}

/// The decision about the usual call with a token, as [`code`].
pub(crate) fn verdict(token: &Biscuit) -> &'static str {
    code(&decide(&token.to_vec().unwrap()))
}

/// A token taken apart, to be changed and signed anew.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) message: schema::Biscuit,
    /// Keys of third parties, by block.
    pub(crate) external: Vec<Option<SigningKey>>,
}

impl Forge {
    pub(crate) fn of(token: &Biscuit) -> Self {
        let message = schema::Biscuit::decode(token.to_vec().unwrap().as_slice()).unwrap();
        let count = message.blocks.len() + 1;
        Self {
            message,
            external: vec![None; count],
        }
    }

    pub(crate) fn signed_block(&mut self, index: usize) -> &mut schema::SignedBlock {
        match index {
            0 => &mut self.message.authority,
            _ => &mut self.message.blocks[index - 1],
        }
    }

    /// Changes what a block says.
    pub(crate) fn edit(mut self, index: usize, change: impl FnOnce(&mut schema::Block)) -> Self {
        let signed = self.signed_block(index);
        let mut block = schema::Block::decode(signed.block.as_slice()).unwrap();
        change(&mut block);
        signed.block = block.encode_to_vec();
        self
    }

    /// Changes a block's bytes.
    pub(crate) fn edit_bytes(mut self, index: usize, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.signed_block(index).block);
        self
    }

    /// Signs every block with the key that its predecessor names, which are new ones, and proves
    /// possession of the last: all that a holder of the root key and of every next key could do.
    pub(crate) fn sign(mut self) -> schema::Biscuit {
        let mut key = signing_key(ROOT_SEED);
        let mut previous: Option<Vec<u8>> = None;
        for index in 0..=self.message.blocks.len() {
            let external = self.external[index].clone();
            let next = signing_key(u8::try_from(100 + index).unwrap());
            let block = self.signed_block(index);
            block.next_key = public(&next);
            let version = block.version.unwrap_or(0);
            if let (Some(external), Some(previous)) = (external, &previous) {
                let payload = external_payload(&block.block, previous, version);
                block.external_signature = Some(schema::ExternalSignature {
                    signature: external.sign(&payload).to_bytes().to_vec(),
                    public_key: public(&external),
                });
            }
            block.signature = key
                .sign(&payload(block, previous.as_deref()))
                .to_bytes()
                .to_vec();
            previous = Some(block.signature.clone());
            key = next;
        }
        self.message.proof.content = Some(proof::Content::NextSecret(key.to_bytes().to_vec()));
        self.message
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.sign().encode_to_vec()
    }

    /// The decision about the usual call, as [`code`].
    pub(crate) fn verdict(self) -> &'static str {
        code(&decide(&self.bytes()))
    }
}

pub(crate) fn public(key: &SigningKey) -> schema::PublicKey {
    schema::PublicKey {
        algorithm: i32::from(public_key::Algorithm::Ed25519),
        key: key.verifying_key().to_bytes().to_vec(),
    }
}

/// What is signed of a block, by the specification's signature versions 0 and 1.
pub(crate) fn payload(block: &schema::SignedBlock, previous: Option<&[u8]>) -> Vec<u8> {
    let algorithm = block.next_key.algorithm.to_le_bytes();
    let external = block.external_signature.as_ref();
    let version = block.version.unwrap_or(0);
    let mut parts: Vec<&[u8]> = Vec::new();
    let version_bytes = version.to_le_bytes();
    if version == 0 {
        parts.push(&block.block);
        parts.extend(external.map(|external| external.signature.as_slice()));
        parts.extend([algorithm.as_slice(), &block.next_key.key]);
    } else {
        parts.extend([b"\0BLOCK\0\0VERSION\0".as_slice(), &version_bytes]);
        parts.extend([b"\0PAYLOAD\0".as_slice(), &block.block]);
        parts.extend([b"\0ALGORITHM\0".as_slice(), &algorithm]);
        parts.extend([b"\0NEXTKEY\0".as_slice(), &block.next_key.key]);
        if let Some(previous) = previous {
            parts.extend([b"\0PREVSIG\0".as_slice(), previous]);
        }
        if let Some(external) = external {
            parts.extend([b"\0EXTERNALSIG\0".as_slice(), &external.signature]);
        }
    }
    parts.concat()
}

fn external_payload(block: &[u8], previous: &[u8], version: u32) -> Vec<u8> {
    [
        b"\0EXTERNAL\0\0VERSION\0".as_slice(),
        &version.to_le_bytes(),
        b"\0PAYLOAD\0",
        block,
        b"\0PREVSIG\0",
        previous,
    ]
    .concat()
}
