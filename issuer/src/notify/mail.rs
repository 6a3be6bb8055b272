//! Mail through an SMTP server that the operator names. The `lettre` library writes the message and
//! speaks the protocol; text of agents is one visible line before it gets there.
//!
//! Each recipient gets a message of their own, so that one whom the server refuses keeps it from
//! nobody else. What the server refuses for good (5yz, a wrong password included) and what it does
//! not speak (STARTTLS, our way of authenticating) is not tried again.

use std::fmt;

use bailiwick_datalog::ApplicationId;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{DEADLINE, FOLDED, NotifyError, Undelivered};
use crate::text::visible_line;

/// Longest name of an agent in a subject, in characters.
const MAX_NAME_CHARS: usize = 60;
const FOLDED_SUBJECT: &str = "Agents ask for access again and again";

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`, which the server must offer.
    StartTls,
    /// None: only for a server on this very machine.
    None,
}

/// Mailboxes that are told when requests wait, and the server that takes mail for them.
#[derive(Clone)]
pub struct MailTarget {
    /// The server's host name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// The certificates (PEM) of those who may vouch for the server, in place of the public ones.
    pub authorities: Option<String>,
    /// User name and password, where the server wants them.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// Only what concerns these; empty: everything.
    pub applications: Vec<ApplicationId>,
}

impl fmt::Debug for MailTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailTarget")
            .field("server", &self.server)
            .field("port", &self.port)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A mail server, and who is written to.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailbox,
}

impl Mail {
    /// One for each recipient.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub(super) fn to_each(target: MailTarget) -> Result<Vec<Self>, NotifyError> {
        let from = mailbox(&target.from)?;
        let to = target.to.iter().map(|to| mailbox(to));
        let to = to.collect::<Result<Vec<Mailbox>, _>>()?;
        if to.is_empty() {
            return Err(NotifyError::new("mail has no recipient"));
        }
        let transport = transport(target)?;
        let to_one = |to| Self {
            transport: transport.clone(),
            from: from.clone(),
            to,
        };
        Ok(to.into_iter().map(to_one).collect())
    }

    /// What the store knows it by.
    pub(super) fn name(&self) -> String {
        format!("mail {}", self.to.email)
    }

    /// Sends one thing; the same `id` each time, which becomes the message's.
    pub(super) async fn send(&self, id: &str, body: &str) -> Result<(), Undelivered> {
        let message = self.message(id, body);
        let message = message.map_err(|error| Undelivered::Never(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() || error.is_client() => {
                Err(Undelivered::Never(error.to_string()))
            }
            Err(error) => Err(Undelivered::Later(error.to_string())),
        }
    }

    fn message(&self, id: &str, body: &str) -> Result<Message, NotifyError> {
        let body: Value =
            serde_json::from_str(body).map_err(|e| NotifyError::new(e.to_string()))?;
        let is_folded = body.get("type").and_then(Value::as_str) == Some(FOLDED);
        let (subject, text) = if is_folded {
            (FOLDED_SUBJECT.to_owned(), folded_text(&body))
        } else {
            (subject(&body), text(&body))
        };
        let message = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(self.to.clone())
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text);
        message.map_err(|error| NotifyError::new(error.to_string()))
    }
}

fn transport(target: MailTarget) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotifyError> {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let server = target.server.as_str();
    let local = matches!(server, "127.0.0.1" | "::1" | "localhost");
    let authorities = target.authorities.as_deref();
    let tls = match target.security {
        MailSecurity::Tls => Tls::Wrapper(tls(server, authorities)?),
        MailSecurity::StartTls => Tls::Required(tls(server, authorities)?),
        MailSecurity::None if local => Tls::None,
        MailSecurity::None => {
            let why = format!("mail to `{server}` must be protected by TLS");
            return Err(NotifyError::new(why));
        }
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
        .tls(tls)
        .port(target.port)
        .timeout(Some(DEADLINE));
    let builder = match target.credentials {
        Some((name, password)) => builder.credentials(Credentials::new(name, password.to_string())),
        None => builder,
    };
    Ok(builder.build())
}

/// How the server is known: by the public authorities, or by those that were named alone.
fn tls(server: &str, authorities: Option<&str>) -> Result<TlsParameters, NotifyError> {
    let unusable =
        |error: lettre::transport::smtp::Error| NotifyError::new(format!("TLS: {error}"));
    let Some(pem) = authorities else {
        return TlsParameters::new(server.to_owned()).map_err(unusable);
    };
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(NotifyError::new(
            "there is no certificate (PEM) to know the mail server by",
        ));
    }
    let authorities = Certificate::from_pem(pem.as_bytes()).map_err(unusable)?;
    TlsParameters::builder(server.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authorities)
        .build()
        .map_err(unusable)
}

fn mailbox(text: &str) -> Result<Mailbox, NotifyError> {
    let read = text.parse();
    read.map_err(|error| NotifyError::new(format!("`{}`: {error}", visible_line(text))))
}

/// A field of what there is to tell, as one visible line.
fn line(body: &Value, field: &str) -> String {
    let value = body.get("data").and_then(|data| data.get(field));
    visible_line(value.and_then(Value::as_str).unwrap_or_default())
}

fn subject(body: &Value) -> String {
    let agent: String = line(body, "agent").chars().take(MAX_NAME_CHARS).collect();
    format!("An agent asks for access: {agent}")
}

fn text(body: &Value) -> String {
    let tools = body.get("data").and_then(|data| data.get("tools"));
    let tools = tools.and_then(Value::as_array).into_iter().flatten();
    let word = |tool: &Value, field: &str| {
        visible_line(tool.get(field).and_then(Value::as_str).unwrap_or_default())
    };
    let tools: Vec<String> = tools
        .map(|tool| format!("  {} ({})", word(tool, "name"), word(tool, "access")))
        .collect();
    let identity = match line(body, "proved_identity") {
        proved if proved.is_empty() => "only claimed: nothing proves who sent this".to_owned(),
        proved => format!("proved: {proved}"),
    };
    format!(
        "The agent that calls itself \"{}\" asks for access.\n\n\
         Application  {}\nIdentity     {identity}\nExpires      {}\nTools\n{}\n\n\
         Look at it and decide:\n{}\n",
        line(body, "agent"),
        line(body, "application"),
        line(body, "expires_at"),
        tools.join("\n"),
        line(body, "url"),
    )
}

fn folded_text(body: &Value) -> String {
    format!(
        "More requests wait than are told of one by one: agents under one name ask very often.\n\n\
         Application  {}\n\nLook at the list and decide:\n{}\n",
        line(body, "application"),
        line(body, "url"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target() -> MailTarget {
        MailTarget {
            server: "127.0.0.1".to_owned(),
            port: 25,
            security: MailSecurity::None,
            authorities: None,
            credentials: None,
            from: "Bailiwick <bailiwick@example.org>".to_owned(),
            to: vec!["ada@example.org".to_owned()],
            applications: Vec::new(),
        }
    }

    #[test]
    fn text_of_an_agent_adds_no_header_and_no_recipient() {
        let mail = Mail::to_each(target()).unwrap().remove(0);
        for hostile in [
            "x\r\nBcc: eve@example.org\r\n\r\nhello",
            "x\nSubject: other",
            "x\u{2028}To: eve@example.org",
            "\u{202e}evil\u{0}",
            "=?utf-8?q?a=0D=0ABcc:_eve?=",
        ] {
            let body = json!({"data": {"agent": hostile, "url": "http://x/\r\nBcc: e@example.org",
                "application": hostile, "tools": [{"name": hostile, "access": hostile}]}});
            let message = mail.message("msg_1", &body.to_string()).unwrap();
            let written = String::from_utf8(message.formatted()).unwrap();
            let (head, _) = written.split_once("\r\n\r\n").unwrap();
            let names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with(' '))
                .filter_map(|line| line.split_once(':').map(|(name, _)| name))
                .collect();
            assert_eq!(
                names.iter().filter(|n| **n == "Subject").count(),
                1,
                "{head}"
            );
            assert!(!names.contains(&"Bcc"), "{head}");
            let to: Vec<String> = message
                .envelope()
                .to()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(to, ["ada@example.org"], "{head}");
        }
    }

    #[test]
    fn mail_goes_unprotected_to_this_machine_alone() {
        for (server, security, good) in [
            ("127.0.0.1", MailSecurity::None, true),
            ("localhost", MailSecurity::None, true),
            ("mail.example.org", MailSecurity::None, false),
            ("mail.example.org", MailSecurity::StartTls, true),
            ("mail.example.org", MailSecurity::Tls, true),
        ] {
            let server = server.to_owned();
            let made = Mail::to_each(MailTarget {
                server,
                security,
                ..target()
            });
            assert_eq!(made.is_ok(), good, "{security:?}");
        }
    }

    #[test]
    fn address_that_is_none_and_mail_to_nobody_are_refused() {
        let made = |from: &str, to: &[&str]| {
            let to = to.iter().map(|to| (*to).to_owned()).collect();
            Mail::to_each(MailTarget {
                from: from.to_owned(),
                to,
                ..target()
            })
            .is_ok()
        };
        assert!(made("a@example.org", &["b@example.org"]));
        assert!(!made("a", &["b@example.org"]));
        assert!(!made("a@example.org", &["b\r\nc@example.org"]));
        assert!(!made("a@example.org", &[]));
    }
    #[test]
    fn each_recipient_gets_a_message_of_their_own() {
        let to = ["ada@example.org", "Bob <bob@example.org>"].map(str::to_owned);
        let mails = Mail::to_each(MailTarget {
            to: to.into(),
            ..target()
        });
        let mails = mails.unwrap();
        let names: Vec<String> = mails.iter().map(Mail::name).collect();
        assert_eq!(names, ["mail ada@example.org", "mail bob@example.org"]);
        let body = json!({"type": "access_request.waiting", "data": {"agent": "a"}}).to_string();
        for (mail, other) in [(&mails[0], "bob"), (&mails[1], "ada")] {
            let message = mail.message("msg_1", &body).unwrap();
            assert_eq!(
                message.envelope().to(),
                std::slice::from_ref(&mail.to.email)
            );
            let written = String::from_utf8(message.formatted()).unwrap();
            assert!(!written.contains(other), "{written}");
        }
    }

    #[test]
    fn many_requests_are_told_of_by_their_application_and_the_list() {
        let mail = Mail::to_each(target()).unwrap().remove(0);
        let body = json!({"type": FOLDED,
            "data": {"application": "default", "url": "https://i.example/approvals"}});
        let message = mail.message("msg_1", &body.to_string()).unwrap();
        let written = String::from_utf8(message.formatted()).unwrap();
        assert!(written.contains(FOLDED_SUBJECT), "{written}");
        assert!(written.contains("https://i.example/approvals"), "{written}");
        assert!(written.contains("default"), "{written}");
    }

    #[test]
    fn authorities_that_are_no_certificates_are_refused() {
        let made = |pem: Option<&str>| {
            Mail::to_each(MailTarget {
                security: MailSecurity::Tls,
                authorities: pem.map(str::to_owned),
                ..target()
            })
            .is_ok()
        };
        assert!(made(None));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for wrong in ["", "x", broken] {
            assert!(!made(Some(wrong)), "{wrong:?}");
        }
    }
}
