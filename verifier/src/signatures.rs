//! The signatures of a chain: each block by the key that the block before it names, the first by
//! the root key, and the proof by the last.
//!
//! Owns the one place where token signatures are verified. What is signed is the Biscuit
//! format's, for signature versions 0 and 1 of blocks, version 1 of third-party signatures and
//! version 0 of seals; every verification is strict (RFC 8032 section 5.1.7 with canonical
//! encodings, no key and no point of small order). The conformance tests compare each verdict
//! with the Biscuit library's.

use bailiwick_datalog::chain::signed::{ExternalSignature, KEY_BYTES, Proof, SignedBlock};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

/// The version of all third-party signatures, and the latest of others.
const LATEST_VERSION: u32 = 1;
/// Ed25519, as the format numbers algorithms under a signature.
const ED25519: [u8; 4] = [0; 4];

/// Why the signatures of a chain do not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadChain {
    /// A signature, the proof or the seal is not that of its key.
    Signature,
    /// A key is no point of the curve, or the format knows no such signature version.
    Unreadable,
}

/// The key that the next signature of a chain must be made with, and what it is chained to.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    key: VerifyingKey,
    /// The signature before; none in front of the authority block.
    previous: Option<[u8; 64]>,
}

impl Link {
    /// The start of every chain.
    pub(crate) fn root(key: VerifyingKey) -> Self {
        Self {
            key,
            previous: None,
        }
    }

    /// Verifies the next blocks of a chain, and answers the link after them. Does not verify the
    /// proof, without which blocks may have been stripped.
    pub(crate) fn verify_blocks<'a>(
        self,
        blocks: impl Iterator<Item = &'a SignedBlock> + Clone,
    ) -> Result<Self, BadChain> {
        // Every key is read before anything is verified, as the library does it.
        let keys = blocks.clone().map(Keys::read);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let mut link = self;
        let mut message = Vec::new();
        for (block, keys) in blocks.zip(keys) {
            link = link.verify_block(block, &keys, &mut message)?;
        }
        Ok(link)
    }

    fn verify_block(
        self,
        block: &SignedBlock,
        keys: &Keys,
        message: &mut Vec<u8>,
    ) -> Result<Self, BadChain> {
        let signature = block.signature.as_bytes();
        match (block.version, &self.previous) {
            (0, _) => signed_v0(message, block),
            (LATEST_VERSION, previous) => signed_v1(message, block, previous.as_ref()),
            _ => return Err(BadChain::Unreadable),
        }
        verify(&self.key, message, signature)?;
        if let (Some(external), Some(key)) = (&block.external, &keys.external) {
            // The authority block has no third-party signature: decoding refuses one.
            let previous = self.previous.as_ref().ok_or(BadChain::Unreadable)?;
            externally_signed(message, block, previous);
            verify(key, message, &external.signature)?;
        }
        Ok(Self {
            key: keys.next,
            previous: Some(*signature),
        })
    }

    /// Verifies that the proof is that of this link's key over the last block: nothing was
    /// stripped from the end, and the token is sealed or its holder may append.
    pub(crate) fn verify_proof(&self, proof: &Proof, last: &SignedBlock) -> Result<(), BadChain> {
        match proof {
            Proof::NextSecret(secret) => {
                let public = SigningKey::from_bytes(secret).verifying_key();
                match public.as_bytes() == self.key.as_bytes() {
                    true => Ok(()),
                    false => Err(BadChain::Signature),
                }
            }
            Proof::Seal(seal) => verify(&self.key, &sealed(last), seal),
        }
    }
}

/// The keys that a block names.
struct Keys {
    next: VerifyingKey,
    external: Option<VerifyingKey>,
}

impl Keys {
    fn read(block: &SignedBlock) -> Result<Self, BadChain> {
        let key = |bytes: &[u8; KEY_BYTES]| {
            VerifyingKey::from_bytes(bytes).map_err(|_| BadChain::Unreadable)
        };
        let external = |external: &ExternalSignature| match block.version {
            LATEST_VERSION => key(&external.key),
            _ => Err(BadChain::Unreadable),
        };
        Ok(Self {
            next: key(&block.next_key)?,
            external: block.external.as_ref().map(external).transpose()?,
        })
    }
}

fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> Result<(), BadChain> {
    key.verify_strict(message, &Signature::from_bytes(signature))
        .map_err(|_| BadChain::Signature)
}

fn write(message: &mut Vec<u8>, parts: &[&[u8]]) {
    message.clear();
    for part in parts {
        message.extend_from_slice(part);
    }
}

fn signed_v0(message: &mut Vec<u8>, block: &SignedBlock) {
    let external = block.external.as_ref();
    let external = external.map_or(&[][..], |external| &external.signature);
    write(
        message,
        &[&block.payload, external, &ED25519, &block.next_key],
    );
}

fn signed_v1(message: &mut Vec<u8>, block: &SignedBlock, previous: Option<&[u8; 64]>) {
    write(
        message,
        &[
            b"\0BLOCK\0\0VERSION\0",
            &block.version.to_le_bytes(),
            b"\0PAYLOAD\0",
            &block.payload,
            b"\0ALGORITHM\0",
            &ED25519,
            b"\0NEXTKEY\0",
            &block.next_key,
        ],
    );
    if let Some(previous) = previous {
        message.extend_from_slice(b"\0PREVSIG\0");
        message.extend_from_slice(previous);
    }
    if let Some(external) = &block.external {
        message.extend_from_slice(b"\0EXTERNALSIG\0");
        message.extend_from_slice(&external.signature);
    }
}

fn externally_signed(message: &mut Vec<u8>, block: &SignedBlock, previous: &[u8; 64]) {
    write(
        message,
        &[
            b"\0EXTERNAL\0\0VERSION\0",
            &block.version.to_le_bytes(),
            b"\0PAYLOAD\0",
            &block.payload,
            b"\0PREVSIG\0",
            previous,
        ],
    );
}

/// What a seal is a signature over. The external signature of a third-party block is not in it;
/// the block's own signature, which covers that, is.
fn sealed(last: &SignedBlock) -> Vec<u8> {
    let parts: [&[u8]; 4] = [
        &last.payload,
        &ED25519,
        &last.next_key,
        last.signature.as_bytes(),
    ];
    parts.concat()
}
