//! Who is told when requests wait, as a configuration file says it.

use std::path::{Path, PathBuf};

use bailiwick_datalog::ApplicationId;
use bailiwick_issuer::{MailSecurity, MailTarget, NotifyTarget, WebhookSecret, WebhookTarget};
use serde::Deserialize;
use url::Url;

use super::{invalid, text_beside};
use crate::exit::Failure;

/// One `[[issuer.webhook]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookTable {
    url: Url,
    /// A file with `whsec_…`: the secret itself has no place in a configuration.
    secret_file: PathBuf,
    /// Only what concerns these applications; none: all.
    #[serde(default)]
    applications: Vec<String>,
}

/// The one `[issuer.mail]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailTable {
    server: String,
    port: Option<u16>,
    #[serde(default)]
    security: Security,
    /// A file with the certificates (PEM) of those who may vouch for the server, in place of the
    /// public authorities.
    authorities_file: Option<PathBuf>,
    user_name: Option<String>,
    password_file: Option<PathBuf>,
    from: String,
    to: Vec<String>,
    #[serde(default)]
    applications: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Security {
    #[default]
    Tls,
    StartTls,
    None,
}

impl Security {
    /// The registered ports: submissions, submission, smtp.
    fn usual_port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

impl From<Security> for MailSecurity {
    fn from(security: Security) -> Self {
        match security {
            Security::Tls => Self::Tls,
            Security::StartTls => Self::StartTls,
            Security::None => Self::None,
        }
    }
}

/// What the tables come to, with the secrets that they name.
///
/// # Errors
///
/// `config_invalid` or `config_unreadable`.
pub(super) fn targets(
    path: &Path,
    webhooks: Vec<WebhookTable>,
    mail: Option<MailTable>,
) -> Result<Vec<NotifyTarget>, Failure> {
    let mut targets = Vec::new();
    for table in webhooks {
        let secret = text_beside(path, &table.secret_file)?;
        let secret = WebhookSecret::parse(&secret).map_err(|error| invalid(path, &error))?;
        let applications = applications(path, table.applications)?;
        let target = WebhookTarget::new(table.url, secret, applications);
        let target = target.map_err(|error| invalid(path, &error))?;
        targets.push(NotifyTarget::Webhook(target));
    }
    if let Some(table) = mail {
        let authorities = table.authorities_file.as_deref();
        let authorities = authorities
            .map(|file| text_beside(path, file))
            .transpose()?;
        let password = table.password_file.as_deref();
        let password = password.map(|file| text_beside(path, file)).transpose()?;
        let credentials = match (table.user_name, password) {
            (Some(name), Some(password)) => Some((name, password.into())),
            (None, None) => None,
            _ => {
                let why = "`user_name` and `password_file` go together";
                return Err(invalid(path, &why));
            }
        };
        targets.push(NotifyTarget::Mail(MailTarget {
            port: table.port.unwrap_or_else(|| table.security.usual_port()),
            security: table.security.into(),
            authorities,
            credentials,
            server: table.server,
            from: table.from,
            to: table.to,
            applications: applications(path, table.applications)?,
        }));
    }
    Ok(targets)
}

fn applications(path: &Path, names: Vec<String>) -> Result<Vec<ApplicationId>, Failure> {
    let read = names.into_iter().map(ApplicationId::parse);
    read.collect::<Result<_, _>>()
        .map_err(|error| invalid(path, &error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::notify;

    fn read(text: &str) -> Result<usize, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bailiwick.toml");
        fs::write(&path, text).unwrap();
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
        fs::write(directory.path().join("secret"), secret).unwrap();
        let targets = notify(Some(&path));
        targets
            .map(|targets| targets.len())
            .map_err(|failure| failure.code().to_owned())
    }

    #[test]
    fn places_are_read_with_their_secrets() {
        let hook =
            "[[issuer.webhook]]\nurl = \"https://chat.example/x\"\nsecret_file = \"secret\"\n";
        let mail = "[issuer.mail]\nserver = \"mail.example.org\"\nfrom = \"b@example.org\"\n\
                    to = [\"a@example.org\"]\nuser_name = \"b\"\npassword_file = \"secret\"\n\
                    security = \"starttls\"\nauthorities_file = \"secret\"\n";
        assert_eq!(read(""), Ok(0));
        assert_eq!(
            read(&format!("{hook}applications = [\"default\"]\n{hook}{mail}")),
            Ok(3)
        );
    }

    #[test]
    fn place_that_cannot_be_used_is_not_passed_over() {
        let invalid = Err("config_invalid".to_owned());
        for text in [
            "[[issuer.webhook]]\nurl = \"http://chat.example/x\"\nsecret_file = \"secret\"\n",
            "[[issuer.webhook]]\nurl = \"https://x.example/\"\nsecret = \"secret\"\n",
            "[[issuer.webhook]]\nurl = \"https://x.example/\"\nsecret_file = \"secret\"\n\
             applications = [\"\"]\n",
            "[issuer.mail]\nserver = \"m.example\"\nfrom = \"b@x.example\"\nto = []\n\
             user_name = \"b\"\n",
            "[issuer.mail]\nserver = \"m.example\"\nfrom = \"b@x.example\"\nto = []\n\
             security = \"ssl\"\n",
        ] {
            assert_eq!(read(text), invalid, "{text}");
        }
        let missing = "[[issuer.webhook]]\nurl = \"https://x.example/\"\nsecret_file = \"gone\"\n";
        assert_eq!(read(missing), Err("config_unreadable".to_owned()));
    }
}
