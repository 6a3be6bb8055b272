//! Chains whose signatures were verified, and what follows from having verified them once.
//!
//! Two caches ([`crate::cache`]): whole tokens by their text, and stems (a token without its
//! proof) by their bytes. A token that appends one block to a known stem costs one signature
//! verification and the check of its proof, however long it is. The proof is checked each time:
//! without that, a holder could strip the blocks that bind it.
//!
//! Only what was verified and found good is kept, with the root key that it was verified by.
//! A cache is never asked whether a token is *bad*: whatever is not known, or does not follow
//! from what is known, is read and verified whole.

use std::sync::Arc;

use bailiwick_datalog::{
    EncodedChain, Plan, Timestamp,
    chain::stem::{Growth, Layout, Stem},
    token_text::MAX_TOKEN_BYTES,
};

use crate::{
    cache::{Cache, Remembered},
    denied::Denied,
    keys::KeySet,
    signatures::{BadChain, Link},
    signed::PublicKeyHex,
    token::{Verified, VerifiedToken},
};

/// Memory that a verifier spends on remembering, unless told otherwise: 64 MiB.
///
/// A token of one block is charged some 13 kB and one of eight some 40 kB, with its stem; measured,
/// they take 9 and 16 kB. So this holds a few thousand tokens in use. They are bearer tokens, kept
/// in memory while they are good.
pub const DEFAULT_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A chain whose every signature and whose proof is verified, and whose shape is.
pub(crate) struct Established {
    pub(crate) verified: Verified,
    pub(crate) roots: Roots,
}

/// What the next block of a chain is verified and read from.
pub(crate) struct Roots {
    /// The link after the last block.
    link: Link,
    stem: Stem,
}

impl Established {
    /// Verifies a whole chain: signatures, then the shape of every block.
    pub(crate) fn whole(chain: &EncodedChain, root: PublicKeyHex) -> Result<Self, Denied> {
        let link = Link::root(*root.verification_key());
        let link = link.verify(chain.signed_blocks(), chain.proof());
        let link = link.map_err(|bad| match bad {
            BadChain::Signature => Denied::BadSignature,
            // Say what the profile says of it, if it says anything.
            BadChain::Unreadable => {
                chain
                    .check_shape()
                    .map_or_else(Denied::from, |_| Denied::MalformedToken {
                        what: "a key or signature is not one of the format".to_owned(),
                    })
            }
        })?;
        let stem = Stem::of(chain)?;
        let plan = Plan::compile(stem.chain(chain.proof()));
        Ok(Self {
            verified: Verified::new(root, plan),
            roots: Roots { link, stem },
        })
    }

    /// Verifies what a token has beyond a known stem. `None` for anything that is wrong with it:
    /// reading the token whole then says what.
    fn grown(known: &KnownStem, rest: &[u8]) -> Option<Self> {
        let growth = Growth::decode(rest).ok()?;
        let block = growth.signed_block();
        let link = known.roots.link.clone();
        let link = link.verify(std::iter::once(block), growth.proof()).ok()?;
        let stem = known.roots.stem.grow(&growth).ok()?;
        let chain = stem.chain(growth.proof());
        let plan = known.verified.plan.compile_descendant(chain);
        Some(Self {
            verified: Verified::new(known.verified.key, plan),
            roots: Roots { link, stem },
        })
    }
}

/// What a verifier remembers.
pub(crate) struct Known {
    tokens: Cache<VerifiedToken>,
    stems: Cache<Arc<KnownStem>>,
}

