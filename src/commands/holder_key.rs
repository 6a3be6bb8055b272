//! `bailiwick holder-key`: make the key that an agent proves its tokens with,
//! and read off how others name it.

use std::io;
use std::path::{Path, PathBuf};

use bailiwick_verifier::holder::HolderKey;
use bailiwick_verifier::signed::PublicKeyHex;
use clap::{Args, Subcommand};
use rand::rngs::OsRng;
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::output::{Event, Output};
use crate::{files, holder_key};

/// Make or show the key that an agent binds its tokens to
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bailiwick holder-key new --out ./agent.jwk\n  \
    bailiwick request --holder ./agent.jwk --tool files.read_file …\n  \
    bailiwick call files.read_file --holder-key ./agent.jwk …\n\n\
    A token that is bound to a key is of no use to whoever steals the token alone: each call\n\
    carries a proof by the key (DPoP, RFC 9449). The file holds the private key and stays with\n\
    the agent; its thumbprint and public key may be given to anybody.")]
pub(crate) struct HolderKeyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key in a new file, readable by its owner only
    New {
        /// Write the private key (a JWK) to this file, which must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show thumbprint and public key of a file made by `new`
    Show {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Makes or shows a key.
pub(crate) fn run(args: &HolderKeyArgs, output: Output) -> Result<Exit, Failure> {
    let (key, file, is_new) = match &args.action {
        Action::New { out } => (create(out)?, out, true),
        Action::Show { file } => (holder_key::read(file)?, file, false),
    };
    let public = PublicKeyHex::from_bytes(&key.public_bytes())
        .map_err(|error| Failure::new("not_a_holder_key", error.to_string()))?;
    output.emit(&Shown {
        key_file: file,
        thumbprint: key.thumbprint().as_str().to_owned(),
        public: public.to_string(),
        jwk: key.jwk(),
        is_new,
    })?;
    Ok(Exit::Done)
}

fn create(path: &Path) -> Result<HolderKey, Failure> {
    let key = HolderKey::generate(&mut OsRng);
    let text = format!("{}\n", key.expose_jwk());
    files::create_secret(path, text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(
            "holder_key_exists",
            format!("`{}` exists, and is kept as it is", path.display()),
        )
        .hint("a key that is replaced is lost, with every token bound to it; choose another file"),
        _ => Failure::new(
            "holder_key_unwritable",
            format!("cannot write the key file `{}`: {error}", path.display()),
        ),
    })?;
    Ok(key)
}

#[derive(Serialize)]
struct Shown<'a> {
    key_file: &'a PathBuf,
    thumbprint: String,
    public: String,
    jwk: Value,
    #[serde(skip)]
    is_new: bool,
}

impl Event for Shown<'_> {
    fn name(&self) -> &'static str {
        "holder_key"
    }

    fn human(&self) -> String {
        let mut lines = vec![
            format!("thumbprint  {}", self.thumbprint),
            format!("public key  {}", self.public),
        ];
        if self.is_new {
            let file = self.key_file.display();
            lines.push(format!(
                "The private key is in {file}; it never leaves this machine"
            ));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_key_is_private_to_its_owner_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.jwk");
        let made = create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = holder_key::read(&path).unwrap();
        assert_eq!(read.thumbprint(), made.thumbprint());
        let other = create(&directory.path().join("other.jwk")).unwrap();
        assert_ne!(other.thumbprint(), made.thumbprint());
    }

    #[test]
    fn a_file_that_exists_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.jwk");
        let made = create(&path).unwrap();
        assert_eq!(create(&path).unwrap_err().code(), "holder_key_exists");
        assert_eq!(
            holder_key::read(&path).unwrap().thumbprint(),
            made.thumbprint()
        );
        let nowhere = directory.path().join("none/agent.jwk");
        assert_eq!(
            create(&nowhere).unwrap_err().code(),
            "holder_key_unwritable"
        );
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.jwk");
        let key = create(&path).unwrap();
        let shown = Shown {
            key_file: &path,
            thumbprint: key.thumbprint().as_str().to_owned(),
            public: String::new(),
            jwk: key.jwk(),
            is_new: true,
        };
        assert_eq!(serde_json::to_value(&shown).unwrap()["jwk"].get("d"), None);
    }
}
