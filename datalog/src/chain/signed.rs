//! What the signatures of a chain are about: bytes and keys, for whoever verifies them.

use std::fmt;

use crate::revocation_id::RevocationId;

/// Length of an Ed25519 public key, and of a secret one.
pub const KEY_BYTES: usize = 32;
/// Length of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// One block as it was signed. Lengths are right; nothing else is known of keys and signatures.
#[derive(Clone, Debug)]
pub struct SignedBlock {
    /// The encoded block.
    pub payload: Vec<u8>,
    /// The key that the next block, or the proof, is made with.
    pub next_key: [u8; KEY_BYTES],
    /// The signature by the key before, which is also the block's revocation id.
    pub signature: RevocationId,
    /// The signature of a third party, if it is a third-party block.
    pub external: Option<ExternalSignature>,
    /// The signature version: which bytes are signed.
    pub version: u32,
}

/// A third party's signature over a block.
#[derive(Clone, Copy, Debug)]
pub struct ExternalSignature {
    /// The third party's key.
    pub key: [u8; KEY_BYTES],
    /// The signature.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// What ends a chain.
#[derive(Clone, Copy)]
pub enum Proof {
    /// The secret of the last next key: whoever holds the token may append.
    NextSecret([u8; KEY_BYTES]),
    /// A last signature by that key: nobody may append.
    Seal([u8; SIGNATURE_BYTES]),
}

/// Never shows the secret.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NextSecret(_) => "NextSecret(..)",
            Self::Seal(_) => "Seal(..)",
        })
    }
}