impl Known {
    /// Remembers at most so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let half = bytes / 2;
        Self {
            tokens: Cache::new(half),
            stems: Cache::new(half),
        }
    }

    /// The token with exactly this text, if it was verified by the key that `keys` has for it.
    pub(crate) fn token(&self, text: &str, keys: &KeySet, now: Timestamp) -> Option<VerifiedToken> {
        let token = self.tokens.get(text.as_bytes(), now)?;
        token.verified.is_by_a_key_of(keys).then_some(token)
    }

    /// The chain of a token that appends one block to a known stem.
    pub(crate) fn descendant(
        &self,
        bytes: &[u8],
        keys: &KeySet,
        now: Timestamp,
    ) -> Option<Established> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (stem, rest) = bytes.split_at_checked(Layout::of(bytes)?.last_block?)?;
        let known = self.stems.get(stem, now)?;
        if !known.verified.is_by_a_key_of(keys) {
            return None;
        }
        Established::grown(&known, rest)
    }

    /// Keeps a token that was found good, and its stem if it may still grow.
    pub(crate) fn remember(
        &self,
        token: &VerifiedToken,
        bytes: &[u8],
        roots: Roots,
        now: Timestamp,
    ) {
        self.tokens.insert(token.clone(), now);
        let chain = token.chain();
        let most = usize::try_from(chain.authority().max_depth).unwrap_or(usize::MAX);
        if chain.is_sealed() || chain.depth() >= most {
            return;
        }
        if let Some(stem_bytes) = Layout::of(bytes).and_then(|layout| bytes.get(..layout.proof)) {
            let known = KnownStem {
                bytes: Box::from(stem_bytes),
                verified: Arc::clone(&token.verified),
                roots,
            };
            self.stems.insert(Arc::new(known), now);
        }
    }

    pub(crate) fn clear(&self) {
        self.tokens.clear();
        self.stems.clear();
    }
}

/// The blocks of a verified token, without its proof.
struct KnownStem {
    bytes: Box<[u8]>,
    verified: Arc<Verified>,
    roots: Roots,
}

/// A link, a key, and the counts and pointers around them.
const FIXED_WEIGHT: usize = 1_024;

impl Remembered for Arc<KnownStem> {
    fn key(&self) -> &[u8] {
        &self.bytes
    }

    fn ends(&self) -> Timestamp {
        self.verified.plan.expires_at()
    }

    fn weight(&self) -> usize {
        self.bytes
            .len()
            .saturating_add(self.roots.stem.weight())
            .saturating_add(self.verified.weight())
            .saturating_add(FIXED_WEIGHT)
    }
}

