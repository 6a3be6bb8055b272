//! Mail through an SMTP server that the operator names. The `lettre` library writes the message and
//! speaks the protocol; text of agents is one visible line before it gets there.

use std::fmt;

use bailiwick_datalog::ApplicationId;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::authentication::Credentials,
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{DEADLINE, NotifyError, Undelivered};
use crate::text::visible_line;

/// Longest name of an agent in a subject, in characters.
const MAX_NAME_CHARS: usize = 60;

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
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(target: MailTarget) -> Result<Self, NotifyError> {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let server = target.server.as_str();
        let local = matches!(server, "127.0.0.1" | "::1" | "localhost");
        let unusable = |error: lettre::transport::smtp::Error| NotifyError::new(error.to_string());
        let builder = match target.security {
            MailSecurity::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(server),
            MailSecurity::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(server),
            MailSecurity::None if local => Ok(
                AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server),
            ),
            MailSecurity::None => {
                let why = format!("mail to `{server}` must be protected by TLS");
                return Err(NotifyError::new(why));
            }
        };
        let builder = builder
            .map_err(unusable)?
            .port(target.port)
            .timeout(Some(DEADLINE));
        let builder = match target.credentials {
            Some((name, password)) => {
                builder.credentials(Credentials::new(name, password.to_string()))
            }
            None => builder,
        };
        if target.to.is_empty() {
            return Err(NotifyError::new("mail has no recipient"));
        }
        Ok(Self {
            transport: builder.build(),
            from: mailbox(&target.from)?,
            to: target
                .to
                .iter()
                .map(|to| mailbox(to))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Sends one thing; the same `id` each time, which becomes the message's.
    pub(super) async fn send(&self, id: &str, body: &str) -> Result<(), Undelivered> {
        let failed = |error: &dyn fmt::Display| Undelivered(error.to_string());
        let message = self.message(id, body).map_err(|error| failed(&error))?;
        let sent = self.transport.send(message).await;
        sent.map(|_| ()).map_err(|error| failed(&error))
    }

    fn message(&self, id: &str, body: &str) -> Result<Message, NotifyError> {
        let body: Value =
            serde_json::from_str(body).map_err(|e| NotifyError::new(e.to_string()))?;
        let mut builder = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .subject(subject(&body))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let message = builder.body(text(&body));
        message.map_err(|error| NotifyError::new(error.to_string()))
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target() -> MailTarget {
        MailTarget {
            server: "127.0.0.1".to_owned(),
            port: 25,
            security: MailSecurity::None,
            credentials: None,
            from: "Bailiwick <bailiwick@example.org>".to_owned(),
            to: vec!["ada@example.org".to_owned()],
            applications: Vec::new(),
        }
    }

    #[test]
    fn text_of_an_agent_adds_no_header_and_no_recipient() {
        let mail = Mail::new(target()).unwrap();
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
            let made = Mail::new(MailTarget {
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
            Mail::new(MailTarget {
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
}
