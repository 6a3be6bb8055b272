//! How a gateway decides: what the command line and a configuration file say about the verifier.
//!
//! Owns the file's grammar, and that the command line wins over it. A key that is not known, or
//! has another type, is an error: a misspelt limit must not be one that silently does not hold.

mod notify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_datalog::operator::OperatorPolicy;
use bailiwick_issuer::{IdentityProvider, NotifyTarget};
use bailiwick_verifier::Evaluation;
use bailiwick_verifier::revocation::DEFAULT_MAX_STALENESS;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use url::Url;

use crate::exit::{Exit, Failure};
use crate::{duration, files, policy};

/// The longest configuration file that is read.
const MAX_BYTES: u64 = 64 * 1_024;

/// What the command line says about decisions.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct VerifierArgs {
    /// A TOML file whose table `[verifier]` may set policy, evaluation and max_staleness
    #[arg(long, env = "BAILIWICK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Refuse what this operator policy refuses, whatever a token grants
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// What decides: the token's compiled plan, or the Biscuit library's engine as well
    #[arg(long, value_name = "WAY")]
    evaluation: Option<Way>,

    /// Answer what tokens of this application lack with HTTP 403 and the missing scope, for
    /// interactive clients that then ask for it themselves; may be given more than once
    #[arg(long, value_name = "APPLICATION")]
    step_up: Vec<String>,

    /// How old the list of revocations may be before every call is refused
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    max_staleness: Option<Duration>,
}

/// How tokens and policies are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// The plan compiled from the token
    Compiled,
    /// The plan, and the Biscuit library's engine: slower by far, never of another opinion
    Reference,
}

impl From<Way> for Evaluation {
    fn from(way: Way) -> Self {
        match way {
            Way::Compiled => Self::Compiled,
            Way::Reference => Self::Reference,
        }
    }
}

/// What a gateway's verifier is set up with.
#[derive(Clone, Debug)]
pub(crate) struct VerifierSettings {
    /// How it evaluates.
    pub(crate) evaluation: Evaluation,
    /// The operator policy, checked.
    pub(crate) policy: Option<Arc<OperatorPolicy>>,
    /// How old the list of revocations may be.
    pub(crate) max_staleness: Duration,
    /// The applications whose clients step up.
    pub(crate) step_up: BTreeSet<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    verifier: Table,
    #[serde(default)]
    issuer: IssuerTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerTable {
    oidc: Option<OidcTable>,
    #[serde(default)]
    webhook: Vec<notify::WebhookTable>,
    mail: Option<notify::MailTable>,
}

/// How people sign in with an identity provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OidcTable {
    issuer: Url,
    client_id: String,
    /// A file beside this one: the secret itself has no place in a configuration.
    client_secret_file: Option<PathBuf>,
    #[serde(default = "groups")]
    groups_claim: String,
    /// The roles of each group's members.
    roles: BTreeMap<String, Vec<String>>,
}

fn groups() -> String {
    "groups".to_owned()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    policy: Option<PathBuf>,
    evaluation: Option<Way>,
    #[serde(default, deserialize_with = "span")]
    max_staleness: Option<Duration>,
}

impl VerifierArgs {
    /// What the command line and the file it names come to.
    ///
    /// # Errors
    ///
    /// `config_invalid` or `config_unreadable` for the file, and as [`policy::load`] for the policy.
    pub(crate) fn settings(&self) -> Result<VerifierSettings, Failure> {
        let table = match &self.config {
            Some(path) => read(path)?,
            None => Table::default(),
        };
        let policy = self.policy.clone().or(table.policy);
        let evaluation = self.evaluation.or(table.evaluation);
        Ok(VerifierSettings {
            evaluation: evaluation.map_or(Evaluation::default(), Evaluation::from),
            policy: policy
                .map(|path| policy::load(&path))
                .transpose()?
                .map(Arc::new),
            max_staleness: self
                .max_staleness
                .or(table.max_staleness)
                .unwrap_or(DEFAULT_MAX_STALENESS),
            step_up: self.step_up.iter().cloned().collect(),
        })
    }
}

/// The identity provider that a configuration file names, if it names one.
///
/// # Errors
///
/// `config_invalid` or `config_unreadable`, for the file or that of the client secret.
pub(crate) fn identity_provider(path: &Path) -> Result<Option<IdentityProvider>, Failure> {
    let Some(table) = document(path)?.issuer.oidc else {
        return Ok(None);
    };
    let secret = table.client_secret_file;
    let secret = secret.map(|file| text_beside(path, &file));
    Ok(Some(IdentityProvider {
        issuer: table.issuer,
        client_id: table.client_id,
        client_secret: secret.transpose()?,
        groups_claim: table.groups_claim,
        roles: table.roles,
    }))
}

