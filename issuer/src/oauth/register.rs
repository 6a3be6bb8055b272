//! Dynamic client registration (RFC 7591): a program that nobody knows becomes a client.
//!
//! It gains nothing but an id under which it may ask; a person still decides each request, on a
//! page that says nobody has checked the name. Its id carries what it registered
//! ([`super::self_registered`]), so nothing is stored and a flood of registrations costs others
//! nothing: neither room, nor a line of the record each, nor their place. What it asks for is on
//! the record whenever it asks, with its name.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::{
    client::{AuthMethod, Client, ClientKind, Credentials, MAX_ID_BYTES},
    jwt,
    redirect::{RedirectError, RedirectUri},
    self_registered,
};
use crate::{
    core::{Core, Unavailable},
    ids::fresh_id,
    secret::Secret,
    store::StoreError,
    text::visible_line,
};

/// Most redirect URIs of one client.
const MAX_REDIRECTS: usize = 10;
/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 100;
/// The name of a client that gives none.
const UNNAMED_CLIENT: &str = "unnamed program";

/// Client metadata as sent (RFC 7591 section 2). What is not here is ignored, as its section 3.1
/// wants.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) redirect_uris: Option<Vec<String>>,
    pub(crate) client_name: Option<String>,
    pub(crate) token_endpoint_auth_method: Option<String>,
    pub(crate) grant_types: Option<Vec<String>>,
    pub(crate) response_types: Option<Vec<String>>,
    pub(crate) jwks: Option<Value>,
    pub(crate) jwks_uri: Option<Value>,
}

/// Why a client is not registered.
#[derive(Debug, Error)]
pub(crate) enum RegistrationError {
    /// A redirect URI is missing or cannot be one.
    #[error("redirect_uris: {0}")]
    Redirect(String),
    /// Another part of the metadata cannot be used.
    #[error("{name}: {why}")]
    Metadata {
        /// Which.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// No application takes clients that register themselves.
    #[error("clients cannot register themselves here; ask an operator")]
    Closed,
    /// It does not fit an id.
    #[error(
        "the id that carries the metadata would have {length} bytes, more than {MAX_ID_BYTES}: register fewer or shorter redirect URIs and keys"
    )]
    TooLong {
        /// How many.
        length: usize,
    },
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<StoreError> for RegistrationError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A client as registered, with its secret if it has one: shown once.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) client_id: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) issued_at: u64,
    pub(crate) profile: Profile,
}

/// Client metadata, checked.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) redirects: Vec<RedirectUri>,
    pub(crate) method: AuthMethod,
    /// The keys of `private_key_jwt`.
    pub(crate) keys: Option<String>,
}

impl Profile {
    /// Checks metadata.
    ///
    /// # Errors
    /// [`RegistrationError::Redirect`], [`RegistrationError::Metadata`].
    pub(crate) fn read(metadata: &Metadata) -> Result<Self, RegistrationError> {
        check_flows(metadata)?;
        let name = metadata.client_name.as_deref().map(visible_line);
        let name = name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| UNNAMED_CLIENT.to_owned());
        if name.chars().count() > MAX_NAME_CHARS {
            let why = format!("it has more than {MAX_NAME_CHARS} characters");
            return Err(wrong("client_name", &why));
        }
        let method = read_method(metadata.token_endpoint_auth_method.as_deref())?;
        Ok(Self {
            name,
            redirects: read_redirects(metadata.redirect_uris.as_deref().unwrap_or_default())?,
            method,
            keys: read_keys(method, metadata)?,
        })
    }

    /// What the client's proofs will be checked against.
    pub(crate) fn credentials(&self, secret: Option<&Secret>) -> Credentials {
        match (secret, &self.keys) {
            (Some(secret), _) => Credentials::Secret(secret.digest()),
            (None, Some(keys)) => Credentials::Keys(keys.clone()),
            (None, None) => Credentials::None,
        }
    }
}

