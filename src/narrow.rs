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

#[cfg(test)]
mod tests {
    use bailiwick_datalog::{Thumbprint, ToolName};

    use super::*;
    use crate::fixture::{authority, mint, text_of};

    fn start() -> (TokenText, Chain) {
        let token = text_of(&mint(&authority()));
        let chain = token.decode().unwrap();
        (token, chain)
    }

    fn one_tool() -> LaterBlock {
        let tool = ToolName::parse("files.read_file").unwrap();
        LaterBlock {
            caveats: vec![Caveat::Tools(vec![tool.to_string()])],
            ..LaterBlock::default()
        }
    }

    fn code(narrowed: Result<Narrowed, Failure>) -> String {
        narrowed.unwrap_err().code().to_owned()
    }

    #[test]
    fn a_block_is_added_and_says_what_it_was_to_say() {
        let (token, chain) = start();
        let narrowed = narrow(&token, &chain, &one_tool(), false).unwrap();
        assert_eq!(narrowed.chain.depth(), 1);
        assert_eq!(narrowed.chain.blocks()[0].content, one_tool());
        assert_eq!(narrowed.chain.authority(), chain.authority());
    }

    #[test]
    fn the_last_block_that_is_allowed_is_added_and_one_more_is_refused() {
        let (token, chain) = start();
        let first = narrow(&token, &chain, &one_tool(), false).unwrap();
        let second = narrow(&first.token, &first.chain, &one_tool(), false).unwrap();
        assert_eq!(
            code(narrow(&second.token, &second.chain, &one_tool(), false)),
            "depth_exceeded"
        );
    }

    #[test]
    fn a_depth_caveat_counts_as_the_authority_s_does() {
        let (token, chain) = start();
        let last = LaterBlock {
            caveats: vec![Caveat::Depth(1)],
            ..LaterBlock::default()
        };
        let first = narrow(&token, &chain, &last, false).unwrap();
        assert_eq!(
            code(narrow(&first.token, &first.chain, &one_tool(), false)),
            "depth_exceeded"
        );
    }

    #[test]
    fn a_seal_adds_no_block_and_ends_narrowing() {
        let (token, chain) = start();
        let sealed = narrow(&token, &chain, &LaterBlock::default(), true).unwrap();
        assert_eq!((sealed.chain.depth(), sealed.chain.is_sealed()), (0, true));
        assert_eq!(
            code(narrow(&sealed.token, &sealed.chain, &one_tool(), false)),
            "sealed"
        );
    }

    #[test]
    fn a_holder_is_bound_once() {
        let (token, chain) = start();
        let holder = Thumbprint::parse("A".repeat(43)).unwrap();
        let bind = LaterBlock {
            holder: Some(holder),
            ..LaterBlock::default()
        };
        let bound = narrow(&token, &chain, &bind, false).unwrap();
        assert!(bound.chain.holder().is_some());
        assert_eq!(
            code(narrow(&bound.token, &bound.chain, &bind, false)),
            "holder_already_bound"
        );
    }

    #[test]
    fn more_checks_than_a_block_may_have_are_refused() {
        let (token, chain) = start();
        let caveats = |count| LaterBlock {
            caveats: vec![one_tool().caveats[0].clone(); count],
            ..LaterBlock::default()
        };
        assert!(narrow(&token, &chain, &caveats(32), false).is_ok());
        assert_eq!(
            code(narrow(&token, &chain, &caveats(33), false)),
            "limit_exceeded"
        );
    }
}
