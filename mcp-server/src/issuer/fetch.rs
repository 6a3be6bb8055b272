//! Getting one signed document over HTTP: bounded in size and time, no redirects, no proxy.

use std::time::Duration;

use bailiwick_verifier::signed::{MAX_DOCUMENT_BYTES, SignatureError, SignedDocument};
use reqwest::{Client, StatusCode, Url, header, redirect};
use thiserror::Error;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for a whole answer; well under the default bound on staleness.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a document could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer, or not a whole one.
    #[error("the issuer did not answer")]
    Http(#[from] reqwest::Error),
    /// An answer other than 200 or 304.
    #[error("the issuer answered {status}")]
    Status {
        /// The status.
        status: StatusCode,
    },
    /// The body is larger than any signed document.
    #[error("the issuer's answer has more than {limit} bytes")]
    TooLarge {
        /// The most accepted.
        limit: usize,
    },
    /// The body is no signed document.
    #[error(transparent)]
    Malformed(#[from] SignatureError),
}

/// A client for the issuer that follows no redirect and uses no proxy, so that what it asks goes
/// where the configuration says and nowhere else.
///
/// # Errors
/// When the TLS configuration of the system cannot be loaded.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .build()
}

/// A document at one URL, remembered so that an unchanged one need not be sent again.
#[derive(Debug)]
pub(crate) struct Source {
    client: Client,
    url: Url,
    last: Option<(header::HeaderValue, SignedDocument)>,
}

impl Source {
    /// A source that has fetched nothing.
    pub(crate) fn new(client: Client, url: Url) -> Self {
        Self {
            client,
            url,
            last: None,
        }
    }

    /// Fetches the document.
    ///
    /// "Not modified" gives the document last fetched again, signature and all: it proves no
    /// less than the same bytes sent twice would.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(crate) async fn fetch(&mut self) -> Result<SignedDocument, FetchError> {
        let mut request = self.client.get(self.url.clone());
        if let Some((etag, _)) = &self.last {
            request = request.header(header::IF_NONE_MATCH, etag.clone());
        }
        let response = request.send().await?;
        match (response.status(), &self.last) {
            (StatusCode::OK, _) => {}
            (StatusCode::NOT_MODIFIED, Some((_, document))) => return Ok(document.clone()),
            (status, _) => return Err(FetchError::Status { status }),
        }
        let etag = response.headers().get(header::ETAG).cloned();
        let document = SignedDocument::from_json(&bounded_body(response).await?)?;
        self.last = etag.map(|etag| (etag, document.clone()));
        Ok(document)
    }
}

async fn bounded_body(mut response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let limit = MAX_DOCUMENT_BYTES;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(FetchError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
