//! Clients that an operator registers: agents with an identity of their own, and programs of one
//! application.
//!
//! Here somebody answers for the name; the page says so. An identity still lets a client only
//! ask.

use bailiwick_datalog::ApplicationId;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    client::{AuthMethod, ClientKind, Credentials},
    jwt,
    redirect::RedirectUri,
};
use crate::{
    core::{Core, Unavailable},
    ids::fresh_id,
    people::Actor,
    secret::Secret,
    store::{NewClient, StoreError, clients},
    text::visible_line,
};

/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Most redirect URIs of one client.
const MAX_REDIRECTS: usize = 10;
/// Longest SPIFFE id, in bytes (SPIFFE ID section 2.3).
const MAX_SPIFFE_BYTES: usize = 2_048;

/// A client as an operator describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    pub(crate) application: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) auth_method: String,
    pub(crate) jwks: Option<Value>,
    pub(crate) spiffe_id: Option<String>,
}

/// Why it is not registered.
#[derive(Debug, Error)]
pub(crate) enum EnrolError {
    /// There is no such application.
    #[error("there is no application `{0}`")]
    UnknownApplication(String),
    /// A part of the description cannot be used.
    #[error("`{name}`: {why}")]
    Field {
        /// Which.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// The client, with its secret if it has one: shown once.
#[derive(Debug)]
pub(crate) struct Enrolled {
    pub(crate) client_id: String,
    pub(crate) secret: Option<Secret>,
}

impl Core {
    /// Registers a client for an application, at the wish of an operator or an admin.
    ///
    /// # Errors
    /// [`EnrolError`]; nothing is stored then.
    pub(crate) async fn enrol(
        &self,
        by: &Actor,
        enrolment: &Enrolment,
    ) -> Result<Enrolled, EnrolError> {
        let application = self.enrolled_application(&enrolment.application).await?;
        let name = visible_line(&enrolment.name);
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            let why = format!("it needs 1 to {MAX_NAME_CHARS} characters");
            return Err(field("name", why));
        }
        let redirects = read_redirects(&enrolment.redirect_uris)?;
        let method = AuthMethod::parse(&enrolment.auth_method)
            .ok_or_else(|| field("auth_method", "it is not a method"))?;
        let secret = match method {
            AuthMethod::SecretBasic | AuthMethod::SecretPost => {
                Some(Secret::generate(&self.entropy))
            }
            AuthMethod::None | AuthMethod::PrivateKeyJwt | AuthMethod::SpiffeJwt => None,
        };
        let credentials = self.read_credentials(method, secret.as_ref(), enrolment)?;
        let now = self.clock.now().utc;
        let client_id = fresh_id("cli", &self.entropy);
        let mut change = self.store.change().await?;
        if let Credentials::Spiffe(id) = &credentials
            && clients::knows_spiffe(&mut change, id).await?
        {
            return Err(field("spiffe_id", "it has a client already"));
        }
        let new = NewClient {
            id: &client_id,
            application: &application,
            kind: ClientKind::Registered,
            name: &name,
            redirects: &redirects,
            method,
            credentials: &credentials,
            created_at: now,
        };
        clients::insert_client(&mut change, &new).await?;
        let fields = json!({
            "client": client_id,
            "application": application.as_str(),
            "name": name,
            "method": method.as_str(),
            "by": by.name(),
        });
        self.seal(change, now, "client_enrolled", fields).await?;
        tracing::info!(client = client_id, "client registered by an operator");
        Ok(Enrolled { client_id, secret })
    }

    /// Removes a client that an operator registered: `false` when there is none. Its sessions go
    /// on; it can ask for no more.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn remove_client(&self, by: &Actor, id: &str) -> Result<bool, Unavailable> {
        let now = self.clock.now().utc;
        let mut change = self.store.change().await?;
        if !clients::remove_registered(&mut change, id).await? {
            return Ok(false);
        }
        let fields = json!({"client": id, "by": by.name()});
        self.seal(change, now, "client_removed", fields).await?;
        Ok(true)
    }

    async fn enrolled_application(&self, id: &str) -> Result<ApplicationId, EnrolError> {
        let unknown = || EnrolError::UnknownApplication(visible_line(id));
        let parsed = ApplicationId::parse(id).map_err(|_| unknown())?;
        let known = self.store.application(&parsed).await?;
        known.map(|known| known.id).ok_or_else(unknown)
    }

    fn read_credentials(
        &self,
        method: AuthMethod,
        secret: Option<&Secret>,
        enrolment: &Enrolment,
    ) -> Result<Credentials, EnrolError> {
        if enrolment.jwks.is_some() != (method == AuthMethod::PrivateKeyJwt) {
            return Err(field(
                "jwks",
                "it belongs to `private_key_jwt`, and only there",
            ));
        }
        if enrolment.spiffe_id.is_some() != (method == AuthMethod::SpiffeJwt) {
            return Err(field(
                "spiffe_id",
                "it belongs to `spiffe_jwt`, and only there",
            ));
        }
        if let Some(jwks) = &enrolment.jwks {
            let keys = jwt::read_client_keys(jwks).map_err(|why| field("jwks", why))?;
            return Ok(Credentials::Keys(keys));
        }
        if let Some(id) = &enrolment.spiffe_id {
            let covered = self.spiffe.as_ref().is_some_and(|trust| trust.covers(id));
            if !covered || id.len() > MAX_SPIFFE_BYTES {
                return Err(field("spiffe_id", "it is not of the trusted SPIFFE domain"));
            }
            return Ok(Credentials::Spiffe(id.clone()));
        }
        Ok(secret.map_or(Credentials::None, |secret| {
            Credentials::Secret(secret.digest())
        }))
    }
}

fn read_redirects(texts: &[String]) -> Result<Vec<RedirectUri>, EnrolError> {
    if texts.len() > MAX_REDIRECTS {
        let why = format!("there are more than {MAX_REDIRECTS}");
        return Err(field("redirect_uris", why));
    }
    let read = |text: &String| {
        RedirectUri::parse(text)
            .map_err(|why| field("redirect_uris", format!("`{}`: {why}", visible_line(text))))
    };
    texts.iter().map(read).collect()
}

fn field(name: &'static str, why: impl Into<String>) -> EnrolError {
    let why = why.into();
    EnrolError::Field { name, why }
}
