//! Narrowing a token and handing it on, offline: one block more, or a seal.
//!
//! Owns what a holder does with a token: [`HeldToken`] in, another one out. It stands here and not
//! beside the vocabulary of blocks, because it makes signatures, one of them with the
//! [`HolderKey`] that this crate also checks proofs of; `bailiwick_datalog` neither makes nor
//! checks any. What a block may say is [`LaterBlock`]'s; any Biscuit library can write the same.
//!
//! A block can only take away, so nobody needs to be asked. Nothing here proves that the token at
//! hand is any good: no signature is verified, no clock is read and no revocation list is asked, so
//! a forged token narrows to a forged token. What is refused is what no verifier would accept
//! afterwards, whatever the time and the keys.

use std::fmt;

use bailiwick_datalog::{
    Chain, LaterBlock, Plan, ProfileError, Thumbprint, Timestamp, plan::Refused, token_text,
};
use biscuit_auth::{
    KeyPair, UnverifiedBiscuit,
    builder::{Algorithm, BlockBuilder},
    error,
};
use rand_core::CryptoRngCore;

use crate::{denied::Denied, holder::HolderKey, token::bytes_of};

/// A token in the hands of whoever may narrow it: decoded and inside the profile. **No signature
/// is verified.** Holds the secret that appends, unless it is sealed.
#[derive(Clone)]
pub struct HeldToken {
    bytes: Vec<u8>,
    chain: Chain,
}

/// Why a token is not narrowed. Nothing was made or signed that could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttenuationError {
    /// The token is sealed.
    #[error("the token is sealed, so nobody can narrow it")]
    Sealed,
    /// The block names a holder, and the token has one: only that one's key may name the next.
    #[error(
        "the token is bound to the key `{holder}`; only that key can bind it to another",
        holder = holder.as_str()
    )]
    HolderBound {
        /// The holder now.
        holder: Thumbprint,
    },
    /// A token without a holder is handed over with a key; any block can bind it.
    #[error("the token is bound to no key, so no key is needed to bind it")]
    NotBound,
    /// A block that is to hand the token over names nobody.
    #[error("the block does not name the next holder")]
    NoNextHolder,
    /// The key is not the one that the token is bound to.
    #[error(
        "the token is bound to the key `{holder}`, and the key given is `{key}`",
        holder = holder.as_str(),
        key = key.as_str()
    )]
    WrongHolderKey {
        /// The key given.
        key: Thumbprint,
        /// The holder now.
        holder: Thumbprint,
    },
    /// The block has no form in the token profile.
    #[error("the block cannot be written: {0}")]
    Block(#[from] ProfileError),
    /// The token may not be passed on so often.
    #[error("the token may be delegated {most} deep, and this block would make it {depth}")]
    DepthExceeded {
        /// Blocks after the authority block, with the new one.
        depth: usize,
        /// How many some block allows, the new one included.
        most: i64,
    },
    /// The new token would be over before its session began.
    #[error("the new token would end at {ends}, before the session began at {begins}")]
    NeverValid {
        /// The first moment that would be refused.
        ends: Timestamp,
        /// When the token was issued.
        begins: Timestamp,
    },
    /// What comes out is nothing that a verifier accepts.
    #[error("no server would accept the new token: {0}")]
    Refused(Denied),
    /// The Biscuit library cannot append to the token, so it is broken.
    #[error("the token cannot be narrowed: {0}")]
    Library(#[from] error::Token),
}

impl AttenuationError {
    /// The error's stable code: a verifier's where it would refuse the result.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::HolderBound { .. } => "holder_already_bound",
            Self::NotBound => "holder_not_bound",
            Self::NoNextHolder => "next_holder_missing",
            Self::WrongHolderKey { .. } => "wrong_holder_key",
            Self::Block(ProfileError::TooManyChecks { .. }) => "limit_exceeded",
            Self::Block(_) => "profile_violation",
            Self::DepthExceeded { .. } => "depth_exceeded",
            Self::NeverValid { .. } => "expired",
            Self::Refused(denied) => denied.code(),
            Self::Library(_) => "malformed_token",
        }
    }
}

