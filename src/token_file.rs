//! The file an agent keeps its token in.

use std::fmt;
use std::io;
use std::path::Path;

use bailiwick_datalog::Chain;
use bailiwick_datalog::token_text::{self, TokenTextError};
use bailiwick_datalog::words::visible;
use bailiwick_verifier::{Denied, HeldToken};
use url::Url;

use crate::exit::{Exit, Failure};
use crate::{files, http};

const ASK_AGAIN: &str = "ask for a new token with `bailiwick request`";

/// Twice the text of the largest token, so that one too large is still read
/// and refused for what it is.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A token in its text form, undecoded. Not shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TokenText(String);

impl TokenText {
    /// Takes a text for a token; nothing is checked.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Decodes the token. Proves that it is well formed and follows the
    /// profile; does **not** verify any signature.
    ///
    /// # Errors
    ///
    /// The verifier's code for what is wrong.
    pub(crate) fn decode(&self) -> Result<Chain, Failure> {
        Chain::decode_unverified(&self.bytes()?).map_err(|error| {
            let denied = Denied::from(error);
            Failure::new(denied.code(), denied.explanation())
        })
    }

    /// Decodes the token for narrowing. Proves as little as
    /// [`TokenText::decode`].
    ///
    /// # Errors
    ///
    /// As [`TokenText::decode`].
    pub(crate) fn hold(&self) -> Result<HeldToken, Failure> {
        HeldToken::from_text(&self.0)
            .map_err(|denied| Failure::new(denied.code(), denied.explanation()))
    }

    /// The bytes behind the text.
    ///
    /// # Errors
    ///
    /// `malformed_token` or `token_too_large`.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        token_text::decode(&self.0).map_err(|error| {
            let code = match error {
                TokenTextError::TooLarge => "token_too_large",
                TokenTextError::Malformed => "malformed_token",
            };
            Failure::new(code, error.to_string())
        })
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}

/// Reads the token of a file, without the line break an editor may have added.
///
/// # Errors
///
/// `no_token` with exit code 4 when there is no file, `token_file_unreadable`
/// otherwise.
pub(crate) fn read(path: &Path) -> Result<TokenText, Failure> {
    match files::read_text(path, MAX_FILE_BYTES) {
        Ok(text) => Ok(TokenText(text.trim_ascii_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(
            "no_token",
            format!("there is no token in `{}`", path.display()),
        )
        .hint("ask for one with `bailiwick request`, or name its file with `--token-file`")
        .ending(Exit::ApprovalNeeded)),
        Err(error) => Err(Failure::new(
            "token_file_unreadable",
            format!("cannot read the token file `{}`: {error}", path.display()),
        )),
    }
}

/// Reads the token of a file that is about to be sent to `server`.
///
/// # Errors
///
/// As [`read`]; with exit code 4 the code for what is wrong with the token,
/// or `wrong_audience` when it is for another server: a token that is sent
/// where it is no good is only given away.
pub(crate) fn read_for(path: &Path, server: &Url) -> Result<(TokenText, Chain), Failure> {
    let token = read(path)?;
    let chain = token
        .decode()
        .map_err(|failure| failure.hint(ASK_AGAIN).ending(Exit::ApprovalNeeded))?;
    let audience = chain.authority().audience.as_str().to_owned();
    let endpoint = http::endpoint(server, "mcp")?;
    if Url::parse(&audience).is_ok_and(|audience| is_same_server(&audience, &endpoint)) {
        return Ok((token, chain));
    }
    Err(Failure::new(
        "wrong_audience",
        format!(
            "the token is for {}, not for {endpoint}; it was not sent",
            visible(&audience)
        ),
    )
    .hint("name its server with `--server`, or ask for a token for this one")
    .ending(Exit::ApprovalNeeded))
}

/// Loopback has several names; everything else is compared as it is.
fn is_same_server(one: &Url, other: &Url) -> bool {
    one == other
        || http::is_loopback(one)
            && http::is_loopback(other)
            && one.scheme() == other.scheme()
            && one.port_or_known_default() == other.port_or_known_default()
            && one.path() == other.path()
}

/// Writes a token to a file of mode 0600, whole or not at all.
///
/// # Errors
///
/// `not_a_token_file` when the file is there and holds something else, since
/// a mistyped name should not cost anybody a document;
/// `token_file_unwritable` when the system refuses.
pub(crate) fn write(path: &Path, token: &TokenText) -> Result<(), Failure> {
    refuse_foreign(path)?;
    files::replace_secret(path, format!("{}\n", token.expose()).as_bytes()).map_err(|error| {
        Failure::new(
            "token_file_unwritable",
            format!("cannot write the token file `{}`: {error}", path.display()),
        )
    })
}

/// Refuses a path whose file holds anything but a token.
///
/// # Errors
///
/// `not_a_token_file`.
pub(crate) fn refuse_foreign(path: &Path) -> Result<(), Failure> {
    let replaceable = match files::read_text(path, MAX_FILE_BYTES) {
        Ok(text) => {
            let text = text.trim_ascii();
            text.is_empty() || TokenText::new(text).decode().is_ok()
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if replaceable {
        return Ok(());
    }
    Err(Failure::new(
        "not_a_token_file",
        format!(
            "`{}` exists and holds something other than a token",
            path.display()
        ),
    )
    .hint("choose another file, or remove this one first"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_missing_token_asks_for_approval() {
        let directory = tempfile::tempdir().unwrap();
        let missing = read(&directory.path().join("none")).unwrap_err();
        assert_eq!(
            (missing.code(), missing.exit()),
            ("no_token", Exit::ApprovalNeeded)
        );
    }

    #[test]
    fn a_file_with_something_else_in_it_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letter");
        std::fs::write(&path, "Dear Sir").unwrap();
        let refused = write(&path, &TokenText::new("abc")).unwrap_err();
        assert_eq!(refused.code(), "not_a_token_file");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "Dear Sir");
    }

    #[test]
    fn a_token_is_read_for_the_server_it_names_and_for_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        write(
            &path,
            &fixture::text_of(&fixture::mint(&fixture::authority())),
        )
        .unwrap();
        let read_at = |server: &str| read_for(&path, &Url::parse(server).unwrap());
        assert!(read_at("http://127.0.0.1:8401").is_ok());
        assert!(read_at("http://localhost:8401/").is_ok());
        for other in [
            "http://127.0.0.1:8402",
            "https://127.0.0.1:8401",
            "http://10.0.0.1:8401",
            "http://127.0.0.1:8401/base",
        ] {
            let refused = read_at(other).unwrap_err();
            assert_eq!(
                (refused.code(), refused.exit()),
                ("wrong_audience", Exit::ApprovalNeeded)
            );
        }
    }

    #[test]
    fn what_is_no_token_is_not_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letter");
        std::fs::write(&path, "Dear Sir").unwrap();
        let refused = read_for(&path, &Url::parse("http://127.0.0.1:8401").unwrap()).unwrap_err();
        assert_eq!(
            (refused.code(), refused.exit()),
            ("malformed_token", Exit::ApprovalNeeded)
        );
    }

    #[test]
    fn the_text_is_read_without_its_line_break_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        write(&path, &TokenText::new("c2VjcmV0")).unwrap();
        let token = read(&path).unwrap();
        assert_eq!(token.expose(), "c2VjcmV0");
        assert!(!format!("{token:?}").contains("c2Vj"));
    }
}
