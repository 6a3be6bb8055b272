//! The signatures of a chain: each block by the key that the block before it names, the first by
//! the root key, and the proof by the last.
//!
//! Owns the one place where token signatures are verified. What is signed is the Biscuit
//! format's, for signature versions 0 and 1 of blocks, version 1 of third-party signatures and
//! version 0 of seals; every verification is strict ([`crate::ed25519`]). The conformance tests
//! compare each verdict with the Biscuit library's.
//!
//! Signatures are verified one by one. Verifying those of a chain as a batch would cost about
//! half, and would answer another question: a batch holds when a random combination of its
//! equations does, and where a signer added points of small order to its key and its signature,
//! that depends on the random numbers. Two verifiers, or one asked twice, could disagree on a
//! token, and one signer could give the same block many revocation ids that some accept.
//! Multiplying by the cofactor makes the answer certain and takes all of those signatures, which
//! strict verification refuses.

use bailiwick_datalog::chain::signed::{KEY_BYTES, Proof, SignedBlock};

use crate::ed25519::VerificationKey;

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
    key: VerificationKey,
    /// The signature before; none in front of the authority block.
    previous: Option<[u8; 64]>,
}

impl Link {
    /// The start of every chain.
    pub(crate) fn root(key: VerificationKey) -> Self {
        Self {
            key,
            previous: None,
        }
    }

    /// Verifies the next blocks of a chain and the proof after them, and answers the link after
    /// that. The proof shows that nothing was stripped from the end, and that the token is
    /// sealed or its holder may append.
    ///
    /// Every key that a block names is read before anything is verified, as the library does it,
    /// but for the last: the proof yields that one, and it is read for its own sake only where
    /// the verdict depends on it.
    pub(crate) fn verify<'a>(
        self,
        blocks: impl Iterator<Item = &'a SignedBlock> + Clone,
        proof: &Proof,
    ) -> Result<Self, BadChain> {
        let last = blocks.clone().last().ok_or(BadChain::Unreadable)?;
        let following = blocks.clone().skip(1).map(Some).chain([None]);
        let keys = blocks.clone().zip(following).map(Keys::read);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let verified = self.verify_blocks(blocks.zip(keys));
        let key = match (verified, proof) {
            (Err(bad), _) => read(&last.next_key).and(Err(bad)),
            (Ok(()), Proof::NextSecret(secret)) => {
                let key = VerificationKey::of_secret(secret);
                match key.as_bytes() == &last.next_key {
                    true => Ok(key),
                    false => read(&last.next_key).and(Err(BadChain::Signature)),
                }
            }
            (Ok(()), Proof::Seal(seal)) => {
                let key = read(&last.next_key)?;
                verify(&key, &sealed(last), seal).and(Ok(key))
            }
        }?;
        Ok(Self {
            key,
            previous: Some(*last.signature.as_bytes()),
        })
    }

    /// Verifies blocks, each with the keys that it names.
    fn verify_blocks<'a>(
        self,
        blocks: impl Iterator<Item = (&'a SignedBlock, Keys)>,
    ) -> Result<(), BadChain> {
        let mut link = self;
        let mut message = Vec::new();
        for (block, keys) in blocks {
            link.verify_block(block, &keys, &mut message)?;
            link.previous = Some(*block.signature.as_bytes());
            match keys.next {
                Some(key) => link.key = key,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn verify_block(
        &self,
        block: &SignedBlock,
        keys: &Keys,
        message: &mut Vec<u8>,
    ) -> Result<(), BadChain> {
        match (block.version, &self.previous) {
            (0, _) => signed_v0(message, block),
            (LATEST_VERSION, previous) => signed_v1(message, block, previous.as_ref()),
            _ => return Err(BadChain::Unreadable),
        }
        verify(&self.key, message, block.signature.as_bytes())?;
        if let (Some(external), Some(key)) = (&block.external, &keys.external) {
            // The authority block has no third-party signature: decoding refuses one.
            let previous = self.previous.as_ref().ok_or(BadChain::Unreadable)?;
            externally_signed(message, block, previous);
            verify(key, message, &external.signature)?;
        }
        Ok(())
    }
}

/// The keys that a block names.
struct Keys {
    /// The key of the block after it, if there is one.
    next: Option<VerificationKey>,
    external: Option<VerificationKey>,
}

impl Keys {
    fn read((block, following): (&SignedBlock, Option<&SignedBlock>)) -> Result<Self, BadChain> {
        let external = match (&block.external, block.version) {
            (None, _) => None,
            (Some(external), LATEST_VERSION) => Some(read(&external.key)?),
            (Some(_), _) => return Err(BadChain::Unreadable),
        };
        Ok(Self {
            next: following.map(|_| read(&block.next_key)).transpose()?,
            external,
        })
    }
}

fn read(key: &[u8; KEY_BYTES]) -> Result<VerificationKey, BadChain> {
    VerificationKey::from_bytes(key).ok_or(BadChain::Unreadable)
}

fn verify(key: &VerificationKey, message: &[u8], signature: &[u8; 64]) -> Result<(), BadChain> {
    match key.verify(message, signature) {
        true => Ok(()),
        false => Err(BadChain::Signature),
    }
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
