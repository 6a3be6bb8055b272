//! The keys of holders, as they are typed and as they lie in files.
//!
//! Owns the reading of `--holder-key` and of whoever a token is to be bound
//! to. What a key is good for is the verifier crate's business.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bailiwick_datalog::{Chain, Thumbprint};
use bailiwick_verifier::holder::{HolderKey, MAX_JWK_BYTES, parse_public_jwk};
use bailiwick_verifier::signed::PublicKeyHex;
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::files;

/// With which key the holder of a token proves itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct HolderKeyArg {
    /// The file of the key that the token is bound to (a private JWK)
    #[arg(long = "holder-key", env = "BAILIWICK_HOLDER_KEY", value_name = "FILE")]
    holder_key: Option<PathBuf>,
}

impl HolderKeyArg {
    /// The key, if one is named.
    ///
    /// # Errors
    ///
    /// As [`read`].
    pub(crate) fn read(&self) -> Result<Option<HolderKey>, Failure> {
        self.holder_key.as_deref().map(read).transpose()
    }

    /// Checks that the key serves the token, where one is named.
    ///
    /// # Errors
    ///
    /// As [`HolderKeyArg::read_for`], but for a key that is missing.
    pub(crate) fn check_for(&self, chain: &Chain) -> Result<(), Failure> {
        match self.holder_key {
            Some(_) => self.read_for(chain).map(drop),
            None => Ok(()),
        }
    }

    /// The key for a token that is bound to one, and none for another.
    ///
    /// # Errors
    ///
    /// `holder_proof_missing` when the token is bound and no key is named,
    /// `wrong_holder_key` when another one is; as [`read`].
    pub(crate) fn read_for(&self, chain: &Chain) -> Result<Option<HolderKey>, Failure> {
        let Some(holder) = chain.holder() else {
            return Ok(None);
        };
        let Some(key) = self.read()? else {
            return Err(missing(holder));
        };
        if key.thumbprint() == *holder {
            return Ok(Some(key));
        }
        Err(Failure::new(
            "wrong_holder_key",
            format!(
                "the token is bound to the key `{}`, and the key given is `{}`",
                holder.as_str(),
                key.thumbprint().as_str()
            ),
        )
        .hint("name the file of the other key with `--holder-key`")
        .ending(Exit::Refused))
    }
}

/// What to say when a token is bound and no key was named.
fn missing(holder: &Thumbprint) -> Failure {
    Failure::new(
        "holder_proof_missing",
        format!(
            "the token is bound to the key with the thumbprint `{}`, and no key was given",
            holder.as_str()
        ),
    )
    .hint("name the file of that key with `--holder-key`")
    .ending(Exit::Refused)
}

/// Reads the key of a file.
///
/// # Errors
///
/// `holder_key_unreadable`, or `not_a_holder_key` for a file that holds
/// something else, such as a public key.
pub(crate) fn read(path: &Path) -> Result<HolderKey, Failure> {
    HolderKey::parse_jwk(&text_of(path)?).map_err(|error| {
        Failure::new(
            "not_a_holder_key",
            format!("`{}` holds no private key: {error}", path.display()),
        )
        .hint("make a key with `bailiwick holder-key new --out FILE`")
    })
}

/// Whom a token is to be bound to, as typed: a thumbprint, a public key, or
/// the file of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextHolder {
    /// By its thumbprint (RFC 7638), or by the public key it was worked out from.
    Key(Thumbprint),
    /// By a file that is yet to be read.
    File(PathBuf),
}

impl FromStr for NextHolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(PublicKeyHex::PREFIX) {
            let key: PublicKeyHex = text.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self::Key(Thumbprint::of_ed25519(&key.to_bytes())));
        }
        if text.is_empty() {
            return Err("it names no key".to_owned());
        }
        Ok(Thumbprint::parse(text).map_or_else(|_| Self::File(PathBuf::from(text)), Self::Key))
    }
}

