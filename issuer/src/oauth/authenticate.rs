//! Client authentication (RFC 6749 section 2.3): who sends a request to the token endpoint.
//!
//! A client that can prove who it is has to, each time. A proof adds nothing to what the client
//! may do: it asks, like everybody.

use thiserror::Error;

use super::{
    assertion::AssertionKind,
    client::{AuthMethod, Client, ClientError, Credentials, Identity, Lookup},
};
use crate::{
    core::{Core, Unavailable},
    secret::Secret,
};

/// What a request says about its sender.
#[derive(Clone, Debug)]
pub(crate) enum Presented {
    /// A client id alone.
    Name {
        /// The client id.
        client_id: String,
    },
    /// A client id with its secret.
    Secret {
        /// The client id.
        client_id: String,
        /// In the header or in the body.
        method: AuthMethod,
        /// The secret.
        secret: Secret,
    },
    /// A signed JWT, which names the client itself.
    Assertion {
        /// The client id, where it is sent as well.
        client_id: Option<String>,
        /// What signed it.
        kind: AssertionKind,
        /// The JWT.
        assertion: Secret,
    },
}

/// Why a client is not taken for what it says it is.
#[derive(Debug, Error)]
pub(crate) enum AuthenticationError {
    /// No such client, or nothing said about it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The proof is missing, wrong, or of a kind the client does not use.
    #[error("{0}")]
    Refused(&'static str),
}

impl From<Unavailable> for AuthenticationError {
    fn from(cause: Unavailable) -> Self {
        Self::Client(cause.into())
    }
}

impl Core {
    /// Finds the client, and looks at its proof.
    ///
    /// # Errors
    /// [`AuthenticationError`].
    pub(crate) async fn authenticate(
        &self,
        presented: &Presented,
        lookup: Lookup,
    ) -> Result<(Client, Identity), AuthenticationError> {
        match presented {
            Presented::Name { client_id } => {
                let client = self.client(client_id, lookup).await?;
                match client.credentials {
                    Credentials::None => Ok((client, Identity::Claimed)),
                    Credentials::Secret(_) | Credentials::Keys(_) | Credentials::Spiffe(_) => {
                        let why = "this client has to prove who it is";
                        Err(AuthenticationError::Refused(why))
                    }
                }
            }
            Presented::Secret {
                client_id,
                method,
                secret,
            } => {
                let client = self.client(client_id, lookup).await?;
                match client.credentials {
                    Credentials::Secret(digest) if digest == secret.digest() => {
                        let subject = client.id.clone();
                        let method = *method;
                        Ok((client, Identity::Proved { method, subject }))
                    }
                    _ => Err(AuthenticationError::Refused("that is not its secret")),
                }
            }
            Presented::Assertion {
                client_id,
                kind,
                assertion,
            } => {
                self.prove(client_id.as_deref(), *kind, assertion.expose(), lookup)
                    .await
            }
        }
    }
}
