//! Narrowing a token: one block more, or a seal.
//!
//! Needs no key but a fresh one for the new block, and refuses to hand out a
//! token that every verifier would refuse.

use bailiwick_datalog::{Caveat, Chain, LaterBlock};
use biscuit_auth::builder::Algorithm;
use biscuit_auth::{KeyPair, UnverifiedBiscuit};

use crate::exit::Failure;
use crate::token_file::TokenText;

/// A narrowed token, decoded again from the bytes that will be handed on.
#[derive(Debug)]
pub(crate) struct Narrowed {
    /// Its text.
    pub(crate) token: TokenText,
    /// What it says.
    pub(crate) chain: Chain,
}

/// Appends `block` to `token`, unless it is empty, and seals the result if
/// asked to. Verifies no signature: a forged token narrows to a forged token.
///
/// # Errors
///
/// `sealed`, `depth_exceeded`, `holder_already_bound`, or the verifier's code
/// when the result would be outside the profile.
pub(crate) fn narrow(
    token: &TokenText,
    chain: &Chain,
    block: &LaterBlock,
    seal: bool,
) -> Result<Narrowed, Failure> {
    let library = |error: biscuit_auth::error::Token| {
        Failure::new(
            "malformed_token",
            format!("the token cannot be narrowed: {error}"),
        )
    };
    if chain.is_sealed() {
        return Err(Failure::new(
            "sealed",
            "the token is sealed, so nobody can narrow it",
        ));
    }
    let mut biscuit = UnverifiedBiscuit::from(token.bytes()?).map_err(library)?;
    if *block != LaterBlock::default() {
        refuse_dead_block(chain, block)?;
        let builder = block
            .to_builder()
            .map_err(|error| Failure::new("limit_exceeded", error.to_string()))?;
        let next = KeyPair::new_with_rng(Algorithm::Ed25519, &mut rand::rngs::OsRng);
        biscuit = biscuit
            .append_with_keypair(&next, builder)
            .map_err(library)?;
    }
    if seal {
        biscuit = biscuit.seal().map_err(library)?;
    }
    let token = TokenText::encode(&biscuit.to_vec().map_err(library)?);
    let chain = token.decode()?;
    Ok(Narrowed { token, chain })
}

/// A block may be well formed and still leave a token that allows nothing.
fn refuse_dead_block(chain: &Chain, block: &LaterBlock) -> Result<(), Failure> {
    let depth = i64::try_from(chain.depth().saturating_add(1)).unwrap_or(i64::MAX);
    let caveats = chain
        .blocks()
        .iter()
        .flat_map(|block| &block.content.caveats);
    let allowed = caveats
        .filter_map(|caveat| match caveat {
            Caveat::Depth(most) => Some(*most),
            _ => None,
        })
        .fold(i64::from(chain.authority().max_depth), i64::min);
    if depth > allowed {
        return Err(Failure::new(
            "depth_exceeded",
            format!(
                "the token may be delegated {allowed} deep, and this block would make it {depth}"
            ),
        ));
    }
    if block.holder.is_some() && chain.holder().is_some() {
        return Err(Failure::new(
            "holder_already_bound",
            "the token is bound to a holder; only that holder's key can bind it to another",
        ));
    }
    Ok(())
}
