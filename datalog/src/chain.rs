//! A token's chain of blocks: decoded, canonical and inside the profile, or refused.
//!
//! Three steps, each a type: bytes → [`EncodedChain`] (canonical protobuf, Ed25519 only, counted)
//! → signature verification by the verifier → [`Chain`] (every fact and check recognised).
//! Nothing here runs Datalog or checks a signature.

mod canonical;
mod encoded;
mod shape;
pub mod signed;
pub mod stem;

use std::sync::Arc;

use thiserror::Error;

pub use self::encoded::EncodedChain;
use crate::{
    authority::Authority, later_block::LaterBlock, name::Thumbprint, revocation_id::RevocationId,
};

/// Why bytes are not a token of the profile. Block 0 is the authority block.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// More bytes than a token may have.
    #[error(
        "token has {length} bytes, more than {}",
        crate::token_text::MAX_TOKEN_BYTES
    )]
    TooLarge {
        /// Length in bytes.
        length: usize,
    },
    /// Not a token's encoding, or not the canonical one.
    #[error("not a canonical token: {0}")]
    Malformed(&'static str),
    /// A key or signature of another algorithm than Ed25519.
    #[error("block {block} uses another algorithm than Ed25519")]
    UnsupportedAlgorithm {
        /// The block.
        block: usize,
    },
    /// The token names no root key.
    #[error("the token names no root key")]
    NoRootKeyId,
    /// A signature, proof or seal that can't be one.
    #[error("block {block} has a broken signature or proof")]
    BrokenSignature {
        /// The block.
        block: usize,
    },
    /// A counted bound is passed.
    #[error("{what}: {count}, more than {limit}")]
    LimitExceeded {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Something the profile does not allow.
    #[error("block {block} is outside the token profile: {what}")]
    Profile {
        /// The block.
        block: usize,
        /// What is not allowed.
        what: String,
    },
}

/// A chain inside the profile. Says nothing of signatures, time or revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    authority: Arc<Authority>,
    blocks: Vec<Arc<ChainBlock>>,
    root_key_id: u32,
    sealed: bool,
    revocation_ids: Vec<RevocationId>,
}

/// One block after the authority block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainBlock {
    /// What the block says.
    pub content: LaterBlock,
    /// True for a third-party block, signed by the holder before it.
    pub by_holder: bool,
}

impl Chain {
    /// Decodes and shape-checks a token **without verifying its signatures**: for showing a token
    /// to whoever holds it, never for deciding.
    ///
    /// # Errors
    /// [`ChainError`] for anything outside the profile.
    pub fn decode_unverified(bytes: &[u8]) -> Result<Self, ChainError> {
        EncodedChain::decode(bytes)?.check_shape()
    }

    /// What the issuer granted.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The blocks after those of another chain, if that one's blocks, each from the same reading,
    /// are the first of this one.
    pub(crate) fn blocks_beyond(&self, other: &Self) -> Option<&[Arc<ChainBlock>]> {
        let (common, beyond) = self.blocks.split_at_checked(other.blocks.len())?;
        let mut pairs = common.iter().zip(&other.blocks);
        let same = Arc::ptr_eq(&self.authority, &other.authority)
            && pairs.all(|(block, other)| Arc::ptr_eq(block, other));
        same.then_some(beyond)
    }

    /// The later blocks, in order.
    pub fn blocks(&self) -> &[Arc<ChainBlock>] {
        &self.blocks
    }

    /// Number of blocks after the authority block.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// The root key that the token claims; unsigned, so good for look-up only.
    pub fn root_key_id(&self) -> u32 {
        self.root_key_id
    }

    /// True when nobody can append to the token.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// One id for each block, the authority block's first.
    pub fn revocation_ids(&self) -> &[RevocationId] {
        &self.revocation_ids
    }

    /// The key that must prove possession of the token now, if any.
    pub fn holder(&self) -> Option<&Thumbprint> {
        self.blocks
            .iter()
            .rev()
            .find_map(|block| block.content.holder.as_ref())
            .or(self.authority.holder.as_ref())
    }

    /// Names of the sub-agents the token passed through, in order.
    pub fn delegates(&self) -> impl Iterator<Item = &str> {
        self.blocks
            .iter()
            .filter_map(|block| block.content.delegate.as_ref().map(|name| name.as_str()))
    }
}
