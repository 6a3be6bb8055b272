//! The issuer's three private keys, each in a file of its own.
//!
//! `anchor` signs the key set and nothing else, `mint-1` signs tokens, `revocation` signs
//! the revocation list. They are made together at the first start. A directory that lost
//! one of them is refused: a fresh key would silently break every verifier that trusts the
//! old one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// The root key id that minted tokens carry for `mint-1`.
pub(crate) const MINT_KEY_ID: u32 = 1;

const PREFIX: &str = "ed25519-private/";
const ANCHOR: &str = "anchor.key";
const MINT: &str = "mint-1.key";
const REVOCATION: &str = "revocation.key";

/// The private keys, zeroised when dropped.
pub(crate) struct IssuerKeys {
    pub(crate) anchor: SigningKey,
    pub(crate) mint: SigningKey,
    pub(crate) revocation: SigningKey,
}

impl std::fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IssuerKeys(…)")
    }
}

/// Why the keys could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key file is not there although the issuer has run before.
    #[error("key file `{0}` is missing; restore it from a backup")]
    Missing(PathBuf),
    /// Others than the owner may read the file.
    #[error("key file `{path}` has mode {mode:o}; it must be readable by its owner alone (0600)")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a key.
    #[error("key file `{0}` does not hold `ed25519-private/` and 64 hex digits")]
    Malformed(PathBuf),
    /// Reading or writing failed.
    #[error("key file `{path}` cannot be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl IssuerKeys {
    /// Reads the keys in `dir`, or makes them when there are none and `first_start` says that
    /// there is no older state which would need them.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is generated over an existing directory.
    pub(crate) fn open(dir: &Path, first_start: bool, entropy: &Entropy) -> Result<Self, KeyError> {
        if first_start && !dir.exists() {
            generate(dir, entropy)?;
        }
        Ok(Self {
            anchor: read_key(&dir.join(ANCHOR))?,
            mint: read_key(&dir.join(MINT))?,
            revocation: read_key(&dir.join(REVOCATION))?,
        })
    }
}

/// Writes all keys into a sibling directory and renames it: either all exist or none.
fn generate(dir: &Path, entropy: &Entropy) -> Result<(), KeyError> {
    let staging = dir.with_extension("new");
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::Io { path, source }
    };
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(io_error(&staging))?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&staging)
        .map_err(io_error(&staging))?;
    for name in [ANCHOR, MINT, REVOCATION] {
        let seed = Zeroizing::new(entropy.bytes::<32>());
        let text = Zeroizing::new(format!("{PREFIX}{}\n", hex::encode(seed.as_slice())));
        let path = staging.join(name);
        write_private(&path, text.as_bytes()).map_err(io_error(&path))?;
    }
    sync_dir(&staging).map_err(io_error(&staging))?;
    fs::rename(&staging, dir).map_err(io_error(dir))?;
    dir.parent()
        .map_or(Ok(()), |parent| sync_dir(parent).map_err(io_error(parent)))
}

/// Writes a file that only its owner may read, durably.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads a file that only its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
        io::ErrorKind::InvalidData => KeyError::Malformed(path.to_owned()),
        _ => KeyError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = File::open(path).map_err(io_error)?;
    let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(io_error)?;
    Ok(text)
}

fn read_key(path: &Path) -> Result<SigningKey, KeyError> {
    let text = read_private(path)?;
    let malformed = || KeyError::Malformed(path.to_owned());
    let digits = text.trim_end().strip_prefix(PREFIX).ok_or_else(malformed)?;
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, seed.as_mut_slice()).map_err(|_| malformed())?;
    Ok(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, first_start: bool) -> Result<IssuerKeys, KeyError> {
        IssuerKeys::open(&dir.join("keys"), first_start, &Entropy::from_os().unwrap())
    }

    #[test]
    fn first_start_makes_three_private_files_and_the_next_start_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let made = open(dir.path(), true).unwrap();
        let read = open(dir.path(), false).unwrap();
        assert_eq!(made.anchor.to_bytes(), read.anchor.to_bytes());
        assert_eq!(made.mint.to_bytes(), read.mint.to_bytes());
        assert_ne!(made.mint.to_bytes(), made.revocation.to_bytes());
        for name in [ANCHOR, MINT, REVOCATION] {
            let meta = fs::metadata(dir.path().join("keys").join(name)).unwrap();
            assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn missing_key_of_an_older_start_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open(dir.path(), false), Err(KeyError::Missing(_))));
        open(dir.path(), true).unwrap();
        fs::remove_file(dir.path().join("keys").join(MINT)).unwrap();
        assert!(matches!(open(dir.path(), true), Err(KeyError::Missing(_))));
    }

    #[test]
    fn key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), true).unwrap();
        let path = dir.path().join("keys").join(ANCHOR);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            open(dir.path(), false),
            Err(KeyError::Exposed { mode: 0o640, .. })
        ));
    }

    #[test]
    fn damaged_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), true).unwrap();
        let path = dir.path().join("keys").join(ANCHOR);
        for bad in ["", "ed25519-private/00", "ed25519/00", "\u{fffd}"] {
            fs::write(&path, bad).unwrap();
            assert!(
                matches!(open(dir.path(), false), Err(KeyError::Malformed(_))),
                "{bad}"
            );
        }
    }
}