impl HeldToken {
    /// Reads raw token bytes. Proves that they are canonical and inside the profile, no more.
    ///
    /// # Errors
    /// [`Denied`] with what a verifier would say of its form.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Denied> {
        let bytes = bytes.into();
        let chain = Chain::decode_unverified(&bytes)?;
        Ok(Self { bytes, chain })
    }

    /// Reads a token's base64url text, padded or not. Proves as little as
    /// [`HeldToken::from_bytes`].
    ///
    /// # Errors
    /// As [`HeldToken::from_bytes`].
    pub fn from_text(text: &str) -> Result<Self, Denied> {
        Self::from_bytes(bytes_of(text)?)
    }

    /// What the token says.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The token's text, as it is presented. A secret.
    #[must_use]
    pub fn expose_text(&self) -> String {
        token_text::encode(&self.bytes)
    }

    /// The token's bytes. A secret.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a block: conditions, a name for the delegate, and a holder where there is none yet.
    ///
    /// The new token allows nothing that this one refuses. It may well allow nothing at all, as
    /// after a condition that no grant meets: that is for its giver to see
    /// ([`Effective`](bailiwick_datalog::Effective)). The next key is drawn from `rng`.
    ///
    /// # Errors
    /// [`AttenuationError`]; [`AttenuationError::HolderBound`] for a block with a holder where one
    /// is bound, which takes [`HeldToken::hand_over`].
    pub fn attenuate(
        &self,
        block: &LaterBlock,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, AttenuationError> {
        let (biscuit, builder) = self.prepare(block)?;
        if let (Some(_), Some(holder)) = (&block.holder, self.chain.holder()) {
            let holder = holder.clone();
            return Err(AttenuationError::HolderBound { holder });
        }
        let next = fresh_key(rng);
        self.checked(&biscuit.append_with_keypair(&next, builder)?)
    }

    /// Appends a block that names the next holder, signed by the key of the one now (profile rule
    /// 16): whoever has only the bytes cannot do it. The block may narrow as well.
    ///
    /// From here on the next holder proves possession of the *new* token, and the one before no
    /// longer can. It does not take back the token at hand: that stays good for its holder.
    ///
    /// # Errors
    /// [`AttenuationError`]; [`AttenuationError::WrongHolderKey`] before anything is signed.
    pub fn hand_over(
        &self,
        block: &LaterBlock,
        key: &HolderKey,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, AttenuationError> {
        let (biscuit, builder) = self.prepare(block)?;
        let holder = self.chain.holder().ok_or(AttenuationError::NotBound)?;
        if block.holder.is_none() {
            return Err(AttenuationError::NoNextHolder);
        }
        if key.thumbprint() != *holder {
            return Err(AttenuationError::WrongHolderKey {
                key: key.thumbprint(),
                holder: holder.clone(),
            });
        }
        let request = biscuit.third_party_request()?;
        let signed = request.create_block(
            &key.to_biscuit_key().map_err(error::Token::Format)?,
            builder,
        )?;
        let next = fresh_key(rng);
        self.checked(&biscuit.append_third_party_with_keypair(&signed.serialize()?, next)?)
    }

    /// Ends the chain: nobody can append to the new token. It allows what this one does.
    ///
    /// # Errors
    /// [`AttenuationError::Sealed`] if it is sealed already.
    pub fn seal(&self) -> Result<Self, AttenuationError> {
        self.checked(&self.open()?.seal()?)
    }

    /// The token as the library holds it, and the block as it writes it.
    fn prepare(
        &self,
        block: &LaterBlock,
    ) -> Result<(UnverifiedBiscuit, BlockBuilder), AttenuationError> {
        Ok((self.open()?, block.to_builder()?))
    }

    fn open(&self) -> Result<UnverifiedBiscuit, AttenuationError> {
        if self.chain.is_sealed() {
            return Err(AttenuationError::Sealed);
        }
        Ok(UnverifiedBiscuit::from(&self.bytes)?)
    }

    /// Reads the result back from the bytes that will be handed on, and refuses what is dead.
    fn checked(&self, made: &UnverifiedBiscuit) -> Result<Self, AttenuationError> {
        let token = Self::from_bytes(made.to_vec()?).map_err(AttenuationError::Refused)?;
        let plan = Plan::compile(token.chain.clone());
        let begins = token.chain.authority().issued_at;
        plan.check_depth()
            .and_then(|()| plan.check_time(begins))
            .and_then(|()| plan.check_audience(&token.chain.authority().audience))
            .map_err(|refused| match refused {
                Refused::DepthExceeded { depth, most, .. } => {
                    AttenuationError::DepthExceeded { depth, most }
                }
                Refused::Expired { expires_at, .. } => AttenuationError::NeverValid {
                    ends: expires_at,
                    begins,
                },
                other => AttenuationError::Refused(other.into()),
            })?;
        Ok(token)
    }
}

/// Never shows the token.
impl fmt::Debug for HeldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldToken")
            .field("session", &self.chain.authority().session)
            .field("depth", &self.chain.depth())
            .finish_non_exhaustive()
    }
}

fn fresh_key(rng: &mut impl CryptoRngCore) -> KeyPair {
    KeyPair::new_with_rng(Algorithm::Ed25519, rng)
}
