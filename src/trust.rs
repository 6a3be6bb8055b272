//! What the commands trust an issuer by: its pinned anchor, and the key set
//! and revocations that the anchor vouches for.

use std::io;
use std::path::{Path, PathBuf};

use bailiwick_verifier::signed::SignedDocument;
use bailiwick_verifier::trust::{KeySetDocument, TrustAnchor};
use clap::Args;
use url::Url;

use crate::datadir;
use crate::exit::Failure;
use crate::{files, http};

/// More than the text of any anchor.
const MAX_ANCHOR_BYTES: u64 = 256;

/// Where the trust anchor comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrustArgs {
    /// The issuer's trust anchor, if it is not in the data directory
    #[arg(long, env = "BAILIWICK_TRUST_ANCHOR", value_name = "ed25519/HEX")]
    trust_anchor: Option<TrustAnchor>,

    /// The data directory that holds `trust-anchor`
    #[arg(
        long,
        env = "BAILIWICK_DATA_DIR",
        value_name = "DIR",
        default_value = "./bailiwick-data"
    )]
    data_dir: PathBuf,
}

impl TrustArgs {
    /// The anchor that was given, or else the one in the data directory.
    ///
    /// # Errors
    ///
    /// `no_trust_anchor` when there is neither: keys that anybody on the way
    /// may have sent prove nothing.
    pub(crate) fn anchor(&self) -> Result<TrustAnchor, Failure> {
        match self.trust_anchor {
            Some(anchor) => Ok(anchor),
            None => read(&self.data_dir.join(datadir::TRUST_ANCHOR)),
        }
    }
}

/// Writes the anchor where [`TrustArgs::anchor`] looks for it.
///
/// # Errors
///
/// `data_dir_unusable`.
pub(crate) fn write(data_dir: &Path, anchor: &TrustAnchor) -> Result<(), Failure> {
    let path = data_dir.join(datadir::TRUST_ANCHOR);
    files::replace_secret(&path, format!("{anchor}\n").as_bytes()).map_err(|error| {
        Failure::new(
            "data_dir_unusable",
            format!("cannot write `{}`: {error}", path.display()),
        )
    })
}

fn read(path: &Path) -> Result<TrustAnchor, Failure> {
    let no_anchor = |reason: String| {
        Failure::new("no_trust_anchor", reason)
            .hint("pass the issuer's with `--trust-anchor`; `bailiwick issuer` prints it at start")
    };
    let text = files::read_text(path, MAX_ANCHOR_BYTES).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            no_anchor(format!("there is no trust anchor in `{}`", path.display()))
        } else {
            no_anchor(format!("cannot read `{}`: {error}", path.display()))
        }
    })?;
    text.trim().parse().map_err(|error| {
        no_anchor(format!(
            "`{}` holds no trust anchor: {error}",
            path.display()
        ))
    })
}

/// Fetches the issuer's key set and accepts it if the anchor signed it.
///
/// # Errors
///
/// As [`http::json`]; `untrusted_keys` when the anchor did not sign it.
pub(crate) async fn key_set(issuer: &Url, anchor: &TrustAnchor) -> Result<KeySetDocument, Failure> {
    let document = signed_document(issuer, "v1/keys").await?;
    anchor.accept(&document, None).map_err(|error| {
        Failure::new(
            "untrusted_keys",
            format!("the key set of {issuer} is not trusted: {error}"),
        )
    })
}

/// Fetches one of the documents that the issuer signs; verifies nothing.
///
/// # Errors
///
/// As [`http::json`].
pub(crate) async fn signed_document(issuer: &Url, path: &str) -> Result<SignedDocument, Failure> {
    let url = http::endpoint(issuer, path)?;
    http::json(http::client_for(issuer)?.get(url)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: &str = "ed25519/d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn args(trust_anchor: Option<&str>, data_dir: &Path) -> TrustArgs {
        TrustArgs {
            trust_anchor: trust_anchor.map(|text| text.parse().unwrap()),
            data_dir: data_dir.to_owned(),
        }
    }

    #[test]
    fn the_anchor_written_is_the_one_found() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &ANCHOR.parse().unwrap()).unwrap();
        assert_eq!(
            args(None, directory.path()).anchor().unwrap().to_string(),
            ANCHOR
        );
    }

    #[test]
    fn without_an_anchor_nothing_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let refused = args(None, directory.path()).anchor().unwrap_err();
        assert_eq!(refused.code(), "no_trust_anchor");
        std::fs::write(directory.path().join(datadir::TRUST_ANCHOR), "ed25519/00").unwrap();
        assert_eq!(
            args(None, directory.path()).anchor().unwrap_err().code(),
            "no_trust_anchor"
        );
        assert!(args(Some(ANCHOR), directory.path()).anchor().is_ok());
    }
}
