//! Clients: the programs through which agents ask, each of one application.
//!
//! What a client says of itself is a claim until it proves who it is; [`Identity`] keeps the two
//! apart, all the way to the page and into the digest of the request. Being a client gives no
//! right but to ask.

use std::time::Duration;

use thiserror::Error;

use super::{
    document::{DocumentError, document_url},
    redirect::RedirectUri,
};
use crate::{
    access_request::Application,
    core::{Core, Unavailable},
    secret::SecretDigest,
};

/// Longest client id, in bytes: a metadata document's URL is one, and so is what a client
/// registered by itself.
pub(crate) const MAX_ID_BYTES: usize = 2_048;

/// How the issuer came to know a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientKind {
    /// An operator registered it.
    Registered,
    /// It registered itself (RFC 7591).
    Dynamic,
    /// A document at the URL that is its id describes it.
    Document,
}

impl ClientKind {
    const ALL: [Self; 3] = [Self::Registered, Self::Dynamic, Self::Document];

    /// The word in the store and in requests.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Dynamic => "dynamic",
            Self::Document => "document",
        }
    }

    /// Reads the word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a client proves who it is at the token endpoint (RFC 7591 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthMethod {
    /// It does not.
    None,
    /// By a secret in `Authorization: Basic`.
    SecretBasic,
    /// By a secret in the body.
    SecretPost,
    /// By a JWT that its own key signed (RFC 7523).
    PrivateKeyJwt,
    /// By a JWT-SVID of its SPIFFE trust domain.
    SpiffeJwt,
}

impl AuthMethod {
    /// Every method.
    pub(crate) const ALL: [Self; 5] = [
        Self::None,
        Self::SecretBasic,
        Self::SecretPost,
        Self::PrivateKeyJwt,
        Self::SpiffeJwt,
    ];

    /// The registered name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::SpiffeJwt => "spiffe_jwt",
        }
    }

    /// Reads the name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// What the issuer checks a client's proof against.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// Nothing: the client cannot keep a secret.
    None,
    /// The digest of its secret.
    Secret(SecretDigest),
    /// Its public keys, as a JWK set.
    Keys(String),
    /// Its name in a SPIFFE trust domain.
    Spiffe(String),
}

/// A client as the issuer knows it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What pages and the record know it by. Of a client that registered itself the id that it
    /// sends only begins with this.
    pub(crate) id: String,
    pub(crate) application: Application,
    pub(crate) kind: ClientKind,
    /// Visible text; nobody has checked it unless an operator registered the client.
    pub(crate) name: String,
    pub(crate) redirects: Vec<RedirectUri>,
    pub(crate) credentials: Credentials,
}

impl Client {
    /// The registered redirect URI that `sent` is, if there is one.
    pub(crate) fn redirect(&self, sent: &str) -> Option<RedirectUri> {
        let sent = RedirectUri::parse(sent).ok()?;
        let known = self.redirects.iter().any(|known| known.admits(&sent));
        known.then_some(sent)
    }
}

/// Whether it is proved who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// It is not: anybody could have sent the request.
    Claimed,
    /// The client proved it.
    Proved {
        /// By which method.
        method: AuthMethod,
        /// Whom the proof names: the client id, or a SPIFFE id.
        subject: String,
    },
}

/// What a client is looked up for: whether its document may be fetched, and how old it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It brought a browser in which somebody is signed in.
    Person,
    /// It is a program that asks.
    Asking,
    /// It is a program that comes for what was approved, or with a token.
    Finishing,
}

/// Why there is no such client.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Nobody registered it.
    #[error("there is no client with that `client_id`")]
    Unknown,
    /// The document at the client id does not describe it.
    #[error("the document at `client_id`: {0}")]
    Document(DocumentError),
    /// The document could not be used lately, too often to ask again.
    #[error("the document at `client_id` could not be used; try again in {} s", .retry_after.as_secs())]
    Resting {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Too many documents are being fetched, or all that are kept are in use.
    #[error("too many documents of clients are being read; try again in a moment")]
    Busy,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Core {
    /// The client with that id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn client(&self, id: &str, lookup: Lookup) -> Result<Client, ClientError> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(ClientError::Unknown);
        }
        if let Some(url) = document_url(id) {
            return self.document_client(&url, lookup).await;
        }
        let known = match self.registrations.read(id) {
            Some(registration) => {
                let open = self.store.open_application().await;
                let open = open.map_err(Unavailable::from)?;
                open.and_then(|open| registration.client(open))
            }
            None => self.store.client(id).await.map_err(Unavailable::from)?,
        };
        known.ok_or(ClientError::Unknown)
    }

    /// The same for a browser in which nobody is signed in: nothing is fetched for it. `None` for
    /// a document that would have to be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn known_client(&self, id: &str) -> Result<Option<Client>, ClientError> {
        match document_url(id) {
            Some(url) if id.len() <= MAX_ID_BYTES => Ok(self.known_document(&url).await?),
            _ => self.client(id, Lookup::Asking).await.map(Some),
        }
    }
}
