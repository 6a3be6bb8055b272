//! Chains that grow by one block: reading the new block alone.
//!
//! The bytes of a canonical token are its blocks one after the other and then the proof. A token
//! with one more block therefore begins with the very bytes of its parent up to the proof, and
//! whoever has read those once needs to read only what follows them.

use biscuit_auth::format::schema;
use prost::Message;

use super::{
    Chain, ChainError, EncodedChain, canonical,
    encoded::{EncodedBlock, read_proof},
    shape::Shaped,
    signed::{Proof, SignedBlock},
};
use crate::limits::MAX_BLOCKS;

/// Blocks of a chain that are canonical and inside the profile, and what reading the next one
/// takes. Says nothing of signatures or of a proof.
#[derive(Clone, Debug)]
pub struct Stem {
    shaped: Shaped,
}

/// One more block and the proof after it: what a token has beyond its stem.
#[derive(Clone, Debug)]
pub struct Growth {
    block: EncodedBlock,
    proof: Proof,
}

/// The fields of a token's message from its last block on.
#[derive(Clone, PartialEq, Message)]
struct Tail {
    #[prost(message, required, tag = "3")]
    block: schema::SignedBlock,
    #[prost(message, required, tag = "4")]
    proof: schema::Proof,
}

impl Stem {
    /// Recognises every block of a chain, as [`EncodedChain::check_shape`] does.
    ///
    /// # Errors
    /// As [`EncodedChain::check_shape`].
    pub fn of(chain: &EncodedChain) -> Result<Self, ChainError> {
        Ok(Self {
            shaped: Shaped::of(chain)?,
        })
    }

    /// The chain of these blocks as this proof ends it.
    #[must_use]
    pub fn chain(&self, proof: &Proof) -> Chain {
        self.shaped.chain(proof)
    }

    /// The stem with one more block, if that is inside the profile too.
    ///
    /// # Errors
    /// As [`EncodedChain::check_shape`], and [`ChainError::LimitExceeded`] for a block too many.
    pub fn grow(&self, growth: &Growth) -> Result<Self, ChainError> {
        let count = self.shaped.block_count().saturating_add(1);
        if count > MAX_BLOCKS {
            return Err(ChainError::LimitExceeded {
                what: "blocks",
                count,
                limit: MAX_BLOCKS,
            });
        }
        let mut shaped = self.shaped.clone();
        shaped.append(&growth.block)?;
        Ok(Self { shaped })
    }

    /// About how many bytes of memory the stem takes beside what its chain shares with the chains
    /// it was asked for ([`crate::Plan::weight`] counts that); not less than it does.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.shaped.weight()
    }
}

impl Growth {
    /// Reads what follows the stem: one block and the proof, canonical, and nothing else.
    ///
    /// # Errors
    /// [`ChainError`], which may number the block wrongly: decode the whole token for the reason.
    pub fn decode(rest: &[u8]) -> Result<Self, ChainError> {
        const MALFORMED: ChainError = ChainError::Malformed("not one block and a proof");
        let tail = Tail::decode(rest).map_err(|_| MALFORMED)?;
        if !canonical::TAIL.is_canonical(rest) {
            return Err(MALFORMED);
        }
        Ok(Self {
            block: EncodedBlock::read(1, tail.block)?,
            proof: read_proof(1, tail.proof)?,
        })
    }

    /// The block as it was signed.
    pub fn signed_block(&self) -> &SignedBlock {
        &self.block.signed
    }

    /// What ends the chain.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

/// Where the last block and the proof begin in a token's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the last block after the authority block begins, if there is one.
    pub last_block: Option<usize>,
    /// Where the proof begins.
    pub proof: usize,
}

/// Keys of the outer message's fields: number and wire type.
const ROOT_KEY_ID: u8 = 0x08;
const AUTHORITY: u8 = 0x12;
const BLOCK: u8 = 0x1a;
const PROOF: u8 = 0x22;

impl Layout {
    /// Finds the parts of a token without reading them. `None` for what is not laid out as a
    /// token; `Some` proves nothing about the bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let mut at = 0_usize;
        let mut last_block = None;
        loop {
            let (number, next) = varint(bytes, at.checked_add(1)?)?;
            let end = next.checked_add(usize::try_from(number).ok()?)?;
            match *bytes.get(at)? {
                ROOT_KEY_ID => at = next,
                AUTHORITY => at = end,
                BLOCK => {
                    last_block = Some(at);
                    at = end;
                }
                PROOF => {
                    return (end == bytes.len()).then_some(Self {
                        last_block,
                        proof: at,
                    });
                }
                _ => return None,
            }
        }
    }
}

/// The varint at an offset, of at most five bytes, and the offset after it.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.get(at..)?.iter().take(5).enumerate() {
        let shift = u32::try_from(index).ok()?.checked_mul(7)?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((number, at.checked_add(index)?.checked_add(1)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_where_they_begin() {
        let token = [
            &[ROOT_KEY_ID, 0x81, 0x01, AUTHORITY, 2, 0, 0][..],
            &[BLOCK, 1, 9, BLOCK, 0, PROOF, 1, 7],
        ]
        .concat();
        let layout = Layout {
            last_block: Some(10),
            proof: 12,
        };
        assert_eq!(Layout::of(&token), Some(layout));
        for length in 0..token.len() {
            assert_eq!(Layout::of(&token[..length]), None, "{length} bytes");
        }
        assert_eq!(Layout::of(&[&token[..], &[0]].concat()), None);
        let without_blocks = Layout {
            last_block: None,
            proof: 2,
        };
        assert_eq!(Layout::of(&[AUTHORITY, 0, PROOF, 0]), Some(without_blocks));
    }

    #[test]
    fn lengths_beyond_the_bytes_are_no_layout() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(Layout::of(&[&[PROOF][..], &huge].concat()), None);
        assert_eq!(Layout::of(&[BLOCK, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), None);
        assert_eq!(Layout::of(&[0x28, 0]), None);
    }
}