impl Remembered for VerifiedToken {
    fn key(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn ends(&self) -> Timestamp {
        self.expires_at()
    }

    fn weight(&self) -> usize {
        self.text
            .len()
            .saturating_add(self.verified.weight())
            .saturating_add(FIXED_WEIGHT)
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_datalog::{
        Access, Audience, Authority, Caveat, Grant, LaterBlock, ResourcePath, ToolName, token_text,
    };
    use biscuit_auth::{Biscuit, KeyPair, PrivateKey, builder::Algorithm};
    use ed25519_dalek::SigningKey;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_500);

    fn root() -> PublicKeyHex {
        PublicKeyHex::from(&SigningKey::from_bytes(&[7; 32]))
    }

    fn keys() -> KeySet {
        KeySet::from_entries([(1, root())]).unwrap()
    }

    fn mint(max_depth: u32) -> Biscuit {
        let authority = Authority {
            session: "s-1".parse().unwrap(),
            approval: "a-1".parse().unwrap(),
            application: "default".parse().unwrap(),
            principal: "ada".parse().unwrap(),
            agent: "agent".parse().unwrap(),
            task: "tidy the reports".to_owned(),
            request_digest: [7; 32],
            audience: Audience::parse("http://127.0.0.1:8401/mcp").unwrap(),
            issued_at: Timestamp::from_unix(1_000),
            expires_at: Timestamp::from_unix(2_000),
            max_depth,
            holder: None,
            grants: vec![Grant {
                id: "g".to_owned(),
                tool: ToolName::parse("files.read_file").unwrap(),
                access: Access::Read,
                path: ResourcePath::parse("files/reports").unwrap(),
            }],
            limits: Vec::new(),
        };
        let secret = PrivateKey::from_bytes(&[7; 32], Algorithm::Ed25519).unwrap();
        let builder = authority.to_builder().unwrap().root_key_id(1);
        builder.build(&KeyPair::from(&secret)).unwrap()
    }

    fn child(token: &Biscuit) -> Biscuit {
        let block = LaterBlock::default().to_builder().unwrap();
        token.append(block).unwrap()
    }

    /// A child of exactly so many bytes, filled up with a condition.
    fn child_of_bytes(token: &Biscuit, length: usize) -> Biscuit {
        let filled = |fill: usize| {
            let block = LaterBlock {
                caveats: vec![Caveat::Tools(vec!["x".repeat(fill)])],
                ..LaterBlock::default()
            };
            token.append(block.to_builder().unwrap()).unwrap()
        };
        let overhead = bytes(&filled(length - 1_000)).len() - (length - 1_000);
        let child = filled(length - overhead);
        assert_eq!(bytes(&child).len(), length);
        child
    }

    fn bytes(token: &Biscuit) -> Vec<u8> {
        token.to_vec().unwrap()
    }

    fn remember(known: &Known, token: &Biscuit) -> VerifiedToken {
        let bytes = bytes(token);
        let established =
            Established::whole(&EncodedChain::decode(&bytes).unwrap(), root()).unwrap();
        let token = VerifiedToken {
            text: Arc::from(token_text::encode(&bytes)),
            verified: Arc::new(established.verified),
        };
        known.remember(&token, &bytes, established.roots, NOW);
        token
    }

    fn knows_parent_of(known: &Known, token: &Biscuit) -> bool {
        known.descendant(&bytes(token), &keys(), NOW).is_some()
    }

    #[test]
    fn a_child_of_a_known_token_is_read_from_its_last_block_alone() {
        let known = Known::new(DEFAULT_CACHE_BYTES);
        let parent = mint(3);
        let one = child(&parent);
        let two = child(&one);
        assert!(!knows_parent_of(&known, &one));
        remember(&known, &parent);
        assert!(knows_parent_of(&known, &one));
        assert!(knows_parent_of(&known, &one.seal().unwrap()));
        assert!(!knows_parent_of(&known, &two), "its parent was never seen");
        assert!(
            !knows_parent_of(&known, &parent),
            "it has no block to append"
        );

        let bytes = bytes(&one);
        let grown = known.descendant(&bytes, &keys(), NOW).unwrap();
        let whole = Established::whole(&EncodedChain::decode(&bytes).unwrap(), root()).unwrap();
        let chain = |established: &Established| established.verified.plan.chain().clone();
        assert_eq!(chain(&grown), chain(&whole));
    }

    #[test]
    fn sixty_four_mebibytes_are_remembered_unless_told_otherwise() {
        assert_eq!(DEFAULT_CACHE_BYTES, 67_108_864);
        let known = Known::new(DEFAULT_CACHE_BYTES);
        let parent = mint(3);
        let token = remember(&known, &parent);
        assert!(known.token(&token.text, &keys(), NOW).is_some());
    }

    #[test]
    fn a_child_larger_than_any_token_is_not_read() {
        let known = Known::new(DEFAULT_CACHE_BYTES);
        let parent = mint(3);
        remember(&known, &parent);
        for (length, read) in [(MAX_TOKEN_BYTES, true), (MAX_TOKEN_BYTES + 1, false)] {
            let child = child_of_bytes(&parent, length);
            assert_eq!(knows_parent_of(&known, &child), read, "{length}");
        }
    }

    #[test]
    fn tokens_that_cannot_grow_keep_no_stem() {
        for (max_depth, kept) in [(1, true), (0, false)] {
            let known = Known::new(DEFAULT_CACHE_BYTES);
            let parent = mint(max_depth);
            remember(&known, &parent);
            assert_eq!(knows_parent_of(&known, &child(&parent)), kept);
        }
        let known = Known::new(DEFAULT_CACHE_BYTES);
        let parent = mint(3);
        remember(&known, &parent.seal().unwrap());
        assert!(!knows_parent_of(&known, &child(&parent)));
    }

    #[test]
    fn nothing_is_known_under_other_keys_or_after_the_end() {
        let known = Known::new(DEFAULT_CACHE_BYTES);
        let parent = mint(3);
        let one = bytes(&child(&parent));
        let token = remember(&known, &parent);
        let other = PublicKeyHex::from(&SigningKey::from_bytes(&[8; 32]));
        let others = KeySet::from_entries([(1, other), (2, root())]).unwrap();
        assert!(known.token(&token.text, &keys(), NOW).is_some());
        assert!(known.token(&token.text, &others, NOW).is_none());
        assert!(known.descendant(&one, &others, NOW).is_none());
        let end = Timestamp::from_unix(2_000);
        assert!(known.token(&token.text, &keys(), end).is_none());
        assert!(known.descendant(&one, &keys(), end).is_none());
    }
}
