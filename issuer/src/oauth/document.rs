//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a client whose id
//! is the URL of a document that describes it.
//!
//! The issuer fetches what a stranger names: over the fence of [`http`], within the bounds of
//! [`fetches`], and never for a browser in which nobody is signed in. A document counts only if it
//! names the very URL it came from. It is taken as it was for a while, and for a day by a program
//! that comes for what was approved: a host that is down must not cost it its code.

mod fetches;
mod http;

use std::{future::Future, pin::Pin, time::Duration};

use bailiwick_datalog::{Timestamp, strict_json};
use bailiwick_verifier::Now;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

pub(crate) use fetches::Fetches;
pub(crate) use http::HttpDocuments;

use super::{
    client::{AuthMethod, Client, ClientError, ClientKind, Lookup},
    register::{Metadata, Profile},
};
use crate::{
    core::{Core, Unavailable},
    store::{NewClient, client_room, clients},
    text::visible_line,
};

/// What the draft recommends (section 6.6).
const MAX_DOCUMENT_BYTES: usize = 5 * 1024;
/// How long a document is taken as it was.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);
/// How much longer by programs that come for what was approved, where it cannot be had anew.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Most documents that are kept. Past it, those that nobody ever approved give way.
const MAX_DOCUMENTS: u32 = 1_000;

/// The future of [`DocumentSource::fetch`].
pub type DocumentFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<u8>, DocumentError>> + Send + 'a>>;

/// Where client metadata documents come from.
pub trait DocumentSource: Send + Sync {
    /// Fetches the document at an https URL.
    fn fetch<'a>(&'a self, url: &'a Url) -> DocumentFuture<'a>;
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The host has no address, or one that is not public, or is one: which of them is nobody's
    /// business who can name hosts inside this network.
    #[error("its host has no public address")]
    NoPublicAddress,
    /// It cannot be fetched.
    #[error("it cannot be fetched: {0}")]
    Unreachable(String),
    /// It is larger than five KiB, or not of a JSON type.
    #[error("the answer is not a JSON document of at most 5 KiB")]
    NotADocument,
    /// It is not the metadata of the client whose id is its URL.
    #[error("it does not describe this client: {0}")]
    Malformed(String),
}

/// The URL of a client metadata document, if the client id is one. Its port is that of https: at
/// any other something else may listen.
pub(crate) fn document_url(client_id: &str) -> Option<Url> {
    let url = Url::parse(client_id).ok()?;
    let plain = client_id
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'\\');
    // One spelling only: what parses to another text is not this client's name for itself.
    let exact = url.as_str() == client_id;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.fragment().is_none()
        && url.query().is_none();
    let good = url.scheme() == "https" && plain && exact && bare && url.path() != "/";
    good.then_some(url)
}

#[derive(Deserialize)]
struct Document {
    client_id: String,
    #[serde(flatten)]
    metadata: Metadata,
}

impl Core {
    /// The client that the document at a URL describes: as it was lately, or as it is now.
    ///
    /// # Errors
    /// [`ClientError::Document`] when the document cannot be had or describes something else,
    /// [`ClientError::Resting`], [`ClientError::Busy`].
    pub(crate) async fn document_client(
        &self,
        url: &Url,
        lookup: Lookup,
    ) -> Result<Client, ClientError> {
        let now = self.clock.now();
        let stored = self.store.document(url.as_str()).await;
        let stored = stored.map_err(Unavailable::from)?;
        let until = |ends: Timestamp, more: Duration| ends.checked_add(more).unwrap_or(ends);
        match &stored {
            Some((client, fresh)) if now.utc < *fresh => return Ok(client.clone()),
            _ => {}
        }
        match (
            self.read_anew(url, lookup, stored.is_some(), now).await,
            stored,
        ) {
            (Err(ClientError::Unavailable(cause)), _) => Err(cause.into()),
            (Err(_), Some((client, fresh)))
                if lookup == Lookup::Finishing && now.utc < until(fresh, KEPT_FOR) =>
            {
                Ok(client)
            }
            (read, _) => read,
        }
    }

