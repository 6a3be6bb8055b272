//! Tokens as an attacker writes them: protobuf messages, signed with fixed keys.
//!
//! The Biscuit library's parser turns Datalog into messages, as any holder's tool would. From there
//! on nothing of the library or of ours is used: blocks are changed as bytes and signed by the
//! format's specification. Every key comes from a label, so a token is the same in every run.

use biscuit_auth::{
    KeyPair, PrivateKey,
    builder::{Algorithm, BiscuitBuilder, BlockBuilder},
    format::schema::{self, proof, public_key},
};
use ed25519_dalek::{Signer, SigningKey};
use prost::Message;
use sha2::{Digest, Sha256};

/// The key that a label stands for.
pub(crate) fn key(label: &str) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest(format!("bailiwick corpus: {label}")).into())
}

/// A public key as the format holds it.
pub(crate) fn public(key: &SigningKey) -> schema::PublicKey {
    schema::PublicKey {
        algorithm: i32::from(public_key::Algorithm::Ed25519),
        key: key.verifying_key().to_bytes().to_vec(),
    }
}

/// What one block says and how it is to be signed.
#[derive(Clone)]
pub(crate) struct Block {
    /// The signed bytes.
    pub(crate) content: Vec<u8>,
    /// The signature's version on the wire.
    pub(crate) version: Option<u32>,
    /// The third party that signs it, if any.
    pub(crate) external: Option<SigningKey>,
}

/// A token before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Tells the keys of two tokens apart.
    salt: String,
    pub(crate) root: SigningKey,
    pub(crate) root_key_id: Option<u32>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sealed: bool,
}

impl Draft {
    /// An authority block and first-party blocks, as Datalog.
    pub(crate) fn of(authority: &str, later: &[&str]) -> Self {
        Self {
            salt: String::new(),
            root: key("root"),
            root_key_id: Some(1),
            blocks: compile(authority, later),
            sealed: false,
        }
    }

    /// The same with other next keys.
    pub(crate) fn salted(mut self, salt: &str) -> Self {
        salt.clone_into(&mut self.salt);
        self
    }

    /// The same, sealed.
    pub(crate) fn seal(mut self) -> Self {
        self.sealed = true;
        self
    }

    /// The same with every block signed by this version of the signature.
    pub(crate) fn signature_version(mut self, version: Option<u32>) -> Self {
        for block in &mut self.blocks {
            block.version = version;
        }
        self
    }

    /// Changes what a block says.
    pub(crate) fn edit(self, index: usize, change: impl FnOnce(&mut schema::Block)) -> Self {
        self.edit_bytes(index, |bytes| {
            let mut block = schema::Block::decode(bytes.as_slice()).unwrap();
            change(&mut block);
            *bytes = block.encode_to_vec();
        })
    }

    /// Changes a block's bytes.
    pub(crate) fn edit_bytes(mut self, index: usize, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.blocks[index].content);
        self
    }

    /// Appends a block that a third party signs. It has a symbol table of its own.
    pub(crate) fn third_party(mut self, signer: &str, source: &str) -> Self {
        let mut block = compile(source, &[]).remove(0);
        let mut content = schema::Block::decode(block.content.as_slice()).unwrap();
        content.version = content.version.max(Some(5));
        block.content = content.encode_to_vec();
        block.version = Some(1);
        block.external = Some(key(signer));
        self.blocks.push(block);
        self
    }

    /// The key that block `index` hands on to the one after it.
    pub(crate) fn next_key(&self, index: usize) -> SigningKey {
        key(&format!("next {} {index}", self.salt))
    }

    /// Signs every block with the key that its predecessor names, and proves possession of the
    /// last key: all that the holders of those keys could do together.
    pub(crate) fn sign(&self) -> schema::Biscuit {
        let mut signer = self.root.clone();
        let mut signed: Vec<schema::SignedBlock> = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            let previous = signed.last().map(|block| block.signature.clone());
            let next = self.next_key(index);
            signed.push(sign_block(block, &signer, &next, previous.as_deref()));
            signer = next;
        }
        let last = signed.last().unwrap();
        let content = if self.sealed {
            proof::Content::FinalSignature(seal(last, &signer))
        } else {
            proof::Content::NextSecret(signer.to_bytes().to_vec())
        };
        let authority = signed.remove(0);
        schema::Biscuit {
            root_key_id: self.root_key_id,
            authority,
            blocks: signed,
            proof: schema::Proof {
                content: Some(content),
            },
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.sign().encode_to_vec()
    }
}

/// Signs one block, and what a third party says of it first.
pub(crate) fn sign_block(
    block: &Block,
    signer: &SigningKey,
    next: &SigningKey,
    previous: Option<&[u8]>,
) -> schema::SignedBlock {
    let external_signature = block.external.as_ref().map(|external| {
        let payload = external_payload(
            &block.content,
            previous.unwrap_or_default(),
            block.version.unwrap_or(0),
        );
        schema::ExternalSignature {
            signature: external.sign(&payload).to_bytes().to_vec(),
            public_key: public(external),
        }
    });
    let mut signed = schema::SignedBlock {
        block: block.content.clone(),
        next_key: public(next),
        signature: Vec::new(),
        external_signature,
        version: block.version,
    };
    signed.signature = signer.sign(&payload(&signed, previous)).to_bytes().to_vec();
    signed
}

/// The signature that ends a chain: over the last block with its signature.
pub(crate) fn seal(last: &schema::SignedBlock, signer: &SigningKey) -> Vec<u8> {
    let mut payload = last.block.clone();
    payload.extend(last.next_key.algorithm.to_le_bytes());
    payload.extend(&last.next_key.key);
    payload.extend(&last.signature);
    signer.sign(&payload).to_bytes().to_vec()
}

/// What is signed of a block, by the specification's signature versions 0 and 1.
pub(crate) fn payload(block: &schema::SignedBlock, previous: Option<&[u8]>) -> Vec<u8> {
    let algorithm = block.next_key.algorithm.to_le_bytes();
    let external = block.external_signature.as_ref();
    let version = block.version.unwrap_or(0);
    let version_bytes = version.to_le_bytes();
    let mut parts: Vec<&[u8]> = Vec::new();
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

/// Datalog to messages. The library signs with a throw-away key; only contents are kept.
fn compile(authority: &str, later: &[&str]) -> Vec<Block> {
    let secret = key("throw-away").to_bytes();
    let signer = KeyPair::from(&PrivateKey::from_bytes(&secret, Algorithm::Ed25519).unwrap());
    let mut token = BiscuitBuilder::new()
        .code(authority)
        .unwrap()
        .build(&signer)
        .unwrap();
    for source in later {
        let block = BlockBuilder::new().code(source);
        let block = block.unwrap_or_else(|error| panic!("{source}: {error}"));
        token = token.append(block).unwrap();
    }
    let message = schema::Biscuit::decode(token.to_vec().unwrap().as_slice()).unwrap();
    std::iter::once(message.authority)
        .chain(message.blocks)
        .map(|signed| Block {
            content: signed.block,
            version: signed.version,
            external: None,
        })
        .collect()
}
