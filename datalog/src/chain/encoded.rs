//! Bytes → canonical messages: profile rules 11, 13 (signature version), 14, 21 and 22.

use biscuit_auth::format::schema::{self, check, proof, public_key};
use prost::Message;

use super::{
    Chain, ChainError, canonical, shape,
    signed::{ExternalSignature, KEY_BYTES, Proof, SignedBlock},
};
use crate::{
    limits::MAX_BLOCKS,
    revocation_id::RevocationId,
    token_text::MAX_TOKEN_BYTES,
    wire::{self, SymbolList},
};

/// A token that decodes to canonical messages: re-encoding gives the same bytes, every key is
/// Ed25519, every signature has the right size, and the root key is named.
#[derive(Clone, Debug)]
pub struct EncodedChain {
    pub(super) root_key_id: u32,
    pub(super) blocks: Vec<EncodedBlock>,
    pub(super) proof: Proof,
}

/// One block: its message, and what is signed of it.
#[derive(Clone, Debug)]
pub(super) struct EncodedBlock {
    pub(super) symbols: SymbolList,
    /// All but the symbols.
    pub(super) content: schema::Block,
    pub(super) signed: SignedBlock,
}

impl EncodedChain {
    /// Decodes a token's raw bytes. Work is linear in the bytes, which are bounded first.
    ///
    /// # Errors
    /// Every [`ChainError`]; `Profile` only for what is nested deeper than any shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(ChainError::TooLarge {
                length: bytes.len(),
            });
        }
        let message = schema::Biscuit::decode(bytes)
            .map_err(|_| ChainError::Malformed("the outer message does not decode"))?;
        if !canonical::BISCUIT.is_canonical(bytes) {
            return Err(ChainError::Malformed("the outer message is not canonical"));
        }
        let count = message.blocks.len().saturating_add(1);
        if count > MAX_BLOCKS {
            return Err(ChainError::LimitExceeded {
                what: "blocks",
                count,
                limit: MAX_BLOCKS,
            });
        }
        if message.authority.external_signature.is_some() {
            return Err(ChainError::Malformed(
                "the authority block has an external signature",
            ));
        }
        let last = message.blocks.len();
        let blocks = std::iter::once(message.authority)
            .chain(message.blocks)
            .enumerate()
            .map(|(index, block)| EncodedBlock::read(index, block))
            .collect::<Result<_, _>>()?;
        let proof = read_proof(last, message.proof)?;
        let root_key_id = message.root_key_id.ok_or(ChainError::NoRootKeyId)?;
        Ok(Self {
            root_key_id,
            blocks,
            proof,
        })
    }

    /// The root key that the token claims.
    pub fn root_key_id(&self) -> u32 {
        self.root_key_id
    }

    /// The blocks as they were signed, the authority block first.
    pub fn signed_blocks(&self) -> impl DoubleEndedIterator<Item = &SignedBlock> + Clone {
        self.blocks.iter().map(|block| &block.signed)
    }

    /// What ends the chain.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Recognises every fact and check of every block, or refuses the token (profile rules 1–3,
    /// 13 and 15–17). Proves nothing about signatures: verify them first.
    ///
    /// # Errors
    /// [`ChainError::Profile`], [`ChainError::LimitExceeded`], or [`ChainError::Malformed`] for
    /// symbols that are not defined.
    pub fn check_shape(&self) -> Result<Chain, ChainError> {
        Ok(shape::Shaped::of(self)?.chain(&self.proof))
    }
}

impl EncodedBlock {
    pub(super) fn read(index: usize, message: schema::SignedBlock) -> Result<Self, ChainError> {
        let broken = ChainError::BrokenSignature { block: index };
        let next_key = key(index, &message.next_key)?;
        let signature =
            RevocationId::try_from(message.signature.as_slice()).map_err(|_| broken.clone())?;
        if message.version == Some(0) {
            return Err(ChainError::Malformed(
                "a signature version is written though it is the default",
            ));
        }
        let external = match &message.external_signature {
            None => None,
            Some(external) => Some(ExternalSignature {
                signature: external
                    .signature
                    .as_slice()
                    .try_into()
                    .map_err(|_| broken)?,
                key: key(index, &external.public_key)?,
            }),
        };
        const UNREADABLE: ChainError = ChainError::Malformed("a block does not decode");
        let (symbols, rest) = SymbolList::take(&message.block).ok_or(UNREADABLE)?;
        let content = schema::Block::decode(rest).map_err(|_| UNREADABLE)?;
        if wire::is_nested_beyond_views(&content) {
            return Err(ChainError::Profile {
                block: index,
                what: "nested deeper than any shape".to_owned(),
            });
        }
        if !canonical::BLOCK.is_canonical(&message.block) {
            return Err(ChainError::Malformed("a block is not canonical"));
        }
        if content
            .checks
            .iter()
            .any(|c| c.kind == Some(DEFAULT_CHECK_KIND))
        {
            return Err(ChainError::Malformed(
                "a check kind is written though it is the default",
            ));
        }
        Ok(Self {
            symbols,
            content,
            signed: SignedBlock {
                payload: message.block,
                next_key,
                signature,
                external,
                version: message.version.unwrap_or(0),
            },
        })
    }
}

/// The proof of a chain whose last block is `last`.
pub(super) fn read_proof(last: usize, message: schema::Proof) -> Result<Proof, ChainError> {
    let broken = |_| ChainError::BrokenSignature { block: last };
    match message.content {
        None => Err(ChainError::Malformed("the token has no proof")),
        Some(proof::Content::NextSecret(secret)) => {
            secret.try_into().map(Proof::NextSecret).map_err(broken)
        }
        Some(proof::Content::FinalSignature(seal)) => {
            seal.try_into().map(Proof::Seal).map_err(broken)
        }
    }
}

/// `check if` on the wire; writers leave it out.
#[expect(
    clippy::as_conversions,
    reason = "the discriminant of a generated enumeration"
)]
const DEFAULT_CHECK_KIND: i32 = check::Kind::One as i32;
#[expect(
    clippy::as_conversions,
    reason = "the discriminant of a generated enumeration"
)]
const ED25519: i32 = public_key::Algorithm::Ed25519 as i32;

fn key(index: usize, message: &schema::PublicKey) -> Result<[u8; KEY_BYTES], ChainError> {
    if message.algorithm != ED25519 {
        return Err(ChainError::UnsupportedAlgorithm { block: index });
    }
    message
        .key
        .as_slice()
        .try_into()
        .map_err(|_| ChainError::Malformed("a public key does not have 32 bytes"))
}