/// Who a configuration file wants to be told when requests wait.
///
/// # Errors
///
/// `config_invalid` or `config_unreadable`, for the file or those of the secrets.
pub(crate) fn notify(path: Option<&Path>) -> Result<Vec<NotifyTarget>, Failure> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let table = document(path)?.issuer;
    notify::targets(path, table.webhook, table.mail)
}

/// What a file of its own holds, such as a secret, meant from where the configuration is.
fn text_beside(path: &Path, file: &Path) -> Result<String, Failure> {
    let file = path
        .parent()
        .map_or_else(|| file.to_owned(), |folder| folder.join(file));
    let text = files::read_text(&file, MAX_BYTES).map_err(|error| {
        let message = format!("cannot read `{}`: {error}", file.display());
        Failure::new("config_unreadable", message)
    })?;
    Ok(text.trim().to_owned())
}

fn invalid(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    let message = format!("the configuration `{}` is not valid: {why}", path.display());
    Failure::new("config_invalid", message).ending(Exit::Usage)
}

fn document(path: &Path) -> Result<Document, Failure> {
    let text = files::read_text(path, MAX_BYTES).map_err(|error| {
        let message = format!(
            "cannot read the configuration `{}`: {error}",
            path.display()
        );
        Failure::new("config_unreadable", message)
    })?;
    toml::from_str(&text).map_err(|error| {
        invalid(path, &error).hint(
            "a `[verifier]` table may hold `policy`, `evaluation` and `max_staleness`, \
             an `[issuer.oidc]` table `issuer`, `client_id`, `client_secret_file`, `groups_claim` \
             and `roles`, an `[[issuer.webhook]]` table `url`, `secret_file` and `applications`, an \
             `[issuer.mail]` table `server`, `port`, `security`, `authorities_file`, \
             `user_name`, `password_file`, `from`, `to` and `applications`",
        )
    })
}

fn read(path: &Path) -> Result<Table, Failure> {
    let document = document(path)?;
    // A path in the file is meant from where the file is, whoever reads it.
    let beside = |policy: PathBuf| match path.parent() {
        Some(directory) => directory.join(policy),
        None => policy,
    };
    let table = document.verifier;
    let policy = table.policy.map(beside);
    Ok(Table { policy, ..table })
}

fn span<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(source)?;
    duration::parse(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with_config(text: &str) -> (tempfile::TempDir, VerifierArgs) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bailiwick.toml");
        fs::write(&path, text).unwrap();
        let args = VerifierArgs {
            config: Some(path),
            ..VerifierArgs::default()
        };
        (directory, args)
    }

    #[test]
    fn without_a_file_and_options_everything_is_as_usual() {
        let settings = VerifierArgs::default().settings().unwrap();
        assert_eq!(settings.evaluation, Evaluation::Compiled);
        assert_eq!(settings.max_staleness, DEFAULT_MAX_STALENESS);
        assert!(settings.policy.is_none());
    }

    #[test]
    fn a_file_sets_what_the_command_line_leaves_open() {
        let text = "[verifier]\nevaluation = \"reference\"\nmax_staleness = \"10s\"\n";
        let (_directory, args) = with_config(text);
        let settings = args.settings().unwrap();
        assert_eq!(settings.evaluation, Evaluation::Reference);
        assert_eq!(settings.max_staleness, Duration::from_secs(10));

        let args = VerifierArgs {
            evaluation: Some(Way::Compiled),
            max_staleness: Some(Duration::from_secs(5)),
            ..args
        };
        let settings = args.settings().unwrap();
        assert_eq!(settings.evaluation, Evaluation::Compiled);
        assert_eq!(settings.max_staleness, Duration::from_secs(5));
    }

    #[test]
    fn a_policy_is_found_beside_the_file_that_names_it() {
        let (directory, args) = with_config("[verifier]\npolicy = \"policy.datalog\"\n");
        assert_eq!(args.settings().unwrap_err().code(), "policy_unreadable");
        fs::write(
            directory.path().join("policy.datalog"),
            "deny if access(\"destructive\");",
        )
        .unwrap();
        assert!(args.settings().unwrap().policy.is_some());
    }

    #[test]
    fn what_is_misspelt_or_mistyped_is_not_passed_over() {
        for text in [
            "[verifier]\nevaluations = \"reference\"",
            "[verifiers]\n",
            "[verifier]\nevaluation = \"engine\"",
            "[verifier]\nmax_staleness = 10",
            "[verifier]\nmax_staleness = \"10\"",
            "verifier = 1",
            "[",
        ] {
            let (_directory, args) = with_config(text);
            let refused = args.settings().unwrap_err();
            assert_eq!(refused.code(), "config_invalid", "{text}");
            assert_eq!(refused.exit(), Exit::Usage, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let args = VerifierArgs {
            config: Some(PathBuf::from("/nowhere/bailiwick.toml")),
            ..VerifierArgs::default()
        };
        let refused = args.settings().unwrap_err();
        assert_eq!(refused.code(), "config_unreadable");
        assert!(refused.message().contains("/nowhere/bailiwick.toml"));
    }
}
