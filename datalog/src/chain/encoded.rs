//! Bytes → canonical messages: profile rules 11, 13 (signature version), 14, 21 and 22.

use biscuit_auth::format::schema::{self, check, proof, public_key};
use prost::Message;

use super::{Chain, ChainError, shape};
use crate::{limits::MAX_BLOCKS, revocation_id::RevocationId, token_text::MAX_TOKEN_BYTES};

const PUBLIC_KEY_BYTES: usize = 32;
const SECRET_KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// A token that decodes to canonical messages: re-encoding gives the same bytes, every key is
/// Ed25519, every signature has the right size, and the root key is named.
#[derive(Clone, Debug)]
pub struct EncodedChain {
    pub(super) root_key_id: u32,
    pub(super) sealed: bool,
    pub(super) blocks: Vec<EncodedBlock>,
}

/// One block's messages.
#[derive(Clone, Debug)]
pub(super) struct EncodedBlock {
    pub(super) content: schema::Block,
    pub(super) external_key: Option<[u8; PUBLIC_KEY_BYTES]>,
    pub(super) signature_version: u32,
    pub(super) revocation_id: RevocationId,
}

impl EncodedChain {
    /// Decodes a token's raw bytes. Work is linear in the bytes, which are bounded first.
    ///
    /// # Errors
    /// Every [`ChainError`] but `Profile`.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(ChainError::TooLarge {
                length: bytes.len(),
            });
        }
        let message = schema::Biscuit::decode(bytes)
            .map_err(|_| ChainError::Malformed("the outer message does not decode"))?;
        if message.encode_to_vec() != bytes {
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
        let blocks = std::iter::once(&message.authority)
            .chain(&message.blocks)
            .enumerate()
            .map(|(index, block)| EncodedBlock::decode(index, block))
            .collect::<Result<_, _>>()?;
        let sealed = match &message.proof.content {
            None => return Err(ChainError::Malformed("the token has no proof")),
            Some(proof::Content::NextSecret(secret)) if secret.len() == SECRET_KEY_BYTES => false,
            Some(proof::Content::FinalSignature(seal)) if seal.len() == SIGNATURE_BYTES => true,
            Some(_) => return Err(ChainError::BrokenSignature { block: last }),
        };
        let root_key_id = message.root_key_id.ok_or(ChainError::NoRootKeyId)?;
        Ok(Self {
            root_key_id,
            sealed,
            blocks,
        })
    }

    /// The root key that the token claims.
    pub fn root_key_id(&self) -> u32 {
        self.root_key_id
    }

    /// Recognises every fact and check of every block, or refuses the token (profile rules 1–3,
    /// 13 and 15–17). Proves nothing about signatures: verify them first.
    ///
    /// # Errors
    /// [`ChainError::Profile`], [`ChainError::LimitExceeded`], or [`ChainError::Malformed`] for
    /// symbols that are not defined.
    pub fn check_shape(&self) -> Result<Chain, ChainError> {
        shape::check(self)
    }
}

impl EncodedBlock {
    fn decode(index: usize, message: &schema::SignedBlock) -> Result<Self, ChainError> {
        key(index, &message.next_key)?;
        let revocation_id = RevocationId::try_from(message.signature.as_slice())
            .map_err(|_| ChainError::BrokenSignature { block: index })?;
        if message.version == Some(0) {
            return Err(ChainError::Malformed(
                "a signature version is written though it is the default",
            ));
        }
        let external_key = match &message.external_signature {
            None => None,
            Some(external) if external.signature.len() != SIGNATURE_BYTES => {
                return Err(ChainError::BrokenSignature { block: index });
            }
            Some(external) => Some(key(index, &external.public_key)?),
        };
        let content = schema::Block::decode(message.block.as_slice())
            .map_err(|_| ChainError::Malformed("a block does not decode"))?;
        if content.encode_to_vec() != message.block {
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
        let signature_version = message.version.unwrap_or(0);
        Ok(Self {
            content,
            external_key,
            signature_version,
            revocation_id,
        })
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

fn key(index: usize, message: &schema::PublicKey) -> Result<[u8; PUBLIC_KEY_BYTES], ChainError> {
    if message.algorithm != ED25519 {
        return Err(ChainError::UnsupportedAlgorithm { block: index });
    }
    message
        .key
        .as_slice()
        .try_into()
        .map_err(|_| ChainError::Malformed("a public key does not have 32 bytes"))
}