impl NextHolder {
    /// The thumbprint of the key.
    ///
    /// # Errors
    ///
    /// `holder_key_unreadable`, or `not_a_holder_key`.
    pub(crate) fn thumbprint(&self) -> Result<Thumbprint, Failure> {
        let path = match self {
            Self::Key(thumbprint) => return Ok(thumbprint.clone()),
            Self::File(path) => path,
        };
        let key = parse_public_jwk(&text_of(path)?).map_err(|error| {
            Failure::new(
                "not_a_holder_key",
                format!("`{}` holds no key: {error}", path.display()),
            )
            .hint(FORMS)
        })?;
        Ok(Thumbprint::of_ed25519(&key.to_bytes()))
    }
}

const FORMS: &str =
    "a holder is named by a thumbprint, by `ed25519/` and 64 hex digits, or by the file of a JWK";

fn text_of(path: &Path) -> Result<String, Failure> {
    let most = u64::try_from(MAX_JWK_BYTES).unwrap_or(u64::MAX);
    files::read_text(path, most).map_err(|error| {
        Failure::new(
            "holder_key_unreadable",
            format!("cannot read the key file `{}`: {error}", path.display()),
        )
        .hint(FORMS)
    })
}

impl fmt::Display for NextHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(thumbprint) => f.write_str(thumbprint.as_str()),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn key(seed: u8) -> HolderKey {
        HolderKey::from_secret(&[seed; 32])
    }

    fn thumbprint_of(text: &str) -> Result<Thumbprint, Failure> {
        text.parse::<NextHolder>()
            .map_err(Failure::usage)
            .and_then(|next| next.thumbprint())
    }

    #[test]
    fn a_holder_is_named_by_thumbprint_public_key_or_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let key = key(1);
        let public = PublicKeyHex::from_bytes(&key.public_bytes()).unwrap();
        for text in [
            key.thumbprint().as_str().to_owned(),
            public.to_string(),
            file("public.jwk", &key.jwk().to_string()),
            file("private.jwk", &format!("{}\n", key.expose_jwk())),
        ] {
            assert_eq!(thumbprint_of(&text).unwrap(), key.thumbprint(), "{text}");
        }
        for (text, code) in [
            (String::new(), "usage"),
            ("ed25519/00".to_owned(), "usage"),
            (file("letter", "Dear Sir"), "not_a_holder_key"),
            (file("large", &" ".repeat(5_000)), "holder_key_unreadable"),
            (
                directory.path().join("none").display().to_string(),
                "holder_key_unreadable",
            ),
        ] {
            assert_eq!(thumbprint_of(&text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn a_bound_token_takes_its_holders_key_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let arg = |seed: u8| {
            let path = directory.path().join(seed.to_string());
            std::fs::write(&path, key(seed).expose_jwk()).unwrap();
            HolderKeyArg {
                holder_key: Some(path),
            }
        };
        let none = HolderKeyArg { holder_key: None };
        let mut authority = fixture::authority();
        let chain = |authority: &_| {
            fixture::text_of(&fixture::mint(authority))
                .decode()
                .unwrap()
        };
        assert!(none.read_for(&chain(&authority)).unwrap().is_none());
        assert!(arg(1).read_for(&chain(&authority)).unwrap().is_none());

        authority.holder = Some(key(1).thumbprint());
        let bound = chain(&authority);
        let read = arg(1).read_for(&bound).unwrap().unwrap();
        assert_eq!(read.thumbprint(), key(1).thumbprint());
        assert_eq!(
            arg(2).read_for(&bound).unwrap_err().code(),
            "wrong_holder_key"
        );
        let missing = none.read_for(&bound).unwrap_err();
        assert_eq!(missing.code(), "holder_proof_missing");
        assert_eq!(none.check_for(&bound), Ok(()));
        assert_eq!(arg(1).check_for(&bound), Ok(()));
        assert_eq!(
            arg(2).check_for(&bound).unwrap_err().code(),
            "wrong_holder_key"
        );
        assert!(missing.message().contains(key(1).thumbprint().as_str()));
    }

    #[test]
    fn a_public_key_is_no_key_to_prove_with() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("public.jwk");
        std::fs::write(&path, key(1).jwk().to_string()).unwrap();
        assert_eq!(read(&path).unwrap_err().code(), "not_a_holder_key");
    }
}