impl Core {
    /// Registers a client with the application that takes those nobody knows.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub(crate) async fn register(
        &self,
        metadata: &Metadata,
    ) -> Result<Registered, RegistrationError> {
        let profile = Profile::read(metadata)?;
        let application = self.store.open_application().await?;
        let application = application.ok_or(RegistrationError::Closed)?;
        let secret = match profile.method {
            AuthMethod::SecretBasic | AuthMethod::SecretPost => {
                Some(Secret::generate(&self.entropy))
            }
            _ => None,
        };
        let client = Client {
            id: fresh_id(self_registered::PREFIX, &self.entropy),
            application,
            kind: ClientKind::Dynamic,
            name: profile.name.clone(),
            redirects: profile.redirects.clone(),
            credentials: profile.credentials(secret.as_ref()),
        };
        let client_id = self.registrations.id_of(&client);
        let client_id = client_id
            .ok_or_else(|| Unavailable::Internal("a registration has no id".to_owned()))?;
        let length = client_id.len();
        if length > MAX_ID_BYTES {
            return Err(RegistrationError::TooLong { length });
        }
        tracing::debug!(client = client.id, "client registered itself");
        Ok(Registered {
            client_id,
            secret,
            issued_at: self.clock.now().utc.unix(),
            profile,
        })
    }
}

/// What a client plans to do has to be something that this server does. A client may plan more,
/// such as to refresh: it learns from the answer what it may.
fn check_flows(metadata: &Metadata) -> Result<(), RegistrationError> {
    let without = |wanted: &Option<Vec<String>>, known: &str| {
        let wanted = wanted.as_ref();
        wanted.is_some_and(|wanted| wanted.iter().all(|word| word != known))
    };
    if without(&metadata.grant_types, "authorization_code") {
        return Err(wrong(
            "grant_types",
            "`authorization_code` is not among them",
        ));
    }
    if without(&metadata.response_types, "code") {
        return Err(wrong("response_types", "`code` is not among them"));
    }
    Ok(())
}

fn read_redirects(texts: &[String]) -> Result<Vec<RedirectUri>, RegistrationError> {
    if texts.is_empty() {
        return Err(RegistrationError::Redirect("there is none".to_owned()));
    }
    if texts.len() > MAX_REDIRECTS {
        let why = format!("there are more than {MAX_REDIRECTS}");
        return Err(RegistrationError::Redirect(why));
    }
    let read = |text: &String| {
        RedirectUri::parse(text).map_err(|why: RedirectError| {
            RegistrationError::Redirect(format!("`{}`: {why}", visible_line(text)))
        })
    };
    texts.iter().map(read).collect()
}

/// RFC 7591 section 2: who says nothing gets a secret and sends it as `Basic`.
fn read_method(text: Option<&str>) -> Result<AuthMethod, RegistrationError> {
    let allowed = [
        AuthMethod::None,
        AuthMethod::SecretBasic,
        AuthMethod::SecretPost,
        AuthMethod::PrivateKeyJwt,
    ];
    match text.map_or(Some(AuthMethod::SecretBasic), AuthMethod::parse) {
        Some(method) if allowed.contains(&method) => Ok(method),
        _ => Err(wrong(
            "token_endpoint_auth_method",
            "it is not one that a client can register by itself",
        )),
    }
}

/// Keys come with the metadata: those at an address would have to be fetched with every proof.
fn read_keys(method: AuthMethod, metadata: &Metadata) -> Result<Option<String>, RegistrationError> {
    if method != AuthMethod::PrivateKeyJwt {
        return Ok(None);
    }
    if metadata.jwks_uri.is_some() {
        return Err(wrong("jwks_uri", "send the keys themselves, in `jwks`"));
    }
    let jwks = metadata.jwks.as_ref();
    let jwks = jwks.ok_or_else(|| wrong("jwks", "it is missing"))?;
    let keys = jwt::read_client_keys(jwks).map_err(|why| wrong("jwks", &why))?;
    Ok(Some(keys))
}

fn wrong(name: &'static str, why: &str) -> RegistrationError {
    let why = why.to_owned();
    RegistrationError::Metadata { name, why }
}
