//! The value of an `Authorization` header → a decision.

use bailiwick_datalog::{Chain, token_text};
use bailiwick_verifier::UnverifiedToken;
use biscuit_auth::Biscuit;

use super::scene::{CALL, ENGINE, KNOWING, NOW, ROOT, STRANGER, authority, key};

/// Whatever is allowed is a token of the authority, byte for byte as it is encoded, that the
/// Biscuit library verifies and its engine allows; what a verifier remembers changes nothing.
pub(crate) fn run(data: &[u8]) -> bool {
    let decided = KNOWING.authorize_header(data, &CALL, None, NOW);
    let anew = STRANGER.authorize_header(data, &CALL, None, NOW);
    let verdict = |code: Option<&'static str>| code.unwrap_or("allow");
    assert_eq!(
        verdict(decided.as_ref().err().map(|denied| denied.code())),
        verdict(anew.as_ref().err().map(|denied| denied.code())),
        "a memory decides"
    );
    match decided {
        Err(denied) => {
            let explanation = denied.explanation();
            assert!(!explanation.is_empty());
            assert!(!explanation.contains(char::is_control), "{explanation:?}");
            false
        }
        Ok(permit) => {
            let header = std::str::from_utf8(data).unwrap();
            let (_, text) = header.split_once(' ').unwrap();
            let bytes = token_text::decode(text).unwrap();
            let chain = Chain::decode_unverified(&bytes).unwrap();
            assert_eq!(chain.authority(), &authority());
            assert!(permit.expires_at() <= authority().expires_at);
            let library = Biscuit::from(&bytes, key(ROOT).public()).unwrap();
            assert_eq!(library.to_vec().unwrap(), bytes);
            let token = UnverifiedToken::from_text(text).unwrap();
            drop(ENGINE.authorize(&token, &CALL, NOW).unwrap());
            true
        }
    }
}