    /// The same as far as it is known and fresh: nothing is fetched.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn known_document(&self, url: &Url) -> Result<Option<Client>, Unavailable> {
        let now = self.clock.now().utc;
        let stored = self.store.document(url.as_str()).await?;
        Ok(stored.and_then(|(client, fresh)| (now < fresh).then_some(client)))
    }

    async fn read_anew(
        &self,
        url: &Url,
        lookup: Lookup,
        known: bool,
        now: Now,
    ) -> Result<Client, ClientError> {
        let application = self.store.open_application().await;
        let application = application.map_err(Unavailable::from)?;
        let application = application.ok_or(ClientError::Unknown)?;
        let profile = self
            .documents
            .read(url, lookup, known, now.monotonic, |bytes| {
                read_document(url, bytes)
            })
            .await?;
        let (id, kind) = (url.as_str(), ClientKind::Document);
        let credentials = profile.credentials(None);
        let new = NewClient {
            id,
            application: &application.id,
            kind,
            name: &profile.name,
            redirects: &profile.redirects,
            method: profile.method,
            credentials: &credentials,
            created_at: now.utc,
        };
        let fresh_until = now.utc.checked_add(FRESH_FOR).unwrap_or(now.utc);
        let mut change = self.store.change().await.map_err(Unavailable::from)?;
        let forgotten = client_room::forget_unused(&mut change, now.utc).await;
        forgotten.map_err(Unavailable::from)?;
        if !known {
            let room = client_room::make_room(&mut change, kind, MAX_DOCUMENTS, now.utc).await;
            if !room.map_err(Unavailable::from)? {
                return Err(ClientError::Busy);
            }
        }
        let stored = clients::store_document(&mut change, &new, fresh_until).await;
        stored.map_err(Unavailable::from)?;
        let fields = serde_json::json!({"client": id, "name": profile.name});
        self.seal_stranger(change, now.utc, kind, "client_document_read", fields)
            .await?;
        Ok(Client {
            id: id.to_owned(),
            application,
            kind,
            name: profile.name,
            redirects: profile.redirects,
            credentials,
        })
    }
}

fn read_document(url: &Url, bytes: &[u8]) -> Result<Profile, DocumentError> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError::NotADocument);
    }
    let malformed = |why: &str| DocumentError::Malformed(visible_line(why));
    let value = strict_json::parse(bytes).map_err(|e| malformed(&e.to_string()))?;
    let mut document: Document =
        serde_json::from_value(value).map_err(|e| malformed(&e.to_string()))?;
    if document.client_id != url.as_str() {
        return Err(malformed("its `client_id` is another"));
    }
    // A document is public: it cannot hold a secret (draft, section 4.1).
    let method = document.metadata.token_endpoint_auth_method;
    document.metadata.token_endpoint_auth_method =
        Some(method.unwrap_or_else(|| "none".to_owned()));
    let profile = Profile::read(&document.metadata).map_err(|e| malformed(&e.to_string()))?;
    match profile.method {
        AuthMethod::None | AuthMethod::PrivateKeyJwt => Ok(profile),
        _ => Err(malformed("its `token_endpoint_auth_method` needs a secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_that_is_an_https_url_with_a_path_names_a_document() {
        assert!(document_url("https://app.example/client.json").is_some());
        for other in [
            "bailiwick-cli",
            "http://app.example/client.json",
            "https://app.example/",
            "https://app.example",
            "https://APP.example/client.json",
            "https://app.example/a/../client.json",
            "https://app.example:443/client.json",
            "https://app.example:8443/client.json",
            "https://app.example:22/client.json",
            "https://user@app.example/client.json",
            "https://app.example/client.json?x",
            "https://app.example/client.json#x",
        ] {
            assert_eq!(document_url(other), None, "{other}");
        }
    }

    #[test]
    fn document_describes_the_client_whose_id_is_its_url() {
        let url = Url::parse("https://app.example/client.json").unwrap();
        let read = |text: &str| read_document(&url, text.as_bytes()).map(|profile| profile.name);
        let good = r#"{"client_id":"https://app.example/client.json","client_name":"App",
            "redirect_uris":["https://app.example/cb"]}"#;
        assert_eq!(read(good), Ok("App".to_owned()));
        for bad in [
            good.replace("/client.json", "/other.json"),
            good.replace(
                "\"client_name\":\"App\"",
                "\"client_name\":\"App\",\"client_name\":\"B\"",
            ),
            good.replace("https://app.example/cb", "javascript:x"),
            good.replace(
                "\"client_name\"",
                "\"token_endpoint_auth_method\":\"client_secret_basic\",\"client_name\"",
            ),
            "[]".to_owned(),
        ] {
            assert!(
                matches!(read(&bad), Err(DocumentError::Malformed(_))),
                "{bad}"
            );
        }
    }
}
